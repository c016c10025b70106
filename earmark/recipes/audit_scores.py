"""Scores for an audit of labels: every clip by a model that never saw it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from earmark.config import settings_from
from earmark.data.splits import TEACHER, TEST, TRAIN, VALIDATION, Splits, named_splits
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.recipes.run import run_recipe
from earmark.scores.store import ScoreStore


def scores_for_audit(recipe: str, request: Request, settings: Mapping[str, Any], num_folds: int) -> ScoreStore:
    """Out-of-fold scores of all clips by new models, kept in the request's folder; killed anywhere, a rerun goes on.

    All clips but those of a validation or test split that the data set gives are in a fold: nothing is drawn to
    validate on but what each fold draws for itself. What those splits hold is scored by all models together.

    Raises:
        InputError: there is no such recipe, or as for `out_of_fold_scores`.
    """
    chosen = find_recipe(recipe)
    split, notes = named_splits(request.dataset)
    train, validation, test, teacher = (np.flatnonzero(split == one) for one in (TRAIN, VALIDATION, TEST, TEACHER))
    splits = Splits(train, validation, test, tuple(notes), teacher)
    values = {**settings, **chosen.teaching}
    # First: a folder is made before the first model's settings are looked at.
    settings_from(chosen.settings, values, where=f"recipe {recipe}")

    def train_one(one: Request) -> object:
        return run_recipe(chosen, one, values)

    return out_of_fold_scores(train_one, request, splits, num_folds, request.run)
