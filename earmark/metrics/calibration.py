"""How scores lie: their histograms over positives and negatives, and how far a score is the share of positives.

Bins are of equal width from 0 to 1; the last one holds 1. Cells (clip, tag) that were not annotated take no part.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.metrics.detection import share
from earmark.metrics.tagging import Floats, checked

Ints = npt.NDArray[np.int64]
_CLIPS_AT_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class ScoreHistograms:
    """How many clips with and without a tag score in each bin, and what these scores add up to; each (tag, bin)."""

    positives: Ints
    negatives: Ints
    summed: Floats


@dataclass(frozen=True, eq=False)
class Reliability:
    """Cells by the bin of their score, all tags together.

    Attributes:
        cells, positives: how many, and how many of them are positive, (bin,).
        mean_score, positive_share: (bin,), NaN in a bin without cells.
        expected_error: the expected calibration error, the mean over cells of |positive share - mean score| of their
            bin; NaN without cells.
    """

    cells: Ints
    positives: Ints
    mean_score: Floats
    positive_share: Floats
    expected_error: float


def score_histograms(
    truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None, *, bins: int = 20
) -> ScoreHistograms:
    """The histograms of each tag's scores; bin k is from k / bins up to, but without, (k + 1) / bins.

    >>> score_histograms([[1], [0], [0]], [[1.0], [0.5], [0.25]], bins=2).negatives
    array([[1, 1]])
    """
    arrays = checked(truth, scores, weights)
    num_clips, num_tags = arrays.truth.shape
    size = num_tags * bins
    positives, negatives, summed = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)
    first_bin = np.arange(num_tags) * bins
    for first in range(0, num_clips, _CLIPS_AT_A_TIME):
        block = slice(first, first + _CLIPS_AT_A_TIME)
        score, positive = arrays.scores[block], arrays.truth[block]
        counts = np.ones(score.shape, np.bool_) if arrays.annotated is None else arrays.annotated[block]
        bin_of = np.clip(np.nan_to_num(score.astype(np.float64) * bins, neginf=0), 0, bins - 1).astype(np.int64)
        place = bin_of + first_bin
        positives += np.bincount(place[counts & positive], minlength=size)
        negatives += np.bincount(place[counts & ~positive], minlength=size)
        summed += np.bincount(place[counts], score[counts], size)
    shape = (num_tags, bins)
    return ScoreHistograms(positives.reshape(shape), negatives.reshape(shape), summed.reshape(shape))


def reliability(histograms: ScoreHistograms) -> Reliability:
    """What a score of so much is worth: the share of positives among the cells that have it.

    Source: Guo et al. 2017 (On Calibration of Modern Neural Networks), over (clip, tag) cells instead of clips.

    >>> found = reliability(score_histograms([[1, 0], [0, 0]], [[0.75, 0.25], [0.75, 0.25]], bins=2))
    >>> found.positive_share, found.expected_error
    (array([0. , 0.5]), 0.25)
    """
    positives = histograms.positives.sum(axis=0)
    cells = positives + histograms.negatives.sum(axis=0)
    mean_score, positive_share = share(histograms.summed.sum(axis=0), cells), share(positives, cells)
    error = np.nansum(np.abs(positive_share - mean_score) * cells) / cells.sum() if cells.any() else np.nan
    return Reliability(cells, positives, mean_score, positive_share, float(error))
