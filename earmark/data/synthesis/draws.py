"""Draws that belong to clips and tags by their names, and the labels that they choose for faults.

Missing and wrong labels are taken from the two ends of one random order, so neither rate changes which labels the other
one takes, as long as they leave room for each other.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from earmark.data.sampling import KeyArray, keys_of_names
from earmark.data.statements import BoolArray, IntArray
from earmark.data.synthesis.faults import Labels
from earmark.errors import InputError

CLIPS_A_BLOCK = 1024

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Draws:
    """Numbers in [0, 1) for clips, tags and labels: pure functions of the seed, the purpose and the names.

    Where something is drawn without replacement, those with the least numbers are taken: more than before means those
    of before and some beside.

    Attributes:
        clip, tag: a key for each name, uint64 (clip,) and (tag,).
    """

    seed: int
    clip: KeyArray
    tag: KeyArray

    def of_clips(self, purpose: str) -> FloatArray:
        """A number for every clip, (clip,)."""
        return _uniform(self._scrambled(self.clip, purpose))

    def of_tags(self, purpose: str) -> FloatArray:
        """A number for every tag, (tag,)."""
        return _uniform(self._scrambled(self.tag, purpose))

    def of_labels(self, purpose: str, clip_index: IntArray, tag_index: IntArray) -> FloatArray:
        """A number for every label, (label,)."""
        return _uniform(_scrambled(self._scrambled(self.clip, purpose)[clip_index] ^ self.tag[tag_index]))

    def _scrambled(self, keys: KeyArray, purpose: str) -> KeyArray:
        return _scrambled(keys ^ keys_of_names([f"{self.seed}:{purpose}"]))


def draws_for(seed: int, clips: Iterable[str], tags: Iterable[str]) -> Draws:
    """The draws of a seed for clips and tags by name."""
    return Draws(seed, keys_of_names(clips), keys_of_names(tags))


def rank_within(group: npt.NDArray[np.integer], number: FloatArray | IntArray) -> IntArray:
    """The place of each element by its number among those of its group, from 0.

    >>> rank_within(np.array([7, 3, 7]), np.array([0.2, 0.5, 0.1])).tolist()
    [1, 0, 0]
    """
    order = np.lexsort((number, group))
    ordered = group[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(order) else order
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return rank


def share_of(number: int, rate: float) -> int:
    """A rate of a number, half up, of the decimal that the rate is written as: not of its nearest binary fraction.

    >>> share_of(100, 0.285), share_of(5, 0.5)
    (29, 3)
    """
    return math.floor(Fraction(repr(float(rate))) * number + Fraction(1, 2))


def _scrambled(keys: KeyArray) -> KeyArray:
    """Keys that look unrelated to the given ones, one to one.

    Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _uniform(keys: KeyArray) -> FloatArray:
    return (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53


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
