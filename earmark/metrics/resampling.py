"""Metrics of resampled clips without building the resampled arrays: the work under `earmark.metrics.bootstrap`.

A resample draws as many groups as there are, with replacement, and all clips of a group come along; so it is a whole
number per clip, how often the clip is in. Scores are sorted once; each resample only adds up those numbers along the
sorted order. That is exact: every value is what the plain metric gives on the arrays repeated so often.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.metrics import tagging
from earmark.metrics.tagging import Checked, Floats

Counts = npt.NDArray[np.unsignedinteger[Any]]
_BYTES_AT_A_TIME = 48 << 20
_ROWS_AT_A_TIME = 512  # few enough that the gathered rows are still in the cache when they are added up


def draw_resamples(group_of_clip: npt.NDArray[np.int64], resamples: int, seed: int) -> Iterator[Counts]:
    """How often each clip is in each resample, arrays (clip, resample) of bounded size, `resamples` columns in all.

    Args:
        group_of_clip: numbers from 0 on without a gap, (clip,).
    """
    rng = np.random.default_rng(seed)
    num_clips, group_sizes = len(group_of_clip), np.bincount(group_of_clip)
    num_groups = len(group_sizes)
    # any sum over different clips of a resample must fit, so that no addition needs a wider type
    dtype = np.uint16 if num_groups * int(group_sizes.max()) <= np.iinfo(np.uint16).max else np.uint32
    at_a_time = max(1, _BYTES_AT_A_TIME // (num_clips * np.dtype(dtype).itemsize))
    for first in range(0, resamples, at_a_time):
        counts = np.empty((min(at_a_time, resamples - first), num_clips), dtype)
        for row in counts:  # one call a resample: the draws must not depend on how many fit into an array
            drawn = np.bincount(rng.integers(num_groups, size=num_groups), minlength=num_groups)
            row[:] = drawn[group_of_clip]
        yield np.ascontiguousarray(counts.T)


def resampled(
    arrays: Checked, metrics: Sequence[str], draws: Iterable[Counts], threshold: npt.ArrayLike = 0.5
) -> tuple[dict[str, Floats], Floats]:
    """Each metric in each resample, (resample,), and the average precision by tag, (resample, tag).

    Metrics are those of `bootstrap.METRICS` but d', which follows from the mean ROC AUC.
    """
    rankings = [_ranking(arrays, tag) for tag in range(arrays.truth.shape[1])]
    over_clips = _clip_sums(arrays, metrics, threshold)
    values: dict[str, list[Floats]] = {name: [] for name in metrics}
    by_tag: list[Floats] = []
    for counts in draws:
        precision, auc = _precision_and_auc(rankings, counts)
        by_tag.append(precision)
        for name in metrics:
            if name == "mean_average_precision":
                values[name].append(mean_by_row(precision))
            elif name == "mean_roc_auc":
                values[name].append(mean_by_row(auc))
            else:
                parts = [weighted_sums(part, counts) for part in over_clips[name]]
                of_tag = tagging.f1_from_counts(*parts) if name == "macro_f1" else _ratio(*parts)
                values[name].append(mean_by_row(of_tag))
    return {name: np.concatenate(blocks) for name, blocks in values.items()}, np.concatenate(by_tag)


def _clip_sums(arrays: Checked, metrics: Sequence[str], threshold: npt.ArrayLike) -> dict[str, list[npt.NDArray[Any]]]:
    """For metrics made of sums over clips: what is summed, arrays (clip, 1) or (clip, tag)."""
    sums: dict[str, list[npt.NDArray[Any]]] = {}
    if "lwlrap" in metrics:
        sums["lwlrap"] = [part[:, None] for part in tagging.summed_precision(arrays)]
    if "map_at_3" in metrics:
        sums["map_at_3"] = [part[:, None] for part in tagging.precision_within_k(arrays)]
    if "macro_f1" in metrics:
        decided = tagging.decisions(arrays, threshold)
        sums["macro_f1"] = [decided & arrays.truth, arrays.truth, decided]
    return sums


def weighted_sums(values: npt.NDArray[Any], counts: Counts) -> Floats:
    """Sums over clips, each as often as it is in the resample: (clip, n) and (clip, resample) to (resample, n)."""
    total = np.zeros((counts.shape[1], values.shape[1]))
    for first in range(0, len(values), _ROWS_AT_A_TIME):
        rows = slice(first, first + _ROWS_AT_A_TIME)
        total += counts[rows].T.astype(np.float64) @ values[rows].astype(np.float64)
    return total


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio = np.full(above.shape, np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def mean_by_row(values: Floats) -> Floats:
    """The mean of each row's values that are not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


@dataclass(frozen=True)
class _Ranking:
    """A tag's clips, best first down to the lowest positive; of equal scores the negatives come first.

    Each cut is one distinct score of positives: where its negatives begin, where its positives begin, and its end.
    """

    order: npt.NDArray[np.int32]
    cuts: list[tuple[int, int, int]]
    annotated: npt.NDArray[np.int64] | None  # the clips, when not all are


def _ranking(arrays: Checked, tag: int) -> _Ranking:
    scores, positive = arrays.scores[:, tag], arrays.truth[:, tag]
    annotated = None if arrays.annotated is None else np.flatnonzero(arrays.annotated[:, tag])
    order = np.argsort(-scores)
    falling = -scores[order]
    found, num_found = np.unique(-scores[positive], return_counts=True)
    first = np.searchsorted(falling, found, "left")
    last = np.searchsorted(falling, found, "right")
    cuts: list[tuple[int, int, int]] = list(map(tuple, np.stack([first, last - num_found, last], axis=1).tolist()))
    for begin, positives_from, end in cuts:
        if begin < positives_from:
            tied = order[begin:end]
            order[begin:end] = np.concatenate([tied[~positive[tied]], tied[positive[tied]]])
    lowest = cuts[-1][2] if cuts else 0
    return _Ranking(order[:lowest].astype(np.int32), cuts, annotated)


def _precision_and_auc(rankings: Sequence[_Ranking], counts: Counts) -> tuple[Floats, Floats]:
    """Average precision and ROC AUC, (resample, tag), NaN where a resample has no positives (AUC: no negatives)."""
    shape = (len(rankings), counts.shape[1])
    precision, auc = np.full(shape, np.nan), np.full(shape, np.nan)
    everything = counts.sum(axis=0, dtype=np.float64)
    for tag, ranking in enumerate(rankings):
        if not ranking.cuts:
            continue
        total = everything if ranking.annotated is None else _total(counts, ranking.annotated)
        summed, disordered, num_positives = _along_ranking(ranking, counts)
        pairs = num_positives * (total - num_positives)
        precision[tag] = _ratio(summed, num_positives)
        auc[tag] = _ratio(pairs - disordered, pairs)
    return precision.T, auc.T


def _along_ranking(ranking: _Ranking, counts: Counts) -> tuple[Floats, Floats, Floats]:
    """By resample: the positives' summed precision, the pairs in the wrong order (ties half), the positives."""
    order = ranking.order
    at_least, hits, summed, disordered = np.zeros((4, counts.shape[1]))
    done = 0
    for negatives_from, positives_from, end in ranking.cuts:
        found = _total(counts, order[positives_from:end])
        tied = _total(counts, order[negatives_from:positives_from])
        at_least += _total(counts, order[done:negatives_from]) + tied + found
        hits += found
        # where nothing is ranked yet nothing was found either, and 0 / 1 is the 0 wanted
        summed += found * (hits / np.maximum(at_least, 1.0))
        disordered += found * (at_least - hits - 0.5 * tied)
        done = end
    return summed, disordered, hits


def _total(counts: Counts, clips: npt.NDArray[np.integer[Any]]) -> Counts:
    """The sum of some clips' rows, (resample,)."""
    total: Counts = np.zeros(counts.shape[1], counts.dtype)
    for first in range(0, len(clips), _ROWS_AT_A_TIME):
        total += counts[clips[first : first + _ROWS_AT_A_TIME]].sum(axis=0, dtype=counts.dtype)
    return total
