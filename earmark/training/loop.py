"""fit(): the only training loop."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from earmark.data import augment
from earmark.errors import InputError, first_few
from earmark.losses import clipwise_bce, weighted_mean
from earmark.models.heads import HeadOutput
from earmark.models.tagger import Tagger
from earmark.progress import progress_bar
from earmark.tensor_files import load_tensors, load_weights, save_tensors
from earmark.training.checkpoints import average_weights
from earmark.training.feed import Feed, TrainingBatch
from earmark.training.history import History
from earmark.training.optimizers import build_optimizer
from earmark.training.schedules import learning_rate
from earmark.training.settings import FitSettings
from earmark.training.targets import Targets
from earmark.training.tensorboard import scalars

log = logging.getLogger(__name__)

Validate = Callable[[Tagger], dict[str, float]]
Loss = Callable[[HeadOutput, Targets], torch.Tensor]
MAX_REFRESH_BATCHES = 200


def clipwise_loss(output: HeadOutput, targets: Targets) -> torch.Tensor:
    """Each clip's loss: clipwise BCE against its targets."""
    return clipwise_bce(output.clipwise, targets.clipwise, targets.clipwise_weight)


def fit(
    tagger: Tagger,
    feed: Feed,
    validate: Validate,
    settings: FitSettings,
    folder: Path,
    *,
    device: torch.device,
    loss: Loss = clipwise_loss,
    resume: bool = False,
) -> History:
    """Trains `tagger` in place and leaves it with its final weights.

    A run resumed from its last checkpoint gives the same weights as the unbroken one, bit for bit on CPU with the
    same number of threads.

    Args:
        validate: the metrics of a tagger on the validation split, `settings.select_by` among them.
        folder: where `metrics.jsonl` and `checkpoints/` go.
        loss: each clip's loss from what the tagger said and what it should have said.
        resume: go on from `checkpoints/last.safetensors` if it is there.

    Raises:
        InputError: the loss is not finite; the message names the clips of the batch.
    """
    tagger.to(device)
    optimizer = build_optimizer(tagger, settings)
    history = History.resumed(folder, tagger, optimizer) if resume else History(folder)
    steps_per_epoch = feed.steps_per_epoch
    epochs = settings.epochs_of(steps_per_epoch)
    steps = steps_per_epoch * epochs
    with (
        progress_bar(steps, "training", "step", done=history.step) as bar,
        scalars(folder, settings.tensorboard, history.step) as write_scalars,
    ):
        while history.step < steps and not history.stopped(settings.patience):
            epoch, first = divmod(history.step, steps_per_epoch)
            waited = time.perf_counter()
            for batch in feed.batches(epoch, first):
                started = time.perf_counter()
                rate = learning_rate(settings.schedule, history.step, steps, steps_per_epoch)
                value = train_step(tagger, batch, optimizer, rate, settings, loss)
                if not math.isfinite(value):
                    raise InputError(_not_finite(feed, batch, epoch, history.step))
                history.count_step(value, len(batch.clip_index), waited=started - waited, since=waited)
                bar.update(1)
                ends_epoch = history.step % steps_per_epoch == 0
                if ends_epoch or history.step % settings.validate_every_steps == 0:
                    _refuse_broken_weights(tagger, epoch, history.step)
                    metrics = validate(tagger)
                    history.record(epoch + 1, rate, metrics, settings.select_by)
                    write_scalars(history.records[-1])
                    log.info("%s", history.last_line(epochs, settings.select_by))
                    _keep_weights(history, tagger, settings, ends_epoch)
                    history.save(tagger, optimizer)
                    if history.stopped(settings.patience):
                        break
                elif history.step % settings.checkpoint_every_steps == 0:
                    history.save(tagger, optimizer)
                waited = time.perf_counter()
    set_final_weights(tagger, feed, history, settings)
    tagger.eval()
    return history


def train_step(
    tagger: Tagger,
    batch: TrainingBatch,
    optimizer: torch.optim.Optimizer,
    rate: float,
    settings: FitSettings,
    loss: Loss,
) -> float:
    """One step of the optimiser; returns the batch's loss. A loss that is not finite changes nothing."""
    tagger.train()
    output = training_output(tagger, batch, settings.precision)
    targets = batch.targets.to(output.clipwise.device)
    known = targets.clipwise_weight.amax(dim=1) > 0
    value = weighted_mean(loss(output, targets), known)
    optimizer.zero_grad(set_to_none=True)
    found = value.detach().item()  # the one wait for the device in a step
    if not math.isfinite(found):
        return found
    value.backward()  # type: ignore[no-untyped-call]
    if settings.gradient_clip is not None:
        nn.utils.clip_grad_norm_(tagger.parameters(), settings.gradient_clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return found


def training_output(tagger: Tagger, batch: TrainingBatch, precision: str) -> HeadOutput:
    """What the tagger says of a batch whose features are augmented as drawn."""
    device = next(tagger.parameters()).device
    with torch.no_grad():
        features, num_valid_frames = tagger.features(batch.waveform.to(device), batch.num_samples.to(device))
        features = augment.apply_features(features, num_valid_frames, batch.draws, tagger.front_end.masked_value)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        return tagger.logits(features, num_valid_frames)


def _keep_weights(history: History, tagger: Tagger, settings: FitSettings, ends_epoch: bool) -> None:
    """Keeps the weights if they are asked for or may be among the final ones; drops those that no longer can be."""
    best = {"best": 1, "top_k": settings.top_k}.get(settings.final_weights, 0)
    stays = ends_epoch and history.epoch >= settings.first_epoch_kept()
    if stays or history.is_among_best(best):
        about = {"epoch": history.epoch, "step": history.step, "ends_epoch": ends_epoch}
        save_tensors(history.weights_path(), tagger.state_dict(), about)
        history.keep(ends_epoch, stays, best)


def set_final_weights(tagger: Tagger, feed: Feed, history: History, settings: FitSettings) -> None:
    """Loads or averages the kept checkpoints into the tagger, as `final_weights` says."""
    if settings.final_weights == "last":
        return
    paths = history.final_paths(settings)
    if not paths:
        log.warning("final weights: the last, because training ended before epoch %d", settings.average_from_epoch)
        return
    if len(paths) == 1:
        weights, _ = load_tensors(paths[0])
        load_weights(tagger, weights, str(paths[0]))
        return
    load_weights(tagger, average_weights(paths), f"the average of {len(paths)} checkpoints")
    log.info("final weights: average of %d checkpoints (%s)", len(paths), first_few(path.stem for path in paths))
    if settings.refresh_bn:
        refresh_batch_norm(tagger, feed, history.epoch)


def refresh_batch_norm(tagger: Tagger, feed: Feed, epoch: int) -> None:
    """Estimates the statistics of BatchNorms that train afresh: one cumulative pass over at most 200 batches."""
    tagger.train()
    norms = [norm for norm in tagger.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative
    with torch.no_grad():
        for _, batch in zip(range(MAX_REFRESH_BATCHES if norms else 0), feed.batches(epoch), strict=False):
            training_output(tagger, batch, "fp32")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _refuse_broken_weights(tagger: Tagger, epoch: int, step: int) -> None:
    """A finite loss can still leave weights that are not: the step was too long."""
    broken = [name for name, tensor in tagger.state_dict().items() if not torch.isfinite(tensor).all()]
    if broken:
        raise InputError(
            f"weights must be finite, found NaN or infinity after epoch {epoch + 1}, step {step} in "
            f"{first_few(broken)}; lower the learning rate or set gradient_clip=1"
        )


def _not_finite(feed: Feed, batch: TrainingBatch, epoch: int, step: int) -> str:
    names = first_few(feed.clip_names(batch.clip_index), len(batch.clip_index))
    return (
        f"the loss must be finite, found NaN or infinity in epoch {epoch + 1}, step {step + 1}; clips of the batch: "
        f"{names}; look at these clips, or lower the learning rate or set gradient_clip=1"
    )
