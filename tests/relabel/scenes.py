"""A data set of four recordings with sound in known places, and stores of made-up scores of their chunks."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset, write_dataset
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.scores.index import index_of_chunks
from earmark.scores.store import ScoreStore
from earmark.scores.writing import write_scores

RATE_HZ = 8000
TAGS = ("Bark", "Hum", "Tick")
CLIP_S = 2.5
CLIPS = ("dogs", "hall", "yard", "unheard")
# Strong in the first clip, weak in the second; the third has no tag, the fourth was not listened to.
LABELS = [
    ("dogs", "Bark", 0.5, 1.0, 1.0),
    ("dogs", "Tick", 1.5, 2.5, 1.0),
    ("dogs", "Hum", 0.0, 2.0, 0.25),
    ("hall", "Hum", None, None, 1.0),
]


def write_scenes(folder: Path) -> Dataset:
    """Clips of 2.5 s at 8 kHz: a tone of 1 kHz from 1 to 1.5 s in the first, noise in the others."""
    audio = folder / "audio"
    audio.mkdir(parents=True)
    time_s = np.arange(int(CLIP_S * RATE_HZ)) / RATE_HZ
    for name in CLIPS:
        waveform = 0.1 * np.random.default_rng(len(name)).standard_normal(len(time_s))
        if name == "dogs":
            waveform = 0.4 * np.sin(2 * np.pi * 1000 * time_s) * ((time_s >= 1) & (time_s < 1.5))
        soundfile.write(audio / f"{name}.wav", waveform, RATE_HZ)
    clips = columns_or_null(
        len(CLIPS), CLIP_SCHEMA, clip=pa.array(CLIPS), path=pa.array([f"{name}.wav" for name in CLIPS]),
        group=pa.array(CLIPS), labelled=pa.array(["strong", "weak", "weak", "none"]),
    )  # fmt: skip
    clip, tag, onset, offset, value = zip(*LABELS, strict=True)
    labels = columns_or_null(
        len(LABELS), LABEL_SCHEMA, clip=pa.array(clip), tag=pa.array(tag), onset=pa.array(onset),
        offset=pa.array(offset), value=pa.array(value, pa.float32()), source=pa.repeat("given", len(LABELS)),
    )  # fmt: skip
    return write_dataset(
        folder / "set", name="scenes", clips=clips, labels=labels, vocabulary=Vocabulary(TAGS), audio_root=audio
    )


def write_chunk_scores(
    folder: Path, dataset: Dataset, chunk_s: float, scores: list[list[float]], rows=(0, 1, 2, 3), **about: object
) -> ScoreStore:
    """A store of the chunks of clips of 2.5 s; each clip has as many lines of scores as chunks."""
    chunking = Chunking(chunk_s=chunk_s)
    length = np.full(len(rows), int(CLIP_S * RATE_HZ))
    chunks = chunking.cut(Excerpts(np.array(rows), np.zeros(len(rows), np.int64), length), RATE_HZ)
    index = index_of_chunks(dataset, chunks, RATE_HZ, np.empty(0, np.int64))
    told = {"dataset": dataset.digest, **chunking.model_dump(), **about}
    return write_scores(folder, index, dataset.vocabulary.tags, told, np.array(scores).__getitem__, "float16")


# Chunks of 1 s: 0 to 1, 1 to 2, 2 to 2.5.
BY_SECOND = [
    [0.9, 0.1, 0.0], [0.1, 0.2, 0.4], [0.8, 0.1, 0.1],
    [0.1, 0.1, 0.1], [0.2, 0.5, 0.1], [0.1, 0.1, 0.7],
    [0.1, 0.1, 0.1], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1],
    [0.9, 0.9, 0.9], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1],
]  # fmt: skip
WHOLE = [[0.6, 0.1, 0.6], [0.1, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.1]]
