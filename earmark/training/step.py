"""One step of training: a batch's loss, of the clips that count, and what the optimiser makes of it."""

import math
from collections.abc import Callable

import torch
from torch import nn

from earmark.data import augment
from earmark.losses import clipwise_bce, weighted_mean
from earmark.models.heads import HeadOutput
from earmark.models.tagger import Tagger
from earmark.training.feed import TrainingBatch
from earmark.training.selection import Selection
from earmark.training.settings import FitSettings
from earmark.training.stopwatch import Mark, unmarked
from earmark.training.targets import Targets

Loss = Callable[[HeadOutput, Targets], torch.Tensor]


def clipwise_loss(output: HeadOutput, targets: Targets) -> torch.Tensor:
    """Each clip's loss: clipwise BCE against its targets."""
    return clipwise_bce(output.clipwise, targets.clipwise, targets.clipwise_weight)


def train_step(
    tagger: Tagger,
    batch: TrainingBatch,
    optimizer: torch.optim.Optimizer,
    rate: float,
    settings: FitSettings,
    loss: Loss,
    selection: Selection | None = None,
    step: int = 0,
    mark: Mark = unmarked,
) -> float:
    """One step of the optimiser; returns the batch's loss. A loss that is not finite changes nothing.

    The batch's loss is the sum over the clips that count, divided by all clips that something is known of: a dropped
    clip leaves the others' share as it was (He et al. 2020, eq. 1).
    """
    tagger.train()
    mark("rest")
    output = training_output(tagger, batch, settings.precision, mark)
    targets = batch.targets.to(output.clipwise.device)
    known = targets.clipwise_weight.amax(dim=1) > 0
    losses = loss(output, targets)
    if selection is not None:
        losses = losses.masked_fill(_dropped(selection, losses.detach(), batch, step), 0)
    value = weighted_mean(losses, known)
    optimizer.zero_grad(set_to_none=True)
    found = value.detach().item()  # the one wait for the device in a step, but for a selection's
    mark("loss")
    if not math.isfinite(found):
        return found
    value.backward()  # type: ignore[no-untyped-call]
    mark("backward")
    if settings.gradient_clip is not None:
        nn.utils.clip_grad_norm_(tagger.parameters(), settings.gradient_clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    mark("optimiser")
    return found


def _dropped(selection: Selection, losses: torch.Tensor, batch: TrainingBatch, step: int) -> torch.Tensor:
    """Which clips of the batch do not count, bool (clip,). A clip without a tag has no label that could be wrong."""
    targets = batch.targets
    positive = targets.clipwise >= 0.5 if targets.distribution is None else targets.distribution > 0
    has_tag = (positive & (targets.clipwise_weight > 0)).any(dim=1).numpy()
    keeps = selection.keep(losses, batch.clip_index, batch.partner_index, has_tag, step)
    return torch.from_numpy(~keeps).to(losses.device)


def training_output(tagger: Tagger, batch: TrainingBatch, precision: str, mark: Mark = unmarked) -> HeadOutput:
    """What the tagger says of a batch whose features are augmented as drawn."""
    device = next(tagger.parameters()).device
    with torch.no_grad():
        waveform, num_samples = batch.waveform.to(device), batch.num_samples.to(device)
        mark("copy to device")
        place = batch.place if tagger.config.clip_frames else None
        features, num_valid_frames = tagger.features(waveform, num_samples, place)
        features = augment.apply_features(features, num_valid_frames, batch.draws, tagger.front_end.masked_value)
        mark("features")
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        output = tagger.logits(features, num_valid_frames)
    mark("forward")
    return output
