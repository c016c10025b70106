"""How right soft labels of chunks are: beside a slow oracle, and on cases that can be counted by hand."""

import numpy as np
import pytest

from benchmarks.label_quality import calibration_error, precision, recall, sounding_s
from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.statements import Statements

RATE_HZ = 100


def chunks_of(lengths_s: list[float], chunk_s: float) -> Excerpts:
    num_samples = np.array([round(length * RATE_HZ) for length in lengths_s])
    clips = Excerpts(np.arange(len(lengths_s)), np.zeros(len(lengths_s), np.int64), num_samples)
    return Chunking(chunk_s=chunk_s).cut(clips, RATE_HZ)


def events_of(rows: list[tuple[int, int, float, float]]) -> Statements:
    """Events (clip, tag, onset, offset)."""
    clip, tag, onset, offset = zip(*rows, strict=True)
    return Statements(
        np.array(clip), np.array(tag, np.int32), np.array(onset), np.array(offset), np.ones(len(rows), np.float32)
    )


def test_seconds_are_those_within_the_chunk() -> None:
    # Chunks of clip 0: 0-2, 2-4, 4-5; clip 1 is shorter than a chunk; clip 2: 0-2, 2-4.3, its sliver joined.
    chunks = chunks_of([5.0, 1.0, 4.3], 2.0)
    events = events_of([(0, 0, 1.5, 4.25), (0, 0, 4.5, 4.75), (0, 1, 2.0, 4.0), (1, 1, 0.0, 1.0), (2, 0, 3.0, 4.3)])
    expected = [[0.5, 0], [2, 2], [0.5, 0], [0, 1], [0, 0], [1.3, 0]]
    np.testing.assert_allclose(sounding_s(events, chunks, RATE_HZ, 2), expected, atol=1e-9)


def test_seconds_agree_with_counting_samples() -> None:
    rng = np.random.default_rng(0)
    lengths_s = rng.uniform(0.3, 9, 20).round(2).tolist()
    rows = []
    for clip, tag in [(clip, tag) for clip in (0, 3, 3, 7, 19) for tag in (0, 2)]:
        onset, offset = np.sort(rng.choice(int(lengths_s[clip] * RATE_HZ) + 1, 2, replace=False)) / RATE_HZ
        rows.append((clip, tag, onset, offset))
    chunks = chunks_of(lengths_s, 1.0)
    expected = np.zeros((len(chunks), 3))
    for clip, tag, onset, offset in rows:
        for place in np.flatnonzero(chunks.clip_index == clip):
            first = chunks.onset_samples[place]
            samples = (np.arange(first, first + chunks.num_samples[place]) + 0.5) / RATE_HZ
            expected[place, tag] += np.count_nonzero((samples > onset) & (samples < offset)) / RATE_HZ
    np.testing.assert_allclose(sounding_s(events_of(rows), chunks, RATE_HZ, 3), expected, atol=1e-6)


def test_precision_and_recall_are_of_all_cells() -> None:
    decided = np.array([[1, 1, 0], [1, 0, 0]], bool)
    truth = np.array([[1, 0, 0], [1, 1, 1]], bool)
    assert precision(decided, truth) == pytest.approx(2 / 3)
    assert recall(decided, truth) == 2 / 4
    assert np.isnan(precision(~truth & truth, truth))


def test_scores_that_are_the_share_of_true_labels_are_calibrated() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random((20_000, 5))
    truth = rng.random(scores.shape) < scores
    assert calibration_error(scores, truth) < 0.01
    # Half of what is said with certainty is wrong; a score of 1 is in the last bin.
    assert calibration_error(np.ones((4, 1)), np.array([[1], [0], [1], [0]], bool)) == 0.5
    # In one bin too high and too low cancel, in two they do not.
    scores, truth = np.array([[0.1], [0.9]]), np.array([[1], [0]], bool)
    assert calibration_error(scores, truth, 1) == 0
    assert calibration_error(scores, truth, 2) == pytest.approx(0.9)
