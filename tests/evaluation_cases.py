"""An evaluation of scores that are made up, as `evaluate` gives it."""

from typing import Any

import numpy as np

from earmark.metrics.tagging import average_precision_and_roc_auc, f1
from earmark.scores.evaluated import EvaluatedScores


def made_up(
    truth: np.ndarray,
    scores: np.ndarray,
    *,
    annotated: np.ndarray | None = None,
    thresholds: np.ndarray | float = 0.5,
    training_clips: np.ndarray | None = None,
    tags: tuple[str, ...] | None = None,
) -> tuple[dict[str, Any], EvaluatedScores]:
    """The evaluation, without intervals, and what it is made of; arrays are (clip, tag)."""
    num_clips, num_tags = truth.shape
    known = np.ones(truth.shape, np.bool_) if annotated is None else annotated
    has = truth.astype(np.bool_) & known
    tags = tags or tuple(f"tag {k}" for k in range(num_tags))
    kept = EvaluatedScores(
        clips=np.array([f"clip {k}" for k in range(num_clips)]),
        groups=np.arange(num_clips),
        tags=tags,
        truth=has,
        annotated=known,
        scores=scores.astype(np.float32),
        drawn={},
        drawn_average_precision=np.empty((0, num_tags), np.float32),
        draws="",
    )
    at = np.broadcast_to(np.asarray(thresholds, np.float64), num_tags)
    precision, area = average_precision_and_roc_auc(has, kept.scores, known)
    by_tag = {"average_precision": precision, "roc_auc": area, "f1": f1(has, kept.scores, known, at)}
    rows = [
        {"tag": tag, "positives": int(has[:, k].sum()), "low": None, "high": None, "threshold": float(at[k])}
        | {name: None if np.isnan(values[k]) else float(values[k]) for name, values in by_tag.items()}
        | ({} if training_clips is None else {"training_clips": int(training_clips[k])})
        for k, tag in enumerate(tags)
    ]
    mean = float(np.nanmean(precision)) if (~np.isnan(precision)).any() else None
    evaluation = {
        "dataset": "made-up",
        "split": "test",
        "labels": "given",
        "num_tags": num_tags,
        "num_clips": num_clips,
        "num_groups": num_clips,
        "left_out_tags": [],
        "confidence": 0.95,
        "resamples": 1000,
        "thresholds": None,
        "metrics": {"mean_average_precision": {"value": mean, "low": None, "high": None}},
        "per_tag": rows,
        "date": "2025-11-21",
        "machine": "none",
        "seconds": 1.0,
    }
    return evaluation, kept
