"""Counts of right and wrong detections, and what they make of precision, recall and F1.

Every criterion (segments, collars, intersections) counts first and is then scored alike. Counts are kept by clip, so
that `earmark.metrics.event_bootstrap` can resample clips.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.metrics.events import Ints
from earmark.metrics.tagging import Floats, f1_from_counts, mean_over_tags


@dataclass(frozen=True, eq=False)
class DetectionCounts:
    """What was found and what was not there, by clip and tag; each array is int64 (clip, tag).

    Attributes:
        true_positives: reference events (or segments) that were found.
        false_positives: decided ones that are not in the reference.
        num_reference: reference events (or segments).
    """

    true_positives: Ints
    false_positives: Ints
    num_reference: Ints


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """Counts, precision, recall and F1 by tag; each array is (tag,).

    A tag without reference is left out: its three values are NaN, and the macro means go without it. Its false
    positives stand in `false_positives`. A tag with reference of which nothing was decided has F1 and recall 0, and a
    precision of NaN. (sed_eval leaves such a tag's F1 out of its macro mean, which rewards silence; sed_scores_eval has
    the precision 1.)
    """

    true_positives: Ints
    false_positives: Ints
    num_reference: Ints
    precision: Floats
    recall: Floats
    f1: Floats

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the tags with reference; NaN without any."""
        return mean_over_tags(self.f1)

    @property
    def macro_precision(self) -> float:
        """The mean precision of the tags with reference of which something was decided; NaN without any."""
        return mean_over_tags(self.precision)

    @property
    def macro_recall(self) -> float:
        """The mean recall of the tags with reference; NaN without any."""
        return mean_over_tags(self.recall)

    @property
    def left_out_tags(self) -> Ints:
        """The tags without reference, which no macro mean holds."""
        return np.flatnonzero(self.num_reference == 0)


def detection_scores(counts: DetectionCounts) -> DetectionScores:
    """Counts summed over clips, and scored.

    >>> one = np.ones((3, 1), np.int64)
    >>> detection_scores(DetectionCounts(one, 2 * one, 3 * one)).macro_f1
    0.3333333333333333
    """
    true_positives, false_positives, num_reference = (
        part.sum(axis=0, dtype=np.int64)
        for part in (counts.true_positives, counts.false_positives, counts.num_reference)
    )
    decided = true_positives + false_positives
    there = num_reference > 0
    return DetectionScores(
        true_positives,
        false_positives,
        num_reference,
        share(true_positives, np.where(there, decided, 0)),
        share(true_positives, num_reference),
        f1_from_counts(true_positives, num_reference, decided),
    )


def share(part: npt.ArrayLike, whole: npt.NDArray[Any]) -> Floats:
    """part / whole, NaN where there is no whole; arrays of one shape."""
    ratio = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
