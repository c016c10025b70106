"""A model made fast for scoring: the same scores with less work, in batches that stay in the processor's cache."""

import copy
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from earmark.models.ensemble import Model
from earmark.models.mbconv import ActivatedNorm, MBConvNet
from earmark.models.tagger import Tagger
from earmark.prefetch import mapped

ModelT = TypeVar("ModelT", bound=nn.Module)
BatchT = TypeVar("BatchT")
SaidT = TypeVar("SaidT")

CELLS_AT_ONCE = 1 << 18
"""Feature cells of a batch on a CPU: four clips of 10 s with 64 mels. Beyond, the first layers' maps leave the cache
(EfficientNet-Lite0 and MobileNetV2 on 2 cores: 2 x the clips/s of batches of 32)."""
MOST_AT_ONCE = 64
FIRST_LAYERS = ("conv_stem", "blocks.0")
"""The layers of an `MBConvNet` that stay in float32. In bfloat16 these few narrow ones make more than half of the error
of EfficientNet-Lite0's and MobileNetV2's scores (.11 and .08 at most, .05 and .04 without them), and save no time."""


def for_scoring(model: ModelT, precision: str = "fp32") -> ModelT:
    """A copy in eval mode with each BatchNorm folded into the convolution before it; the given model stays as it is.

    Scores differ from the model's by rounding only (about 1e-6), at 1.5 to 2 times its speed on a CPU.

    Args:
        precision: fp32; or bf16, in which the backbones compute, but for their `FIRST_LAYERS`: 1.3 to 2 times as fast
            again where the processor has it, with scores that differ by some hundredths at most.
    """
    made = copy.deepcopy(model).eval()
    for module in made.modules():
        _fold_children(module)
    if precision == "bf16":
        for tagger in [module for module in made.modules() if isinstance(module, Tagger)]:
            tagger.backbone = _in_bf16(tagger.backbone)
    return made


def clips_at_once(model: Model, num_samples: int, device: torch.device) -> int:
    """How many waveforms of a padded length are best scored together; what is scored does not depend on it."""
    if device.type != "cpu":
        return MOST_AT_ONCE
    front_end, clip_frames = model.config.front_end, model.config.clip_frames
    num_frames = clip_frames.num_frames if clip_frames else num_samples // front_end.hop_samples
    cells = num_frames * front_end.num_mels
    return min(MOST_AT_ONCE, max(1, CELLS_AT_ONCE // max(1, cells)))


def on_all_cores(
    score: Callable[[BatchT], SaidT], batches: Iterable[BatchT], device: torch.device | None
) -> Iterator[SaidT]:
    """What a model says of batches, in their order; on a CPU of one batch a core, as many at once as torch has threads.

    Threads that share a forward pass wait for each other at every layer: two cores score 94 clips of 10 s a second
    with MobileNetV2 so, 80 with both in each pass, one alone 50. Each batch at work takes memory (EfficientNet-B2: 50
    MB). A batch that is the only one has all cores.

    Args:
        score: safe to be called in several threads at the same time.
        device: where it computes; None where that, or its safety, is not known: one batch after another.
    """
    threads = torch.get_num_threads() if device is not None and device.type == "cpu" else 1
    source = iter(batches)
    if threads == 1:
        yield from map(score, source)
        return
    for first in source:
        try:
            second = next(source)
        except Exception as end:
            yield score(first)
            if isinstance(end, StopIteration):
                return
            raise
        several = itertools.chain([first, second], source)
        yield from mapped(score, several, threads, prepare=partial(_give_one_core_each, threads))


def _give_one_core_each(threads: int, pool: ThreadPoolExecutor) -> None:
    """Lets torch compute on one core in each of a pool's threads; elsewhere it goes on with as many as it had."""
    together = threading.Barrier(threads)

    def begin(_: int) -> None:
        torch.get_num_threads()  # a thread takes over the number that holds elsewhere when it is first asked for it
        torch.set_num_threads(1)
        together.wait()

    try:
        list(pool.map(begin, range(threads)))
    finally:
        together.abort()  # should a thread not have started, the others need not wait for it
        # Threads still to come begin with the number that was set last, in whichever thread.
        torch.set_num_threads(threads)


class _Autocast(nn.Module):
    """A part of a network computed under autocast to bfloat16, or, within such a part, in float32."""

    def __init__(self, part: nn.Module, enabled: bool) -> None:
        super().__init__()
        self.part, self.enabled = part, enabled

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the part gives."""
        with torch.autocast(hidden.device.type, torch.bfloat16, enabled=self.enabled):
            given = self.part(hidden)
        assert isinstance(given, torch.Tensor)
        return given


def _in_bf16(backbone: nn.Module) -> nn.Module:
    for name in FIRST_LAYERS if isinstance(backbone, MBConvNet) else ():
        backbone.set_submodule(name, _Autocast(backbone.get_submodule(name), enabled=False))
    return _Autocast(backbone, enabled=True)


def _fold_children(module: nn.Module) -> None:
    """Folds BatchNorms that follow a convolution among a module's own children.

    All networks here name a convolution's BatchNorm right after it, as they apply it.
    """
    children = list(module.named_children())
    for (name, conv), (norm_name, norm) in itertools.pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            assert norm.num_features == conv.out_channels, f"{norm_name} must be the norm of {name}"
            assert norm.running_mean is not None
            assert norm.running_var is not None
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            setattr(module, norm_name, norm.activation_alone() if isinstance(norm, ActivatedNorm) else nn.Identity())
