"""Staged training for noisy labels, with two activations.

Three stages: on the clips whose labels were verified; on these and the others, half and half, where an unverified clip
whose loss says that its label is wrong is dropped from its batch; on the verified ones again. A second branch of the
head, softmax or sparsemax, learns a clip's tags as a distribution beside the sigmoid's. What was dropped how often is
kept: it says which labels are most likely wrong.

Source: He, Shen, Zhang and Liu 2020 (ICASSP).
"""

import functools
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.augment import Augmentation
from earmark.data.clips import whole_clips
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.recipes.parts import ModelSettings, training_length_s
from earmark.recipes.stages import Fitting, ScaledOn, Stages, refuse_few_to_scale_by, scaled
from earmark.timing import samples_from_seconds
from earmark.training.label_audit import write_label_audit
from earmark.training.loop import fit
from earmark.training.multi_activation import SECOND_LOSSES, clip_losses
from earmark.training.schedules import Schedule
from earmark.training.selection import Selection, SelectionSettings
from earmark.training.settings import FitSettings

LONGEST_CLIP_S = 30.0


class StagedSettings(Settings):
    """Defaults that suit a few hundred to a few thousand clips on a CPU; the preset is the paper's."""

    stages: Stages = Stages()
    chunk_s: float | None = Field(
        None,
        ge=0.1,
        description=f"longest training waveform, seconds; null: the longest clip, at most {LONGEST_CLIP_S:g}",
    )
    fitting: Fitting = Fitting()
    second_head_weight: float = Field(1.0, ge=0, description="weight of the softmax's or sparsemax's loss")
    bce_reduction: Literal["mean", "sum"] = Field("mean", description="of the sigmoid's loss over tags")
    postprocess_on: ScaledOn = Field(
        "validation", description="clips by whose lowest and highest scores each tag's are scaled to [0, 1]"
    )
    selection: SelectionSettings = SelectionSettings(selection="threshold")
    model: ModelSettings = ModelSettings(head="sigmoid_sparsemax")
    augmentation: Augmentation = Augmentation(
        mixup_rate=0.5, mixup_beta=0.4, time_warp_frames=10,
        frequency_masks=2, frequency_mask_bins=8, time_masks=2, time_mask_frames=32,
    )  # fmt: skip
    fit: FitSettings = FitSettings(
        final_weights="last", schedule=Schedule(schedule="cosine", learning_rate=1e-3, warmup_steps=20)
    )

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        if self.fit.epochs is not None:
            raise ValueError("epochs are what stage_steps and epoch_steps make; set these")
        if self.model.fixed_frames is not None:
            raise ValueError("clips are repeated or reduced to clip_frames; leave fixed_frames out")
        if self.fit.patience is not None:
            raise ValueError("all stages are to be gone through; leave patience out")
        if self.fit.average_from_epoch > self.stages.epochs:
            raise ValueError(f"average_from_epoch must be at most the {self.stages.epochs} epochs that the stages make")
        if self.stages.stage_steps[1] and self.fit.batch_size % 2:
            raise ValueError(f"batch_size must be even for the second stage's halves, got {self.fit.batch_size}")
        refuse_unread(self, self.model.head in SECOND_LOSSES, "a head of two branches", "second_head_weight")
        return self


def train(job: Job[StagedSettings]) -> Tagger:
    """The tagger after its last stage; its scores are scaled by tag."""
    request, settings = job.request, job.settings
    batch_size = settings.fit.batch_size
    selection = Selection(settings.selection, job.verified(), batch_size)
    pack = job.pack(settings.model)
    clips = job.training_clips(pack)
    is_verified = selection.verified[clips.clip_index]
    settings.stages.refuse_one_kind(is_verified, f"the train split of {request.dataset.name}")
    job.note(f"training clips: {is_verified.sum()} verified, {(~is_verified).sum()} not")
    validate = job.validation(pack, selection.verified)
    refuse_few_to_scale_by(job, pack, settings.postprocess_on)
    # The longest of all clips, not of these: models of several folds must say the same of a clip's frames.
    every = whole_clips(pack, np.arange(request.dataset.num_clips))
    longest_s = training_length_s(every, None, pack.rate_hz, most_s=LONGEST_CLIP_S)
    length_s = settings.chunk_s or longest_s
    targets = job.weak_labels(clips)
    tagger = job.tagger(settings.model, pack, clips, length_s)
    clip_frames = settings.fitting.of(tagger.front_end.num_frames(samples_from_seconds(longest_s, pack.rate_hz)))
    tagger.config = tagger.config.model_copy(update={"clip_frames": clip_frames, "fixed_frames": None})
    feed = job.feed(
        pack,
        clips,
        targets,
        settings.stages.order(is_verified, batch_size, request.seed),
        length_samples=samples_from_seconds(length_s, pack.rate_hz),
        augmentation=settings.augmentation,
        batch_size=batch_size,
        selection=selection,
        repeat_partners=True,
    )
    loss = functools.partial(
        clip_losses,
        second_loss=SECOND_LOSSES.get(tagger.config.head.name),
        second_head_weight=settings.second_head_weight,
        bce_reduction=settings.bce_reduction,
    )
    of_stages = settings.fit.model_copy(update={"epochs": settings.stages.epochs})
    fit(
        tagger, feed, validate, of_stages, request.run,
        device=request.device, loss=loss, selection=selection, resume=request.resume, profile=request.profile,
    )  # fmt: skip
    write_label_audit(request.run, request.dataset, request.layer, selection)
    return scaled(job, tagger, pack, settings.postprocess_on)
