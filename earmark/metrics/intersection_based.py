"""Intersection-based detection metrics: a detection is judged by how much of it, an event by how much of it is covered.

- Detection tolerance (DTC): a detection is relevant if at least this share of it lies in events of its tag; any other
  one is a false positive.
- Ground truth intersection (GTC): an event is found if relevant detections cover at least this share of it, together.
- Cross-trigger tolerance (CTTC): a detection that is not relevant triggers another tag if at least this share of it
  lies in events of that tag.

So several detections may find one event, and one detection several. Events of one tag don't overlap, so that shares
are simply added. Times, and what a share of a length comes to, are rounded to the microsecond (sed_scores_eval rounds
alike; psds_eval compares floats).

Source: Bilen et al. 2020, A framework for the robust evaluation of sound event detection (arXiv 1910.08440). All
thresholds: Ebbers, Serizel and Haeb-Umbach 2022 (arXiv 2201.13148).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from earmark.errors import InputError
from earmark.metrics.curves import Steps, ThresholdCurve, curve_from_steps, sum_steps
from earmark.metrics.detection import DetectionCounts
from earmark.metrics.events import Events, Intervals, Ints, check_same_clips
from earmark.metrics.framewise import Bools, FramewiseScores, Runs, count_steps, runs


@dataclass(frozen=True)
class Shares:
    """The three criteria, each over 0 up to 1.

    Attributes:
        dtc: of a detection, that must lie in its tag's events.
        gtc: of an event, that must be covered.
        cttc: of a detection, that must lie in another tag's events to trigger it; None where nobody asks.

    Raises:
        InputError: one is not over 0 up to 1.
    """

    dtc: float
    gtc: float
    cttc: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 < value <= 1:
                raise InputError(f"{name} must be more than 0 and at most 1, got {value}")


class Coverage(NamedTuple):
    """Pairs of a relevant detection and an event that it lies in, and for how long; each is (pair,)."""

    detection: Ints
    event: Ints
    overlap_us: Ints


def intersection_based_counts(reference: Events, decided: Events, shares: Shares) -> DetectionCounts:
    """Events found, detections that are not relevant, and events, by clip and tag.

    True positives count events, false positives detections, so that F1 = 2 TP / (2 TP + FP + FN) is psds_eval's and
    sed_scores_eval's. `cttc` has no part in it: who triggers another tag is a false positive anyway.

    Raises:
        InputError: the two are not of the same clips and tags.

    >>> from earmark.metrics.events import events_from_arrays
    >>> one = dict(duration_s=[9.0], num_tags=1)
    >>> truth = events_from_arrays([0], [0], [1], [3], **one)
    >>> found = events_from_arrays([0, 0], [0, 0], [1, 2.2], [2, 4], **one)
    >>> [intersection_based_counts(truth, found, Shares(dtc, 0.5)).false_positives for dtc in (0.4, 0.7)]
    [array([[0]]), array([[1]])]
    """
    check_same_clips(reference, decided.duration_us, decided.num_tags, "decided events")
    shape = reference.num_clips, reference.num_tags
    found, relevant_count = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for tag in range(reference.num_tags):
        truth, detections = reference.intervals(tag), decided.intervals(tag)
        relevant = is_relevant(detections, truth, shares.dtc)
        relevant_count[:, tag] = np.bincount(detections.clip[relevant], minlength=shape[0])
        event = found_events(coverage(detections, truth, relevant), truth, shares.gtc)
        found[:, tag] = np.bincount(truth.clip[event], minlength=shape[0])
    return DetectionCounts(found, decided.counts() - relevant_count, reference.counts())


def intersection_based_curves(reference: Events, scores: FramewiseScores, shares: Shares) -> list[ThresholdCurve]:
    """Each tag's counts, as those of `intersection_based_counts`, at every threshold.

    Raises:
        InputError: reference and scores are not of the same clips and tags.
    """
    check_same_clips(reference, scores.duration_us, scores.num_tags, "scores")
    curves = []
    for tag in range(reference.num_tags):
        truth = reference.intervals(tag)
        detections = runs(scores.line(tag, truth.clip))
        relevant = is_relevant(detections.events, truth, shares.dtc)
        found, _ = found_steps(truth, detections, relevant, shares.gtc)
        decided, _ = count_steps(scores.line(tag))
        right, _ = run_steps(detections, relevant)
        curves.append(curve_from_steps([found], [decided, Steps(right.score, -right.change)], len(truth.clip)))
    return curves


def found_steps(truth: Intervals, detections: Runs, relevant: Bools, gtc: float) -> tuple[Steps, Ints]:
    """By how much the number of events found changes at each score, and the event of each step."""
    pairs = coverage(detections.events, truth, relevant)
    birth, death = detections.birth[pairs.detection], detections.death[pairs.detection]
    return sum_steps(pairs.event, birth, death, pairs.overlap_us, _share_us(truth, gtc))


def run_steps(detections: Runs, counted: Bools) -> tuple[Steps, Ints]:
    """By how much the number of runs that stand, of those counted, changes at each score, and the clip of each step."""
    birth, death, clip = detections.birth[counted], detections.death[counted], detections.events.clip[counted]
    ends = death > -np.inf
    change = np.ones(len(birth) + np.count_nonzero(ends), np.int64)
    change[len(birth) :] = -1
    return Steps(np.concatenate([birth, death[ends]]), change), np.concatenate([clip, clip[ends]])


def is_relevant(detections: Intervals, truth: Intervals, share: float) -> Bools:
    """Whether at least a share of each detection lies in events of one tag, (detection,): DTC, and CTTC."""
    overlap_us = _time_in(truth, detections.offset_us) - _time_in(truth, detections.onset_us)
    return np.asarray(overlap_us >= _share_us(detections, share))


def found_events(pairs: Coverage, truth: Intervals, share: float) -> Ints:
    """The events of which relevant detections cover at least a share together: GTC."""
    covered_us = np.bincount(pairs.event, pairs.overlap_us, len(truth.clip))
    return np.flatnonzero(covered_us >= _share_us(truth, share))


def coverage(detections: Intervals, truth: Intervals, relevant: Bools) -> Coverage:
    """The events that each relevant detection lies in."""
    which = np.flatnonzero(relevant)
    onset_us, offset_us = detections.onset_us[which], detections.offset_us[which]
    first = np.searchsorted(truth.offset_us, onset_us, "right")
    count = np.searchsorted(truth.onset_us, offset_us, "left") - first
    pair = np.repeat(np.arange(len(which)), count)
    event = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    overlap_us = np.minimum(offset_us[pair], truth.offset_us[event]) - np.maximum(onset_us[pair], truth.onset_us[event])
    return Coverage(which[pair], event, overlap_us)


def _share_us(events: Intervals, share: float) -> Ints:
    """A share of each length, (event,), but at least a microsecond: nothing is met by no overlap at all."""
    share_us: Ints = np.maximum(np.rint(share * (events.offset_us - events.onset_us)), 1).astype(np.int64)
    return share_us


def _time_in(events: Intervals, until_us: Ints) -> Ints:
    """How much of the time up to some moments lies in events, (moment,)."""
    before = np.searchsorted(events.onset_us, until_us, "left")
    total_us = np.append(0, np.cumsum(events.offset_us - events.onset_us))
    # The last event that has begun may not have ended.
    over_us = np.append(0, events.offset_us)[before] - until_us
    return np.asarray(total_us[before] - np.maximum(over_us, 0))
