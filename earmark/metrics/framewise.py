"""Framewise scores of clips, and the events that they give at one threshold or at all.

As the threshold falls, an event appears at a peak of the scores, grows, and ends by becoming part of a longer one. A
*run* is one such state: an onset and an offset, and the thresholds between which they stand. There are at most as many
runs as frames, so that whatever holds for events at every threshold is counted by looking at each run once.
(sed_scores_eval decodes the events anew at each distinct score of a clip.)
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError, first_few
from earmark.metrics.curves import Steps
from earmark.metrics.events import US_PER_S, Events, Intervals, Ints, durations_us, microseconds, starts

Bools = npt.NDArray[np.bool_]
ScoreArray = npt.NDArray[np.floating[Any]]


class Line(NamedTuple):
    """One tag's scores of some clips in a row, each clip between two places that score -inf; arrays are (place,).

    `edge_us` is when a frame begins, on the clock of `Events.clock_us`; at a place between clips, when the last frame
    of the clip before it ends.
    """

    scores: ScoreArray
    clip: Ints
    edge_us: Ints


class Runs(NamedTuple):
    """Events that stand while death < threshold <= birth; times on the clock of `Events.clock_us`; each is (run,)."""

    events: Intervals
    birth: ScoreArray
    death: ScoreArray


@dataclass(frozen=True, eq=False)
class FramewiseScores:
    """Scores of frames, finite, clip after clip; see `framewise_scores`.

    Attributes:
        scores: (frame, tag), the frames of all clips.
        num_frames: of each clip, int64 (clip,).
        hop_s: length of a frame.
        duration_us: of each clip, int64 (clip,).
    """

    scores: ScoreArray
    num_frames: Ints
    hop_s: float
    duration_us: Ints

    @property
    def num_tags(self) -> int:
        """Length of the vocabulary."""
        return int(self.scores.shape[1])

    @cached_property
    def clip(self) -> Ints:
        """The clip of each place of a `Line` of all clips; the place before the first clip has -1."""
        return np.append(np.int64(-1), np.repeat(np.arange(len(self.num_frames)), self.num_frames + 1))

    @cached_property
    def edge_us(self) -> Ints:
        """When the frame at each place of a `Line` of all clips begins, or a clip's last one ends."""
        step = np.arange(len(self.clip) - 1) - np.repeat(starts(self.num_frames + 1), self.num_frames + 1)
        in_clip = microseconds(step * self.hop_s)
        ends = np.cumsum(self.num_frames + 1) - 1
        last_to_end = (in_clip[ends] + microseconds(self.hop_s) > self.duration_us) & (self.num_frames > 0)
        in_clip[ends] = np.where(last_to_end, self.duration_us, in_clip[ends])
        return np.append(np.int64(0), in_clip + starts(self.duration_us)[self.clip[1:]])

    def line(self, tag: int, clips: Ints | None = None) -> Line:
        """A tag's scores of all clips, or of those that `clips` names, once or more; half precision as single."""
        column = self.scores[:, tag]
        if column.dtype == np.float16:
            column = column.astype(np.float32)
        if clips is None:
            scores = np.full(len(self.clip), -np.inf, column.dtype)
            scores[self._frame_places] = column
            return Line(scores, self.clip, self.edge_us)
        is_named = np.zeros(len(self.num_frames), np.bool_)
        is_named[clips] = True
        kept = np.append(True, is_named[self.clip[1:]])
        is_frame = np.zeros(len(self.clip), np.bool_)
        is_frame[self._frame_places] = True
        scores = np.full(np.count_nonzero(kept), -np.inf, column.dtype)
        scores[is_frame[kept]] = column[kept[self._frame_places]]
        return Line(scores, self.clip[kept], self.edge_us[kept])

    @cached_property
    def _frame_places(self) -> Ints:
        return np.arange(len(self.scores)) + np.repeat(np.arange(1, len(self.num_frames) + 1), self.num_frames)


def framewise_scores(
    scores: npt.ArrayLike, num_frames: npt.ArrayLike, *, hop_s: float, duration_s: npt.ArrayLike
) -> FramewiseScores:
    """Checked scores on the grid where frame i of a clip lasts from i * hop_s to (i + 1) * hop_s.

    A clip's last frame ends with the clip where less than another frame is missing, and where it would last longer.
    Where more is missing nothing is ever decided for the rest of the clip.

    Args:
        scores: (frame, tag), the frames of all clips, clip after clip; of any range, finite.
        num_frames: of each clip, (clip,); 0 where nothing was scored.
        hop_s: length of a frame, seconds, at least a microsecond.
        duration_s: of each clip, seconds (clip,).

    Raises:
        InputError: shapes do not fit each other, a score is not finite, or a frame begins after its clip.

    >>> grid = framewise_scores(np.zeros((7, 2)), [4, 3], hop_s=0.5, duration_s=[2.1, 1.4])
    >>> grid.edge_us[1:]
    array([      0,  500000, 1000000, 1500000, 2100000, 2100000, 2600000,
           3100000, 3500000])
    """
    values, duration_us = np.asarray(scores), durations_us(duration_s)
    if values.dtype.kind not in "biuf" or values.ndim != 2:
        raise InputError(f"scores must be numbers (frame, tag), got {values.dtype} of shape {values.shape}")
    frames = _checked_frames(np.asarray(num_frames), duration_us, hop_s)
    if frames.sum() != len(values):
        raise InputError(f"scores must hold the {frames.sum()} frames of all clips, got {len(values)}")
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if not np.isfinite(values).all():
        frame, tag = np.argwhere(~np.isfinite(values))[0]
        raise InputError(f"scores must be finite, got {values[frame, tag]} at frame {frame}, tag {tag}")
    return FramewiseScores(values, frames, hop_s, duration_us)


def _checked_frames(frames: npt.NDArray[Any], duration_us: Ints, hop_s: float) -> Ints:
    """Numbers of frames that all begin in their clips, (clip,)."""
    if frames.shape != duration_us.shape or (frames.size and (frames.dtype.kind not in "iu" or frames.min() < 0)):
        raise InputError(
            f"num_frames must be a whole number, 0 or more, for each of {len(duration_us)} clips, "
            f"got {first_few(frames.reshape(-1))}"
        )
    if not 1 <= hop_s * US_PER_S < np.inf:
        raise InputError(f"hop_s must be a microsecond or more, got {hop_s}")
    late = (microseconds((frames.astype(np.int64) - 1) * hop_s) >= duration_us) & (frames > 0)
    if late.any():
        clip = int(late.argmax())
        raise InputError(
            f"frames must begin in their clip, got {frames[clip]} frames of {hop_s} s in "
            f"{duration_us[clip] / US_PER_S} s at clip {clip}"
        )
    return frames.astype(np.int64)


def events_from_scores(scores: FramewiseScores, threshold: npt.ArrayLike) -> Events:
    """The runs of frames that score the threshold or more; at one finite number for all tags, or at one a tag.

    Raises:
        InputError: the threshold is not finite or has another shape.

    >>> grid = framewise_scores([[0.9], [0.5], [0.1]], [3], hop_s=1.0, duration_s=[3])
    >>> events_from_scores(grid, 0.5).offset_us
    array([2000000])
    """
    at = np.asarray(threshold)
    if at.shape not in ((), (scores.num_tags,)) or not np.isfinite(at).all():
        raise InputError(f"threshold must be one finite number or one for each of {scores.num_tags} tags, got {at}")
    clock_us = starts(scores.duration_us)
    parts = []
    for tag, of_tag in enumerate(np.broadcast_to(at, (scores.num_tags,))):
        line = scores.line(tag)
        decided = line.scores >= of_tag.astype(line.scores.dtype)
        first = np.flatnonzero(decided[1:] & ~decided[:-1]) + 1
        end = np.flatnonzero(decided[:-1] & ~decided[1:]) + 1
        clip = line.clip[first]
        begin_us = clock_us[clip]
        times = (line.edge_us[first] - begin_us, line.edge_us[end] - begin_us)
        parts.append(np.stack([clip, np.full(len(clip), tag), *times]))
    clips, tags, onset_us, offset_us = np.concatenate(parts, axis=1) if parts else np.zeros((4, 0), np.int64)
    return Events(clips, tags, onset_us, offset_us, scores.duration_us, scores.num_tags)


def count_steps(line: Line) -> tuple[Steps, Ints]:
    """By how much the number of events changes as the threshold falls to a score: +1 at peaks, -1 in valleys.

    Returns:
        The steps, and the clip of each.
    """
    before, here, after = line.scores[:-2], line.scores[1:-1], line.scores[2:]
    rises, goes_on = here > before, after > here
    peak, valley = rises & ~goes_on & np.isfinite(here), ~rises & goes_on & np.isfinite(here)
    place = np.concatenate([np.flatnonzero(peak), np.flatnonzero(valley)])
    change = np.where(np.arange(len(place)) < np.count_nonzero(peak), 1, -1)
    return Steps(here[place], change), line.clip[place + 1]


def runs(line: Line) -> Runs:
    """Every run of a line, once: a frame and all around it that score no less.

    >>> line = framewise_scores([[0.2], [0.9], [0.2]], [3], hop_s=1.0, duration_s=[3]).line(0)
    >>> runs(line)[0].onset_us, runs(line).birth, runs(line).death
    (array([      0, 1000000]), array([0.2, 0.9]), array([-inf,  0.2]))
    """
    scores = line.scores
    left, right = _nearest_below(scores)
    # Of frames that score alike in one run the first stands for it: those before it there all score more.
    first = np.flatnonzero(scores[left] < scores)
    left, right = left[first], right[first]
    events = Intervals(line.clip[first], line.edge_us[left + 1], line.edge_us[right])
    return Runs(events, scores[first], np.maximum(scores[left], scores[right]))


def _nearest_below(scores: ScoreArray) -> tuple[Ints, Ints]:
    """The nearest place before that scores no more, and the nearest behind that scores less, (place,).

    Each place looks at its neighbour; as long as that scores too much, so do all those that the neighbour has passed
    over, and the look goes on where the neighbour's ended. Stretches double with every round.
    """
    frames = np.flatnonzero(scores > -np.inf)
    places = np.arange(len(scores))
    left, right = places - 1, places + 1
    left[0] = 0
    looking = frames[scores[left[frames]] > scores[frames]]
    while len(looking):
        left[looking] = left[left[looking]]
        looking = looking[scores[left[looking]] > scores[looking]]
    looking = frames[scores[right[frames]] >= scores[frames]]
    while len(looking):
        right[looking] = right[right[looking]]
        looking = looking[scores[right[looking]] >= scores[looking]]
    return left, right
