import logging

import numpy as np
import pytest

from earmark.errors import InputError
from earmark.metrics.bootstrap import ends
from earmark.metrics.collar_based import Collars, collar_based_counts
from earmark.metrics.detection import DetectionCounts, detection_scores
from earmark.metrics.event_bootstrap import _resampled, bootstrap_detection
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.resampling import draw_resamples
from tests.metrics.event_cases import random_case


@pytest.fixture(scope="module")
def counts():
    reference, scores = random_case(num_clips=60, seed=1, distance=3.0)
    return collar_based_counts(reference, events_from_scores(scores, 2.0), Collars(0.5, 0.5))


def test_each_resample_is_scored_as_the_clips_repeated(counts):
    draws = next(draw_resamples(np.arange(60), 8, seed=0))
    f1, precision, recall = _resampled(counts, [draws])
    for number, times in enumerate(draws.T):
        parts = (counts.true_positives, counts.false_positives, counts.num_reference)
        scores = detection_scores(DetectionCounts(*(np.repeat(part, times, axis=0) for part in parts)))
        np.testing.assert_allclose(f1[number], scores.f1, rtol=1e-12)
        np.testing.assert_allclose(precision[number], scores.precision, rtol=1e-12)
        np.testing.assert_allclose(recall[number], scores.recall, rtol=1e-12)


def test_values_are_the_plain_ones_and_lie_inside(counts):
    result, scores = bootstrap_detection(counts), detection_scores(counts)
    for interval, value in (
        (result.macro_f1, scores.macro_f1),
        (result.macro_precision, scores.macro_precision),
        (result.macro_recall, scores.macro_recall),
    ):
        assert interval.value == value
        assert interval.low < value < interval.high
    # What was drawn is what the intervals are of.
    for interval, drawn in zip(
        (result.macro_f1, result.macro_precision, result.macro_recall), result.drawn, strict=True
    ):
        low, high = ends(drawn[:, None], np.array([interval.value]), 0.95)
        assert (low[0], high[0], drawn.shape) == (interval.low, interval.high, (1000,))
    np.testing.assert_array_equal(result.f1.value, scores.f1)
    assert (result.f1.low < scores.f1).all()
    assert (scores.f1 < result.f1.high).all()
    assert (result.num_groups, result.resamples, result.confidence) == (60, 1000, 0.95)


def test_groups_resample_together(counts):
    alone = bootstrap_detection(counts, resamples=200)
    parts = (counts.true_positives, counts.false_positives, counts.num_reference)
    thrice = DetectionCounts(*(np.repeat(part, 3, axis=0) for part in parts))
    grouped = bootstrap_detection(thrice, groups=np.repeat(np.arange(60), 3), resamples=200)
    assert grouped.macro_f1.low == pytest.approx(alone.macro_f1.low, abs=1e-12)
    assert bootstrap_detection(thrice, resamples=200).macro_f1.low > alone.macro_f1.low


def test_a_tag_without_reference_has_no_interval():
    there = np.array([[1, 0], [2, 0], [0, 0], [1, 0]])
    result = bootstrap_detection(DetectionCounts(there // 2, np.ones_like(there), there), resamples=50)
    assert np.isnan([result.f1.value[1], result.f1.low[1], result.f1.high[1]]).all()
    assert np.isfinite([result.macro_f1.low, result.macro_f1.high]).all()


def test_one_group_has_no_interval_and_says_so(counts, caplog):
    with caplog.at_level(logging.WARNING):
        result = bootstrap_detection(counts, groups=["a"] * 60)
    assert caplog.messages == ["no intervals: all clips (60) are of one group"]
    assert np.isfinite(result.macro_f1.value)
    assert np.isnan([result.macro_f1.low, result.macro_f1.high, *result.f1.low]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resamples": 0}, "resamples must be at least 1, got 0"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1, got 1.0"),
        ({"groups": ["a"]}, "groups must name one group for each of 60 clips, got shape (1,)"),
    ],
)
def test_refuses(counts, arguments, message):
    with pytest.raises(InputError) as caught:
        bootstrap_detection(counts, **arguments)
    assert str(caught.value) == message
