"""What a model is worth on a split: tagging metrics with intervals, and per tag."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack, open_pack
from earmark.data.splits import resolve_splits
from earmark.environment import machine_name, today
from earmark.errors import InputError, did_you_mean, first_few
from earmark.evaluation_summary import sorted_average_precision
from earmark.figures import write_figure
from earmark.files import write_json
from earmark.metrics.bootstrap import TagIntervals, bootstrap
from earmark.metrics.tagging import average_precision_and_roc_auc, lwlrap, mean_over_tags, roc_auc
from earmark.models.ensemble import Model, open_model
from earmark.scores.predict import FloatArray, clip_scores

log = logging.getLogger(__name__)

METRICS = ("mean_average_precision", "mean_roc_auc", "d_prime", "lwlrap")


def evaluate_model(
    model: Path,
    dataset: Dataset,
    *,
    split: str,
    layer: str = "given",
    device: torch.device,
    seed: int = 0,
    workers: int | None = None,
) -> dict[str, Any]:
    """The evaluation of a model or run folder on a split; a run keeps it, with its figure.

    The splits are those that the model was trained with, as its folder records them.

    Args:
        split: train, validation, test, or all.

    Raises:
        InputError: the split is empty, or model and data set have different tags.
    """
    tagger = open_model(model)
    check_vocabulary(tagger, dataset)
    rows = _rows_of(tagger.config.trained_on, dataset, split)
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    result = evaluate(tagger, dataset, pack, rows, split=split, layer=layer, device=device, seed=seed)
    if (model / "settings.json").exists():
        write_json(model / "evaluation" / f"{split}.json", result)
        write_figure(model / "figures", f"average-precision-{split}", sorted_average_precision(result))
    return result


def _rows_of(trained_on: dict[str, Any], dataset: Dataset, split: str) -> IntArray:
    # Known by its clips, not by its name. Another data set has its own splits: these folds mean nothing there.
    same = trained_on.get("dataset_digest") == dataset.digest
    if split == "all":
        if same:
            log.warning("all clips include those that the model was trained and selected on: these figures flatter it")
        return np.arange(dataset.num_clips)
    folds = (trained_on.get("test_fold"), trained_on.get("validation_fold")) if same else (None, None)
    splits = resolve_splits(dataset, *folds, trained_on.get("seed", 0))
    if not same and split in ("train", "validation"):
        log.warning(
            "%s is not what the model was trained on, as far as its clips tell: its %s split may hold training clips",
            dataset.name,
            split,
        )
    if same and split in (trained_on.get("selected_on"), "train"):
        log.warning(
            "the model was %s on the %s split: these figures flatter it",
            "trained" if split == "train" else "selected",
            split,
        )
    rows = splits.by_name()[split]
    if not len(rows):
        there = ", ".join(f"{name} ({len(found)} clips)" for name, found in splits.by_name().items() if len(found))
        raise InputError(
            f"{dataset.name} must have a {split} split, it has {there}; use --split all, or train with --test-fold"
        )
    return rows


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
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The evaluation of a model on some clips, as written to `evaluation/SPLIT.json`.

    Intervals are bootstrapped over groups (clips where none share one), 95 %.

    Raises:
        InputError: no clip can be scored.
    """
    started = time.perf_counter()
    used, scores = clip_scores(tagger, pack, rows, device=device)
    if not len(used):
        raise InputError(f"the {split} split of {dataset.name} must hold clips that can be read, found none")
    seconds = time.perf_counter() - started
    labels = dataset.labels(layer)
    truth, weights = labels.rows(used) >= 0.5, labels.weights(used)
    groups = dataset.groups()[used]
    result = bootstrap(truth, scores, METRICS, weights=weights, groups=groups, resamples=resamples, seed=seed)
    per_tag = _per_tag(dataset, truth, scores, weights, result.average_precision)
    return {
        "dataset": dataset.name,
        "split": split,
        "labels": layer,
        "num_clips": len(used),
        "num_not_scored": len(rows) - len(used),
        "num_groups": len(np.unique(groups)),
        "left_out_tags": [row["tag"] for row in per_tag if row["average_precision"] is None],
        "confidence": result.confidence,
        "resamples": resamples,
        "metrics": {
            name: {"value": _number(i.value), "low": _number(i.low), "high": _number(i.high)}
            for name, i in result.metrics.items()
        },
        "per_tag": per_tag,
        "date": today(),
        "machine": machine_name(device),
        "seconds": round(seconds, 2),
    }


def _per_tag(
    dataset: Dataset, truth: np.ndarray, scores: FloatArray, weights: FloatArray, intervals: TagIntervals
) -> list[dict[str, Any]]:
    auc = roc_auc(truth, scores, weights)
    positives = (truth & (weights > 0)).sum(axis=0)
    return [
        {
            "tag": tag,
            "positives": int(positives[k]),
            "average_precision": _number(intervals.value[k]),
            "low": _number(intervals.low[k]),
            "high": _number(intervals.high[k]),
            "roc_auc": _number(auc[k]),
        }
        for k, tag in enumerate(dataset.vocabulary.tags)
    ]


def _number(value: float) -> float | None:
    """A float that JSON can hold: what is not defined, or not finite, is null."""
    return float(value) if math.isfinite(value) else None
