"""What staged training is made of: which clips each stage draws, how long clips are made, how scores are scaled."""

import math
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from earmark.config import Settings
from earmark.data.clips import whole_clips
from earmark.data.packs import Pack
from earmark.data.sampling import Order, half_and_half, in_passes
from earmark.errors import InputError
from earmark.features import ClipFrames
from earmark.models.score_range import refuse_few, score_range
from earmark.models.tagger import Tagger
from earmark.recipes.job import BoolArray, Job
from earmark.scores.predict import clip_scores

MOST_FRAMES = 2000
ScaledOn = Literal["validation", "test", "none"]


class Stages(Settings):
    """How long each stage is, and what it draws.

    Source: He et al. 2020, sections 3.1 and 4.2.
    """

    stage_steps: tuple[int, int, int] = Field(
        (100, 100, 50), description="steps on verified clips, on both kinds half and half, and on verified ones again"
    )
    epoch_steps: int = Field(25, ge=1, description="steps of an epoch, after which the tagger is validated")

    @model_validator(mode="after")
    def _are_whole_epochs(self) -> Self:
        if min(self.stage_steps) < 0 or not sum(self.stage_steps):
            raise ValueError(f"stage_steps must be at least 0 each and not all 0, got {list(self.stage_steps)}")
        if any(steps % self.epoch_steps for steps in self.stage_steps):
            raise ValueError(
                f"stage_steps must be whole epochs of epoch_steps {self.epoch_steps}, got {list(self.stage_steps)}; "
                f"set epoch_steps={math.gcd(*self.stage_steps)} too, or less"
            )
        return self

    @property
    def epochs(self) -> int:
        """The epochs of all stages."""
        return sum(self.stage_steps) // self.epoch_steps

    def order(self, kind: BoolArray, batch_size: int, seed: int) -> Callable[[int], Order]:
        """The positions of an epoch, given the epoch; one after the last draws as the last did.

        Args:
            kind: whether each training clip is verified, (clip,).
        """
        verified, others = np.flatnonzero(kind), np.flatnonzero(~kind)
        stages = []
        for number, steps in enumerate(self.stage_steps):
            if steps and number == 1:
                stages.append(half_and_half(verified, others, steps, batch_size, seed, number))
            elif steps:
                stages.append(in_passes(verified, steps * batch_size, seed, number))
        epochs = np.concatenate(stages).reshape(-1, self.epoch_steps * batch_size)
        return lambda epoch: epochs[min(epoch, len(epochs) - 1)]

    def refuse_one_kind(self, kind: BoolArray, split: str) -> None:
        """Raises InputError unless there are training clips of the kinds that the stages draw."""
        first, second, last = self.stage_steps
        count = int(kind.sum())
        if not count:
            raise InputError(
                f"{split} must hold verified clips, found none among {len(kind)}; have some verified, or train on all "
                "labels alike: earmark train baseline"
            )
        if second and count == len(kind):
            instead = [first, 0, last] if first or last else [second, 0, 0]
            raise InputError(
                f"{split} must hold clips that are not verified for the second stage, found {count} verified ones "
                f"alone; train with --set 'stage_steps={instead}', or by baseline"
            )


class Fitting(Settings):
    """How all clips are made as long as each other.

    Source: He et al. 2020, section 2.1.
    """

    clip_frames: int | None = Field(
        None,
        ge=1,
        description="feature frames that each clip is repeated or reduced to; "
        f"null: those of the longest clip, at most {MOST_FRAMES}",
    )
    window_frames: int | None = Field(
        None, ge=1, description="feature frames of the window of a clip that is learned from; null: all of them"
    )
    silence_db: float | None = Field(
        60.0, gt=0, description="frames so far under a clip's loudest are dropped at its ends; null: none"
    )

    @model_validator(mode="after")
    def _window_is_of_the_clip(self) -> Self:
        if self.clip_frames and self.window_frames and self.window_frames > self.clip_frames:
            raise ValueError(f"window_frames must be at most clip_frames {self.clip_frames}, got {self.window_frames}")
        return self

    def of(self, longest: int) -> ClipFrames:
        """The tagger's own settings, given the feature frames of the longest clip."""
        frames = self.clip_frames or min(MOST_FRAMES, longest)
        window = self.window_frames if self.window_frames and self.window_frames < frames else None
        return ClipFrames(num_frames=frames, window_frames=window, silence_db=self.silence_db)


def refuse_few_to_scale_by(job: Job[Any], pack: Pack, on: ScaledOn) -> None:
    """Raises InputError where scores could not be scaled in the end; said before training."""
    if on != "none":
        refuse_few(len(whole_clips(pack, job.splits.by_name()[on])), on)


def scaled(job: Job[Any], tagger: Tagger, pack: Pack, on: ScaledOn) -> Tagger:
    """The tagger with each tag's scores scaled so that those of a split's clips go from 0 to 1.

    Source: He et al. 2020, section 2.3: z-scores, then to lowest and highest; the first makes no difference.
    """
    if on != "none":
        _, scores = clip_scores(tagger, pack, job.splits.by_name()[on], device=job.request.device)
        tagger.config = tagger.config.model_copy(update={"score_range": score_range(scores, on)})
    return tagger
