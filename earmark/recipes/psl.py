"""PSL: pseudo strong labels.

A teacher that learned from weak labels scores every short chunk of the training clips; a student learns from scratch
that each chunk has those scores. alpha mixes them with the clip's weak labels: 1 is the method, 0 the baseline on
chunks. Where no teacher is given, one is trained first. Whole clips are scored by the mean of their chunks' scores.

Source: Dinkel, Yan, Wang, Zhang and Wang 2022 (ICASSP).
"""

import functools
from typing import Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings
from earmark.data.augment import Augmentation
from earmark.data.sampling import shuffled
from earmark.errors import InputError
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.recipes.parts import ModelSettings, training_length_s
from earmark.recipes.teacher import CHUNK_S, chunks_and_targets, filled_chunking, pseudo_labels, refuse_unused
from earmark.training.loop import fit
from earmark.training.schedules import Schedule
from earmark.training.settings import FitSettings
from earmark.training.targets import TargetSource


class PslSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips on a CPU; the preset is the paper's."""

    chunk_s: float | None = Field(
        None, ge=0.1, description=f"length of a chunk, seconds; null: that of the scores given, else {CHUNK_S:g}"
    )
    min_chunk_s: float | None = Field(
        None, ge=0, description="a last chunk shorter than this joins the one before; null: as scored, else 0.5"
    )
    alpha: float = Field(
        1.0, ge=0, le=1, description="the teacher's share of the targets; the rest is the clip's weak labels"
    )
    validate_on: Literal["chunks", "clips"] = Field(
        "chunks", description="validation scores the mean of a clip's chunks, as the test does, or the whole clip"
    )
    teacher_preset: str | None = Field(
        None, description="preset of baseline by which the recipe's own teacher is trained (teacher: the paper's)"
    )
    model: ModelSettings = ModelSettings()
    augmentation: Augmentation = Augmentation()
    fit: FitSettings = FitSettings(
        final_weights="top_k", patience=15, schedule=Schedule(schedule="constant", learning_rate=1e-3)
    )

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if self.chunk_s is not None:
            filled_chunking(self.chunk_s, self.min_chunk_s)
        return self


def train(job: Job[PslSettings]) -> Tagger:
    """The student: the average of its best checkpoints on the validation split."""
    request, settings = job.request, job.settings
    _refuse_unread(job)
    pack = job.pack(settings.model)
    clips = job.training_clips(pack)
    validate = job.validation(pack)
    refuse_unused(job, settings.alpha)
    if settings.alpha == 0:
        chunking = filled_chunking(settings.chunk_s, settings.min_chunk_s)
        chunks = chunking.cut(clips, pack.rate_hz)
        targets: TargetSource = job.weak_labels(chunks)
    else:
        store = pseudo_labels(job, settings.chunk_s, settings.min_chunk_s, clips, settings.teacher_preset)
        chunking, chunks, targets = chunks_and_targets(job, store, clips, pack.rate_hz, settings.alpha)
    validated = chunking if settings.validate_on == "chunks" else None
    length_s = training_length_s(clips, None, pack.rate_hz, chunking)
    tagger = job.tagger(settings.model, pack, chunks, length_s, validated)
    feed = job.feed(
        pack,
        chunks,
        targets,
        functools.partial(shuffled, len(chunks), request.seed),
        length_samples=None,
        augmentation=settings.augmentation,
        batch_size=settings.fit.batch_size,
    )
    fit(
        tagger, feed, validate, settings.fit, request.run,
        device=request.device, resume=request.resume, profile=request.profile,
    )  # fmt: skip
    tagger.config = tagger.config.model_copy(update={"chunking": chunking})
    return tagger


def _refuse_unread(job: Job[PslSettings]) -> None:
    """What is asked for and would be read by nobody."""
    settings, request = job.settings, job.request
    if settings.alpha == 0 and request.teacher is not None:
        raise InputError("alpha=0 learns from the weak labels alone; leave --teacher out, or set alpha above 0")
    if settings.teacher_preset is not None and (request.teacher is not None or settings.alpha == 0):
        raise InputError("teacher_preset is for a teacher that the recipe trains; leave it or --teacher out")
