"""Clips with a few planted errors, and made-up scores by which these can be found."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile

from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.scores.index import index_of_clips
from earmark.scores.store import ScoreStore
from earmark.scores.writing import write_scores

RATE_HZ = 16000
TAGS = ("Bark", "Dog", "Rain", "Speech")
NUM_CLIPS = 60
# What is heard, by the clip's number modulo 4: Dog is above Bark in AudioSet's ontology.
HEARD = (("Bark", "Dog"), ("Dog",), ("Rain",), ("Speech",))
# Clip and tag of each planted error, and what it is.
PLANTED = {
    (3, "Rain"): "wrong",
    (7, "Dog"): "wrong",
    (2, "Speech"): "wrong",
    (6, "Rain"): "missing",
    (11, "Speech"): "missing",
}
# Its clips are labelled with times: of each tag an event in either half.
STRONG = (2, 6)
UNLABELLED = 59
EVENTS_S = ((0.05, 0.2), (0.25, 0.4))


def name_of(clip: int) -> str:
    return f"clip {clip:02d}"


def tags_heard(clip: int) -> set[str]:
    return set(HEARD[clip % 4])


def tags_given(clip: int) -> set[str]:
    """What is heard, but for the planted errors; clips 0 and 4 lack the Dog that Bark implies."""
    given = tags_heard(clip)
    for (of, tag), kind in PLANTED.items():
        if of == clip:
            given = given | {tag} if kind == "wrong" else given - {tag}
    return given - {"Dog"} if clip in (0, 4) else given


def write_shaky(folder: Path) -> Dataset:
    """Clips of .5 s of noise, each its own."""
    audio = folder / "audio"
    audio.mkdir(parents=True)
    for clip in range(NUM_CLIPS):
        soundfile.write(audio / f"{clip}.wav", 0.1 * np.random.default_rng(clip).standard_normal(RATE_HZ // 2), RATE_HZ)
    rows: list[tuple[str, str, float | None, float | None]] = []
    for clip in range(NUM_CLIPS):
        for tag in sorted(tags_given(clip)):
            times = EVENTS_S if clip in STRONG else ((None, None),)
            rows += [(name_of(clip), tag, *time) for time in times]
    names = [name_of(clip) for clip in range(NUM_CLIPS)]
    labelled = ["strong" if clip in STRONG else "none" if clip == UNLABELLED else "weak" for clip in range(NUM_CLIPS)]
    clips = columns_or_null(
        NUM_CLIPS, CLIP_SCHEMA, clip=pa.array(names), path=pa.array([f"{clip}.wav" for clip in range(NUM_CLIPS)]),
        group=pa.array(names), labelled=pa.array(labelled),
    )  # fmt: skip
    clip_of, tag_of, onset, offset = zip(*(row for row in rows if row[0] != name_of(UNLABELLED)), strict=True)
    labels = columns_or_null(
        len(clip_of), LABEL_SCHEMA, clip=pa.array(clip_of), tag=pa.array(tag_of),
        onset=pa.array(onset, pa.float64()), offset=pa.array(offset, pa.float64()),
        value=pa.array(np.ones(len(clip_of), np.float32)), source=pa.repeat("given", len(clip_of)),
    )  # fmt: skip
    write_dataset(
        folder / "set", name="shaky", clips=clips, labels=labels, vocabulary=Vocabulary(TAGS), audio_root=audio
    )
    return open_dataset(folder / "set")


def made_up_scores() -> np.ndarray:
    """About .8 where a tag is heard and .1 where it is not; of Rain a tenth of that."""
    heard = np.array([[tag in tags_heard(clip) for tag in TAGS] for clip in range(NUM_CLIPS)])
    jitter = np.random.default_rng(0).uniform(0.9, 1.1, heard.shape)
    return (np.where(heard, 0.8, 0.1) * jitter * np.where(np.array(TAGS) == "Rain", 0.1, 1)).astype(np.float32)


def write_shaky_scores(folder: Path, dataset: Dataset, **about: object) -> ScoreStore:
    """A store of the made-up scores."""
    rows = np.arange(dataset.num_clips)
    told = {"model": "made up", "dataset": dataset.digest, "labels": "given", "out_of_fold": True, **about}
    return write_scores(
        folder, index_of_clips(dataset, rows, rows), dataset.vocabulary.tags, told, made_up_scores().__getitem__
    )
