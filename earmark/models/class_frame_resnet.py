"""The residual network of class-frame pseudo labels: a fine time grid, an eighth of the frames."""

import torch
from torch import nn
from torch.nn import functional

# Channels and stride of the four residual blocks, each of two iterations.
_BLOCKS = ((64, 1), (128, 2), (256, 2), (512, 2))
_ITERATIONS = 2


class ClassFrameResNet(nn.Module):
    """Features (clip, 1, frame, mel) to an embedding (clip, step, channel); 11.2 M parameters.

    A 3x3 convolution to 64 channels, then four residual blocks; the mean over frequency and a ReLU. A step is 8 frames,
    and there are ceil(frames / 8) steps. The paper's head is `max`: a linear layer and a sigmoid a step, the largest
    over steps for the clip.

    Args:
        bn_eps: epsilon of every BatchNorm.

    Source: NEC's report on DCASE 2019 task 4, sections 2.2 to 2.4 and Figs. 1 and 2. The iterations of a block are
    not stated: two are a choice.

    >>> with torch.inference_mode():
    ...     tuple(ClassFrameResNet().eval()(torch.zeros(1, 1, 100, 64)).shape)
    (1, 13, 512)
    """

    stride_frames = 8
    num_channels = _BLOCKS[-1][0]

    def __init__(self, bn_eps: float = 1e-5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, _BLOCKS[0][0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(_BLOCKS[0][0], bn_eps)
        channels, iterations = _BLOCKS[0][0], []
        for wide, stride in _BLOCKS:
            for place in range(_ITERATIONS):
                iterations.append(_Iteration(channels, wide, stride if place == 0 else 1, place == 0, bn_eps))
                channels = wide
        self.iterations = nn.Sequential(*iterations)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the embedding (clip, step, channel)."""
        hidden = self.norm(self.conv(features.contiguous(memory_format=torch.channels_last)))
        hidden = self.iterations(functional.relu(hidden, inplace=True))
        return functional.relu(hidden.mean(3)).transpose(1, 2)


class _Iteration(nn.Module):
    """Two 3x3 convolutions, each with BatchNorm, beside a shortcut; the first of a block fits the shortcut too."""

    def __init__(self, inputs: int, outputs: int, stride: int, fits: bool, bn_eps: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs, bn_eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs, bn_eps)
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs, bn_eps))
            if fits
            else nn.Identity()
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Feature maps to feature maps."""
        hidden = functional.relu(self.norm1(self.conv1(features)), inplace=True)
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(features), inplace=True)
