import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics.detection import detection_scores
from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import events_from_scores, framewise_scores
from earmark.metrics.segment_based import segment_based_counts, segment_based_curves
from tests.metrics.event_cases import clips_with_scores, our_scores, ours, random_case
from tests.reference.plain_events import decoded, plain_segment_counts, thresholds_of

LENGTHS_S = st.sampled_from([1.0, 0.5, 0.3, 0.07, 20.0])


def table(counts):
    return np.stack([counts.true_positives, counts.false_positives, counts.num_reference], axis=2).tolist()


@given(clips_with_scores(), LENGTHS_S)
def test_equals_the_plain_version(clips, segment_s):
    tags, length_us = range(len(clips[0].events)), round(segment_s * 1e6)
    decided = [[decoded(clip, tag, 0.375) for tag in tags] for clip in clips]
    expected = [
        [list(plain_segment_counts(clip.events[tag], found[tag], clip.duration, length_us)) for tag in tags]
        for clip, found in zip(clips, decided, strict=True)
    ]
    assert table(segment_based_counts(ours(clips), ours(clips, decided), segment_s=segment_s)) == expected


@given(clips_with_scores(), LENGTHS_S)
def test_curves_are_the_counts_of_the_decisions_at_every_threshold(clips, segment_s):
    reference, scores = ours(clips), our_scores(clips)
    curves = segment_based_curves(reference, scores, segment_s=segment_s)
    for tag, curve in enumerate(curves):
        for threshold in thresholds_of(clips, tag)[:-1]:
            decided = events_from_scores(scores, threshold)
            result = detection_scores(segment_based_counts(reference, decided, segment_s=segment_s))
            assert curve.counts_at(threshold) == (result.true_positives[tag], result.false_positives[tag])
            assert curve.num_reference == result.num_reference[tag]
        assert curve.counts_at(9.0) == (0, 0)


def test_edges_of_segments_are_exact_where_floats_are_not():
    one = {"duration_s": [2.0], "num_tags": 1}
    truth = events_from_arrays([0], [0], [0.3], [0.6], **one)  # .3 / .1 is 2.9999999999999996
    counts = segment_based_counts(truth, truth, segment_s=0.1)
    assert counts.true_positives.tolist() == [[3]]
    # A third of a second has no whole microseconds, but three of them make one.
    whole = events_from_arrays([0], [0], [1.0], [2.0], **one)
    assert segment_based_counts(whole, whole, segment_s=1 / 3).true_positives.tolist() == [[3]]


def test_segments_behind_the_scores_are_never_decided():
    arguments = {"duration_s": [10.0, 10.0, 10.0], "num_tags": 1}
    truth = events_from_arrays([0, 1, 2], [0, 0, 0], [1, 1, 1], [9, 9, 9], **arguments)
    scores = framewise_scores(np.full((6, 1), 0.9), [3, 0, 3], hop_s=1.0, duration_s=[10.0, 10.0, 10.0])
    (curve,) = segment_based_curves(truth, scores)
    assert (curve.counts_at(0.5), curve.counts_at(-1e9), curve.num_reference) == ((4, 2), (4, 2), 24)
    decided = segment_based_counts(truth, events_from_scores(scores, 0.5))
    assert decided.true_positives.tolist() == [[2], [0], [2]]


def test_perfect_decisions_score_1():
    reference, _ = random_case()
    for length in (1.0, 0.25, 0.01):
        assert detection_scores(segment_based_counts(reference, reference, segment_s=length)).macro_f1 == 1.0


def test_shorter_segments_count_the_same_time():
    reference, scores = random_case()
    decided = events_from_scores(scores, 1.0)
    coarse = segment_based_counts(reference, decided, segment_s=0.05)
    fine = segment_based_counts(reference, decided, segment_s=0.0125)
    np.testing.assert_allclose(fine.true_positives.sum() * 0.0125, coarse.true_positives.sum() * 0.05, rtol=0.02)


def test_nothing_at_all():
    none = events_from_arrays([], [], [], [], duration_s=[], num_tags=2)
    assert segment_based_counts(none, none).true_positives.shape == (0, 2)
    curves = segment_based_curves(none, framewise_scores(np.zeros((0, 2)), [], hop_s=1.0, duration_s=[]))
    assert [curve.counts_at(0.5) for curve in curves] == [(0, 0)] * 2


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan, np.inf])
def test_refuses_lengths(length):
    reference, scores = random_case(num_clips=1)
    for call in (
        lambda: segment_based_counts(reference, reference, segment_s=length),
        lambda: segment_based_curves(reference, scores, segment_s=length),
    ):
        with pytest.raises(InputError, match=f"segment_s must be a microsecond or more, got {length}"):
            call()
