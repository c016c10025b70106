"""AudioSet's lists of segments: ten-second stretches of videos, each with its tags.

Three lines that begin with `#`, then lines such as `--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"`: id of the
video, start and end in seconds, mids of the tags. `class_labels_indices.csv` names the mids.
Source: https://research.google.com/audioset/download.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.formats.audioset_audio import CUT_NOTE, locate_segments
from earmark.data.formats.audioset_segments import SegmentTable, joined_column, joined_segments
from earmark.data.formats.audioset_tags import (
    CLASS_LIST,
    file_text,
    find_tables,
    first_lines,
    names_notes,
    ontology_names,
    places_of,
    read_class_list,
    split_mids,
    tables_to_read,
    unknown_tags_note,
    vocabulary_of,
)
from earmark.data.formats.files import find_audio
from earmark.data.formats.imported import Imported, weak_labels
from earmark.data.table_files import TableFile
from earmark.data.tables import IntArray
from earmark.errors import counted

# Where people put the audio of each list, the usual first.
_FOLDERS = {
    "balanced_train_segments.csv": ("balanced_train_segments", "balanced_train", "bal_train", "train"),
    "unbalanced_train_segments.csv": ("unbalanced_train_segments", "unbalanced_train", "unbal_train", "train"),
    # AudioSet has none; exports of data sets that do write one.
    "validation_segments.csv": ("validation_segments", "validation"),
    "eval_segments.csv": ("eval_segments", "eval", "evaluation", "test"),
}
# Some take the `#` from the line that names the columns.
_NO_SEGMENT = r"^(#|YTID\s*,|\s*$)"
_SEGMENT = (
    r'^\s*(?P<id>[^\s,"]+)\s*,\s*(?P<start>[^\s,"]+)\s*,\s*(?P<end>[^\s,"]+)\s*'
    r',\s*(?:"(?P<mids>[^"]*)"|(?P<mid>[^\s,"]*))\s*$'
)


def is_at(source: Path) -> bool:
    """Whether the source is a folder with one of AudioSet's lists of segments, or such a list."""
    if source.is_dir():
        return bool(find_tables(source, _FOLDERS))
    head = first_lines(source)[:3] if source.suffix.lower() == ".csv" else []
    return any(line.startswith((b"# YTID", b"# Segments csv")) for line in head)


def read(source: Path) -> Imported:
    """The segments of AudioSet's lists as weakly labelled clips, `{id}_{start in ms}`.

    The balanced and unbalanced lists are split train, the eval list is split test, a validation list validation.

    Raises:
        InputError: there is no list of segments, or a line of one does not hold; with file and line.
    """
    folder = source if source.is_dir() else source.parent
    paths, files = tables_to_read(source, _FOLDERS, (CLASS_LIST,))
    tables = [_read_list(path) for path in paths]
    segments, segment = joined_segments(tables)
    line, mid = split_mids(joined_column(tables, "mids"))
    class_list = files.get(CLASS_LIST)
    names = ontology_names(mid) if class_list is None else read_class_list(class_list)
    vocabulary = vocabulary_of(names)
    tag = places_of(mid, list(names))
    known = tag >= 0
    found = find_audio(folder)
    located, problems = locate_segments(found, segments)
    return Imported(
        clips=segments.clips(located, labelled="weak"),
        labels=weak_labels(segments.clip, vocabulary, segment[line[known]], tag[known]),
        vocabulary=vocabulary,
        audio_root=folder,
        notes=(
            *segments.notes(folder),
            *names_notes(vocabulary, names, class_list),
            *unknown_tags_note(mid, tag),
            *_lines_notes(len(segment), len(np.unique(line)), len(segments.clip)),
            CUT_NOTE,
            *found.unnamed_note(located),
        ),
        problems=(*found.problems, *problems),
    )


@dataclass(frozen=True)
class _ListFile(TableFile):
    """A list of segments.

    Attributes:
        lines: the line, from 1, that each row stands on, (row,).
    """

    lines: IntArray

    def places(self, rows: Sequence[int]) -> list[str]:
        """Where rows stand in the file."""
        return [str(line) for line in self.lines[list(rows)]]


def _read_list(path: Path) -> SegmentTable:
    """The segments in a list, every line checked."""
    line = pc.split_pattern(pa.array([file_text(path)], pa.large_string()), "\n").flatten()
    kept = np.flatnonzero(~np.asarray(pc.match_substring_regex(line, _NO_SEGMENT), dtype=np.bool_))
    line = line.take(pa.array(kept)).cast(pa.string())
    cells = pc.extract_regex(line, _SEGMENT)
    file = _ListFile(path, pa.Table.from_struct_array(cells), has_lines=True, lines=kept + 1)
    file.refuse(
        cells.is_null(),
        lambda row: (
            f'a line must be like `id, 30.000, 40.000, "/m/09x0r,/m/04rlf"`, found `{str(line[row]).strip()[:80]}`'
        ),
    )
    start_s, end_s = file.numbers("start"), file.numbers("end")
    file.refuse(pc.less(start_s, 0), lambda row: f"start must be 0 or later, got {start_s[row]}")
    file.refuse(
        pc.less_equal(end_s, start_s),
        lambda row: f"end must be after start, got start {start_s[row]}, end {end_s[row]}",
    )
    start_ms = np.rint(np.asarray(start_s, dtype=np.float64) * 1000).astype(np.int64)
    recording = file.table["id"]
    columns = {
        "clip": pc.binary_join_element_wise(recording, pa.array(start_ms).cast(pa.string()), "_"),
        "id": recording,
        # Of the cell in quotes and the bare one, that which a line lacks is empty.
        "mids": pc.binary_join_element_wise(file.table["mids"], file.table["mid"], ""),
    }
    return SegmentTable(replace(file, table=pa.table(columns)), start_ms, _FOLDERS.get(path.name, ()))


def _lines_notes(num_lines: int, num_tagged: int, num_segments: int) -> Iterator[str]:
    """What should be said of lines that do not stand for one clip with tags."""
    if num_lines > num_segments:
        yield f"{counted(num_lines - num_segments, 'line', 'name')} a segment again; its tags are joined"
    if num_lines > num_tagged:
        yield f"{counted(num_lines - num_tagged, 'line', 'name')} no tag: their clips count as having none of the tags"
