"""Run folders made up of labels and scores: what `earmark evaluate` leaves, without a model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark.evaluation import METRICS, finite_or_none
from earmark.files import write_json
from earmark.metrics.bootstrap import bootstrap
from earmark.scores.evaluated import EvaluatedScores, evaluated_scores_path, write_evaluated_scores

TAGS = ("Bark", "Hum", "Tick")


def scores_for(truth: np.ndarray, gain: float = 1.0, seed: int = 0, own: float = 0.5) -> np.ndarray:
    """Scores between 0 and 1 that know the truth by so much, with noise that all runs share and noise of their own."""
    shared = np.random.default_rng(99).normal(size=truth.shape)
    noise = shared + own * np.random.default_rng([1, seed]).normal(size=truth.shape)
    return (1 / (1 + np.exp(-(gain * truth + noise)))).astype(np.float32)


def some_truth(num_clips: int = 40, num_tags: int = 3) -> np.ndarray:
    truth = np.random.default_rng(7).random((num_clips, num_tags)) < 0.3
    truth[0] = True
    return truth


def write_evaluated_run(
    folder: Path,
    truth: np.ndarray,
    scores: np.ndarray,
    *,
    tags: Sequence[str] = TAGS,
    clips: Sequence[str] | None = None,
    resamples: int = 100,
    draw_seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    validations: Sequence[float] = (),
    **record: object,
) -> Path:
    """A run evaluated on test, in groups of two clips; with settings, a record of them and of what is told beside."""
    names = np.array(clips if clips is not None else [f"clip-{k:04d}" for k in range(len(truth))])
    groups = np.arange(len(truth)) // 2
    found = bootstrap(truth, scores, METRICS, groups=groups, resamples=resamples, seed=draw_seed)
    precision = found.average_precision
    metrics = {
        name: {end: finite_or_none(value) for end, value in vars(interval).items()}
        for name, interval in found.metrics.items()
    }
    evaluation = {
        "dataset": "sounds",
        "split": "test",
        "labels": "given",
        "num_clips": len(truth),
        "num_groups": found.num_groups,
        "confidence": found.confidence,
        "resamples": resamples,
        "metrics": metrics,
        "per_tag": [
            {"tag": tag, "positives": int(truth[:, k].sum()), "average_precision": finite_or_none(precision.value[k]),
             "low": finite_or_none(precision.low[k]), "high": finite_or_none(precision.high[k])}
            for k, tag in enumerate(tags)
        ],
    }  # fmt: skip
    write_json(folder / "evaluation" / "test.json", evaluation)
    # The resamples are named by what they are drawn from.
    draws = f"{names.tolist()} {draw_seed} {resamples}"
    kept = EvaluatedScores(names, groups, tuple(tags), truth, np.ones_like(truth), scores, found.drawn,
                           found.drawn_average_precision, draws)  # fmt: skip
    write_evaluated_scores(evaluated_scores_path(folder, "test", "given"), kept)
    if settings is not None:
        write_json(folder / "settings.json", {"recipe": "baseline", "seed": 0, **record, "settings": dict(settings)})
    if validations:
        lines = [{"epoch": k, "validation": {"mean_average_precision": v}} for k, v in enumerate(validations, start=1)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
