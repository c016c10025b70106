"""The clips that models are judged on, as their records tell their splits."""

import logging
from typing import Any

import numpy as np
import pytest

from earmark.data.dataset import Dataset, open_dataset
from earmark.data.splits import cross_validation, resolve_splits
from earmark.errors import InputError
from earmark.scores.seen import never_saw, seen_clips, splits_of_record
from earmark.scores.split_rows import split_rows


@pytest.fixture
def dataset(small_dataset) -> Dataset:
    return open_dataset(small_dataset)


def folds_of(dataset: Dataset, num_folds: int = 3, **more: Any) -> list[dict[str, Any]]:
    """What the models of folds say, beside fold 1 of the data set to test on."""
    about = {"dataset_digest": dataset.digest, "test_fold": 1, "validation_fold": None, "seed": 0, "folds": num_folds}
    parts = cross_validation(dataset, num_folds, 1)
    return [{**about, "fold": place + 1, "splits": part.digest, **more} for place, part in enumerate(parts)]


def test_members_of_other_folds_have_no_common_split(dataset):
    about = {"dataset_digest": dataset.digest, "test_fold": 1, "validation_fold": 2}
    assert len(split_rows([about, {**about, "seed": 5}], dataset, "test")) == 12
    with pytest.raises(InputError, match="members of the model were trained with other folds"):
        split_rows([about, {**about, "test_fold": 3}], dataset, "test")
    with pytest.raises(InputError, match="the model is one fold's"):
        split_rows([about, {**about, "splits": "0123"}], dataset, "test")


def test_the_models_of_folds_share_their_test_and_train_on_all_else(dataset, caplog):
    members, parts = folds_of(dataset), cross_validation(dataset, 3, 1)
    everyone = resolve_splits(dataset, 1)
    with caplog.at_level(logging.WARNING):
        assert split_rows(members, dataset, "test").tolist() == everyone.test.tolist()
        for about, part in zip(members, parts, strict=True):
            assert split_rows([about], dataset, "validation").tolist() == part.validation.tolist()
    assert not caplog.text
    assert split_rows(members[:2], dataset, "train").tolist() == sorted({*parts[0].train, *parts[1].train})
    assert "the model was trained on the train split" in caplog.text
    assert split_rows(members[:1], dataset, "train").tolist() == parts[0].train.tolist()
    for several in (members, members[1:]):
        with pytest.raises(InputError, match="was validated on clips that other members were trained on, so all toget"):
            split_rows(several, dataset, "validation")


def test_a_fold_that_chose_its_weights_says_so(dataset, caplog):
    about = folds_of(dataset, selected_on="validation")[0]
    split_rows([about], dataset, "validation")
    assert "the model was selected on the validation split: these figures flatter it" in caplog.text
    caplog.clear()
    split_rows([about], dataset, "test")
    assert not caplog.text


def test_members_whose_validation_was_drawn_by_other_seeds_have_none_in_common(dataset):
    about = {"dataset_digest": dataset.digest, "test_fold": 1}
    drawn = [resolve_splits(dataset, 1, seed=seed).validation.tolist() for seed in (0, 1)]
    assert drawn[0] != drawn[1]
    assert split_rows([about, {**about, "seed": 0}], dataset, "validation").tolist() == drawn[0]
    with pytest.raises(InputError, match="was validated on clips that other members were trained on"):
        split_rows([about, {**about, "seed": 1}], dataset, "validation")
    assert len(split_rows([about, {**about, "seed": 1}], dataset, "test")) == 12


def test_what_the_models_of_folds_have_seen_is_told(dataset):
    members, parts = folds_of(dataset), cross_validation(dataset, 3, 1)
    assert seen_clips(members[:1], dataset).rows.tolist() == parts[0].train.tolist()
    seen = seen_clips([{"learned_from": members}], dataset)
    assert seen.rows.tolist() == sorted(np.concatenate([part.validation for part in parts]).tolist())
    assert (seen.is_any, seen.is_untold) == (True, False)
    assert not never_saw(members, dataset)
    other = {**members[0], "splits": "0123"}
    assert splits_of_record(other, dataset) is None
    assert seen_clips([other], dataset).is_untold
