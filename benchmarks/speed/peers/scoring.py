"""Scoring as people's code does it: eager, in fp32, in eval mode without gradients."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.speed.inputs import features, recordings, use_one_core
from benchmarks.speed.peers.features import import_torchaudio
from benchmarks.speed.peers.networks import NETWORKS

RECORDINGS = 40
BATCH = 32
CLIPS_FRAMES_MELS = {"efficientnet_b2": (16, 1056, 128), "mobilenetv2": (64, 1024, 64)}
"""As ours."""


def _forward(name: str, work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """Scores (clip, tag) of features."""
    network = NETWORKS[name]().filled()
    batches = torch.from_numpy(features(*CLIPS_FRAMES_MELS[name])).split(BATCH)

    @torch.no_grad()
    def score() -> npt.NDArray[np.float32]:
        return torch.cat([network(batch) for batch in batches]).numpy()

    return score


efficientnet_b2, mobilenetv2 = (partial(_forward, name) for name in ("efficientnet_b2", "mobilenetv2"))


def tagger_of_paths(network: torch.nn.Module) -> Callable[[Sequence[Path]], npt.NDArray[np.float32]]:
    """Recordings one after another as scores (recording, tag): librosa.load at 16 kHz, torchaudio's log-mel, eager."""
    import librosa

    torchaudio = import_torchaudio()
    bands = torchaudio.transforms.MelSpectrogram(16000, n_fft=512, win_length=512, hop_length=160, n_mels=64)
    decibels = torchaudio.transforms.AmplitudeToDB(top_db=120.0)

    @torch.no_grad()
    def score(paths: Sequence[Path]) -> npt.NDArray[np.float32]:
        scores = []
        for path in paths:
            waveform, _ = librosa.load(path, sr=16000)
            scores.append(network(decibels(bands(torch.from_numpy(waveform))).T[None])[0].numpy())
        return np.stack(scores)

    return score


def tagging(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """A folder's recordings by MobileNetV2."""
    score = tagger_of_paths(NETWORKS["mobilenetv2"]().filled())
    paths = recordings(work, "ogg", RECORDINGS, 44100)
    return lambda: score(paths)


def tagging_on_one_core(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """The same on one core."""
    use_one_core()
    return tagging(work)


def soundfile_alone(work: Path) -> Callable[[], None]:
    """The recordings decoded at their own rate, on one core."""
    import soundfile

    use_one_core()
    paths = recordings(work, "ogg", RECORDINGS, 44100)

    def decode() -> None:
        for path in paths:
            soundfile.read(path, dtype="int16")

    return decode
