"""The baseline: train on the labels as given.

What each paper compares with: a model trained on the weak clip labels. A clip longer than the training length is
learned from by random windows of it, each with the clip's labels; or it is cut into chunks, all of them learned from,
each with the clip's labels, and is then scored by the mean of its chunks' scores.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.augment import Augmentation
from earmark.data.chunking import Chunking, chunking_from
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.recipes.parts import ModelSettings, learned_from, sampling_order, training_length_s
from earmark.training.loop import fit
from earmark.training.schedules import Schedule
from earmark.training.settings import FitSettings


class BaselineSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips on a CPU, starting from ImageNet weights."""

    chunk_s: float | None = Field(
        None, ge=0.1, description="length of a training waveform, seconds; null: the longest training clip, at most 10"
    )
    learn_from: Literal["windows", "chunks"] = Field(
        "windows", description="windows: one of each clip an epoch, anywhere in it; chunks: every one of every clip"
    )
    min_chunk_s: float = Field(0.5, ge=0, description="chunks: a last one shorter than this joins the one before")
    sampling: Literal["shuffled", "balanced", "class_cyclic"] = Field(
        "shuffled",
        description="shuffled: each once an epoch; balanced: rare tags more often; class_cyclic: tags in turn",
    )
    model: ModelSettings = ModelSettings()
    augmentation: Augmentation = Augmentation(
        mixup_rate=0.5,
        gain_db=(-6.0, 6.0),
        time_shift_fraction=0.5,
        frequency_masks=1,
        frequency_mask_bins=8,
        time_masks=1,
        time_mask_frames=48,
    )
    fit: FitSettings = FitSettings(schedule=Schedule(schedule="cosine", learning_rate=1e-3, warmup_steps=20))

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if self.learn_from == "chunks" and self.chunk_s is None:
            raise ValueError("learn_from=chunks needs the length of a chunk; set chunk_s")
        refuse_unread(self, self.learn_from == "chunks", "learn_from=chunks", "min_chunk_s")
        chunking_of(self)
        return self


def chunking_of(settings: BaselineSettings) -> Chunking | None:
    """How clips are cut, where they are learned from in chunks."""
    if settings.learn_from == "windows" or settings.chunk_s is None:
        return None
    return chunking_from(settings.chunk_s, settings.min_chunk_s)


def train(job: Job[BaselineSettings]) -> Tagger:
    """The tagger with its final weights; by default those that are best on the validation split."""
    request, settings = job.request, job.settings
    pack = job.pack(settings.model)
    clips = job.training_clips(pack)
    chunking = chunking_of(settings)
    length_s = training_length_s(clips, None if chunking else settings.chunk_s, pack.rate_hz, chunking)
    excerpts, length_samples = learned_from(clips, chunking, length_s, pack.rate_hz)
    targets = job.weak_labels(excerpts)
    tagger = job.tagger(settings.model, pack, excerpts, length_s, chunking)
    feed = job.feed(
        pack,
        excerpts,
        targets,
        sampling_order(settings.sampling, targets.labels, excerpts, request.seed),
        length_samples=length_samples,
        augmentation=settings.augmentation,
        batch_size=settings.fit.batch_size,
    )
    validate = job.validation(pack)
    fit(
        tagger, feed, validate, settings.fit, request.run,
        device=request.device, resume=request.resume, profile=request.profile,
    )  # fmt: skip
    return tagger
