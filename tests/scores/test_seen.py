"""Which clips a model's records say were learned from, through teachers too."""

import logging

import numpy as np
import pytest

from earmark.data.dataset import open_dataset
from earmark.data.splits import resolve_splits
from earmark.scores.seen import ancestors, seen_clips, warn_of_seen
from earmark.scores.split_rows import split_rows


@pytest.fixture
def folds(small_dataset):
    """The data set, and what a model says that was trained on fold 3, and one trained on fold 1."""
    dataset = open_dataset(small_dataset)

    def about(test_fold, validation_fold, **more):
        named = {"test_fold": test_fold, "validation_fold": validation_fold, "seed": 0, "splits": None}
        return {"dataset_digest": dataset.digest, **named, **more}

    return dataset, about


def test_a_model_has_seen_what_its_ancestors_saw(folds):
    dataset, about = folds
    teacher = about(3, 2)
    student = {"dataset_digest": "another", "learned_from": [{"dataset_digest": "x", "learned_from": [teacher]}]}
    assert ancestors([student]) == [student["learned_from"][0], teacher]
    seen = seen_clips([student], dataset)
    assert seen.rows.tolist() == resolve_splits(dataset, 3, 2).train.tolist()
    assert (seen.is_any, seen.is_untold) == (True, False)
    both = seen_clips([about(1, 2), teacher], dataset)
    assert both.rows.tolist() == np.union1d(*(resolve_splits(dataset, fold, 2).train for fold in (1, 3))).tolist()
    none = seen_clips([{"dataset_digest": "another"}, {}], dataset)
    assert (len(none.rows), none.is_any, none.is_untold) == (0, False, False)


def test_one_folds_model_does_not_tell_its_clips(folds, caplog):
    dataset, about = folds
    seen = seen_clips([about(None, None, splits="0123")], dataset)
    assert (len(seen.rows), seen.is_any, seen.is_untold) == (0, True, True)
    with caplog.at_level(logging.WARNING):
        warn_of_seen("the teacher", seen, np.arange(5), " to test on")
    assert "which of them its record does not tell; they may be among the 5 clips to test on" in caplog.text


@pytest.mark.parametrize(
    ("about", "untold"),
    [({"out_of_fold": False}, True), ({"out_of_fold": True, "folds": 4}, False), ({"out_of_fold": None}, True)],
)
def test_scores_that_do_not_say_who_scored(folds, about, untold):
    dataset, _ = folds
    seen = seen_clips([{"dataset_digest": dataset.digest, **about}], dataset)
    assert (len(seen.rows), seen.is_any, seen.is_untold) == (0, True, untold)


def test_an_evaluation_tells_what_a_teacher_saw(folds, caplog):
    dataset, about = folds
    teacher = about(3, 2)  # learned from fold 1
    with caplog.at_level(logging.WARNING):
        assert len(split_rows([about(1, 2, learned_from=[about(1, 2)])], dataset, "test")) == 12
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        # The splits are the model's own, whatever the folds of its teacher.
        rows = split_rows([about(1, 2, learned_from=[teacher])], dataset, "test")
    assert rows.tolist() == resolve_splits(dataset, 1, 2).test.tolist()
    assert "a model that this one learned from was trained on 12 of the 12 clips to evaluate on (test)" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        split_rows([{"dataset_digest": "another", "learned_from": [teacher]}], dataset, "all")
    assert "was trained on 12 of the 36 clips to evaluate on (all)" in caplog.text
