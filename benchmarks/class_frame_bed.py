"""Class-frame pseudo labels' test bed: soundscapes of two kinds in one data set, as in DCASE 2019.

The strong set is mixed one way, of one fold's recordings, and labelled strong. The weak set is mixed another way, of
two other folds'; its events' times are in a truth layer alone. What is validated and tested on is mixed as the weak
set, of the seed's own two folds, and labelled strong. In the weak set some tags are rarer than others.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.beds import FOLDS, esc10, fold_of, validation_fold_of, write_clips_of
from benchmarks.harness import Bench, key_of
from earmark.data.dataset import Dataset, open_dataset, write_dataset, write_layer
from earmark.data.layers import GIVEN, TRUTH, read_layer
from earmark.data.splits import Splits, resolve_splits
from earmark.data.synthesis import CorruptSettings, MixSettings, corrupt, mix
from earmark.files import new_folder

STRONG, WEAK, JUDGED = KINDS = ("strong", "weak", "judged")
# Clips are dropped until the most frequent tag has four times the clips of the rarest.
FAULTS = CorruptSettings(weak=True, imbalance=4.0)


def folds_of(seed: int) -> dict[str, tuple[int, ...]]:
    """The folds of ESC-10 that each kind of soundscape is made from: judged are the test and the validation fold."""
    first = fold_of(seed) - 1
    test, validation, strong, *weak = ((first + place) % FOLDS + 1 for place in range(FOLDS))
    assert validation == validation_fold_of(seed)
    return {STRONG: (strong,), WEAK: tuple(weak), JUDGED: (test, validation)}


def bed_of(bench: Bench, seed: int) -> Dataset:
    """The test bed of a seed, made unless it is there."""
    made_of = [bench.made_of[name] for name in ("mix", "every", "faults")]
    folder = bench.work / "beds" / f"class-frame-{seed}-{key_of(made_of, seed)[:8]}"
    with bench.timed(folder.name):
        if not (folder / "dataset.json").exists():
            parts = {kind: _scenes(bench, seed, kind) for kind in KINDS}
            weak = folder.with_name(f"{folder.name}-weak")
            if not (weak / "dataset.json").exists():
                corrupt(parts[WEAK], weak, FAULTS, seed=seed)
            joined_as(folder, {**parts, WEAK: open_dataset(weak)})
    return open_dataset(folder)


def splits_of(bed: Dataset) -> Splits:
    """The splits of a bed: trained on are the strong and the weak set."""
    return resolve_splits(bed)


def _scenes(bench: Bench, seed: int, kind: str) -> Dataset:
    """The soundscapes of a kind, all labelled strong."""
    mixing, folds, every = bench.made_of["mix"][kind], folds_of(seed)[kind], bench.made_of["every"]
    folder = bench.work / "beds" / f"class-frame-{kind}-{seed}-{key_of(mixing, folds, every, seed)[:8]}"
    if not (folder / "dataset.json").exists():
        sounds = part_of(esc10(bench.work), folds, every, bench.work / "beds")
        test, validation = folds if kind == JUDGED else (None, None)
        # Of one seed the strong and the weak set would have the same noise.
        draws = len(KINDS) * seed + KINDS.index(kind)
        mix(sounds, folder, MixSettings(**mixing), seed=draws, test_fold=test, validation_fold=validation)
    return open_dataset(folder)


def part_of(dataset: Dataset, folds: Sequence[int], every: int, beds: Path) -> Dataset:
    """Every n-th of the clips of some folds as a data set in the folder of test beds; made unless it is there."""
    folder = beds / f"{dataset.name}-every-{every}-folds-{''.join(map(str, sorted(folds)))}"
    if not (folder / "dataset.json").exists():
        rows = np.flatnonzero(np.isin(dataset.column("fold"), folds))[::every]
        write_clips_of(dataset, dataset.clips.take(pa.array(rows)), folder)
    return open_dataset(folder)


def joined_as(folder: Path, parts: dict[str, Dataset]) -> None:
    """Writes data sets of one vocabulary as one, with the truth layers that they have; clips by the names of parts.

    Args:
        parts: by name, their audio in folders beside `folder`.
    """
    first = next(iter(parts.values()))
    tables = {
        layer: pa.concat_tables(
            _named(read_layer(part.folder, layer, part.clips, part.vocabulary), name, "clip")
            for name, part in parts.items()
            if layer in part.layers()
        )
        for layer in (GIVEN, TRUTH)
    }
    with new_folder(folder) as aside:
        made = write_dataset(
            aside,
            name=folder.name,
            clips=pa.concat_tables(_clips(part, name) for name, part in parts.items()),
            labels=tables[GIVEN],
            vocabulary=first.vocabulary,
            audio_root=folder.parent,
        )
        write_layer(made, TRUTH, tables[TRUTH], written_by="earmark corrupt", role=TRUTH)


def _clips(part: Dataset, name: str) -> pa.Table:
    """A part's clip table in the whole: its audio from the folder of all parts on."""
    clips = part.clips.set_column(
        part.clips.column_names.index("path"), "path", _prefixed(part.clips["path"], f"{part.audio_root.name}/")
    )
    return _named(clips, name, "clip", "group")


def _named(table: pa.Table, name: str, *columns: str) -> pa.Table:
    """The table with names of clips that no other part has."""
    for column in columns:
        place = table.column_names.index(column)
        table = table.set_column(place, column, _prefixed(table[column], f"{name}-"))
    return table


def _prefixed(names: pa.ChunkedArray, prefix: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(prefix, names, "")
