import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics.collar_based import (
    DCASE_COLLARS,
    ONSET_ONLY,
    Collars,
    collar_based_counts,
    collar_based_curves,
)
from earmark.metrics.detection import detection_scores
from earmark.metrics.events import events_from_arrays
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.matching import Matching
from tests.metrics.event_cases import clips_with_scores, events_of, moved, our_scores, ours, random_case
from tests.reference.plain_events import Clip, decoded, most_pairs, plain_collar_counts, thresholds_of

COLLARS = st.sampled_from(
    [DCASE_COLLARS, ONSET_ONLY, Collars(0.5, 0.5, 0.5), Collars(2.0, None), Collars(3.0, 5.0, 1.0), Collars(0, 0, 0)]
)


def in_us(collars):
    offset_us = None if collars.offset_s is None else round(collars.offset_s * 1e6)
    return round(collars.onset_s * 1e6), offset_us, collars.offset_share


def table(counts):
    return np.stack([counts.true_positives, counts.false_positives, counts.num_reference], axis=2).tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), unique=True, max_size=11), st.data())
def test_matching_is_the_greatest_while_detections_come_and_go(allowed, data):
    fits = {one: [other for first, other in allowed if first == one] for one, _ in allowed}
    matching, there = Matching(), set()
    for _ in range(data.draw(st.integers(1, 15))):
        if not fits:
            return
        one = data.draw(st.sampled_from(sorted(fits)))
        (matching.remove if one in there else lambda number: matching.add(number, fits[number]))(one)
        there ^= {one}
        assert len(matching) == most_pairs([pair for pair in allowed if pair[0] in there])
        pairs = [(detection, event) for event, detection in matching.detection_of.items()]
        assert set(pairs) <= set(allowed)
        assert len({detection for detection, _ in pairs}) == len(pairs)


@given(st.lists(st.tuples(events_of(4_000_000, 6), events_of(4_000_000, 6)), min_size=1, max_size=2), COLLARS)
def test_equals_every_pairing_tried(pairs, collars):
    clips = [Clip(4_000_000, [], [events], []) for events, _ in pairs]
    decided = [[found] for _, found in pairs]
    expected = [[list(plain_collar_counts(events, found, *in_us(collars)))] for events, found in pairs]
    assert table(collar_based_counts(ours(clips), ours(clips, decided), collars)) == expected


@given(clips_with_scores(), COLLARS)
def test_curves_equal_the_plain_version_at_every_threshold(clips, collars):
    curves = collar_based_curves(ours(clips), our_scores(clips), collars)
    for tag, curve in enumerate(curves):
        for threshold in thresholds_of(clips, tag):
            expected = np.sum(
                [plain_collar_counts(c.events[tag], decoded(c, tag, threshold), *in_us(collars)) for c in clips], axis=0
            )
            assert (*curve.counts_at(threshold), curve.num_reference) == tuple(expected)


@pytest.mark.parametrize("collars", [DCASE_COLLARS, ONSET_ONLY, Collars(1.0, 1.0, 0.5), Collars(4.0, None)])
def test_curves_are_the_counts_of_the_decisions(collars):
    reference, scores = random_case(seed=3)
    curves = collar_based_curves(reference, scores, collars)
    for threshold in np.quantile(scores.scores, np.linspace(0, 1, 40)):
        decided = events_from_scores(scores, threshold)
        result = detection_scores(collar_based_counts(reference, decided, collars))
        for tag, curve in enumerate(curves):
            assert curve.counts_at(threshold) == (result.true_positives[tag], result.false_positives[tag])


def test_tuned_thresholds_give_the_best_f1_of_all():
    reference, scores = random_case(seed=5)
    curves = collar_based_curves(reference, scores)
    thresholds, best = zip(*(curve.best_threshold() for curve in curves), strict=True)
    result = detection_scores(collar_based_counts(reference, events_from_scores(scores, thresholds)))
    np.testing.assert_allclose(result.f1, best, rtol=1e-12)
    for threshold in np.unique(scores.scores)[::7]:
        other = detection_scores(collar_based_counts(reference, events_from_scores(scores, threshold)))
        assert (other.f1 <= np.array(best) + 1e-12).all()


def one_clip(*events, tags=1):
    columns = np.array([(0, tag, on, off) for tag, on, off in events], float).reshape(-1, 4).T
    return events_from_arrays(*columns[:2].astype(int), *columns[2:], duration_s=[60.0], num_tags=tags)


def found(truth, decided, collars=DCASE_COLLARS):
    return int(collar_based_counts(one_clip(*truth), one_clip(*decided), collars).true_positives.sum())


def test_the_ends_of_a_collar_belong_to_it():
    # In floats 1.1 - 0.9 is more than 0.2, and 4.8 - 4 more than 0.8.
    assert found([(0, 0.9, 1.5)], [(0, 1.1, 1.7)]) == 1
    assert found([(0, 0.9, 1.5)], [(0, 1.100001, 1.7)]) == 0
    assert found([(0, 0.9, 1.5)], [(0, 1.1, 1.700001)]) == 0
    assert found([(0, 0, 4)], [(0, 0, 4.8)]) == 1  # 20 % of 4 s
    assert found([(0, 0, 4)], [(0, 0, 4.800001)]) == 0
    assert found([(0, 0, 4)], [(0, 0, 9)], ONSET_ONLY) == 1


def test_pairs_are_chosen_so_that_the_most_events_are_found():
    # The first detection fits both events, the second the first event alone: first come, first served finds one.
    truth, decided = [(0, 1.0, 1.1), (0, 1.2, 1.3)], [(0, 0.8, 0.9), (0, 1.15, 1.25)]
    assert found(truth, decided) == 2
    assert found(truth, decided[1:]) == 1
    assert found(truth[:1], decided) == 1  # and each counts once


def test_another_tag_or_clip_is_no_match():
    truth = events_from_arrays([0, 1], [0, 1], [1, 9.9], [2, 10], duration_s=[10, 10], num_tags=2)
    other = events_from_arrays([0, 1], [1, 1], [1, 0], [2, 0.1], duration_s=[10, 10], num_tags=2)
    assert collar_based_counts(truth, other, Collars(10.0, None)).true_positives.tolist() == [[0, 0], [0, 1]]
    assert collar_based_counts(truth, other).false_positives.tolist() == [[0, 1], [0, 1]]


def test_a_long_chain_of_competing_events_is_solved():
    count = 400  # each detection fits its event and the next; the last fits none but its own
    truth = one_clip(*[(0, 0.1 * at, 0.1 * at + 0.05) for at in range(count)])
    shifted = one_clip(*[(0, 0.1 * at + 0.05, 0.1 * at + 0.1) for at in reversed(range(count))])
    counts = collar_based_counts(truth, shifted, Collars(0.06, 0.06))
    assert counts.true_positives.tolist() == [[count]]


def scored(reference, decided, collars=DCASE_COLLARS):
    return detection_scores(collar_based_counts(reference, decided, collars))


@given(st.integers(0, 10_000))
def test_bounds_and_wider_collars(seed):
    reference, scores = random_case(num_clips=3, num_tags=2, num_frames=20, seed=seed)
    decided = events_from_scores(scores, 1.0)
    result = scored(reference, decided)
    for values in (result.precision, result.recall, result.f1):
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    assert scored(reference, reference).macro_f1 == 1.0 or len(reference) == 0
    wider = scored(reference, decided, Collars(0.3, 0.4, 0.3))
    assert (wider.true_positives >= result.true_positives).all()


@given(st.integers(0, 10_000))
def test_names_and_the_time_of_day_do_not_matter(seed):
    reference, scores = random_case(num_clips=3, num_tags=2, num_frames=20, seed=seed)
    decided = events_from_scores(scores, 1.0)
    result = scored(reference, decided)
    rng = np.random.default_rng(seed)
    clips, tags = rng.permutation(3), rng.permutation(2)
    renamed = scored(*(moved(events, clips=clips, tags=tags) for events in (reference, decided)))
    np.testing.assert_array_equal(renamed.f1[tags], result.f1)
    later = scored(*(moved(events, later_s=1.7, longer_s=2) for events in (reference, decided)))
    np.testing.assert_array_equal(later.f1, result.f1)


@given(st.integers(0, 10_000))
def test_a_false_positive_never_raises_precision_or_f1(seed):
    reference, scores = random_case(num_clips=3, num_tags=2, num_frames=20, seed=seed)
    decided = events_from_scores(scores, 1.0)
    before = scored(reference, decided)
    after = scored(moved(reference, longer_s=10), moved(decided, longer_s=10, more=[(0, 0, 9.0, 9.1)]))
    np.testing.assert_array_equal(after.true_positives, before.true_positives)
    np.testing.assert_array_equal(after.false_positives - before.false_positives, [1, 0])
    assert not after.macro_precision > before.macro_precision
    assert not after.macro_f1 > before.macro_f1
    if before.true_positives[0]:
        assert after.precision[0] < before.precision[0]
        assert after.f1[0] < before.f1[0]


@pytest.mark.parametrize(
    ("collars", "name"),
    list(itertools.product([-0.1, np.nan], ["onset_s", "offset_s", "offset_share"])),
)
def test_refuses_collars(collars, name):
    with pytest.raises(InputError, match=f"{name} of collars must be 0 or more, got {collars}"):
        Collars(**{name: collars})
