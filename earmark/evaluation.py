"""What a model is worth on a split: tagging metrics with intervals, and per tag."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack, open_pack
from earmark.data.statements import COUNTED
from earmark.data.vocabulary import Vocabulary
from earmark.environment import machine_name, today
from earmark.errors import InputError, did_you_mean, first_few
from earmark.evaluation_clips import write_clip_figures
from earmark.evaluation_context import (
    NO_CONTEXT,
    PLAIN_THRESHOLD,
    VALIDATION,
    Context,
    context_of,
    thresholds_on_validation,
)
from earmark.evaluation_figures import write_evaluation_figures
from earmark.files import digest_of, write_json
from earmark.metrics.bootstrap import METRICS, Bootstrap, Interval, TagIntervals, bootstrap, groups_of_clips
from earmark.metrics.tagging import average_precision_and_roc_auc, f1, lwlrap, macro_f1, mean_over_tags, roc_auc
from earmark.models.ensemble import Model, open_model, taggers_of
from earmark.scores.evaluated import (
    EvaluatedScores,
    evaluated_scores_path,
    evaluation_name,
    write_evaluated_scores,
)
from earmark.scores.predict import FloatArray, clip_scores
from earmark.scores.split_rows import split_rows
from earmark.tag_map import TagMap, read_tag_map

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Scored clips beside their labels.

    Attributes:
        rows: of the clip table, (clip,).
        truth, weights, scores: (clip, tag).
    """

    rows: IntArray
    tags: tuple[str, ...]
    truth: npt.NDArray[np.bool_]
    weights: FloatArray
    scores: FloatArray


def evaluate_model(
    model: Path,
    dataset: Dataset,
    *,
    split: str,
    layer: str = "given",
    tag_map: Path | None = None,
    device: torch.device,
    seed: int = 0,
    workers: int | None = None,
) -> dict[str, Any]:
    """The evaluation of a model or run folder on a split; a run keeps it, with its scores and its figure.

    The splits are those that the model was trained with, as its folder records them.

    Args:
        split: train, validation, test, or all.
        tag_map: a CSV that says which of the model's tags stand for the data set's, see `tag_map`; the result is not
            kept, because it is of other data.

    Raises:
        InputError: the split is empty, or model and data set have different tags.
    """
    tagger = open_model(model)
    shared = None
    if tag_map is None:
        check_vocabulary(tagger, dataset)
    else:
        shared = read_tag_map(tag_map, dataset.vocabulary, Vocabulary(tagger.config.vocabulary))
    rows = split_rows(tagger.trained_on(), dataset, split)
    ranges = [each.config.score_range for each in taggers_of(tagger)]
    if any(each is not None and each.on == split for each in ranges):
        log.warning("the model's scores are scaled by those of its %s split: figures on it may flatter it", split)
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    context = NO_CONTEXT if shared else context_of(tagger, dataset, pack, split, layer, device)
    result, kept = evaluate(
        tagger, dataset, pack, rows, split=split, layer=layer, tag_map=shared, context=context, device=device, seed=seed
    )
    if shared is None and is_run(model):
        name, scores = evaluation_name(split, layer), evaluated_scores_path(model, split, layer)
        # Killed in between, a run has no scores rather than those of another evaluation.
        scores.unlink(missing_ok=True)
        write_json(model / "evaluation" / f"{name}.json", result)
        write_evaluated_scores(scores, kept)
        write_evaluation_figures(model, result, kept)
        write_clip_figures(model, tagger, dataset, pack, result, kept, device)
    return result


def is_run(model: Path) -> bool:
    """Whether a folder is a run's, which keeps evaluations, and not a model alone."""
    return (model / "settings.json").exists()


def check_vocabulary(tagger: Model, dataset: Dataset) -> None:
    """Raises InputError unless model and data set have the same tags in the same order."""
    model_tags, tags = list(tagger.config.vocabulary), list(dataset.vocabulary.tags)
    if model_tags == tags:
        return
    strange = [tag for tag in tags if tag not in model_tags]
    if strange:
        raise InputError(
            f"the model must know the data set's tags, but lacks {len(strange)}: {first_few(strange)}"
            f"{did_you_mean(strange[0], model_tags)}; fine-tune it with `earmark train ... --init MODEL`"
        )
    raise InputError(
        f"the model must know exactly the data set's {len(tags)} tags in their order, it knows {len(model_tags)}: "
        f"{first_few(model_tags)}; fine-tune it with `earmark train ... --init MODEL`"
    )


def validation_metrics(
    tagger: Model, dataset: Dataset, pack: Pack, rows: IntArray, layer: str, device: torch.device
) -> dict[str, float]:
    """The metrics that choose among checkpoints, without intervals."""
    judged = _judged(dataset, layer, *clip_scores(tagger, pack, rows, device=device))
    arrays = judged.truth, judged.scores, judged.weights
    precision, area = average_precision_and_roc_auc(*arrays)
    return {
        "mean_average_precision": mean_over_tags(precision),
        "mean_roc_auc": mean_over_tags(area),
        "lwlrap": lwlrap(*arrays),
        "macro_f1": macro_f1(*arrays),
    }


def evaluate(
    tagger: Model,
    dataset: Dataset,
    pack: Pack,
    rows: IntArray,
    *,
    split: str,
    layer: str,
    device: torch.device,
    tag_map: TagMap | None = None,
    context: Context = NO_CONTEXT,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, Any], EvaluatedScores]:
    """The evaluation of a model on some clips, as written to `evaluation/SPLIT.json`, and what it was made of.

    Intervals are bootstrapped over groups (clips where none share one), 95 %. Where every clip has one tag, accuracy
    (the best-scored tag is it) is among the metrics, without an interval. With a map only the shared tags count, and
    only clips that have one (Gong et al. 2021 evaluate on 1,600 clips of ESC-50 in this way).

    Args:
        context: without it F1 is at a threshold of .5, but on validation at thresholds chosen there.

    Raises:
        InputError: no clip can be scored.
    """
    started = time.perf_counter()
    used, scores = clip_scores(tagger, pack, rows, device=device)
    if not len(used):
        raise InputError(f"the {split} split of {dataset.name} must hold clips that can be read, found none")
    seconds = time.perf_counter() - started
    judged = _judged(dataset, layer, used, scores, tag_map)
    if not len(judged.rows):
        raise InputError(f"the {split} split of {dataset.name} must hold clips with a mapped tag, found none")
    thresholds = context.thresholds
    if thresholds is None and split == VALIDATION and tag_map is None:
        thresholds = thresholds_on_validation(dataset, used, scores, layer)
    at = np.full(len(judged.tags), PLAIN_THRESHOLD) if thresholds is None else thresholds.values
    groups = dataset.groups()[judged.rows]
    result = bootstrap(
        judged.truth, judged.scores, METRICS, weights=judged.weights, groups=groups, threshold=at,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    shares = verified_shares(dataset, layer)
    if shares is not None and tag_map is not None:
        shares = shares[tag_map.places]
    per_tag = _per_tag(judged, result.average_precision, at, context.training_clips, shares)
    evaluation = {
        "dataset": dataset.name,
        "split": split,
        "labels": layer,
        "num_tags": len(judged.tags),
        "num_clips": len(judged.rows),
        "num_not_scored": len(rows) - len(used),
        "num_without_shared_tag": len(used) - len(judged.rows),
        "num_groups": len(np.unique(groups)),
        "left_out_tags": [row["tag"] for row in per_tag if row["average_precision"] is None],
        "confidence": result.confidence,
        "resamples": resamples,
        "thresholds": thresholds and thresholds.about(),
        "metrics": _metrics(judged, result),
        "per_tag": per_tag,
        "date": today(),
        "machine": machine_name(device),
        "seconds": round(seconds, 2),
    }
    return evaluation, _kept(dataset, judged, groups, result, seed)


def _judged(dataset: Dataset, layer: str, rows: IntArray, scores: FloatArray, tag_map: TagMap | None = None) -> _Judged:
    """Scored clips beside their labels; with a map those that have a shared tag, and these tags alone."""
    labels = dataset.labels(layer)
    truth, weights = labels.rows(rows) >= COUNTED, labels.weights(rows)
    if tag_map is None:
        return _Judged(rows, dataset.vocabulary.tags, truth, weights, scores)
    truth, weights = truth[:, tag_map.places], weights[:, tag_map.places]
    has = truth.any(axis=1)
    return _Judged(rows[has], tuple(tag_map.model_tags), truth[has], weights[has], tag_map.scores(scores[has]))


def _metrics(judged: _Judged, result: Bootstrap) -> dict[str, dict[str, float | None]]:
    metrics = {name: interval_values(interval) for name, interval in result.metrics.items()}
    if (judged.truth.sum(axis=1) == 1).all():
        right = judged.truth[np.arange(len(judged.rows)), judged.scores.argmax(axis=1)]
        metrics["accuracy"] = {"value": float(right.mean()), "low": None, "high": None}
    return metrics


def _kept(dataset: Dataset, judged: _Judged, groups: npt.NDArray[Any], result: Bootstrap, seed: int) -> EvaluatedScores:
    return EvaluatedScores(
        clips=dataset.column("clip")[judged.rows].astype(np.str_),
        groups=groups,
        tags=judged.tags,
        truth=judged.truth,
        annotated=judged.weights > 0,
        scores=judged.scores,
        drawn=result.drawn,
        drawn_average_precision=result.drawn_average_precision,
        draws=draws_digest(groups, result.resamples, seed),
    )


def draws_digest(groups: npt.NDArray[Any], resamples: int, seed: int) -> str:
    """A name for the resamples of some clips' groups, (clip,): equal where they hold clips at the same places."""
    group_of_clip, _ = groups_of_clips(groups, len(groups))
    return digest_of(group_of_clip.tobytes(), f"{resamples} {seed}".encode())


def _per_tag(
    judged: _Judged,
    intervals: TagIntervals,
    thresholds: npt.NDArray[np.float64],
    training_clips: IntArray | None,
    shares: npt.NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    truth, scores, weights = judged.truth, judged.scores, judged.weights
    auc, f1_there = roc_auc(truth, scores, weights), f1(truth, scores, weights, thresholds)
    positives = (truth & (weights > 0)).sum(axis=0)
    rows = [
        {
            "tag": tag,
            "positives": int(positives[k]),
            "average_precision": finite_or_none(intervals.value[k]),
            "low": finite_or_none(intervals.low[k]),
            "high": finite_or_none(intervals.high[k]),
            "roc_auc": finite_or_none(auc[k]),
            "threshold": float(thresholds[k]),
            "f1": finite_or_none(f1_there[k]),
        }
        for k, tag in enumerate(judged.tags)
    ]
    if training_clips is not None:
        for row, count in zip(rows, training_clips.tolist(), strict=True):
            row["training_clips"] = count
    if shares is not None:
        for row, share in zip(rows, shares, strict=True):
            row["verified_share"] = finite_or_none(share)
    return rows


def verified_shares(dataset: Dataset, layer: str) -> npt.NDArray[np.float64] | None:
    """The share of each tag's clips that people verified, (tag,); None where the data set says it of no clip.

    Of all clips of the data set that have the tag and of which it is known; NaN for a tag without any. It stands for
    the quality of a tag's annotation, as AudioSet's estimate does.
    """
    verified = dataset.column("verified")
    if not (verified >= 0).any():
        return None
    labels = dataset.labels(layer)
    known, yes = (labels.counts(np.flatnonzero(verified >= least)) for least in (0, 1))
    return np.where(known > 0, yes / np.maximum(known, 1), np.nan)


def finite_or_none(value: float) -> float | None:
    """A float that JSON can hold: what is not defined, or not finite, is null."""
    return float(value) if math.isfinite(value) else None


def interval_values(interval: Interval) -> dict[str, float | None]:
    """A metric and the ends of its interval as JSON holds them."""
    return {end: finite_or_none(value) for end, value in vars(interval).items()}
