"""Corrected labels in a table: a column that names the clip, one for the tag, and if wanted onset, offset and value."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.corrections.clip_names import ClipNames, FloatArray, IntArray
from earmark.data.corrections.corrected import Corrected, Named, in_clips, ranges, unknown_names
from earmark.data.corrections.verdicts import corrections_of
from earmark.data.dataset import Dataset
from earmark.data.exporting.text_tables import NO_COMMA, plain_names
from earmark.data.formats.beside import Tally
from earmark.data.formats.imported import names_in_cell
from earmark.data.statements import Statements
from earmark.data.table_files import TableFile, as_mask, read_table_file
from earmark.data.tables import repeats, seconds
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, did_you_mean, first_few

BoolArray = npt.NDArray[np.bool_]

CLIP_COLUMNS = ("clip", "path", "filename", "fname", "file")
TAG_COLUMNS = ("tag", "tags", "label", "labels", "event_label", "event_labels")


def read_table(dataset: Dataset, source: Path) -> Corrected:
    """What a CSV, TSV or Parquet table says of the data set's clips.

    Raises:
        InputError: no clip that it names is known, a tag is not in the vocabulary, or a row does not hold.
    """
    file, unread = _usual_columns(corrections_of(read_table_file(source)))
    coded = file.required_text("clip").combine_chunks().dictionary_encode()
    names: list[str] = coded.dictionary.to_pylist()
    name = np.asarray(coded.indices, dtype=np.int64)
    lookup = ClipNames(dataset)
    clips = lookup.of_clips(names)
    pieces = lookup.pieces(names, clips, lookup.of_recordings([name for name in names if name not in clips]))
    unknown = unknown_names(source, names, pieces.counts, lookup)
    count = pieces.counts[name]
    row, tag = _tags(file, dataset.vocabulary, count > 0)
    is_tagged = np.bincount(row, minlength=len(name)) > 0
    times_s, value = _times(file), _values(file)
    _check_rows(file, count, is_tagged, np.isnan(times_s[0]))
    tally = Tally()
    event, _, said = in_clips(Named(names, name[row], tag, times_s[:, row]), pieces, tally)
    said = replace(said, value=value[row[event]])
    return Corrected(
        said.at(_once(file, said, row[event])),
        np.unique(pieces.row),
        is_complete=not file.has("value"),
        has_times=file.has("onset"),
        unknown=unknown,
        notes=(
            *([f"columns not read: {first_few(unread, 12)}"] if unread else []),
            *lookup.unclear(unknown),
            *tally.notes(),
        ),
    )


def _usual_columns(file: TableFile) -> tuple[TableFile, list[str]]:
    """The table with the columns that are read under their usual names, and the names of the others."""
    by_lower = {name.lower(): name for name in reversed(file.table.column_names)}
    read = {name: by_lower[name] for name in ("onset", "offset", "value") if name in by_lower}
    for column, aliases in (("clip", CLIP_COLUMNS), ("tag", TAG_COLUMNS)):
        found = [by_lower[alias] for alias in aliases if alias in by_lower]
        if not found:
            raise InputError(
                f"{file.path}:1: a column must be called one of {', '.join(aliases)}"
                f"; there are {first_few(file.table.column_names, 12)}"
            )
        read[column] = found[0]
    unread = [name for name in file.table.column_names if name not in read.values()]
    return replace(file, table=pa.table({name: file.table[column] for name, column in read.items()})), unread


def _tags(file: TableFile, vocabulary: Vocabulary, is_known: BoolArray) -> tuple[IntArray, IntArray]:
    """Every tag of every row whose clip is known: the row, and the tag's place in the vocabulary."""
    coded = pc.fill_null(file.text("tag"), "").combine_chunks().dictionary_encode()
    code = np.asarray(coded.indices, dtype=np.int64)
    exported = dict(zip(plain_names(vocabulary.tags, *NO_COMMA), vocabulary.tags, strict=True))
    cells = [_tags_of_cell(cell, vocabulary, exported) for cell in coded.dictionary.to_pylist()]
    strange = [next((tag for tag in tags if tag not in vocabulary), None) for tags in cells]
    is_strange = np.array([tag is not None for tag in strange], np.bool_)
    file.refuse(
        is_strange[code] & is_known,
        lambda row: (
            f'tag must be in the vocabulary of {len(vocabulary)}, got "{strange[code[row]]}"'
            f"{did_you_mean(str(strange[code[row]]), vocabulary)}"
        ),
    )
    # Cells of clips that are not known may hold anything.
    known = [[vocabulary.index(tag) for tag in tags if tag in vocabulary] for tags in cells]
    lengths = np.array([len(tags) for tags in known], np.int64)
    first, tags = np.cumsum(lengths) - lengths, np.array([tag for tags in known for tag in tags], np.int64)
    rows = np.flatnonzero(is_known)
    count = lengths[code[rows]]
    return np.repeat(rows, count), tags[ranges(first[code[rows]], count)]


def _tags_of_cell(cell: str, vocabulary: Vocabulary, exported: Mapping[str, str]) -> Sequence[str]:
    """The tags in a cell: the cell itself if it is one, else what stands between `;` or `,`, the longest known ones.

    Args:
        exported: the tag of every name that the DCASE export writes; looked at where the tags' own names do not fit.
    """
    if cell.strip() in vocabulary:
        return [cell.strip()]
    names = names_in_cell(cell, ",;", vocabulary)
    if any(name not in vocabulary for name in names):
        spelled = [exported.get(name, name) for name in names_in_cell(cell, ",;", {*exported, *vocabulary})]
        names = spelled if all(name in vocabulary for name in spelled) else names
    return list(dict.fromkeys(names))


def _times(file: TableFile) -> FloatArray:
    """Onset and offset of every row, both NaN where it has none, (2, row)."""
    onset, offset = file.numbers("onset"), file.numbers("offset")
    file.refuse(
        pc.not_equal(onset.is_null(), offset.is_null()),
        lambda row: f"onset and offset must both be given or both be empty{file.naming(row)}",
    )
    file.refuse(
        pc.or_(pc.less(onset, 0), pc.less_equal(offset, onset)),
        lambda row: (
            f"onset must be 0 or later and offset after it, got onset {seconds(onset[row])}, offset "
            f"{seconds(offset[row])}{file.naming(row)}"
        ),
    )
    return np.stack([np.asarray(pc.fill_null(column, np.nan), dtype=np.float64) for column in (onset, offset)])


def _values(file: TableFile) -> npt.NDArray[np.float32]:
    """The value of every row, 1 where the table has no such column."""
    if not file.has("value"):
        return np.ones(file.table.num_rows, np.float32)
    value = file.numbers("value", pa.float32())
    file.refuse(
        ~as_mask(pc.is_in(value, pa.array([0, 1], pa.float32()))),
        lambda row: f"value must be 1 (the label holds) or 0 (it does not), got {value[row]}{file.naming(row)}",
    )
    return np.asarray(value, dtype=np.float32)


def _check_rows(file: TableFile, count: IntArray, is_tagged: BoolArray, is_weak: BoolArray) -> None:
    """Refuses rows that leave open what they mean.

    Args:
        count: how many clips the row's name means, (row,).
    """
    bare = (count > 0) & ~is_tagged
    file.refuse(
        bare & (~is_weak | file.has("value")),
        lambda row: f"tag must not be empty beside onset, offset or value{file.naming(row)}",
    )
    file.refuse(
        is_tagged & is_weak & (count > 1),
        lambda row: (
            f"a label without times must name a clip, got a recording that {count[row]} clips were cut from"
            f"{file.naming(row)}"
        ),
    )


def _once(file: TableFile, said: Statements, row: IntArray) -> BoolArray:
    """Which statements are the first of their like; those that are both added and removed are refused."""
    again, first = repeats([said.clip_index, said.tag_index, said.onset, said.offset])
    contrary = np.zeros(file.table.num_rows, np.bool_)
    contrary[row[said.value != said.value[first]]] = True
    file.refuse(contrary, lambda row: f"a label must not be both added and removed{file.naming(row)}")
    return ~again
