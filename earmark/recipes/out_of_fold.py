"""Scores of clips by models that were not trained on them."""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from earmark.data.packs import Pack, open_pack
from earmark.data.splits import Splits, fold_splits
from earmark.files import digest_of
from earmark.models.ensemble import Ensemble, Model
from earmark.models.tagger import load_model
from earmark.recipes.job import Request
from earmark.scores.predict import FloatArray, clip_scores
from earmark.scores.store import IntArray, ScoreStore, index_of_clips, write_scores

log = logging.getLogger(__name__)


def out_of_fold_scores(
    train: Callable[[Request], object], request: Request, splits: Splits, num_folds: int, folder: Path
) -> ScoreStore:
    """Every clip's scores by models that never saw it: one model a fold, trained in `folder/folds`.

    A clip of the test split is in no fold; it has the mean of all models' scores. Killed anywhere, a rerun goes on.

    Args:
        train: trains a run, as `Request` says.
        splits: of the data set; see `fold_splits`.

    Raises:
        InputError: the clips cannot be divided into so many folds, or `folder` holds other scores.
    """
    parts = fold_splits(request.dataset, splits, num_folds, request.seed)
    taggers = []
    for number, part in enumerate(parts, start=1):
        log.info("fold %d of %d", number, num_folds)
        run = folder / "folds" / f"{folder.resolve().name}-{number}"
        train(replace(request, run=run, splits=part, init=None, test_fold=None, validation_fold=None, resume=True))
        taggers.append(load_model(run))
    pack = open_pack(request.dataset, taggers[0].rate_hz, workers=request.workers)
    fold = np.full(request.dataset.num_clips, num_folds)
    for number, part in enumerate(parts):
        fold[part.test] = number
    models: list[Model] = [*taggers, Ensemble(taggers).eval()]
    rows = np.flatnonzero(pack.num_samples > 0)
    about = {
        "model": digest_of(*(part.digest.encode() for part in parts)),
        "dataset": request.dataset.digest,
        "labels": request.layer,
        "folds": num_folds,
        "out_of_fold": True,
    }
    score = functools.partial(_scores_by_fold, models, fold, pack, rows, request)
    index = index_of_clips(request.dataset.clips["clip"].take(pa.array(rows)))
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
