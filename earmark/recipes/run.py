"""A run: its folder, its record, and what a killed one needs to go on."""

import logging
from collections.abc import Mapping
from typing import Any

import torch

from earmark.config import settings_from, values_of
from earmark.data.splits import resolve_splits
from earmark.environment import describe_environment, resolve_precision, today
from earmark.errors import InputError
from earmark.files import read_json, write_json
from earmark.models.tagger import Tagger, save_model
from earmark.recipes import Recipe
from earmark.recipes.job import Job, Request
from earmark.recipes.parts import ModelSettings

log = logging.getLogger(__name__)


def run_recipe(recipe: Recipe, request: Request, overrides: Mapping[str, Any]) -> Tagger:
    """Trains by a recipe and leaves the run folder with its record and its model.

    Raises:
        InputError: the run folder holds another run, or a setting or the data cannot be used.
    """
    settings = settings_from(recipe.settings, overrides, where=f"recipe {recipe.name}")
    if request.init is not None:
        _refuse_model_settings(overrides)
    values = values_of(settings)
    values["precision"] = resolve_precision(values["precision"], request.device)
    splits = resolve_splits(request.dataset, request.test_fold, request.validation_fold, request.seed)
    record = {
        "recipe": recipe.name,
        "dataset": request.dataset.name,
        "dataset_digest": request.dataset.digest,
        "labels": request.layer,
        "test_fold": request.test_fold,
        "validation_fold": request.validation_fold,
        "init": str(request.init) if request.init else None,
        "seed": request.seed,
        "settings": values,
        "defaults": values_of(recipe.settings()),
    }
    _open_run(request, record)
    torch.manual_seed(request.seed)
    job = Job(request, settings_from(recipe.settings, values), splits)
    tagger = recipe.train(job)
    about = {name: record[name] for name in ("recipe", "dataset", "labels", "test_fold", "validation_fold", "seed")}
    about |= {"selected_on": "validation", "clips": len(splits.train), "date": today()}
    tagger.config = tagger.config.model_copy(update={"trained_on": about})
    save_model(tagger, request.run / "model")
    return tagger


def _refuse_model_settings(overrides: Mapping[str, Any]) -> None:
    for key in overrides:
        if key in ModelSettings.model_fields:
            raise InputError(f"{key} cannot be set together with --init: the architecture is the given model's")


def _open_run(request: Request, record: dict[str, Any]) -> None:
    """Makes the run folder, or checks that a folder to go on in is the same run."""
    path = request.run / "settings.json"
    if path.exists():
        if not request.resume:
            raise InputError(
                f"{request.run} must not exist yet, it holds a run; add --resume to go on, or name another"
            )
        _check_same_run(path.parent.name, read_json(path), record)
        threads = read_json(request.run / "environment.json")["threads"]
        if threads != torch.get_num_threads():
            log.warning(
                "the run began with %d threads and goes on with %d: its weights may differ in the last bits from an "
                "unbroken run's; set OMP_NUM_THREADS=%d for the same",
                threads,
                torch.get_num_threads(),
                threads,
            )
        log.info("going on with %s", request.run)
        return
    if request.run.exists() and (not request.run.is_dir() or any(request.run.iterdir())):
        raise InputError(f"{request.run} must be a new or an empty folder; name another")
    write_json(request.run / "environment.json", describe_environment(request.device))
    write_json(path, record)


def _check_same_run(name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    told = {key: value for key, value in before.items() if key not in ("settings", "defaults")} | before["settings"]
    asked = {key: value for key, value in now.items() if key not in ("settings", "defaults")} | now["settings"]
    for key in told.keys() | asked.keys():
        if told.get(key) != asked.get(key):
            raise InputError(
                f"--resume goes on with the same settings, but {name} has {key}={told.get(key)} and now it is "
                f"{asked.get(key)}; give the same, or name another run"
            )
