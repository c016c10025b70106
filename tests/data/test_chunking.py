"""Chunking: seconds to chunks of any length at any rate, against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.chunking import Chunking, chunking_from
from earmark.data.clips import Excerpts
from earmark.errors import InputError


def plain_bounds(num_samples: int, chunk: int, least: int) -> list[tuple[int, int]]:
    """Chunks taken off the clip one by one, the last rest alone or with the chunk before."""
    bounds, begin = [], 0
    while num_samples - begin > chunk:
        bounds.append((begin, begin + chunk))
        begin += chunk
    rest = num_samples - begin
    if bounds and rest < least:
        bounds[-1] = (bounds[-1][0], num_samples)
        return bounds
    return [*bounds, (begin, num_samples)]


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    st.sampled_from([1000, 1103]),
    st.floats(0.1, 3.0),
    st.floats(0, 1),
)
def test_clips_of_any_length_are_cut_as_by_a_plain_loop(
    lengths: list[int], rate_hz: int, chunk_s: float, share: float
) -> None:
    chunking = Chunking(chunk_s=chunk_s, min_chunk_s=share * chunk_s)
    clips = Excerpts(np.arange(len(lengths)) + 5, np.zeros(len(lengths), np.int64), np.array(lengths))
    cut = chunking.cut(clips, rate_hz)
    chunk, least = int(np.floor(chunk_s * rate_hz + 0.5)), int(np.floor(share * chunk_s * rate_hz + 0.5))
    expected = [(place + 5, *b) for place, n in enumerate(lengths) for b in plain_bounds(n, chunk, least)]
    ends = cut.onset_samples + cut.num_samples
    assert list(zip(cut.clip_index.tolist(), cut.onset_samples.tolist(), ends.tolist(), strict=True)) == expected
    counts = chunking.counts(clips, rate_hz)
    assert np.repeat(clips.clip_index, counts).tolist() == cut.clip_index.tolist()
    assert [bound for n in lengths for bound in chunking.bounds(n, rate_hz)] == [tuple(b) for _, *b in expected]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.01, [0.01]),
        (0.5, [0.5]),
        (2.0, [2.0]),
        (2.49, [2.49]),
        (2.5, [2.0, 0.5]),
        (4.0, [2.0, 2.0]),
        (10.0, [2.0] * 5),
        (10.2, [2.0] * 4 + [2.2]),
    ],
)
def test_a_sliver_joins_the_chunk_before_it(seconds: float, expected: list[float]) -> None:
    bounds = Chunking(chunk_s=2.0).bounds(round(seconds * 16000), 16000)
    np.testing.assert_allclose([(end - begin) / 16000 for begin, end in bounds], expected, atol=1e-4)


def test_without_a_minimum_every_rest_is_a_chunk() -> None:
    chunking = Chunking(chunk_s=1.0, min_chunk_s=0.0)
    assert chunking.bounds(2001, 1000) == [(0, 1000), (1000, 2000), (2000, 2001)]
    assert chunking.bounds(2000, 1000) == [(0, 1000), (1000, 2000)]


@pytest.mark.parametrize(
    ("chunk_s", "min_chunk_s", "message"),
    [
        (0.3, None, "min_chunk_s must be at most chunk_s, 0.3, got 0.5"),
        (2.0, 2.1, "min_chunk_s must be at most chunk_s, 2, got 2.1"),
        (0.01, 0.0, "chunk_s: must be at least 0.1"),
        (float("nan"), None, "chunk_s: must be a finite number"),
    ],
)
def test_chunkings_that_cannot_be(chunk_s: float, min_chunk_s: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chunking_from(chunk_s, min_chunk_s)


def test_what_a_user_names_is_the_chunking() -> None:
    assert chunking_from(2.0) == Chunking(chunk_s=2.0, min_chunk_s=0.5)
    assert chunking_from(2, 0) == Chunking(chunk_s=2.0, min_chunk_s=0.0)
    assert str(chunking_from(2.5)) == "chunks of 2.5 s (a last one under 0.5 s joins the one before)"
