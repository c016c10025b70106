import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics.detection import detection_scores
from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.intersection_based import (
    Shares,
    intersection_based_counts,
    intersection_based_curves,
    is_relevant,
)
from tests.metrics.event_cases import clips_with_scores, events_of, our_scores, ours, random_case
from tests.reference.plain_events import Clip, decoded, overlap, part, plain_intersection_counts, thresholds_of

SHARES = st.sampled_from([Shares(0.7, 0.7), Shares(0.1, 0.1), Shares(0.5, 0.25), Shares(1.0, 1.0), Shares(1e-9, 1e-9)])


def table(counts):
    return np.stack([counts.true_positives, counts.false_positives, counts.num_reference], axis=2).tolist()


@given(st.lists(st.tuples(events_of(5_000_000), events_of(5_000_000)), min_size=1, max_size=3), SHARES)
def test_equals_the_plain_version(pairs, shares):
    clips = [Clip(5_000_000, [], [events], []) for events, _ in pairs]
    decided = [[found] for _, found in pairs]
    expected = [[list(plain_intersection_counts(events, found, shares.dtc, shares.gtc))] for events, found in pairs]
    assert table(intersection_based_counts(ours(clips), ours(clips, decided), shares)) == expected


@given(clips_with_scores(), SHARES)
def test_curves_equal_the_plain_version_at_every_threshold(clips, shares):
    curves = intersection_based_curves(ours(clips), our_scores(clips), shares)
    for tag, curve in enumerate(curves):
        for threshold in thresholds_of(clips, tag):
            expected = np.sum(
                [
                    plain_intersection_counts(c.events[tag], decoded(c, tag, threshold), shares.dtc, shares.gtc)
                    for c in clips
                ],
                axis=0,
            )
            assert (*curve.counts_at(threshold), curve.num_reference) == tuple(expected)


@pytest.mark.parametrize("shares", [Shares(0.7, 0.7), Shares(0.1, 0.1), Shares(0.3, 0.9)])
def test_curves_are_the_counts_of_the_decisions(shares):
    reference, scores = random_case(seed=3)
    curves = intersection_based_curves(reference, scores, shares)
    for threshold in np.quantile(scores.scores, np.linspace(0, 1, 40)):
        result = detection_scores(intersection_based_counts(reference, events_from_scores(scores, threshold), shares))
        for tag, curve in enumerate(curves):
            assert curve.counts_at(threshold) == (result.true_positives[tag], result.false_positives[tag])


@given(events_of(5_000_000), events_of(5_000_000), st.sampled_from([0.1, 0.3, 0.7, 1.0]))
def test_relevance_is_time_within_events(events, decided, share):
    truth, found = (ours([Clip(5_000_000, [], [some], [])]).intervals(0) for some in (events, decided))
    expected = [overlap(one, events) >= part(share, one) for one in decided]
    assert is_relevant(found, truth, share).tolist() == expected


def one_clip(*events):
    onset, offset = np.array(events, float).reshape(-1, 2).T
    nothing = np.zeros(len(onset), int)
    return events_from_arrays(nothing, nothing, onset, offset, duration_s=[60.0], num_tags=1)


def counted(truth, decided, shares):
    counts = intersection_based_counts(one_clip(*truth), one_clip(*decided), shares)
    return counts.true_positives.item(), counts.false_positives.item()


def test_several_detections_may_find_one_event_and_one_detection_several():
    assert counted([(1, 5)], [(1, 2), (3, 4.8)], Shares(0.7, 0.7)) == (1, 0)
    assert counted([(1, 2), (2.5, 4)], [(1, 4)], Shares(0.7, 0.7)) == (2, 0)
    # What is not relevant covers nothing.
    assert counted([(1, 5)], [(1, 2), (3, 9)], Shares(0.7, 0.7)) == (0, 1)


def test_a_share_that_is_just_met_counts():
    # In floats .3 * 10 and 3.7 - .7 are not the same.
    assert counted([(0.7, 3.7)], [(0.7, 10.7)], Shares(0.3, 1.0)) == (1, 0)
    assert counted([(0.7, 3.7)], [(0.7, 10.700004)], Shares(0.3, 1.0)) == (0, 1)
    assert counted([(0, 10)], [(0, 7)], Shares(0.7, 0.7)) == (1, 0)
    assert counted([(0, 10)], [(0, 6.999999)], Shares(0.7, 0.7)) == (0, 0)


@given(st.integers(0, 10_000))
def test_properties(seed):
    reference, scores = random_case(num_clips=3, num_tags=2, num_frames=20, seed=seed)
    decided = events_from_scores(scores, 1.0)

    def scored(truth, found, dtc=0.5, gtc=0.5):
        return detection_scores(intersection_based_counts(truth, found, Shares(dtc, gtc)))

    result = scored(reference, decided)
    for values in (result.precision, result.recall, result.f1):
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    assert scored(reference, reference, 1.0, 1.0).macro_f1 == 1.0 or len(reference) == 0
    # Criteria that ask for less find no less, and refuse no more.
    lower_dtc, lower_gtc = scored(reference, decided, dtc=0.3), scored(reference, decided, gtc=0.3)
    assert (lower_dtc.true_positives >= result.true_positives).all()
    assert (lower_dtc.false_positives <= result.false_positives).all()
    assert (lower_gtc.true_positives >= result.true_positives).all()
    assert (lower_gtc.false_positives == result.false_positives).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 0.5), "dtc must be more than 0 and at most 1, got 0.0"),
        ((0.5, 1.5), "gtc must be more than 0 and at most 1, got 1.5"),
        ((0.5, 0.5, np.nan), "cttc must be more than 0 and at most 1, got nan"),
    ],
)
def test_refuses_shares(arguments, message):
    with pytest.raises(InputError) as caught:
        Shares(*arguments)
    assert str(caught.value) == message
