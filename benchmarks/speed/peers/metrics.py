"""Metrics of clipwise scores as people compute them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.speed.inputs import tags_and_scores

Found = npt.NDArray[np.float64]
RESAMPLES = 4


def sklearn_ap_auc(work: Path) -> Callable[[], Found]:
    """scikit-learn over all tags, as PANNs' and PSLA's evaluations do."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth, scores = tags_and_scores(18_000, 527)
    return lambda: np.stack(
        [average_precision_score(truth, scores, average=None), roc_auc_score(truth, scores, average=None)]
    )


def torchmetrics_ap_auc(work: Path) -> Callable[[], Found]:
    """torchmetrics' exact curves, over all tags."""
    import torch
    from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

    truth, scores = tags_and_scores(18_000, 527)
    true, said = torch.from_numpy(truth).long(), torch.from_numpy(scores)
    size = truth.shape[1]
    return lambda: np.stack(
        [
            multilabel_average_precision(said, true, size, average=None).numpy(),
            multilabel_auroc(said, true, size, average=None).numpy(),
        ]
    )


def lwlrap_by_clip(work: Path) -> Callable[[], Found]:
    """The definition clip by clip: each positive's precision at its rank, averaged over all positives."""
    truth, scores = tags_and_scores(4_481, 80)

    def lwlrap() -> Found:
        total, count = 0.0, 0
        for true, said in zip(truth, scores, strict=True):
            positive = np.flatnonzero(true)
            if not len(positive):
                continue
            order = np.argsort(said)[::-1]
            rank = np.empty(len(said), int)
            rank[order] = np.arange(len(said))
            hits = np.cumsum(true[order])
            total += float((hits[rank[positive]] / (1 + rank[positive])).sum())
            count += len(positive)
        return np.asarray(total / count)

    return lwlrap


def sklearn_mean_average_precision_bootstrap(work: Path) -> Callable[[], Found]:
    """mAP by scikit-learn of clips drawn with replacement, as often as it is asked, (resample,)."""
    from sklearn.metrics import average_precision_score

    truth, scores = tags_and_scores(4_481, 80)

    def resampled() -> Found:
        draw, found = np.random.default_rng(0), []
        for _ in range(RESAMPLES):
            clips = draw.integers(len(truth), size=len(truth))
            drawn = truth[clips]
            there = drawn.any(axis=0)
            found.append(average_precision_score(drawn[:, there], scores[clips][:, there], average="macro"))
        return np.array(found)

    return resampled
