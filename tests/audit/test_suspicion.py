"""The odds of an error: the formula by hand, what they must not depend on, and planted errors in order."""

import math

import numpy as np
import pytest

from earmark.audit.suspicion import LEAST_SCORE, Odds, fit_odds, log_odds, probability
from tests.audit.test_noise import planted


def test_the_formula_by_hand() -> None:
    x = np.array([2.0, 4.0, -1.0, 1.0, -3.0])
    given = np.array([True, True, False, False, False])
    scores = (1 / (1 + np.exp(-x))).astype(np.float64)
    odds = fit_odds(given[:, None], np.ones((5, 1), bool), scores[:, None], 0.2, 0.25)
    # Means 3 and -1, sums of squares 2 and 8.
    assert odds.slope[0] == pytest.approx(4 / 2)
    assert odds.middle[0] == pytest.approx(1)
    found = odds.of_error(given[:, None], scores[:, None])[:, 0]
    expected = [math.log(0.25) - 2 * (x[0] - 1), math.log(0.25) - 2 * (x[1] - 1)]
    expected += [math.log(1 / 3) + 2 * (value - 1) for value in x[2:]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_score_at_its_threshold_is_that_likely_an_error() -> None:
    _, given, scores = planted(300, 3, 0.2, 0.2, apart=3)
    odds = fit_odds(given, np.ones_like(given), scores, 0.2, 0.1)
    for least in (0.2, 0.5, 0.9):
        for is_given, threshold in zip((True, False), odds.thresholds(least), strict=True):
            labels = np.full((1, 3), is_given)
            assert probability(odds.of_error(labels, threshold[None])) == pytest.approx(
                np.full((1, 3), least), abs=1e-5
            )
            further = threshold * (0.99 if is_given else 1.01)
            assert (probability(odds.of_error(labels, further[None])) > least).all()


def test_how_a_tag_is_scored_does_not_matter_but_its_order_does() -> None:
    """A tag whose log odds are all moved and stretched has the same suspects."""
    _, given, scores = planted(300, 3, 0.2, 0.2, apart=3)
    judged = np.ones_like(given)
    other = probability(0.3 * log_odds(scores) * np.array([1, 2, 0.5]) - np.array([3, 0, -1]))
    found = [fit_odds(given, judged, some, 0.2, 0.1).of_error(given, some) for some in (scores, other)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_planted_errors_come_first_of_both_kinds_and_of_rare_tags() -> None:
    truth, given, scores = planted(3000, 4, 0.1, 0.1)
    # A tag that the model is shy of: its scores are those of another tag's absence.
    scores[:, 3] = probability(log_odds(scores[:, 3]) - 5)
    odds = fit_odds(given, np.ones_like(given), scores, 0.1, 0.05)
    error = odds.of_error(given, scores)
    assert ((error > 0) == (given != truth)).mean() > 0.998
    first = np.argsort(-error, axis=None)[:200]
    assert (given != truth).ravel()[first].all()
    assert {bool(given.ravel()[place]) for place in first} == {True, False}
    assert ((error > 0) & (given != truth))[:, 3].sum() > 0.95 * (given != truth)[:, 3].sum()


def test_nothing_is_said_of_a_tag_that_its_clips_do_not_score_higher_with() -> None:
    _, given, scores = planted(300, 3, 0.1, 0.1)
    given[:, 0] = False
    scores[:, 1] = 1 - scores[:, 1]
    odds = fit_odds(given, np.ones_like(given), scores, 0.2, 0.1)
    assert (odds.slope > 0).tolist() == [False, False, True]
    assert np.isnan(odds.thresholds(0.5)).tolist() == [[True, True, False]] * 2
    assert (odds.of_error(given, scores)[:, :2] < 0).all()


def test_rates_that_cannot_be_are_brought_within_reason() -> None:
    given, scores = np.array([[True], [False]]), np.array([[0.9], [0.1]])
    judged = np.ones_like(given)
    untold = fit_odds(given, judged, scores, math.nan, math.nan)
    assert (untold.wrong_rate, untold.missing_rate) == (0.25, 0.25)
    assert fit_odds(given, judged, scores, 0.9, 0.0).wrong_rate == 0.5


def test_scores_of_0_and_1_have_odds() -> None:
    found = log_odds(np.array([0.0, 1.0]))
    assert found.tolist() == pytest.approx([math.log(LEAST_SCORE), -math.log(LEAST_SCORE)], abs=1e-3)
    certain = Odds(np.array([1e6]), np.array([0.0]), 0.1, 0.1)
    told = probability(certain.of_error(np.array([[True], [False]]), np.array([[0.0], [0.0]])))
    assert told.tolist() == [[1.0], [0.0]]
