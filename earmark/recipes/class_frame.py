"""Class-frame pseudo labels: strong and weak clips together, the weak ones' frames labelled by the model itself.

A first stage learns clip labels from all clips, and frame labels from the strong ones. Then, round by round, the weak
clips are scored; a clip whose frames have exactly its tags, at a threshold that falls from round to round, is learned
from with these frames as labels too. A round's pseudo labels replace the last round's; each is kept as a label layer.

Source: Mishima, Kiyokawa, Toizumi, Sagi, Kondoh and Nomura (NEC), DCASE 2019 task 4.
"""

import functools
from typing import Self

from pydantic import Field, model_validator

from earmark.config import Settings
from earmark.data.augment import Augmentation
from earmark.data.chunking import chunking_from
from earmark.data.sampling import shuffled
from earmark.data.splits import Splits
from earmark.models.tagger import Tagger
from earmark.recipes.events import as_heard, event_validation, labelled_clips
from earmark.recipes.job import Job, Request
from earmark.recipes.parts import ModelSettings, training_length_s
from earmark.recipes.rounds import RoundSettings, in_place_of, origins, refuse_kinds, relabelling
from earmark.scores.framewise import step_samples
from earmark.training.frame_labels import FrameLabels
from earmark.training.loop import fit
from earmark.training.schedules import Schedule
from earmark.training.set_losses import SetLosses, SetSizes, TagWeights, tag_weights
from earmark.training.settings import FitSettings


class ClassFrameSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips on a CPU; the preset is the paper's."""

    relabelling: RoundSettings = RoundSettings()
    class_weights: TagWeights = Field(
        "exponential", description="of tags in the loss, N their clips: exp(1/N), 1/N or all alike; their sum is 1"
    )
    chunk_s: float | None = Field(
        None,
        ge=0.1,
        description="longer clips are learned from in chunks of this, seconds; null: the longest clip, at most 10",
    )
    model: ModelSettings = ModelSettings(backbone="crnn_small", pretrained=None, head="max")
    augmentation: Augmentation = Augmentation()
    fit: FitSettings = FitSettings(
        final_weights="last", schedule=Schedule(schedule="constant", learning_rate=1e-3, warmup_steps=20)
    )

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if self.fit.epochs is not None:
            raise ValueError("epochs are what first_epochs, rounds and round_epochs make; set these")
        if self.fit.patience is not None:
            raise ValueError("all rounds are to be gone through; leave patience out")
        if self.fit.average_from_epoch > self.relabelling.epochs:
            raise ValueError(f"average_from_epoch must be at most the {self.relabelling.epochs} epochs of all rounds")
        if self.augmentation.time_shift_fraction or self.augmentation.time_warp_frames:
            raise ValueError("frame labels stay where they are; leave time_shift_fraction and time_warp_frames at 0")
        return self


def refuse(request: Request, splits: Splits, settings: ClassFrameSettings) -> None:
    """Raises InputError unless there are clips of the kinds that are learned from."""
    refuse_kinds(request, splits, settings.relabelling.rounds)


def train(job: Job[ClassFrameSettings]) -> Tagger:
    """The tagger with its final weights; by default those after the last round."""
    request, settings = job.request, job.settings
    pack = job.pack(settings.model)
    clips = labelled_clips(job, job.training_clips(pack))
    length_s = training_length_s(clips, settings.chunk_s, pack.rate_hz)
    chunks = chunking_from(length_s).cut(clips, pack.rate_hz)
    begin = functools.partial(job.tagger, settings.model, pack, chunks, length_s)
    tagger = begin()
    excerpts = as_heard(chunks, tagger, length_s)
    weak = job.weak_labels(excerpts)
    validate = event_validation(job, pack, job.validation(pack), settings.fit.select_by)
    rounds = relabelling(job, pack, clips, settings.relabelling)
    weights = tag_weights(settings.class_weights, weak.labels.counts(clips.clip_index))
    whole = settings.fit.model_copy(update={"epochs": settings.relabelling.epochs})
    given, is_past = request.dataset.statements(request.layer), False
    origin, events = origins(job, []), given
    for number, part in enumerate(settings.relabelling.parts()):
        if number:
            accepted, found = rounds.learned(number, tagger, is_past)
            origin, events = origins(job, accepted), in_place_of(given, found, accepted)
            tagger = begin() if part.afresh else tagger
        feed = job.feed(
            pack,
            excerpts,
            FrameLabels(weak, events, origin, step_samples(tagger), pack.rate_hz),
            functools.partial(shuffled, len(excerpts), request.seed),
            length_samples=None,
            augmentation=settings.augmentation,
            batch_size=settings.fit.batch_size,
        )
        history = fit(
            tagger, feed, validate, whole, request.run, device=request.device,
            loss=SetLosses(SetSizes.of(origin[excerpts.clip_index]), weights),
            resume=request.resume or number > 0, part=part, profile=request.profile,
        )  # fmt: skip
        is_past = history.step > part.end_epoch * feed.steps_per_epoch
    rounds.write_figures()
    return tagger
