"""The clips that a model, or an ensemble, is judged on: those of a split as its own training had them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.splits import VALIDATION, Splits, named_splits, resolve_splits, union_of
from earmark.errors import InputError, first_few
from earmark.scores.seen import ancestors, seen_clips, splits_of_record, warn_of_seen

log = logging.getLogger(__name__)

Records = Sequence[Mapping[str, Any]]


def split_rows(trained_on: Records, dataset: Dataset, split: str) -> IntArray:
    """The rows of a split as a model's training had it, with a warning where figures on it flatter the model.

    Members of an ensemble that were validated on different clips, as those of `--folds` are, together have trained on
    all of these; their validation split is the data set's own, if it gives one, which none of them was trained on.

    Args:
        trained_on: what the model, or each member of an ensemble, was trained on.
        split: train, validation, test, or all.

    Raises:
        InputError: the split is empty, the model has no splits of its own, or members were trained with other folds.
    """
    # Another data set has its own splits: these folds mean nothing there.
    here = trained_here(trained_on, dataset)
    if split == "all":
        if here:
            log.warning("all clips include those that the model was trained and selected on: these figures flatter it")
        else:
            _warn_of_ancestors(trained_on, dataset, np.arange(dataset.num_clips), split)
        return np.arange(dataset.num_clips)
    parts = _splits_of_members(here, dataset, split)
    splits = _splits_together(here, parts, dataset)
    rows = splits.by_name()[split]
    if not len(rows):
        raise InputError(_without(split, splits, dataset, _share_validation(parts)))
    if not here and split != "test":
        log.warning(
            "%s is not what the model was trained on, as far as its clips tell: its %s split may hold training clips",
            dataset.name,
            split,
        )
    # Of folds the data set may have a validation split beside, which no model was chosen by.
    is_their_own = np.isin(rows, np.concatenate([part.validation for part in parts])).any()
    selected = {about.get("selected_on") for about in here} if is_their_own else set()
    if here and split in ("train", *selected):
        log.warning(
            "the model was %s on the %s split: these figures flatter it",
            "trained" if split == "train" else "selected",
            split,
        )
    if split != "train":
        _warn_of_ancestors(trained_on, dataset, rows, split)
    return rows


def own_splits(trained_on: Records, dataset: Dataset) -> Splits:
    """The splits as a model's training had them, those of an ensemble's members together; warns of nothing.

    Those of the data set where the model was trained on none of it.

    Raises:
        InputError: as for `split_rows`, but that a split may be empty.
    """
    here = trained_here(trained_on, dataset)
    return _splits_together(here, _splits_of_members(here, dataset, "validation"), dataset)


def trained_here(trained_on: Records, dataset: Dataset) -> list[Mapping[str, Any]]:
    """The records that are of this data set: known by its clips, not by its name."""
    return [about for about in trained_on if about.get("dataset_digest") == dataset.digest]


def _splits_of_members(here: Records, dataset: Dataset, split: str) -> list[Splits]:
    """The different splits that members were trained with; those of the data set where none was trained on it."""
    folds = {(about.get("test_fold"), about.get("validation_fold")) for about in here}
    if len(folds) > 1:
        raise InputError(
            f"members of the model were trained with other folds ({first_few(sorted(map(str, folds)))} as test and "
            f"validation): one's {split} clips are another's training clips"
        )
    found: dict[str, Splits] = {}
    for about in here:
        splits = splits_of_record(about, dataset)
        if splits is None:
            raise InputError(
                "the model is one fold's and has no splits of its own; evaluate the model made of all folds"
            )
        found[splits.digest] = splits
    return list(found.values()) or [resolve_splits(dataset)]


def _splits_together(here: Records, parts: Sequence[Splits], dataset: Dataset) -> Splits:
    """The splits of members as one model."""
    if len(parts) == 1:
        return parts[0]
    together, validation = union_of(parts), parts[0].validation
    if not _share_validation(parts):
        given, _ = named_splits(dataset, here[0].get("test_fold"), here[0].get("validation_fold"))
        validation = np.setdiff1d(np.flatnonzero(given == VALIDATION), together.train)
    return replace(together, validation=validation)


def _share_validation(parts: Sequence[Splits]) -> bool:
    return all(np.array_equal(part.validation, parts[0].validation) for part in parts)


def _without(split: str, splits: Splits, dataset: Dataset, share_validation: bool) -> str:
    if split == "validation" and not share_validation:
        return (
            "each member of the model was validated on clips that other members were trained on, so all together have "
            "no validation split; use another one, or one member (of --folds: RUN/folds/fold-1)"
        )
    there = ", ".join(f"{name} ({len(found)} clips)" for name, found in splits.by_name().items() if len(found))
    way_out = "use --split all, or train with --test-fold" if split == "test" else f"train with --{split}-fold"
    return f"{dataset.name} must have a {split} split, it has {there}; {way_out}"


def _warn_of_ancestors(trained_on: Records, dataset: Dataset, rows: IntArray, split: str) -> None:
    """Says what a model's teacher, or the model that it began with, has learned from among clips to evaluate on."""
    seen = seen_clips(ancestors(trained_on), dataset)
    warn_of_seen("a model that this one learned from", seen, rows, f" to evaluate on ({split})")
