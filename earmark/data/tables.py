"""The clip table and the label tables: what their columns are, and every check of what lies in them.

Clip table, a row a clip: `clip` (unique), `path` (of the recording: relative to the data set's audio root, or
absolute), `onset` and `offset` (seconds in the recording; both empty = the whole), `split`, `fold`, `group` (the
original recording; its path where the file says none), `verified`, `labelled` (what annotators were asked for, never
guessed from rows: a strong clip without rows is silence) and `duration_s` (of the recording, empty = not known).

Label table, a row a statement: `clip`, `tag`, `onset`, `offset` (seconds in the clip; both empty = weak), `value` in
[0, 1] (1 where the file has no such column), `source` (who said so). An event begins in its clip; one that goes on
after its end is taken to end there. Events of one tag may overlap: together they are one sound.

In Python and in Parquet, rows are counted from 1 in messages; in CSV, lines are.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.table_files import BoolArray, TableFile, read_table_file, write_table
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, did_you_mean
from earmark.files import written_aside

IntArray = npt.NDArray[np.int64]

SPLITS = ("train", "validation", "test")
TEACHER = "teacher"
"""The split of clips that only a teacher learns from, beside those to train on."""
HEADER_SLACK_S = 0.1
"""By so much at most a header may be wrong about where a recording ends."""

CLIP_SPLITS = (*SPLITS, TEACHER)
LABELLED = ("strong", "weak", "none")

CLIP_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "path": pa.string(),
        "onset": pa.float64(),
        "offset": pa.float64(),
        "split": pa.string(),
        "fold": pa.int64(),
        "group": pa.string(),
        "verified": pa.bool_(),
        "labelled": pa.string(),
        "duration_s": pa.float64(),
    }
)
LABEL_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "tag": pa.string(),
        "onset": pa.float64(),
        "offset": pa.float64(),
        "value": pa.float32(),
        "source": pa.string(),
    }
)


def read_clips(path: Path) -> pa.Table:
    """The checked clip table of a `.csv` or `.parquet` file, in the order of its rows.

    Raises:
        InputError: what a row must hold and does not, with file and row.
    """
    return checked_clips(read_table_file(path))


def write_clips(table: pa.Table, path: Path) -> None:
    """Writes a clip table, checked first, as `.csv` or `.parquet` by the suffix, whole or not at all."""
    checked = checked_clips(TableFile(path, table, has_lines=False))
    with written_aside(path) as aside:
        write_table(checked, aside)


def read_labels(path: Path, clips: pa.Table | None = None, vocabulary: Vocabulary | None = None) -> pa.Table:
    """The checked label table of a `.csv` or `.parquet` file, in the order of its rows.

    Args:
        clips: every statement must be about one of its clips; not checked if left out.
        vocabulary: every tag must be in it; not checked if left out.

    Raises:
        InputError: what a row must hold and does not, with file and row; a statement that stands twice is refused.
    """
    return checked_labels(read_table_file(path), clips, vocabulary)


def write_labels(
    table: pa.Table, path: Path, clips: pa.Table | None = None, vocabulary: Vocabulary | None = None
) -> None:
    """Writes a label table, checked first, as `.csv` or `.parquet` by the suffix, whole or not at all."""
    checked = checked_labels(TableFile(path, table, has_lines=False), clips, vocabulary)
    with written_aside(path) as aside:
        write_table(checked, aside)


def checked_clips(file: TableFile) -> pa.Table:
    """The clip table in a file, with exactly the columns of `CLIP_SCHEMA`."""
    file.check_columns(required=("clip", "path", "labelled"), known=CLIP_SCHEMA.names)
    clip, path = file.required_text("clip"), file.required_text("path")
    _check_unique_clips(file, clip)
    columns = {"clip": clip, "path": path, **_interval(file)}
    columns["split"] = file.words("split", CLIP_SPLITS)
    columns["fold"] = file.integers("fold")
    file.refuse(
        pc.less(columns["fold"], 0),
        lambda row: f"fold must be 0 or more, got {columns['fold'][row]}{file.naming(row)}",
    )
    columns["group"] = pc.coalesce(file.text("group"), path)
    columns["verified"] = file.flags("verified")
    columns["labelled"] = file.words("labelled", LABELLED, required=True)
    columns["duration_s"] = file.numbers("duration_s")
    file.refuse(
        pc.less(columns["duration_s"], 0),
        lambda row: f"duration_s must be 0 or more, got {columns['duration_s'][row]}{file.naming(row)}",
    )
    return pa.table({name: columns[name] for name in CLIP_SCHEMA.names}, schema=CLIP_SCHEMA)


def checked_labels(file: TableFile, clips: pa.Table | None, vocabulary: Vocabulary | None) -> pa.Table:
    """The label table in a file, with exactly the columns of `LABEL_SCHEMA`."""
    file.check_columns(required=("clip", "tag"), known=LABEL_SCHEMA.names)
    clip, tag = file.required_text("clip"), file.required_text("tag")
    if clips is not None:
        file.refuse(
            pc.invert(pc.is_in(clip, clips["clip"])),
            lambda row: f'clip must be one of the clip table\'s {clips.num_rows}, got "{clip[row]}"{file.naming(row)}',
        )
    if vocabulary is not None:
        file.refuse(
            pc.invert(pc.is_in(tag, vocabulary.array())),
            lambda row: (
                f'tag must be in the vocabulary of {len(vocabulary)}, got "{tag[row]}"'
                f"{did_you_mean(str(tag[row]), vocabulary.tags)}{file.naming(row)}"
            ),
        )
    columns = {"clip": clip, "tag": tag, **_interval(file)}
    if clips is not None:
        _check_in_clips(file, columns, clips)
    value = file.numbers("value", pa.float32())
    if not file.has("value"):
        value = pc.fill_null(value, pa.scalar(1.0, pa.float32()))
    columns["value"] = value
    file.refuse(value.is_null(), lambda row: f"value must not be empty{file.naming(row)}")
    file.refuse(
        pc.or_(pc.less(value, 0), pc.greater(value, 1)),
        lambda row: f"value must lie in [0, 1], got {value[row]}{file.naming(row)}",
    )
    columns["source"] = pc.fill_null(file.text("source"), "")
    _check_unique_statements(file, columns)
    return pa.table({name: columns[name] for name in LABEL_SCHEMA.names}, schema=LABEL_SCHEMA)


def seconds(value: Any) -> str:
    """A time as a message shows it: two decimals, or as many as it has.

    >>> seconds(3.2), seconds(0.0625)
    ('3.20', '0.0625')
    """
    number = float(value.as_py() if isinstance(value, pa.Scalar) else value)
    return f"{number:.2f}" if round(number, 2) == number else repr(number)


def _interval(file: TableFile) -> dict[str, pa.ChunkedArray]:
    """The columns onset and offset: both or neither, 0 <= onset < offset."""
    onset, offset = file.numbers("onset"), file.numbers("offset")
    if onset.null_count == offset.null_count == len(onset):
        return {"onset": onset, "offset": offset}
    file.refuse(
        pc.not_equal(onset.is_null(), offset.is_null()),
        lambda row: (
            f"onset and offset must both be given or both be empty, got "
            f"{'offset' if onset[row].as_py() is None else 'onset'} only{file.naming(row)}"
        ),
    )
    file.refuse(pc.less(onset, 0), lambda row: f"onset must be 0 or later, got {seconds(onset[row])}{file.naming(row)}")
    file.refuse(
        pc.less_equal(offset, onset),
        lambda row: (
            f"offset must be after onset, got onset {seconds(onset[row])}, offset {seconds(offset[row])}"
            f"{file.naming(row)}"
        ),
    )
    return {"onset": onset, "offset": offset}


def clip_lengths(clips: pa.Table) -> npt.NDArray[np.float64]:
    """Seconds that each clip really lasts, (clip,): no longer than its recording; NaN where that is not known."""
    duration, onset, offset = (np.asarray(clips[name], dtype=np.float64) for name in ("duration_s", "onset", "offset"))
    lengths: npt.NDArray[np.float64] = np.maximum(np.fmin(duration, offset) - np.nan_to_num(onset), 0)
    return lengths


def _check_in_clips(file: TableFile, columns: dict[str, pa.ChunkedArray], clips: pa.Table) -> None:
    """Refuses events that begin after the end of their clip, where that is known."""
    onset = columns["onset"]
    if onset.null_count == len(onset):
        return
    row = np.asarray(pc.index_in(columns["clip"], clips["clip"].combine_chunks()), dtype=np.int64)
    length_s = clip_lengths(clips)[row]
    file.refuse(
        # A comparison with NaN (a weak label, a length not known) is false.
        np.asarray(onset, dtype=np.float64) > length_s + HEADER_SLACK_S,
        lambda row: (
            f"onset must lie in the clip, which lasts {seconds(length_s[row])} s, got {seconds(onset[row])}"
            f"{file.naming(row)}; times count from the clip's onset"
        ),
    )


def _check_unique_clips(file: TableFile, clip: pa.ChunkedArray) -> None:
    if pc.count_distinct(clip).as_py() == len(clip):
        return
    codes = np.asarray(clip.combine_chunks().dictionary_encode().indices)
    again, first = repeats([codes.astype(np.int64)])
    file.refuse(again, lambda row: f'clip must be unique, got "{clip[row]}" again, {_first_at(file, int(first[row]))}')


def _check_unique_statements(file: TableFile, columns: dict[str, pa.ChunkedArray]) -> None:
    clip, tag = (np.asarray(columns[name].combine_chunks().dictionary_encode().indices) for name in ("clip", "tag"))
    pair = clip.astype(np.int64) * (int(tag.max(initial=0)) + 1) + tag
    onset, offset = columns["onset"], columns["offset"]
    keys = [pair] if onset.null_count == len(onset) else [pair, _times(onset), _times(offset)]
    again, first = repeats(keys)
    file.refuse(
        again,
        lambda row: f"a statement must stand once, got it again, {_first_at(file, int(first[row]))}{file.naming(row)}",
    )


def _times(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Seconds as numpy, -1 for a weak statement."""
    return np.asarray(pc.fill_null(column, -1.0), dtype=np.float64)


def repeats(keys: list[npt.NDArray[Any]]) -> tuple[BoolArray, IntArray]:
    """Which rows have the keys of an earlier row, and the first row with those keys."""
    order = np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])
    changes = np.zeros(len(order), np.bool_)
    for key in keys:
        ordered = key[order]
        changes[1:] |= ordered[1:] != ordered[:-1]
    changes[:1] = True
    starts = np.flatnonzero(changes)
    again = np.zeros(len(order), np.bool_)
    again[order] = ~changes
    first = np.empty(len(order), np.int64)
    first[order] = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    return again, first


def _first_at(file: TableFile, row: int) -> str:
    return f"first at {'line' if file.has_lines else 'row'} {file.places([row])[0]}"


def columns_or_null(num_rows: int, schema: pa.Schema, **columns: Any) -> pa.Table:
    """A table of a schema from some of its columns; the others are null.

    Raises:
        InputError: a column that the schema lacks.
    """
    for name in columns:
        if name not in schema.names:
            raise InputError(f'unknown column "{name}"{did_you_mean(name, schema.names)}')
    return pa.table(
        [pa.nulls(num_rows, field.type) if field.name not in columns else columns[field.name] for field in schema],
        schema=schema,
    )
