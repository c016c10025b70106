"""Precision and recall of labels beside the truth: against scikit-learn, against a loop, and by hand."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from earmark.data.statements import Statements, joined
from earmark.labels.quality import clipwise_quality, timewise_quality

NUM_TAGS = 4


def some_events(rng: np.random.Generator, number: int) -> Statements:
    """Events of 5 clips of 2 s at whole centiseconds, some of which overlap."""
    onset = rng.integers(0, 190, number)
    offset = onset + rng.integers(1, 200 - onset)
    return Statements(
        np.sort(rng.integers(0, 5, number)),
        rng.integers(0, NUM_TAGS, number).astype(np.int32),
        onset / 100,
        offset / 100,
        np.ones(number, np.float32),
    )


def frames_of(events: Statements) -> np.ndarray:
    """The frames of 10 ms that each event is in, bool (clip x frame, tag)."""
    frames = np.zeros((5, 200, NUM_TAGS), bool)
    for clip, tag, onset, offset in zip(events.clip_index, events.tag_index, events.onset, events.offset, strict=True):
        frames[clip, round(onset * 100) : round(offset * 100), tag] = True
    return frames.reshape(-1, NUM_TAGS)


def test_clipwise_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    said, true = rng.random((2, 50, NUM_TAGS)) < 0.3
    found = clipwise_quality(np.flatnonzero(said), np.flatnonzero(true), NUM_TAGS)
    precision, recall, _, _ = precision_recall_fscore_support(true, said, average=None)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    precision, recall, _, _ = precision_recall_fscore_support(true, said, average="micro")
    assert found.total().precision == pytest.approx(precision)
    assert found.total().recall == pytest.approx(recall)


@pytest.mark.parametrize("seed", range(5))
def test_of_time_is_framewise_on_the_finest_grid(seed):
    rng = np.random.default_rng(seed)
    said, true = some_events(rng, 25), some_events(rng, 20)
    found = timewise_quality(said, true, NUM_TAGS)
    precision, recall, _, _ = precision_recall_fscore_support(frames_of(true), frames_of(said), average=None)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_allclose(found.said, frames_of(said).sum(axis=0) / 100)


def test_what_is_said_twice_counts_once():
    events = some_events(np.random.default_rng(0), 25)
    once, twice = (timewise_quality(said, events, NUM_TAGS) for said in (events, joined([events, events])))
    assert twice.said.tolist() == once.said.tolist() == once.right.tolist()


def test_without_anything_said_or_true_there_is_no_number():
    found = clipwise_quality(np.array([0]), np.array([1]), 3)
    assert found.precision[0] == 0
    assert np.isnan(found.precision[1:]).all()
    assert found.recall[1] == 0
    assert np.isnan(found.recall[[0, 2]]).all()
    nothing = some_events(np.random.default_rng(0), 0)
    assert np.isnan(timewise_quality(nothing, nothing, NUM_TAGS).total().recall)
