"""A small convolutional recurrent network, for test beds, tests and the sample data."""

import torch
from torch import nn


class SmallCRNN(nn.Module):
    """Features (clip, 1, frame, mel) to an embedding (clip, step, channel) on a fine time grid; .16 M parameters.

    Four 3x3 convolutions with BatchNorm, ReLU and 2x2 average pooling (time is pooled by the first two only), the mean
    over frequency, and a bidirectional GRU. A step is 4 frames, and there are ceil(frames / 4) steps. The GRU sees the
    whole padded clip.

    >>> tuple(SmallCRNN()(torch.zeros(2, 1, 101, 64)).shape)
    (2, 26, 160)
    """

    stride_frames = 4
    num_channels = 160

    def __init__(self, bn_eps: float = 1e-5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for wide, pool_frames in ((16, 2), (32, 2), (64, 1), (96, 1)):
            layers += [
                nn.Conv2d(channels, wide, 3, padding=1, bias=False),
                nn.BatchNorm2d(wide, bn_eps),
                nn.ReLU(inplace=True),
                # Ceil mode keeps the last step of an odd count; padding cells do not enter its mean.
                nn.AvgPool2d((pool_frames, 2), ceil_mode=True),
            ]
            channels = wide
        self.convolutions = nn.Sequential(*layers)
        self.gru = nn.GRU(channels, self.num_channels // 2, batch_first=True, bidirectional=True)
        self.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the embedding (clip, step, channel), float32 even under autocast."""
        hidden = self.convolutions(features.contiguous(memory_format=torch.channels_last))
        with torch.autocast(features.device.type, enabled=False):
            embedding, _ = self.gru(hidden.to(self.gru.weight_hh_l0.dtype).mean(3).transpose(1, 2).contiguous())
        assert isinstance(embedding, torch.Tensor)
        return embedding
