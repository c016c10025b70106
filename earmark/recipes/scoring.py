"""Scores of a data set by models trained as a finished run was."""

from pathlib import Path

import torch

from earmark.data.chunking import Chunking
from earmark.data.dataset import Dataset
from earmark.data.splits import resolve_splits
from earmark.errors import InputError
from earmark.files import read_json
from earmark.recipes import find_recipe
from earmark.recipes.folds import FOLDS
from earmark.recipes.job import Request
from earmark.recipes.out_of_fold import out_of_fold_scores
from earmark.recipes.run import run_recipe
from earmark.scores.store import ScoreStore


def score_out_of_fold(
    run: Path,
    dataset: Dataset,
    num_folds: int,
    folder: Path,
    *,
    chunking: Chunking | None = None,
    device: torch.device,
    precision: str = "fp32",
    workers: int | None,
) -> ScoreStore:
    """Out-of-fold scores of a data set's clips, or of their chunks, by models trained just as a run was.

    Args:
        precision: in which they are scored: fp32 or bf16, see `for_scoring`.

    Raises:
        InputError: the folder is no run, or one of another data set; or as for `out_of_fold_scores`.
    """
    path = run / "settings.json"
    if not path.is_file():
        raise InputError(f"{run}: folds are trained as a run was, and this is no run folder: there is no {path.name}")
    record = read_json(path)
    if record["dataset_digest"] != dataset.digest:
        raise InputError(
            f"{run}: was trained on {record['dataset']}, whose clips are not those of {dataset.folder}; leave "
            f"--folds out if it never saw these clips, or name a run trained on {dataset.folder}"
        )
    if record.get("folds") and not record.get("fold"):
        raise InputError(
            f"{run}: is {record['folds']} models, one a fold, and others are trained as one model was; name the run of "
            f"one, such as {run / FOLDS / 'fold-1'}"
        )
    request = Request(
        dataset=dataset,
        run=run,
        layer=record["labels"],
        test_fold=record["test_fold"],
        validation_fold=record["validation_fold"],
        seed=record["seed"],
        device=device,
        workers=workers,
    )
    if record["init"]:
        raise InputError(f"{run}: was fine-tuned from a model that may have seen any clip; train from new weights")
    if record.get("teacher"):
        raise InputError(f"{run}: learned from a teacher that may have seen any clip; score by the teacher's own run")
    recipe = find_recipe(record["recipe"])
    splits = resolve_splits(dataset, request.test_fold, request.validation_fold, request.seed)
    settings = {**record["settings"], **recipe.teaching}
    return out_of_fold_scores(
        lambda one: run_recipe(recipe, one, settings),
        request,
        splits,
        num_folds,
        folder,
        chunking,
        precision=precision,
    )
