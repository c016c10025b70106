"""Events to frames and back: the identity on one grid, for every hop and rate, through tables too."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from earmark.data.frames import events_from_frames, framewise
from earmark.data.statements import WEAK, Statements, statements_from
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null, read_labels, write_labels
from earmark.data.vocabulary import Vocabulary
from earmark.timing import frames_covering

# Hop and rate: AudioSet-like features before and after pooling, common networks, an odd pair, hops up to 2 ms.
GRIDS = [(8 * 431, 44100), (431, 44100), (160, 16000), (320, 16000), (10240, 32000), (37, 8000), (501, 22050)]
FINE = [(32, 16000), (1, 8000), (88, 44100)]


def events(rows: list[tuple[int, float, float]], values: list[float] | None = None) -> Statements:
    tag, onset, offset = zip(*rows, strict=True) if rows else ((), (), ())
    value = np.ones(len(rows)) if values is None else np.array(values)
    return Statements(
        np.zeros(len(rows), np.int64), np.array(tag, np.int32), np.array(onset), np.array(offset), value.astype("f4")
    )


@st.composite
def grids(draw: st.DrawFn, with_fine: bool = False) -> dict[str, int]:
    """Clips of up to 40 frames, of a known hop and rate or of any; hops of 2 ms and less only if asked for."""
    if draw(st.booleans()):
        hop, rate = draw(st.sampled_from(GRIDS + FINE if with_fine else GRIDS))
    else:
        rate = draw(st.integers(4000, 192000))
        hop = draw(st.integers(1 if with_fine else rate // 500 + 1, rate))
    return {"num_samples": draw(st.integers(1, 40 * hop)), "hop_samples": hop, "rate_hz": rate}


def drawn_decisions(grid: dict[str, int], seed: int, num_tags: int = 3) -> np.ndarray:
    num_frames = frames_covering(**grid)
    draw = np.random.default_rng(seed)
    return draw.random((num_frames, num_tags)) < draw.random()


def rounded(seconds: np.ndarray) -> np.ndarray:
    return np.array([float(f"{time:.3f}") for time in seconds])


@given(grids(with_fine=True), st.integers(0, 2**32))
def test_frames_become_events_and_the_same_frames(grid, seed):
    decisions = drawn_decisions(grid, seed)
    tag, onset, offset = events_from_frames(decisions, **grid)
    assert (offset <= grid["num_samples"] / grid["rate_hz"]).all()
    again = framewise(events(list(zip(tag, onset, offset, strict=True))), num_tags=3, **grid)
    np.testing.assert_array_equal(again, decisions.astype(np.float32))


@given(grids(), st.integers(0, 2**32))
def test_frames_are_the_same_after_times_were_rounded_to_milliseconds(grid, seed):
    decisions = drawn_decisions(grid, seed)
    tag, onset, offset = events_from_frames(decisions, **grid)
    onset, offset = rounded(onset), rounded(offset)
    # A clip shorter than half a millisecond has no times in milliseconds.
    assert (onset < offset).all() or 2000 * grid["num_samples"] <= grid["rate_hz"]
    again = framewise(events(list(zip(tag, onset, offset, strict=True))), num_tags=3, **grid)
    np.testing.assert_array_equal(again, decisions.astype(np.float32))


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
@pytest.mark.parametrize("digits", [None, 3])
def test_frames_are_the_same_after_a_table_was_written_and_read(tmp_path, name, digits):
    vocabulary = Vocabulary(("a", "b", "c"))
    clips, said, drawn = [], [], []
    for number, (hop, rate) in enumerate(GRIDS):
        grid = {"num_samples": 25 * hop + 7 * number, "hop_samples": hop, "rate_hz": rate}
        drawn.append((grid, drawn_decisions(grid, number)))
        clips.append(f"clip {number}")
        tag, onset, offset = events_from_frames(drawn[-1][1], **grid)
        if digits is not None:
            onset, offset = rounded(onset), rounded(offset)
        said += [(clips[-1], vocabulary.tags[t], on, off) for t, on, off in zip(tag, onset, offset, strict=True)]
    columns = [pa.array(column) for column in zip(*said, strict=True)]
    table = columns_or_null(
        len(said), LABEL_SCHEMA, **dict(zip(("clip", "tag", "onset", "offset"), columns, strict=True))
    )
    write_labels(table.set_column(4, "value", pa.array(np.ones(len(said), np.float32))), tmp_path / name)
    read = statements_from(
        read_labels(tmp_path / name), columns_or_null(len(clips), CLIP_SCHEMA, clip=pa.array(clips)), vocabulary
    )
    for number, (grid, decisions) in enumerate(drawn):
        again = framewise(read.at(read.clip_index == number), num_tags=3, **grid)
        np.testing.assert_array_equal(again, decisions.astype(np.float32), err_msg=str(grid))


@settings(max_examples=50)
@given(grids(with_fine=True), st.lists(st.tuples(st.floats(0, 0.99), st.floats(1e-6, 1)), max_size=5))
def test_framewise_says_what_a_look_at_every_frame_says(grid, parts):
    """The plain way: a time is moved to an edge within 1 ms, then every frame is asked whether the event is in it."""
    length_s = grid["num_samples"] / grid["rate_hz"]
    rows = [(0, on * length_s, on * length_s + part * length_s) for on, part in parts]
    found = framewise(events(rows), num_tags=1, **grid)[:, 0]
    hop, rate, num_samples = grid["hop_samples"], grid["rate_hz"], grid["num_samples"]
    num_frames = frames_covering(**grid)
    edges = [*(i * hop for i in range(num_frames)), num_samples]
    expected = np.zeros(num_frames)
    for _, onset_s, offset_s in rows:
        onset, offset = int(onset_s * rate + 0.5), min(int(offset_s * rate + 0.5), num_samples)
        if onset >= num_samples:
            continue
        reach = rate // 1000 if hop / rate > 0.002 else 0
        on, off = (next((edge for edge in edges if abs(edge - time) <= reach), time) for time in (onset, offset))
        if off <= on:
            on, off = onset, max(offset, onset + 1)
        for frame in range(num_frames):
            expected[frame] = max(expected[frame], edges[frame] < off and on < edges[frame + 1])
    np.testing.assert_array_equal(found, expected)


@given(grids(), st.integers(0, 2**32))
def test_events_on_the_grid_come_back_as_they_were_from_a_table_in_milliseconds(grid, seed):
    """Events to a table, frames, and events again: no edge moves, however often."""
    tag, onset, offset = events_from_frames(drawn_decisions(grid, seed), **grid)
    told = events(list(zip(tag, rounded(onset), rounded(offset), strict=True)))
    frames = framewise(told, num_tags=3, **grid) > 0
    for found, was in zip(events_from_frames(frames, **grid), (tag, onset, offset), strict=True):
        np.testing.assert_array_equal(found, was)


@given(grids(), st.data())
def test_an_onset_is_floored_and_an_offset_is_ceiled_on_samples_but_for_a_millisecond_at_an_edge(grid, data):
    hop, rate, num_samples = grid["hop_samples"], grid["rate_hz"], grid["num_samples"]
    whole, reach = num_samples // hop, rate // 1000
    assume(whole and hop >= 2 * reach + 2)
    # Further than the reach from both edges of a frame.
    inside = st.integers(reach + 1, hop - reach - 1)
    first = data.draw(st.integers(0, whole - 1))
    last = data.draw(st.integers(first, whole - 1))
    onset = first * hop + data.draw(inside)
    offset = max(last * hop + data.draw(inside), onset + 1)

    def frames(onset_samples, offset_samples):
        said = framewise(events([(0, onset_samples / rate, offset_samples / rate)]), num_tags=1, **grid)
        return np.flatnonzero(said[:, 0]).tolist()

    assert frames(onset, offset) == list(range(first, last + 1))
    # An edge is taken for itself from as far as the reach, on either side.
    off = data.draw(st.integers(-reach, reach))
    if last > first:
        assert frames(max(first * hop + off, 0), offset) == list(range(first, last + 1))
        assert frames(onset, last * hop + off) == list(range(first, last))


def test_a_frame_has_the_greatest_value_of_its_events_and_weak_rows_have_no_frames():
    grid = {"num_samples": 1600, "hop_samples": 320, "rate_hz": 16000}
    said = events([(0, 0.0, 0.05), (0, 0.03, 0.08), (1, WEAK, WEAK), (2, 0.021, 0.04)], [0.5, 0.25, 1.0, 1.0])
    expected = np.array([[0.5, 0, 0], [0.5, 0, 1], [0.5, 0, 0], [0.25, 0, 0], [0, 0, 0]])
    found = framewise(said, num_tags=3, **grid)
    # 0.021 s is within 1 ms of the edge at 0.020 s; 0.03 s lies in the middle of frame 1.
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


def test_runs_of_frames_are_events_by_tag_and_onset_and_the_last_ends_with_the_clip():
    decisions = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    tag, onset, offset = events_from_frames(decisions, num_samples=3 * 320 + 100, hop_samples=320, rate_hz=16000)
    assert tag.tolist() == [0, 0, 1]
    assert onset.tolist() == [0.02, 0.06, 0.0]
    assert offset.tolist() == [0.04, 1060 / 16000, 0.04]


def test_no_frames_and_no_events_are_nothing():
    grid = {"num_samples": 0, "hop_samples": 320, "rate_hz": 16000}
    assert framewise(events([]), num_tags=2, **grid).shape == (0, 2)
    assert [len(part) for part in events_from_frames(np.zeros((0, 2), bool), **grid)] == [0, 0, 0]


def test_decisions_of_another_grid_are_refused():
    with pytest.raises(ValueError, match="16000 samples have 50 frames of 320, got 51"):
        events_from_frames(np.zeros((51, 1), bool), num_samples=16000, hop_samples=320, rate_hz=16000)
