"""Scores of clips by models that were not trained on them."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from earmark.data.chunking import Chunking
from earmark.data.packs import open_pack
from earmark.data.splits import Splits, fold_splits
from earmark.files import digest_of
from earmark.models.ensemble import Ensemble, Model, digest_of_model
from earmark.models.tagger import load_model
from earmark.recipes.job import Request
from earmark.scores.chunk_scores import store_scores, to_score
from earmark.scores.scorer import model_scorer
from earmark.scores.store import ScoreStore

log = logging.getLogger(__name__)


def out_of_fold_scores(
    train: Callable[[Request], object],
    request: Request,
    splits: Splits,
    num_folds: int,
    folder: Path,
    chunking: Chunking | None = None,
) -> ScoreStore:
    """Every clip's scores by models that never saw it: one model a fold, trained in `folder/folds`.

    The folds divide the training split. A clip of another split is in none; it has the mean of all models' scores, and
    its labels teach nobody. Killed anywhere, a rerun goes on.

    Args:
        train: trains a run, as `Request` says.
        splits: of the data set; see `fold_splits`.
        chunking: stores the scores of the clips' chunks instead of whole clips'.

    Raises:
        InputError: the clips cannot be divided into so many folds, or `folder` holds other scores.
    """
    parts = fold_splits(request.dataset, splits, num_folds, request.seed)
    runs = []
    for number, part in enumerate(parts, start=1):
        log.info("fold %d of %d", number, num_folds)
        run = folder / "folds" / f"{folder.resolve().name}-{number}"
        train(replace(request, run=run, splits=part, init=None, test_fold=None, validation_fold=None, resume=True))
        runs.append(run)
    taggers = [load_model(run) for run in runs]
    pack = open_pack(request.dataset, taggers[0].rate_hz, workers=request.workers)
    fold = np.full(request.dataset.num_clips, num_folds)
    for number, part in enumerate(parts):
        fold[part.test] = number
    about = {
        "model": digest_of(*(digest_of_model(run).encode() for run in runs)),
        "dataset": request.dataset.digest,
        "labels": request.layer,
        "folds": num_folds,
        "out_of_fold": True,
    }
    wanted = to_score(request.dataset, pack, np.arange(request.dataset.num_clips), chunking, training=splits.train)
    # A clip of another split is in no fold: its number is that of the last, which is all models together.
    models: list[Model] = [*taggers, Ensemble(taggers)]
    scorers = [model_scorer(model, request.device) for model in models]
    return store_scores(wanted, scorers, fold, folder, about)
