"""PSDS of resampled clips against PSDS of the clips repeated, and the intervals made of it."""

import logging

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics.bootstrap import ends
from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import framewise_scores
from earmark.metrics.intersection_based import Shares
from earmark.metrics.psds import PSDS_1, PSDS_2, PsdsSettings, psds, psds_of_draws
from earmark.metrics.psds_bootstrap import bootstrap_psds
from earmark.metrics.psds_steps import needed_above
from earmark.metrics.resampling import draw_resamples
from tests.metrics.event_cases import clips_with_scores, our_scores, ours, random_case

SETTINGS = [
    PsdsSettings(Shares(0.7, 0.7), e_max=2000.0),
    PsdsSettings(Shares(0.1, 0.1, 0.3), alpha_ct=0.5, e_max=3000.0),
    PsdsSettings(Shares(0.5, 0.3, 0.5), alpha_ct=1.0, alpha_st=0.0, e_max=400.0),
]


def repeated(reference, scores, times):
    """New events and scores in which each clip stands as often as it was drawn."""
    clips = np.repeat(np.arange(reference.num_clips), times)
    durations = reference.duration_us[clips] / 1e6
    rows = [(new, e) for new, old in enumerate(clips) for e in np.flatnonzero(reference.clip == old)]
    new, event = np.array(rows, int).reshape(-1, 2).T
    times_s = reference.onset_us[event] / 1e6, reference.offset_us[event] / 1e6
    events = events_from_arrays(
        new, reference.tag[event], *times_s, duration_s=durations, num_tags=reference.num_tags
    )  # fmt: skip
    first = np.cumsum(scores.num_frames) - scores.num_frames
    frames = [np.arange(first[clip], first[clip] + scores.num_frames[clip]) for clip in clips]
    values = scores.scores[np.concatenate(frames)]
    return events, framewise_scores(values, scores.num_frames[clips], hop_s=scores.hop_s, duration_s=durations)


def check_draws(reference, scores, s, draws):
    for times, found in zip(draws.T, psds_of_draws(reference, scores, s, draws), strict=True):
        plain = psds(*repeated(reference, scores, times), s)
        assert found.value == pytest.approx(plain.value, abs=1e-9, nan_ok=True)
        np.testing.assert_allclose(found.by_tag, plain.by_tag, rtol=0, atol=1e-9)
        for mine, theirs in zip(found.tag_curves, plain.tag_curves, strict=True):
            assert (mine is None) == (theirs is None)


@given(clips_with_scores(), st.data(), st.sampled_from(SETTINGS))
def test_each_draw_is_scored_as_the_clips_repeated(clips, data, s):
    times = st.lists(st.integers(0, 3), min_size=len(clips), max_size=len(clips)).filter(any)
    draws = np.array(data.draw(st.lists(times, min_size=1, max_size=3)), np.uint16).T
    check_draws(ours(clips), our_scores(clips), s, draws)


@pytest.mark.parametrize("s", [PSDS_1, PSDS_2, *SETTINGS])
def test_more_clips_are_scored_as_the_clips_repeated(s):
    reference, scores = random_case(num_clips=25, num_tags=4, seed=5, distance=4.0)
    check_draws(reference, scores, s, next(draw_resamples(np.arange(25) // 2, 12, seed=1)))


@pytest.mark.parametrize("base", [PSDS_1, PSDS_2], ids=["1", "2"])
def test_scores_that_no_draw_needs_change_nothing(base):
    reference, scores = random_case(num_clips=60, num_tags=4, seed=5, distance=4.0)
    draws = next(draw_resamples(np.arange(60), 8, seed=1))
    s = PsdsSettings(base.shares, base.alpha_ct, e_max=20.0)
    hours = draws.T @ reference.duration_us / 3.6e9
    clips = reference.intervals(0).clip
    above = needed_above(0, scores, clips, draws, s.e_max * hours)
    # The shortcut is taken, so the comparison is one of it.
    assert 0.1 < (scores.scores[:, 0] > above).mean() < 0.9
    assert needed_above(0, scores, clips, draws, 1e6 * hours) == -np.inf
    check_draws(reference, scores, s, draws)


def test_intervals_are_those_of_the_plain_scores():
    reference, scores = random_case(num_clips=12, seed=3, distance=3.0)
    s, groups = SETTINGS[1], np.arange(12) // 2
    result = bootstrap_psds(reference, scores, s, groups=groups, resamples=30, confidence=0.8, seed=7)
    draws = next(draw_resamples(groups, 30, seed=7))
    plain = [psds(*repeated(reference, scores, times), s) for times in draws.T]
    np.testing.assert_allclose(result.drawn, [one.value for one in plain], atol=1e-9)
    low, high = ends(result.drawn[:, None], np.array([result.score.value]), 0.8)
    assert (result.value.low, result.value.high) == pytest.approx((low[0], high[0]), abs=1e-9)
    low, high = ends(np.array([one.by_tag for one in plain]), result.score.by_tag, 0.8)
    np.testing.assert_allclose([result.by_tag.low, result.by_tag.high], [low, high], atol=1e-9)
    assert (result.num_groups, result.resamples, result.confidence) == (6, 30, 0.8)


@given(st.integers(0, 10_000), st.sampled_from(SETTINGS))
@settings(max_examples=20)
def test_properties(seed, s):
    reference, scores = random_case(num_clips=5, num_tags=2, num_frames=20, seed=seed, distance=3.0)
    assume(len(reference))
    result = bootstrap_psds(reference, scores, s, resamples=40, seed=seed)
    assert 0 <= result.value.low <= result.value.value <= result.value.high <= 1
    assert result.value.value == psds(reference, scores, s).value
    there = ~np.isnan(result.score.by_tag)
    assert (result.by_tag.low[there] <= result.by_tag.value[there]).all()
    assert (result.by_tag.value[there] <= result.by_tag.high[there]).all()
    # Only the order of scores counts, and equal draws give equal intervals.
    changed = framewise_scores(
        np.exp(scores.scores), scores.num_frames, hop_s=scores.hop_s, duration_s=scores.duration_us / 1e6
    )
    again = bootstrap_psds(reference, changed, s, resamples=40, seed=seed)
    assert (again.value.low, again.value.high) == pytest.approx((result.value.low, result.value.high), abs=1e-9)
    assert bootstrap_psds(reference, scores, s, resamples=40, seed=seed).value == result.value


def test_a_tag_without_reference_has_no_interval():
    reference, scores = random_case(num_tags=2, seed=4)
    times = reference.onset_us / 1e6, reference.offset_us / 1e6
    durations = reference.duration_us / 1e6
    with_third = events_from_arrays(reference.clip, reference.tag, *times, duration_s=durations, num_tags=3)
    noisy = np.concatenate([scores.scores, np.random.default_rng(0).random((len(scores.scores), 1))], axis=1)
    grid = framewise_scores(noisy, scores.num_frames, hop_s=scores.hop_s, duration_s=durations)
    for s in SETTINGS:
        alone = bootstrap_psds(reference, scores, s, resamples=50)
        result = bootstrap_psds(with_third, grid, s, resamples=50)
        assert result.value == alone.value
        assert np.isnan([result.by_tag.value[2], result.by_tag.low[2], result.by_tag.high[2]]).all()


@pytest.mark.filterwarnings("error")
def test_no_reference_at_all_is_nan():
    _, scores = random_case()
    none = events_from_arrays([], [], [], [], duration_s=scores.duration_us / 1e6, num_tags=3)
    result = bootstrap_psds(none, scores, PSDS_2, resamples=20)
    assert np.isnan([result.value.value, result.value.low, result.value.high]).all()


def test_one_group_has_no_interval_and_says_so(caplog):
    reference, scores = random_case(seed=1)
    with caplog.at_level(logging.WARNING):
        result = bootstrap_psds(reference, scores, PSDS_2, groups=["a"] * 12)
    assert caplog.messages == ["no intervals: all clips (12) are of one group"]
    assert result.value.value == psds(reference, scores, PSDS_2).value
    assert np.isnan([result.value.low, result.value.high, *result.by_tag.low]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resamples": 0}, "resamples must be at least 1, got 0"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1, got 1.0"),
        ({"groups": ["a"]}, "groups must name one group for each of 12 clips, got shape (1,)"),
    ],
)
def test_refuses(arguments, message):
    reference, scores = random_case(seed=1)
    with pytest.raises(InputError) as caught:
        bootstrap_psds(reference, scores, PSDS_1, **arguments)
    assert str(caught.value) == message
