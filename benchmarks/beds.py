"""What test beds share: the recordings, a seed's folds, some clips as a data set, a share of the training clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.importing import import_dataset
from earmark.data.layers import GIVEN, read_layer
from earmark.data.sampling import keys_of_names
from earmark.data.splits import Splits

ESC10 = Path(__file__).parent.parent / "data" / "esc10"
FOLDS = 5


def fold_of(seed: int) -> int:
    """The test fold of a seed."""
    return seed % FOLDS + 1


def validation_fold_of(seed: int) -> int:
    """The validation fold of a seed: the one after its test fold."""
    return fold_of(seed) % FOLDS + 1


def esc10(work: Path) -> Dataset:
    """ESC-10 as a data set in the folder of test beds, imported unless it is there."""
    folder = work / "beds" / "esc10"
    if not (folder / "dataset.json").exists():
        import_dataset(ESC10, folder)
    return open_dataset(folder)


def write_clips_of(dataset: Dataset, clips: pa.Table, folder: Path) -> None:
    """Writes a data set of some clips of another one, whose labels they have."""
    labels = read_layer(dataset.folder, GIVEN, dataset.clips, dataset.vocabulary)
    write_dataset(
        folder,
        name=folder.name,
        clips=clips,
        labels=labels.filter(pc.is_in(labels["clip"], clips["clip"].combine_chunks())),
        vocabulary=dataset.vocabulary,
        audio_root=dataset.audio_root,
        source=dataset.folder,
    )


def share_of(bed: Dataset, splits: Splits, share: float, seed: int) -> Splits:
    """The splits with a share of the training clips: whole groups, a greater share's more of the same."""
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
