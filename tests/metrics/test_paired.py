"""Paired differences: against resampled arrays built one by one, and on clips with a planted difference or none."""

import math

import numpy as np
import pytest

from earmark.errors import InputError
from earmark.metrics import tagging
from earmark.metrics.bootstrap import METRICS, bootstrap
from earmark.metrics.paired import paired_differences
from earmark.metrics.resampling import draw_resamples


def clips_of_two_models(num_clips=120, num_tags=4, gain=0.0, shared=1.0, seed=0):
    """Truth, and scores of two models: noise that both share, noise of their own, and what the second is better by."""
    rng = np.random.default_rng(seed)
    truth = rng.random((num_clips, num_tags)) < 0.25
    truth[0] = True
    common = 1.2 * truth + shared * rng.normal(size=truth.shape)
    first, second = (common + better * truth + 0.3 * rng.normal(size=truth.shape) for better in (0.0, gain))
    return truth, first, second


def differences_of(truth, one, other, metrics, confidence=0.95, **settings):
    ours, theirs = (bootstrap(truth, scores, metrics, confidence=confidence, **settings) for scores in (one, other))
    columns = [
        ([found.metrics[name].value for name in metrics], np.stack([found.drawn[name] for name in metrics], axis=1))
        for found in (ours, theirs)
    ]
    by_tag = [(found.average_precision.value, found.drawn_average_precision) for found in (ours, theirs)]
    return (paired_differences(*columns[0], *columns[1], confidence),
            paired_differences(*by_tag[0], *by_tag[1], confidence))  # fmt: skip


def slow_differences(truth, one, other, metric, groups, resamples, seed, confidence):
    """The definition: every resample as arrays, both models on it, the outer percentiles moved onto the value."""
    value = metric(truth, one) - metric(truth, other)
    drawn = []
    for times in np.concatenate(list(draw_resamples(groups, resamples, seed)), axis=1).T:
        clips = np.repeat(np.arange(len(truth)), times)
        drawn.append(metric(truth[clips], one[clips]) - metric(truth[clips], other[clips]))
    kept = np.sort([difference for difference in drawn if not math.isnan(difference)])
    moved = kept + value - kept.mean()
    outside = int((1 - confidence) / 2 * (len(kept) - 1) + 1e-9)
    return value, moved[outside], moved[len(kept) - 1 - outside], (moved < 0).mean(), (moved > 0).mean()


@pytest.mark.parametrize("gain", [0.0, 0.7])
def test_equals_resampled_arrays(gain):
    truth, one, other = clips_of_two_models(40, 3, gain)
    truth[:, 2] = np.arange(40) == 7  # in no clip of every third resample
    names, groups = [name for name in METRICS if name != "d_prime"], np.arange(40) // 2
    found, by_tag = differences_of(truth, one, other, names, 0.9, groups=groups, resamples=60, seed=3)
    for column, name in enumerate(names):
        metric = getattr(tagging, "map_at_k" if name == "map_at_3" else name)
        expected = slow_differences(truth, one, other, metric, groups, 60, 3, 0.9)
        for array, number in zip(vars(found).values(), expected, strict=True):
            assert array[column] == pytest.approx(number, abs=1e-12), name
    for tag in range(3):
        expected = slow_differences(
            truth, one, other, lambda *arrays, tag=tag: tagging.average_precision(*arrays)[tag], groups, 60, 3, 0.9
        )
        for array, number in zip(vars(by_tag).values(), expected, strict=True):
            assert array[tag] == pytest.approx(number, abs=1e-12)


def test_the_other_way_round_is_the_opposite():
    truth, one, other = clips_of_two_models(gain=0.4)
    there, _ = differences_of(truth, other, one, METRICS, resamples=200)
    back, _ = differences_of(truth, one, other, METRICS, resamples=200)
    np.testing.assert_allclose(there.value, -back.value)
    np.testing.assert_allclose(there.low, -back.high, atol=1e-12)
    np.testing.assert_array_equal(there.below, back.above)


def test_a_model_and_itself_do_not_differ():
    truth, one, _ = clips_of_two_models()
    found, by_tag = differences_of(truth, one, one, METRICS, resamples=50)
    for differences in (found, by_tag):
        for array in vars(differences).values():
            assert (array == 0).all()


def test_a_planted_gain_is_found_and_none_is_not():
    """How often the 95 % interval leaves out 0 over 60 draws of clips: nearly always with a gain, else seldom."""
    left_out = {}
    for gain in (0.0, 1.0):
        intervals = [
            differences_of(*clips_of_two_models(gain=gain, seed=seed), ["mean_average_precision"], resamples=200)[0]
            for seed in range(60)
        ]
        # The second model is the better one, and the difference is the first one's gain over it.
        left_out[gain] = [bool(one.high[0] < 0 or one.low[0] > 0) for one in intervals]
    assert sum(left_out[0.0]) <= 9  # 3 expected; more than 9 of 60 at 5 % has a chance of 0.2 %
    assert sum(left_out[1.0]) >= 57


def test_noise_that_both_share_drops_out():
    """The point of pairing: the interval of the difference is far narrower than that of the two scores apart."""
    truth, one, other = clips_of_two_models(gain=0.4, shared=1.5)
    paired, _ = differences_of(truth, one, other, ["mean_average_precision"])
    apart = [bootstrap(truth, one, ["mean_average_precision"], seed=0).drawn["mean_average_precision"],
             bootstrap(truth, other, ["mean_average_precision"], seed=1).drawn["mean_average_precision"]]  # fmt: skip
    low, high = np.percentile(apart[0] - apart[1], [2.5, 97.5])
    assert paired.high[0] - paired.low[0] < 0.6 * (high - low)


def test_what_is_infinite_or_not_there_has_no_interval():
    nan, inf = math.nan, math.inf
    ours = [[inf, 1.0, nan, 1.0], [2.0, 2.0, nan, 1.0]]
    found = paired_differences([1.0, 1.5, nan, inf], ours, [1.0, 1.0, nan, 1.0], np.ones((2, 4)))
    np.testing.assert_array_equal(found.value, [0.0, 0.5, nan, nan])
    np.testing.assert_array_equal(np.isnan(found.low), [True, False, True, True])
    np.testing.assert_array_equal(np.isnan(found.above), [True, False, True, True])


def test_ends_lie_within_what_can_be():
    drawn, other = np.linspace(0, 1, 101)[:, None], np.zeros((101, 1))
    found = paired_differences([0.9], drawn, [0.0], other, 0.9)
    assert (found.low[0], found.high[0]) == (pytest.approx(0.45), 1.0)
    assert paired_differences([0.9], drawn, [0.0], other, 0.9, most=np.inf).high[0] == pytest.approx(1.35)


@pytest.mark.parametrize(
    "shapes", [((2,), (5, 3), (2,), (5, 3)), ((2,), (5, 2), (3,), (5, 2)), ((2,), (5, 2), (2,), (4, 2))]
)
def test_shapes_must_fit(shapes):
    with pytest.raises(InputError, match=r"\(column,\) values and \(resample, column\) draws"):
        paired_differences(*map(np.zeros, shapes))
    with pytest.raises(InputError, match="confidence must lie between 0 and 1, got 1"):
        paired_differences([0], [[0]], [0], [[0]], confidence=1)
