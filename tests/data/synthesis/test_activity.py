import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.synthesis.activity import active_parts

RATE_HZ = 8000
FRAME = 80


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


@pytest.mark.parametrize("pieces", [[(8000, None)], [(8000, -81)], [(0, None)], [(79, None)]])
def test_silence_has_no_part(pieces):
    found = active_parts(recording(*pieces), RATE_HZ)
    assert found.shape == (0, 2)


def test_less_than_a_frame_may_sound():
    assert parts_of((40, -10)) == [[0, 40]]


def slow_parts(waveform, rate_hz):
    """The definition, word for word."""
    frame = round(rate_hz / 100)
    frames = [waveform[first : first + frame].astype(float) / 32768 for first in range(0, len(waveform), frame)]
    power = [float((values**2).sum() / frame) for values in frames]
    if not power or max(power) < 1e-8:
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
    longer = [part for part in parts if part[1] - part[0] >= 0.03 * rate_hz]
    return longer or parts


@settings(max_examples=60, deadline=None)
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
