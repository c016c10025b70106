"""The events of one recording as they end, from its framewise scores as they come, in memory of one filter's length.

The median of an odd number of scores reaches a threshold exactly where more than half of them do. So nothing is
sorted: the filter is a vote of the frames around, counted by running sums, however long it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.frames import runs_of_frames
from earmark.events.decisions import EventDecisions, FloatArray, widths_in_frames

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Event:
    """A sound in a recording.

    Attributes:
        onset, offset: seconds from the recording's start, half open.
        score: the greatest of its frames, as the model gave them, before any filter.
    """

    path: str
    onset: float
    offset: float
    tag: str
    score: float


class EventStream:
    """Decides on the frames of a recording as they come; the same events as `decided_events` of all of them.

    Args:
        path: the recording, as its events name it.
        step_samples: of a score frame.
    """

    def __init__(self, path: str, decisions: EventDecisions, step_samples: int, rate_hz: int) -> None:
        self._path = path
        self._tags = decisions.tags
        self._step_samples = step_samples
        self._rate_hz = rate_hz
        # As single precision, which is how scores are compared everywhere else too.
        self._thresholds = np.array(decisions.thresholds, np.float32)
        self._halves = widths_in_frames(decisions.median_filter_s, step_samples, rate_hz) // 2
        self._reach = int(self._halves.max())
        self._held = np.empty((0, len(self._tags)), np.float32)
        self._is_begun = False
        self._num_decided = 0
        # By tag: the first frame of an event that has not ended, and its greatest score so far.
        self._open: dict[int, tuple[int, float]] = {}

    def add(self, scores: FloatArray) -> list[Event]:
        """The events that have ended for sure, in the order of their ends, now that these frames follow (frame, tag).

        Frames wait until the longest filter has all that it needs of those behind them.
        """
        self._held = np.concatenate([self._held, scores])
        if not self._is_begun:
            if len(self._held) <= self._reach:
                return []
            self._held = np.concatenate([self._held[: self._reach][::-1], self._held])
            self._is_begun = True
        return self._decided()

    def finish(self, num_samples: int) -> list[Event]:
        """The events that are left, now that the recording has ended after so many samples."""
        if self._is_begun:
            mirrored = self._held[len(self._held) - self._reach :][::-1]
            self._held = np.concatenate([self._held, mirrored])
        else:
            self._held = np.pad(self._held, ((self._reach, self._reach), (0, 0)), mode="symmetric")
        ended = self._decided()
        last = [self._event(tag, begun, num_samples) for tag, begun in sorted(self._open.items())]
        self._open = {}
        return ended + last

    def _decided(self) -> list[Event]:
        """Decides on the frames held that have all their neighbours, and keeps those that others still need."""
        end = len(self._held) - self._reach
        ended = self._ended(self._vote(self._held >= self._thresholds), self._held[self._reach : end])
        self._num_decided += end - self._reach
        self._held = self._held[end - self._reach :].copy()
        return ended

    def _vote(self, reached: BoolArray) -> BoolArray:
        """Whether more than half of the frames in each filter reach the threshold, of all frames but those at ends."""
        sums = np.zeros((len(reached) + 1, len(self._tags)), np.int32)
        np.cumsum(reached, axis=0, out=sums[1:])
        frame = np.arange(self._reach, len(reached) - self._reach)[:, None]
        votes = np.take_along_axis(sums, frame + self._halves + 1, 0) - np.take_along_axis(
            sums, frame - self._halves, 0
        )
        return np.asarray(votes > self._halves)

    def _ended(self, decided: BoolArray, scores: FloatArray) -> list[Event]:
        """The events that end among these frames (frame, tag); those that last to their end stay open."""
        ends: list[tuple[int, int, tuple[int, float]]] = []
        for tag in sorted(self._open):
            if len(decided) and not decided[0, tag]:
                ends.append((self._num_decided, tag, self._open.pop(tag)))
        for tag, first, end in np.stack(runs_of_frames(decided), axis=1).tolist():
            onset, before = self._open.pop(tag, (self._num_decided + first, 0.0))
            run = (onset, max(before, float(scores[first:end, tag].max())))
            if end == len(decided):
                self._open[tag] = run
            else:
                ends.append((self._num_decided + end, tag, run))
        return [self._event(tag, run, frame * self._step_samples) for frame, tag, run in sorted(ends)]

    def _event(self, tag: int, run: tuple[int, float], end_samples: int) -> Event:
        first, score = run
        onset = first * self._step_samples / self._rate_hz
        return Event(self._path, onset, end_samples / self._rate_hz, self._tags[tag], score)
