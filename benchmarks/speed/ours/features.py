"""Log-mel features, ours."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.speed.inputs import sound
from earmark.features import PRESETS, LogMel
from earmark.features.one_clip import BLOCK_SAMPLES

NUM_CLIPS = 8
SECONDS = 10


def _transforms(preset: str, work: Path) -> Callable[[], None]:
    """The Fourier transforms of as many frames, in the same blocks, and nothing else."""
    front_end = PRESETS[preset]
    num_frames = LogMel(front_end).num_frames(SECONDS * front_end.rate_hz)
    blocks = torch.randn(num_frames, front_end.fft_samples).split(BLOCK_SAMPLES // front_end.fft_samples)

    def transform() -> None:
        for _ in range(NUM_CLIPS):
            for block in blocks:
                torch.fft.rfft(block)

    return transform


def _log_mel(preset: str, work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """Of clips as a pack gives them, (clip, frame, mel)."""
    front_end = PRESETS[preset]
    log_mel = LogMel(front_end)
    waveform = torch.from_numpy(sound(NUM_CLIPS, front_end.rate_hz))
    return lambda: log_mel(waveform)[0].numpy()


psl, psla, staged, class_frame = (partial(_log_mel, preset) for preset in ("psl", "psla", "staged", "class_frame"))
transforms_psl, transforms_psla, transforms_staged, transforms_class_frame = (
    partial(_transforms, preset) for preset in ("psl", "psla", "staged", "class_frame")
)
