"""MobileNetV2, EfficientNet-Lite0, -B0, -B1 and -B2 on log-mel features, with timm's parameter names.

One architecture, inverted bottlenecks, in tables: the published first versions differ in width, depth, kernel sizes,
activation and squeeze-and-excitation only. The weights of timm's models of the same name interchange once the stem has
one channel (`earmark.models.pretrained`), if padding and epsilon are the file's too: neither can be seen in the
weights.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from earmark.models.depthwise import depthwise_conv
from earmark.models.squeeze_excite import SqueezeExcite

Padding = Literal["symmetric", "same"]


@dataclass(frozen=True)
class Stage:
    """Blocks of one kind: the first may stride and widen, the rest keep the shape."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


@dataclass(frozen=True)
class Architecture:
    """One published network, before width and depth are scaled."""

    stages: tuple[Stage, ...]
    activation: Literal["relu6", "silu"]
    squeeze: bool
    width: float = 1.0
    depth: float = 1.0


_MOBILENETV2 = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(3, 3, 2, 6, 32),
    Stage(4, 3, 2, 6, 64),
    Stage(3, 3, 1, 6, 96),
    Stage(3, 3, 2, 6, 160),
    Stage(1, 3, 1, 6, 320),
)
_EFFICIENTNET = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
ARCHITECTURES = {
    "mobilenetv2": Architecture(_MOBILENETV2, "relu6", squeeze=False),
    "efficientnet_lite0": Architecture(_EFFICIENTNET, "relu6", squeeze=False),
    "efficientnet_b0": Architecture(_EFFICIENTNET, "silu", squeeze=True),
    "efficientnet_b1": Architecture(_EFFICIENTNET, "silu", squeeze=True, depth=1.1),
    "efficientnet_b2": Architecture(_EFFICIENTNET, "silu", squeeze=True, width=1.1, depth=1.2),
}


class MBConvNet(nn.Module):
    """Features (clip, 1, frame, mel) to an embedding (clip, step, channel), the mean over frequency.

    Five layers stride by two in both directions, so a step is 32 frames, and there are ceil(frames / 32) steps.

    Args:
        name: a key of `ARCHITECTURES`.
        padding: "symmetric" pads k // 2 on every side; "same" is TensorFlow's: strided layers pad the end first.
        bn_eps: epsilon of every BatchNorm; TensorFlow's networks have 1e-3, torch's 1e-5.
        stochastic_depth: rate at which the last block's branch is dropped, per clip, in training only; the first
            block's is 0 and the rate rises linearly between. (The networks that PSLA used divide by the number of
            blocks, so theirs ends one block's share below the set maximum.)

    Source: Sandler et al. 2018 (arXiv 1801.04381); Tan and Le 2019 (arXiv 1905.11946); parameter names of timm.

    >>> net = MBConvNet("efficientnet_b2").eval()
    >>> with torch.inference_mode():
    ...     tuple(net(torch.zeros(1, 1, 1056, 128)).shape)
    (1, 33, 1408)
    """

    stem_weight = "conv_stem.weight"
    classifier = "classifier."
    stride_frames = 32

    def __init__(
        self, name: str, padding: Padding = "same", bn_eps: float = 1e-3, stochastic_depth: float = 0.0
    ) -> None:
        super().__init__()
        architecture = ARCHITECTURES[name]
        self.name, self.padding, self.bn_eps = name, padding, bn_eps
        form = _Form(architecture.activation, architecture.squeeze, padding, bn_eps)
        channels = _scaled(32, architecture.width)
        self.conv_stem = PaddedConv(1, channels, 3, 2, padding)
        self.bn1 = ActivatedNorm(channels, bn_eps, architecture.activation)
        self.blocks = nn.Sequential()
        repeats = [math.ceil(stage.repeats * architecture.depth) for stage in architecture.stages]
        index = 0
        for stage, count in zip(architecture.stages, repeats, strict=True):
            blocks = nn.Sequential()
            for place in range(count):
                drop_rate = stochastic_depth * index / (sum(repeats) - 1)
                stride = stage.stride if place == 0 else 1
                wide = _scaled(stage.channels, architecture.width)
                kind = SeparableBlock if stage.expansion == 1 else BottleneckBlock
                blocks.append(kind(form, channels, wide, stage.kernel, stride, stage.expansion, drop_rate))
                channels = wide
                index += 1
            self.blocks.append(blocks)
        self.num_channels = max(1280, _scaled(1280, architecture.width))
        self.conv_head = PaddedConv(channels, self.num_channels, 1, 1, padding)
        self.bn2 = ActivatedNorm(self.num_channels, bn_eps, architecture.activation)
        self.apply(_initialise)
        # Convolutions take the layout of their weights; channels last is the fast one, on CPU and GPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def feature_map(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the last feature map (clip, channel, step, band)."""
        hidden = self.bn1(self.conv_stem(features.contiguous(memory_format=torch.channels_last)))
        hidden = self.blocks(hidden)
        hidden = self.bn2(self.conv_head(hidden))
        assert isinstance(hidden, torch.Tensor)
        return hidden

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the embedding (clip, step, channel), float32 even under autocast."""
        hidden = self.feature_map(features)
        return hidden.mean(3, dtype=torch.promote_types(hidden.dtype, torch.float32)).transpose(1, 2)


class PaddedConv(nn.Conv2d):
    """A convolution that keeps ceil(size / stride) cells; without bias, unless a BatchNorm was folded into it."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, padding: Padding, groups: int = 1
    ) -> None:
        self.pads_end = padding == "same" and stride > 1
        edge = 0 if self.pads_end else kernel // 2
        super().__init__(in_channels, out_channels, kernel, stride, edge, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        """Hidden (clip, channel, frame, mel), each size divided by the stride, rounded up."""
        if self.pads_end:
            rows, columns = (self._missing(size) for size in input.shape[2:])
            input = functional.pad(input, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))  # noqa: A001
        if self.groups > 1 and self.bias is None:
            return depthwise_conv(input, self.weight, self.stride[0], int(self.padding[0]))
        return super().forward(input)

    def _missing(self, size: int) -> int:
        """Cells that must be added for the last window to lie inside."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        return max((-(-size // stride) - 1) * stride + kernel - size, 0)


class ActivatedNorm(nn.BatchNorm2d):
    """BatchNorm and the activation after it, in place where nothing needs the value before."""

    def __init__(self, num_channels: int, eps: float, activation: Literal["relu6", "silu"]) -> None:
        super().__init__(num_channels, eps)
        self.activation = activation

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        """Hidden of the same shape."""
        hidden = super().forward(input)
        if self.activation == "relu6":
            return functional.relu6(hidden, inplace=True)
        # SiLU's gradient needs its input, so in place autograd would copy it first.
        return functional.silu(hidden, inplace=not torch.is_grad_enabled())

    def activation_alone(self) -> nn.Module:
        """What is left once the norm is folded into the convolution before it."""
        return nn.ReLU6(inplace=True) if self.activation == "relu6" else nn.SiLU(inplace=True)


@dataclass(frozen=True)
class _Form:
    """What all blocks of one network share."""

    activation: Literal["relu6", "silu"]
    squeeze: bool
    padding: Padding
    bn_eps: float

    def norm(self, num_channels: int) -> ActivatedNorm:
        return ActivatedNorm(num_channels, self.bn_eps, self.activation)

    def gate(self, num_channels: int, num_block_channels: int) -> nn.Module:
        # A quarter of the channels that enter the block, not of the expanded ones.
        return SqueezeExcite(num_channels, round(num_block_channels * 0.25)) if self.squeeze else nn.Identity()


class _Block(nn.Module):
    """What both kinds of block share: the shortcut, and the branch that is dropped at random."""

    def __init__(self, has_shortcut: bool, drop_rate: float) -> None:
        super().__init__()
        self.has_shortcut = has_shortcut
        self.drop_rate = drop_rate

    def branch(self, hidden: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden (clip, channel, frame, mel) with the block's width and stride."""
        if not self.has_shortcut:
            return self.branch(hidden)
        branch = self.branch(hidden)
        if not (self.training and self.drop_rate > 0):
            return branch.add_(hidden)
        keep_rate = 1 - self.drop_rate
        kept = torch.rand(len(hidden), 1, 1, 1, device=hidden.device) < keep_rate
        return torch.addcmul(hidden, branch, kept.to(branch.dtype) / keep_rate)


class SeparableBlock(_Block):
    """A depthwise and a pointwise convolution: the bottleneck without expansion."""

    def __init__(
        self, form: _Form, in_channels: int, channels: int, kernel: int, stride: int, expansion: int, drop_rate: float
    ) -> None:
        super().__init__(stride == 1 and in_channels == channels, drop_rate)
        self.conv_dw = PaddedConv(in_channels, in_channels, kernel, stride, form.padding, groups=in_channels)
        self.bn1 = form.norm(in_channels)
        self.se = form.gate(in_channels, in_channels)
        self.conv_pw = PaddedConv(in_channels, channels, 1, 1, form.padding)
        self.bn2 = nn.BatchNorm2d(channels, form.bn_eps)

    def branch(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden through the convolutions, without the shortcut."""
        hidden = self.se(self.bn1(self.conv_dw(hidden)))
        return self.bn2(self.conv_pw(hidden))  # type: ignore[no-any-return]


class BottleneckBlock(_Block):
    """Expansion, depthwise convolution, projection."""

    def __init__(
        self, form: _Form, in_channels: int, channels: int, kernel: int, stride: int, expansion: int, drop_rate: float
    ) -> None:
        super().__init__(stride == 1 and in_channels == channels, drop_rate)
        wide = in_channels * expansion
        self.conv_pw = PaddedConv(in_channels, wide, 1, 1, form.padding)
        self.bn1 = form.norm(wide)
        self.conv_dw = PaddedConv(wide, wide, kernel, stride, form.padding, groups=wide)
        self.bn2 = form.norm(wide)
        self.se = form.gate(wide, in_channels)
        self.conv_pwl = PaddedConv(wide, channels, 1, 1, form.padding)
        self.bn3 = nn.BatchNorm2d(channels, form.bn_eps)

    def branch(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden through the convolutions, without the shortcut."""
        hidden = self.bn1(self.conv_pw(hidden))
        hidden = self.se(self.bn2(self.conv_dw(hidden)))
        return self.bn3(self.conv_pwl(hidden))  # type: ignore[no-any-return]


def _scaled(channels: int, width: float) -> int:
    """Channels times width to the nearest multiple of eight, at least nine tenths of it."""
    exact = channels * width
    nearest = max(8, int(exact + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * exact else nearest


def _initialise(module: nn.Module) -> None:
    """He's normal initialisation over the outputs of each group, as these networks were published."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
