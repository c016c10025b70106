"""Staged training's test beds: a quarter of the training clips verified, a share of the other labels wrong.

Recordings are ESC-10; soundscapes are made of it, with several tags a clip. The clips of a seed's test fold and of its
validation fold are rightly labelled, and verified.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.beds import esc10, fold_of, validation_fold_of, write_clips_of
from benchmarks.harness import Bench, key_of
from earmark.config import values_of
from earmark.data.dataset import ClipLabels, Dataset, open_dataset
from earmark.data.layers import GIVEN, TRUTH
from earmark.data.splits import Splits, resolve_splits
from earmark.data.synthesis import CorruptSettings, MixSettings, corrupt, mix

Kind = Literal["recordings", "soundscapes"]

VERIFIED_SHARE = 0.25
WRONG_RATE = 0.4


def fault_settings(kind: Kind, wrong_rate: float, seed: int) -> CorruptSettings:
    """What is planted: training clips are verified or not, and of the labels of those that are not some are wrong."""
    faults = CorruptSettings(verified_share=VERIFIED_SHARE, wrong_rate=wrong_rate)
    if kind == "soundscapes":
        return faults.model_copy(update={"weak": True, "keep_splits": ["validation", "test"]})
    return faults.model_copy(update={"keep_folds": [fold_of(seed), validation_fold_of(seed)]})


def bed_of(bench: Bench, seed: int, kind: Kind = "recordings", wrong_rate: float = WRONG_RATE) -> Dataset:
    """The test bed of a seed, made unless it is there; with other rates the same clips are verified."""
    faults = fault_settings(kind, wrong_rate, seed)
    made_of = bench.made_of["mix" if kind == "soundscapes" else "every"]
    folder = bench.work / "beds" / f"staged-{kind}-{seed}-{key_of(made_of, values_of(faults), seed)[:8]}"
    # `corrupt` refuses to plant nothing: a bed without wrong labels has another one's clips.
    other = None if wrong_rate else bed_of(bench, seed, kind)
    with bench.timed(folder.name):
        if not (folder / "dataset.json").exists():
            right = _soundscapes(bench, seed) if kind == "soundscapes" else _recordings(bench)
            if other is None:
                corrupt(right, folder, faults, seed=seed)
            else:
                write_clips_of(right, other.clips, folder)
    return open_dataset(folder)


def _recordings(bench: Bench) -> Dataset:
    """ESC-10, or every n-th clip of it, all verified."""
    every = bench.made_of["every"]
    return verified_part(esc10(bench.work), bench.work / "beds" / f"staged-every-{every}", every)


def _soundscapes(bench: Bench, seed: int) -> Dataset:
    """Soundscapes of ESC-10, all of them verified."""
    mixing = bench.made_of["mix"]
    folder = bench.work / "beds" / f"staged-scenes-{seed}-{key_of(mixing, seed)[:8]}"
    if not (folder / "dataset.json").exists():
        folds = {"test_fold": fold_of(seed), "validation_fold": validation_fold_of(seed)}
        mix(esc10(bench.work), folder, MixSettings(**mixing), seed=seed, **folds)
    return verified_part(open_dataset(folder), folder.with_name(f"{folder.name}-verified"))


def verified_part(dataset: Dataset, folder: Path, every: int = 1) -> Dataset:
    """Every n-th clip of a data set as one of its own, in which all are verified; made unless it is there.

    Clips that are kept right would otherwise be of unknown kind, and nothing would be validated on.
    """
    if not (folder / "dataset.json").exists():
        clips = dataset.clips.take(pa.array(np.arange(0, dataset.num_clips, every)))
        verified = pa.array(np.ones(len(clips), np.bool_))
        clips = clips.set_column(clips.column_names.index("verified"), "verified", verified)
        write_clips_of(dataset, clips, folder)
    return open_dataset(folder)


def splits_of(bed: Dataset, kind: Kind, seed: int) -> Splits:
    """The splits of a seed: its test fold, the fold after it to validate on, all others to train."""
    folds = (fold_of(seed), validation_fold_of(seed)) if kind == "recordings" else (None, None)
    return resolve_splits(bed, *folds, seed)


def truth_of(bed: Dataset) -> ClipLabels:
    """The true labels of a test bed."""
    return bed.labels(TRUTH if TRUTH in bed.layers() else GIVEN)


def wrong_clips(bed: Dataset) -> npt.NDArray[np.bool_]:
    """The clips one of whose labels is wrong, (clip,)."""
    rows = np.arange(bed.num_clips)
    given, true = (labels.rows(rows) >= 0.5 for labels in (bed.labels(), truth_of(bed)))
    wrong: npt.NDArray[np.bool_] = (given != true).any(axis=1)
    return wrong
