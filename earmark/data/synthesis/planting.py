"""Faults in labels: which labels get one, what is given instead, and the layer that says what is right.

The unit is a label: a clip and a tag that it has, with all statements about the two. Missing and wrong labels are taken
from the two ends of one random order, so neither rate changes which labels the other one takes, as long as they leave
room for each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.statements import WEAK, BoolArray, IntArray, Statements, in_force, joined, pairs, sorted_order
from earmark.data.synthesis.draws import FloatArray, rank_within, share_of
from earmark.data.tables import LABEL_SCHEMA
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError

CLIPS_A_BLOCK = 1024
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


def above_and_below(labels: Labels, ancestors: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Which labels are above, and which are below, another label of their clip, (label,) each.

    Args:
        ancestors: `ancestors[i, j]`: tag j is above tag i, (tag, tag).
    """
    _, first, count = np.unique(labels.clip_index, return_index=True, return_counts=True)
    others = np.repeat(count, count)
    lower = np.repeat(np.arange(len(labels)), others)
    # Every label beside every label of its clip.
    upper = np.arange(len(lower)) + np.repeat(np.repeat(first, count) - (np.cumsum(others) - others), others)
    related = ancestors[labels.tag_index[lower], labels.tag_index[upper]]
    above, below = np.zeros(len(labels), np.bool_), np.zeros(len(labels), np.bool_)
    above[upper[related]] = below[lower[related]] = True
    return above, below


def draw_missing(
    labels: Labels, can_miss: BoolArray, order: FloatArray, rate: float, by_tag: Mapping[int, float]
) -> BoolArray:
    """Which labels are taken away: of each tag with a rate of its own, and of all others together, the first, (label,).

    Args:
        can_miss: the labels that the rates are shares of, (label,).
        order: a number for every label, (label,).
        by_tag: the rate by place in the vocabulary.
    """
    # The tags without a rate of their own are one group, numbered past all tags.
    group_of_tag = np.full(labels.num_tags, labels.num_tags)
    group_of_tag[list(by_tag)] = list(by_tag)
    rows = np.flatnonzero(can_miss)
    group = group_of_tag[labels.tag_index[rows]]
    sizes = np.bincount(group, minlength=labels.num_tags + 1)
    wanted = np.zeros(len(sizes), np.int64)
    for number, of_group in {**by_tag, labels.num_tags: rate}.items():
        wanted[number] = share_of(int(sizes[number]), of_group)
    missing = np.zeros(len(labels), np.bool_)
    missing[rows[rank_within(group, order[rows]) < wanted[group]]] = True
    return missing


@dataclass(frozen=True, eq=False)
class Mistakes:
    """What labels can be mistaken for, (label,) each.

    Attributes:
        can: there is a tag that the label can be mistaken for and that its clip lacks.
        target: the tag that it is given if it is wrong; -1 where it cannot be, or where labels of the clip that are
            wrong before it have taken all such tags.
    """

    can: BoolArray
    target: IntArray


def mistakes(
    labels: Labels, can_be_wrong: BoolArray, order: FloatArray, choice: FloatArray, allowed: BoolArray
) -> Mistakes:
    """What each label would be mistaken for: never a tag that its clip has, nor the same as another of the clip.

    The labels of a clip choose one after another, those that come last in the order first, because they are the first
    to be wrong. So a choice is the same whichever labels of the clip are wrong in the end.

    Args:
        order, choice: a number in [0, 1) for every label, (label,).
        allowed: `allowed[i, j]`: tag i may be mistaken for tag j, (tag, tag).
    """
    can = np.zeros(len(labels), np.bool_)
    target, turn = np.full(len(labels), -1), np.full(len(labels), -1)
    rows = np.flatnonzero(can_be_wrong)
    turn[rows] = rank_within(labels.clip_index[rows], -order[rows])
    clips, place = np.unique(labels.clip_index, return_inverse=True)
    edges = np.searchsorted(place, np.arange(0, len(clips) + CLIPS_A_BLOCK, CLIPS_A_BLOCK))
    place %= CLIPS_A_BLOCK
    for begin, end in pairwise(edges):
        block = np.arange(begin, end)
        taken = np.zeros((CLIPS_A_BLOCK, labels.num_tags), np.bool_)
        taken[place[block], labels.tag_index[block]] = True
        free = allowed[labels.tag_index[block]] & ~taken[place[block]]
        can[block] = can_be_wrong[block] & free.any(axis=1)
        for now in range(int(turn[block].max(initial=-1)) + 1):
            choosing = block[(turn[block] == now) & can[block]]
            free = allowed[labels.tag_index[choosing]] & ~taken[place[choosing]]
            target[choosing] = chosen = _nth_free(free, choice[choosing])
            found = chosen >= 0
            taken[place[choosing[found]], chosen[found]] = True
    return Mistakes(can, target)


def _nth_free(free: BoolArray, choice: FloatArray) -> IntArray:
    """One of the free tags of every row, each as likely, -1 where there is none, (row,)."""
    count = np.cumsum(free, axis=1)
    total = count[:, -1]
    nth = np.floor(choice * total).astype(np.int64)
    return np.where(total > 0, np.argmax(count > nth[:, None], axis=1), -1)


def draw_wrong(mistaken: Mistakes, missing: BoolArray, order: FloatArray, rate: float) -> BoolArray:
    """Which labels are wrong: a share of those that can be, the last in the order that are not missing, (label,).

    Raises:
        InputError: too many of them are missing, or have no tag left to be mistaken for.
    """
    wanted = share_of(int(mistaken.can.sum()), rate)
    left = np.flatnonzero((mistaken.target >= 0) & ~missing)
    if len(left) < wanted:
        raise InputError(
            f"wrong_rate={rate:g} must find {wanted} labels that are not missing and can be mistaken for another tag, "
            f"found {len(left)}; lower it or the missing rates"
        )
    wrong = np.zeros(len(missing), np.bool_)
    wrong[left[np.lexsort((left, -order[left]))[:wanted]]] = True
    return wrong


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
