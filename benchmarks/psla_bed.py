"""PSLA's test bed: ESC-10 with ancestors, a long tail and missing labels; the layers that its teachers enhance."""

from typing import Any

from benchmarks.beds import esc10, fold_of, share_of
from benchmarks.harness import Bench, key_of
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.ontology import audioset_ontology
from earmark.data.splits import Splits, fold_splits, resolve_splits
from earmark.data.synthesis import CorruptSettings, corrupt
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.recipes.run import run_recipe
from earmark.relabel.enhanced_layer import NothingToAddError, add_enhanced_layer
from earmark.relabel.ontology import Threshold
from earmark.scores.store import ScoreStore, open_scores

IMBALANCE, MISSING_RATE = 8.0, 0.3
TEACHER_FOLDS = 2


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
        recordings = esc10(bench.work)
        if not (tail / "dataset.json").exists():
            corrupt(recordings, tail, thinned, seed=seed)
        if not (bed / "dataset.json").exists():
            corrupt(open_dataset(tail), bed, faults, seed=seed)
    return open_dataset(bed)


def splits_of(bench: Bench, seed: int, share: float = 1.0) -> Splits:
    """The splits of a seed, with a share of the training clips."""
    bed = bed_of(bench, seed)
    return share_of(bed, resolve_splits(bed, fold_of(seed), None, seed), share, seed)


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
