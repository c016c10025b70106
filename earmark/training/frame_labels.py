"""Targets of clips and of their score frames: events with times where they are known, clip labels everywhere."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.clips import IntArray
from earmark.data.frames import framewise
from earmark.data.statements import WEAK, Statements
from earmark.timing import frames_covering
from earmark.training.targets import FrameTargets, Origin, Targets, WeakLabels

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

CUT_S = 0.001


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """The labels of excerpts, of a clip as a whole and of its score frames.

    An excerpt of a clip whose events are labelled has the tags that sound in it. Every other has its clip's, also
    where a model has found events: these are no labels of the clip.

    Attributes:
        weak: the clip labels, and what the excerpts are.
        events: statements in force, in their order; those without times are passed over.
        origin: of each clip of the data set, an `Origin`, (clip,).
        hop_samples: length of a score frame.
    """

    weak: WeakLabels
    events: Statements
    origin: IntArray
    hop_samples: int
    rate_hz: int

    @cached_property
    def num_frames(self) -> int:
        """Score frames of the longest excerpt: targets have so many, whatever the batch."""
        return frames_covering(int(self.weak.excerpts.num_samples.max(initial=0)), self.hop_samples, self.rate_hz)

    def at(self, positions: IntArray) -> Targets:
        """The targets of the excerpts at these positions, in their order."""
        clipwise = self.weak.at(positions)
        values, weight = self._frames(positions, clipwise.clipwise.shape[1])
        weight *= clipwise.clipwise_weight[:, None].numpy()
        rows = self.weak.excerpts.clip_index[positions]
        origin = self.origin[rows]
        # A tag that a strong clip has without times sounds somewhere in it: of its frames nothing is known.
        timeless = (clipwise.clipwise.numpy() > 0) & ~self._has_times(rows, values.shape[2])
        weight *= ~timeless[:, None]
        labelled = (origin == Origin.LABELS)[:, None] & ~timeless
        of_clip = torch.from_numpy(np.where(labelled, values.max(axis=1, initial=0), clipwise.clipwise.numpy()))
        frames = FrameTargets(torch.from_numpy(values), torch.from_numpy(weight), torch.from_numpy(origin))
        return Targets(of_clip, clipwise.clipwise_weight, frames=frames)

    def _frames(self, positions: IntArray, num_tags: int) -> tuple[FloatArray, FloatArray]:
        """Values and weights, (excerpt, frame, tag); the weight of a frame past its excerpt's end is 0."""
        values = np.zeros((len(positions), self.num_frames, num_tags), np.float32)
        weight = np.zeros_like(values)
        excerpts = self.weak.excerpts.at(positions)
        for place, (row, onset, samples) in enumerate(
            zip(excerpts.clip_index, excerpts.onset_samples, excerpts.num_samples, strict=True)
        ):
            if self.origin[row] == Origin.NONE:
                continue
            found = framewise(
                self._events_in(int(row), onset / self.rate_hz, (onset + samples) / self.rate_hz),
                num_tags=num_tags,
                num_samples=int(samples),
                hop_samples=self.hop_samples,
                rate_hz=self.rate_hz,
            )
            values[place, : len(found)], weight[place, : len(found)] = found, 1
        return values, weight

    def _events_in(self, row: int, begin_s: float, end_s: float) -> Statements:
        """A clip's events between two moments, their times counted from the first.

        Where a clip is cut, what reaches less than a millisecond over the cut is not there: tables hold no more.
        """
        own = self._timed.of_clip(row)
        own = own.at(own.offset > begin_s + (CUT_S if begin_s > 0 else 0))
        if self._is_cut[row]:
            own = own.at(own.onset < end_s - CUT_S)
        onset, offset = np.maximum(own.onset - begin_s, 0), own.offset - begin_s
        return Statements(own.clip_index, own.tag_index, onset, offset, own.value)

    @cached_property
    def _is_cut(self) -> BoolArray:
        """The clips that are several excerpts, bool (clip,)."""
        return np.bincount(self.weak.excerpts.clip_index, minlength=len(self.origin)) > 1

    def _has_times(self, rows: IntArray, num_tags: int) -> BoolArray:
        """Which tags have events in each clip, (clip, tag)."""
        has = np.zeros((len(rows), num_tags), np.bool_)
        for place, row in enumerate(rows):
            has[place, self._timed.of_clip(int(row)).tag_index] = True
        return has

    @cached_property
    def _timed(self) -> Statements:
        return self.events.at(self.events.onset != WEAK)
