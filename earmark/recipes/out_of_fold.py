"""Scores of clips by models that were not trained on them."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earmark.data.chunking import Chunking
from earmark.data.packs import open_pack
from earmark.data.splits import Splits, fold_splits
from earmark.errors import InputError, first_few
from earmark.files import digest_of, read_json, write_json
from earmark.models.ensemble import Ensemble, Model, digest_of_model
from earmark.models.tagger import load_model
from earmark.recipes.job import Request
from earmark.scores.chunk_scores import store_scores, to_score
from earmark.scores.scorer import model_scorer
from earmark.scores.store import ScoreStore

log = logging.getLogger(__name__)

RECORD = "folds.json"
"""Says beside the folds' runs how many there are and of what, before there is a store that says it."""


def out_of_fold_scores(
    train: Callable[[Request], object],
    request: Request,
    splits: Splits,
    num_folds: int,
    folder: Path,
    chunking: Chunking | None = None,
    *,
    precision: str = "fp32",
) -> ScoreStore:
    """Every clip's scores by models that never saw it: one model a fold, trained in `folder/folds`.

    The folds divide the training split. A clip of another split is in none; it has the mean of all models' scores, and
    its labels teach nobody. Killed anywhere, a rerun goes on.

    Args:
        train: trains a run, as `Request` says.
        splits: of the data set; see `fold_splits`.
        chunking: stores the scores of the clips' chunks instead of whole clips'.
        precision: in which they are scored: fp32 or bf16, see `for_scoring`.

    Raises:
        InputError: the clips cannot be divided into so many folds, or `folder` holds something else, or other scores;
            said before any model is trained.
    """
    parts = fold_splits(request.dataset, splits, num_folds, request.seed)
    whose = {"dataset": request.dataset.digest, "labels": request.layer, "folds": num_folds, "out_of_fold": True}
    _check_folder(folder, {**whose, **(chunking.model_dump() if chunking else {})})
    write_json(folder / "folds" / RECORD, whose)
    runs = []
    others = replace(request, init=None, test_fold=None, validation_fold=None, folds=None, fold=None, resume=True)
    for number, part in enumerate(parts, start=1):
        log.info("fold %d of %d", number, num_folds)
        run = folder / "folds" / f"{folder.resolve().name}-{number}"
        train(replace(others, run=run, splits=part))
        runs.append(run)
    taggers = [load_model(run) for run in runs]
    pack = open_pack(request.dataset, taggers[0].rate_hz, workers=request.workers)
    fold = np.full(request.dataset.num_clips, num_folds)
    for number, part in enumerate(parts):
        fold[part.test] = number
    about = {"model": digest_of(*(digest_of_model(run).encode() for run in runs)), "precision": precision, **whose}
    wanted = to_score(request.dataset, pack, np.arange(request.dataset.num_clips), chunking, training=splits.train)
    # A clip of another split is in no fold: its number is that of the last, which is all models together.
    models: list[Model] = [*taggers, Ensemble(taggers)]
    scorers = [model_scorer(model, request.device, precision=precision) for model in models]
    return store_scores(wanted, scorers, fold, folder, about)


def refuse_folds(folder: Path) -> None:
    """Raises InputError where out-of-fold scores were begun in a folder, into which one model's are to go."""
    if (folder / "folds").exists():
        raise InputError(f"{folder}: holds folds of out-of-fold scores; go on with --folds, or name another folder")


def _check_folder(folder: Path, asked: Mapping[str, Any]) -> None:
    """Raises InputError unless a folder is new or holds what was begun of these very scores."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: must be a folder, found a file; name another")
    ours = {"folds", "about.json", "begun.json", "index.parquet", "scores.npy"}
    inside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    strange = sorted(name for name in inside if name not in ours and ".part" not in name)
    if strange:
        raise InputError(f"{folder}: must be a new or an empty folder, it holds {first_few(strange)}; name another")
    for held, is_store in _held(folder):
        if "folds" not in held:
            raise InputError(f"{folder}: holds scores of one model, not out-of-fold ones; name another folder")
        if held["folds"] != asked["folds"]:
            raise InputError(
                f"{folder}: was begun with {held['folds']} folds, not {asked['folds']}; name another folder"
            )
        other = _difference(held, asked, ("chunk_s", "min_chunk_s") if is_store else ())
        if other:
            raise InputError(f"{folder}: holds other scores, {other}; name another folder")


def _held(folder: Path) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """What a folder's records say of the scores there, and whether it is a store's."""
    for path in (folder / "about.json", folder / "begun.json", folder / "folds" / RECORD):
        if path.is_file():
            told = read_json(path)
            yield told.get("request", {}) if path.name == "begun.json" else told, path.name != RECORD


def _difference(held: Mapping[str, Any], asked: Mapping[str, Any], cut: tuple[str, ...]) -> str | None:
    """What two requests differ in, in words."""
    if held.get("dataset") != asked["dataset"]:
        return "of another data set"
    if held.get("labels") != asked["labels"]:
        return f'labels "{held.get("labels")}", not "{asked["labels"]}"'
    if cut and ("chunk_s" in held) != ("chunk_s" in asked):
        return "of whole clips, not of chunks" if "chunk_s" in asked else "of chunks, not of whole clips"
    differing = [f"{name} {held.get(name)}, not {asked[name]}" for name in cut if held.get(name) != asked.get(name)]
    return ", ".join(differing) or None
