import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import events_from_scores, framewise_scores
from earmark.metrics.intersection_based import Shares
from earmark.metrics.psds import PSDS_1, PSDS_2, PsdsSettings, RateCurve, psds, psds_from_decisions
from tests.metrics.event_cases import clips_with_scores, our_scores, ours, random_case
from tests.reference.plain_events import decoded, plain_psds, plain_rates, thresholds_of

SETTINGS = st.sampled_from(
    [
        PsdsSettings(Shares(0.7, 0.7), e_max=2000.0),
        PsdsSettings(Shares(0.1, 0.1, 0.3), alpha_ct=0.5, e_max=3000.0),
        PsdsSettings(Shares(0.5, 0.3, 0.5), alpha_ct=1.0, alpha_st=0.0, e_max=40.0, unit_s=60.0),
    ]
)


def plainly(clips, s):
    """PSDS from every score that any clip has."""
    tags = [tag for tag in range(len(clips[0].events)) if any(clip.events[tag] for clip in clips)]
    points = []
    for tag in tags:
        points.append([])
        for threshold in thresholds_of(clips, tag):
            found = [{tag: decoded(clip, tag, threshold)} for clip in clips]
            shares = (s.shares.dtc, s.shares.gtc, s.shares.cttc)
            points[-1].append(plain_rates(clips, found, tag, tags, *shares, s.alpha_ct, s.unit_s * 1e6))
    return plain_psds(points, s.alpha_st, s.e_max) if tags else np.nan


@given(clips_with_scores(), SETTINGS)
def test_equals_the_plain_version(clips, s):
    result = psds(ours(clips), our_scores(clips), s)
    assert result.value == pytest.approx(plainly(clips, s), abs=1e-9, nan_ok=True)


@given(clips_with_scores(), SETTINGS)
def test_decisions_at_every_threshold_give_the_exact_score(clips, s):
    reference, scores = ours(clips), our_scores(clips)
    every = {score for clip in clips for row in clip.scores for score in row}
    decisions = [events_from_scores(scores, threshold) for threshold in every]
    exact, known = psds(reference, scores, s), psds_from_decisions(reference, decisions, s)
    assert known.value == pytest.approx(exact.value, abs=1e-9, nan_ok=True)
    np.testing.assert_allclose(known.by_tag, exact.by_tag, rtol=0, atol=1e-9)


@pytest.mark.parametrize("base", [PSDS_1, PSDS_2], ids=["1", "2"])
@pytest.mark.parametrize("num_points", [1, 5, 50])
def test_some_operating_points_never_give_more_than_all(base, num_points):
    reference, scores = random_case(num_clips=30, seed=2)
    s = PsdsSettings(base.shares, base.alpha_ct, alpha_st=0.0, e_max=1000.0)
    exact = psds(reference, scores, s)
    thresholds = np.quantile(scores.scores, np.linspace(0.02, 0.999, num_points))
    known = psds_from_decisions(reference, [events_from_scores(scores, at) for at in thresholds], s)
    assert 0 < known.value < exact.value
    assert (known.by_tag <= exact.by_tag + 1e-12).all()
    for some, every in zip(known.tag_curves, exact.tag_curves, strict=True):
        rates = np.linspace(0, 1000, 333)
        assert (some.at(rates) <= every.at(rates) + 1e-12).all()


def test_perfect_scores_give_1_and_none_give_0():
    rows = [(0, 0, 1, 3), (0, 1, 2, 4), (1, 0, 0, 2), (1, 1, 7, 9)]
    columns = np.array(rows).T
    reference = events_from_arrays(*columns, duration_s=[10, 10], num_tags=2)
    scores = np.zeros((20, 2))
    for clip, tag, onset, offset in rows:
        scores[10 * clip + onset : 10 * clip + offset, tag] = 0.9
    for s in (PSDS_1, PSDS_2):
        grid = framewise_scores(scores, [10, 10], hop_s=1.0, duration_s=[10, 10])
        assert psds(reference, grid, s).value == 1.0
        assert psds_from_decisions(reference, [], s).value == 0.0
    swapped = framewise_scores(scores[:, ::-1], [10, 10], hop_s=1.0, duration_s=[10, 10])
    assert psds(reference, swapped, PSDS_1).value == 0.0
    # All of each clip is one detection at the lowest threshold, and a tenth of that lies in the events.
    assert psds(reference, swapped, PSDS_2).value == 1.0


@given(st.integers(0, 10_000), st.sampled_from([PSDS_1, PSDS_2]))
@settings(max_examples=40)
def test_properties(seed, base):
    reference, scores = random_case(num_clips=4, num_tags=3, num_frames=20, seed=seed)
    assume(len(reference))
    s = PsdsSettings(base.shares, base.alpha_ct, e_max=2000.0)
    result = psds(reference, scores, s)
    assert 0 <= result.value <= 1
    assert np.nanmin(result.by_tag) >= 0
    assert np.nanmax(result.by_tag) <= 1
    # Only the order of a tag's scores counts.
    changed = framewise_scores(
        np.exp(scores.scores / 4) * [1, 2, 9],
        scores.num_frames,
        hop_s=scores.hop_s,
        duration_s=scores.duration_us / 1e6,
    )
    assert psds(reference, changed, s).value == pytest.approx(result.value, abs=1e-12)
    # Neither the order of clips nor that of tags does.
    clips, tags = (np.random.default_rng(seed).permutation(count) for count in (4, 3))
    times = reference.onset_us / 1e6, reference.offset_us / 1e6
    durations = scores.duration_us / 1e6
    renamed = events_from_arrays(
        np.argsort(clips)[reference.clip], np.argsort(tags)[reference.tag], *times, duration_s=durations, num_tags=3
    )
    values = scores.scores.reshape(4, 20, 3)[clips][:, :, tags].reshape(-1, 3)
    moved = framewise_scores(values, scores.num_frames, hop_s=scores.hop_s, duration_s=durations)
    assert psds(renamed, moved, s).value == pytest.approx(result.value, abs=1e-9)
    # More deviations and triggers cost more; a mean of rates further right is no lower without deviations.
    steady = PsdsSettings(s.shares, s.alpha_ct, alpha_st=0.0, e_max=2000.0)
    assert psds(reference, scores, steady).value >= result.value - 1e-12
    assert psds(reference, scores, steady).value == pytest.approx(np.nanmean(result.by_tag), abs=1e-12)
    further = PsdsSettings(s.shares, s.alpha_ct, alpha_st=0.0, e_max=4000.0)
    assert psds(reference, scores, further).value >= psds(reference, scores, steady).value - 1e-12
    if s.alpha_ct:
        unpunished = PsdsSettings(s.shares, 0.0, e_max=2000.0)
        assert (np.nan_to_num(psds(reference, scores, unpunished).by_tag - result.by_tag) >= -1e-12).all()


def test_a_unit_of_time_only_renames_rates():
    reference, scores = random_case(seed=1)
    by_hour = psds(reference, scores, PsdsSettings(Shares(0.5, 0.5), e_max=600.0))
    by_minute = psds(reference, scores, PsdsSettings(Shares(0.5, 0.5), e_max=10.0, unit_s=60.0))
    assert by_minute.value == pytest.approx(by_hour.value, abs=1e-12)
    np.testing.assert_allclose(by_minute.curve.rate * 60, by_hour.curve.rate)


def test_tags_without_reference_take_no_part():
    reference, scores = random_case(num_tags=2, seed=4)
    durations = reference.duration_us / 1e6
    times = reference.onset_us / 1e6, reference.offset_us / 1e6
    with_third = events_from_arrays(reference.clip, reference.tag, *times, duration_s=durations, num_tags=3)
    noisy = np.concatenate([scores.scores, np.random.default_rng(0).random((len(scores.scores), 1))], axis=1)
    grid = framewise_scores(noisy, scores.num_frames, hop_s=scores.hop_s, duration_s=durations)
    for s in (PSDS_1, PSDS_2):
        alone, result = psds(reference, scores, s), psds(with_third, grid, s)
        assert result.value == alone.value
        assert result.left_out_tags.tolist() == [2]
        assert result.tag_curves[2] is None
        decisions = [events_from_scores(grid, 1.0)]
        assert psds_from_decisions(with_third, decisions, s).left_out_tags.tolist() == [2]


@pytest.mark.filterwarnings("error")
def test_no_reference_at_all_is_nan():
    _, scores = random_case()
    none = events_from_arrays([], [], [], [], duration_s=scores.duration_us / 1e6, num_tags=3)
    for result in (psds(none, scores, PSDS_2), psds_from_decisions(none, [events_from_scores(scores, 0.5)], PSDS_2)):
        assert np.isnan(result.value)
        assert result.curve is None
        assert result.left_out_tags.tolist() == [0, 1, 2]


def test_one_tag_alone_has_none_to_trigger():
    reference, scores = random_case(num_tags=1)
    s = PsdsSettings(Shares(0.1, 0.1, 0.3), alpha_ct=1.0, e_max=500.0)
    assert (
        psds(reference, scores, s).value == psds(reference, scores, PsdsSettings(Shares(0.1, 0.1), e_max=500.0)).value
    )


def test_a_rate_curve_is_a_staircase():
    curve = RateCurve(np.array([0.0, 10.0, 30.0]), np.array([0.2, 0.5, 1.0]))
    assert curve.at(np.array([0.0, 9.9, 10.0, 30.0, 99.0])).tolist() == [0.2, 0.2, 0.5, 1.0, 1.0]
    assert curve.mean(40.0) == pytest.approx((10 * 0.2 + 20 * 0.5 + 10 * 1.0) / 40)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha_ct": 0.5}, "alpha_ct 0.5 needs a cttc, got none"),
        ({"alpha_ct": -1.0}, "alpha_ct must be 0 or more, got -1.0"),
        ({"alpha_st": np.nan}, "alpha_st must be 0 or more, got nan"),
        ({"e_max": 0.0}, "e_max must be positive and finite, got 0.0"),
        ({"unit_s": np.inf}, "unit_s must be positive and finite, got inf"),
    ],
)
def test_refuses_settings(arguments, message):
    with pytest.raises(InputError) as caught:
        PsdsSettings(Shares(0.5, 0.5), **arguments)
    assert str(caught.value) == message
