"""Excerpts: chunks and windows of clips, against a plain loop."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.clips import Excerpts, chunks, random_windows, windows

clip_lengths = st.lists(st.integers(1, 500), min_size=1, max_size=8)


def clips_of(lengths: list[int]) -> Excerpts:
    return Excerpts(np.arange(len(lengths)) + 7, np.full(len(lengths), 3), np.array(lengths))


def rows(excerpts: Excerpts) -> list[tuple[int, int, int]]:
    columns = (excerpts.clip_index, excerpts.onset_samples, excerpts.num_samples)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(clip_lengths, st.integers(1, 120), st.data())
def test_chunks_are_those_of_a_plain_loop(lengths: list[int], chunk: int, data: st.DataObject) -> None:
    least = data.draw(st.integers(1, chunk))
    expected = []
    for index, length in enumerate(lengths):
        edges = [*range(0, length, chunk), length]
        if len(edges) > 2 and edges[-1] - edges[-2] < least:
            del edges[-2]
        expected += [(index + 7, 3 + a, b - a) for a, b in itertools.pairwise(edges)]
    assert rows(chunks(clips_of(lengths), chunk, least)) == expected


@given(clip_lengths, st.integers(1, 120), st.data())
def test_windows_cover_the_clip_and_end_with_it(lengths: list[int], window: int, data: st.DataObject) -> None:
    hop = data.draw(st.integers(1, window))
    found = rows(windows(clips_of(lengths), window, hop))
    for index, length in enumerate(lengths):
        own = [(onset - 3, count) for clip, onset, count in found if clip == index + 7]
        assert own[0][0] == 0
        assert own[-1][0] + own[-1][1] == length
        assert all(count == min(window, length) for _, count in own)
        assert all(after - before <= hop for (before, _), (after, _) in itertools.pairwise(own))


def test_windows_may_differ_by_clip() -> None:
    found = windows(clips_of([100, 100]), np.array([40, 100]), np.array([40, 100]))
    assert rows(found) == [(7, 3, 40), (7, 43, 40), (7, 63, 40), (8, 3, 100)]


def test_a_random_window_reaches_both_ends_and_never_past_them() -> None:
    clips = clips_of([10] * 1000)
    found = random_windows(clips, 4, np.linspace(0, 1, 1000, endpoint=False))
    assert set(found.onset_samples.tolist()) == set(range(3, 10))
    assert set(found.num_samples.tolist()) == {4}
    short = random_windows(clips_of([3]), 4, np.array([0.999]))
    assert rows(short) == [(7, 3, 3)]
