"""The threshold of each tag that tells clips with it best from clips without."""

import numpy as np
import numpy.typing as npt

from earmark.metrics.curves import Steps, curve_from_steps
from earmark.metrics.tagging import Floats, checked


def best_f1_thresholds(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """The threshold with the greatest F1 over clips, by tag, (tag,); NaN for a tag without positives.

    Of several the highest; it lies in the middle between the scores that it separates. On the clips that it was chosen
    on its F1 flatters.

    Args:
        truth, scores, weights: (clip, tag), as for all metrics of `tagging`.

    >>> best_f1_thresholds([[1, 0], [1, 0], [0, 0]], [[0.75, 0.5], [0.5, 0.5], [0.25, 0.5]])
    array([0.375,   nan])
    """
    arrays = checked(truth, scores, weights)
    best = np.full(arrays.truth.shape[1], np.nan)
    for tag in np.flatnonzero(arrays.truth.any(axis=0)).tolist():
        # Not annotated: neither found nor falsely found at any threshold.
        used = slice(None) if arrays.annotated is None else arrays.annotated[:, tag]
        score, positive = arrays.scores[used, tag], arrays.truth[used, tag]
        found, false = (Steps(some, np.ones(len(some), np.int64)) for some in (score[positive], score[~positive]))
        best[tag] = curve_from_steps([found], [false], int(positive.sum())).best_threshold()[0]
    return best
