import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.frames import events_from_frames
from earmark.errors import InputError
from earmark.metrics.curves import Steps, totals
from earmark.metrics.framewise import count_steps, events_from_scores, framewise_scores, runs
from earmark.timing import frames_covering
from tests.metrics.event_cases import clips_with_scores, our_scores
from tests.reference.plain_events import decoded, thresholds_of


def listed(events, clip, tag):
    own = (events.clip == clip) & (events.tag == tag)
    return list(zip(events.onset_us[own].tolist(), events.offset_us[own].tolist(), strict=True))


@given(clips_with_scores())
def test_decisions_equal_the_plain_ones(clips):
    scores = our_scores(clips)
    for threshold in (0.0, 0.125, 0.3, 0.625):
        events = events_from_scores(scores, threshold)
        for number, clip in enumerate(clips):
            for tag in range(scores.num_tags):
                assert listed(events, number, tag) == decoded(clip, tag, threshold)


@given(clips_with_scores())
def test_runs_that_stand_are_the_decided_events(clips):
    scores = our_scores(clips)
    for tag in range(scores.num_tags):
        every = runs(scores.line(tag))
        for threshold in thresholds_of(clips, tag):
            stands = (every.death < threshold) & (threshold <= every.birth)
            times = sorted(zip(every.events.onset_us[stands], every.events.offset_us[stands], strict=True))
            starts = np.cumsum([0, *(clip.duration for clip in clips)])
            expected = [
                (start + on, start + off)
                for start, clip in zip(starts, clips, strict=False)
                for on, off in decoded(clip, tag, threshold)
            ]
            assert times == expected


@given(clips_with_scores())
def test_the_number_of_events_at_every_threshold(clips):
    scores = our_scores(clips)
    for tag in range(scores.num_tags):
        thresholds, (count,) = totals(count_steps(scores.line(tag))[0])
        for threshold in thresholds_of(clips, tag):
            point = np.searchsorted(-thresholds, -threshold, "right") - 1
            assert count[point] == sum(len(decoded(clip, tag, threshold)) for clip in clips)


@given(clips_with_scores(max_clips=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_line_of_some_clips_is_that_of_the_others_left_out(clips, kept):
    scores, chosen = our_scores(clips), np.array(kept[: len(clips)])
    whole, part = runs(scores.line(0)), runs(scores.line(0, chosen))
    inside = chosen[whole.events.clip]
    for one, other in zip((*whole.events, *whole[1:]), (*part.events, *part[1:]), strict=True):
        np.testing.assert_array_equal(one[inside], other)


SLOPES = {
    "rising": (np.arange(200.0), 200),
    "falling": (-np.arange(200.0), 200),
    "valley": (np.abs(np.arange(-100.0, 100)), 200),
    "hill": (-np.abs(np.arange(-100.0, 100)), 101),
    "flat": (np.zeros(200), 1),
    "comb": (np.arange(200) % 2 + 0.0, 101),
}


@pytest.mark.parametrize("name", SLOPES)
def test_runs_of_long_slopes(name):
    scores, num_runs = SLOPES[name]
    every = runs(framewise_scores(scores[:, None], [200], hop_s=1.0, duration_s=[200]).line(0))
    assert len(every.birth) == num_runs
    for threshold in np.unique(scores):
        stands = (every.death < threshold) & (threshold <= every.birth)
        assert (every.events.offset_us - every.events.onset_us)[stands].sum() == (scores >= threshold).sum() * 1_000_000


@pytest.mark.parametrize("rate_hz", [16000, 44100])
@pytest.mark.parametrize("hop_samples", [320, 8 * 431])
def test_times_are_those_of_the_data_layer(rate_hz, hop_samples):
    rng = np.random.default_rng(0)
    lengths = [rate_hz * 10, rate_hz * 7 + 123, hop_samples * 5 + rate_hz // 500, hop_samples // 2]
    num_frames = [frames_covering(length, hop_samples, rate_hz) for length in lengths]
    decisions = rng.random((sum(num_frames), 3)) < 0.5
    scores = framewise_scores(
        decisions, num_frames, hop_s=hop_samples / rate_hz, duration_s=np.array(lengths) / rate_hz
    )
    events = events_from_scores(scores, 0.5)
    for clip, (length, rows) in enumerate(zip(lengths, np.split(decisions, np.cumsum(num_frames)[:-1]), strict=True)):
        tag, onset, offset = events_from_frames(rows, num_samples=length, hop_samples=hop_samples, rate_hz=rate_hz)
        own = events.clip == clip
        np.testing.assert_array_equal(events.tag[own], tag)
        np.testing.assert_allclose(events.onset_us[own] / 1e6, onset, rtol=0, atol=5e-7)
        np.testing.assert_allclose(events.offset_us[own] / 1e6, offset, rtol=0, atol=5e-7)


def test_a_clip_whose_scores_end_early_has_no_decision_behind_them():
    scores = framewise_scores(np.ones((5, 1)), [3, 0, 2], hop_s=1.0, duration_s=[10, 10, 2.5])
    events = events_from_scores(scores, 0.5)
    assert events.clip.tolist() == [0, 2]
    assert events.offset_us.tolist() == [3_000_000, 2_500_000]


def test_each_tag_may_have_its_threshold_and_half_precision_is_as_single():
    values = np.array([[0.3, 0.3], [0.6, 0.6]], np.float16)
    for scores in (values, values.astype(np.float32)):
        grid = framewise_scores(scores, [2], hop_s=1.0, duration_s=[2])
        assert events_from_scores(grid, [0.25, 0.5]).onset_us.tolist() == [0, 1_000_000]


def test_nothing_at_all():
    scores = framewise_scores(np.zeros((0, 2)), [], hop_s=1.0, duration_s=[])
    assert len(events_from_scores(scores, 0.5)) == 0
    assert len(runs(scores.line(1)).birth) == 0
    assert len(events_from_scores(framewise_scores(np.zeros((3, 0)), [3], hop_s=1.0, duration_s=[3]), 0.5)) == 0
    assert totals(Steps(np.zeros(0), np.zeros(0, int)))[1].tolist() == [[0]]


GOOD = {"scores": np.zeros((3, 2)), "num_frames": [3], "hop_s": 1.0, "duration_s": [3.0]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scores": np.zeros(3)}, "scores must be numbers (frame, tag), got float64 of shape (3,)"),
        ({"scores": [["a", "b"]] * 3}, "scores must be numbers (frame, tag), got <U1 of shape (3, 2)"),
        (
            {"scores": [[0, 1], [np.nan, 0], [0, 0]]},
            "scores must be finite, got nan at frame 1, tag 0",
        ),
        ({"num_frames": [2]}, "scores must hold the 2 frames of all clips, got 3"),
        ({"num_frames": [4, -1], "duration_s": [4, 4]}, "num_frames must be a whole number, 0 or more, for each of 2 "
         "clips, got 4, -1"),
        ({"num_frames": [1, 2]}, "num_frames must be a whole number, 0 or more, for each of 1 clips, got 1, 2"),
        ({"hop_s": 0.0}, "hop_s must be a microsecond or more, got 0.0"),
        ({"hop_s": np.inf}, "hop_s must be a microsecond or more, got inf"),
        ({"duration_s": [2.0]}, "frames must begin in their clip, got 3 frames of 1.0 s in 2.0 s at clip 0"),
        ({"duration_s": [np.nan]}, "a clip's duration must be finite and positive, got nan s at clip 0"),
    ],
)  # fmt: skip
def test_refuses(changed, message):
    with pytest.raises(InputError) as caught:
        framewise_scores(**{**GOOD, **changed})
    assert str(caught.value) == message


def test_refuses_thresholds():
    grid = framewise_scores(**GOOD)
    for threshold in (np.nan, [0.5, 0.5, 0.5]):
        with pytest.raises(InputError, match="threshold must be one finite number or one for each of 2 tags, got "):
            events_from_scores(grid, threshold)
