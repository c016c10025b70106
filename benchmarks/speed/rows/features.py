"""Log-mel features of the four front ends."""

import math

import numpy as np

from benchmarks.speed.contest import OURS, Contestant, Row
from benchmarks.speed.ours.features import NUM_CLIPS, SECONDS
from earmark.features import PRESETS, LogMel, mel_filters

_OURS = "benchmarks.speed.ours.features"
_PEERS = "benchmarks.speed.peers.features"
TABLE = "Log-mel features, 10-s clips"
TRANSFORMS = "its Fourier transforms alone"


def log_mel_operations(preset: str) -> float:
    """Of a clip: by frame the window, a Fourier transform of real numbers (2.5 n log2 n), powers and filters."""
    front_end = PRESETS[preset]
    num_frames = LogMel(front_end).num_frames(SECONDS * front_end.rate_hz)
    size, bins = front_end.fft_samples, front_end.fft_samples // 2 + 1
    a_frame = front_end.window_samples + 2.5 * size * math.log2(size) + 3 * bins
    return num_frames * (a_frame + 2.0 * int(np.count_nonzero(mel_filters(front_end))))


def log_mel_bytes(preset: str) -> float:
    """Of a clip: packed samples read once, features written once."""
    front_end = PRESETS[preset]
    num_samples = SECONDS * front_end.rate_hz
    return 2.0 * num_samples + 4.0 * LogMel(front_end).num_frames(num_samples) * front_end.num_mels


def _row(preset: str, about: str, aim: float, tolerance: float, **peers: str) -> Row:
    return Row(
        name=f"log-mel-{preset.replace('_', '-')}",
        title=f"Front end `{preset}`: {about}",
        unit="clip",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:{preset}", NUM_CLIPS, OURS),
        peers=(
            *(Contestant(name, f"{_PEERS}:{peer}_{preset}", NUM_CLIPS) for peer, name in peers.items()),
            Contestant(TRANSFORMS, f"{_OURS}:transforms_{preset}", NUM_CLIPS, OURS),
        ),
        aim=aim,
        flops=log_mel_operations(preset),
        bytes=log_mel_bytes(preset),
        tolerance=tolerance,
        parts=(TRANSFORMS,),
        binds="Fourier transforms alone, by the library that torchaudio calls too, take the share of ours that stands "
        "as floor. The rest goes over the frames seven times while a cache holds them; peers leave the cache.",
    )  # fmt: skip


_COMMON = {"librosa": "librosa", "torchlibrosa": "torchlibrosa", "torchaudio": "torchaudio MelSpectrogram"}
ROWS = (
    _row("psl", "16 kHz, 64 mels", 4, 1e-3, **_COMMON),  # decibels
    _row(
        "psla", "16 kHz, 128 mels as Kaldi", 4, 1e-3,
        kaldi_native_fbank="kaldi-native-fbank", torchaudio="torchaudio's Kaldi filter bank",
        librosa="Kaldi's steps on librosa's frames",
    ),
    _row("staged", "44.1 kHz, 80 mels of magnitudes", 2.5, 1e-3, **_COMMON),
    _row("class_frame", "44.1 kHz, 64 mels, each clip from 0 to 1", 2.5, 1e-5, **_COMMON),
)  # fmt: skip
