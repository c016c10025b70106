"""Labels and the faults in them, as statements: what is given, and the layer that says what is right.

The unit is a label: a clip and a tag that it has, with all statements about the two.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.statements import WEAK, BoolArray, IntArray, Statements, in_force, joined, pairs, sorted_order
from earmark.data.tables import LABEL_SCHEMA
from earmark.data.vocabulary import Vocabulary

KINDS = ("planted weak", "planted missing", "planted wrong")


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels that statements in force make, by clip and tag.

    Attributes:
        clip_index, tag_index: (label,).
        of_row: the label of every statement, ascending, (statement,).
        num_tags: tags of the vocabulary.
    """

    clip_index: IntArray
    tag_index: IntArray
    of_row: IntArray
    num_tags: int

    def __len__(self) -> int:
        return len(self.clip_index)


def labels_of(statements: Statements, num_tags: int) -> Labels:
    """The labels of statements in the order of `in_force`."""
    unique, of_row = np.unique(pairs(statements, num_tags), return_inverse=True)
    return Labels(unique // num_tags, unique % num_tags, of_row.astype(np.int64), num_tags)


@dataclass(frozen=True, eq=False)
class Faults:
    """What is planted in every label, (label,) each.

    Attributes:
        weak: the times are withheld.
        missing: the label is taken away.
        mistaken_for: the tag that is given in its place, -1 where none is.
    """

    weak: BoolArray
    missing: BoolArray
    mistaken_for: IntArray

    @property
    def wrong(self) -> BoolArray:
        """Which labels have another tag."""
        return self.mistaken_for >= 0

    @property
    def kind(self) -> npt.NDArray[np.int8]:
        """The place in `KINDS` of the gravest fault of every label, -1 where there is none."""
        kind = np.where(self.weak, 0, -1)
        kind[self.missing] = 1
        kind[self.wrong] = 2
        return kind.astype(np.int8)


def given_statements(true: Statements, labels: Labels, faults: Faults) -> Statements:
    """What is said once the faults are planted, by clip, tag and times.

    A label without its times keeps the greatest value of its statements.
    """
    tag = np.where(faults.wrong, faults.mistaken_for, labels.tag_index).astype(np.int32)
    rows = np.flatnonzero(~(faults.missing | faults.weak)[labels.of_row])
    said = true.at(rows)
    timed = Statements(said.clip_index, tag[labels.of_row[rows]], said.onset, said.offset, said.value)
    rows = np.flatnonzero(faults.weak & ~faults.missing)
    value = np.zeros(len(labels), np.float32)
    np.maximum.at(value, labels.of_row, true.value)
    return in_force([joined([timed, _weak(labels.clip_index[rows], tag[rows], value[rows])])], labels.num_tags)


def truth_statements(true: Statements, labels: Labels, faults: Faults) -> tuple[Statements, npt.NDArray[np.int8]]:
    """The layer that makes given labels true again, and the kind of fault (see `KINDS`) that each statement mends.

    A label with a fault is said anew, with all its statements. What was given in its place is retracted by a weak 0.
    """
    rows = np.flatnonzero((faults.kind >= 0)[labels.of_row])
    # A true weak statement takes the place of a given one; a second about the same clip and tag must not retract it.
    has_weak = np.zeros(len(labels), np.bool_)
    has_weak[labels.of_row[true.onset == WEAK]] = True
    wrong = np.flatnonzero(faults.wrong)
    weak = np.flatnonzero((faults.kind == 0) & ~has_weak)
    retracted = np.concatenate([wrong, weak])
    tag = np.concatenate([faults.mistaken_for[wrong], labels.tag_index[weak]]).astype(np.int32)
    zeros = _weak(labels.clip_index[retracted], tag, np.zeros(len(retracted), np.float32))
    kind = faults.kind[np.concatenate([labels.of_row[rows], retracted])]
    both = joined([true.at(rows), zeros])
    order = sorted_order(both, pairs(both, labels.num_tags))
    return both.at(order), kind[order]


def _weak(clip_index: IntArray, tag_index: npt.NDArray[np.int32], value: npt.NDArray[np.float32]) -> Statements:
    times = np.full(len(clip_index), WEAK)
    return Statements(clip_index, tag_index, times, times, value)


def label_table(
    statements: Statements, clips: pa.Table, vocabulary: Vocabulary, source: pa.Array | pa.ChunkedArray
) -> pa.Table:
    """Statements as a label table.

    Args:
        source: who said each, (statement,).
    """
    is_weak = statements.onset == WEAK
    columns = {
        "clip": clips["clip"].take(pa.array(statements.clip_index)),
        "tag": vocabulary.array().take(pa.array(statements.tag_index)),
        "onset": pa.array(statements.onset, mask=is_weak),
        "offset": pa.array(statements.offset, mask=is_weak),
        "value": pa.array(statements.value),
        "source": source,
    }
    return pa.table(columns, schema=LABEL_SCHEMA)
