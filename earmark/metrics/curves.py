"""Counts at every threshold, exact: what is found, and what is falsely decided, from the lowest threshold to none.

A score at the threshold is a decision, as everywhere here. (In sed_scores_eval a threshold lies below a score: its
curve has the same points.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.metrics.detection import share
from earmark.metrics.events import Ints
from earmark.metrics.tagging import Floats, f1_from_counts


class Steps(NamedTuple):
    """By how much a count changes when the threshold falls to a score, in any order; both are (step,)."""

    score: npt.NDArray[np.floating[Any]]
    change: Ints


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """A tag's counts at every threshold. Those of a point hold at its threshold and down to that of the next point.

    Attributes:
        thresholds: scores at which a count changes, falling; the first is inf, where nothing is decided. (point,)
        true_positives, false_positives: int64 (point,).
        num_reference: reference events or segments of the tag.
    """

    thresholds: npt.NDArray[np.floating[Any]]
    true_positives: Ints
    false_positives: Ints
    num_reference: int

    @property
    def precision(self) -> Floats:
        """(point,), NaN where nothing is decided."""
        return share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Floats:
        """(point,), NaN without reference."""
        return share(self.true_positives, np.full(len(self.thresholds), self.num_reference))

    @property
    def f1(self) -> Floats:
        """(point,), NaN without reference."""
        whole = np.full(len(self.thresholds), self.num_reference)
        return f1_from_counts(self.true_positives, whole, self.true_positives + self.false_positives)

    def counts_at(self, threshold: float) -> tuple[int, int]:
        """True and false positives at some threshold."""
        point = int(np.searchsorted(-self.thresholds, -threshold, "right")) - 1
        return int(self.true_positives[point]), int(self.false_positives[point])

    def best_threshold(self) -> tuple[float, float]:
        """The threshold of the greatest F1, and that F1; the highest of several.

        It lies in the middle between the scores that it separates, as in sed_scores_eval. inf where nothing is ever
        found, NaN twice without reference.
        """
        if not self.num_reference:
            return float("nan"), float("nan")
        f1 = self.f1
        point = int(f1.argmax())
        here, last = self.thresholds[point], point + 1 == len(f1)
        if last or np.isinf(here):
            return float(here), float(f1[point])
        # In the scores' own precision, where the middle of two neighbours is one of them.
        middle = here.dtype.type((float(here) + float(self.thresholds[point + 1])) / 2)
        return float(middle if middle > self.thresholds[point + 1] else here), float(f1[point])


def totals(*counts: Steps) -> tuple[npt.NDArray[np.floating[Any]], Ints]:
    """Thresholds at which one of some counts changes, falling from inf, and the counts there, int64 (count, point).

    >>> totals(Steps(np.array([0.2, 0.7, 0.2]), np.array([1, 1, 1])), Steps(np.array([0.5]), np.array([1])))
    (array([inf, 0.7, 0.5, 0.2]), array([[0, 1, 1, 3],
           [0, 0, 1, 1]]))
    """
    score = np.concatenate([steps.score for steps in counts])
    order = np.argsort(-score)
    falling = score[order]
    last = np.append(falling[1:] != falling[:-1], np.ones(min(1, len(order)), np.bool_))
    ends = np.cumsum([len(steps.score) for steps in counts])
    found = []
    for steps, end in zip(counts, ends, strict=True):
        change = np.zeros(len(score), np.int64)
        change[end - len(steps.score) : end] = steps.change
        found.append(np.append(0, np.cumsum(change[order])[last]))
    table = np.stack(found)
    kept = np.append(True, (table[:, 1:] != table[:, :-1]).any(axis=0))
    return np.append(score.dtype.type(np.inf), falling[last])[kept], table[:, kept]


def curve_from_steps(
    true_positives: Sequence[Steps], false_positives: Sequence[Steps], num_reference: int
) -> ThresholdCurve:
    """The curve of a tag from the steps that its two counts are sums of."""
    thresholds, (found, false) = totals(joined(true_positives), joined(false_positives))
    return ThresholdCurve(thresholds, found, false, num_reference)


def joined(steps: Sequence[Steps]) -> Steps:
    """The steps of a sum of counts."""
    return Steps(np.concatenate([one.score for one in steps]), np.concatenate([one.change for one in steps]))


def sum_steps(
    owner: Ints,
    birth: npt.NDArray[np.floating[Any]],
    death: npt.NDArray[np.floating[Any]],
    amount: Ints,
    needed: Ints,
) -> tuple[Steps, Ints]:
    """When each owner has as much as it needs, as the threshold falls: +1 where it gets there, -1 where it falls back.

    Args:
        owner: of each part, places in `needed`, (part,).
        birth, death: the part counts while death < threshold <= birth, (part,).
        amount: of each part, more than 0, (part,).
        needed: by each owner, more than 0, (owner,).

    Returns:
        The steps, and the owner of each.
    """
    ends = death > -np.inf
    owners, score = np.concatenate([owner, owner[ends]]), np.concatenate([birth, death[ends]])
    change = np.concatenate([amount, -amount[ends]])
    order = np.lexsort((-score, owners))
    owners, score = owners[order], score[order]
    has = np.cumsum(change[order])
    if not len(order):
        return Steps(score, has), owners
    new_owner = np.append(True, owners[1:] != owners[:-1])
    before = np.append(0, has)[np.flatnonzero(new_owner)]
    has -= before[np.cumsum(new_owner) - 1]
    last = np.append(new_owner[1:] | (score[1:] != score[:-1]), True)
    owners, score = owners[last], score[last]
    enough = has[last] >= needed[owners]
    enough_before = np.append(False, enough[:-1]) & np.append(False, owners[1:] == owners[:-1])
    changes = enough != enough_before
    return Steps(score[changes], np.where(enough[changes], 1, -1)), owners[changes]


def macro_f1_curve(curves: Sequence[ThresholdCurve]) -> tuple[npt.NDArray[np.floating[Any]], Floats]:
    """The macro F1 when all tags share one threshold: thresholds, falling from inf, and the F1, both (point,).

    It is the mean over the tags with reference, summed up along the thresholds and so right to rounding only. It holds
    at its threshold and down to the next one, as a tag's does.

    >>> one = ThresholdCurve(np.array([np.inf, 0.8]), np.array([0, 1]), np.array([0, 0]), 1)
    >>> macro_f1_curve([one, ThresholdCurve(np.array([np.inf, 0.5]), np.array([0, 1]), np.array([0, 2]), 1)])
    (array([inf, 0.8, 0.5]), array([0.  , 0.5 , 0.75]))
    """
    there = [curve for curve in curves if curve.num_reference]
    if not there:
        return np.array([np.inf]), np.array([np.nan])
    score = np.concatenate([curve.thresholds for curve in there])
    order = np.argsort(-score)
    falling = score[order]
    change = np.concatenate([np.diff(curve.f1, prepend=0.0) for curve in there])[order]
    last = np.append(falling[1:] != falling[:-1], True)
    # Rounding must not leave the sum below 0 where every tag is at 0.
    return falling[last], np.maximum(np.cumsum(change)[last] / len(there), 0.0)
