"""What the tables of several layouts share: times in milliseconds, names that a cell can hold, rows as text."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark.data.exporting.content import Content, SecondsArray
from earmark.data.statements import IntArray, Statements
from earmark.errors import counted, first_few

# Less is what seconds in floating point are off.
SAME_MS = 1e-6
# Where a cell holds tags with commas between them.
NO_COMMA = (",", ";")


def milliseconds(seconds: SecondsArray) -> IntArray:
    """The nearest whole milliseconds."""
    return np.rint(seconds * 1000).astype(np.int64)


def as_seconds(whole_ms: IntArray) -> list[str]:
    """Milliseconds as seconds with three decimals, exactly.

    >>> as_seconds(np.array([0, 12345]))
    ['0.000', '12.345']
    """
    return [f"{ms // 1000}.{ms % 1000:03d}" for ms in whole_ms.tolist()]


def plain_names(names: Sequence[str], cannot_hold: str, instead: str) -> list[str]:
    """The names without what a table cannot hold, no two alike.

    Args:
        cannot_hold: a regular expression of what is replaced by `instead`; spaces at the ends go, too.

    >>> plain_names(["Dog, big", "Dog; big", "Rain"], ",", ";")
    ['Dog; big_2', 'Dog; big', 'Rain']
    """
    bare = [re.sub(cannot_hold, instead, name).strip() or "_" for name in names]
    taken = {name for name, plain in zip(names, bare, strict=True) if name == plain}
    result, tried = [], dict[str, int]()
    for name, plain in zip(names, bare, strict=True):
        free, number = plain, tried.get(plain, 1)
        while free != name and free in taken:
            number += 1
            free = f"{plain}_{number}"
        tried[plain] = number
        taken.add(free)
        result.append(free)
    return result


def changed_names(content: Content, plain: Sequence[str]) -> Iterator[str]:
    """The tags in use whose names are not as they were, as one loss or none."""
    tags = content.dataset.vocabulary.tags
    used = np.unique(content.statements.tag_index).tolist()
    changed = [f'"{tags[index]}" is "{plain[index]}"' for index in used if tags[index] != plain[index]]
    if changed:
        yield f"the names of {counted(len(changed), 'tag')} as they are: {first_few(changed)}"


def write_rows(path: Path, rows: Iterable[Sequence[Any]], delimiter: str) -> None:
    """Writes rows as UTF-8 text; a cell that holds the delimiter or a quote is quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)


def whole_ms(onset_s: SecondsArray, offset_s: SecondsArray) -> tuple[IntArray, IntArray]:
    """Onsets and offsets in milliseconds, each event of one at least."""
    onset_ms = milliseconds(onset_s)
    return onset_ms, np.maximum(milliseconds(offset_s), onset_ms + 1)


def finer_times(events: Statements) -> Iterator[str]:
    """What milliseconds cannot hold of events, as one loss or none."""
    times_ms = np.stack([events.onset, events.offset]) * 1000
    finer = int((np.abs(times_ms - np.rint(times_ms)) > SAME_MS).any(0).sum())
    if finer:
        yield f"times finer than a millisecond, of {counted(finer, 'event')}: rounded"
