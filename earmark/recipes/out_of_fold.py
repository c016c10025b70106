"""Scores of clips by models that were not trained on them."""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from earmark.data.packs import Pack, open_pack
from earmark.data.splits import Splits, fold_splits
from earmark.files import digest_of
from earmark.models.ensemble import Ensemble, Model, digest_of_model
from earmark.models.tagger import load_model
from earmark.recipes.job import Request
from earmark.scores.predict import FloatArray, clip_scores
from earmark.scores.store import IntArray, ScoreStore, index_of_clips, write_scores

log = logging.getLogger(__name__)


def out_of_fold_scores(
    train: Callable[[Request], object], request: Request, splits: Splits, num_folds: int, folder: Path
) -> ScoreStore:
    """Every clip's scores by models that never saw it: one model a fold, trained in `folder/folds`.

    The folds divide the training split. A clip of another split is in none; it has the mean of all models' scores, and
    its labels teach nobody. Killed anywhere, a rerun goes on.

    Args:
        train: trains a run, as `Request` says.
        splits: of the data set; see `fold_splits`.

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
    models: list[Model] = [*taggers, Ensemble(taggers).eval()]
    rows = np.flatnonzero(pack.num_samples > 0)
    about = {
        "model": digest_of(*(digest_of_model(run).encode() for run in runs)),
        "dataset": request.dataset.digest,
        "labels": request.layer,
        "folds": num_folds,
        "out_of_fold": True,
    }
    score = functools.partial(_scores_by_fold, models, fold, pack, rows, request)
    index = index_of_clips(request.dataset, rows, splits.train)
    return write_scores(folder, index, request.dataset.vocabulary.tags, about, score)


def _scores_by_fold(
    models: list[Model], fold: IntArray, pack: Pack, rows: IntArray, request: Request, places: IntArray
) -> FloatArray:
    clips = rows[places]
    scores = np.zeros((len(clips), len(request.dataset.vocabulary)), np.float32)
    for number in np.unique(fold[clips]):
        mine = np.flatnonzero(fold[clips] == number)
        scores[mine] = clip_scores(models[number], pack, clips[mine], device=request.device)[1]
    return scores
