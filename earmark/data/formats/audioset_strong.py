"""AudioSet's temporally strong labels: the events in ten-second segments, with their times.

Tables with tabs between the cells, `segment_id start_time_seconds end_time_seconds label`, where segment_id is
`{id}_{start in ms}`, times count from the segment's start and labels are mids. `mid_to_display_name.tsv`, without a
header, names the mids. Source: https://research.google.com/audioset/download_strong.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.formats.audioset_audio import CUT_NOTE, locate_segments
from earmark.data.formats.audioset_segments import SegmentTable, joined_column, joined_segments
from earmark.data.formats.audioset_tags import (
    CLASS_LIST,
    find_tables,
    first_lines,
    names_notes,
    ontology_names,
    places_of,
    read_class_list,
    read_display_names,
    tables_to_read,
    unknown_tags_note,
    vocabulary_of,
)
from earmark.data.formats.files import find_audio
from earmark.data.formats.imported import Imported, given_labels
from earmark.data.table_files import CSV_SUFFIXES, TableFile, read_table_file
from earmark.errors import counted, first_few

COLUMNS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
DISPLAY_NAMES = "mid_to_display_name.tsv"
# Says of frames of 0.96 s whether a tag is present: no events.
FRAMED = "audioset_eval_strong_framed_posneg.tsv"
# An id may hold `_` itself.
_SEGMENT_ID = r"^(?P<id>.+)_(?P<start_ms>[0-9]{1,12})$"
# Where people put the audio of each table, the usual first; much of it is also that of the weak lists.
_FOLDERS = {
    "audioset_train_strong.tsv": (
        *("audioset_train_strong", "train_strong", "strong_train", "train"),
        *("unbalanced_train_segments", "unbalanced_train", "balanced_train_segments", "balanced_train"),
    ),
    "audioset_eval_strong.tsv": ("audioset_eval_strong", "eval_strong", "strong_eval", "eval", "eval_segments", "test"),
}


def is_at(source: Path) -> bool:
    """Whether the source is a folder with one of AudioSet's strong tables, or a table with their columns."""
    if source.is_dir():
        return bool(find_tables(source, _FOLDERS))
    return source.suffix.lower() in CSV_SUFFIXES and first_lines(source)[:1] == ["\t".join(COLUMNS).encode()]


def read(source: Path) -> Imported:
    """The segments of the strong tables as strongly labelled clips, with the ids that the weak lists give them too.

    Raises:
        InputError: there is no strong table, or a row of one does not hold; with file and line.
    """
    folder = source if source.is_dir() else source.parent
    paths, files = tables_to_read(source, _FOLDERS, (DISPLAY_NAMES, CLASS_LIST, FRAMED))
    tables = [_read_table(path) for path in paths]
    segments, segment = joined_segments(tables)
    mid = joined_column(tables, "mid")
    onset_s, offset_s = (np.asarray(joined_column(tables, name), dtype=np.float64) for name in ("onset", "offset"))
    names, origin = _names(files, mid)
    vocabulary = vocabulary_of(names)
    tag = places_of(mid, list(names))
    lasting = offset_s > onset_s
    kept = lasting & (tag >= 0)
    unheard = np.bincount(tag[tag >= 0], minlength=len(vocabulary)) == 0
    not_annotated = tuple(vocabulary.tags[index] for index in np.flatnonzero(unheard))
    found = find_audio(folder)
    located, problems = locate_segments(found, segments)
    return Imported(
        clips=segments.clips(located, labelled="strong"),
        labels=given_labels(segments.clip, vocabulary, segment[kept], tag[kept], onset_s[kept], offset_s[kept]),
        vocabulary=vocabulary,
        audio_root=folder,
        notes=(
            *segments.notes(folder),
            *names_notes(vocabulary, names, origin),
            *unknown_tags_note(mid, tag),
            *_notes(segments.clip.take(pa.array(segment[~lasting])), not_annotated, FRAMED in files),
            CUT_NOTE,
            *found.unnamed_note(located),
        ),
        problems=(*found.problems, *problems),
        not_annotated=not_annotated,
    )


def _read_table(path: Path) -> SegmentTable:
    """A strong table, every row checked: its columns, and those that they say of segments."""
    file = read_table_file(path)
    file.check_columns(required=COLUMNS, known=COLUMNS)
    name = file.required_text("segment_id").combine_chunks()
    parts = pc.extract_regex(name, _SEGMENT_ID)
    file.refuse(parts.is_null(), lambda row: f"segment_id must be like `id_30000` (start in ms), got `{name[row]}`")
    onset, offset = _times(file, "start_time_seconds"), _times(file, "end_time_seconds")
    file.refuse(pc.less(onset, 0), lambda row: f"start_time_seconds must be 0 or later, got {onset[row]}")
    recording, start_ms = (pc.struct_field(parts, field) for field in ("id", "start_ms"))
    table = pa.table(
        {
            "clip": name,
            "id": recording,
            "onset": onset,
            "offset": offset,
            "mid": pc.utf8_trim_whitespace(file.required_text("label")),
        }
    )
    starts = np.asarray(start_ms.cast(pa.int64()))
    return SegmentTable(replace(file, table=table), starts, _FOLDERS.get(path.name, ()))


def _times(file: TableFile, column: str) -> pa.ChunkedArray:
    """A column of seconds without empty cells."""
    times = file.numbers(column)
    file.refuse(times.is_null(), lambda row: f"{column} must not be empty")
    return times


def _names(files: Mapping[str, Path], mid: pa.Array) -> tuple[dict[str, str], Path | None]:
    """The display names of the vocabulary's mids, and the file they are from (None: the ontology).

    A class list is the whole vocabulary. A list of display names only names: mids that it lacks follow.
    """
    if CLASS_LIST in files:
        return read_class_list(files[CLASS_LIST]), files[CLASS_LIST]
    used = ontology_names(mid)
    if DISPLAY_NAMES in files:
        listed = read_display_names(files[DISPLAY_NAMES])
        return listed | {mid: name for mid, name in used.items() if mid not in listed}, files[DISPLAY_NAMES]
    return used, None


def _notes(lasting_nothing: pa.Array, not_annotated: Sequence[str], framed: bool) -> Iterator[str]:
    """What was left out, not annotated and not read."""
    if len(lasting_nothing):
        clip = lasting_nothing[0]
        labels = counted(len(lasting_nothing), "label")
        yield f"left out: {labels} without an end after the start (first: in clip {clip})"
    if not_annotated:
        tags = counted(len(not_annotated), "tag")
        yield f"not annotated, in no strong table: {tags}: {first_few(not_annotated)}"
    if framed:
        yield f"not read: {FRAMED}, which labels frames of 0.96 s, not events"
