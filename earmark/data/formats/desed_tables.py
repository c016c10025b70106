"""The tables of DCASE task 4: where they lie, what kind their columns make them, which split and audio they are of."""

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.csv_files import column_names
from earmark.data.formats.imported import split_of_name
from earmark.data.table_files import CSV_SUFFIXES, TableFile, read_table_file
from earmark.errors import InputError

METADATA, AUDIO, DURATIONS = "metadata", "audio", "durations"
TAG_COLUMNS = ("event_label", "event_labels")

# Tables that the task has for training only, where they lie in no folder that says so.
_TRAINING_TABLES = ("weak", "unlabel", "audioset", "synthetic")
# Where the audio of a table has another name than the table.
_AUDIO_OF = {"audioset_strong": "strong_label_real"}
_DURATIONS_NAME = re.compile(r"_?durations?$")


@dataclass(frozen=True, eq=False)
class Table:
    """A table of the layout.

    Attributes:
        place: where it lies below `metadata` (or the source), without suffix: "train/weak".
        kind: what its columns make it: strong, weak, none or durations.
    """

    place: str
    kind: str
    file: TableFile

    @property
    def folder(self) -> str:
        """The folder of its place."""
        return posixpath.dirname(self.place)

    @property
    def split(self) -> str | None:
        """What the outermost folder that tells one says, else the table's own name."""
        told = next(filter(None, map(split_of_name, self.place.split("/"))), None)
        if told is not None:
            return told
        return "train" if posixpath.basename(self.place).startswith(_TRAINING_TABLES) else None

    @property
    def audio_folders(self) -> tuple[str, ...]:
        """The folders that its audio may lie in and no other table's, the most certain first."""
        *above, stem = self.place.split("/")
        parts = [*above, _AUDIO_OF.get(stem, stem)]
        folders = ["/".join(parts[start:]) for start in range(len(parts))]
        # Every set of soundscapes has a folder called so.
        folders = folders[:-1] if stem == "soundscapes" and above else folders
        # Baselines keep a copy at 16 kHz beside each folder.
        return tuple(name for folder in folders for name in (folder, f"{folder}_16k"))

    @cached_property
    def names(self) -> list[str]:
        """The files that it names, each once."""
        return self._coded.dictionary.to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def name_of_row(self) -> npt.NDArray[np.int64]:
        """Which of the names stands in each row, (row,)."""
        return np.asarray(self._coded.indices, dtype=np.int64)

    @cached_property
    def _coded(self) -> pa.DictionaryArray:
        return self.file.required_text("filename").combine_chunks().dictionary_encode()

    def partners(self, tables: Sequence["Table"]) -> list["Table"]:
        """The tables that a durations table is of: `validation` for `validation_durations`, else its folder's."""
        beside = [table for table in tables if table.folder == self.folder and table.kind != DURATIONS]
        same = [table for table in beside if table.place == _DURATIONS_NAME.sub("", self.place)]
        return same or beside


def kind_of(path: Path) -> str | None:
    """What the columns of a file make it, None if it is no table of the layout."""
    try:
        names = set(column_names(path))
    except InputError:
        return None
    if "filename" not in names:
        return None
    if names & set(TAG_COLUMNS):
        return "strong" if {"onset", "offset"} <= names else "weak" if not {"onset", "offset"} & names else None
    return {frozenset({"filename"}): "none", frozenset({"filename", "duration"}): DURATIONS}.get(frozenset(names))


def root_of(source: Path) -> Path:
    """The folder that holds tables and audio: the source, its folder if it is a file, or what holds its `metadata`."""
    folder = source if source.is_dir() else source.parent
    for inside in (folder, *folder.parents):
        if inside.name == METADATA and (inside.parent / AUDIO).is_dir():
            return inside.parent
    return folder


def tables_at(source: Path, root: Path) -> tuple[list[Table], list[str]]:
    """The tables of a source, by place, and the paths of tables that are of no known kind.

    Where any table lies in a folder `metadata`, only those in such folders are looked at.
    """
    paths = [source] if source.is_file() else sorted(table_paths(source))
    relative = [path.relative_to(root).as_posix() for path in paths]
    inside = [f"/{METADATA}/" in f"/{place}" for place in relative]
    tables, unread = [], []
    for path, place, is_inside in zip(paths, relative, inside, strict=True):
        if any(inside) and not is_inside:
            continue
        kind = kind_of(path)
        if kind is None:
            unread.append(place)
        else:
            below = f"/{place}".rpartition(f"/{METADATA}/")[2].lstrip("/")
            tables.append(Table(posixpath.splitext(below)[0], kind, read_table_file(path)))
    return tables, unread


def table_paths(folder: Path) -> Iterator[Path]:
    """Every CSV and TSV beneath a folder, hidden names left out."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(CSV_SUFFIXES) and not name.startswith("."):
                yield Path(here, name)


def likely_tables(folder: Path) -> Iterator[Path]:
    """The tables in the places where a published archive has them: a quick look, not every folder."""
    for metadata in (folder, folder / METADATA, *folder.glob(f"*/{METADATA}")):
        beneath = metadata.name == METADATA
        yield from table_paths(metadata) if beneath else (path for path in folder.glob("*.[ct]sv") if path.is_file())
    for inside in folder.glob("*"):
        if split_of_name(inside.name) is not None and inside.is_dir():
            yield from inside.glob("*.[ct]sv")
