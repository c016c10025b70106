"""What a data set keeps when its source is imported again."""

import os
import shutil

import pyarrow as pa

from earmark.data import layers
from earmark.data.dataset import Dataset
from earmark.errors import InputError, first_few


def take_over(old: Dataset, new: Dataset) -> None:
    """Brings the old data set's layers and packs into the new folder, if they still fit.

    Raises:
        InputError: there are layers and they do not fit any more.
    """
    more = old.layers()[1:]
    if old.digest != new.digest or old.vocabulary != new.vocabulary:
        if more:
            _refuse(old, more, "clips or tags")
        return
    # A layer holds differences from the labels that it was made for.
    if more and not _given(old).equals(_given(new)):
        _refuse(old, more, "labels")
    for name in more:
        for path in (layers.table_path(old.folder / "labels" / name), old.folder / "labels" / f"{name}.json"):
            shutil.copy2(path, new.folder / "labels" / path.name)
    if (old.folder / "packs").is_dir():
        # Linked, not moved: until the new folder is in place the old one must stay whole.
        shutil.copytree(old.folder / "packs", new.folder / "packs", copy_function=os.link)


def _given(dataset: Dataset) -> pa.Table:
    """The given labels, in an order of their own."""
    table = layers.read_layer(dataset.folder, layers.GIVEN, dataset.clips, dataset.vocabulary)
    return table.sort_by([(name, "ascending") for name in ("clip", "tag", "onset", "offset")])


def _refuse(old: Dataset, more: list[str], what: str) -> None:
    raise InputError(
        f"{old.folder}: the source's {what} have changed since label layers were made for them "
        f"({first_few(more)}); import into another folder"
    )
