"""The recipes: each a paper's method section over the shared parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from earmark.config import Settings
from earmark.errors import InputError, did_you_mean
from earmark.models.tagger import Tagger
from earmark.recipes import baseline


@dataclass(frozen=True)
class Recipe:
    """A method: what it is called, what it does, its settings, and how it trains.

    Attributes:
        train: takes a `Job` with settings of the class named here and returns the trained tagger.
    """

    name: str
    summary: str
    settings: type[Settings]
    train: Callable[[Any], Tagger]


RECIPES = {
    recipe.name: recipe
    for recipe in (Recipe("baseline", "train on the labels as given", baseline.BaselineSettings, baseline.train),)
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if name not in RECIPES:
        raise InputError(f'unknown recipe "{name}"{did_you_mean(name, RECIPES)}')
    return RECIPES[name]
