"""A teacher's scores of the chunks that a student learns from: scored already, by a model, or by one trained first."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.splits import resolve_splits
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, did_you_mean, first_few
from earmark.files import digest_of
from earmark.models.ensemble import Model, digest_of_model, open_model
from earmark.recipes.job import Job
from earmark.relabel.chunk_figures import write_coverage_figures
from earmark.scores.chunk_scores import store_chunk_scores
from earmark.scores.scorer import Scorer, model_scorer
from earmark.scores.store import ScoreStore, is_score_store, open_scores
from earmark.tag_map import TagMap, read_tag_map
from earmark.training.targets import SoftLabels, WeakLabels

log = logging.getLogger(__name__)

TEACHER_RECIPE = "baseline"
TEACHER_SETTINGS = {"sampling": "class_cyclic"}
"""What the teacher's recipe changes of its defaults, where no preset is named."""
CHUNK_S = 2.0


def pseudo_labels(job: Job[Any], asked: Chunking | None, clips: Excerpts, preset: str | None) -> ScoreStore:
    """The teacher's scores of every chunk of the training clips, as a store.

    `Request.teacher` is a store, a model or a scorer; where there is none, one is trained in `RUN/teacher` on the
    training clips and those of the split "teacher". Scores that are made here lie in `RUN/pseudo-labels`.

    Args:
        asked: how clips are to be cut; None: as the store says, or in chunks of 2 s.
        clips: the whole training clips.
        preset: of the baseline that the teacher is trained by; None: the baseline's defaults, tags in turn.

    Raises:
        InputError: the scores are of other chunks than asked for, or the teacher knows other tags and no map is given.
    """
    request, chunking = job.request, asked or Chunking(chunk_s=CHUNK_S)
    if isinstance(request.teacher, Path) and is_score_store(request.teacher):
        store = open_scores(request.teacher)
        if asked is not None and store.chunking is not None and store.chunking != asked:
            raise InputError(
                f"{store.folder}: holds scores of {store.chunking}, and {asked} were asked for; leave chunk_s and "
                "min_chunk_s out, or score again"
            )
        return store
    scorer = _scorer(job, preset)
    check_tags(scorer.tags, job, str(request.teacher or "the teacher"))
    return store_chunk_scores(
        scorer,
        request.dataset,
        clips.clip_index,
        chunking,
        request.run / "pseudo-labels",
        training=job.splits.train,
        out_of_fold=False,
        workers=request.workers,
    )


def chunks_and_targets(
    job: Job[Any], store: ScoreStore, clips: Excerpts, rate_hz: int, alpha: float
) -> tuple[Chunking, Excerpts, SoftLabels]:
    """How the store's clips are cut, the chunks that are learned from at a rate, and what each of them should score.

    Writes the figures of what the scores say of the training clips, where the tags are the data set's own.

    Args:
        alpha: the teacher's share of the targets.

    Raises:
        InputError: the store is of whole clips, of none of these, or of other tags and there is no map.
    """
    request = job.request
    tag_map = check_tags(store.tags, job, str(store.folder))
    chunks, score_row = store.chunks_of(request.dataset, clips, rate_hz)
    assert store.chunking is not None
    unscored = len(clips) - len(np.unique(chunks.clip_index))
    if unscored:
        log.warning("%d of %d training clips have no scores and are not learned from", unscored, len(clips))
    if tag_map is None:
        figures = request.run / "figures"
        write_coverage_figures(figures, request.dataset, [store], request.layer, rows=clips.clip_index)
    weak = WeakLabels(request.dataset.labels(request.layer), chunks)
    return store.chunking, chunks, SoftLabels(store.read, score_row, weak, alpha, tag_map)


def check_tags(tags: tuple[str, ...], job: Job[Any], teacher: str) -> TagMap | None:
    """The map from the teacher's tags to the data set's; None where they are the same.

    Raises:
        InputError: they differ and no map is given.
    """
    dataset, tag_map = job.request.dataset, job.request.tag_map
    if tag_map is not None:
        return read_tag_map(tag_map, dataset.vocabulary, Vocabulary(tags))
    ours = dataset.vocabulary.tags
    if tags == ours:
        return None
    strange = [tag for tag in ours if tag not in tags]
    what = f"it lacks {first_few(strange)}{did_you_mean(strange[0], tags)}" if strange else "their order or number"
    raise InputError(
        f"{teacher} scores {len(tags)} tags ({first_few(tags, 3)}), {dataset.name} has {len(ours)} "
        f"({first_few(ours, 3)}): {what} differs; say which tags stand for which with --map FILE, made by `earmark map`"
    )


def digest_of_teacher(teacher: Path | Scorer) -> str:
    """A short name of a teacher by what it is: a model, a store, or what a callable is called."""
    if isinstance(teacher, Scorer):
        return teacher.digest
    if is_score_store(teacher):
        return digest_of((open_scores(teacher).folder / "about.json").read_bytes())
    return digest_of_model(teacher)


def _scorer(job: Job[Any], preset: str | None) -> Scorer:
    request = job.request
    if isinstance(request.teacher, Scorer):
        return request.teacher
    if request.teacher is not None:
        model = open_model(request.teacher)
        _warn_of_seen_clips(model, job)
        return model_scorer(model, request.device)
    return model_scorer(_trained_teacher(job, preset), request.device)


def _trained_teacher(job: Job[Any], preset: str | None) -> Model:
    """A teacher trained as the paper's is: on the weak labels of more clips than the student's, if there are more."""
    splits, request = job.splits, job.request
    if not len(splits.teacher):
        log.info('no clip has the split "teacher": the teacher learns from the same clips as the student')
    run = request.run / "teacher"
    other = replace(
        request,
        run=run,
        splits=splits.of_teacher() if len(splits.teacher) else request.splits,
        init=None,
        teacher=None,
        tag_map=None,
        resume=True,
    )
    job.train(TEACHER_RECIPE, other, preset, {} if preset else TEACHER_SETTINGS)
    return open_model(run)


def _warn_of_seen_clips(model: Model, job: Job[Any]) -> None:
    """Says how many clips that are validated or tested on here the teacher has learned from, as far as it records."""
    dataset = job.request.dataset
    mine = np.union1d(job.splits.validation, job.splits.test)
    seen = np.empty(0, np.int64)
    for about in model.trained_on():
        if about.get("dataset_digest") == dataset.digest and not about.get("splits"):
            splits = resolve_splits(dataset, about["test_fold"], about["validation_fold"], about["seed"])
            seen = np.union1d(seen, splits.train)
    count = len(np.intersect1d(seen, mine))
    if count:
        log.warning(
            "the teacher was trained on %d of the %d clips that this run validates or tests on: figures on them "
            "flatter the student",
            count,
            len(mine),
        )
