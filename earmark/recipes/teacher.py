"""A teacher's scores of the chunks that a student learns from: scored already, by a model, or by one trained first."""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from earmark.data.chunking import Chunking, chunking_from
from earmark.data.clips import Excerpts
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, OtherWorkError, did_you_mean, first_few
from earmark.files import digest_of
from earmark.models.ensemble import Model, digest_of_model, drop_score_range, open_model, records_of
from earmark.models.tagger import model_folder
from earmark.recipes.job import Job
from earmark.relabel.chunk_figures import write_coverage_figures
from earmark.scores.chunk_scores import store_chunk_scores
from earmark.scores.scorer import Scorer, model_scorer
from earmark.scores.seen import Record, Seen, never_saw, records_of_scores, seen_by_scores, seen_clips, warn_of_seen
from earmark.scores.store import ScoreStore, is_score_store, open_scores
from earmark.tag_map import TagMap, read_tag_map
from earmark.training.targets import SoftLabels, WeakLabels

log = logging.getLogger(__name__)

T = TypeVar("T")

OWN_TEACHER, PSEUDO_LABELS = "teacher", "pseudo-labels"
"""The folders of a run in which a teacher is trained and scores are stored."""
TEACHER_RECIPE = "baseline"
TEACHER_SETTINGS = {"sampling": "class_cyclic"}
"""What the teacher's recipe changes of its defaults, where no preset is named."""
CHUNK_S, MIN_CHUNK_S = 2.0, 0.5


def filled_chunking(chunk_s: float | None, min_chunk_s: float | None, stored: Chunking | None = None) -> Chunking:
    """How clips are cut, by what is named of it; the rest as scores that are stored, else in chunks of 2 s.

    Raises:
        InputError: there is no such chunking.
    """
    filled_s = chunk_s if chunk_s is not None else stored.chunk_s if stored else CHUNK_S
    usual_s = stored.min_chunk_s if stored else MIN_CHUNK_S
    return chunking_from(filled_s, min_chunk_s if min_chunk_s is not None else min(usual_s, filled_s))


def pseudo_labels(
    job: Job[Any], chunk_s: float | None, min_chunk_s: float | None, clips: Excerpts, preset: str | None
) -> ScoreStore:
    """The teacher's scores of every chunk of the training clips, as a store.

    `Request.teacher` is a store, a model or a scorer; where there is none, one is trained in `RUN/teacher` on the
    training clips and those of the split "teacher". Scores that are made here lie in `RUN/pseudo-labels`.

    Args:
        chunk_s, min_chunk_s: how clips are to be cut, see `filled_chunking`.
        clips: the whole training clips.
        preset: of the baseline that the teacher is trained by; None: the baseline's defaults, tags in turn.

    Raises:
        InputError: the scores are of other chunks than asked for, or the teacher knows other tags and no map is given.
    """
    request = job.request
    if isinstance(request.teacher, Path):
        job.note(f"teacher: {request.teacher}")
    if isinstance(request.teacher, Path) and is_score_store(request.teacher):
        return _given_scores(job, request.teacher, chunk_s, min_chunk_s)
    chunking = filled_chunking(chunk_s, min_chunk_s)
    scorer = _scorer(job, preset)
    check_tags(scorer.tags, job, str(request.teacher if isinstance(request.teacher, Path) else scorer.digest))
    folder = request.run / PSEUDO_LABELS
    score = functools.partial(
        store_chunk_scores,
        scorer,
        request.dataset,
        clips.clip_index,
        chunking,
        folder,
        training=job.splits.train,
        out_of_fold=request.teacher is not None and never_saw(records_of_teacher(request.teacher), request.dataset),
        workers=request.workers,
    )
    return made_in(request.run, folder, score)


def _given_scores(job: Job[Any], folder: Path, chunk_s: float | None, min_chunk_s: float | None) -> ScoreStore:
    store = open_scores(folder)
    asked = filled_chunking(chunk_s, min_chunk_s, store.chunking)
    if store.chunking is not None and store.chunking != asked:
        raise InputError(
            f"{store.folder}: holds scores of {store.chunking}, and {asked} were asked for; leave chunk_s and "
            "min_chunk_s out, or score again"
        )
    _warn_of_seen_clips(seen_by_scores(store, job.request.dataset), job)
    return store


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
    store.warn_of_another_clip_table(request.dataset)
    learned = np.unique(chunks.clip_index)
    if len(learned) < len(clips):
        unscored = len(clips) - len(learned)
        log.warning("%d of %d training clips have no scores and are not learned from", unscored, len(clips))
    figures = request.run / "figures"
    # All scores are read for them: a run that goes on has its own.
    if tag_map is None and not (figures / "coverage.json").is_file():
        write_coverage_figures(figures, request.dataset, [store], request.layer, rows=learned)
    if tag_map is not None:
        _note_untaught(job, tag_map, alpha)
    weak = WeakLabels(request.dataset.labels(request.layer), chunks)
    return store.chunking, chunks, SoftLabels(store.read, score_row, weak, alpha, tag_map)


def _note_untaught(job: Job[Any], tag_map: TagMap, alpha: float) -> None:
    """Says which tags the teacher says nothing of."""
    untaught = [tag for tag in job.request.dataset.vocabulary.tags if tag not in tag_map.model_tags]
    if untaught:
        how = "learned from the weak labels alone" if alpha < 1 else "not learned at all, because alpha is 1"
        job.note(f"{len(untaught)} tags have none of the teacher's in the map and are {how}: {first_few(untaught)}")


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
    what = f"it lacks {first_few(strange)}{did_you_mean(strange[0], tags)}" if strange else "order or number differ"
    raise InputError(
        f"{teacher} scores {len(tags)} tags ({first_few(tags, 3)}), {dataset.name} has {len(ours)} "
        f"({first_few(ours, 3)}): {what}; say which tags stand for which with --map FILE, made by `earmark map`"
    )


def digest_of_teacher(teacher: Path | Scorer) -> str:
    """A short name of a teacher by what it is: a model, a store, or what a callable is called.

    Raises:
        InputError: there is none.
    """
    if isinstance(teacher, Scorer):
        return teacher.digest
    if is_score_store(teacher):
        return digest_of((open_scores(teacher).folder / "about.json").read_bytes())
    if not (model_folder(teacher) / "config.json").is_file():
        raise InputError(
            f"--teacher must name a model, a run or a store of chunk scores, there is none in {teacher}; "
            "if it was moved, name where it is now"
        )
    return digest_of_model(teacher)


def records_of_teacher(teacher: Path | Scorer) -> list[Record]:
    """What a teacher was trained on, as far as it is told."""
    if isinstance(teacher, Scorer):
        return [{"scorer": teacher.digest}]
    return records_of_scores(open_scores(teacher)) if is_score_store(teacher) else [*records_of(teacher)]


def made_in(run: Path, folder: Path, make: Callable[[], T]) -> T:
    """What is made in a folder of a run, where work that was begun is gone on with, and finished work is taken.

    Raises:
        InputError: the folder holds work of other settings, which may have cost days and so is never removed here.
    """
    try:
        return make()
    except OtherWorkError as error:
        raise _left_behind(run, folder, error.found) from error


def refuse_unused(job: Job[Any], alpha: float) -> None:
    """Refuses a run folder with what a run of another teacher left, and this one would not use.

    Raises:
        InputError: there is such a part.
    """
    run, teacher = job.request.run, job.request.teacher
    stored = isinstance(teacher, Path) and is_score_store(teacher)
    if (alpha == 0 or teacher is not None) and (run / OWN_TEACHER).is_dir():
        raise _left_behind(run, run / OWN_TEACHER, "this run trains no teacher")
    if (alpha == 0 or stored) and (run / PSEUDO_LABELS).is_dir():
        raise _left_behind(run, run / PSEUDO_LABELS, "this run makes no scores of its own")


def _left_behind(run: Path, folder: Path, found: str) -> InputError:
    return InputError(
        f"{run}: its {folder.name}/ was made with other settings: {found}; name another run folder, or remove {folder}"
    )


def _scorer(job: Job[Any], preset: str | None) -> Scorer:
    request = job.request
    if isinstance(request.teacher, Scorer):
        return request.teacher
    if request.teacher is not None:
        model = open_model(request.teacher)
        # Targets are probabilities; stretched to the range that they have on some clips they are none.
        drop_score_range(model)
        _warn_of_seen_clips(seen_clips(model.trained_on(), request.dataset), job)
        return model_scorer(model, request.device, digest_of_model(request.teacher))
    return model_scorer(_trained_teacher(job, preset), request.device, digest_of_model(request.run / OWN_TEACHER))


def _trained_teacher(job: Job[Any], preset: str | None) -> Model:
    """A teacher trained as the paper's is: on the weak labels of more clips than the student's, if there are more."""
    splits, request = job.splits, job.request
    run = request.run / OWN_TEACHER
    log.info(
        "no --teacher: one is trained in %s by the recipe %s, %s",
        run,
        TEACHER_RECIPE,
        f"preset {preset}" if preset else "defaults with tags in turn (as in the paper: --set teacher_preset=teacher)",
    )
    if not len(splits.teacher):
        log.info('no clip has the split "teacher": the teacher learns from the same clips as the student')
    other = replace(
        request,
        run=run,
        splits=splits.of_teacher() if len(splits.teacher) else request.splits,
        init=None,
        teacher=None,
        tag_map=None,
        resume=True,
    )
    settings = {} if preset else TEACHER_SETTINGS
    made_in(request.run, run, lambda: job.train(TEACHER_RECIPE, other, preset, settings))
    return open_model(run)


def _warn_of_seen_clips(seen: Seen, job: Job[Any]) -> None:
    """Says how many clips that are validated or tested on here the teacher has learned from, as far as it is known."""
    warn_of_seen("the teacher", seen, job.judged, " that this run validates or tests on")
