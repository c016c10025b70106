"""ResNet-50 on log-mel features, with timm's (and torchvision's) parameter names.

The weights of timm's `resnet50` interchange once the stem has one channel (`earmark.models.pretrained`).
"""

import torch
from torch import nn
from torch.nn import functional

# Blocks and their inner width, stage by stage; every stage but the first strides by two.
_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
_EXPANSION = 4


class ResNet50(nn.Module):
    """Features (clip, 1, frame, mel) to an embedding (clip, step, channel), the mean over frequency.

    Five layers stride by two in both directions, so a step is 32 frames, and there are ceil(frames / 32) steps.

    Args:
        bn_eps: epsilon of every BatchNorm.

    Source: He et al. 2016 (arXiv 1512.03385), the stride in the 3x3 convolution as all weights in use have it; as an
    audio tagger Ford et al. 2019, which Gong et al. 2021 compare with.

    >>> with torch.inference_mode():
    ...     tuple(ResNet50().eval()(torch.zeros(1, 1, 100, 64)).shape)
    (1, 4, 2048)
    """

    name = "resnet50"
    padding = "symmetric"
    stem_weight = "conv1.weight"
    classifier = "fc."
    stride_frames = 32
    num_channels = _STAGES[-1][1] * _EXPANSION

    def __init__(self, bn_eps: float = 1e-5) -> None:
        super().__init__()
        self.bn_eps = bn_eps
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64, bn_eps)
        channels = 64
        for index, (repeats, width) in enumerate(_STAGES):
            blocks = nn.Sequential()
            for place in range(repeats):
                stride = 2 if index > 0 and place == 0 else 1
                blocks.append(_Bottleneck(channels, width, stride, bn_eps))
                channels = width * _EXPANSION
            self.add_module(f"layer{index + 1}", blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # Convolutions take the layout of their weights; channels last is the fast one, on CPU and GPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def feature_map(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the last feature map (clip, channel, step, band)."""
        hidden: torch.Tensor = self.bn1(self.conv1(features.contiguous(memory_format=torch.channels_last)))
        hidden = functional.max_pool2d(functional.relu(hidden, inplace=True), 3, 2, 1)
        for index in range(len(_STAGES)):
            hidden = self.get_submodule(f"layer{index + 1}")(hidden)
        return hidden

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the embedding (clip, step, channel), float32 even under autocast."""
        hidden = self.feature_map(features)
        return hidden.mean(3, dtype=torch.promote_types(hidden.dtype, torch.float32)).transpose(1, 2)


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, in_channels: int, width: int, stride: int, bn_eps: float) -> None:
        super().__init__()
        channels = width * _EXPANSION
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, bn_eps)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, bn_eps)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels, bn_eps)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels, bn_eps)
            )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden (clip, channel, frame, mel) with the block's width and stride."""
        branch = functional.relu(self.bn1(self.conv1(hidden)), inplace=True)
        branch = functional.relu(self.bn2(self.conv2(branch)), inplace=True)
        branch = self.bn3(self.conv3(branch))
        summed: torch.Tensor = branch.add_(self.downsample(hidden))
        return functional.relu(summed, inplace=True)
