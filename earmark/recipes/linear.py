"""Linear transfer: a given model's front end and backbone stay as they are, only its last layer is trained.

How well an embedding serves tags that it was not trained on. Training excerpts are cut as the given model's were;
whole clips are validated and tested on.

Source: Dinkel et al. 2022 (PSL), section 4.5.
"""

from typing import Self

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.augment import Augmentation
from earmark.data.chunking import chunking_from
from earmark.errors import InputError
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.recipes.parts import learned_from, sampling_order, training_length_s
from earmark.training.loop import fit
from earmark.training.schedules import Schedule
from earmark.training.settings import FitSettings
from earmark.training.targets import WeakLabels


class LinearSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips."""

    chunk_s: float | None = Field(
        None, ge=0.1, description="length of a training chunk, seconds; null: the given model's own, or whole clips"
    )
    min_chunk_s: float = Field(0.5, ge=0, description="a last chunk shorter than this joins the one before")
    fit: FitSettings = FitSettings(schedule=Schedule(schedule="cosine", learning_rate=1e-3))

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        refuse_unread(self, self.chunk_s is not None, "chunk_s", "min_chunk_s")
        if self.chunk_s is not None:
            chunking_from(self.chunk_s, self.min_chunk_s)
        return self


def train(job: Job[LinearSettings]) -> Tagger:
    """The given model with a head for the data set's tags; a new one unless they are the model's own."""
    request, settings = job.request, job.settings
    if job.given is None:
        raise InputError("linear trains the last layer of a model that is there; name one with --init MODEL")
    chunking = job.given.config.chunking
    if settings.chunk_s is not None:
        chunking = chunking_from(settings.chunk_s, settings.min_chunk_s)
    pack = job.pack(None)
    clips = job.training_clips(pack)
    length_s = training_length_s(clips, None, pack.rate_hz)
    excerpts, length_samples = learned_from(clips, chunking, length_s, pack.rate_hz)
    labels = request.dataset.labels(request.layer)
    tagger = job.tagger(None, pack, excerpts, length_s)
    tagger.freeze_backbone()
    feed = job.feed(
        pack,
        excerpts,
        WeakLabels(labels, excerpts),
        sampling_order("shuffled", labels, excerpts, request.seed),
        length_samples=length_samples,
        augmentation=Augmentation(),
        batch_size=settings.fit.batch_size,
    )
    validate = job.validation(pack)
    fit(
        tagger, feed, validate, settings.fit, request.run,
        device=request.device, resume=request.resume, profile=request.profile,
    )  # fmt: skip
    return tagger
