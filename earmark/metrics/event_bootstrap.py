"""Intervals of precision, recall and F1 of detection: counts of clips, or groups of clips, resampled.

For every criterion that counts (segments, collars, intersections at a decision); PSDS, no sum over clips at one
decision, has `earmark.metrics.psds_bootstrap`. The intervals are those of `earmark.metrics.bootstrap`, which says why
they are moved.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.metrics.bootstrap import Interval, TagIntervals, check_settings, ends, groups_of_clips, interval
from earmark.metrics.detection import DetectionCounts, detection_scores, share
from earmark.metrics.resampling import Counts, draw_resamples, mean_by_row, weighted_sums
from earmark.metrics.tagging import Floats, f1_from_counts

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectionBootstrap:
    """Intervals of the macro means and of each tag's F1, and how they were made.

    Attributes:
        drawn: the macro means in each resample, in their order here, (3, resample); see `earmark.metrics.paired`.
    """

    macro_f1: Interval
    macro_precision: Interval
    macro_recall: Interval
    f1: TagIntervals
    drawn: Floats
    num_groups: int
    resamples: int
    confidence: float


def bootstrap_detection(
    counts: DetectionCounts,
    *,
    groups: npt.ArrayLike | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> DetectionBootstrap:
    """Intervals of counted detection metrics; the arguments are those of `earmark.metrics.bootstrap.bootstrap`.

    In each resample the macro means run over the tags that have reference *in that resample*. With a single group the
    ends are NaN, and a warning is logged.

    Raises:
        InputError: a setting out of range, no clips, or groups that are not one a clip.

    >>> one = np.ones((20, 1), np.int64)
    >>> bootstrap_detection(DetectionCounts(one, 0 * one, one)).macro_f1
    Interval(value=1.0, low=1.0, high=1.0)
    """
    check_settings((), resamples, confidence)
    group_of_clip, num_groups = groups_of_clips(groups, len(counts.num_reference))
    if num_groups > 1:
        drawn = _resampled(counts, draw_resamples(group_of_clip, resamples, seed))
    else:
        _logger.warning("no intervals: all clips (%d) are of one group", len(counts.num_reference))
        drawn = np.full((3, 1, counts.num_reference.shape[1]), np.nan)
    scores, drawn_macro = detection_scores(counts), np.stack([mean_by_row(by_tag) for by_tag in drawn])
    macro = [
        interval(means, value, confidence)
        for value, means in zip(
            (scores.macro_f1, scores.macro_precision, scores.macro_recall), drawn_macro, strict=True
        )
    ]
    f1 = TagIntervals(scores.f1, *ends(drawn[0], scores.f1, confidence))
    return DetectionBootstrap(macro[0], macro[1], macro[2], f1, drawn_macro, num_groups, resamples, confidence)


def _resampled(counts: DetectionCounts, draws: Iterable[Counts]) -> Floats:
    """F1, precision and recall by tag in each resample, (3, resample, tag)."""
    blocks = []
    for draw in draws:
        parts = (counts.true_positives, counts.false_positives, counts.num_reference)
        found, false, reference = (weighted_sums(part, draw) for part in parts)
        precision = share(found, np.where(reference > 0, found + false, 0))
        blocks.append(np.stack([f1_from_counts(found, reference, found + false), precision, share(found, reference)]))
    return np.concatenate(blocks, axis=1)
