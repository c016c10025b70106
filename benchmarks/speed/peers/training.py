"""Steps of training as people's code has them: fp32, features at hand, which their loaders make."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.speed.peers.networks import NETWORKS

Work = Callable[[], npt.NDArray[np.int64]]
FRAMES_MELS = {
    "efficientnet_b2": (1056, 128), "mobilenetv2": (1001, 64), "cnn_gru": (512, 80), "class_frame_resnet": (1024, 64)
}  # fmt: skip
CLIPS = {"efficientnet_b2": 8, "mobilenetv2": 32, "cnn_gru": 8, "class_frame_resnet": 2}
"""As many as ours."""


def _step(name: str, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], work: Path) -> Work:
    """Trains on one batch over and over; gives the number of weights."""
    network = NETWORKS[name]().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=5e-7)
    features = torch.randn(CLIPS[name], *FRAMES_MELS[name])
    with torch.no_grad():
        targets = (torch.rand_like(network(features)) < 0.01).float()

    def step() -> npt.NDArray[np.int64]:
        optimizer.zero_grad()
        loss(network(features), targets).backward()
        optimizer.step()
        return np.array(sum(weights.numel() for weights in network.parameters()))

    return step


efficientnet_b2, mobilenetv2 = (
    partial(_step, name, torch.nn.functional.binary_cross_entropy) for name in ("efficientnet_b2", "mobilenetv2")
)
cnn_gru, class_frame_resnet = (
    partial(_step, name, torch.nn.functional.binary_cross_entropy_with_logits)
    for name in ("cnn_gru", "class_frame_resnet")
)
