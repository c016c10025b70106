"""What a model is worth on a split: tagging metrics with intervals, and per tag."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack, open_pack
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
from earmark.metrics.bootstrap import Bootstrap, TagIntervals, bootstrap, groups_of_clips
from earmark.metrics.resampling import draw_resamples
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

METRICS = ("mean_average_precision", "mean_roc_auc", "d_prime", "lwlrap", "map_at_3", "macro_f1")


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
    if shared is None and (model / "settings.json").exists():
        name, scores = evaluation_name(split, layer), evaluated_scores_path(model, split, layer)
        # Killed in between, a run has no scores rather than those of another evaluation.
        scores.unlink(missing_ok=True)
        write_json(model / "evaluation" / f"{name}.json", result)
        write_evaluated_scores(scores, kept)
        write_evaluation_figures(model, result, kept)
        write_clip_figures(model, tagger, dataset, pack, result, kept, device)
    return result


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
    labels = dataset.labels(layer)
    used, scores = clip_scores(tagger, pack, rows, device=device)
    truth, weights = labels.rows(used) >= 0.5, labels.weights(used)
    precision, area = average_precision_and_roc_auc(truth, scores, weights)
    return {
        "mean_average_precision": mean_over_tags(precision),
        "mean_roc_auc": mean_over_tags(area),
        "lwlrap": lwlrap(truth, scores, weights),
        "macro_f1": macro_f1(truth, scores, weights),
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
    num_not_scored, num_without_tag = len(rows) - len(used), 0
    labels, tags = dataset.labels(layer), dataset.vocabulary.tags
    truth, weights = labels.rows(used) >= 0.5, labels.weights(used)
    if tag_map is not None:
        truth, weights, tags = truth[:, tag_map.places], weights[:, tag_map.places], tuple(tag_map.model_tags)
        with_tag = truth.any(axis=1)
        if not with_tag.any():
            raise InputError(f"the {split} split of {dataset.name} must hold clips with a mapped tag, found none")
        num_without_tag = int((~with_tag).sum())
        used, scores = used[with_tag], tag_map.scores(scores[with_tag])
        truth, weights = truth[with_tag], weights[with_tag]
    thresholds = context.thresholds
    if thresholds is None and split == VALIDATION and tag_map is None:
        thresholds = thresholds_on_validation(dataset, used, scores, layer)
    at = np.full(len(tags), PLAIN_THRESHOLD) if thresholds is None else thresholds.values
    groups = dataset.groups()[used]
    result = bootstrap(
        truth, scores, METRICS, weights=weights, groups=groups, threshold=at, resamples=resamples, seed=seed
    )
    per_tag = _per_tag(tags, truth, scores, weights, result.average_precision, at)
    if context.training_clips is not None:
        for row, count in zip(per_tag, context.training_clips.tolist(), strict=True):
            row["training_clips"] = count
    shares = verified_shares(dataset, layer)
    if shares is not None:
        for row, share in zip(per_tag, shares if tag_map is None else shares[tag_map.places], strict=True):
            row["verified_share"] = finite_or_none(share)
    metrics = {
        name: {"value": finite_or_none(i.value), "low": finite_or_none(i.low), "high": finite_or_none(i.high)}
        for name, i in result.metrics.items()
    }
    if (truth.sum(axis=1) == 1).all():
        right = truth[np.arange(len(used)), scores.argmax(axis=1)]
        metrics["accuracy"] = {"value": float(right.mean()), "low": None, "high": None}
    kept = _kept(dataset, used, tags, truth, weights, scores, result, seed)
    evaluation = {
        "dataset": dataset.name,
        "split": split,
        "labels": layer,
        "num_tags": len(tags),
        "num_clips": len(used),
        "num_not_scored": num_not_scored,
        "num_without_shared_tag": num_without_tag,
        "num_groups": len(np.unique(groups)),
        "left_out_tags": [row["tag"] for row in per_tag if row["average_precision"] is None],
        "confidence": result.confidence,
        "resamples": resamples,
        "thresholds": thresholds and thresholds.about(),
        "metrics": metrics,
        "per_tag": per_tag,
        "date": today(),
        "machine": machine_name(device),
        "seconds": round(seconds, 2),
    }
    return evaluation, kept


def _kept(
    dataset: Dataset,
    used: IntArray,
    tags: tuple[str, ...],
    truth: np.ndarray,
    weights: FloatArray,
    scores: FloatArray,
    result: Bootstrap,
    seed: int,
) -> EvaluatedScores:
    groups = dataset.groups()[used]
    first_resample = next(draw_resamples(groups_of_clips(groups, len(used))[0], 1, seed))
    return EvaluatedScores(
        clips=np.array(dataset.clips["clip"].take(pa.array(used)).to_pylist(), np.str_),
        groups=groups,
        tags=tags,
        truth=truth,
        annotated=weights > 0,
        scores=scores,
        drawn=result.drawn,
        drawn_average_precision=result.drawn_average_precision,
        draws=digest_of(first_resample.tobytes(), str(result.resamples).encode()),
    )


def _per_tag(
    tags: tuple[str, ...],
    truth: np.ndarray,
    scores: FloatArray,
    weights: FloatArray,
    intervals: TagIntervals,
    thresholds: np.ndarray,
) -> list[dict[str, Any]]:
    auc, f1_there = roc_auc(truth, scores, weights), f1(truth, scores, weights, thresholds)
    positives = (truth & (weights > 0)).sum(axis=0)
    return [
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
        for k, tag in enumerate(tags)
    ]


def verified_shares(dataset: Dataset, layer: str) -> np.ndarray | None:
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
