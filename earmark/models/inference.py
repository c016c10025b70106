"""A model made fast for scoring: the same scores with less work, in batches that stay in the processor's cache."""

import copy
import itertools
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from earmark.models.ensemble import Model
from earmark.models.mbconv import ActivatedNorm

ModelT = TypeVar("ModelT", bound=nn.Module)

CELLS_AT_ONCE = 1 << 18
"""Feature cells of a batch on a CPU: four clips of 10 s with 64 mels. Beyond, the first layers' maps leave the cache
(EfficientNet-Lite0 and MobileNetV2 on 2 cores: 2 x the clips/s of batches of 32)."""
MOST_AT_ONCE = 64


def for_scoring(model: ModelT) -> ModelT:
    """A copy in eval mode with each BatchNorm folded into the convolution before it; the given model stays as it is.

    Scores differ from the model's by rounding only (about 1e-6), at 1.5 to 2 times its speed on a CPU.
    """
    made = copy.deepcopy(model).eval()
    for module in made.modules():
        _fold_children(module)
    return made


def clips_at_once(model: Model, num_samples: int, device: torch.device) -> int:
    """How many waveforms of a padded length are best scored together; what is scored does not depend on it."""
    if device.type != "cpu":
        return MOST_AT_ONCE
    front_end, clip_frames = model.config.front_end, model.config.clip_frames
    num_frames = clip_frames.num_frames if clip_frames else num_samples // front_end.hop_samples
    cells = num_frames * front_end.num_mels
    return min(MOST_AT_ONCE, max(1, CELLS_AT_ONCE // max(1, cells)))


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
