"""The learning rate as a pure function of the step."""

import math
from typing import Literal

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread


class Schedule(Settings):
    """How the learning rate goes over a run."""

    schedule: Literal["constant", "cosine", "polynomial", "halving"] = Field(
        "constant", description="course of the learning rate after its warm-up"
    )
    learning_rate: float = Field(1e-3, gt=0, le=100, description="highest learning rate")
    warmup_steps: int = Field(0, ge=0, description="steps over which the rate rises linearly to its course")
    decay_power: float = Field(1.0, gt=0, description="polynomial: power of the share of steps left; 1 is linear")
    halve_after_epoch: int = Field(0, ge=0, description="halving: last epoch at the full rate, counted from 1")
    halve_every_epochs: int = Field(5, ge=1, description="halving: epochs from one halving to the next")

    @model_validator(mode="after")
    def _is_read(self) -> "Schedule":
        refuse_unread(self, self.schedule == "polynomial", "schedule=polynomial", "decay_power")
        refuse_unread(self, self.schedule == "halving", "schedule=halving", "halve_after_epoch", "halve_every_epochs")
        return self


def learning_rate(schedule: Schedule, step: int, steps: int, steps_per_epoch: int) -> float:
    """The rate of one optimiser step: the schedule's course times the warm-up's share.

    The course runs from step 0 whether or not there is a warm-up: constant lr0; cosine lr0 (1 + cos(pi step / steps)) /
    2; polynomial lr0 (1 - step / steps)^power; halving lr0 .5^max(0, ceil((epoch - s) / n)) with epochs from 1, so that
    with n = 5 the rate is halved in epoch s + 1 and again in s + 6. The warm-up's share is (step + 1) / warmup_steps.

    Args:
        step: counted from 0, at most `steps`.
        steps: of the whole run.
        steps_per_epoch: read by halving.

    Source: Dinkel et al. 2022 (PSL) for the linear decay; Gong et al. 2021 (PSLA) for halving, whose released code
    raises its warm-up every 50 steps, from 0.

    >>> learning_rate(Schedule(schedule="polynomial", learning_rate=1e-4), step=3, steps=4, steps_per_epoch=2)
    2.5e-05
    """
    if not 0 <= step <= steps:
        raise ValueError(f"step must be from 0 to {steps}, got {step}")
    if schedule.schedule == "cosine":
        course = (1 + math.cos(math.pi * step / steps)) / 2
    elif schedule.schedule == "polynomial":
        course = (1 - step / steps) ** schedule.decay_power
    elif schedule.schedule == "halving":
        epoch = 1 + step // steps_per_epoch
        halvings = math.ceil((epoch - schedule.halve_after_epoch) / schedule.halve_every_epochs)
        course = 0.5 ** max(0, halvings)
    else:
        course = 1.0
    warmup = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    return schedule.learning_rate * course * warmup
