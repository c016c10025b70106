"""What a tag's PSDS curve is made of: steps of its counts as the threshold falls, each of one clip.

Thresholds are sorted once. How often each clip counts, once or as often as a resample drew it, only weighs the steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.metrics.curves import Steps, joined
from earmark.metrics.events import Intervals, Ints, starts
from earmark.metrics.framewise import FramewiseScores, Line, count_steps, runs
from earmark.metrics.intersection_based import Shares, found_steps, is_relevant, run_steps
from earmark.metrics.tagging import Floats

Draws = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class TagSteps:
    """By how much a tag's counts change as the threshold falls, and where along it a curve is looked at.

    A *point* is a threshold at which anything changes, the first is that of deciding nothing. A *stretch* is some
    points, one after another, at which as many events are found, whatever the draw.

    Attributes:
        found, found_clip: events, and the clip of each change, (step,).
        found_by: how many of these steps are done in each stretch, (stretch,).
        false, false_clip: detections that add to the rate, and the clip of each change, (step,).
        kind: what such a step adds, 0 a false positive, 1 + k a trigger of tag k, (step,).
        false_by: how many of these steps are done at each point, (point,).
        stretch: the first point of each, (stretch,).
    """

    found: Ints
    found_clip: Ints
    found_by: Ints
    false: Ints
    false_clip: Ints
    kind: Ints
    false_by: Ints
    stretch: Ints

    def points(self, draw: Ints, rates: Floats) -> tuple[Ints, Floats]:
        """How many events are found in each stretch, and the lowest rate there, each clip as often as it is drawn.

        Args:
            draw: how often, (clip,).
            rates: what each kind of step adds to the rate, (kind,).
        """
        found = np.append(0, np.cumsum(self.found * draw[self.found_clip]))[self.found_by]
        rate = np.append(0.0, np.cumsum(self.false * draw[self.false_clip] * rates[self.kind]))[self.false_by]
        # Rounding must not leave the sum below 0 where the counts are back at 0.
        return found, np.maximum(np.minimum.reduceat(rate, self.stretch), 0.0)


def needed_above(tag: int, scores: FramewiseScores, clips_with_events: Ints, draws: Draws, most_false: Floats) -> float:
    """A score that no threshold of any draw needs to fall to, -inf where there is none.

    Clips without events have a false positive at least from their greatest score on.

    Args:
        most_false: how many false positives a curve may have in each draw, (draw,).
    """
    without = np.ones(len(draws), np.bool_)
    without[clips_with_events] = False
    # A clip without frames has one place still, at -inf.
    greatest = np.maximum.reduceat(scores.line(tag).scores[1:], starts(scores.num_frames + 1))
    clips = np.flatnonzero(without & (greatest > -np.inf))
    clips = clips[np.argsort(-greatest[clips])]
    enough = np.cumsum(draws[clips], axis=0, dtype=np.uint32) > most_false
    if not len(clips) or not enough[-1].all():
        return -np.inf
    return float(greatest[clips[enough.argmax(axis=0)]].min())


def steps_of_tag(
    tag: int, above: float, scores: FramewiseScores, truth: Sequence[Intervals], others: Sequence[int], shares: Shares
) -> TagSteps:
    """A tag's steps at scores above some; `others` are the tags that it can trigger, and may hold itself."""
    events = truth[tag]
    own = runs(_cut(scores.line(tag, events.clip), above))
    relevant = is_relevant(own.events, events, shares.dtc)
    (found, event), (right, right_clip) = found_steps(events, own, relevant, shares.gtc), run_steps(own, relevant)
    decided, decided_clip = count_steps(_cut(scores.line(tag), above))
    parts = [(0, decided, decided_clip), (0, Steps(right.score, -right.change), right_clip)]
    others = [other for other in others if other != tag]
    if others:
        line = scores.line(tag, np.concatenate([truth[other].clip for other in others]))
        detections = runs(_cut(line, above))
        wrong = ~is_relevant(detections.events, events, shares.dtc)
        for other in others:
            triggering = wrong & is_relevant(detections.events, truth[other], shares.cttc or 1.0)
            parts.append((1 + other, *run_steps(detections, triggering)))
    false = joined([steps for _, steps, _ in parts])
    false_clip = np.concatenate([clip for _, _, clip in parts])
    kind = np.repeat([kind for kind, _, _ in parts], [len(clip) for _, _, clip in parts])
    return _in_order(found, events.clip[event], false, false_clip, kind)


def _cut(line: Line, above: float) -> Line:
    """The line with all scores but those above some set to -inf, which separates as the end of a clip does."""
    line.scores[line.scores <= above] = -np.inf
    return line


def _in_order(found: Steps, found_clip: Ints, false: Steps, false_clip: Ints, kind: Ints) -> TagSteps:
    """Steps by falling threshold."""
    _, point = np.unique(-np.concatenate([found.score, false.score]), return_inverse=True)
    found_at, false_at = point[: len(found_clip)] + 1, point[len(found_clip) :] + 1
    by_found, by_false = np.argsort(found_at, kind="stable"), np.argsort(false_at, kind="stable")
    stretch = np.unique(np.append(0, found_at))
    points = np.arange(int(point.max(initial=-1)) + 2)
    return TagSteps(
        found.change[by_found],
        found_clip[by_found],
        np.searchsorted(found_at[by_found], stretch, "right"),
        false.change[by_false],
        false_clip[by_false],
        kind[by_false],
        np.searchsorted(false_at[by_false], points, "right"),
        stretch,
    )
