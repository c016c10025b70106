"""Steps of training: forward, loss, backward, optimiser."""

from typing import Literal

import torch

from benchmarks.speed.contest import OURS, Contestant, Row
from earmark.environment import resolve_precision

_OURS = "benchmarks.speed.ours.training"
_PEERS = "benchmarks.speed.peers.training"
TABLE = "A step of training with Adam; ours makes its log-mel itself, peers' features are at hand"
TABLE_ON_GPU = "A step of training with Adam, bf16, at the presets' batch sizes"
PRECISION: Literal["fp32", "bf16"] = "bf16" if resolve_precision("auto", torch.device("cpu")) == "bf16" else "fp32"
# A forward pass by `python -m benchmarks.speed.ours.networks`; the backward pass takes twice that.
FORWARD = {"efficientnet_b2": 3.9e9, "mobilenetv2": 8.15e8, "cnn_gru": 1.675e10, "class_frame_resnet": 7.149e10}
# What a clip's layers read and write, by the same; forward both are moved once, backward what was read is read again
# and its gradient written, and the gradient of what was written is read: each number twice and a half as bf16. This
# leaves BatchNorm out, whose statistics want one more look at what is normalised.
VALUES_MOVED = {"efficientnet_b2": 3 * 2.639e7 + 2 * 2.653e7, "mobilenetv2": 3 * 8.747e6 + 2 * 8.739e6}


def _on_cpu(network: str, num_clips: int, title: str, peer: str, aim: float, binds: str = "") -> Row:
    name = network.replace("_", "-")
    return Row(
        name=f"train-{name}",
        title=f"{title}, {num_clips} clips a step",
        unit="clip",
        table=TABLE,
        ours=Contestant(f"earmark, {PRECISION}", f"{_OURS}:{network}", num_clips, OURS),
        peers=(Contestant(peer, f"{_PEERS}:{network}", num_clips),),
        aim=aim,
        flops=3 * FORWARD[network],
        peak=PRECISION,
        tolerance=0,  # as many weights
        binds=binds,
    )


def _on_gpu(network: str, num_clips: int, title: str) -> Row:
    """A step of 20 counts; the pace of all is that of ours, which is fed."""
    units = 20 * num_clips

    def one(name: str, kind: str) -> Contestant:
        return Contestant(name, f"{_OURS}:{network}_{kind}", units, OURS)

    return Row(
        name=f"train-{network.replace('_', '-')}-gpu",
        title=f"{title}, {num_clips} clips a step",
        unit="clip",
        table=TABLE_ON_GPU,
        ours=one("earmark, compiled, fed from a pack", "fed"),
        peers=(
            one("earmark, compiled, a batch at hand", "compiled"),
            one("earmark, eager, a batch at hand", "eager"),
            one("the feed alone", "feed"),
        ),
        bytes=2 * VALUES_MOVED[network],
        device="cuda",
    )


ROWS = (
    _on_cpu(
        "efficientnet_b2", 8, "EfficientNet-B2 with 4 attention heads, 10-s clips, 128 mels, 527 tags",
        "efficientnet_pytorch with PSLA's heads, fp32", 3,
    ),
    _on_cpu("mobilenetv2", 32, "MobileNetV2, 10-s clips, 64 mels, 527 tags", "plain MobileNetV2, fp32", 3),
    _on_cpu("cnn_gru", 8, "CNN-GRU of staged training, windows of 512 frames, 80 mels", "the same plainly, fp32", 2),
    _on_cpu(
        "class_frame_resnet", 2, "ResNet of class-frame labels, 10-s clips of 1,024 frames, 64 mels",
        "the same plainly, fp32", 2,
    ),
    _on_gpu("efficientnet_b2", 100, "EfficientNet-B2 with 4 attention heads, 10-s clips, 527 tags"),
    _on_gpu("mobilenetv2", 32, "MobileNetV2, 10-s clips, 64 mels, 527 tags"),
)  # fmt: skip
