"""fit(): the only training loop."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from earmark.errors import InputError, first_few
from earmark.models.tagger import Tagger
from earmark.progress import progress_bar
from earmark.tensor_files import save_tensors
from earmark.training.feed import Feed, TrainingBatch
from earmark.training.final_weights import set_final_weights
from earmark.training.history import History
from earmark.training.optimizers import build_optimizer
from earmark.training.profile import PROFILED_STEPS, Profile
from earmark.training.schedules import learning_rate
from earmark.training.selection import Selection
from earmark.training.settings import FitSettings
from earmark.training.step import Loss, clipwise_loss, train_step
from earmark.training.stopwatch import Stopwatch
from earmark.training.tensorboard import scalars

log = logging.getLogger(__name__)

Validate = Callable[[Tagger], dict[str, float]]


class Part(NamedTuple):
    """Some epochs of a run whose targets change on the way.

    Attributes:
        first_epoch: counted from 0.
        end_epoch: the epoch after the last.
        afresh: it begins with the weights that the tagger has and a new optimiser, and the learning rate's course is
            its own; else with what the part before left, on the run's course.
    """

    first_epoch: int
    end_epoch: int
    afresh: bool = False


def fit(
    tagger: Tagger,
    feed: Feed,
    validate: Validate,
    settings: FitSettings,
    folder: Path,
    *,
    device: torch.device,
    loss: Loss = clipwise_loss,
    selection: Selection | None = None,
    resume: bool = False,
    part: Part | None = None,
    profile: bool = False,
) -> History:
    """Trains `tagger` in place and leaves it with its final weights.

    A run resumed from its last checkpoint gives the same weights as the unbroken one, bit for bit on CPU with the
    same number of threads.

    Args:
        validate: the metrics of a tagger on the validation split, `settings.select_by` among them.
        folder: where `metrics.jsonl` and `checkpoints/` go.
        loss: each clip's loss from what the tagger said and what it should have said.
        selection: which clips' losses count; None: all.
        resume: go on from `checkpoints/last.safetensors` if it is there.
        part: train these epochs only, after the part before; final weights are set after the last one.
        profile: only time some steps.

    Raises:
        InputError: the loss is not finite; the message names the clips of the batch.
        StepsMeasured: with `profile`.
    """
    tagger.to(device)
    feed = feed.in_epochs_of(PROFILED_STEPS) if profile else feed
    stopwatch = Profile(feed, settings, device, folder) if profile else Stopwatch()
    optimizer = build_optimizer(tagger, settings)
    steps_per_epoch = feed.steps_per_epoch
    epochs = settings.epochs_of(steps_per_epoch)
    steps = steps_per_epoch * epochs
    part = part or Part(0, epochs)
    begin, end = (steps_per_epoch * epoch for epoch in (part.first_epoch, part.end_epoch))
    history = _history(folder, tagger, optimizer, selection, resume, afresh_at=begin if part.afresh else None)
    course_begins, course = (begin, end - begin) if part.afresh else (0, steps)
    with (
        progress_bar(steps, "training", "step", done=history.step) as bar,
        scalars(folder, settings.tensorboard, history.step) as write_scalars,
    ):
        while history.step < end and not history.stopped(settings.patience):
            epoch, first = divmod(history.step, steps_per_epoch)
            stopwatch.start()
            for batch in feed.batches(epoch, first):
                stopwatch.mark("waiting for data")
                rate = learning_rate(settings.schedule, history.step - course_begins, course, steps_per_epoch)
                value = train_step(
                    tagger, batch, optimizer, rate, settings, loss, selection, history.step, stopwatch.mark
                )
                if not math.isfinite(value):
                    raise InputError(_not_finite(feed, batch, epoch, history.step))
                bar.update(1)
                history.count_step(value, len(batch.clip_index), stopwatch.stop())
                ends_epoch = history.step % steps_per_epoch == 0
                if ends_epoch or history.step % settings.validate_every_steps == 0:
                    _refuse_broken_weights(tagger, epoch, history.step)
                    metrics = _with(settings.select_by, validate(tagger))
                    selected = selection.since_last() if selection else None
                    history.record(epoch + 1, rate, metrics, settings.select_by, selected)
                    write_scalars(history.records[-1])
                    log.info("%s", history.last_line(epochs, settings.select_by))
                    _keep_weights(history, tagger, settings, ends_epoch)
                    history.save(tagger, optimizer, selection)
                    if history.stopped(settings.patience):
                        break
                elif history.step % settings.checkpoint_every_steps == 0:
                    history.save(tagger, optimizer, selection)
                stopwatch.start()
    if part.end_epoch == epochs or history.stopped(settings.patience):
        set_final_weights(tagger, feed, history, settings)
    tagger.eval()
    return history


def _history(
    folder: Path,
    tagger: Tagger,
    optimizer: torch.optim.Optimizer,
    selection: Selection | None,
    resume: bool,
    afresh_at: int | None,
) -> History:
    """The history to go on with; what trains afresh at the step that it is at keeps the weights that it has."""
    if not resume:
        return History(folder)
    given = {name: tensor.clone() for name, tensor in tagger.state_dict().items()} if afresh_at is not None else {}
    history = History.resumed(folder, tagger, optimizer, selection)
    if history.step == afresh_at:
        tagger.load_state_dict(given)
        optimizer.state.clear()
    return history


def _keep_weights(history: History, tagger: Tagger, settings: FitSettings, ends_epoch: bool) -> None:
    """Keeps the weights if they are asked for or may be among the final ones; drops those that no longer can be."""
    best = {"best": 1, "top_k": settings.top_k}.get(settings.final_weights, 0)
    stays = ends_epoch and history.epoch >= settings.first_epoch_kept()
    if stays or history.is_among_best(best):
        about = {"epoch": history.epoch, "step": history.step, "ends_epoch": ends_epoch}
        save_tensors(history.weights_path(), tagger.state_dict(), about)
        history.keep(ends_epoch, stays, best)


def _with(select_by: str, metrics: dict[str, float]) -> dict[str, float]:
    """The metrics, the one that weights are chosen by among them."""
    if select_by not in metrics:
        raise InputError(
            f"select_by must be a metric of the validation split, {select_by} is not among {first_few(metrics)}; "
            "metrics of events need recipe class_frame and strongly labelled clips to validate on"
        )
    return metrics


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
