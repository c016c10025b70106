"""Segment-based detection metrics: time is cut into segments, and a tag is there or not in each.

Segments begin with their clip; the last one of a clip may be shorter. A tag is there in every segment that one of its
events has any time in. (sed_eval and sed_scores_eval have the same rule. sed_eval divides floats, so that an event
from 0.3 s counts in the segment before it at a length of 0.1 s; here times are whole microseconds.)

Source: Mesaros, Heittola and Virtanen 2016, Metrics for polyphonic sound event detection (doi 10.3390/app6060162). All
thresholds: Ebbers, Serizel and Haeb-Umbach 2022 (arXiv 2201.13148).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError
from earmark.metrics.curves import Steps, ThresholdCurve, curve_from_steps
from earmark.metrics.detection import DetectionCounts
from earmark.metrics.events import US_PER_S, Events, Ints, check_same_clips, microseconds, starts
from earmark.metrics.framewise import FramewiseScores


def segment_based_counts(reference: Events, decided: Events, *, segment_s: float = 1.0) -> DetectionCounts:
    """Segments with both, with a decision alone, and with the reference, by clip and tag.

    Args:
        segment_s: length of a segment, seconds, at least a microsecond.

    Raises:
        InputError: the two are not of the same clips and tags, or the length is too small.

    >>> from earmark.metrics.events import events_from_arrays
    >>> one = dict(duration_s=[3.0], num_tags=1)
    >>> truth, found = (events_from_arrays([0], [0], [on], [3], **one) for on in (0.9, 1.0))
    >>> segment_based_counts(truth, found).true_positives
    array([[2]])
    """
    check_same_clips(reference, decided.duration_us, decided.num_tags, "decided events")
    segments = _segments(reference.duration_us, segment_s)
    truth, found = _activity(reference, segments), _activity(decided, segments)
    by_clip = starts(segments.count)
    return DetectionCounts(*(_sums(part, by_clip) for part in (truth & found, found & ~truth, truth)))


def segment_based_curves(reference: Events, scores: FramewiseScores, *, segment_s: float = 1.0) -> list[ThresholdCurve]:
    """Each tag's counts of segments at every threshold; a segment's score is the greatest of the frames in it.

    Args and Raises: as for `segment_based_counts`.
    """
    check_same_clips(reference, scores.duration_us, scores.num_tags, "scores")
    segments = _segments(reference.duration_us, segment_s)
    truth = _activity(reference, segments)
    clock_us = np.repeat(reference.clock_us, segments.count)
    # Between clips is a place too: a segment after a clip's last frame has that place alone.
    first = np.searchsorted(scores.edge_us, clock_us + segments.onset_us, "right") - 1
    end = np.searchsorted(scores.edge_us, clock_us + segments.offset_us, "left")
    end = np.minimum(end, len(scores.edge_us) - 1)
    stretches = np.stack([first, end], axis=1).reshape(-1)
    curves = []
    for tag in range(scores.num_tags):
        greatest = np.maximum.reduceat(scores.line(tag).scores, stretches)[::2] if len(first) else np.zeros(0)
        scored = greatest > -np.inf
        there, not_there = (greatest[scored & part] for part in (truth[:, tag], ~truth[:, tag]))
        steps = [Steps(score, np.ones(len(score), np.int64)) for score in (there, not_there)]
        curves.append(curve_from_steps(steps[:1], steps[1:], int(truth[:, tag].sum())))
    return curves


@dataclass(frozen=True, eq=False)
class _Segments:
    """The segments of all clips.

    Attributes:
        edge_us: of segments within a clip, for the longest clip, rising.
        count: segments of each clip, (clip,).
        onset_us, offset_us: of each segment within its clip, (segment,).
    """

    edge_us: Ints
    count: Ints
    onset_us: Ints
    offset_us: Ints


def _segments(duration_us: Ints, segment_s: float) -> _Segments:
    if not 1 <= segment_s * US_PER_S < np.inf:
        raise InputError(f"segment_s must be a microsecond or more, got {segment_s}")
    longest = int(duration_us.max(initial=0))
    edge_us = microseconds(np.arange(int(longest / US_PER_S / segment_s) + 3) * segment_s)
    count = np.searchsorted(edge_us, duration_us, "left")
    number = np.arange(count.sum()) - np.repeat(starts(count), count)
    offset_us = np.minimum(edge_us[number + 1], np.repeat(duration_us, count))
    return _Segments(edge_us, count, edge_us[number], offset_us)


def _activity(events: Events, segments: _Segments) -> npt.NDArray[np.bool_]:
    """Whether a tag is there, (segment, tag)."""
    clip_start = starts(segments.count)[events.clip]
    first = clip_start + np.searchsorted(segments.edge_us, events.onset_us, "right") - 1
    end = clip_start + np.searchsorted(segments.edge_us, events.offset_us, "left")
    change = np.zeros((len(segments.onset_us) + 1, events.num_tags), np.int64)
    np.add.at(change, (first, events.tag), 1)
    np.add.at(change, (end, events.tag), -1)
    return np.asarray(np.cumsum(change, axis=0)[:-1] > 0)


def _sums(active: npt.NDArray[np.bool_], by_clip: Ints) -> Ints:
    if not len(by_clip):
        return np.zeros((0, active.shape[1]), np.int64)
    return np.add.reduceat(active, by_clip, axis=0, dtype=np.int64)
