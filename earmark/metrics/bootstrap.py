"""How far a metric could have come out otherwise: intervals over resampled clips, or groups of clips.

In each resample the macro means run over the tags that have positives (for AUC: and negatives) *in that resample*, so
a rare tag takes part in some only. A tag's own interval comes from the resamples in which its value is defined.

The intervals are percentile intervals, moved so that the resamples' mean falls on the value. Average precision comes
out higher in a resample: a positive drawn twice helps itself up. One tag's spread hides that; the mean over hundreds of
tags has hardly any spread, and its plain percentile interval lies wholly above the value. Moved, the interval covers
what test sets of this size give on average as often as it says. (It is no interval for endlessly many clips: with few
positives average precision itself is too high, whatever is resampled.)
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError, did_you_mean
from earmark.metrics import tagging
from earmark.metrics.resampling import draw_resamples, mean_by_row, resampled
from earmark.metrics.tagging import Floats

METRICS = ("mean_average_precision", "mean_roc_auc", "d_prime", "lwlrap", "map_at_3", "macro_f1")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Interval:
    """A metric's value on the clips as they are, and the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TagIntervals:
    """A metric by tag and the ends of its interval; each array is (tag,), NaN for a tag without positives."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Bootstrap:
    """Intervals by metric name, average precision by tag, and how they were made.

    Attributes:
        drawn: each metric in each resample, (resample,); see `earmark.metrics.paired`.
        drawn_average_precision: by tag, (resample, tag), NaN where a resample has no positives.
    """

    metrics: dict[str, Interval]
    average_precision: TagIntervals
    drawn: dict[str, Floats]
    drawn_average_precision: Floats
    num_groups: int
    resamples: int
    confidence: float


def bootstrap(
    truth: npt.ArrayLike,
    scores: npt.ArrayLike,
    metrics: Sequence[str] = ("mean_average_precision", "mean_roc_auc", "d_prime", "lwlrap"),
    *,
    groups: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    threshold: npt.ArrayLike = 0.5,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Bootstrap:
    """Intervals of clipwise metrics, and of each tag's average precision: percentiles, moved onto the value.

    The ends of d' are those of the mean ROC AUC, as d'. With a single group there is nothing to resample: the ends are
    NaN, and a warning is logged.

    Args:
        truth: 0/1, (clip, tag), as `scores` and `weights` are; see `earmark.metrics.tagging`.
        metrics: names out of METRICS; `map_at_3` is at k = 3.
        groups: the group of each clip, (clip,), names or whole numbers; None when every clip stands for itself.
        threshold: of `macro_f1` alone, one number or an array (tag,).
        resamples: how many; 1000 does for 95 %.
        confidence: the share of resamples inside the ends, half of the others on either side.
        seed: decides the draws, with the order of the clips (or of the groups' sorted names).

    Raises:
        InputError: an unknown metric, a setting out of range, no clips, or what `tagging.checked` refuses.

    Source: Efron and Tibshirani 1993, chapters 10 (bias) and 13 (percentiles).

    >>> truth, scores = np.eye(20, 2, dtype=bool), np.eye(20, 2) + np.linspace(0, 2, 20)[:, None]
    >>> bootstrap(truth, scores, ["lwlrap"], groups=np.arange(20) // 2).metrics
    {'lwlrap': Interval(value=1.0, low=1.0, high=1.0)}
    """
    check_settings(metrics, resamples, confidence)
    arrays = tagging.checked(truth, scores, weights)
    group_of_clip, num_groups = groups_of_clips(groups, len(arrays.truth))
    # d' grows with the AUC, so an interval carries over; d' itself may be infinite, which has no mean
    drawn_metric = {name: "mean_roc_auc" if name == "d_prime" else name for name in metrics}
    if num_groups > 1:
        draws = draw_resamples(group_of_clip, resamples, seed)
        drawn, drawn_by_tag = resampled(arrays, sorted(set(drawn_metric.values())), draws, threshold)
    else:
        _logger.warning("no intervals: all clips (%d) are of one group", len(arrays.truth))
        drawn = {name: np.full(1, np.nan) for name in drawn_metric.values()}
        drawn_by_tag = np.full((1, arrays.truth.shape[1]), np.nan)
    intervals = {}
    for name in metrics:
        value = _value(drawn_metric[name], truth, scores, weights, threshold)
        found = interval(drawn[drawn_metric[name]], value, confidence)
        three = (found.value, found.low, found.high)
        intervals[name] = Interval(*map(tagging.d_prime_from_auc, three)) if name == "d_prime" else found
    by_tag = tagging.average_precision(truth, scores, weights)
    tag_intervals = TagIntervals(by_tag, *ends(drawn_by_tag, by_tag, confidence))
    drawn = {name: drawn[drawn_metric[name]] for name in metrics}
    if "d_prime" in drawn:
        drawn["d_prime"] = np.array([tagging.d_prime_from_auc(auc) for auc in drawn["d_prime"]])
    return Bootstrap(intervals, tag_intervals, drawn, drawn_by_tag, num_groups, resamples, confidence)


def _value(
    name: str, truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None, threshold: npt.ArrayLike
) -> float:
    if name == "macro_f1":
        return tagging.macro_f1(truth, scores, weights, threshold)
    metric: Callable[..., float] = getattr(tagging, "map_at_k" if name == "map_at_3" else name)
    return metric(truth, scores, weights)


def check_settings(metrics: Sequence[str], resamples: int, confidence: float) -> None:
    """Raises InputError unless metrics are known, and settings in their range."""
    for name in metrics:
        if name not in METRICS:
            raise InputError(f'unknown metric "{name}"{did_you_mean(name, METRICS)}')
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, got {resamples}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence}")


def groups_of_clips(groups: npt.ArrayLike | None, num_clips: int) -> tuple[npt.NDArray[np.int64], int]:
    """The group of each clip as a number, (clip,), and how many there are; each clip its own where none are named."""
    if num_clips == 0:
        raise InputError("intervals need at least one clip, got none")
    if groups is None:
        return np.arange(num_clips), num_clips
    names = np.asarray(groups)
    if names.shape != (num_clips,):
        raise InputError(f"groups must name one group for each of {num_clips} clips, got shape {names.shape}")
    if names.dtype.kind == "O":  # as Arrow gives strings
        for clip, name in enumerate(names):
            if not isinstance(name, str):
                raise InputError(f"groups must be names or whole numbers, got {name!r} at clip {clip}")
    elif names.dtype.kind not in "iuUST":
        raise InputError(f"groups must be names or whole numbers, got dtype {names.dtype}")
    known, group_of_clip = np.unique(names, return_inverse=True)
    return group_of_clip.astype(np.int64), len(known)


def interval(drawn: Floats, value: float, confidence: float) -> Interval:
    """The interval of one metric within [0, 1], from its values in resamples, (resample,)."""
    low, high = ends(drawn[:, None], np.array([value]), confidence)
    return Interval(value, float(low[0]), float(high[0]))


def ends(drawn: Floats, value: Floats, confidence: float) -> tuple[Floats, Floats]:
    """What `moved_percentiles` gives, within [0, 1], where all these metrics stay.

    >>> ends(np.linspace(0.2, 0.7, 1001)[:, None], np.array([0.35]), 0.9)
    (array([0.125]), array([0.575]))
    """
    low, high = moved_percentiles(drawn, value, confidence)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def moved_percentiles(drawn: Floats, value: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The interval's ends by column of (resample, column), NaN drawn values left out: percentiles, moved onto `value`.

    The percentiles are values that occurred, the outer neighbour where one falls between two. NaN where every drawn
    value is.
    """
    in_order = np.sort(drawn, axis=0)  # NaN goes last
    last = np.count_nonzero(~np.isnan(drawn), axis=0) - 1
    # 1e-9: (1 - .95) / 2 is not quite .025
    outside = np.floor((1 - confidence) / 2 * np.maximum(last, 0) + 1e-9).astype(np.int64)
    columns = np.arange(drawn.shape[1])
    move = value - mean_by_row(drawn.T)
    # a column of NaN alone has last = -1, which picks a NaN as well
    return in_order[outside, columns] + move, in_order[last - outside, columns] + move
