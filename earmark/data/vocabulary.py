"""The tags of a data set, in the order of every array that has a tag axis."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from earmark.errors import InputError, did_you_mean
from earmark.files import read_json, write_json


@dataclass(frozen=True)
class Vocabulary:
    """Ordered tags, each named once, with an id (such as AudioSet's `/m/0bt9lr`) where the data set has ids.

    >>> Vocabulary(("Dog", "Rain")).index("Rain")
    1
    """

    tags: tuple[str, ...]
    ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for what, names in (("tag", self.tags), ("id", self.ids or ())):
            if not all(isinstance(name, str) and name for name in names):
                raise InputError(f"every {what} of a vocabulary must be text and not empty")
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise InputError(
                    f'a vocabulary must name every {what} once, found "{twice}" {names.count(twice)} times'
                )
        if self.ids is not None and len(self.ids) != len(self.tags):
            raise InputError(f"a vocabulary must have one id a tag, got {len(self.ids)} ids and {len(self.tags)} tags")

    def __len__(self) -> int:
        return len(self.tags)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tags)

    def __contains__(self, tag: object) -> bool:
        return tag in self._index

    def index(self, tag: str) -> int:
        """The tag's place on every tag axis.

        Raises:
            InputError: the tag is not in the vocabulary; names the nearest one.
        """
        if tag not in self._index:
            raise InputError(f'tag must be in the vocabulary of {len(self)}, got "{tag}"{did_you_mean(tag, self.tags)}')
        return self._index[tag]

    def array(self) -> pa.Array:
        """The tags as an Arrow array, to look columns up in."""
        return pa.array(self.tags, pa.string())

    @cached_property
    def _index(self) -> dict[str, int]:
        return {tag: index for index, tag in enumerate(self.tags)}


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary written by `write_vocabulary`.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        written = read_json(path)
        tags, ids = tuple(written["tags"]), written.get("ids")
        ids = None if ids is None else tuple(ids)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f'{path}: a vocabulary must be JSON with a list "tags", found something else') from error
    try:
        return Vocabulary(tags, ids)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Writes the vocabulary as JSON: `tags`, and `ids` or null."""
    write_json(path, {"tags": list(vocabulary.tags), "ids": None if vocabulary.ids is None else list(vocabulary.ids)})
