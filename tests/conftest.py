"""A small real data set: three kinds of sound that a small model tells apart in seconds."""

import os
from collections.abc import Iterator
from pathlib import Path

# One thread a test process: tests run side by side, and results must not depend on how many cores there are.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
import soundfile

# How long an example takes depends on what else the machine does: no test fails for that.
hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("untimed")

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
    """A tree of class folders with names as ESC-10's: number and tag; fold, recording, take."""
    for number, tag in enumerate(TAGS, start=1):
        inside = folder / f"{number:03d} - {tag}"
        inside.mkdir(parents=True)
        for index in range(per_tag):
            soundfile.write(inside / f"{index % 3 + 1}-{100 * number + index}-A.wav", sound(tag, index), RATE_HZ)
    return folder


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("sounds") / "audio")


@pytest.fixture
def three_threads() -> Iterator[None]:
    """Torch computes in three threads, for a test that may set another number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def esc10() -> Path:
    return REPOSITORY / "data" / "esc10"


@pytest.fixture(scope="session")
def small_dataset(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the class folders, imported."""
    from earmark.data.importing import import_dataset

    folder = tmp_path_factory.mktemp("dataset") / "sounds"
    import_dataset(class_folders, folder)
    return folder


@pytest.fixture(scope="session")
def small_run(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model trained until it tells the three sounds apart: folds 1 to test, 2 to validate, 3 to learn from."""
    from earmark.data.dataset import open_dataset
    from earmark.recipes import find_recipe
    from earmark.recipes.job import Request
    from earmark.recipes.run import run_recipe

    run = tmp_path_factory.mktemp("runs") / "run"
    request = Request(dataset=open_dataset(small_dataset), run=run, test_fold=1, validation_fold=2)
    settings = {"backbone": "crnn_small", "pretrained": None, "epochs": 40, "batch_size": 4, "final_weights": "last",
                "learning_rate": 3e-3, "mixup_rate": 0.0, "warmup_steps": 0}  # fmt: skip
    run_recipe(find_recipe("baseline"), request, settings)
    return run
