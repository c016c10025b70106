"""PSL's test bed: soundscapes of some of ESC-10's tags, their labels weak and some missing.

Recordings of the other tags are held out: of them are the soundscapes for linear transfer.
"""

import csv
import io
import os
import string
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.beds import FOLDS, esc10, fold_of, share_of, validation_fold_of
from benchmarks.harness import Bench, key_of
from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.importing import import_dataset
from earmark.data.layers import GIVEN, read_layer
from earmark.data.sampling import keys_of_names
from earmark.data.splits import Splits, resolve_splits
from earmark.data.synthesis import CorruptSettings, MixSettings, corrupt, mix
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.files import write_text

HELD_OUT = ("Chainsaw", "Rooster", "Sea waves")
MISSING_RATE = 0.3


def fault_settings() -> CorruptSettings:
    """What is planted in true strong labels: they lose their times, and some of a clip's tags are taken away."""
    return CorruptSettings(weak=True, missing_rate=MISSING_RATE)


def bed_of(bench: Bench, seed: int) -> Dataset:
    """The test bed of a seed, made unless it is there."""
    beds, faults = bench.work / "beds", fault_settings()
    key = key_of(bench.made_of["mix"], HELD_OUT, seed)[:8]
    scenes = beds / f"psl-scenes-{seed}-{key}"
    bed = beds / f"psl-{seed}-{key_of(key, faults.model_dump(mode='json'))[:8]}"
    with bench.timed(bed.name):
        if not (bed / "dataset.json").exists():
            known = set(esc10(bench.work).vocabulary.tags) - set(HELD_OUT)
            corrupt(_scenes(bench, seed, scenes, known, bench.made_of["mix"]), bed, faults, seed=seed)
    return open_dataset(bed)


def held_out(bench: Bench, seed: int) -> Dataset:
    """Soundscapes of the tags that no teacher and no student has heard, rightly labelled."""
    mixing = bench.made_of["held_out_mix"]
    folder = bench.work / "beds" / f"psl-held-out-{seed}-{key_of(mixing, HELD_OUT, seed)[:8]}"
    with bench.timed(folder.name):
        return _scenes(bench, seed, folder, HELD_OUT, mixing)


def _scenes(bench: Bench, seed: int, folder: Path, tags: Collection[str], mixing: Mapping[str, Any]) -> Dataset:
    """Soundscapes of some of ESC-10's tags, in a folder, by a seed and its folds; made unless they are there."""
    if not (folder / "dataset.json").exists():
        sounds = part_of(esc10(bench.work), tags, bench.work / "beds" / "psl-sounds")
        test, validation = fold_of(seed), validation_fold_of(seed)
        mix(sounds, folder, MixSettings(**mixing), seed=seed, test_fold=test, validation_fold=validation)
    return open_dataset(folder)


def splits_of(bench: Bench, seed: int, share: float = 1.0) -> Splits:
    """The splits of a seed, with a share of the training soundscapes."""
    bed = bed_of(bench, seed)
    return share_of(bed, resolve_splits(bed), share, seed)


def part_of(dataset: Dataset, tags: Collection[str], folder: Path) -> Dataset:
    """The clips that have some of the tags, with these alone as vocabulary, as a data set; made unless it is there."""
    folder = folder.with_name(f"{folder.name}-{key_of(sorted(tags))[:8]}")
    if not (folder / "dataset.json").exists():
        table = read_layer(dataset.folder, GIVEN, dataset.clips, dataset.vocabulary)
        labels = table.filter(pc.is_in(table["tag"], pa.array(sorted(tags))))
        write_dataset(
            folder,
            name=folder.name,
            clips=dataset.clips.filter(pc.is_in(dataset.clips["clip"], labels["clip"].combine_chunks())),
            labels=labels,
            vocabulary=Vocabulary(tuple(sorted(tags))),
            audio_root=dataset.audio_root,
            source=dataset.folder,
        )
    return open_dataset(folder)


def office11() -> Path | None:
    """The folder named by OFFICE11, None where none is: DCASE 2016 task 2's training recordings, not ours to carry."""
    named = os.environ.get("OFFICE11")
    return Path(named) if named else None


def office(bench: Bench, source: Path) -> Dataset:
    """The isolated events of DCASE 2016 task 2, in five folds with every tag in each, imported unless it is there.

    Raises:
        InputError: the folder does not hold them.
    """
    folder = bench.work / "beds" / "psl-office11"
    if not (folder / "dataset.json").exists():
        table = folder.with_suffix(".csv")
        write_text(table, _office_table(source))
        import_dataset(table, folder)
    return open_dataset(folder)


def _office_table(source: Path) -> str:
    """A line a recording, whose name is its tag and a number: clearthroat002.wav."""
    names = sorted(path.name for path in source.glob("*.wav"))
    if not names:
        raise InputError(f"OFFICE11={source}: must be a folder of recordings such as clearthroat002.wav, found none")
    tags = [Path(name).stem.rstrip(string.digits) for name in names]
    order = np.argsort(keys_of_names(names), kind="stable")
    fold, count = {}, dict.fromkeys(tags, 0)
    for place in order.tolist():
        fold[place] = count[tags[place]] % FOLDS + 1
        count[tags[place]] += 1
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["path", "tags", "fold"])
    for place, name in enumerate(names):
        lines.writerow([str((source / name).resolve()), tags[place], fold[place]])
    return text.getvalue()


def recording_splits(dataset: Dataset, seed: int) -> Splits:
    """The splits of recordings in folds: a seed's test fold, the fold after it to validate on, all others to train."""
    return resolve_splits(dataset, fold_of(seed), validation_fold_of(seed), seed)
