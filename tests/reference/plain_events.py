"""Slow, obvious versions of the event metrics: one clip and tag at a time, every pairing tried, every threshold.

An event is (onset, offset), whole microseconds. `Clip` has the events and scores of one clip by tag.
"""

import itertools
from typing import NamedTuple

import numpy as np


class Clip(NamedTuple):
    """events[tag]: list of (onset, offset); scores[tag]: list of frames; all times in microseconds."""

    duration: int
    edges: list
    events: list
    scores: list


def decoded(clip, tag, threshold):
    """The runs of frames at or over a threshold."""
    events, onset = [], None
    for score, begin, end in zip(clip.scores[tag], clip.edges[:-1], clip.edges[1:], strict=True):
        if score < threshold:
            onset = None
        elif onset is None:
            onset = begin
            events.append((onset, end))
        else:
            events[-1] = (onset, end)
    return events


def plain_segments(events, duration, length_us):
    """The numbers of the segments that events have any time in."""
    number = -(-duration // length_us)
    return {n for n in range(number) for on, off in events if on < (n + 1) * length_us and off > n * length_us}


def plain_segment_counts(events, decided, duration, length_us):
    """(true positives, false positives, reference)."""
    truth, found = (plain_segments(some, duration, length_us) for some in (events, decided))
    return len(truth & found), len(found - truth), len(truth)


def fits(event, detection, onset_us, offset_us, share):
    """Whether the collars allow a pair."""
    if abs(event[0] - detection[0]) > onset_us:
        return False
    return offset_us is None or abs(event[1] - detection[1]) <= max(offset_us, round(share * (event[1] - event[0])))


def most_pairs(allowed):
    """The most pairs (detection, event) without a common one: every subset is tried."""
    for size in range(len(allowed), 0, -1):
        for chosen in itertools.combinations(allowed, size):
            if len({one for one, _ in chosen}) == size == len({other for _, other in chosen}):
                return size
    return 0


def plain_collar_counts(events, decided, onset_us, offset_us, share):
    """(true positives, false positives, reference), each detection tried with each event by permutation."""
    longer, shorter = (events, decided) if len(events) > len(decided) else (decided, events)
    most = 0
    for order in itertools.permutations(longer, len(shorter)):
        pairs = [(a, b) if shorter is events else (b, a) for a, b in zip(shorter, order, strict=True)]
        most = max(most, sum(fits(event, detection, onset_us, offset_us, share) for event, detection in pairs))
    return most, len(decided) - most, len(events)


def overlap(one, others):
    """How long an event lies in some others, which don't overlap."""
    return sum(max(0, min(one[1], off) - max(one[0], on)) for on, off in others)


def part(share, event):
    """A share of an event's length, at least a microsecond."""
    return max(1, round(share * (event[1] - event[0])))


def plain_intersection_counts(events, decided, dtc, gtc):
    """(true positives, false positives, reference)."""
    relevant = [one for one in decided if overlap(one, events) >= part(dtc, one)]
    found = [event for event in events if overlap(event, relevant) >= part(gtc, event)]
    return len(found), len(decided) - len(relevant), len(events)


def plain_triggers(events, decided, others, dtc, cttc):
    """Detections that are not relevant and lie in another tag's events."""
    wrong = [one for one in decided if overlap(one, events) < part(dtc, one)]
    return sum(overlap(one, others) >= part(cttc, one) for one in wrong)


def thresholds_of(clips, tag):
    """Every score there is, and one above all."""
    return [*sorted({score for clip in clips for score in clip.scores[tag]}), np.inf]


def plain_rates(clips, decided, tag, tags, dtc, gtc, cttc, alpha_ct, unit_us):
    """A tag's (share of events found, effective rate) for decided[clip][tag]; `tags` are those with events."""
    seconds = sum(clip.duration for clip in clips)
    found, false, reference = np.sum(
        [plain_intersection_counts(c.events[tag], d[tag], dtc, gtc) for c, d in zip(clips, decided, strict=True)],
        axis=0,
    )
    rate = false / seconds
    for other in tags:
        if other != tag and alpha_ct:
            count = sum(
                plain_triggers(c.events[tag], d[tag], c.events[other], dtc, cttc)
                for c, d in zip(clips, decided, strict=True)
            )
            there = sum(off - on for clip in clips for on, off in clip.events[other])
            rate += alpha_ct * count / there / (len(tags) - 1)
    return found / reference, rate * unit_us


def plain_psds(points_by_tag, alpha_st, e_max):
    """The area under the mean less deviations of the tags' best shares at a rate or below; points are (share, rate)."""
    rates = sorted({rate for points in points_by_tag for _, rate in points if rate <= e_max} | {0.0})
    area = 0.0
    for rate, then in zip(rates, [*rates[1:], e_max], strict=True):
        best = [max([share for share, at in points if at <= rate], default=0.0) for points in points_by_tag]
        area += max(0.0, np.mean(best) - alpha_st * np.std(best)) * (then - rate)
    return area / e_max
