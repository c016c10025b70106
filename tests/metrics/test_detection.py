import math

import numpy as np
import pytest

from earmark.metrics.curves import Steps, ThresholdCurve, macro_f1_curve, sum_steps, totals
from earmark.metrics.detection import DetectionCounts, detection_scores


def counts_of(*by_clip):
    """Counts of one clip each, rows (found, false, reference) of tags."""
    return DetectionCounts(*np.array(by_clip).transpose(2, 0, 1))


def test_counts_are_summed_over_clips_and_then_scored():
    scores = detection_scores(counts_of([(1, 2, 2), (0, 0, 1)], [(1, 0, 2), (2, 1, 3)]))
    np.testing.assert_allclose(scores.precision, [2 / 4, 2 / 3])
    np.testing.assert_allclose(scores.recall, [2 / 4, 2 / 4])
    np.testing.assert_allclose(scores.f1, [0.5, 4 / 7])
    assert scores.macro_f1 == pytest.approx((0.5 + 4 / 7) / 2)
    assert scores.macro_precision == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores.macro_recall == 0.5
    assert scores.left_out_tags.tolist() == []


def test_a_silent_tag_scores_0_and_one_without_reference_is_left_out_with_its_false_positives():
    scores = detection_scores(counts_of([(3, 0, 3), (0, 0, 4), (0, 5, 0), (0, 0, 0)]))
    np.testing.assert_array_equal(scores.f1, [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(scores.recall, [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(scores.precision, [1, np.nan, np.nan, np.nan])
    assert (scores.macro_f1, scores.macro_precision, scores.macro_recall) == (0.5, 1.0, 0.5)
    assert scores.left_out_tags.tolist() == [2, 3]
    assert scores.false_positives[scores.left_out_tags].tolist() == [5, 0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 2)])
def test_nothing_to_score_is_nan_without_a_warning(shape):
    nothing = np.zeros(shape, np.int64)
    scores = detection_scores(DetectionCounts(nothing, nothing, nothing))
    assert math.isnan(scores.macro_f1)
    assert math.isnan(scores.macro_precision)


def curve(points, num_reference):
    thresholds, found, false = (np.array(column) for column in zip((np.inf, 0, 0), *points, strict=True))
    return ThresholdCurve(thresholds, found, false, num_reference)


def test_counts_hold_from_a_threshold_down_to_the_next():
    one = curve([(0.8, 1, 0), (0.5, 2, 3)], 4)
    at = {2.0: (0, 0), 0.81: (0, 0), 0.8: (1, 0), 0.51: (1, 0), 0.5: (2, 3), -9.0: (2, 3)}
    assert {threshold: one.counts_at(threshold) for threshold in at} == at
    np.testing.assert_allclose(one.f1, [0, 2 / 5, 4 / 9])
    np.testing.assert_allclose(one.precision, [np.nan, 1, 2 / 5])
    np.testing.assert_allclose(one.recall, [0, 1 / 4, 1 / 2])


def test_the_best_threshold_lies_between_the_scores_that_it_separates():
    assert curve([(0.8, 1, 0), (0.5, 1, 3)], 2).best_threshold() == (pytest.approx(0.65), pytest.approx(2 / 3))
    assert curve([(0.8, 1, 0), (0.5, 2, 0)], 2).best_threshold() == (0.5, 1.0)  # the last score there is
    assert curve([(0.8, 0, 1), (0.5, 0, 3)], 2).best_threshold() == (math.inf, 0.0)
    assert np.isnan(curve([(0.8, 0, 1)], 0).best_threshold()).all()
    # Neighbours in single precision have no middle: the upper one decides as the middle would.
    upper = np.float32(0.5)
    lower = np.nextafter(upper, np.float32(0))
    close = ThresholdCurve(np.array([np.inf, upper, lower], np.float32), np.array([0, 1, 1]), np.array([0, 0, 1]), 1)
    assert close.best_threshold() == (0.5, 1.0)


def test_totals_at_each_threshold_where_something_changes():
    rng = np.random.default_rng(0)
    counts = [Steps(rng.integers(0, 9, 30) / 8, rng.integers(-2, 3, 30)) for _ in range(3)]
    thresholds, table = totals(*counts)
    assert thresholds[0] == np.inf
    assert (np.diff(thresholds) < 0).all()
    assert (table[:, 1:] != table[:, :-1]).any(axis=0).all()
    for threshold in (9, 1.1, 1.0, 0.9, 0.5, 0.125, 0.0, -1):
        point = np.searchsorted(-thresholds, -threshold, "right") - 1
        expected = [steps.change[steps.score >= threshold].sum() for steps in counts]
        assert table[:, point].tolist() == expected


def test_owners_get_enough_and_fall_back():
    rng = np.random.default_rng(1)
    owner, amount, needed = rng.integers(0, 4, 60), rng.integers(1, 5, 60), np.array([3, 9, 14, 200])
    ends = np.sort(rng.integers(0, 12, (60, 2)), axis=1) / 8
    death, birth = np.where(ends[:, 0] == 0, -np.inf, ends[:, 0]), ends[:, 1] + 0.125
    steps, owners = sum_steps(owner, birth, death, amount, needed)
    for threshold in np.arange(0, 1.7, 0.0625):
        stands = (death < threshold) & (threshold <= birth)
        has = np.bincount(owner[stands], amount[stands], minlength=4)
        enough = np.bincount(owners, steps.change * (steps.score >= threshold), minlength=4)
        np.testing.assert_array_equal(enough, has >= needed)


def test_macro_f1_of_a_shared_threshold_leaves_out_tags_without_reference():
    curves = [curve([(0.8, 1, 0), (0.5, 2, 3)], 4), curve([(0.7, 0, 9)], 0), curve([(0.8, 0, 1), (0.3, 3, 1)], 3)]
    thresholds, f1 = macro_f1_curve(curves)
    np.testing.assert_allclose(thresholds, [np.inf, 0.8, 0.5, 0.3])
    np.testing.assert_allclose(f1, [0, 2 / 5 / 2, 4 / 9 / 2, (4 / 9 + 6 / 7) / 2])
    assert np.isnan(macro_f1_curve(curves[1:2])[1]).all()
