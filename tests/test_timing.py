import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.timing import frames_centred, frames_inside, round_up, samples_from_seconds, seconds_from_samples

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
