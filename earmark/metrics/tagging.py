"""Metrics of clipwise scores: average precision, ROC AUC, d', lwlrap, mAP@k, F1.

Every function takes `(truth, scores, weights=None)`, arrays (clip, tag). `truth` is bool or 0/1; `scores` are finite
and only their order matters (but for F1). A cell with weight 0 was not annotated and takes no part anywhere: its clip
is left out for that tag, its tag is left out of that clip's ranking. Any other weight counts as 1.

Equal scores are never put in an order by chance: a threshold falls above or below all of them.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError
from earmark.metrics.ranks import ranks_of

Floats = npt.NDArray[np.float64]
_TAGS_AT_A_TIME = 32
_CELLS_AT_A_TIME = 1 << 22


class Checked(NamedTuple):
    """Arrays (clip, tag) that can be counted on; where not annotated, truth is False and the score is -inf."""

    truth: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.floating[Any]]
    annotated: npt.NDArray[np.bool_] | None


def checked(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Checked:
    """The three arrays, validated once; float16 and float32 scores are ranked as float32, all others as float64.

    Raises:
        InputError: shapes differ or are not (clip, tag); truth is not 0/1; a score or a weight is not finite, annotated
            or not; a weight is negative.
    """
    true, score = _numbers(truth, "truth"), _numbers(scores, "scores")
    if true.ndim != 2 or true.shape != score.shape:
        raise InputError(f"truth and scores must have one shape (clip, tag), got {true.shape} and {score.shape}")
    if true.dtype != np.bool_:
        positive = true == 1
        _refuse(~(positive | (true == 0)), true, "truth must be 0 or 1")
        true = positive
    if not np.isfinite(score).all():
        _refuse(~np.isfinite(score), score, "scores must be finite")
    # float16 has no vectorised sort; wider floats than float64 are not worth a second code path
    score = score.astype(np.float32 if score.dtype in (np.float16, np.float32) else np.float64, copy=False)
    if weights is None:
        return Checked(true, score, None)
    weight = _numbers(weights, "weights")
    if weight.shape != true.shape:
        raise InputError(f"weights must have the shape of truth (clip, tag), got {weight.shape} and {true.shape}")
    _refuse(~(np.isfinite(weight) & (weight >= 0)), weight, "weights must be finite and not negative")
    annotated = weight > 0
    return Checked(true & annotated, np.where(annotated, score, score.dtype.type(-np.inf)), annotated)


def _numbers(array: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    numbers = np.asarray(array)
    if numbers.dtype.kind not in "biuf":
        raise InputError(f"{name} must be an array of numbers (clip, tag), got dtype {numbers.dtype}")
    return numbers


def _refuse(bad: npt.NDArray[np.bool_], array: npt.NDArray[Any], rule: str) -> None:
    if bad.any():
        clip, tag = np.unravel_index(int(bad.argmax()), bad.shape)
        count = int(np.count_nonzero(bad))
        more = f" ({count} such cells)" if count > 1 else ""
        raise InputError(f"{rule}, got {array[clip, tag]} at clip {clip}, tag {tag}{more}")


def average_precision_and_roc_auc(
    truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Average precision and ROC AUC by tag; each array is (tag,).

    Average precision is the mean, over a tag's positives, of the precision among the clips that score at least as
    high. ROC AUC is the share of (positive, negative) pairs in the right order, a tie counting half. Both are NaN for a
    tag without positives, the AUC also without negatives.

    Source: scikit-learn's `average_precision_score` and `roc_auc_score`, equal with ties too.

    >>> average_precision_and_roc_auc([[1], [0], [1]], [[0.9], [0.8], [0.1]])
    (array([0.83333333]), array([0.5]))
    """
    return _average_precision_and_roc_auc(checked(truth, scores, weights))


def _average_precision_and_roc_auc(arrays: Checked) -> tuple[Floats, Floats]:
    truth, scores, annotated = arrays
    num_clips, num_tags = truth.shape
    precision, auc = np.full(num_tags, np.nan), np.full(num_tags, np.nan)
    left_out = np.zeros(num_tags, np.int64) if annotated is None else num_clips - annotated.sum(axis=0)
    positives = _clips_by_tag(truth)
    # One array for all blocks: fresh memory doubles what turning the scores costs.
    by_tag = np.empty((_TAGS_AT_A_TIME, num_clips), scores.dtype)
    for first in range(0, num_tags, _TAGS_AT_A_TIME):
        block = by_tag[: num_tags - first]
        block[:] = scores[:, first : first + _TAGS_AT_A_TIME].T
        for tag, row in enumerate(block, start=first):
            precision[tag], auc[tag] = _from_ranks(row, positives[tag], int(left_out[tag]))
    return precision, auc


def _clips_by_tag(truth: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """The clips that have each tag, (clip,) by tag."""
    num_tags = truth.shape[1]
    clip, tag = np.divmod(np.flatnonzero(truth), max(num_tags, 1))
    ends = np.cumsum(np.bincount(tag, minlength=num_tags))
    return np.split(clip[np.argsort(tag, kind="stable")], ends[:-1])


def _from_ranks(scores: npt.NDArray[Any], positives: npt.NDArray[np.int64], left_out: int) -> tuple[float, float]:
    """One tag's average precision and AUC, from the scores of all clips and the clips that have it."""
    num_positives = len(positives)
    if num_positives == 0:
        return math.nan, math.nan
    found, below, not_above = ranks_of(positives, scores)
    found_below = np.searchsorted(found, found, "left")
    precision = float(np.mean((num_positives - found_below) / (len(scores) - below)))
    num_negatives = len(scores) - left_out - num_positives
    if num_negatives == 0:
        return precision, math.nan
    # twice the pairs in the right order, ties once; the positives' pairs among themselves always make P * P
    doubled = int((below + not_above).sum()) - num_positives * (2 * left_out + num_positives)
    return precision, doubled / (2 * num_positives * num_negatives)


def average_precision(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """Average precision by tag, NaN without positives; see `average_precision_and_roc_auc`.

    >>> average_precision([[1, 0], [0, 0]], [[0.2, 0.2], [0.8, 0.8]])
    array([0.5, nan])
    """
    return average_precision_and_roc_auc(truth, scores, weights)[0]


def roc_auc(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """ROC AUC by tag, NaN without positives or without negatives; see `average_precision_and_roc_auc`."""
    return average_precision_and_roc_auc(truth, scores, weights)[1]


def mean_over_tags(by_tag: Floats) -> float:
    """The macro mean over the tags that have a value; NaN when none has.

    >>> mean_over_tags(np.array([1.0, np.nan, 0.5]))
    0.75
    """
    defined = by_tag[~np.isnan(by_tag)]
    return float(defined.mean()) if len(defined) else math.nan


def mean_average_precision(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """mAP: the macro mean of average precision over the tags that have positives."""
    return mean_over_tags(average_precision(truth, scores, weights))


def mean_roc_auc(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """The macro mean of ROC AUC over the tags that have positives and negatives."""
    return mean_over_tags(roc_auc(truth, scores, weights))


def d_prime(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """d' of the macro mean ROC AUC (not the mean of each tag's d', which one perfect tag makes infinite)."""
    return d_prime_from_auc(mean_roc_auc(truth, scores, weights))


def d_prime_from_auc(auc: float) -> float:
    """sqrt(2) times the inverse normal CDF of an AUC: how many deviations apart two equal bells with that AUC lie.

    >>> round(d_prime_from_auc(0.975), 3), d_prime_from_auc(1.0)
    (2.772, inf)
    """
    if math.isnan(auc):
        return math.nan
    if auc in (0.0, 1.0):
        return math.copysign(math.inf, auc - 0.5)
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def lwlrap(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Label-weighted label-ranking average precision: the mean over all (clip, positive tag) pairs of the precision.

    The precision of a pair is the share of positives among the clip's tags that score at least as high as its tag, so
    ties take the worst rank (the organisers' code takes ties in array order, which rewards the order of the
    vocabulary). Clips without positives are skipped. NaN without positives.

    Source: Fonseca et al. 2019, DCASE 2019 task 2. He et al. 2020, eq. 10 average each clip first, which is plain LRAP.

    >>> round(lwlrap([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], np.zeros((4, 4))), 4)
    0.4167
    """
    precision, num_positives = summed_precision(checked(truth, scores, weights))
    total = int(num_positives.sum())
    return float(precision.sum() / total) if total else math.nan


def summed_precision(arrays: Checked) -> tuple[Floats, npt.NDArray[np.int64]]:
    """By clip: the sum of lwlrap's precisions over its positive tags, and their number; each array is (clip,)."""
    truth, scores, _ = arrays
    num_clips, num_tags = truth.shape
    clip, tag = np.divmod(np.flatnonzero(truth), max(num_tags, 1))
    precision = np.empty(len(clip))
    for pairs, at_least in _at_least_as_high(scores, clip, tag):
        hits = np.count_nonzero(at_least & truth[clip[pairs]], axis=1)
        precision[pairs] = hits / np.count_nonzero(at_least, axis=1)
    return np.bincount(clip, precision, num_clips).astype(np.float64), np.bincount(clip, minlength=num_clips)


def _at_least_as_high(
    scores: npt.NDArray[Any], clip: npt.NDArray[np.int64], tag: npt.NDArray[np.int64]
) -> Iterator[tuple[slice, npt.NDArray[np.bool_]]]:
    """Some pairs at a time: their places, and which of the clip's tags score at least as high, bool (pair, tag)."""
    pairs_at_a_time = max(1, _CELLS_AT_A_TIME // max(scores.shape[1], 1))
    for first in range(0, len(clip), pairs_at_a_time):
        pairs = slice(first, first + pairs_at_a_time)
        yield pairs, scores[clip[pairs]] >= scores[clip[pairs], tag[pairs], None]


def map_at_k(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None, k: int = 3) -> float:
    """mAP@k: the mean over clips with positives of the average precision within the clip's k best tags.

    A clip's sum of precisions at its positives ranked k or better is divided by min(k, its positives). Among equal
    scores the positives come last, the least any order could give. NaN without positives.

    Raises:
        InputError: k is below 1.

    >>> map_at_k([[0, 1, 0], [1, 0, 0]], [[0.5, 0.4, 0.1], [0.2, 0.1, 0.0]])
    0.75
    """
    precision, has_positives = precision_within_k(checked(truth, scores, weights), k)
    total = int(has_positives.sum())
    return float(precision.sum() / total) if total else math.nan


def precision_within_k(arrays: Checked, k: int = 3) -> tuple[Floats, npt.NDArray[np.int64]]:
    """By clip: mAP@k's average precision (0 without positives), and 1 where there are positives; each is (clip,)."""
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    truth, scores, _ = arrays
    num_clips, num_tags = truth.shape
    clip, tag = np.divmod(np.flatnonzero(truth), max(num_tags, 1))
    best_first = np.lexsort((-scores[clip, tag], clip))
    tag = tag[best_first]  # clip is sorted already, so the order only moves tags within their clip
    num_positives = np.bincount(clip, minlength=num_clips)
    hits = np.arange(1, len(clip) + 1) - (np.cumsum(num_positives) - num_positives)[clip]
    negatives_above = np.empty(len(clip), np.int64)
    for pairs, at_least in _at_least_as_high(scores, clip, tag):
        negatives_above[pairs] = np.count_nonzero(at_least & ~truth[clip[pairs]], axis=1)
    rank = negatives_above + hits
    summed = np.bincount(clip, np.where(rank <= k, hits / rank, 0.0), num_clips)
    return summed / np.clip(num_positives, 1, k), (num_positives > 0).astype(np.int64)


def macro_f1(
    truth: npt.ArrayLike,
    scores: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    threshold: npt.ArrayLike = 0.5,
) -> float:
    """The mean of clipwise F1 over the tags that have positives; a score at the threshold is a decision.

    Tags without positives are left out, as in mAP (scikit-learn's macro mean counts them as 0).

    Args:
        threshold: one number for all tags, or an array (tag,).

    Raises:
        InputError: the threshold is not finite or has another shape.

    >>> macro_f1([[1, 0], [1, 0]], [[0.5, 0.9], [0.4, 0.1]])
    0.6666666666666666
    """
    return mean_over_tags(f1(truth, scores, weights, threshold))


def f1(
    truth: npt.ArrayLike,
    scores: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    threshold: npt.ArrayLike = 0.5,
) -> Floats:
    """Clipwise F1 by tag, (tag,), NaN without positives; see `macro_f1`.

    >>> f1([[1, 0], [1, 0]], [[0.5, 0.9], [0.4, 0.1]])
    array([0.66666667,        nan])
    """
    arrays = checked(truth, scores, weights)
    decided = decisions(arrays, threshold)
    hits = np.count_nonzero(decided & arrays.truth, axis=0)
    positives = np.count_nonzero(arrays.truth, axis=0)
    return f1_from_counts(hits, positives, np.count_nonzero(decided, axis=0))


def decisions(arrays: Checked, threshold: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Scores at or over the threshold (one, or by tag), (clip, tag); never True where not annotated."""
    num_tags = arrays.truth.shape[1]
    at = np.asarray(threshold, dtype=arrays.scores.dtype)
    if at.shape not in ((), (num_tags,)) or not np.isfinite(at).all():
        raise InputError(f"threshold must be one finite number or one for each of {num_tags} tags, got {at}")
    return np.asarray(arrays.scores >= at)


def f1_from_counts(hits: npt.ArrayLike, positives: npt.ArrayLike, decided: npt.ArrayLike) -> Floats:
    """F1 = 2 hits / (positives + decided), NaN without positives; arrays of one shape."""
    count = np.asarray(positives, np.float64)
    both = count + np.asarray(decided, np.float64)
    f1 = np.full(count.shape, np.nan)
    np.divide(2.0 * np.asarray(hits, np.float64), both, out=f1, where=count > 0)
    return f1
