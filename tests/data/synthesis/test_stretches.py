import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from earmark.data.synthesis.stretches import (
    SHORTEST_CUT_S,
    active_parts,
    draw_onset,
    draw_stretch,
    free_gaps,
    free_onsets,
)

RATE_HZ = 8000
FRAME = 80
# Of the recordings that stretches are drawn from.
SLOW_HZ = 1000


def recording(*pieces, seed=0):
    """Noise bursts one after another, int16: each piece is (samples, level in dB of full scale; None = zeros)."""
    draw = np.random.default_rng(seed)
    waveforms = []
    for count, level_db in pieces:
        # A sign at random has exactly the RMS asked for, in every frame.
        amplitude = 0 if level_db is None else 10 ** (level_db / 20)
        waveforms.append(np.rint(32768 * amplitude * draw.choice([-1.0, 1.0], count)))
    return np.concatenate(waveforms).astype(np.int16)


def parts_of(*pieces):
    return active_parts(recording(*pieces), RATE_HZ).tolist()


def test_events_between_digital_silence_are_found_to_the_sample():
    found = active_parts(recording((1600, None), (800, -20), (4000, None), (2400, -26), (800, None)), RATE_HZ)
    assert found.tolist() == [[1600, 2400], [6400, 8800]]
    assert found.dtype == np.int64


def test_edges_off_the_grid_are_found_to_a_frame():
    ((onset, offset),) = parts_of((1610, None), (1000, -20), (3000, None))
    assert (onset, offset) == (1600, 2640)


def test_a_sound_to_the_last_sample_ends_with_the_recording():
    assert parts_of((800, None), (1601, -20)) == [[800, 2401]]
    assert parts_of((1601, -20)) == [[0, 1601]]


@pytest.mark.parametrize(("pause", "num_parts"), [(1520, 1), (1600, 2)])
def test_pauses_under_a_fifth_of_a_second_are_bridged(pause, num_parts):
    assert len(parts_of((800, -20), (pause, None), (800, -20))) == num_parts


@pytest.mark.parametrize(("level_db", "num_parts"), [(-49, 1), (-51, 2)])
def test_what_is_30_db_below_the_loudest_is_silence(level_db, num_parts):
    assert len(parts_of((1600, -20), (4000, level_db), (1600, -20))) == num_parts


def test_the_level_is_relative_to_the_recording():
    loud = parts_of((1600, -90), (1600, -10), (4000, -60), (1600, -20))
    quiet = parts_of((1600, None), (1600, -40), (4000, None), (1600, -50))
    assert loud == quiet == [[1600, 3200], [7200, 8800]]


def test_a_blip_beside_a_sound_is_no_event_but_a_lone_click_is():
    assert parts_of((1600, -20), (4000, None), (160, -20), (4000, None)) == [[0, 1600]]
    assert parts_of((1600, -20), (4000, None), (240, -20), (4000, None)) == [[0, 1600], [5600, 5840]]
    assert parts_of((4000, None), (160, -20), (4000, None)) == [[4000, 4160]]
    assert parts_of((800, None), (160, -20), (4000, None), (1600, -20)) == [[4960, 6560]]


def test_a_blip_between_sounds_is_an_event_because_it_is_placed_with_them():
    found = parts_of((1600, -20), (4000, None), (160, -20), (4000, None), (1600, -20))
    assert found == [[0, 1600], [5600, 5760], [9760, 11360]]


@pytest.mark.parametrize("pieces", [[(8000, None)], [(8000, -61)], [(0, None)], [(79, None)]])
def test_silence_has_no_part(pieces):
    found = active_parts(recording(*pieces), RATE_HZ)
    assert found.shape == (0, 2)


def test_a_sound_of_60_db_below_full_scale_is_one():
    assert parts_of((8000, -59)) == [[0, 8000]]
    quiet = active_parts(recording((8000, -70)), RATE_HZ, silence_db=-80)
    assert quiet.tolist() == [[0, 8000]]


def test_less_than_a_frame_may_sound():
    assert parts_of((40, -10)) == [[0, 40]]


def slow_parts(waveform, rate_hz):
    """The definition, word for word."""
    frame = round(rate_hz / 100)
    frames = [waveform[first : first + frame].astype(float) / 32768 for first in range(0, len(waveform), frame)]
    power = [float((values**2).sum() / frame) for values in frames]
    if not power or max(power) < 1e-6:
        return []
    parts = []
    for index, value in enumerate(power):
        if value < max(power) / 1000:
            continue
        onset, offset = index * frame, min((index + 1) * frame, len(waveform))
        if parts and onset - parts[-1][1] < rate_hz / 5:
            parts[-1][1] = offset
        else:
            parts.append([onset, offset])
    longer = [index for index, part in enumerate(parts) if part[1] - part[0] >= 0.03 * rate_hz]
    return parts[longer[0] : longer[-1] + 1] if longer else parts


@settings(max_examples=60)
@given(
    pieces=st.lists(st.tuples(st.integers(1, 3000), st.sampled_from([None, -15, -25, -44, -60, -85])), max_size=8),
    seed=st.integers(0, 9),
)
def test_parts_are_those_of_a_plain_loop(pieces, seed):
    waveform = recording((3, None), *pieces, seed=seed)
    found = active_parts(waveform, RATE_HZ)
    assert found.tolist() == slow_parts(waveform, RATE_HZ)
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()


@settings(max_examples=100)
@given(
    pieces=st.lists(st.tuples(st.integers(1, 3000), st.sampled_from([None, -15, -25, -40, -44])), min_size=1),
    longest=st.integers(int(SHORTEST_CUT_S * RATE_HZ), 12_000),
    seed=st.integers(0, 9),
)
@example(pieces=[(2000, -20), (4000, None), (160, -20), (4000, None), (2000, -20)], longest=99_999, seed=0)
def test_nothing_above_the_level_inside_a_placed_stretch_is_unlabelled(pieces, longest, seed):
    waveform = recording((200, -20), *pieces, seed=seed)
    parts = active_parts(waveform, RATE_HZ)
    stretch = draw_stretch(waveform, RATE_HZ, parts, longest, FRAME, np.random.default_rng(seed))
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME) / 32768
    power = np.square(frames).mean(axis=1)
    labelled = np.zeros(len(waveform), bool)
    for onset, offset in stretch.parts:
        labelled[onset:offset] = True
    # Frames on the recording's own grid: at a cut, they lie off that of the cut.
    for index in np.flatnonzero(power >= power.max() / 1000):
        onset, offset = index * FRAME, (index + 1) * FRAME
        if stretch.onset <= onset and offset <= stretch.offset:
            assert labelled[onset:offset].any()


def real_parts(esc10, name):
    waveform, rate_hz = soundfile.read(esc10 / name, dtype="int16")
    return active_parts(waveform, rate_hz) / rate_hz, len(waveform) / rate_hz


def test_rain_is_one_part_of_all_its_length(esc10):
    for path in sorted((esc10 / "002 - Rain").glob("*.ogg"))[:5]:
        found, duration_s = real_parts(esc10, path.relative_to(esc10))
        assert len(found) == 1, path
        assert found[0, 0] < 0.05
        assert found[0, 1] > duration_s - 0.05


def test_barks_are_apart_and_digital_silence_is_none(esc10):
    found, _ = real_parts(esc10, "001 - Dog bark/1-100032-A.ogg")
    assert found == pytest.approx(np.array([[2.26, 2.48]]), abs=0.02)
    found, _ = real_parts(esc10, "001 - Dog bark/4-199261-A.ogg")
    assert found[:, 0] == pytest.approx([0.07, 2.57, 3.14, 3.62, 4.73], abs=0.02)
    found, _ = real_parts(esc10, "006 - Person sneeze/4-185415-A.ogg")
    assert found == pytest.approx(np.array([[0.20, 0.43]]), abs=0.02)
    found, _ = real_parts(esc10, "005 - Clock tick/3-170377-A.ogg")
    assert found[:, 0] == pytest.approx([0.42, 1.41, 2.41, 3.41, 4.42], abs=0.02)


spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=6)


@settings(max_examples=200)
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


@settings(max_examples=200)
@given(spans=spans, max_overlap=st.integers(1, 3))
def test_free_gaps_are_those_of_a_search(spans, max_overlap):
    placed = np.array([(onset, onset + size) for onset, size in spans], np.int64).reshape(-1, 2)
    sounding = np.zeros(60, int)
    for onset, offset in placed:
        sounding[onset:offset] += 1
    found = free_gaps(placed, 60, max_overlap)
    assert [k for onset, offset in found.tolist() for k in range(onset, offset)] == np.flatnonzero(
        sounding < max_overlap
    ).tolist()
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()


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
    parts = active_parts(waveform, SLOW_HZ)
    return draw_stretch(waveform, SLOW_HZ, parts, longest, fade, np.random.default_rng(seed))


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
    assert len(active_parts(waveform, SLOW_HZ)) == 1
    for seed in range(40):
        found = stretch_of(waveform, 1000, seed=seed)
        assert len(found) <= 1000
        for part_onset, part_offset in found.parts.tolist():
            assert waveform[part_onset : part_onset + 10].any()
            assert waveform[part_offset - 10 : part_offset].any()


def test_the_shortest_cut_is_never_a_pause():
    # Clicks of a frame with the longest pauses that are bridged, .19 s of a noise 40 dB below.
    draw = np.random.default_rng(0)
    waveform = np.rint(10 * draw.choice([-1.0, 1.0], 10_000)).astype(np.int16)
    for onset in range(0, 10_000, 200):
        waveform[onset : onset + 10] = 1000
    assert len(active_parts(waveform, SLOW_HZ)) == 1
    for seed in range(100):
        found = stretch_of(waveform, int(SHORTEST_CUT_S * SLOW_HZ), seed=seed)
        assert np.abs(waveform[found.onset : found.offset]).max() == 1000
        for onset, offset in found.parts.tolist():
            assert np.abs(waveform[onset : onset + 10]).max() == np.abs(waveform[offset - 10 : offset]).max() == 1000


@pytest.mark.parametrize("fade", [0, 100])
def test_a_cut_of_the_longest_length_never_grows_beyond_its_margins(fade):
    waveform = bursts((0, 700), (1000, 1900), (3000, 6000), (8000, 10_000))
    for seed in range(60):
        found = stretch_of(waveform, 1000, fade, seed)
        assert found.parts[-1, 1] - found.parts[0, 0] <= 1000
        assert found.parts[0, 0] - found.onset <= fade
        assert found.offset - found.parts[-1, 1] <= fade
        assert 0 <= found.onset < found.offset <= 10_000
