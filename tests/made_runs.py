"""Run folders made up of labels and scores: what `earmark evaluate` leaves, with `--events` too, without a model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earmark.evaluation import draws_digest, finite_or_none, interval_values
from earmark.events.decisions import plain_decisions
from earmark.events.evaluation import EventResults, _as_values, _keep, _kept, event_results
from earmark.files import write_json
from earmark.metrics.bootstrap import METRICS, bootstrap
from earmark.scores.evaluated import EvaluatedScores, evaluated_scores_path, write_evaluated_scores
from earmark.scores.framewise import ScoredFrames
from tests.metrics.event_cases import random_case

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
    evaluation = {
        "dataset": "sounds",
        "split": "test",
        "labels": "given",
        "num_clips": len(truth),
        "num_groups": found.num_groups,
        "confidence": found.confidence,
        "resamples": resamples,
        "metrics": {name: interval_values(interval) for name, interval in found.metrics.items()},
        "per_tag": [
            {"tag": tag, "positives": int(truth[:, k].sum()), "average_precision": finite_or_none(precision.value[k]),
             "low": finite_or_none(precision.low[k]), "high": finite_or_none(precision.high[k])}
            for k, tag in enumerate(tags)
        ],
    }  # fmt: skip
    write_json(folder / "evaluation" / "test.json", evaluation)
    kept = EvaluatedScores(
        clips=names, groups=groups, tags=tuple(tags), truth=truth, annotated=np.ones_like(truth), scores=scores,
        drawn=found.drawn, drawn_average_precision=found.drawn_average_precision,
        draws=draws_digest(groups, resamples, draw_seed),
    )  # fmt: skip
    write_evaluated_scores(evaluated_scores_path(folder, "test", "given"), kept)
    if settings is not None:
        write_json(folder / "settings.json", {"recipe": "baseline", "seed": 0, **record, "settings": dict(settings)})
    if validations:
        lines = [{"epoch": k, "validation": {"mean_average_precision": v}} for k, v in enumerate(validations, start=1)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def write_event_evaluation(
    run: Path,
    gain: float = 1.5,
    *,
    tags: Sequence[str] = TAGS,
    num_clips: int = 12,
    clips: Sequence[str] | None = None,
    resamples: int = 30,
    seed: int = 0,
    delay_us: int = 0,
    tuned: Mapping[str, Any] | None = None,
) -> EventResults:
    """Events of 10 s clips in groups of two, evaluated on test; all runs have the same ones, and share their noise.

    Args:
        gain: how much higher frames with an event score.
        delay_us: what the offsets of all events but those that end their clip are late by.
    """
    case, scores = random_case(num_clips, len(tags), distance=gain)
    late = np.minimum(case.offset_us + delay_us, case.duration_us[case.clip])
    reference = replace(case, offset_us=np.where(case.offset_us < case.duration_us[case.clip], late, case.offset_us))
    values = (1 / (1 + np.exp(1 - scores.scores))).astype(np.float32)
    scored = ScoredFrames(
        np.arange(num_clips), np.full(num_clips, 160_000), scores.num_frames, values, hop_samples=4000, rate_hz=16000
    )
    groups, decisions = np.arange(num_clips) // 2, plain_decisions(tags)
    results = event_results(reference, scored, decisions, groups=groups, resamples=resamples, seed=seed)
    evaluation = {
        "dataset": "sounds", "split": "test", "labels": "given", "num_clips": num_clips,
        "num_groups": len(np.unique(groups)), "audio_s": 10.0 * num_clips, "decisions": {"tuned": tuned},
        **_as_values(results, decisions),
    }  # fmt: skip
    names = clips if clips is not None else [f"clip-{k:04d}" for k in range(num_clips)]
    _keep(run, evaluation, results, _kept(results, np.array(names), tags, draws_digest(groups, resamples, seed)))
    return results
