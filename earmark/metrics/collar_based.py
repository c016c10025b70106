"""Collar-based ("event-based") detection metrics: an event is found if a detection begins and ends about where it does.

The onset must lie within a collar of the reference's, the offset within the greater of a collar and a share of the
reference's length, both ends included. Each event and each detection counts once, in the pairing that makes the most
pairs, as sed_eval's `event_matching_type="optimal"` (its default) and sed_scores_eval. ("greedy" takes the first
detection that fits, event by event, and can find fewer, depending on the order of rows.) sed_eval's own share is 50 %;
here it is the 20 % of DCASE task 4.

Source: Mesaros, Heittola and Virtanen 2016, Metrics for polyphonic sound event detection (doi 10.3390/app6060162). All
thresholds: Ebbers, Serizel and Haeb-Umbach 2022 (arXiv 2201.13148).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError
from earmark.metrics.curves import Steps, ThresholdCurve, curve_from_steps, joined, sum_steps
from earmark.metrics.detection import DetectionCounts
from earmark.metrics.events import US_PER_S, Events, Intervals, Ints, check_same_clips
from earmark.metrics.framewise import FramewiseScores, Runs, count_steps, runs
from earmark.metrics.matching import Matching


@dataclass(frozen=True)
class Collars:
    """How far a detection may be off.

    Attributes:
        onset_s: seconds, on either side.
        offset_s: seconds, on either side, at least; None where offsets don't matter.
        offset_share: of the reference event's length; allowed where it is more than `offset_s`.

    Raises:
        InputError: one of them is negative.
    """

    onset_s: float = 0.2
    offset_s: float | None = 0.2
    offset_share: float = 0.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value >= 0:
                raise InputError(f"{name} of collars must be 0 or more, got {value}")


DCASE_COLLARS = Collars()
"""DCASE task 4's: 200 ms, and 20 % of the length for offsets."""
ONSET_ONLY = Collars(offset_s=None)
"""200 ms for onsets, whatever the offsets."""


def collar_based_counts(reference: Events, decided: Events, collars: Collars = DCASE_COLLARS) -> DetectionCounts:
    """Events found, detections that fit none, and events, by clip and tag.

    Raises:
        InputError: the two are not of the same clips and tags.

    >>> from earmark.metrics.events import events_from_arrays
    >>> one = dict(duration_s=[9.0], num_tags=1)
    >>> truth = events_from_arrays([0, 0], [0, 0], [1, 5], [2, 8], **one)
    >>> found = events_from_arrays([0, 0], [0, 0], [1.2, 5], [2.2, 8.6], **one)
    >>> [int(collar_based_counts(truth, found, by).true_positives[0, 0]) for by in (DCASE_COLLARS, Collars(0.1))]
    [2, 1]
    """
    check_same_clips(reference, decided.duration_us, decided.num_tags, "decided events")
    found = np.zeros((reference.num_clips, reference.num_tags), np.int64)
    for tag in range(reference.num_tags):
        truth = reference.intervals(tag)
        detection, event = _pairs(truth, decided.intervals(tag), collars)
        found[:, tag] = np.bincount(truth.clip[_found(detection, event)], minlength=reference.num_clips)
    return DetectionCounts(found, decided.counts() - found, reference.counts())


def collar_based_curves(
    reference: Events, scores: FramewiseScores, collars: Collars = DCASE_COLLARS
) -> list[ThresholdCurve]:
    """Each tag's counts of events at every threshold.

    Raises:
        InputError: reference and scores are not of the same clips and tags.
    """
    check_same_clips(reference, scores.duration_us, scores.num_tags, "scores")
    curves = []
    for tag in range(reference.num_tags):
        truth = reference.intervals(tag)
        found = _found_steps(truth, runs(scores.line(tag, truth.clip)), collars)
        decided, _ = count_steps(scores.line(tag))
        lost = Steps(found.score, -found.change)
        curves.append(curve_from_steps([found], [decided, lost], len(truth.clip)))
    return curves


def _pairs(truth: Intervals, detections: Intervals, collars: Collars) -> tuple[Ints, Ints]:
    """The pairs (detection, event) that the collars allow, by detection."""
    reach_us = round(collars.onset_s * US_PER_S)
    first = np.searchsorted(truth.onset_us, detections.onset_us - reach_us, "left")
    count = np.searchsorted(truth.onset_us, detections.onset_us + reach_us, "right") - first
    detection = np.repeat(np.arange(len(count)), count)
    event = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    fits = detections.clip[detection] == truth.clip[event]
    if collars.offset_s is not None:
        length_us = truth.offset_us - truth.onset_us
        allowed_us = np.rint(np.maximum(collars.offset_s * US_PER_S, collars.offset_share * length_us))
        fits &= np.abs(detections.offset_us[detection] - truth.offset_us[event]) <= allowed_us[event]
    return detection[fits], event[fits]


def _found(detection: Ints, event: Ints) -> Ints:
    """The events found, each once: pairs that compete with none at once, the others by matching."""
    alone = (np.bincount(detection)[detection] == 1) & (np.bincount(event)[event] == 1)
    matching = Matching()
    for number, events in _fits(detection[~alone], event[~alone]).items():
        matching.add(number, events)
    return np.append(event[alone], np.array(list(matching.detection_of), np.int64))


def _fits(detection: Ints, event: Ints) -> dict[int, list[int]]:
    """The events of each detection."""
    events: dict[int, list[int]] = {}
    for number, one in zip(detection.tolist(), event.tolist(), strict=True):
        events.setdefault(number, []).append(one)
    return events


def _found_steps(truth: Intervals, detections: Runs, collars: Collars) -> Steps:
    """By how much the number of events found changes at each score.

    Runs that stand at one threshold don't overlap. Where every run fits one event only, an event is found as long as
    any of its runs stands. Events that share a run compete for it.
    """
    run, event = _pairs(truth, detections.events, collars)
    group, tangled = _groups(run, event, len(truth.clip))
    simple = ~tangled[event]
    found, _ = sum_steps(
        event[simple],
        detections.birth[run[simple]],
        detections.death[run[simple]],
        np.ones(np.count_nonzero(simple), np.int64),
        np.ones(len(truth.clip), np.int64),
    )
    parts = [found]
    by_group = np.flatnonzero(~simple)[np.argsort(group[event[~simple]], kind="stable")]
    for pairs in np.split(by_group, np.flatnonzero(np.diff(group[event[by_group]])) + 1):
        parts.append(_matching_steps(run[pairs], event[pairs], detections))
    return joined(parts)


def _groups(run: Ints, event: Ints, num_events: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Events that runs tie together, as one number by event; and whether it has any other; each is (event,)."""
    farthest = np.arange(num_events)
    # A run's events come one after another; the first of them reaches as far as the last.
    first = np.full(int(run.max(initial=-1)) + 1, num_events)
    np.minimum.at(first, run, event)
    np.maximum.at(farthest, first[run], event)
    reached = np.append(-1, np.maximum.accumulate(farthest)[:-1])
    group = np.cumsum(np.arange(num_events) > reached) - 1
    return group, np.bincount(group)[group] > 1


def _matching_steps(run: Ints, event: Ints, detections: Runs) -> Steps:
    """The steps of events that share runs: the matching changes with every run that comes or goes."""
    matching, fits = Matching(), _fits(run, event)
    numbers = np.array(list(fits), np.int64)
    ends = detections.death[numbers] > -np.inf
    score = np.concatenate([detections.death[numbers[ends]], detections.birth[numbers]])
    number = np.concatenate([numbers[ends], numbers]).tolist()
    order = np.argsort(-score, kind="stable")
    size = np.zeros(len(order) + 1, np.int64)
    for place, change in enumerate(order.tolist()):
        if change < len(score) - len(numbers):
            matching.remove(number[change])
        else:
            matching.add(number[change], fits[number[change]])
        size[place + 1] = len(matching)
    return Steps(score[order], size[1:] - size[:-1])
