"""The baseline: train on the labels as given.

What each paper compares with: a model trained on the weak clip labels. A clip longer than the training length is
learned from by random windows of it, each with the clip's labels.
"""

import functools

from pydantic import Field

from earmark.config import Settings
from earmark.data.augment import Augmentation
from earmark.data.sampling import shuffled
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.recipes.parts import ModelSettings, training_length_s
from earmark.timing import samples_from_seconds
from earmark.training.feed import Feed
from earmark.training.loop import fit
from earmark.training.schedules import Schedule
from earmark.training.settings import FitSettings
from earmark.training.targets import WeakLabels


class BaselineSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips on a CPU, starting from ImageNet weights."""

    chunk_s: float | None = Field(
        None, ge=0.1, description="length of a training waveform, seconds; null: the longest training clip, at most 10"
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


def train(job: Job[BaselineSettings]) -> Tagger:
    """The tagger that is best on the validation split."""
    request, settings = job.request, job.settings
    pack = job.pack(settings.model)
    clips = job.training_clips(pack)
    length_s = training_length_s(clips, settings.chunk_s, pack.rate_hz)
    tagger = job.tagger(settings.model, pack, clips, length_s)
    feed = Feed(
        pack=pack,
        excerpts=clips,
        targets=WeakLabels(request.dataset.labels(request.layer), clips),
        order=functools.partial(shuffled, len(clips), request.seed),
        length_samples=samples_from_seconds(length_s, pack.rate_hz),
        batch_size=settings.fit.batch_size,
        augmentation=settings.augmentation,
        seed=request.seed,
        names=request.dataset.clips["clip"],
    )
    validate = job.validation(pack)
    fit(tagger, feed, validate, settings.fit, request.run, device=request.device, resume=request.resume)
    return tagger
