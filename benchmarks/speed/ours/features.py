"""Log-mel features, ours."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.speed.inputs import sound
from earmark.features import PRESETS, LogMel

NUM_CLIPS = 8


def _log_mel(preset: str, work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """Of clips as a pack gives them, (clip, frame, mel)."""
    front_end = PRESETS[preset]
    log_mel = LogMel(front_end)
    waveform = torch.from_numpy(sound(NUM_CLIPS, front_end.rate_hz))
    return lambda: log_mel(waveform)[0].numpy()


psl, psla, staged, class_frame = (partial(_log_mel, preset) for preset in ("psl", "psla", "staged", "class_frame"))
