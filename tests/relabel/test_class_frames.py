"""Class-frame pseudo labels: the threshold by round, who is accepted, and what is learned from them."""

from pathlib import Path

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.frames import framewise
from earmark.data.layers import about_layer
from earmark.data.statements import WEAK, ClipLabels
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.relabel.class_frames import ACCEPTED, OUTCOMES, pseudo_labels, round_threshold, write_round_layer
from earmark.scores.framewise import ScoredFrames

TAGS = ("Bell", "Cat", "Dog")
HOP, RATE_HZ = 640, 16000
GIVEN = {"a": ["Bell"], "b": ["Bell", "Cat"], "c": ["Dog"], "d": [], "e": ["Cat"]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("relabel") / "weak"
    names = list(GIVEN)
    clips = columns_or_null(
        len(names), CLIP_SCHEMA, clip=pa.array(names), path=pa.array([f"{name}.wav" for name in names]),
        labelled=pa.array(["weak"] * len(names)), group=pa.array(names),
    )  # fmt: skip
    said = [(name, tag) for name in names for tag in GIVEN[name]]
    labels = columns_or_null(
        len(said), LABEL_SCHEMA, clip=pa.array([name for name, _ in said]), tag=pa.array([tag for _, tag in said]),
        value=pa.array(np.ones(len(said), np.float32)),
    )  # fmt: skip
    return write_dataset(
        folder, name="weak", clips=clips, labels=labels, vocabulary=Vocabulary(TAGS), audio_root=folder
    )


def scored(scores: list[np.ndarray], rows: list[int]) -> ScoredFrames:
    num_frames = np.array([len(one) for one in scores], np.int64)
    every = np.concatenate(scores).astype(np.float32) if scores else np.zeros((0, len(TAGS)), np.float32)
    return ScoredFrames(np.array(rows, np.int64), num_frames * HOP, num_frames, every, HOP, RATE_HZ)


def frames(count: int, **events: tuple[int, int, float]) -> np.ndarray:
    """Scores of a clip: .1 but for events (first, end, score) of tags."""
    made = np.full((count, len(TAGS)), 0.1)
    for tag, (first, end, score) in events.items():
        made[first:end, TAGS.index(tag)] = score
    return made


def test_theta_falls_from_three_quarters_to_a_quarter():
    assert [round_threshold(i, 1 / 16) for i in range(11)] == [
        0.75, 0.6875, 0.625, 0.5625, 0.5, 0.4375, 0.375, 0.3125, 0.25, 0.25, 0.25,
    ]  # fmt: skip
    assert round_threshold(5, 0) == 0.75


def test_a_clip_is_accepted_where_its_frames_have_exactly_its_tags(dataset: Dataset, tmp_path: Path) -> None:
    said = scored(
        [
            frames(10, Bell=(2, 5, 0.75)),  # exactly at the threshold is there
            frames(10, Bell=(0, 3, 0.9)),  # lacks the cat
            frames(8, Dog=(0, 8, 0.8), Cat=(7, 8, 0.76)),  # has a cat too
            frames(6),  # silence, and labelled so
            frames(6, Dog=(1, 2, 0.8)),  # a dog for a cat
        ],
        [0, 1, 2, 3, 4],
    )
    found = pseudo_labels(said, dataset.labels(), 0.75)
    assert [OUTCOMES[one] for one in found.outcome] == [
        "accepted", "lacks a tag", "has another tag", "accepted", "lacks one and has another",
    ]  # fmt: skip
    assert found.accepted.tolist() == [0, 3]
    assert found.frames.tolist() == [3, 0, 0]
    np.testing.assert_allclose([*found.onset, *found.offset], [0.08, 0.2])
    write_round_layer(
        dataset, "run-round-01", found, parent="given", written_by="run", frame_s=0.04, about={"round": 1}
    )
    told = about_layer(dataset.folder, "run-round-01")["changes"]
    assert (told["accepted"], told["lacks a tag"], told["has another tag"], told["clips"]) == (2, 1, 1, 5)
    assert told["frames_by_tag"] == {"Bell": 3, "Cat": 0, "Dog": 0}
    reread = open_dataset(dataset.folder)
    times = reread.statements("run-round-01")
    timed = times.at(times.onset != WEAK)
    assert (timed.clip_index.tolist(), timed.tag_index.tolist()) == ([0], [0])
    # Clip labels stay what they were.
    np.testing.assert_array_equal(reread.labels("run-round-01").rows(np.arange(5)), dataset.labels().rows(np.arange(5)))


def test_a_round_that_accepts_none_is_a_layer_too(dataset: Dataset) -> None:
    found = pseudo_labels(scored([frames(4)], [0]), dataset.labels(), 0.5)
    write_round_layer(dataset, "none-round-01", found, parent="given", written_by="run", frame_s=0.04, about={})
    assert about_layer(dataset.folder, "none-round-01")["changes"]["accepted"] == 0
    assert not len(pseudo_labels(scored([], []), dataset.labels(), 0.5).outcome)


def test_tags_that_nobody_annotated_play_no_part(dataset: Dataset) -> None:
    labels = dataset.labels()
    weight = np.array([1, 1, 0], np.float32)
    partly = ClipLabels(labels.indptr, labels.tag_index, labels.value, labels.clip_weight, weight)
    said = scored([frames(6, Bell=(1, 3, 0.9), Dog=(0, 6, 0.9))], [0])
    assert pseudo_labels(said, labels, 0.5).outcome.tolist() == [2]
    found = pseudo_labels(said, partly, 0.5)
    assert found.outcome.tolist() == [ACCEPTED]
    assert found.event_tag.tolist() == [0]


@hypothesis.given(
    scores=hypothesis.extra.numpy.arrays(np.float32, (5, 7, 3), elements=st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9])),
    threshold=st.sampled_from([0.25, 0.5, 0.75]),
)
def test_an_accepted_clips_pseudo_labelled_tags_are_its_weak_tags(
    dataset: Dataset, scores: np.ndarray, threshold: float
) -> None:
    """The invariant; and its events are its frames at the threshold, no more and no less."""
    said = scored(list(scores), list(range(5)))
    found = pseudo_labels(said, dataset.labels(), threshold)
    given = dataset.labels().rows(np.arange(5)) >= 0.5
    for row in range(5):
        own = found.event_clip == row
        tags = np.isin(np.arange(3), found.event_tag[own])
        decided = scores[row] >= threshold
        if row in found.accepted:
            assert (tags == given[row]).all()
            statements = dataset.statements().at(np.zeros(0, np.int64))
            columns = (
                found.event_clip[own],
                found.event_tag[own].astype(np.int32),
                found.onset[own],
                found.offset[own],
            )
            again = framewise(
                type(statements)(*columns, np.ones(int(own.sum()), np.float32)),
                num_tags=3, num_samples=7 * HOP, hop_samples=HOP, rate_hz=RATE_HZ,
            )  # fmt: skip
            np.testing.assert_array_equal(again > 0, decided)
        else:
            assert not own.any()
            assert (decided.any(axis=0) != given[row]).any()
