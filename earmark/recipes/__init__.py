"""The recipes: each a paper's method section over the shared parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from earmark.config import Settings, values_of
from earmark.errors import InputError, did_you_mean
from earmark.models.ensemble import Mean
from earmark.models.tagger import Tagger
from earmark.recipes import baseline, class_frame, linear, psl, psla, staged
from earmark.recipes.enhanced import Enhancing

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Recipe:
    """A method: what it is called, what it does, its settings, and how it trains.

    Attributes:
        train: takes a `Job` with settings of the class named here and returns the trained tagger.
        teaching: the settings that differ when a model is trained only to score clips that it has not seen.
        takes_teacher: whether it learns from the scores of a model that is given.
        fold_mean: how the scores of the models of several folds are averaged.
        refuse: raises InputError where the splits of a request cannot be learned from, before anything is trained.
        finds_events: whether it learns when tags sound, so that the model is to be tuned and evaluated by events too.
    """

    name: str
    summary: str
    settings: type[Settings]
    train: Callable[[Any], Tagger]
    teaching: Mapping[str, Any] = field(default_factory=dict)
    takes_teacher: bool = False
    fold_mean: Mean = "arithmetic"
    finds_events: bool = False
    refuse: Callable[[Any, Any, Any], None] | None = None


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("baseline", "train on the labels as given", baseline.BaselineSettings, baseline.train),
        Recipe(
            "psl",
            "a teacher scores short chunks, a student learns them",
            psl.PslSettings,
            psl.train,
            takes_teacher=True,
        ),
        Recipe(
            "psla",
            "pretraining, balanced sampling, augmentation, label enhancement by ontology, averaging",
            psla.PslaSettings,
            psla.train,
            {**values_of(Enhancing()), "keep_from_epoch": None},
        ),
        Recipe(
            "staged",
            "verified clips first, then all but those whose loss says that their label is wrong; two activations",
            staged.StagedSettings,
            staged.train,
            fold_mean="geometric",
        ),
        Recipe(
            "class_frame",
            "strong and weak clips together; weak ones' frames labelled by the model, round by round",
            class_frame.ClassFrameSettings,
            class_frame.train,
            finds_events=True,
            refuse=class_frame.refuse,
        ),
        Recipe("linear", "a new last layer for a model that is there (--init)", linear.LinearSettings, linear.train),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if name not in RECIPES:
        raise InputError(f'unknown recipe "{name}"{did_you_mean(name, RECIPES)}')
    return RECIPES[name]


def preset_names(recipe: str) -> list[str]:
    """The presets that a recipe has beside its defaults."""
    return sorted(path.stem for path in (PRESETS / recipe).glob("*.yaml"))


def read_preset(recipe: str, preset: str) -> dict[str, Any]:
    """The settings of a preset, or of a YAML file of `key: value` lines.

    Raises:
        InputError: there is neither, or the file holds something else.
    """
    known = preset_names(recipe)
    path = PRESETS / recipe / f"{preset}.yaml" if preset in known else Path(preset)
    if not path.is_file():
        raise InputError(f'recipe {recipe} has no preset "{preset}", nor is that a file{did_you_mean(preset, known)}')
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: must be YAML, {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"{path}: must hold lines of key: value")
    return values
