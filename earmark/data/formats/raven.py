"""Raven's selection tables, beside `NAME.wav` as `NAME.Table.1.selections.txt`, `NAME.selections.txt` or `NAME.txt`.

Columns have tabs between and are called `Selection`, `View`, `Channel`, `Begin Time (s)`, `End Time (s)`, ...; the tag
stands in a column that the annotator made. A selection has a row for every view that shows it and counts once. Where a
table has the column `Begin File` (or `Begin Path`) its selections belong to the recordings named there, and
`File Offset (s)` is where they begin in them: `Begin Time (s)` then counts from the first recording of the sequence.

Source: Raven Pro user's manual, selection tables.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.csv_files import read_csv
from earmark.data.formats.beside import (
    EventRows,
    Events,
    Recordings,
    Tally,
    first_line,
    is_blank,
    is_text_file,
    names_meant,
    text_files,
)
from earmark.data.formats.files import AudioByName
from earmark.data.formats.imported import Imported
from earmark.data.table_files import TableFile, as_mask
from earmark.data.tables import repeats
from earmark.errors import InputError, first_few

ONSET, OFFSET, IN_FILE = "begin time (s)", "end time (s)", "file offset (s)"
FILE_NAMES = ("begin file", "begin path")
# What annotators and detectors call the column with the tag; of several the first with text in a row is read.
TAG_NAMES = (
    *("annotation", "annotations", "tag", "tags", "label", "labels", "species", "common name", "class", "type"),
    *("call type", "sound type", "species code", "scientific name"),
)
LOOKED_AT = 100


def is_at(source: Path) -> bool:
    """Whether the source is a selection table, or a folder with one somewhere beneath it."""
    if source.is_file():
        return is_text_file(source.name) and is_selection_table(source)
    return any(is_selection_table(source / table) for table in islice(text_files(source), LOOKED_AT))


def is_selection_table(path: Path) -> bool:
    """Whether a text file begins with the names of a selection table's columns."""
    return {ONSET, OFFSET} <= {name.strip().lower() for name in first_line(path).split("\t")}


def read(source: Path) -> Imported:
    """The recordings of a folder, or those of one selection table, with the events of the tables.

    Raises:
        InputError: there is no table, no column of it says the tag, or a row does not hold; with file and line.
    """
    folder = source if source.is_dir() else source.parent
    audio = AudioByName(folder)
    recordings = Recordings(audio, audio.found.audio if source.is_dir() else ())
    rows, tally = EventRows(), Tally(folder)
    texts = list(text_files(folder)) if source.is_dir() else [source.name]
    tables = [table for table in texts if is_selection_table(folder / table)]
    if not tables:
        raise InputError(
            f"{source}: must hold Raven selection tables (columns Begin Time (s), End Time (s)), found none "
            f"among {len(texts)} text files"
        )
    for table in tables:
        events = read_selections(folder / table, tally)
        rows.add(_rows_of(table, events, recordings), events)
    num_blank = _add_blank_tables([table for table in texts if is_blank(folder / table)], recordings, tally)
    return recordings.imported(folder, rows, [f"selection tables read: {len(tables) + num_blank}", *tally.notes()])


def _add_blank_tables(tables: Sequence[str], recordings: Recordings, tally: Tally) -> int:
    """How many tables without a line lie beside recordings: where a program finds nothing it may write nothing."""
    num_blank = 0
    for table in tables:
        inside, names = posixpath.dirname(table), names_meant(table)
        if recordings.fitting(names, inside):
            recordings.annotated_row(names, inside, posixpath.join(inside, names[0]))
            tally.add("tables without a line, taken to say that nothing is heard", table)
            num_blank += 1
    return num_blank


def _rows_of(table: str, events: Events, recordings: Recordings) -> npt.NDArray[np.int64]:
    """The row of every event's recording."""
    inside = posixpath.dirname(table)
    if events.recordings is None:
        names = names_meant(table)
        row = recordings.annotated_row(names, inside, posixpath.join(inside, names[0]))
        return np.full(len(events.tags), row)
    row_of = {name: recordings.annotated_row([name], inside, name) for name in events.named}
    return np.array([row_of[name] for name in events.recordings], np.int64)


def read_selections(path: Path, tally: Tally) -> Events:
    """The events of a selection table; what is left out goes into the tally.

    Raises:
        InputError: a column is missing, or a row does not hold; with file and line.
    """
    file = _usual_columns(path)
    onset, offset = file.numbers(ONSET), file.numbers(OFFSET)
    for name, column in ((ONSET, onset), (OFFSET, offset)):
        file.refuse(column.is_null(), lambda row, name=name: f"{name} must not be empty")  # type: ignore[misc]
    begin_s, end_s = np.asarray(onset, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    tag = _tags(file, tally)
    recording = _recordings(file)
    keys = [begin_s, end_s, _codes(tag), _codes(file.text("selection"))]
    again = repeats(keys if recording is None else [*keys, _codes(recording)])[0]
    tally.add("rows that show a selection in another view, not counted again", tally.place(path), int(again.sum()))
    backwards = ~again & (end_s <= begin_s)
    _count(file, tally, "left out: selections without duration", backwards)
    untagged = ~again & ~backwards & as_mask(pc.equal(tag, ""))
    _count(file, tally, "left out: selections without a tag", untagged)
    _count_running_on(file, recording, tally, ~again & ~backwards & ~untagged)
    onset_s = _onsets_in_recordings(file, begin_s, recording)
    kept = np.flatnonzero(~again & ~backwards & ~untagged)
    return Events(
        tag.take(pa.array(kept)).to_pylist(),
        onset_s[kept],
        # Not onset + (end - begin) unless the table counts from elsewhere: the difference has rounding in it.
        np.where(onset_s == begin_s, end_s, onset_s + (end_s - begin_s))[kept],
        lambda event: f"{path}:{file.places([int(kept[event])])[0]}",
        None if recording is None else recording.take(pa.array(kept)).to_pylist(),
        () if recording is None else pc.unique(recording).to_pylist(),
    )


def _usual_columns(path: Path) -> TableFile:
    """The table with its columns named in small letters, and with decimal points."""
    file = TableFile(path, read_csv(path), has_lines=True)
    columns = dict(zip((name.lower() for name in file.table.column_names), file.table.columns, strict=True))
    if not {ONSET, OFFSET} <= set(columns):
        raise InputError(
            f"{path}:1: a selection table must have the columns Begin Time (s) and End Time (s), there are "
            f"{first_few(file.table.column_names, 12)}"
        )
    for name in {ONSET, OFFSET, IN_FILE} & set(columns):
        columns[name] = pc.replace_substring(columns[name], ",", ".")
    return replace(file, table=pa.table(columns))


def _tags(file: TableFile, tally: Tally) -> pa.ChunkedArray:
    """The tag of every row, from the first of the columns with a known name that has text there; "" where none has."""
    known = [name for name in TAG_NAMES if file.has(name)]
    # Raven's own tables have no column for tags; without a row they say that nothing is heard.
    if not known and file.table.num_rows:
        raise InputError(
            f"{file.path}:1: a column with the tag must be called one of {', '.join(TAG_NAMES)} (in any case)"
            f"; there are {first_few(file.table.column_names, 12)}"
        )
    tag, used = pc.fill_null(file.text(""), ""), []
    for name in known:
        text = pc.fill_null(pc.utf8_trim_whitespace(file.text(name)), "")
        is_new = pc.and_(pc.equal(tag, ""), pc.not_equal(text, ""))
        if pc.any(is_new).as_py():
            tag = pc.if_else(is_new, text, tag)
            used.append(name)
    if len(used) > 1:
        tally.add(f"tables whose tags are from the columns {', '.join(used)}", tally.place(file.path))
    return tag


def _recordings(file: TableFile) -> pa.ChunkedArray | None:
    """The name of every row's recording without its folder, None where the table does not tell."""
    for name in FILE_NAMES:
        if file.has(name) and file.table[name].null_count < file.table.num_rows:
            return pc.replace_substring_regex(file.required_text(name), r"^.*[\\/]", "")
    return None


def _onsets_in_recordings(
    file: TableFile, begin_s: npt.NDArray[np.float64], recording: pa.ChunkedArray | None
) -> npt.NDArray[np.float64]:
    if recording is None or not file.has(IN_FILE):
        several = 0 if recording is None else pc.count_distinct(recording).as_py()
        if several > 1:
            raise InputError(
                f"{file.path}:1: a table of {several} recordings must have the column File Offset (s), because "
                "Begin Time (s) counts from the first of them; export the table with it"
            )
        return begin_s
    in_file = file.numbers(IN_FILE)
    file.refuse(in_file.is_null(), lambda row: f"{IN_FILE} must not be empty")
    return np.asarray(in_file, dtype=np.float64)


def _count_running_on(
    file: TableFile, recording: pa.ChunkedArray | None, tally: Tally, kept: npt.NDArray[np.bool_]
) -> None:
    """Counts selections that end in a later recording than they begin in; only their beginning is known."""
    for first, last in (("begin file", "end file"), ("begin path", "end path")):
        if recording is not None and file.has(first) and file.has(last):
            runs_on = kept & as_mask(pc.not_equal(file.text(first), file.text(last)))
            _count(file, tally, "selections that run on into the next recording, where they are not counted", runs_on)
            return


def _count(file: TableFile, tally: Tally, remark: str, rows: npt.NDArray[np.bool_]) -> None:
    if rows.any():
        tally.add(remark, tally.place(file.path, file.places([int(rows.argmax())])[0]), int(rows.sum()))


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """A number for every text, null as empty."""
    return np.asarray(pc.fill_null(column, "").combine_chunks().dictionary_encode().indices, dtype=np.int64)
