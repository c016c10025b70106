"""PSLA on ESC-10 with a planted long tail and planted missing labels: each technique's worth, beside the paper's table.

A test bed is ESC-10 with the ancestors of its tags, as AudioSet has them; its training clips are thinned to a long
tail, and 30 % of all labels are taken away. Models learn from what is left and are tested on one fold, against the
truth unless a column says otherwise.
"""

import functools
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from benchmarks.harness import Bench, Row, key_of, main
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.ontology import audioset_ontology
from earmark.data.packs import open_pack
from earmark.data.sampling import keys_of_names
from earmark.data.splits import Splits, fold_splits, resolve_splits
from earmark.data.synthesis import CorruptSettings, corrupt
from earmark.files import written_aside
from earmark.metrics.tagging import average_precision, mean_over_tags
from earmark.models.ensemble import epoch_taggers
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.recipes.run import run_recipe
from earmark.relabel.enhanced_layer import NothingToAddError, add_enhanced_layer
from earmark.relabel.ontology import Threshold
from earmark.scores.predict import clip_scores
from earmark.scores.store import ScoreStore, open_scores

ESC10 = Path(__file__).parent.parent / "data" / "esc10"
CPU = torch.device("cpu")
IMBALANCE, MISSING_RATE = 8.0, 0.3
TEACHER_FOLDS = 2
THRESHOLDS: tuple[Threshold, ...] = ("mean", "25", "10", "5")
VOLUMES = (0.25, 0.5, 1.0)
LAST_EPOCHS = 5  # a single checkpoint is the mean over so many

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
    "pretraining": {"pretrained": None},
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


def tail_settings(seed: int) -> CorruptSettings:
    """How training clips are thinned."""
    return CorruptSettings(imbalance=IMBALANCE, keep_folds=[fold_of(seed)])


def fault_settings() -> CorruptSettings:
    """Which labels are taken away, after ancestors were added."""
    return CorruptSettings(add_ancestors=True, missing_rate=MISSING_RATE)


def bed_of(bench: Bench, seed: int) -> Dataset:
    """The test bed of a seed, made unless it is there."""
    beds, thinned, faults = bench.work / "beds", tail_settings(seed), fault_settings()
    tail = beds / f"psla-tail-{seed}-{key_of(thinned.model_dump(mode='json'), seed)[:8]}"
    key = key_of(thinned.model_dump(mode="json"), faults.model_dump(mode="json"), seed)[:8]
    bed = beds / f"psla-{seed}-{key}"
    with bench.timed(bed.name):
        if not (beds / "esc10" / "dataset.json").exists():
            import_dataset(ESC10, beds / "esc10")
        if not (tail / "dataset.json").exists():
            corrupt(open_dataset(beds / "esc10"), tail, thinned, seed=seed)
        if not (bed / "dataset.json").exists():
            corrupt(open_dataset(tail), bed, faults, seed=seed)
    return open_dataset(bed)


def splits_of(bench: Bench, seed: int, share: float = 1.0) -> Splits:
    """The splits of a seed, with a share of the training clips: whole groups, a greater share's more of the same."""
    bed = bed_of(bench, seed)
    splits = resolve_splits(bed, fold_of(seed), None, seed)
    if share == 1:
        return splits
    names = np.asarray(bed.clips["group"].take(pa.array(splits.train)).to_pylist())
    order = np.argsort(keys_of_names(f"volume {seed}:{name}" for name in names), kind="stable")
    _, first, group, sizes = np.unique(names[order], return_index=True, return_inverse=True, return_counts=True)
    # A clip stays if its group ends within the share, in the order in which groups were drawn.
    drawn = np.argsort(first)
    ends = np.zeros(len(sizes), np.int64)
    ends[drawn] = np.cumsum(sizes[drawn])
    train = np.sort(splits.train[order[ends[group] <= share * len(names)]])
    return replace(splits, train=train, notes=(*splits.notes, f"train: {len(train)} of {len(names)} clips"))


def teacher_settings(bench: Bench) -> dict[str, Any]:
    """The settings of the models that score clips out of fold: the reference's."""
    return bench.resolved({"keep_from_epoch": None})


def teacher_key(bench: Bench, seed: int) -> str:
    """A short name of all that the teachers' scores depend on."""
    bed = bed_of(bench, seed)
    parts = [part.digest for part in fold_splits(bed, splits_of(bench, seed), TEACHER_FOLDS, seed)]
    return key_of(bed.digest, bed.labels().digest, teacher_settings(bench), parts, seed)[:8]


def teacher_scores(bench: Bench, seed: int) -> ScoreStore:
    """Out-of-fold scores of the test bed by models of the reference's settings."""
    bed, recipe, settings = bed_of(bench, seed), find_recipe(bench.recipe), teacher_settings(bench)
    folder = bench.work / "scores" / f"{bed.name}-{teacher_key(bench, seed)}"
    with bench.timed(f"scores-{folder.name}"):
        # Trainings that are done would be opened and finished again.
        if (folder / "about.json").exists():
            return open_scores(folder)
        request = Request(dataset=bed, run=bench.work, test_fold=fold_of(seed), seed=seed)
        return out_of_fold_scores(
            lambda one: run_recipe(recipe, one, settings), request, splits_of(bench, seed), TEACHER_FOLDS, folder
        )


def layer_of(bench: Bench, seed: int, threshold: Threshold = "mean") -> str:
    """The enhanced layer of the test bed; the given one where there is nothing to add."""
    bed, name = bed_of(bench, seed), f"enhanced-{threshold}-{teacher_key(bench, seed)}"
    store = teacher_scores(bench, seed)
    if name not in bed.layers():
        try:
            add_enhanced_layer(
                bed, store, audioset_ontology(), name, threshold=threshold, written_by="benchmarks/psla.py"
            )
        except NothingToAddError:
            return "given"
    return name


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
    return values | (added_of(bench, seed, layer) if threshold is not None else {})


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


ABLATION = "Ablation (Table XII): the mean prediction of all epochs' checkpoints, true labels"
ENHANCEMENT = "Label enhancement (Table IX): a single checkpoint, on true, corrupted and enhanced test labels"
ENSEMBLES = "Ensembles (Table XI)"
MIXUP = "Mixup (Tables V and VI): a single checkpoint, true labels"
VOLUME = "Training volume (Fig. 3): all epochs' checkpoints, with and without pretraining, true labels"

CAPTIONS = {
    ABLATION: "With and without pretraining, all else is the same, the learning rate too, as in the paper.",
    ENSEMBLES: "The last epoch's models, but for the checkpoints of a single run. The paper's committee of models with "
    f"different settings has 20 members, this one {len(WITHOUT) + 1}: those of the ablation.",
    MIXUP: "The paper's models are trained without label enhancement, these on enhanced labels.",
    VOLUME: "Whole groups of training clips are left out at random; epochs are as many, so steps are fewer. Labels are "
    "enhanced by teachers that had all training clips.",
}
# What is to be said of a row's values, by its name: the likely reason where a technique does not help.
REMARKS: dict[str, str] = {}
SHARED_COST, LATE_COST = 0, 0.85  # trained by a row before; a training whose late checkpoints alone are scored


def rows() -> list[Row]:
    """The rows, most important first."""
    made = [*_ablation_rows(), *_enhancement_rows(), *_ensemble_rows(), *_mixup_rows(), *_volume_rows()]
    return [replace(row, remark=REMARKS.get(row.name, "")) for row in made]


def _ablation_rows() -> list[Row]:
    # The first row's teachers learn from half of the clips each: one training together.
    made = [Row("psla", "PSLA", ABLATION, ensembled, 2, "mAP .3280 (balanced), .4518 (full)")]
    for name, paper in PAPER_ABLATION.items():
        values = functools.partial(ensembled, without=name)
        made.append(Row(f"without-{name}", f"without {name}", ABLATION, values, 1, paper))
    title = "instead of the ensemble"
    made.append(Row("single", f"single checkpoint {title}", ABLATION, single, SHARED_COST, "-.0118, -.0121"))
    made.append(Row("averaged", f"averaged weights {title}", ABLATION, averaged, SHARED_COST, "-.0088, -.0083"))
    return [replace(row, reference="psla") for row in made]


def _enhancement_rows() -> list[Row]:
    paper = {
        None: "ESC-50 .7320, AudioSet .3123", "mean": "7.2 % added; .7573, .3162", "25": "22.8 %; .7639, .3165",
        "10": "44.5 %; .7551, .3078", "5": "60.2 %; .7548, .3078",
    }  # fmt: skip
    return [
        Row(
            f"enhanced-{threshold or 'none'}", f"threshold: {threshold or 'none, labels as given'}", ENHANCEMENT,
            functools.partial(enhanced, threshold=threshold),
            SHARED_COST if threshold in (None, "mean") else LATE_COST, paper[threshold], reference="enhanced-none",
        )
        for threshold in (None, *THRESHOLDS)
    ]  # fmt: skip


def _ensemble_rows() -> list[Row]:
    return [
        Row(
            "committee-checkpoints", "checkpoints of a single run", ENSEMBLES, of_checkpoints, SHARED_COST,
            "average .2369, best .3169, ensemble .3280 (60 members)",
        ),
        Row(
            "committee-settings", "models trained with different settings", ENSEMBLES, of_settings, SHARED_COST,
            "average .2987, best .3180, ensemble .3620 (20 members)",
        ),
        Row(
            "committee-seeds", "several runs with the same settings", ENSEMBLES, of_seeds, 2 * LATE_COST,
            "average .3162, best .3167, ensemble .3446 (3 members)",
        ),
    ]  # fmt: skip


def _mixup_rows() -> list[Row]:
    of_rate = {0.0: ".2818", 0.2: ".3060", 0.5: ".3108", 0.8: ".3119", 1.0: ".2928"}
    # The rates 0 and .5 are trainings of the ablation.
    changes = {rate: {"mixup_rate": rate} for rate in of_rate} | {0.0: WITHOUT["mixup"], 0.5: {}}
    made = [
        Row(
            f"mixup-rate-{rate:g}", f"rate {rate:g}, Beta(10, 10)", MIXUP,
            functools.partial(mixed, changes=changes[rate]),
            SHARED_COST if rate in (0.0, 0.5) else LATE_COST, f"{paper} (balanced)",
        )
        for rate, paper in of_rate.items()
    ]  # fmt: skip
    made += [
        Row(
            f"mixup-beta-{beta:g}", f"rate 0.5, Beta({beta:g}, {beta:g})", MIXUP,
            functools.partial(mixed, changes={"mixup_beta": beta}), LATE_COST, f"{paper} (balanced)",
        )
        for beta, paper in ((1.0, ".3087"), (0.1, ".3004"))
    ]  # fmt: skip
    return [replace(row, reference="mixup-rate-0") for row in made]


def _volume_rows() -> list[Row]:
    return [
        Row(
            f"volume-{100 * share:g}", f"{100 * share:g} % of the training clips", VOLUME,
            functools.partial(volume, share=share), SHARED_COST if share == 1 else 2 * share,
        )
        for share in VOLUMES
    ]  # fmt: skip


def make(scale: str, work: Path, results: Path) -> Bench:
    """The benchmark at a scale."""
    is_smoke = scale == "smoke"
    seeds = (0,) if is_smoke else (0, 1, 2)
    return Bench(
        name="psla",
        title="PSLA on ESC-10 with a planted long tail and planted missing labels",
        rows=rows(),
        recipe="psla",
        settings=SMOKE if is_smoke else FULL,
        seeds=seeds,
        work=work,
        results=results,
        made_of={
            "tail": tail_settings(0).model_dump(mode="json"),
            "faults": fault_settings().model_dump(mode="json"),
            "test_folds": [fold_of(seed) for seed in range(5)],
            "without": WITHOUT,
            "teacher_folds": TEACHER_FOLDS,
            "last_epochs": LAST_EPOCHS,
        },
        captions=CAPTIONS,
        note=__doc__.partition("\n\n")[2].strip(),
    )


if __name__ == "__main__":
    main(make)
