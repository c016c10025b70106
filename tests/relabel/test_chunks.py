"""What chunks say of clips, against loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.statements import ClipLabels
from earmark.relabel import chunks
from earmark.relabel.chunks import coverage, shares_by_count, shares_by_coverage


def labels_from(values: np.ndarray, clip_weight: np.ndarray | None = None) -> ClipLabels:
    row, tag = np.nonzero(values)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(values)))])
    weight = np.ones(len(values), np.float32) if clip_weight is None else clip_weight
    said = values[row, tag].astype(np.float32)
    return ClipLabels(indptr.astype(np.int64), tag.astype(np.int32), said, weight, np.ones(values.shape[1], np.float32))


def plainly(values, clip_of_chunk, scores, threshold):
    """Union, given and covered tags of each clip that has chunks, as sets."""
    found = []
    for clip in sorted(set(clip_of_chunk.tolist())):
        union = {
            tag
            for chunk in np.flatnonzero(clip_of_chunk == clip)
            for tag in range(scores.shape[1])
            if scores[chunk, tag] >= threshold
        }
        given_tags = {tag for tag in range(scores.shape[1]) if values[clip, tag] >= 0.5}
        found.append((clip, len(union), len(given_tags), len(union & given_tags)))
    return found


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), block=st.integers(1, 12), threshold=st.sampled_from([0.25, 0.5, 1.0]))
def test_unions_are_those_of_loops_whatever_the_blocks(seed, block, threshold):
    draw = np.random.default_rng(seed)
    num_clips, num_tags = draw.integers(1, 12), draw.integers(1, 7)
    # Quarters, so that scores equal to the threshold occur; labels under .5 are none.
    values = draw.integers(0, 5, (num_clips, num_tags)) / 4 * (draw.random((num_clips, num_tags)) < 0.5)
    clip_of_chunk = np.sort(draw.integers(0, num_clips, draw.integers(1, 30)))
    scores = (draw.integers(0, 5, (len(clip_of_chunk), num_tags)) / 4).astype(np.float16)
    asked = []

    def read(place):
        asked.append(place)
        return scores[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "BLOCK", block)
        found = coverage(labels_from(values), clip_of_chunk, read, threshold)
    told = zip(found.clip_index, found.num_decided, found.num_given, found.num_covered, strict=True)
    assert [tuple(map(int, row)) for row in told] == plainly(values, clip_of_chunk, scores, threshold)
    # Every chunk is read once, in order, and no more than a block, or one clip, at a time.
    assert [place.start for place in asked[1:]] == [place.stop for place in asked[:-1]]
    assert (asked[0].start, asked[-1].stop) == (0, len(clip_of_chunk))
    for place in asked:
        assert place.stop - place.start <= block or len(set(clip_of_chunk[place])) == 1


def test_shares_are_of_clips_with_given_tags():
    values = np.array([[1, 1], [0, 0], [1, 0], [0, 1]])
    scores = np.array([[0.5, 0.2], [0.9, 0.9], [0.4, 0.9], [0, 0.4], [0.1, 0.5]])
    found = coverage(labels_from(values, np.array([1, 0, 1, 1])), np.array([0, 1, 2, 3, 3]), lambda at: scores[at])
    assert found.shares.tolist() == [0.5, 0, 1]
    assert found.is_labelled.tolist() == [True, False, True, True]
    assert found.num_decided.tolist() == [1, 2, 1, 1]
    some = found.of(np.array([1, 2]))
    assert (len(some), some.shares.tolist(), some.is_labelled.tolist()) == (2, [0], [False, True])


def test_nothing_is_read_of_no_chunks():
    found = coverage(labels_from(np.ones((2, 1))), np.empty(0, np.int64), lambda at: pytest.fail("read"))
    assert (len(found), found.shares.tolist()) == (0, [])


def test_chunks_out_of_order_are_refused():
    with pytest.raises(ValueError, match="in the order of their clips"):
        coverage(labels_from(np.ones((2, 1))), np.array([0, 1, 0]), lambda at: np.ones((3, 1)))


@given(shares=st.lists(st.fractions(0, 1, max_denominator=8).map(float), min_size=1), most=st.integers(1, 9))
def test_shares_add_up(shares, most):
    edges = np.array([0, 0.25, 0.5, 0.75, 1])
    found = shares_by_coverage(np.array(shares), edges) * len(shares)
    within = [sum(low < share <= high and share < 1 for share in shares) for low, high in itertools.pairwise(edges)]
    expected = [shares.count(0.0), *within, shares.count(1.0)]
    assert found == pytest.approx(expected)
    counts = np.array([round(8 * share) for share in shares])
    by_count = shares_by_count(counts, most) * len(shares)
    assert by_count == pytest.approx([*((counts == k).sum() for k in range(most)), (counts >= most).sum()])
