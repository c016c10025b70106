"""Rows of a benchmark by their names."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from earmark.errors import InputError, did_you_mean


class _Named(Protocol):
    @property
    def name(self) -> str: ...


RowT = TypeVar("RowT", bound=_Named)


def named_rows(rows: Iterable[RowT], names: Sequence[str], bench: str) -> list[RowT]:
    """The rows of some names, in the names' order.

    Raises:
        InputError: there is no such row; the message names the nearest.
    """
    known = {row.name: row for row in rows}
    for name in names:
        if name not in known:
            raise InputError(f'unknown row "{name}" of {bench}{did_you_mean(name, known)}')
    return [known[name] for name in names]
