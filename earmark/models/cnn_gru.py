"""The convolutional recurrent network of staged training: the field's usual CNN-GRU, in full size."""

import torch
from torch import nn

_BLOCKS = (64, 128, 256, 512)
_GRU_CHANNELS = 256


class CnnGru(nn.Module):
    """Features (clip, 1, frame, mel) to an embedding (clip, step, channel); 5.87 M parameters.

    Four blocks of two 3x3 convolutions with BatchNorm and ReLU, each followed by 2x2 average pooling; the mean over
    frequency; a bidirectional GRU of 256 channels a side. A step is 16 frames, and there are ceil(frames / 16) steps.
    The GRU sees the whole padded clip.

    Args:
        bn_eps: epsilon of every BatchNorm.

    Source: He et al. 2020, section 2.2: four convolutional blocks and one bidirectional GRU. The paper gives the widths
    in a figure that its text lacks: they are a choice.

    >>> with torch.inference_mode():
    ...     tuple(CnnGru().eval()(torch.zeros(1, 1, 100, 80)).shape)
    (1, 7, 512)
    """

    stride_frames = 2 ** len(_BLOCKS)
    num_channels = 2 * _GRU_CHANNELS

    def __init__(self, bn_eps: float = 1e-5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for wide in _BLOCKS:
            for inputs in (channels, wide):
                layers += [
                    nn.Conv2d(inputs, wide, 3, padding=1, bias=False),
                    nn.BatchNorm2d(wide, bn_eps),
                    nn.ReLU(inplace=True),
                ]
            # Ceil mode keeps the last step of an odd count; padding cells do not enter its mean.
            layers.append(nn.AvgPool2d(2, ceil_mode=True))
            channels = wide
        self.convolutions = nn.Sequential(*layers)
        self.gru = nn.GRU(channels, _GRU_CHANNELS, batch_first=True, bidirectional=True)
        self.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (clip, 1, frame, mel) to the embedding (clip, step, channel), float32 even under autocast."""
        hidden = self.convolutions(features.contiguous(memory_format=torch.channels_last))
        with torch.autocast(features.device.type, enabled=False):
            embedding, _ = self.gru(hidden.to(self.gru.weight_hh_l0.dtype).mean(3).transpose(1, 2).contiguous())
        assert isinstance(embedding, torch.Tensor)
        return embedding
