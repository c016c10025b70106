import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.timing import (
    frames_centred,
    frames_covering,
    frames_inside,
    frames_of_events,
    round_up,
    samples_at,
    samples_from_seconds,
    seconds_from_samples,
)

rates = st.sampled_from([8000, 16000, 22050, 32000, 44100, 48000, 96000])


@given(st.integers(0, 10**10), rates)
def test_samples_survive_the_way_to_seconds_and_back(num_samples: int, rate_hz: int) -> None:
    assert samples_from_seconds(seconds_from_samples(num_samples, rate_hz), rate_hz) == num_samples


@given(st.integers(0, 10**6), st.integers(1, 1000))
def test_frames_centred_counts_the_centres_in_the_waveform(num_samples: int, hop: int) -> None:
    assert frames_centred(num_samples, hop) == len(range(0, num_samples + 1, hop))


@given(st.integers(0, 5000), st.integers(1, 500), st.integers(1, 500))
def test_frames_inside_counts_the_windows_that_fit(num_samples: int, window: int, hop: int) -> None:
    assert frames_inside(num_samples, window, hop) == len(range(0, num_samples - window + 1, hop))


@given(st.integers(0, 10**6), st.integers(1, 1000))
def test_round_up_is_the_smallest_multiple_that_holds(count: int, grid: int) -> None:
    rounded = round_up(count, grid)
    assert rounded % grid == 0
    assert rounded >= max(count, 1)
    assert rounded - grid < max(count, 1)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        samples_from_seconds(seconds, 16000)


@given(st.lists(st.floats(0, 1e5), max_size=5), rates)
def test_many_times_are_rounded_as_one_is(seconds: list[float], rate_hz: int) -> None:
    assert samples_at(np.array(seconds), rate_hz).tolist() == [samples_from_seconds(time, rate_hz) for time in seconds]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_many_times_of_which_one_is_none_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        samples_at(np.array([0.0, seconds]), 16000)


@pytest.mark.parametrize(
    ("num_samples", "hop", "rate_hz", "frames"),
    [
        (441000, 8 * 431, 44100, 128),
        (160000, 320, 16000, 500),
        (160000 + 32, 320, 16000, 500),  # 2 ms more: no frame of its own
        (160000 + 33, 320, 16000, 501),
        (1, 320, 16000, 1),
        (0, 320, 16000, 0),
        (65, 32, 16000, 3),  # a hop of 2 ms: every rest is a frame
        (67, 33, 16000, 2),
    ],
)
def test_frames_cover_the_clip_but_for_a_rest_of_2_ms(num_samples: int, hop: int, rate_hz: int, frames: int) -> None:
    assert frames_covering(num_samples, hop, rate_hz) == frames


# Frames of 20 ms in 0.1 s: the edges stand at 0, 0.02, 0.04, 0.06, 0.08 and 0.1 s.
@pytest.mark.parametrize(
    ("onset_s", "offset_s", "first", "end"),
    [
        (0.02, 0.06, 1, 3),
        (0.019, 0.061, 1, 3),  # within 1 ms of an edge is on it
        (0.021, 0.059, 1, 3),
        (0.0189, 0.0611, 0, 4),  # further is not: from floor to ceiling
        (0.025, 0.0255, 1, 2),  # shorter than a frame
        (0.0195, 0.0205, 0, 2),  # both ends at one edge: the frames that it touches
        (0.0201, 0.0209, 1, 2),
        (0.02, 0.02001, 1, 2),  # shorter than a sample
        (0.0995, 0.1, 4, 5),  # at the end of the clip
        (0.05, 7.0, 2, 5),  # beyond it
        (0.1, 0.2, 5, 5),  # after it: no frame
    ],
)
def test_an_event_has_the_frames_that_it_touches(onset_s: float, offset_s: float, first: int, end: int) -> None:
    found = frames_of_events(np.array([onset_s]), np.array([offset_s]), 1600, 320, 16000)
    assert [part.tolist() for part in found] == [[first], [end]]


@given(
    st.sampled_from([(3448, 44100), (160, 16000), (320, 16000), (501, 22050), (16, 16000), (7, 8000)]),
    st.integers(1, 20000),
    st.floats(0, 0.999),
    st.floats(0.001, 1),
)
def test_the_frames_of_an_event_cover_it(grid: tuple[int, int], num_samples: int, begins: float, part: float) -> None:
    hop, rate_hz = grid
    onset_s = int(begins * num_samples) / rate_hz
    offset_s = onset_s + part * (num_samples / rate_hz - onset_s)
    num_frames = frames_covering(num_samples, hop, rate_hz)
    (first,), (end,) = frames_of_events(np.array([onset_s]), np.array([offset_s]), num_samples, hop, rate_hz)
    allowed = 0.001 if hop / rate_hz > 0.002 else 0
    sample = 1 / rate_hz
    ends_s = (num_samples if end == num_frames else end * hop) / rate_hz
    assert 0 <= first < end <= num_frames
    assert first * hop / rate_hz <= onset_s + allowed + sample
    assert ends_s >= offset_s - allowed - sample
