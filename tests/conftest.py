"""A small real data set: three kinds of sound that a small model tells apart in seconds."""

import os
from pathlib import Path

# One thread a test process: tests run side by side, and results must not depend on how many cores there are.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile

RATE_HZ = 16000
TAGS = ("Click", "Noise", "Tone")
REPOSITORY = Path(__file__).parent.parent


def sound(tag: str, seed: int, seconds: float = 1.0) -> np.ndarray:
    """A waveform of a tag, float64 in [-1, 1]."""
    draw = np.random.default_rng([TAGS.index(tag), seed])
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    if tag == "Tone":
        return 0.4 * np.sin(2 * np.pi * draw.uniform(300, 3000) * time_s)
    noise = 0.2 * draw.standard_normal(len(time_s))
    return noise if tag == "Noise" else noise * ((time_s * draw.uniform(5, 9)) % 1 < 0.05)


def write_class_folders(folder: Path, per_tag: int = 12) -> Path:
    """A tree of class folders, names as ESC-10's: fold, recording, take."""
    for tag in TAGS:
        (folder / tag).mkdir(parents=True)
        for index in range(per_tag):
            soundfile.write(folder / tag / f"{index % 3 + 1}-{index:03d}-A.wav", sound(tag, index), RATE_HZ)
    return folder


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("sounds") / "audio")


@pytest.fixture(scope="session")
def esc10() -> Path:
    return REPOSITORY / "data" / "esc10"
