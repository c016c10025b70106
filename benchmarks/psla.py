"""PSLA on ESC-10 with a planted long tail and planted missing labels: each technique's worth, beside the paper's table.

A test bed is ESC-10 with the ancestors of its tags, as AudioSet has them; its training clips are thinned to a long
tail, and 30 % of all labels are taken away. Models learn from what is left and are tested on one fold, against the
truth unless a column says otherwise.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Bench, Row, main
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.ontology import audioset_ontology
from earmark.data.packs import open_pack
from earmark.data.splits import resolve_splits
from earmark.data.synthesis import CorruptSettings, corrupt
from earmark.metrics.tagging import average_precision, mean_over_tags
from earmark.models.ensemble import epoch_taggers
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.recipes.run import run_recipe
from earmark.relabel.enhanced_layer import add_enhanced_layer
from earmark.scores.predict import clip_scores
from earmark.scores.store import ScoreStore

ESC10 = Path(__file__).parent.parent / "data" / "esc10"
CPU = torch.device("cpu")
IMBALANCE, MISSING_RATE = 8.0, 0.3
THRESHOLDS = ("mean", "25", "10", "5")

FULL = {
    "front_end": "psla", "backbone": "efficientnet_lite0", "head": "multi_head_attention", "num_heads": 4,
    "epochs": 16, "batch_size": 12, "learning_rate": 1e-3, "schedule": "halving", "halve_after_epoch": 6,
    "halve_every_epochs": 2, "warmup_steps": 20, "final_weights": "range", "average_from_epoch": 9,
    "keep_from_epoch": 1, "refresh_bn": True,
}  # fmt: skip
SMOKE = {
    **FULL, "front_end": "psl", "backbone": "crnn_small", "pretrained": None, "head": "mean", "epochs": 2,
    "halve_after_epoch": 1, "average_from_epoch": 2, "warmup_steps": 0,
}  # fmt: skip
SMOKE.pop("num_heads")

# What the ablation takes away; label enhancement is taken away by learning from the labels as given.
WITHOUT: dict[str, dict[str, Any]] = {
    "pretraining": {"pretrained": None, "learning_rate": 3e-3},
    "sampling": {"sampling": "shuffled"},
    "masking": {"frequency_masks": 0, "frequency_mask_bins": 0, "time_masks": 0, "time_mask_frames": 0},
    "mixup": {"mixup_rate": 0.0},
    "enhancement": {},
}
PAPER_ABLATION = {
    "pretraining": "-.0901 (balanced), -.0216 (full)",
    "sampling": "-.0830 (full)",
    "masking": "-.0126, -.0088",
    "mixup": "-.0099, -.0025",
    "enhancement": "-.0051 (balanced)",
}


def fold_of(seed: int) -> int:
    """The test fold of a seed."""
    return seed % 5 + 1


def bed_of(bench: Bench, seed: int) -> Dataset:
    """The test bed of a seed, made unless it is there."""
    beds = bench.work / "beds"
    if not (beds / "esc10" / "dataset.json").exists():
        import_dataset(ESC10, beds / "esc10")
    tail, bed = beds / f"psla-tail-{seed}", beds / f"psla-{seed}"
    if not (tail / "dataset.json").exists():
        settings = CorruptSettings(imbalance=IMBALANCE, keep_folds=(fold_of(seed),))
        corrupt(open_dataset(beds / "esc10"), tail, settings, seed=seed)
    if not (bed / "dataset.json").exists():
        corrupt(open_dataset(tail), bed, CorruptSettings(add_ancestors=True, missing_rate=MISSING_RATE), seed=seed)
    return open_dataset(bed)


def teacher_scores(bench: Bench, seed: int) -> ScoreStore:
    """Out-of-fold scores of the test bed by models of the reference's settings."""
    bed, recipe = bed_of(bench, seed), find_recipe("psla")
    request = Request(dataset=bed, run=bench.work, test_fold=fold_of(seed), seed=seed)
    splits = resolve_splits(bed, fold_of(seed), None, seed)
    settings = {**bench.settings, "keep_from_epoch": None}
    folder = bench.work / "scores" / f"psla-{seed}"
    return out_of_fold_scores(lambda one: run_recipe(recipe, one, settings), request, splits, 2, folder)


def layer_of(bench: Bench, seed: int, threshold: str = "mean") -> str:
    """The enhanced layer of the test bed."""
    bed, name = bed_of(bench, seed), f"enhanced-{threshold}"
    if name not in bed.layers():
        store = teacher_scores(bench, seed)
        add_enhanced_layer(bed, store, audioset_ontology(), name, threshold=threshold, written_by="benchmarks/psla.py")
    return name


def run_of(bench: Bench, seed: int, changes: Mapping[str, Any], layer: str, model_seed: int | None = None) -> Path:
    """A run on the seed's test bed; its checkpoints are kept as their scores of the test fold only."""
    run = bench.run_of(
        bed_of(bench, seed), "psla", changes, test_fold=fold_of(seed), layer=layer,
        seed=seed if model_seed is None else model_seed,
    )  # fmt: skip
    if not (run / "test-scores.npz").exists():
        bed = bed_of(bench, seed)
        taggers = epoch_taggers(run)
        pack = open_pack(bed, taggers[0].rate_hz)
        rows = resolve_splits(bed, fold_of(seed), None, seed).test
        epochs = np.stack([clip_scores(tagger, pack, rows, device=CPU)[1] for tagger in taggers])
        averaged = clip_scores(load_model(run), pack, rows, device=CPU)[1]
        np.savez(run / "test-scores.npz", epochs=epochs, averaged=averaged, rows=rows)
        for path in (run / "checkpoints").glob("step-*.safetensors"):
            path.unlink()
    return run


def mean_ap(bench: Bench, seed: int, scores: np.ndarray, layer: str = "truth") -> float:
    """mAP of scores of the test fold against a label layer."""
    bed = bed_of(bench, seed)
    rows = resolve_splits(bed, fold_of(seed), None, seed).test
    return mean_over_tags(average_precision(bed.labels(layer).rows(rows) >= 0.5, scores))


def epochs_of(run: Path) -> np.ndarray:
    """The test scores after each epoch, (epoch, clip, tag)."""
    return np.load(run / "test-scores.npz")["epochs"]


def ensembled(bench: Bench, seed: int, without: str | None = None) -> dict[str, float]:
    """The mean prediction of all epochs' checkpoints, with one technique taken away or none."""
    layer = "given" if without == "enhancement" else layer_of(bench, seed)
    run = run_of(bench, seed, WITHOUT[without] if without else {}, layer)
    return {"mAP": mean_ap(bench, seed, epochs_of(run).mean(axis=0))}


def single(bench: Bench, seed: int) -> dict[str, float]:
    """A single checkpoint: the mean over the last five."""
    run = run_of(bench, seed, {}, layer_of(bench, seed))
    return {"mAP": float(np.mean([mean_ap(bench, seed, scores) for scores in epochs_of(run)[-5:]]))}


def averaged(bench: Bench, seed: int) -> dict[str, float]:
    """The average of the later checkpoints' weights."""
    run = run_of(bench, seed, {}, layer_of(bench, seed))
    return {"mAP": mean_ap(bench, seed, np.load(run / "test-scores.npz")["averaged"])}


def enhanced(bench: Bench, seed: int, threshold: str | None) -> dict[str, float]:
    """Training labels enhanced by a threshold: what was added, and mAP on corrupted, enhanced and true test labels."""
    layer = "given" if threshold is None else layer_of(bench, seed, threshold)
    scores = epochs_of(run_of(bench, seed, {}, layer))[-5:]
    evaluated = {"mAP": "truth", "mAP corrupted": "given", "mAP enhanced": layer_of(bench, seed)}
    values = {
        name: float(np.mean([mean_ap(bench, seed, one, against) for one in scores]))
        for name, against in evaluated.items()
    }
    return values | (added_of(bench, seed, layer) if threshold is not None else {})


def added_of(bench: Bench, seed: int, layer: str) -> dict[str, float]:
    """How right and how complete the added labels are, on the training clips."""
    bed = bed_of(bench, seed)
    rows = np.setdiff1d(np.arange(bed.num_clips), resolve_splits(bed, fold_of(seed), None, seed).test)
    given, true, now = (bed.labels(name).rows(rows) >= 0.5 for name in ("given", "truth", layer))
    added, missing = now & ~given, true & ~given
    return {
        "added %": 100 * added.sum() / given.sum(),
        "precision": (added & true).sum() / max(1, added.sum()),
        "recall": (added & missing).sum() / max(1, missing.sum()),
    }


def committee(bench: Bench, seed: int, members: list[np.ndarray]) -> dict[str, float]:
    """An ensemble beside its members, as Table XI has it."""
    each = [mean_ap(bench, seed, scores) for scores in members]
    return {
        "mAP": mean_ap(bench, seed, np.mean(members, axis=0)), "members": len(members),
        "average": float(np.mean(each)), "best": max(each),
    }  # fmt: skip


def last_epoch(bench: Bench, seed: int, without: str | None = None, model_seed: int | None = None) -> np.ndarray:
    """The test scores after the last epoch."""
    layer = "given" if without == "enhancement" else layer_of(bench, seed)
    return epochs_of(run_of(bench, seed, WITHOUT[without] if without else {}, layer, model_seed))[-1]


def mixed(bench: Bench, seed: int, changes: Mapping[str, Any]) -> dict[str, float]:
    """A single checkpoint (mean of the last five) with other mixup settings."""
    scores = epochs_of(run_of(bench, seed, changes, layer_of(bench, seed)))[-5:]
    return {"mAP": float(np.mean([mean_ap(bench, seed, one) for one in scores]))}


def rows() -> list[Row]:
    """The rows, most important first."""
    ablation = "Ablation (Table XII): the mean prediction of all epochs' checkpoints, true labels"
    made = [Row("psla", "PSLA", ablation, ensembled, 2, "mAP .3280 (balanced), .4518 (full)")]
    made += [
        Row(
            f"without-{name}", f"without {name}", ablation,
            lambda bench, seed, name=name: ensembled(bench, seed, name), 1.4 if name == "mixup" else 1,
            PAPER_ABLATION[name],
        )
        for name in WITHOUT
    ]  # fmt: skip
    made.append(Row("single", "single checkpoint instead of the ensemble", ablation, single, 0, "-.0118, -.0121"))
    made.append(Row("averaged", "averaged weights instead of the ensemble", ablation, averaged, 0, "-.0088, -.0083"))
    table = "Label enhancement (Table IX): a single checkpoint, on true, corrupted and enhanced test labels"
    paper = {
        None: "ESC-50 .7320, AudioSet .3123", "mean": "7.2 % added; .7573, .3162", "25": "22.8 %; .7639, .3165",
        "10": "44.5 %; .7551, .3078", "5": "60.2 %; .7548, .3078",
    }  # fmt: skip
    made += [
        Row(
            f"enhanced-{threshold or 'none'}", f"threshold: {threshold or 'none, labels as given'}", table,
            lambda bench, seed, threshold=threshold: enhanced(bench, seed, threshold),
            0 if threshold in (None, "mean") else 1, paper[threshold],
        )
        for threshold in (None, *THRESHOLDS)
    ]  # fmt: skip
    table = "Ensembles (Table XI)"
    made += [
        Row(
            "committee-checkpoints", "checkpoints of a single run", table,
            lambda bench, seed: committee(bench, seed, list(epochs_of(run_of(bench, seed, {}, layer_of(bench, seed))))),
            0, "average .2369, best .3169, ensemble .3280 (60 members)",
        ),
        Row(
            "committee-settings", "models trained with different settings", table,
            lambda bench, seed: committee(bench, seed, [last_epoch(bench, seed, name) for name in (None, *WITHOUT)]),
            0, "average .2987, best .3180, ensemble .3620 (20 members)",
        ),
        Row(
            "committee-seeds", "several runs with the same settings", table,
            lambda bench, seed: committee(
                bench, seed, [last_epoch(bench, seed, None, model_seed) for model_seed in (None, seed + 10, seed + 20)]
            ),
            2, "average .3162, best .3167, ensemble .3446 (3 members)",
        ),
    ]  # fmt: skip
    table = "Mixup (Tables V and VI): a single checkpoint, true labels"
    of_rate = {0.0: ".2818", 0.2: ".3060", 0.5: ".3108", 0.8: ".3119", 1.0: ".2928"}
    made += [
        Row(
            f"mixup-rate-{rate:g}", f"rate {rate:g}, Beta(10, 10)", table,
            lambda bench, seed, rate=rate: mixed(bench, seed, {} if rate == 0.5 else {"mixup_rate": rate}),
            0 if rate in (0.0, 0.5) else 1, f"{mean_ap} (balanced)",
        )
        for rate, mean_ap in of_rate.items()
    ]  # fmt: skip
    made += [
        Row(
            f"mixup-beta-{beta:g}", f"rate .5, Beta({beta:g}, {beta:g})", table,
            lambda bench, seed, beta=beta: mixed(bench, seed, {"mixup_beta": beta}), 1, f"{mean_ap} (balanced)",
        )
        for beta, mean_ap in ((1.0, ".3087"), (0.1, ".3004"))
    ]  # fmt: skip
    return made


def make(scale: str, work: Path, results: Path) -> Bench:
    """The benchmark at a scale."""
    is_smoke = scale == "smoke"
    return Bench(
        name="psla",
        title="PSLA on ESC-10 with a planted long tail and planted missing labels",
        rows=rows(),
        reference="psla",
        settings=SMOKE if is_smoke else FULL,
        seeds=(0,) if is_smoke else (0, 1, 2),
        work=work,
        results=results,
        note=__doc__.partition("\n\n")[2].strip(),
    )


if __name__ == "__main__":
    main(make)
