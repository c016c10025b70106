"""A run: its folder, its record, and what a killed one needs to go on."""

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from earmark.config import Settings, settings_from, values_of
from earmark.data.splits import Splits, cross_validation, resolve_splits, union_of
from earmark.environment import describe_environment, resolve_precision, today
from earmark.errors import InputError, OtherWorkError, first_few
from earmark.files import digest_of, read_json, write_json
from earmark.models.ensemble import digest_of_model, records_of
from earmark.models.tagger import load_model, model_folder, save_model
from earmark.recipes import Recipe, find_recipe, read_preset
from earmark.recipes.folds import FOLDS, refuse_empty_folds, train_folds
from earmark.recipes.job import Job, Request
from earmark.recipes.parts import ModelSettings
from earmark.recipes.rounds import ROUNDS
from earmark.recipes.teacher import OWN_TEACHER, PSEUDO_LABELS, digest_of_teacher, records_of_teacher
from earmark.training.profile import StepsMeasured, StepTimes

log = logging.getLogger(__name__)


def run_recipe(recipe: Recipe, request: Request, overrides: Mapping[str, Any]) -> Splits:
    """Trains by a recipe and leaves the run folder with its record and its model; returns the splits used.

    Raises:
        InputError: the run folder holds another run, or a setting or the data cannot be used.
    """
    _refuse_truth(request)
    _refuse_unread(recipe, request)
    if request.init is not None:
        _refuse_model_settings(overrides)
    settings = settings_from(recipe.settings, overrides, where=f"recipe {recipe.name}")
    if not len(request.dataset.vocabulary):
        raise InputError(f"{request.dataset.name} must have tags to learn, found none")
    values = values_of(settings)
    values["precision"] = resolve_precision(values["precision"], request.device)
    parts = _parts(request)
    splits = union_of(parts) if parts else _splits(request)
    _refuse_splits(recipe, request, parts or [splits], settings)
    record, is_new = _record(recipe, request, values), not request.run.exists()
    _open_run(request, record)
    try:
        if (request.run / "model" / "config.json").is_file():
            log.info("%s is done", request.run)
        elif parts:
            same = {**overrides, "precision": values["precision"]}
            train_folds(lambda fold: run_recipe(recipe, fold, same), request, parts, recipe.fold_mean)
        else:
            _train(recipe, request, splits, values, record)
    except InputError:
        if is_new:
            _remove_unless_begun(request.run)
        raise
    return splits


def profile_recipe(recipe: Recipe, request: Request, overrides: Mapping[str, Any]) -> StepTimes:
    """What the steps of a recipe's training take, by a few of them; no run is made.

    Where a teacher or several folds are trained, these come first: then the steps are theirs, and `StepTimes.folder`
    says where in a run they lie.

    Raises:
        InputError: as for `run_recipe`.
    """
    with tempfile.TemporaryDirectory(prefix="earmark-profile-") as folder:
        run = Path(folder)
        try:
            run_recipe(recipe, replace(request, run=run, resume=False, profile=True), overrides)
        except StepsMeasured as measured:
            return replace(measured.found, folder=measured.found.folder.relative_to(run))
    raise AssertionError(f"recipe {recipe.name} must train by fit, and pass the request's profile on")


def _refuse_splits(recipe: Recipe, request: Request, parts: Sequence[Splits], settings: Settings) -> None:
    """Raises InputError where the recipe cannot learn from one of the splits, before it learns from any."""
    if recipe.refuse is None:
        return
    for number, part in enumerate(parts, start=1):
        try:
            recipe.refuse(request, part, settings)
        except InputError as error:
            if len(parts) == 1:
                raise
            raise InputError(f"fold {number}: {error}; name fewer with --folds, or another --seed") from error


def _splits(request: Request) -> Splits:
    """The splits of one model."""
    if request.splits is not None:
        return request.splits
    return resolve_splits(request.dataset, request.test_fold, request.validation_fold, request.seed)


def _parts(request: Request) -> list[Splits]:
    """The splits of each fold's model, where there is to be one a fold; else none."""
    if request.folds is None or request.fold is not None:
        return []
    parts = cross_validation(request.dataset, request.folds, request.test_fold, request.seed)
    refuse_empty_folds(request, parts)
    return parts


def _train(
    recipe: Recipe, request: Request, splits: Splits, values: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Trains one model and writes it, with what it was trained on."""
    resolved = settings_from(recipe.settings, values)
    # Before training, as they are now: by its end they may have been moved.
    learned_from = _learned_from(request)

    def teach(other: Request) -> Splits:
        return run_recipe(recipe, other, {**values, **recipe.teaching})

    def train(name: str, other: Request, preset: str | None, settings: Mapping[str, Any]) -> Splits:
        return run_recipe(find_recipe(name), other, {**(read_preset(name, preset) if preset else {}), **settings})

    tagger = recipe.train(Job(request, resolved, splits, teach, train))
    if recipe.takes_teacher and (request.run / OWN_TEACHER).is_dir():
        learned_from += records_of(request.run / OWN_TEACHER)
    trained_on = _trained_on(record, values, splits, learned_from)
    tagger.config = tagger.config.model_copy(update={"trained_on": trained_on})
    save_model(tagger, request.run / "model")


def _record(recipe: Recipe, request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    """What `settings.json` holds, and what a run that goes on must agree with."""
    # With --init the architecture is the given model's, and these settings are read by nobody.
    unread = ModelSettings.model_fields if request.init else ()
    defaults = values_of(recipe.settings())
    return {
        "recipe": recipe.name,
        "dataset": request.dataset.name,
        "dataset_digest": request.dataset.digest,
        "labels": request.layer,
        "labels_digest": request.dataset.labels(request.layer).digest,
        "vocabulary_digest": digest_of("\n".join(request.dataset.vocabulary.tags).encode()),
        "test_fold": request.test_fold,
        "validation_fold": request.validation_fold,
        "splits": request.splits.digest if request.splits else None,
        "folds": request.folds,
        "fold": request.fold,
        "init": _digest_of_init(request.init) if request.init else None,
        "teacher": digest_of_teacher(request.teacher) if request.teacher else None,
        "tag_map": _digest_of_map(request.tag_map) if request.tag_map else None,
        "seed": request.seed,
        "settings": {key: value for key, value in values.items() if key not in unread},
        "defaults": {key: value for key, value in defaults.items() if key not in unread},
    }


def _digest_of_init(folder: Path) -> str:
    """The model that a run begins with, by its content."""
    path = model_folder(folder) / "model.safetensors"
    if not path.is_file():
        if path.with_name("config.json").is_file():
            load_model(folder)  # which says what is there instead
        raise InputError(f"--init must name a model folder or a run folder with a model; there is no {path}")
    return digest_of_model(folder)


def _digest_of_map(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"--map must name a file made by `earmark map`; there is no {path}")
    return digest_of(path.read_bytes())


def _learned_from(request: Request) -> list[Mapping[str, Any]]:
    """What the given model and teacher were trained on."""
    given = records_of(request.init) if request.init else []
    return [*given, *(records_of_teacher(request.teacher) if request.teacher else [])]


def _trained_on(
    record: Mapping[str, Any], values: Mapping[str, Any], splits: Splits, learned_from: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the model says of its training; under "learned_from", what those it learned from say of theirs."""
    names = ("recipe", "dataset", "dataset_digest", "labels", "test_fold", "validation_fold", "splits", "seed")
    chosen = values["final_weights"] in ("best", "top_k") or values["patience"] is not None
    selected_on = "validation" if chosen else None
    about = {name: record[name] for name in names}
    about |= {name: record[name] for name in ("folds", "fold") if record[name] is not None}
    about |= {"selected_on": selected_on, "clips": len(splits.train), "date": today()}
    return {**about, "learned_from": list(learned_from)} if learned_from else about


def _refuse_truth(request: Request) -> None:
    if request.dataset.is_truth(request.layer):
        raise InputError(
            f'{request.dataset.folder}: label layer "{request.layer}" is the truth about planted faults and nothing '
            f"learns from it; train on another layer and score with `earmark evaluate --labels {request.layer}`"
        )


def _refuse_unread(recipe: Recipe, request: Request) -> None:
    if request.teacher is not None and not recipe.takes_teacher:
        raise InputError(f"recipe {recipe.name} has no teacher; --teacher is for psl")
    if request.folds is not None and request.validation_fold is not None:
        raise InputError("--folds validates each model on its own part of the clips; leave --validation-fold out")
    if request.tag_map is not None and request.teacher is None:
        raise InputError("--map says which of a teacher's tags stand for the data set's; give --teacher too")


def _refuse_model_settings(overrides: Mapping[str, Any]) -> None:
    for key in overrides:
        if key in ModelSettings.model_fields:
            raise InputError(f"{key} cannot be set together with --init: the architecture is the given model's")


def _open_run(request: Request, record: dict[str, Any]) -> None:
    """Makes the run folder, or checks that a folder to go on in is the same run.

    A folder whose run has no checkpoint yet has not begun: its record is written anew, whatever it said. Where it said
    something else, what is soon made again goes, such as figures. What the same recipe left of a teacher and its scores
    stays for it to judge, by what they say of themselves (`recipes.teacher.made_in`); what another left is refused.
    """
    run = request.run
    if any(_has_begun(one) for one in (run, *run.glob(f"{FOLDS}/fold-*"))):
        if not request.resume:
            raise InputError(f"{run} must not exist yet, it holds a run; add --resume to go on, or name another")
        _check_same_run(run, record)
        _warn_of_other_environment(run, describe_environment(request.device))
        log.info("going on with %s", run)
        return
    ours = {"settings.json", "environment.json", "data.json", "checkpoints", "figures", ROUNDS}
    told = _told(run)
    if _is_left_of_folds(run / FOLDS, goes_on=record["folds"] is not None):
        ours.add(FOLDS)
    if isinstance(told, dict) and told.get("recipe") == record["recipe"]:
        ours |= {OWN_TEACHER, PSEUDO_LABELS}
    strange = (
        [path.name for path in run.iterdir() if path.name not in ours and ".part" not in path.name]
        if run.is_dir()
        else []
    )
    if strange:
        raise InputError(f"{run} must be a new or an empty folder, it holds {first_few(sorted(strange))}; name another")
    if told not in (None, record):
        shutil.rmtree(run / "figures", ignore_errors=True)
        (run / "data.json").unlink(missing_ok=True)
        if _is_left_of_folds(run / FOLDS, goes_on=False):
            shutil.rmtree(run / FOLDS, ignore_errors=True)
    write_json(run / "environment.json", describe_environment(request.device))
    write_json(run / "settings.json", record)


def _has_begun(run: Path) -> bool:
    return (run / "checkpoints" / "last.safetensors").exists() or (run / "model").exists()


def _is_left_of_folds(folds: Path, *, goes_on: bool) -> bool:
    """Whether a folder is what a run of folds left before training began: nothing that took long, unless it goes on."""
    if not all(path.match("fold-*") for path in folds.glob("*")):
        return False
    return goes_on or not any(path.suffix in (".safetensors", ".npy") for path in folds.rglob("*"))


def _remove_unless_begun(run: Path) -> None:
    """Removes a folder in which there are records of a run alone: what was asked for was refused before any work."""
    records = {"settings.json", "environment.json", "data.json"}
    if {path.name for path in run.rglob("*") if path.is_file()} <= records:
        shutil.rmtree(run)


def _told(run: Path) -> Any:
    """The record in a run folder; None where there is none that can be read."""
    try:
        return read_json(run / "settings.json")
    except (OSError, ValueError):
        return None


def _check_same_run(run: Path, now: Mapping[str, Any]) -> None:
    try:
        before = read_json(run / "settings.json")
        told, asked = ({**kept, **kept["settings"]} for kept in (before, now))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{run / 'settings.json'} must be the record of the run, {error!r}; name another run"
        ) from error
    # What an older version did not know yet, it did as is the default now.
    told = {**now["defaults"], **told}
    differing = [key for key in asked if key not in ("settings", "defaults") and told.get(key) != asked[key]]
    if differing:
        was = first_few(f"{key}={told.get(key)} (now {asked[key]})" for key in differing)
        raise OtherWorkError(
            f"{run} was begun with {was}",
            "--resume goes on with the same data and settings; give these, or name another run folder",
        )


def _warn_of_other_environment(run: Path, now: Mapping[str, Any]) -> None:
    path = run / "environment.json"
    before = read_json(path) if path.exists() else {}
    for key in ("threads", "device", "torch"):
        if before.get(key) != now[key]:
            log.warning(
                "the run began with %s %s and goes on with %s: its weights may differ from an unbroken run's",
                key,
                before.get(key),
                now[key],
            )
