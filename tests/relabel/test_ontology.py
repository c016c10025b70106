"""Label enhancement against Algorithm 2 as it is printed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.statements import ClipLabels
from earmark.errors import InputError
from earmark.relabel import ontology
from earmark.relabel.ontology import enhance


def labels_from(has: np.ndarray) -> ClipLabels:
    row, tag = np.nonzero(has)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(has)))])
    ones = np.ones(len(tag), np.float32)
    weights = (np.ones(size, np.float32) for size in has.shape)
    return ClipLabels(indptr.astype(np.int64), tag.astype(np.int32), ones, *weights)


def plainly(has, scores, children, ancestors, types, threshold):
    """Algorithm 2 with loops; only the original tags propose."""
    added = set()
    for k in range(has.shape[1]):
        mine = [scores[i, k] for i in range(len(has)) if has[i, k]]
        if not mine:
            continue
        limit = np.mean(mine) if threshold == "mean" else np.percentile(mine, int(threshold))
        for i in range(len(has)):
            down = types != "type_2" and any(has[i, n] and children[n, k] for n in range(has.shape[1]))
            up = types != "type_1" and any(has[i, n] and ancestors[n, k] for n in range(has.shape[1]))
            if not has[i, k] and (down or up) and scores[i, k] > limit:
                added.add((i, k))
    return added


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    types=st.sampled_from(["type_1", "type_2", "both"]),
    threshold=st.sampled_from(["mean", "5", "10", "25", "50"]),
)
def test_it_is_algorithm_2(seed, types, threshold):
    draw = np.random.default_rng(seed)
    clips, tags = draw.integers(1, 40), draw.integers(1, 9)
    has = draw.random((clips, tags)) < 0.3
    # Few different scores, so that scores equal to their threshold occur.
    scores = (draw.integers(0, 5, (clips, tags)) / 4).astype(np.float32)
    children, ancestors = (np.triu(draw.random((tags, tags)) < 0.4, 1) for _ in range(2))
    rows = draw.permutation(clips)
    found = enhance(
        labels_from(has), np.arange(clips), scores[np.argsort(rows)], rows, children, ancestors,
        types=types, threshold=threshold,
    )  # fmt: skip
    pairs = set(zip(found.clip_index.tolist(), found.tag_index.tolist(), strict=True))
    assert pairs == plainly(has, scores, children, ancestors, types, threshold)
    assert (found.is_type_1 | found.is_type_2).all()
    assert found.changes()["added"] == len(pairs)


def test_blocks_change_nothing(monkeypatch):
    draw = np.random.default_rng(0)
    has, scores = draw.random((50, 6)) < 0.3, draw.random((50, 6))
    up = np.triu(np.ones((6, 6), bool), 1)
    both = []
    for size in (4096, 7):
        monkeypatch.setattr(ontology, "BLOCK", size)
        both.append(enhance(labels_from(has), np.arange(50), scores, np.arange(50), up.T, up))
    assert np.array_equal(both[0].clip_index, both[1].clip_index)
    np.testing.assert_allclose(both[0].threshold, both[1].threshold)


def test_a_tag_that_no_clip_has_is_never_added():
    has = np.array([[True, False]])
    found = enhance(
        labels_from(has), np.arange(1), np.ones((1, 2)), np.arange(1), np.ones((2, 2), bool), np.zeros((2, 2), bool)
    )
    assert np.isnan(found.threshold[1])
    assert found.changes() == {
        "added": 0, "added_percent": 0.0, "type_1": 0, "type_2": 0, "tags_touched": 0, "clips_touched": 0,
    }  # fmt: skip


def test_numbers_of_table_viii():
    # Tag 1 is the child of 0. Clips 0 and 1 have both, clip 2 the child only, clip 3 the parent only.
    has = np.array([[1, 1], [1, 1], [0, 1], [1, 0]], bool)
    scores = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.5], [0.5, 0.9]])
    children = np.array([[0, 1], [0, 0]], bool)
    found = enhance(labels_from(has), np.arange(4), scores, np.arange(4), children, children.T)
    assert found.threshold.tolist() == [0.5, 0.5]
    assert found.changes() == {
        "added": 2, "added_percent": 33.333, "type_1": 1, "type_2": 1, "tags_touched": 2, "clips_touched": 2,
    }  # fmt: skip
    assert found.clip_index.tolist() == [2, 3]


def test_scores_of_other_tags_are_refused():
    with pytest.raises(InputError, match="scores must be of the labels' 2 tags"):
        enhance(labels_from(np.ones((1, 2), bool)), np.arange(1), np.ones((1, 3)), np.arange(1), *np.eye(2)[[0, 0]])


def test_labels_of_other_clips_make_no_thresholds():
    # Clips 0 to 2 are trained on; clip 3 has the child with a high score, which would raise the child's threshold.
    has = np.array([[1, 1], [1, 0], [1, 0], [1, 1]], bool)
    scores = np.array([[0.5, 0.4], [0.5, 0.6], [0.5, 0.3], [0.5, 0.9]])
    children = np.array([[0, 1], [0, 0]], bool)
    trained_on = np.array([True, True, True, False])
    rows = np.arange(4)
    found = enhance(labels_from(has), rows, scores, rows, children, children.T, makes_thresholds=trained_on)
    assert found.threshold.tolist() == [0.5, pytest.approx(0.4)]
    assert (found.clip_index.tolist(), found.counts.tolist()) == ([1], [3, 1])
    assert not len(enhance(labels_from(has), rows, scores, rows, children, children.T).clip_index)
