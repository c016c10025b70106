"""Events of recordings, put back together from what was cut from them.

An event that lies within a clip, away from both of its edges, is whole and stays as it is. One that reaches an edge may
be a part: where a longer one of the same tag begins, or ends, with it, it is a part of that; else parts whose cut ends
meet, or share time, are one event. A part that was not cut at its onset begins an event of its own.
"""

from dataclasses import dataclass, fields

import numpy as np

from earmark.data.statements import BoolArray, IntArray
from earmark.data.tables import repeats

# Times that a table rounded to milliseconds are the same.
SAME_US = 500


@dataclass(frozen=True, eq=False)
class Pieces:
    """Events, or pieces of them, on the clock of their recording in whole microseconds.

    Attributes:
        recording, tag_index, clip: by number, (piece,).
        onset_us, offset_us: (piece,).
        cut_onset, cut_offset: whether the event may begin before the piece, or end after it, (piece,).
        is_event: False for a label without times, which speaks of its own clip and of no other, (piece,).
    """

    recording: IntArray
    tag_index: IntArray
    clip: IntArray
    onset_us: IntArray
    offset_us: IntArray
    cut_onset: BoolArray
    cut_offset: BoolArray
    is_event: BoolArray

    def __len__(self) -> int:
        return len(self.recording)

    def at(self, rows: IntArray | BoolArray) -> "Pieces":
        """Some of the pieces, in the order asked for."""
        return Pieces(*(getattr(self, field.name)[rows] for field in fields(self)))


def joined(pieces: Pieces) -> tuple[Pieces, int]:
    """The events by recording, onset, offset and tag, and how many ends of events lie within another one now.

    The latter are of events that share time with another of their tag, where nothing tells which part is whose.
    """
    events, labels = pieces.at(pieces.is_event), pieces.at(~pieces.is_event)
    set_ = events.recording * (int(events.tag_index.max(initial=0)) + 1) + events.tag_index
    parts = _Parts(events, set_, _nearest(set_, events.onset_us), _nearest(set_, events.offset_us))
    parts = parts.at(~_said_again(parts))
    is_whole = ~(parts.pieces.cut_onset | parts.pieces.cut_offset)
    cut = parts.at(~is_whole & ~_within_others(parts))
    runs = _runs(cut)
    whole = _concatenated(parts.pieces.at(is_whole), runs.pieces, labels)
    again, _ = repeats([whole.recording, whole.tag_index, whole.onset_us, whole.offset_us])
    whole = whole.at(~again)
    ends = {*zip(parts.set_[is_whole], parts.offset[is_whole], strict=True), *zip(runs.set_, runs.offset, strict=True)}
    known = ~cut.pieces.cut_offset
    hidden = {*zip(cut.set_[known], cut.offset[known], strict=True)} - ends
    return whole.at(np.lexsort((whole.tag_index, whole.offset_us, whole.onset_us, whole.recording))), len(hidden)


@dataclass(frozen=True, eq=False)
class _Parts:
    """Pieces with the number of their recording and tag, and their times, those that are the same made equal."""

    pieces: Pieces
    set_: IntArray
    onset: IntArray
    offset: IntArray

    def at(self, rows: IntArray | BoolArray) -> "_Parts":
        return _Parts(self.pieces.at(rows), self.set_[rows], self.onset[rows], self.offset[rows])


def _nearest(set_: IntArray, time_us: IntArray) -> IntArray:
    """The first of the times of a set that are the same, for every time."""
    order = np.lexsort((time_us, set_))
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (np.diff(set_[order]) != 0) | (np.diff(time_us[order]) > SAME_US)
    nearest = np.empty_like(time_us)
    nearest[order] = time_us[order][np.maximum.accumulate(np.where(is_new, np.arange(len(order)), 0))]
    return nearest


def _said_again(parts: _Parts) -> BoolArray:
    """Which pieces another clip has already; those of one clip are never the same event, however near."""
    pieces = parts.pieces
    flags = pieces.cut_onset * 2 + pieces.cut_offset
    _, first = repeats([parts.set_, parts.onset, parts.offset, flags.astype(np.int64)])
    again: BoolArray = pieces.clip != pieces.clip[first]
    return again


def _within_others(parts: _Parts) -> BoolArray:
    """Which pieces lie in a longer one that has the ends which they know (or in one as long that knows both)."""
    cut_onset, cut_offset = parts.pieces.cut_onset, parts.pieces.cut_offset
    is_whole = ~(cut_onset | cut_offset)
    by_onset = _surpassed(parts.set_, parts.onset, 2 * parts.offset + is_whole, ~cut_onset)
    by_offset = _surpassed(parts.set_, parts.offset, is_whole - 2 * parts.onset, ~cut_offset)
    order = np.lexsort((cut_onset & cut_offset, -parts.offset, parts.onset, parts.set_))
    is_same = np.zeros(len(order), np.bool_)
    is_same[1:] = np.diff(parts.set_[order]) == 0
    contained = np.zeros(len(order), np.bool_)
    contained[order[1:]] = (is_same & (parts.offset[order] <= np.roll(latest(parts.offset[order], is_same), 1)))[1:]
    within: BoolArray = np.where(cut_onset, np.where(cut_offset, contained, by_offset), by_onset)
    return within & ~is_whole


def _surpassed(set_: IntArray, end: IntArray, reach: IntArray, knows: BoolArray) -> BoolArray:
    """Which pieces reach less far than another of their set that has the same end and knows it."""
    _, first = repeats([set_, end])
    most = np.full(len(set_), np.iinfo(np.int64).min)
    np.maximum.at(most, first[knows], reach[knows])
    surpassed: BoolArray = most[first] > reach
    return surpassed


def _runs(cut: _Parts) -> _Parts:
    """Parts that go on in one another, as one each."""
    pieces = cut.pieces
    cut = cut.at(np.lexsort((cut.offset, pieces.cut_onset, cut.onset, cut.set_)))
    if not len(cut.set_):
        return cut
    pieces = cut.pieces
    may_go_on = pieces.cut_onset.copy()
    may_go_on[0] = False
    may_go_on[1:] &= np.diff(cut.set_) == 0
    # Only from an end that was cut does an event go on.
    open_until = latest(np.where(pieces.cut_offset, cut.offset, -2 * SAME_US), may_go_on)
    goes_on = may_go_on.copy()
    goes_on[1:] &= cut.onset[1:] <= open_until[:-1] + SAME_US
    starts = np.flatnonzero(~goes_on)
    offset_us, offset = (np.maximum.reduceat(times, starts) for times in (pieces.offset_us, cut.offset))
    first = cut.at(starts)
    columns = {field.name: getattr(first.pieces, field.name) for field in fields(Pieces)}
    return _Parts(Pieces(**{**columns, "offset_us": offset_us}), first.set_, first.onset, offset)


def latest(offset_us: IntArray, is_same: BoolArray) -> IntArray:
    """The latest offset so far, anew from every element that is not of the same set as the one before."""
    if not len(offset_us):
        return offset_us
    lift = np.cumsum(~is_same) * (int(offset_us.max()) - int(offset_us.min()) + 1)
    so_far: IntArray = np.maximum.accumulate(offset_us + lift) - lift
    return so_far


def _concatenated(*several: Pieces) -> Pieces:
    return Pieces(*(np.concatenate([getattr(one, field.name) for one in several]) for field in fields(Pieces)))
