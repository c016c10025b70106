"""The settings of `fit`."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.training.schedules import Schedule

FEW_EPOCHS = 12
FEW_STEPS = 150


class FitSettings(Settings):
    """How a tagger is trained."""

    epochs: int | None = Field(
        None,
        ge=1,
        description=f"passes over the training set; null: {FEW_EPOCHS}, or as many as make {FEW_STEPS} steps",
    )
    batch_size: int = Field(32, ge=1, description="clips a step; never chosen by the machine")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="adam or sgd")
    beta1: float = Field(0.9, ge=0, lt=1, description="adam's first decay, or sgd's momentum")
    beta2: float = Field(0.999, ge=0, lt=1, description="adam's second decay")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty inside the optimiser's gradient (not AdamW's)")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="of the backbone in training; auto is bf16 where the processor computes it natively"
    )
    gradient_clip: float | None = Field(None, gt=0, description="largest norm of the whole gradient; null: not clipped")
    patience: int | None = Field(
        None, ge=1, description="validations without a better one before stopping; null: never"
    )
    select_by: Literal["mean_average_precision", "mean_roc_auc", "lwlrap", "event_f1", "segment_f1"] = Field(
        "mean_average_precision",
        description="the validation metric that says which is better; event_f1, segment_f1: class_frame",
    )
    validate_every_steps: int = Field(
        10_000, ge=1, description="validate this often, and at the end of each epoch in any case"
    )
    checkpoint_every_steps: int = Field(
        500, ge=1, description="save the state to go on from this often, and at each validation in any case"
    )
    final_weights: Literal["best", "top_k", "range", "last"] = Field(
        "best", description="best on validation; the average of the top_k best or of a range of epochs; or the last"
    )
    top_k: int = Field(4, ge=1, description="how many checkpoints final_weights=top_k averages")
    average_from_epoch: int = Field(
        1, ge=1, description="the first epoch that final_weights=range averages; the last is the last"
    )
    keep_from_epoch: int | None = Field(
        None, ge=1, description="keep each epoch's weights from this one on, for `earmark ensemble`; null: none more"
    )
    refresh_bn: bool = Field(
        True, description="after averaging, estimate BatchNorm's statistics afresh; false averages them too"
    )
    tensorboard: bool = Field(False, description="write TensorBoard events beside metrics.jsonl (extra: tensorboard)")
    schedule: Schedule = Field(default_factory=Schedule, description="the learning rate over time")

    def epochs_of(self, steps_per_epoch: int) -> int:
        """The epochs of a run whose epochs have so many steps."""
        # A folder of a few dozen clips is a step or two an epoch: it needs more epochs than a set of thousands.
        return self.epochs or max(FEW_EPOCHS, math.ceil(FEW_STEPS / steps_per_epoch))

    def first_epoch_kept(self) -> float:
        """The first epoch whose weights stay on disk whatever their validation says; infinite for none."""
        averaged = self.average_from_epoch if self.final_weights == "range" else math.inf
        return min(averaged, self.keep_from_epoch or math.inf)

    @model_validator(mode="after")
    def _are_read(self) -> Self:
        if self.epochs is not None and self.average_from_epoch > self.epochs:
            raise ValueError(f"average_from_epoch must be at most epochs {self.epochs}, got {self.average_from_epoch}")
        refuse_unread(self, self.final_weights == "top_k", "final_weights=top_k", "top_k")
        refuse_unread(self, self.final_weights == "range", "final_weights=range", "average_from_epoch")
        refuse_unread(self, self.final_weights in ("top_k", "range"), "final_weights=top_k or range", "refresh_bn")
        refuse_unread(self, self.optimizer == "adam", "optimizer=adam", "beta2")
        return self
