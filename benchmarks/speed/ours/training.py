"""Steps of training, ours: from packed waveforms, log-mel included."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.speed.inputs import sound
from benchmarks.speed.ours.networks import NETWORKS, Network
from benchmarks.speed.ours.reading import mixing_feed
from earmark.data.augment import Augmentation, draw
from earmark.environment import resolve_precision
from earmark.models.tagger import Tagger
from earmark.training.feed import Feed, TrainingBatch
from earmark.training.optimizers import build_optimizer
from earmark.training.step import clipwise_loss, train_step
from earmark.training.targets import Targets

CPU, GPU = torch.device("cpu"), torch.device("cuda")
CLIPS_ON_CPU = {"efficientnet_b2": 8, "mobilenetv2": 32, "cnn_gru": 8, "class_frame_resnet": 2}
"""Clips of a step; on a GPU they are the preset's."""
STEPS_ON_GPU = 20
"""Steps of a call; a single one would wait for the device too often."""
RATE = 1e-4


def on_cpu(name: str, precision: str, work: Path) -> Callable[[], npt.NDArray[np.int64]]:
    """A step on one batch; gives the number of weights, for peers to have as many."""
    tagger = NETWORKS[name].tagger()
    take_step = stepper(NETWORKS[name], tagger, precision)
    batch = made_up_batch(NETWORKS[name], CLIPS_ON_CPU[name])

    def step() -> npt.NDArray[np.int64]:
        take_step(batch)
        return np.array(sum(weights.numel() for weights in tagger.parameters()))

    return step


def in_hand(name: str, compiled: bool, device: torch.device, work: Path) -> Callable[[], None]:
    """Some steps on one of the feed's batches, which is at hand."""
    network = NETWORKS[name]
    take_step = stepper(network, network.tagger().to(device), compiled=compiled)
    batch = next(preset_feed(network, work).batches(0))

    def steps() -> None:
        for _ in range(STEPS_ON_GPU):
            take_step(batch)
        _wait_for(device)

    return steps


def fed(name: str, device: torch.device, work: Path) -> Callable[[], None]:
    """As many steps, as training takes them, on what the feed reads and mixes meanwhile."""
    network = NETWORKS[name]
    take_step = stepper(network, network.tagger().to(device))
    feed = preset_feed(network, work)

    def steps() -> None:
        for _, batch in zip(range(STEPS_ON_GPU), feed.batches(0), strict=False):
            take_step(batch)
        _wait_for(device)

    return steps


def feed_alone(name: str, work: Path) -> Callable[[], None]:
    """As many batches where nobody trains."""
    feed = preset_feed(NETWORKS[name], work)

    def batches() -> None:
        for _ in zip(range(STEPS_ON_GPU), feed.batches(0), strict=False):
            pass

    return batches


efficientnet_b2_bf16, mobilenetv2_bf16, cnn_gru_bf16, class_frame_resnet_bf16 = (
    partial(on_cpu, name, "bf16") for name in CLIPS_ON_CPU
)
efficientnet_b2_fp32, mobilenetv2_fp32, cnn_gru_fp32, class_frame_resnet_fp32 = (
    partial(on_cpu, name, "fp32") for name in CLIPS_ON_CPU
)
efficientnet_b2_eager, mobilenetv2_eager = (
    partial(in_hand, name, False, GPU) for name in ("efficientnet_b2", "mobilenetv2")
)
efficientnet_b2_compiled, mobilenetv2_compiled = (
    partial(in_hand, name, True, GPU) for name in ("efficientnet_b2", "mobilenetv2")
)
efficientnet_b2_fed, mobilenetv2_fed = (partial(fed, name, GPU) for name in ("efficientnet_b2", "mobilenetv2"))
efficientnet_b2_feed, mobilenetv2_feed = (partial(feed_alone, name) for name in ("efficientnet_b2", "mobilenetv2"))


def stepper(
    network: Network, tagger: Tagger, precision: str = "auto", compiled: bool = False
) -> Callable[[TrainingBatch], None]:
    """What takes a step of the network's recipe on a batch."""
    settings = network.settings.fit
    device = next(tagger.parameters()).device
    settings = settings.model_copy(update={"precision": resolve_precision(precision, device)})
    optimizer = build_optimizer(tagger, settings)
    if compiled:
        tagger.backbone.compile()

    def take_step(batch: TrainingBatch) -> None:
        # A step whose loss is not finite ends before the gradient, and would look fast.
        assert math.isfinite(train_step(tagger, batch, optimizer, RATE, settings, clipwise_loss))

    return take_step


def made_up_batch(network: Network, num_clips: int) -> TrainingBatch:
    """A batch as the feed gives it, without augmentation."""
    waveform = torch.from_numpy(sound(num_clips, network.rate_hz, network.length_s))
    tags = (torch.rand(num_clips, network.num_tags, generator=torch.Generator().manual_seed(0)) < 0.01).float()
    return TrainingBatch(
        waveform=waveform,
        num_samples=torch.full((num_clips,), waveform.shape[1]),
        clip_index=np.arange(num_clips),
        partner_index=np.full(num_clips, -1),
        targets=Targets(tags, torch.ones_like(tags)),
        draws=draw(Augmentation(), num_clips, num_clips, seed=0, epoch=0),
        place=np.zeros(num_clips),
    )


def preset_feed(network: Network, work: Path) -> Feed:
    """Made-up clips, with the preset's augmentation and batches."""
    settings = network.settings
    changes = {"batch_size": settings.fit.batch_size, "augmentation": settings.augmentation}
    return replace(mixing_feed(work), **changes).in_epochs_of(STEPS_ON_GPU)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
