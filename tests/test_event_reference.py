"""The strong labels of scored clips as event metrics take them."""

import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import Dataset, write_dataset, write_layer
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.events.reference import reference_events, strong_clips
from earmark.scores.framewise import ScoredFrames

EVENTS = [
    ("a", "Dog", 0.5, 1.0), ("a", "Dog", 4.0, 5.2), ("a", "Cat", 4.9999997, 5.1), ("a", "Cat", 5.05, 5.5),
    ("b", "Cat", 1.0, 2.0), ("c", "Dog", None, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("reference") / "set"
    clips = columns_or_null(
        3, CLIP_SCHEMA, clip=pa.array(["a", "b", "c"]), path=pa.array(["a.wav", "b.wav", "c.wav"]),
        labelled=pa.array(["strong", "strong", "weak"]), group=pa.array(["a", "b", "c"]),
    )  # fmt: skip
    return write_dataset(
        folder, name="set", clips=clips, labels=labels(EVENTS), vocabulary=Vocabulary(("Cat", "Dog")), audio_root=folder
    )


def labels(events: list[tuple[str, str, float | None, float | None]]) -> pa.Table:
    clip, tag, onset, offset = zip(*events, strict=True)
    return columns_or_null(
        len(events), LABEL_SCHEMA, clip=pa.array(clip), tag=pa.array(tag), onset=pa.array(onset, pa.float64()),
        offset=pa.array(offset, pa.float64()), value=pa.array(np.ones(len(events), np.float32)),
    )  # fmt: skip


def scored(rows: list[int], seconds: float = 5.0) -> ScoredFrames:
    frames = int(seconds * 10)
    return ScoredFrames(
        np.array(rows), np.full(len(rows), int(seconds * 1000)), np.full(len(rows), frames),
        np.zeros((frames * len(rows), 2), np.float32), 100, 1000,
    )  # fmt: skip


def test_events_are_of_the_scored_clips_and_end_with_their_audio(dataset: Dataset) -> None:
    events = reference_events(dataset, "given", scored([1, 0]))
    found = list(zip(events.clip, events.tag, events.onset_us, events.offset_us, strict=True))
    # The cat that begins where the audio ends, to the microsecond, is not in it.
    assert found == [(0, 0, 1_000_000, 2_000_000), (1, 1, 500_000, 1_000_000), (1, 1, 4_000_000, 5_000_000)]
    assert events.num_clips == 2
    assert not len(reference_events(dataset, "given", scored([2])))


def test_a_truth_layer_knows_the_times_of_weak_clips_if_it_gives_times(dataset: Dataset) -> None:
    assert strong_clips(dataset).tolist() == [True, True, False]
    write_layer(dataset, "truth", labels([("c", "Dog", 0.5, 0.75)]), role="truth")
    write_layer(dataset, "weak-truth", labels([("a", "Cat", None, None)]), role="truth")
    assert strong_clips(dataset, "truth").all()
    assert strong_clips(dataset, "weak-truth").tolist() == [True, True, False]
