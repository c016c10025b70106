"""Clips of many lengths, and a scorer whose scores tell which samples it was given."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.data.chunking import Chunking
from earmark.data.dataset import Dataset
from earmark.scores.chunk_scores import store_chunk_scores
from earmark.scores.scorer import Scorer, callable_scorer
from earmark.scores.store import ScoreStore
from tests.conftest import RATE_HZ, TAGS, sound

LENGTHS_S = (1.0, 0.05, 0.4, 0.41, 0.55, 0.86, 2.33, 0.4999)
CHUNKING = Chunking(chunk_s=0.4, min_chunk_s=0.1)
ALL = np.arange(len(LENGTHS_S))


@pytest.fixture(scope="session")
def odd_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of clips of odd lengths, one a recording."""
    from earmark.data.importing import import_dataset

    folder = tmp_path_factory.mktemp("odd")
    for index, seconds in enumerate(LENGTHS_S):
        path = folder / "audio" / TAGS[index % 3] / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound(TAGS[index % 3], index, seconds), RATE_HZ)
    import_dataset(folder / "audio", folder / "odd")
    return folder / "odd"


def telling_scores(waveform: np.ndarray) -> np.ndarray:
    """What the telling scorer says of waveforms (chunk, sample): length, loudness, first samples."""
    length = np.full(len(waveform), waveform.shape[1] / 2**20)
    return np.stack([length, np.abs(waveform).mean(axis=1), np.abs(waveform[:, :50]).mean(axis=1)], axis=1)


@pytest.fixture
def telling() -> Scorer:
    return callable_scorer(lambda waveform, num_samples: telling_scores(waveform.numpy()), TAGS, RATE_HZ, "telling")


def packed(waveform: np.ndarray) -> torch.Tensor:
    """One packed waveform as a batch of float32 in [-1, 1]."""
    return torch.from_numpy(waveform.astype(np.float32) / 2**15)[None]


def stored(scorer: Scorer, dataset: Dataset, folder: Path, rows=ALL, chunking: Chunking = CHUNKING) -> ScoreStore:
    return store_chunk_scores(scorer, dataset, rows, chunking, folder, training=np.array([0, 6]), out_of_fold=False)
