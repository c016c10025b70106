"""What PSLA's rows measure: runs on a seed's test bed, and figures of their scores of the test fold."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.beds import fold_of
from benchmarks.harness import Bench
from benchmarks.psla_bed import bed_of, layer_of, splits_of
from earmark.data.packs import open_pack
from earmark.files import written_aside
from earmark.metrics.tagging import average_precision, mean_over_tags
from earmark.models.ensemble import epoch_taggers
from earmark.models.tagger import load_model
from earmark.relabel.ontology import Threshold
from earmark.scores.predict import clip_scores

CPU = torch.device("cpu")
LAST_EPOCHS = 5  # a single checkpoint is the mean over so many

# What the ablation takes away; label enhancement is taken away by learning from the labels as given.
WITHOUT: dict[str, dict[str, Any]] = {
    "pretraining": {"pretrained": None},
    "sampling": {"sampling": "shuffled"},
    "masking": {"frequency_masks": 0, "frequency_mask_bins": 0, "time_masks": 0, "time_mask_frames": 0},
    "mixup": {"mixup_rate": 0.0},
    "enhancement": {},
}


def run_of(
    bench: Bench,
    seed: int,
    changes: Mapping[str, Any],
    layer: str,
    *,
    model_seed: int | None = None,
    share: float = 1.0,
) -> Path:
    """A run on the seed's test bed; its checkpoints are kept as their scores of the test fold only."""
    # Only where splits are not what the run's own seed gives are they named, so that rows share trainings.
    own = model_seed is None and share == 1
    run = bench.run_of(
        bed_of(bench, seed), changes, test_fold=fold_of(seed), layer=layer,
        seed=seed if model_seed is None else model_seed, splits=None if own else splits_of(bench, seed, share),
    )  # fmt: skip
    with bench.timed(run.name):
        if not (run / "test-scores.npz").exists():
            _write_test_scores(bench, seed, run, bench.resolved(changes)["keep_from_epoch"])
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return run


def _write_test_scores(bench: Bench, seed: int, run: Path, first_epoch: int) -> None:
    bed, rows = bed_of(bench, seed), splits_of(bench, seed).test
    taggers = epoch_taggers(run, first_epoch)
    pack = open_pack(bed, taggers[0].rate_hz)
    epochs = np.stack([clip_scores(tagger, pack, rows, device=CPU)[1] for tagger in taggers])
    averaged = clip_scores(load_model(run), pack, rows, device=CPU)[1]
    with written_aside(run / "test-scores.npz") as aside:
        np.savez(aside, epochs=epochs, averaged=averaged, rows=rows)


def kept_late(bench: Bench) -> dict[str, Any]:
    """Changes that keep, and so score, the last epochs alone, for rows that look at no others; training is the same."""
    first = max(1, bench.resolved()["epochs"] - LAST_EPOCHS + 1)
    return {"keep_from_epoch": first, "final_weights": "last", "average_from_epoch": 1}


def mean_ap(bench: Bench, seed: int, scores: np.ndarray, layer: str = "truth") -> float:
    """mAP of scores of the test fold against a label layer."""
    bed, rows = bed_of(bench, seed), splits_of(bench, seed).test
    return mean_over_tags(average_precision(bed.labels(layer).rows(rows) >= 0.5, scores))


def epochs_of(run: Path) -> np.ndarray:
    """The test scores after each epoch that was kept, (epoch, clip, tag)."""
    return np.asarray(np.load(run / "test-scores.npz")["epochs"])


def single_ap(bench: Bench, seed: int, run: Path, layer: str = "truth") -> float:
    """mAP of a single checkpoint: the mean over the last few."""
    return float(np.mean([mean_ap(bench, seed, scores, layer) for scores in epochs_of(run)[-LAST_EPOCHS:]]))


def run_without(bench: Bench, seed: int, without: str | None = None, share: float = 1.0) -> Path:
    """The run with one technique taken away, or none."""
    layer = "given" if without == "enhancement" else layer_of(bench, seed)
    return run_of(bench, seed, WITHOUT[without] if without else {}, layer, share=share)


def ensemble_ap(bench: Bench, seed: int, run: Path) -> float:
    """mAP of the mean prediction of all epochs' checkpoints."""
    return mean_ap(bench, seed, epochs_of(run).mean(axis=0))


def ensembled(bench: Bench, seed: int, without: str | None = None) -> dict[str, float]:
    """The mean prediction of all epochs' checkpoints, with one technique taken away or none."""
    return {"mAP": ensemble_ap(bench, seed, run_without(bench, seed, without))}


def volume(bench: Bench, seed: int, share: float) -> dict[str, float]:
    """What pretraining gains where there is only a share of the training clips."""
    with_it, without = (
        ensemble_ap(bench, seed, run_without(bench, seed, name, share)) for name in (None, "pretraining")
    )
    clips = len(splits_of(bench, seed, share).train)
    return {"clips": clips, "mAP": with_it, "mAP without": without, "gain": with_it - without}


def single(bench: Bench, seed: int) -> dict[str, float]:
    """A single checkpoint."""
    return {"mAP": single_ap(bench, seed, run_without(bench, seed))}


def averaged(bench: Bench, seed: int) -> dict[str, float]:
    """The average of the later checkpoints' weights."""
    return {"mAP": mean_ap(bench, seed, np.load(run_without(bench, seed) / "test-scores.npz")["averaged"])}


def enhanced(bench: Bench, seed: int, threshold: Threshold | None) -> dict[str, float]:
    """Training labels enhanced by a threshold: what was added, and mAP on corrupted, enhanced and true test labels."""
    layer = "given" if threshold is None else layer_of(bench, seed, threshold)
    run = run_of(bench, seed, {} if threshold in (None, "mean") else kept_late(bench), layer)
    against = {"mAP": "truth", "mAP corrupted": "given", "mAP enhanced": layer_of(bench, seed)}
    values = {name: single_ap(bench, seed, run, labels) for name, labels in against.items()}
    if threshold is None:
        return values
    return values | added_of(bench, seed, layer) | changes_of(bench, seed, run, layer)


def added_of(bench: Bench, seed: int, layer: str) -> dict[str, float]:
    """How right and how complete the added labels are, on the training clips."""
    bed, rows = bed_of(bench, seed), splits_of(bench, seed).train
    given, true, now = (bed.labels(name).rows(rows) >= 0.5 for name in ("given", "truth", layer))
    added, missing = now & ~given, true & ~given
    return {
        "added %": 100 * added.sum() / given.sum(),
        "precision": (added & true).sum() / max(1, added.sum()),
        "recall": (added & missing).sum() / max(1, missing.sum()),
    }


def changes_of(bench: Bench, seed: int, run: Path, layer: str) -> dict[str, float]:
    """What added labels change in the tags' AP, in per cent of that of the run on the labels as given (Table VIII).

    Means over the tags that labels were added to, the others, and all; a tag without test clips is left out, and a mean
    over no tags is not there. The last one is the change of mAP, in which rare successes weigh less.
    """
    bed, rows = bed_of(bench, seed), splits_of(bench, seed).train
    given, now = (bed.labels(name).rows(rows) >= 0.5 for name in ("given", layer))
    touched = (now & ~given).any(axis=0)
    with_it, without = (tag_aps(bench, seed, one) for one in (run, run_of(bench, seed, {}, "given")))
    change = 100 * (with_it / without - 1)
    means = {
        f"AP {name} %": mean_over_tags(change[which])
        for name, which in (("touched", touched), ("untouched", ~touched), ("all", np.ones_like(touched)))
    }
    values = {name: mean for name, mean in means.items() if not np.isnan(mean)}
    of_mean = 100 * (mean_over_tags(with_it) / mean_over_tags(without) - 1)
    return {"tags touched": int(touched.sum()), **values, "mAP %": of_mean}


def tag_aps(bench: Bench, seed: int, run: Path) -> np.ndarray:
    """AP by tag of a single checkpoint, the mean over the last few, on the true labels of the test fold, (tag,)."""
    truth = bed_of(bench, seed).labels("truth").rows(splits_of(bench, seed).test) >= 0.5
    each = [average_precision(truth, scores) for scores in epochs_of(run)[-LAST_EPOCHS:]]
    return np.asarray(np.mean(each, axis=0))


def committee(bench: Bench, seed: int, members: list[np.ndarray]) -> dict[str, float]:
    """An ensemble beside its members, as Table XI has it."""
    each = [mean_ap(bench, seed, scores) for scores in members]
    return {
        "mAP": mean_ap(bench, seed, np.mean(members, axis=0)), "members": len(members),
        "average": float(np.mean(each)), "best": max(each),
    }  # fmt: skip


def of_settings(bench: Bench, seed: int) -> dict[str, float]:
    """A committee of the models of the ablation."""
    return committee(bench, seed, [epochs_of(run_without(bench, seed, name))[-1] for name in (None, *WITHOUT)])


def of_seeds(bench: Bench, seed: int) -> dict[str, float]:
    """A committee of models that differ in their seed alone."""
    layer = layer_of(bench, seed)
    others = [run_of(bench, seed, kept_late(bench), layer, model_seed=seed + more) for more in (10, 20)]
    return committee(bench, seed, [epochs_of(run)[-1] for run in (run_without(bench, seed), *others)])


def of_checkpoints(bench: Bench, seed: int) -> dict[str, float]:
    """A committee of all epochs of a run."""
    return committee(bench, seed, list(epochs_of(run_without(bench, seed))))


def mixed(bench: Bench, seed: int, changes: Mapping[str, Any]) -> dict[str, float]:
    """A single checkpoint with other mixup settings."""
    shared = changes in ({}, WITHOUT["mixup"])
    changes = changes if shared else {**changes, **kept_late(bench)}
    return {"mAP": single_ap(bench, seed, run_of(bench, seed, changes, layer_of(bench, seed)))}
