"""The best threshold of a tag against all thresholds there are."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from earmark.metrics.clipwise_thresholds import best_f1_thresholds
from earmark.metrics.tagging import f1


def test_no_other_threshold_is_better():
    rng = np.random.default_rng(5)
    truth = rng.random((120, 6)) < 0.3
    # Few values, so that many clips score alike.
    scores = (np.round(rng.random((120, 6)) * 12) / 12 * 0.6 + truth * 0.2).astype(np.float32)
    best = best_f1_thresholds(truth, scores)
    for tag in range(6):
        everywhere = [f1_score(truth[:, tag], scores[:, tag] >= at) for at in np.unique(scores[:, tag])]
        assert f1_score(truth[:, tag], scores[:, tag] >= best[tag]) == pytest.approx(max(everywhere))
    each = [f1_score(truth[:, tag], scores[:, tag] >= best[tag]) for tag in range(6)]
    assert f1(truth, scores, None, best) == pytest.approx(each)


def test_of_equally_good_ones_it_is_the_highest_in_the_middle():
    scores = [[0.7], [0.5], [0.4], [0.3], [0.1]]
    # F1 is 4/5 with three clips decided, 2/3 with one.
    assert best_f1_thresholds([[1], [0], [1], [0], [0]], scores)[0] == pytest.approx(0.35)
    # F1 is 2/3 with four clips decided, and with one.
    assert best_f1_thresholds([[1], [0], [0], [1], [0]], scores)[0] == pytest.approx(0.6)


def test_what_is_not_annotated_takes_no_part():
    truth, scores = np.array([[1, 1], [0, 0], [0, 1]]), np.array([[0.5, 0.1], [0.9, 0.2], [0.1, 0.3]])
    weights = np.array([[1, 0], [0, 0], [1, 0]])
    best = best_f1_thresholds(truth, scores, weights)
    assert best[0] == pytest.approx(0.3)
    assert np.isnan(best[1])
