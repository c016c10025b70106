import logging
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics import resampling, tagging
from earmark.metrics.bootstrap import METRICS, bootstrap, ends
from earmark.metrics.resampling import draw_resamples, resampled

DRAWN = [name for name in METRICS if name != "d_prime"]


def plain_metric(name):
    return getattr(tagging, "map_at_k" if name == "map_at_3" else name)


def random_clips(num_clips, num_tags, density, levels=None, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((num_clips, num_tags)) < density
    scores = rng.normal(0.4 + 0.3 * truth, 0.2)
    return truth, scores if levels is None else np.round(scores * levels) / levels


def assert_equals_repeated_arrays(truth, scores, weights, counts):
    """Each column of counts (clip, resample) against the plain metrics of the arrays repeated so often."""
    metrics, by_tag = resampled(tagging.checked(truth, scores, weights), DRAWN, [counts])
    for resample, times in enumerate(counts.T):
        arrays = [np.repeat(array, times, axis=0) for array in (truth, scores, weights)]
        for name in DRAWN:
            expected = plain_metric(name)(*arrays)
            assert metrics[name][resample] == pytest.approx(expected, abs=1e-12, nan_ok=True), name
        np.testing.assert_allclose(by_tag[resample], tagging.average_precision(*arrays), rtol=0, atol=1e-12)


@given(st.data())
def test_equals_the_plain_metrics_on_repeated_clips(data):
    num_clips, num_tags, resamples = (data.draw(st.integers(1, high)) for high in (9, 3, 3))

    def array(cell, width):
        row = st.lists(cell, min_size=width, max_size=width)
        return np.array(data.draw(st.lists(row, min_size=num_clips, max_size=num_clips)))

    truth = array(st.booleans(), num_tags)
    scores = array(st.integers(0, 6), num_tags) / 6
    weights = array(st.sampled_from([0.0, 1.0, 1.0, 1.0]), num_tags)
    counts = array(st.integers(0, 3), resamples).astype(np.uint16)
    assert_equals_repeated_arrays(truth, scores, weights, counts)


@pytest.mark.parametrize("levels", [None, 10])
def test_equals_the_plain_metrics_on_more_clips(levels, monkeypatch):
    truth, scores = random_clips(300, 6, 0.1, levels)
    counts = next(draw_resamples(np.arange(300), 5, seed=1))
    for rows in (512, 7):  # a stretch of the ranking that is added up in one go, and in many
        monkeypatch.setattr(resampling, "_ROWS_AT_A_TIME", rows)
        assert_equals_repeated_arrays(truth, scores, np.ones_like(scores), counts)


def test_sums_over_large_groups_do_not_overflow():
    truth, scores = random_clips(90_000, 1, 0.001, levels=50)
    counts = next(draw_resamples(np.arange(90_000) % 3, 4, seed=0))
    assert_equals_repeated_arrays(truth, scores, np.ones_like(scores), counts)


def test_a_resample_draws_whole_groups_as_many_as_there_are():
    group_of_clip = np.array([0, 1, 1, 2, 2, 2, 3])
    counts = np.concatenate(list(draw_resamples(group_of_clip, 2000, seed=3)), axis=1).astype(int)
    by_group = counts[[0, 1, 3, 6]]
    np.testing.assert_array_equal(counts, by_group[group_of_clip])
    assert (by_group.sum(axis=0) == 4).all()
    # drawn 4 times of 4: binomial, mean 1, missing in (3/4)^4 of the resamples; four standard errors
    np.testing.assert_allclose(by_group.mean(axis=1), 1, atol=4 * math.sqrt(0.75 / 2000))
    np.testing.assert_allclose((by_group == 0).mean(axis=1), 0.75**4, atol=4 * math.sqrt(0.22 / 2000))


def test_draws_depend_on_the_seed_alone_not_on_the_memory_bound(monkeypatch):
    truth, scores = random_clips(40, 3, 0.2)
    whole = bootstrap(truth, scores, METRICS, resamples=50)
    assert bootstrap(truth, scores, METRICS, resamples=50, seed=1).metrics != whole.metrics
    monkeypatch.setattr(resampling, "_BYTES_AT_A_TIME", 40 * 2 * 7)
    blocks = [block.shape for block in draw_resamples(np.arange(40), 50, 0)]
    assert blocks == [(40, 7)] * 7 + [(40, 1)]
    in_parts = bootstrap(truth, scores, METRICS, resamples=50)
    for name, interval in whole.metrics.items():
        part = in_parts.metrics[name]
        assert (part.value, part.low, part.high) == pytest.approx((interval.value, interval.low, interval.high))


def test_values_are_the_plain_metrics_and_lie_inside():
    truth, scores = random_clips(120, 8, 0.15)
    result = bootstrap(truth, scores, METRICS, threshold=0.6)
    assert list(result.metrics) == list(METRICS)
    for name, interval in result.metrics.items():
        arguments = {"threshold": 0.6} if name == "macro_f1" else {}
        assert interval.value == pytest.approx(plain_metric(name)(truth, scores, **arguments), rel=1e-15)
        assert interval.low < interval.value < interval.high, name
    np.testing.assert_array_equal(result.average_precision.value, tagging.average_precision(truth, scores))
    assert (result.average_precision.low < result.average_precision.value).all()
    assert (result.average_precision.value < result.average_precision.high).all()
    assert (result.num_groups, result.resamples, result.confidence) == (120, 1000, 0.95)


def test_ends_of_d_prime_are_those_of_the_auc():
    truth, scores = random_clips(60, 4, 0.3)
    metrics = bootstrap(truth, scores).metrics
    auc, d_prime = metrics["mean_roc_auc"], metrics["d_prime"]
    expected = [tagging.d_prime_from_auc(value) for value in (auc.value, auc.low, auc.high)]
    assert [d_prime.value, d_prime.low, d_prime.high] == expected
    perfect = bootstrap(truth, truth.astype(float), ["d_prime"]).metrics["d_prime"]
    assert (perfect.value, perfect.low, perfect.high) == (math.inf, math.inf, math.inf)


def test_the_interval_covers_what_such_test_sets_give_on_average():
    """Planted truth: many rare tags, so that the plain percentile interval lies beside the value itself."""
    runs = []
    for seed in range(40):
        truth, scores = random_clips(500, 150, 0.01, seed=seed)
        runs.append((truth, scores, tagging.mean_average_precision(truth, scores)))
    average = np.mean([value for *_, value in runs])
    covered, beside = 0, 0
    for truth, scores, value in runs:
        result = bootstrap(truth, scores, ["mean_average_precision"], resamples=200)
        interval = result.metrics["mean_average_precision"]
        covered += interval.low <= average <= interval.high
        draws = draw_resamples(np.arange(len(truth)), 200, seed=0)
        drawn = resampled(tagging.checked(truth, scores), ["mean_average_precision"], draws)[0]
        beside += np.quantile(drawn["mean_average_precision"], 0.025) > value
        assert interval.low < value < interval.high
    assert covered >= 35  # of 40; fewer has probability .014 at 95 %
    assert beside >= 20  # the reason for moving it; were it unbiased, 1 of 40


def test_wider_confidence_and_fewer_clips_give_wider_intervals():
    truth, scores = random_clips(400, 5, 0.3)

    def width(clips, **arguments):
        interval = bootstrap(truth[:clips], scores[:clips], ["lwlrap"], **arguments).metrics["lwlrap"]
        return interval.high - interval.low

    assert width(400, confidence=0.99) > 1.15 * width(400) > 1.15 * 1.15 * width(400, confidence=0.8)
    assert width(100) == pytest.approx(2 * width(400), rel=0.35)  # 1 / sqrt(clips)


def test_ends_are_order_statistics_moved_onto_the_value():
    drawn = np.array([[0.1, 0.5, np.nan], [0.2, np.nan, np.nan], [0.6, 0.7, np.nan], [0.3, 0.6, np.nan]])
    low, high = ends(drawn, np.array([0.4, 0.6, np.nan]), confidence=0.5)
    np.testing.assert_allclose(low, [0.1 + 0.1, 0.5, np.nan])
    np.testing.assert_allclose(high, [0.6 + 0.1, 0.7, np.nan])
    low, high = ends(drawn, np.array([0.9, 0.1, np.nan]), confidence=0.5)
    np.testing.assert_allclose(low, [0.7, 0.0, np.nan])
    np.testing.assert_allclose(high, [1.0, 0.2, np.nan])


def test_a_tag_takes_part_only_in_resamples_with_its_positives():
    truth, scores = random_clips(30, 3, 0.4)
    truth[:, 1], truth[:, 2] = False, False
    truth[4, 2] = True
    counts = next(draw_resamples(np.arange(30), 200, seed=0))
    metrics, by_tag = resampled(tagging.checked(truth, scores), ["mean_average_precision"], [counts])
    np.testing.assert_array_equal(np.isnan(by_tag[:, 2]), counts[4] == 0)
    absent = counts[4] == 0
    np.testing.assert_array_equal(metrics["mean_average_precision"][absent], by_tag[absent, 0])
    intervals = bootstrap(truth, scores).average_precision
    assert np.isnan([intervals.value[1], intervals.low[1], intervals.high[1]]).all()
    assert np.isfinite([intervals.low[2], intervals.high[2]]).all()


def test_clips_that_share_a_group_count_once():
    truth, scores = random_clips(50, 4, 0.3)
    single = bootstrap(truth, scores, ["mean_roc_auc"], resamples=300)
    doubled = [np.repeat(array, 3, axis=0) for array in (truth, scores)]
    grouped = bootstrap(*doubled, ["mean_roc_auc"], groups=np.repeat(np.arange(50), 3), resamples=300)
    alone = bootstrap(*doubled, ["mean_roc_auc"], resamples=300)
    one, same, narrow = (result.metrics["mean_roc_auc"] for result in (single, grouped, alone))
    assert (same.value, same.low, same.high) == pytest.approx((one.value, one.low, one.high), abs=1e-12)
    assert narrow.high - narrow.low < 0.75 * (one.high - one.low)
    assert grouped.num_groups == 50


@pytest.mark.parametrize("dtype", [object, np.str_])
def test_named_groups_make_the_order_of_clips_irrelevant(dtype):
    truth, scores = random_clips(40, 3, 0.3)
    names = np.array([f"recording {clip % 13}" for clip in range(40)], dtype=dtype)
    order = np.random.default_rng(1).permutation(40)
    first = bootstrap(truth, scores, groups=names, resamples=100)
    then = bootstrap(truth[order], scores[order], groups=names[order], resamples=100)
    for name, interval in first.metrics.items():
        other = then.metrics[name]
        assert (other.value, other.low, other.high) == pytest.approx((interval.value, interval.low, interval.high))


def test_increasing_transforms_of_scores_change_nothing():
    truth, scores = random_clips(60, 3, 0.3, levels=8)
    assert bootstrap(truth, scores, resamples=100).metrics == bootstrap(truth, scores**3, resamples=100).metrics


def test_what_was_not_annotated_does_not_matter():
    truth, scores = random_clips(60, 4, 0.3, levels=8)
    weights = np.random.default_rng(2).random(truth.shape) < 0.7
    first = bootstrap(truth, scores, METRICS, weights=weights, resamples=100)
    then = bootstrap(truth | ~weights, np.where(weights, scores, 5.0), METRICS, weights=weights, resamples=100)
    assert first.metrics == then.metrics
    assert first.metrics != bootstrap(truth, scores, METRICS, resamples=100).metrics


def test_one_group_has_no_interval_and_says_so(caplog):
    truth, scores = random_clips(20, 3, 0.4)
    with caplog.at_level(logging.WARNING):
        result = bootstrap(truth, scores, METRICS, groups=["a"] * 20)
    assert caplog.messages == ["no intervals: all clips (20) are of one group"]
    for interval in result.metrics.values():
        assert np.isfinite(interval.value)
        assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(result.average_precision.low).all()


@pytest.mark.filterwarnings("error")
def test_no_positives_at_all_is_nan_without_a_warning():
    result = bootstrap(np.zeros((5, 2), bool), np.random.default_rng(0).random((5, 2)), METRICS, resamples=20)
    for interval in result.metrics.values():
        assert np.isnan([interval.value, interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["lwrap"]}, 'unknown metric "lwrap"; did you mean "lwlrap"?'),
        ({"resamples": 0}, "resamples must be at least 1, got 0"),
        ({"confidence": 95}, "confidence must lie between 0 and 1, got 95"),
        ({"groups": ["a", "b"]}, "groups must name one group for each of 3 clips, got shape (2,)"),
        ({"groups": ["a", None, "b"]}, "groups must be names or whole numbers, got None at clip 1"),
        ({"groups": [0.5, 1, 2]}, "groups must be names or whole numbers, got dtype float64"),
        ({"weights": [1, 1]}, "weights must have the shape of truth (clip, tag), got (2,) and (3, 2)"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError) as caught:
        bootstrap(np.eye(3, 2, dtype=bool), np.eye(3, 2), **arguments)
    assert str(caught.value) == message


def test_refuses_no_clips():
    with pytest.raises(InputError, match="intervals need at least one clip, got none"):
        bootstrap(np.zeros((0, 2), bool), np.zeros((0, 2)))
