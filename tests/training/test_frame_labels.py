"""Targets of clips and of their frames, against events placed by hand."""

import numpy as np
import torch

from earmark.data.clips import Excerpts
from earmark.data.statements import WEAK, Statements, clip_labels_from, in_force
from earmark.training.frame_labels import FrameLabels
from earmark.training.targets import FrameTargets, Origin, Targets, WeakLabels

RATE_HZ, HOP = 100, 10
STRONG, PLAIN, PSEUDO, SILENT = range(4)
# clip, tag, onset, offset
SAID = [
    (STRONG, 0, 0.2, 0.5), (STRONG, 1, 1.1, 1.95), (STRONG, 2, WEAK, WEAK), (PLAIN, 1, WEAK, WEAK),
    (PSEUDO, 0, WEAK, WEAK), (PSEUDO, 0, 0.0, 0.4),
]  # fmt: skip


def labels(rows: list[tuple[int, int, int]]) -> FrameLabels:
    """Frame labels of excerpts (clip, onset, samples)."""
    columns = list(zip(*SAID, strict=True))
    statements = Statements(
        np.array(columns[0]), np.array(columns[1], np.int32), np.array(columns[2], np.float64),
        np.array(columns[3], np.float64), np.ones(len(SAID), np.float32),
    )  # fmt: skip
    said = in_force([statements], num_tags=3)
    weak = clip_labels_from(said, np.ones(4, np.float32), np.array([1, 1, 1], np.float32))
    excerpts = Excerpts(*np.array(rows, np.int64).T)
    origin = np.array([Origin.LABELS, Origin.NONE, Origin.SCORES, Origin.LABELS])
    return FrameLabels(WeakLabels(weak, excerpts), said, origin, HOP, RATE_HZ)


def test_whole_clips_have_their_events_as_frames():
    targets = labels([(STRONG, 0, 200), (PLAIN, 0, 200), (PSEUDO, 0, 150), (SILENT, 0, 200)]).at(np.arange(4))
    values, weight = targets.frames.values.numpy(), targets.frames.weight.numpy()
    assert values.shape == weight.shape == (4, 20, 3)
    assert np.flatnonzero(values[0, :, 0]).tolist() == [2, 3, 4]
    assert np.flatnonzero(values[0, :, 1]).tolist() == list(range(11, 20))  # onset floor, offset ceil
    assert (weight[0, :, :2] == 1).all()
    assert (weight[0, :, 2] == 0).all()  # a tag without times: nobody knows when
    assert (weight[1] == 0).all()  # a weak clip
    assert np.flatnonzero(values[2, :, 0]).tolist() == [0, 1, 2, 3]
    assert weight[2, :, 0].tolist() == [1.0] * 15 + [0.0] * 5  # past its end nothing is known
    assert (weight[3] == 1).all()  # silence is known
    assert not values[3].any()
    assert targets.frames.origin.tolist() == [Origin.LABELS, Origin.NONE, Origin.SCORES, Origin.LABELS]
    assert targets.clipwise.tolist() == [[1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_an_excerpt_of_a_strong_clip_has_the_tags_that_sound_in_it_and_others_their_clips():
    targets = labels([(STRONG, 100, 100), (STRONG, 0, 100), (PSEUDO, 50, 100)]).at(np.array([0, 1, 2]))
    values = targets.frames.values.numpy()
    assert targets.clipwise.tolist() == [[0, 1, 1], [1, 0, 1], [1, 0, 0]]
    assert np.flatnonzero(values[0, :, 1]).tolist() == list(range(1, 10))
    assert not values[0, :, 0].any()
    assert np.flatnonzero(values[1, :, 0]).tolist() == [2, 3, 4]
    assert not values[2].any()  # its event ended before


def test_what_reaches_less_than_a_millisecond_over_a_cut_is_not_there():
    source = labels([(STRONG, 0, 50), (STRONG, 50, 60), (STRONG, 110, 90)])
    before, between, behind = source.at(np.arange(3)).clipwise[:, :2].tolist()
    assert (before, between, behind) == ([1, 0], [0, 0], [0, 1])  # tag 0 ends, and tag 1 begins, where the clip is cut
    shifted = labels([(STRONG, 0, 49), (STRONG, 49, 62), (STRONG, 111, 89)])
    assert shifted.at(np.arange(3)).clipwise[:, :2].tolist() == [[1, 0], [1, 1], [0, 1]]


def test_targets_have_as_many_frames_in_every_batch():
    source = labels([(STRONG, 0, 200), (PSEUDO, 0, 40)])
    assert source.at(np.array([1])).frames.values.shape[1] == source.at(np.array([0])).frames.values.shape[1] == 20


def mixed(first: int, second: int, share: float) -> Targets:
    source = labels([(STRONG, 0, 200), (PLAIN, 0, 200), (PSEUDO, 0, 200), (SILENT, 0, 200)])
    return source.at(np.array([first])).mixed_with(source.at(np.array([second])), np.array([share]))


def test_the_frames_of_a_mixture_are_known_where_both_clips_are():
    both = mixed(STRONG, PSEUDO, 0.75)
    assert both.frames.origin.tolist() == [Origin.SCORES]
    np.testing.assert_allclose(both.frames.values[0, :5, 0], [0.25, 0.25, 1.0, 1.0, 0.75])
    assert both.frames.weight[0, :, 0].min() == 1
    assert both.frames.weight[0, :, 2].max() == 0
    unknown = mixed(STRONG, PLAIN, 0.75)
    assert unknown.frames.origin.tolist() == [Origin.NONE]
    assert unknown.frames.weight.max() == 0
    own = mixed(STRONG, PLAIN, 1.0)
    assert own.frames.origin.tolist() == [Origin.LABELS]
    assert isinstance(own.frames, FrameTargets)
    assert torch.equal(own.frames.weight, mixed(STRONG, SILENT, 1.0).frames.weight)
