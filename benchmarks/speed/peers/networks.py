"""The recipes' networks as people write or import them: contiguous, in fp32, nothing folded."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.speed.inputs import fill

MARGIN = 1e-7


class PslaTagger(nn.Module):
    """efficientnet_pytorch's B2 on features (clip, frame, mel), the mean over frequency, four attention heads.

    A head is two 1x1 convolutions, of the attention and of the classes, as PSLA has them. Padding follows what comes in
    (image_size None), not an image of 260 x 260: as many operations, and the answers are Earmark's.
    """

    def __init__(self, num_tags: int = 527, num_heads: int = 4) -> None:
        super().__init__()
        from efficientnet_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-b2", in_channels=1, include_top=False, image_size=None)
        self.attention = nn.ModuleList(nn.Conv2d(1408, num_tags, 1) for _ in range(num_heads))
        self.classes = nn.ModuleList(nn.Conv2d(1408, num_tags, 1) for _ in range(num_heads))
        self.head_weight = nn.Parameter(torch.full((num_heads,), 1 / num_heads))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Clipwise probabilities (clip, tag)."""
        embedding = self.network.extract_features(features.unsqueeze(1)).mean(3, keepdim=True)
        heads = []
        for attention, classes in zip(self.attention, self.classes, strict=True):
            weight = torch.sigmoid(attention(embedding)).clamp(MARGIN, 1 - MARGIN)
            weight = weight / weight.sum(2, keepdim=True)
            heads.append((weight * torch.sigmoid(classes(embedding))).sum((2, 3)))
        clipwise = sum(weight * head for weight, head in zip(self.head_weight, heads, strict=True))
        assert isinstance(clipwise, torch.Tensor)
        return clipwise.clamp(MARGIN, 1 - MARGIN)

    def filled(self) -> "PslaTagger":
        """With made-up weights; Earmark's head is one layer: all heads' attention, then all heads' classes."""
        fill(self.network.state_dict())
        branches = [*self.attention, *self.classes]
        size, num_channels = branches[0].weight.shape[:2]
        together = nn.Linear(num_channels, size * len(branches))
        fill(together.state_dict())
        with torch.no_grad():
            for number, branch in enumerate(branches):
                rows = slice(number * size, (number + 1) * size)
                branch.weight.copy_(together.weight[rows, :, None, None])
                branch.bias.copy_(together.bias[rows])
        return self.eval()


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1 on features (clip, frame, mel): layers one after another, as PANNs and PSL have it.

    The mean over frequency, dropout, a linear layer on each step, the mean of the probabilities.
    """

    def __init__(self, num_tags: int = 527) -> None:
        super().__init__()
        layers: list[nn.Module] = [_normed(1, 32, 3, 2)]
        channels = 32
        for expansion, wide, repeats, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            for place in range(repeats):
                layers.append(_InvertedResidual(channels, wide, stride if place == 0 else 1, expansion))
                channels = wide
        self.features = nn.Sequential(*layers, _normed(channels, 1280, 1))
        self.dropout = nn.Dropout(0.3)
        self.linear = nn.Linear(1280, num_tags)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Clipwise probabilities (clip, tag)."""
        embedding = self.features(features.unsqueeze(1)).mean(3).transpose(1, 2)
        framewise = torch.sigmoid(self.linear(self.dropout(embedding)))
        return framewise.mean(1).clamp(MARGIN, 1 - MARGIN)

    def filled(self) -> "MobileNetV2":
        """With made-up weights."""
        fill(self.features.state_dict())
        fill(self.linear.state_dict())
        return self.eval()


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.has_shortcut = stride == 1 and inputs == outputs
        self.convolutions = nn.Sequential(
            *([_normed(inputs, wide, 1)] if expansion > 1 else []),
            _normed(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.convolutions(hidden) if self.has_shortcut else self.convolutions(hidden)


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class CnnGru(nn.Module):
    """Four blocks of two convolutions and a pooling, the mean over frequency, a bidirectional GRU, a linear layer."""

    def __init__(self, num_tags: int = 80) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for wide in (64, 128, 256, 512):
            for inputs in (channels, wide):
                layers += [nn.Conv2d(inputs, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            layers.append(nn.AvgPool2d(2))
            channels = wide
        self.convolutions = nn.Sequential(*layers)
        self.gru = nn.GRU(512, 256, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(512, num_tags)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Clipwise logits (clip, tag)."""
        embedding, _ = self.gru(self.convolutions(features.unsqueeze(1)).mean(3).transpose(1, 2))
        return self.linear(self.dropout(embedding)).mean(1)


class ClassFrameResNet(nn.Module):
    """A convolution, eight residual blocks, the mean over frequency, a linear layer, the largest of the steps."""

    def __init__(self, num_tags: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        blocks, channels = [], 64
        for wide, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [_Residual(channels, wide, stride, fits=True), _Residual(wide, wide, 1, fits=False)]
            channels = wide
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(512, num_tags)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Clipwise logits (clip, tag)."""
        embedding = functional.relu(self.blocks(self.stem(features.unsqueeze(1))).mean(3)).transpose(1, 2)
        return self.linear(embedding).amax(1)


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, fits: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if fits:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.branch(hidden) + self.shortcut(hidden))


NETWORKS: dict[str, Any] = {
    "efficientnet_b2": PslaTagger,
    "mobilenetv2": MobileNetV2,
    "cnn_gru": CnnGru,
    "class_frame_resnet": ClassFrameResNet,
}
