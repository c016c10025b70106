"""Missing labels added by what the ontology and a teacher's scores say (PSLA's label enhancement).

A clip's given tags propose their children (type I: a child that was not named) and their ancestors (type II: a parent
that was not named); a proposed tag is added where the teacher's score is strictly above the tag's threshold, which
comes from its scores of the clips that have the tag. Added tags propose nothing.

Source: Gong et al. 2021, Algorithm 2 and section V.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from earmark.data.statements import COUNTED, ClipLabels
from earmark.errors import InputError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

Threshold = Literal["mean", "5", "10", "25", "50"]
Types = Literal["type_1", "type_2", "both"]

BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Enhancement:
    """The labels that were added.

    Attributes:
        clip_index, tag_index: of each added label, by clip and tag, (label,).
        is_type_1, is_type_2: whether a parent, a child proposed it (both can be), (label,).
        threshold: (tag,); NaN for a tag that no scored clip has: it is never added.
        counts: clips that had each tag before, of those that thresholds are made of, (tag,).
    """

    clip_index: IntArray
    tag_index: IntArray
    is_type_1: BoolArray
    is_type_2: BoolArray
    threshold: npt.NDArray[np.float64]
    counts: IntArray

    def changes(self) -> dict[str, Any]:
        """The numbers of Table VIII that labels alone give."""
        added, given = len(self.tag_index), int(self.counts.sum())
        return {
            "added": added,
            "added_percent": round(100 * added / given, 3) if given else 0.0,
            "type_1": int(self.is_type_1.sum()),
            "type_2": int(self.is_type_2.sum()),
            "tags_touched": len(np.unique(self.tag_index)),
            "clips_touched": len(np.unique(self.clip_index)),
        }


def enhance(
    labels: ClipLabels,
    clip_index: IntArray,
    scores: FloatArray,
    score_rows: IntArray,
    children: BoolArray,
    ancestors: BoolArray,
    *,
    makes_thresholds: BoolArray | None = None,
    types: Types = "both",
    threshold: Threshold = "mean",
) -> Enhancement:
    """The labels that ontology and scores add to those in force.

    Args:
        clip_index: the clips that have scores, ascending; `score_rows` says where in `scores` (row, tag) each one's
            are, so that a store is read a part at a time.
        children: (tag, tag), [i, j] when j is a direct child of i. ancestors: when j is an ancestor of i; what may be
            reached (all, parents only, none beyond an abstract node) is decided by whoever makes it.
        makes_thresholds: which of the clips thresholds are made of, (clip,): those that are trained on, because labels
            of test clips must not decide about labels to learn from; None for all.
        types: whether children (type_1), ancestors (type_2) or both are looked at.
        threshold: the mean of a tag's scores over the clips that have it, or this percentile of them (linear between
            neighbours).
    """
    num_tags = len(labels.tag_weight)
    if scores.ndim != 2 or scores.shape[1] != num_tags:
        raise InputError(f"scores must be of the labels' {num_tags} tags, got {scores.shape}")
    made_of = np.ones(len(clip_index), np.bool_) if makes_thresholds is None else makes_thresholds
    limits, counts = _thresholds(labels, clip_index[made_of], scores, score_rows[made_of], _statistic(threshold))
    proposes_down = children.astype(np.float32) if types != "type_2" else np.zeros((num_tags,) * 2, np.float32)
    proposes_up = ancestors.astype(np.float32) if types != "type_1" else np.zeros((num_tags,) * 2, np.float32)
    found: list[tuple[IntArray, IntArray, BoolArray, BoolArray]] = []
    for clips, has, said in _blocks(labels, clip_index, scores, score_rows):
        down, up = (has.astype(np.float32) @ matrix > 0 for matrix in (proposes_down, proposes_up))
        with np.errstate(invalid="ignore"):
            row, tag = np.nonzero((down | up) & ~has & (said > limits))
        found.append((clips[row], tag, down[row, tag], up[row, tag]))
    clip, tag, is_type_1, is_type_2 = (np.concatenate(part) for part in zip(*found, strict=True))
    return Enhancement(clip, tag, is_type_1, is_type_2, limits, counts)


def _thresholds(
    labels: ClipLabels,
    clip_index: IntArray,
    scores: FloatArray,
    score_rows: IntArray,
    statistic: Callable[[npt.NDArray[np.float64]], float],
) -> tuple[npt.NDArray[np.float64], IntArray]:
    """Each tag's statistic of its scores over the clips that have it, and how many they are."""
    parts = []
    for _, has, said in _blocks(labels, clip_index, scores, score_rows):
        row, tag = np.nonzero(has)
        parts.append((tag, said[row, tag]))
    tags, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    counts = np.bincount(tags, minlength=len(labels.tag_weight))
    of_tag = np.split(values[np.argsort(tags, kind="stable")].astype(np.float64), np.cumsum(counts)[:-1])
    return np.array([statistic(some) if len(some) else np.nan for some in of_tag]), counts.astype(np.int64)


def _statistic(threshold: Threshold) -> Callable[[npt.NDArray[np.float64]], float]:
    if threshold == "mean":
        return lambda values: float(values.mean())
    return lambda values: float(np.percentile(values, int(threshold)))


def _blocks(
    labels: ClipLabels, clip_index: IntArray, scores: FloatArray, score_rows: IntArray
) -> Iterator[tuple[IntArray, BoolArray, FloatArray]]:
    """Some clips at a time: their rows, which tags they have (clip, tag), their scores (clip, tag)."""
    for first in range(0, max(len(clip_index), 1), BLOCK):
        at = slice(first, first + BLOCK)
        yield clip_index[at], labels.rows(clip_index[at]) >= COUNTED, np.asarray(scores[score_rows[at]])
