"""Pairs of tags, counted by hand and by a loop over clips."""

import numpy as np

from earmark.metrics.tag_pairs import tag_pairs


def test_counts_by_hand():
    # Tags a, b, c. The clips: a found as a; a found as b; a and b, both found; b found, c not annotated; nothing.
    truth = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]], np.bool_)
    decided = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 1, 1], [0, 0, 0]], np.bool_)
    annotated = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]], np.bool_)
    pairs = tag_pairs(truth, decided, annotated)
    assert pairs.clips.tolist() == [[5, 5, 4], [5, 5, 4], [4, 4, 4]]
    assert pairs.labelled.tolist() == [[3, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert pairs.found.tolist() == [[2, 1, 1], [1, 3, 1], [1, 1, 1]]
    assert pairs.without.tolist() == [[0, 2, 3], [1, 0, 1], [0, 0, 0]]
    assert pairs.confused.tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert pairs.instead.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_counts_against_a_loop_over_several_blocks_of_clips():
    rng = np.random.default_rng(1)
    truth, decided, annotated = (rng.random((9001, 4)) < share for share in (0.3, 0.4, 0.9))
    pairs = tag_pairs(truth, decided, annotated)
    for a in range(4):
        for b in range(4):
            both = annotated[:, a] & annotated[:, b]
            t, d = truth[both], decided[both]
            confused = t[:, a] & ~t[:, b] & d[:, b]
            assert pairs.clips[a, b] == both.sum()
            assert pairs.labelled[a, b] == (t[:, a] & t[:, b]).sum()
            assert pairs.found[a, b] == (d[:, a] & d[:, b]).sum()
            assert pairs.without[a, b] == (t[:, a] & ~t[:, b]).sum()
            assert pairs.confused[a, b] == confused.sum()
            assert pairs.instead[a, b] == (confused & ~d[:, a]).sum()
