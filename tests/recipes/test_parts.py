"""What recipes share: what an epoch draws, and what is learned from."""

import numpy as np
import pytest

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.statements import ClipLabels
from earmark.errors import InputError
from earmark.recipes.parts import learned_from, sampling_order

RATE_HZ = 100


def clips(*seconds: float) -> Excerpts:
    lengths = np.array([round(length * RATE_HZ) for length in seconds], np.int64)
    return Excerpts(np.arange(len(lengths)), np.zeros(len(lengths), np.int64), lengths)


def labels(*tags: list[int], num_tags: int = 3) -> ClipLabels:
    indptr = np.cumsum([0, *map(len, tags)])
    flat = np.array([tag for of_clip in tags for tag in of_clip], np.int32)
    ones = np.ones(len(flat), np.float32)
    return ClipLabels(indptr, flat, ones, np.ones(len(tags), np.float32), np.ones(num_tags, np.float32))


def test_chunks_are_drawn_tag_by_tag_in_turn() -> None:
    # Nine clips of tag 0, one of tag 2, one without: cut into two chunks each.
    cut, _ = learned_from(clips(*[2.0] * 11), Chunking(chunk_s=1.0), 2.0, RATE_HZ)
    order = sampling_order("class_cyclic", labels(*[[0]] * 9, [2], []), cut, seed=1)
    for epoch in (0, 1):
        drawn = cut.clip_index[order(epoch)]
        assert len(drawn) == len(cut) == 22
        assert (drawn == 9).sum() == 11  # one of two turns, whatever the clips
        assert 10 not in drawn
        pairs = (drawn == 9).reshape(-1, 2)
        assert (pairs.sum(axis=1) == 1).all()
    assert order(0).tolist() != order(1).tolist()
    with pytest.raises(InputError, match="class-cyclic sampling needs a clip with a tag"):
        sampling_order("class_cyclic", labels(*[[]] * 11), cut, seed=1)(0)


def test_windows_are_of_one_length_and_chunks_as_long_as_they_are() -> None:
    whole = clips(3.0, 2.3, 0.4)
    excerpts, length = learned_from(whole, None, 2.0, RATE_HZ)
    assert excerpts is whole
    assert length == 200
    chunks, length = learned_from(whole, Chunking(chunk_s=1.0, min_chunk_s=0.5), 3.0, RATE_HZ)
    assert chunks.clip_index.tolist() == [0, 0, 0, 1, 1, 2]
    assert chunks.onset_samples.tolist() == [0, 100, 200, 0, 100, 0]
    assert chunks.num_samples.tolist() == [100, 100, 100, 100, 130, 40]
    assert length is None
