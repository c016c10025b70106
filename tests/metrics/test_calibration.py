"""Histograms of scores and reliability against plain loops."""

import math

import numpy as np
import pytest

from earmark.metrics.calibration import reliability, score_histograms


@pytest.fixture
def made():
    """Truth, scores and weights of 9,000 clips and 3 tags, with scores on the edges of bins among them."""
    rng = np.random.default_rng(3)
    truth = rng.random((9000, 3)) < [0.5, 0.02, 0.0]
    scores = rng.choice([0.0, 0.25, 0.5, 1.0], (9000, 3)).astype(np.float32)
    is_random = rng.random((9000, 3)) < 0.7
    scores[is_random] = rng.random((9000, 3), np.float32)[is_random]
    return truth, scores, (rng.random((9000, 3)) < 0.9).astype(np.float32)


def bin_of(score: float, bins: int) -> int:
    return min(int(float(score) * bins), bins - 1)


def test_histograms_count_every_annotated_clip_once(made):
    truth, scores, weights = made
    found = score_histograms(truth, scores, weights, bins=8)
    assert (found.positives.sum(axis=1) + found.negatives.sum(axis=1)).tolist() == weights.sum(axis=0).tolist()
    positives, negatives, summed = np.zeros((3, 8), int), np.zeros((3, 8), int), np.zeros((3, 8))
    for clip, tag in np.argwhere(weights > 0):
        k = bin_of(scores[clip, tag], 8)
        (positives if truth[clip, tag] else negatives)[tag, k] += 1
        summed[tag, k] += scores[clip, tag]
    assert found.positives.tolist() == positives.tolist()
    assert found.negatives.tolist() == negatives.tolist()
    assert found.summed == pytest.approx(summed)


def test_histograms_are_numpys_where_all_is_annotated(made):
    truth, scores, _ = made
    found = score_histograms(truth, scores, bins=16)
    for tag in range(3):
        for counts, rows in ((found.positives, truth[:, tag]), (found.negatives, ~truth[:, tag])):
            assert counts[tag].tolist() == np.histogram(scores[rows, tag], 16, (0, 1))[0].tolist()


def test_reliability_against_a_loop(made):
    truth, scores, weights = made
    found = reliability(score_histograms(truth, scores, weights, bins=10))
    in_bin = [[] for _ in range(10)]
    for clip, tag in np.argwhere(weights > 0):
        in_bin[bin_of(scores[clip, tag], 10)].append((bool(truth[clip, tag]), float(scores[clip, tag])))
    assert found.cells.tolist() == [len(cells) for cells in in_bin]
    share = [np.mean([positive for positive, _ in cells]) for cells in in_bin]
    mean = [np.mean([score for _, score in cells]) for cells in in_bin]
    assert found.positive_share == pytest.approx(share)
    assert found.mean_score == pytest.approx(mean)
    error = sum(len(cells) * abs(s - m) for cells, s, m in zip(in_bin, share, mean, strict=True))
    assert found.expected_error == pytest.approx(error / sum(map(len, in_bin)))


def test_scores_that_keep_their_promise_have_no_error():
    rng = np.random.default_rng(0)
    scores = rng.random((200_000, 1))
    found = reliability(score_histograms(rng.random((200_000, 1)) < scores, scores, bins=10))
    # Each bin holds 20,000 cells: a share is .0035 off at most for one deviation.
    assert found.expected_error < 0.01


def test_empty_bins_and_no_cells_at_all():
    found = reliability(score_histograms([[1], [0]], [[0.95], [0.05]], bins=10))
    assert found.cells.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(found.mean_score[1:9]).all()
    assert found.expected_error == pytest.approx(0.05)
    nothing = reliability(score_histograms([[1]], [[0.5]], [[0.0]], bins=10))
    assert math.isnan(nothing.expected_error)
