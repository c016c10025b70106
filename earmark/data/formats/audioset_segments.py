"""AudioSet's segments, ten-second stretches of videos, as the lines of one or several tables name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from earmark.data.formats.imported import split_of_name
from earmark.data.table_files import BoolArray, TableFile
from earmark.data.tables import CLIP_SCHEMA, IntArray, columns_or_null, repeats
from earmark.errors import counted


@dataclass(frozen=True, eq=False)
class SegmentTable:
    """A table whose every line is about a segment.

    Attributes:
        file: holds the columns `clip` (`{id}_{start in ms}`) and `id` (of the recording) beside others.
        start_ms: of the line's segment in the recording, (line,).
        folders: where the audio of this table usually lies, the most usual first.
    """

    file: TableFile
    start_ms: IntArray
    folders: Sequence[str]

    @property
    def split(self) -> str | None:
        """The split that the table's name tells."""
        return split_of_name(self.file.path.stem)

    def note(self, folder: Path, num_segments: int) -> str:
        """What was read, the table's path from a folder on."""
        split = f"split {self.split}" if self.split else "no split told by its name"
        return f"read: {self.file.path.relative_to(folder).as_posix()}, {counted(num_segments, 'segment')}, {split}"


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of some tables, each once, in the order in which they are first named.

    Attributes:
        clip: ids as clips.
        id: of the recording.
        start_ms: (segment,).
        table: which table names it first, (segment,).
        tables: the tables.
    """

    clip: pa.Array
    id: pa.Array
    start_ms: IntArray
    table: IntArray
    tables: Sequence[SegmentTable]

    @cached_property
    def shares_recording(self) -> BoolArray:
        """Whether the recording has other segments: then a file called by the id alone could be any of them."""
        recording = np.asarray(self.id.dictionary_encode().indices, dtype=np.int64)
        several: BoolArray = np.bincount(recording, minlength=1)[recording] > 1
        return several

    def clips(self, paths: Sequence[str], labelled: str) -> pa.Table:
        """The clip table, given where the audio is and what annotators were asked for."""
        split = pa.array([table.split for table in self.tables], pa.string())
        return columns_or_null(
            len(self.clip),
            CLIP_SCHEMA,
            clip=self.clip,
            path=pa.array(paths, pa.string()),
            split=split.take(pa.array(self.table)),
            group=self.id,
            labelled=pa.repeat(labelled, len(self.clip)),
        )

    def notes(self, folder: Path) -> list[str]:
        """What was read of each table, their paths from a folder on."""
        counts = np.bincount(self.table, minlength=len(self.tables))
        return [table.note(folder, int(count)) for table, count in zip(self.tables, counts, strict=True)]


def joined_segments(tables: Sequence[SegmentTable]) -> tuple[Segments, IntArray]:
    """The segments of all tables, and which of them each line is about, (line of all tables,).

    Raises:
        InputError: a segment stands in tables of two splits; with file and line.
    """
    clip, id_ = joined_column(tables, "clip"), joined_column(tables, "id")
    table_of_line = np.repeat(np.arange(len(tables)), [len(table.start_ms) for table in tables])
    again, first = repeats([np.asarray(clip.dictionary_encode().indices, dtype=np.int64)])
    _refuse_two_splits(tables, table_of_line, first)
    rows = np.flatnonzero(~again)
    segments = Segments(
        clip=clip.take(pa.array(rows)),
        id=id_.take(pa.array(rows)),
        start_ms=np.concatenate([table.start_ms for table in tables])[rows],
        table=table_of_line[rows],
        tables=tables,
    )
    return segments, np.searchsorted(rows, first)


def joined_column(tables: Sequence[SegmentTable], name: str) -> pa.Array:
    """A column of all tables, (line of all tables,)."""
    return pa.concat_arrays([table.file.table[name].combine_chunks() for table in tables])


def _refuse_two_splits(tables: Sequence[SegmentTable], table_of_line: IntArray, first: IntArray) -> None:
    split = np.array([table.split or "" for table in tables])[table_of_line]
    for index, table in enumerate(tables):
        lines = np.flatnonzero(table_of_line == index)
        earlier = table_of_line[first[lines]]
        table.file.refuse(
            split[lines] != split[first[lines]],
            lambda row, file=table.file, earlier=earlier: (  # type: ignore[misc]
                f"a segment must be in one split, found it in {tables[earlier[row]].file.path.name} too"
                f"{file.naming(row)}"
            ),
        )
