"""Metrics of clipwise scores, ours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.speed.inputs import tags_and_scores
from earmark.metrics import tagging
from earmark.metrics.bootstrap import bootstrap

Found = npt.NDArray[np.float64]
RESAMPLES = 1_000
COMPARED = 4


def average_precision_and_roc_auc(work: Path) -> Callable[[], Found]:
    """AP and AUC of all tags, (2, tag)."""
    truth, scores = tags_and_scores(18_000, 527)
    return lambda: np.stack(tagging.average_precision_and_roc_auc(truth, scores))


def lwlrap(work: Path) -> Callable[[], Found]:
    """One number."""
    truth, scores = tags_and_scores(4_481, 80)
    return lambda: np.asarray(tagging.lwlrap(truth, scores))


def mean_average_precision_bootstrap(work: Path) -> Callable[[], Found]:
    """mAP in the first resamples, (resample,)."""
    truth, scores = tags_and_scores(4_481, 80)
    name = "mean_average_precision"
    return lambda: bootstrap(truth, scores, [name], resamples=RESAMPLES).drawn[name][:COMPARED]
