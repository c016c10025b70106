import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.synthesis.activity import active_parts
from earmark.data.synthesis.placing import draw_onset, draw_stretch, free_onsets

RATE_HZ = 1000

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=6)


@settings(max_examples=200, deadline=None)
@given(spans=spans, length=st.integers(1, 70), max_overlap=st.integers(1, 3), seed=st.integers(0, 99))
def test_free_onsets_are_those_of_a_search(spans, length, max_overlap, seed):
    placed = np.array([(onset, onset + size) for onset, size in spans], np.int64).reshape(-1, 2)
    total = 60
    sounding = np.zeros(total, int)
    for onset, offset in placed:
        sounding[onset:offset] += 1
    expected = [onset for onset in range(total - length + 1) if (sounding[onset : onset + length] < max_overlap).all()]
    found = free_onsets(placed, length, total, max_overlap)
    assert [onset for first, stop in found.tolist() for onset in range(first, stop)] == expected
    drawn = draw_onset(placed, length, total, max_overlap, np.random.default_rng(seed))
    assert drawn in expected if expected else drawn is None


def test_every_free_onset_is_drawn_as_often():
    draw = np.random.default_rng(0)
    drawn = [draw_onset(np.array([[2, 4]]), 2, 8, 1, draw) for _ in range(4000)]
    onset, count = np.unique(drawn, return_counts=True)
    assert onset.tolist() == [0, 4, 5, 6]
    # Four standard deviations of a binomial count.
    assert np.abs(count - 1000).max() < 4 * np.sqrt(4000 * 0.25 * 0.75)


def bursts(*spans, num_samples=10_000):
    waveform = np.zeros(num_samples, np.int16)
    for onset, offset in spans:
        waveform[onset:offset] = 1000
    return waveform


def stretch_of(waveform, longest, fade=10, seed=0):
    parts = active_parts(waveform, RATE_HZ)
    return draw_stretch(waveform, RATE_HZ, parts, longest, fade, np.random.default_rng(seed))


def test_a_whole_stretch_has_margins_where_the_recording_goes_on():
    found = stretch_of(bursts((500, 800), (2000, 2100)), longest=5000)
    assert (found.onset, found.offset, len(found)) == (490, 2110, 1620)
    assert found.parts.tolist() == [[500, 800], [2000, 2100]]
    found = stretch_of(bursts((0, 300), num_samples=300), longest=5000)
    assert (found.onset, found.offset) == (0, 300)


def test_a_long_stretch_is_cut_to_whole_parts():
    waveform = bursts((500, 800), (2000, 2300), (2700, 3000), (9000, 9400))
    seen = {tuple(map(tuple, stretch_of(waveform, 1000, seed=seed).parts.tolist())) for seed in range(40)}
    assert seen == {((500, 800),), ((2000, 2300), (2700, 3000)), ((2700, 3000),), ((9000, 9400),)}


def test_a_long_part_is_cut_anywhere_and_its_fades_lie_in_it():
    found = [stretch_of(bursts((500, 9500)), 1000, seed=seed) for seed in range(40)]
    assert all(
        len(stretch) == 1000 and stretch.parts.tolist() == [[stretch.onset, stretch.offset]] for stretch in found
    )
    assert len({stretch.onset for stretch in found}) > 30
    assert min(stretch.onset for stretch in found) < 1500
    assert max(stretch.onset for stretch in found) > 7500
    assert all(500 <= stretch.onset <= 8500 for stretch in found)


def test_a_cut_does_not_begin_or_end_with_a_pause():
    # Pauses of .19 s are bridged, so that all is one part.
    waveform = bursts(*((onset, onset + 100) for onset in range(0, 10_000, 290)))
    assert len(active_parts(waveform, RATE_HZ)) == 1
    for seed in range(40):
        found = stretch_of(waveform, 1000, seed=seed)
        assert len(found) <= 1000
        for part_onset, part_offset in found.parts.tolist():
            assert waveform[part_onset : part_onset + 10].any()
            assert waveform[part_offset - 10 : part_offset].any()


@pytest.mark.parametrize("fade", [0, 100])
def test_a_cut_of_the_longest_length_never_grows_beyond_its_margins(fade):
    waveform = bursts((0, 700), (1000, 1900), (3000, 6000), (8000, 10_000))
    for seed in range(60):
        found = stretch_of(waveform, 1000, fade, seed)
        assert found.parts[-1, 1] - found.parts[0, 0] <= 1000
        assert found.parts[0, 0] - found.onset <= fade
        assert found.offset - found.parts[-1, 1] <= fade
        assert 0 <= found.onset < found.offset <= 10_000
