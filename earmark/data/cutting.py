"""Long clips cut into shorter ones, labels and all; and events that end with their clip.

Computed in whole microseconds, so that a hop added a thousand times lands where it should.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.tables import clip_lengths, repeats, seconds
from earmark.errors import InputError, counted

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SECOND_US = 1_000_000
SHORTEST_S = 0.1
# What is left at the end of a recording stands alone if it lasts this long.
LAST_US = 500_000
# An event may end this much after its clip before anyone is told: tables are rounded, and so are headers.
END_TOLERANCE_S = 0.05


@dataclass(frozen=True, eq=False)
class Cut:
    """A clip table and a label table after something was done to them, and what should be known about that."""

    clips: pa.Table
    labels: pa.Table
    notes: tuple[str, ...]


def check_cut(clip_s: float | None, hop_s: float | None) -> None:
    """Raises InputError unless clips can be cut so; both None is no cut."""
    if clip_s is None and hop_s is not None:
        raise InputError(f"a hop of {hop_s:g} s needs a length of clips; give --clip-s too")
    for name, length in (("clip_s", clip_s), ("hop_s", hop_s)):
        if length is not None and not SHORTEST_S <= length < float("inf"):
            raise InputError(f"{name} must be at least {SHORTEST_S} s, got {length:g}")


def cut_clips(clips: pa.Table, labels: pa.Table, clip_s: float, hop_s: float | None = None) -> Cut:
    """Clips longer than `clip_s` as stretches of that length, with the labels that lie in each.

    What is left at the end is a clip of its own; under 0.5 s it joins the one before, so a clip that is too long by
    less than that stays as it is. Where clips leave gaps (`hop_s` over `clip_s`) so short an end is left out.

    A stretch is called `CLIP_ONSET`, the onset in milliseconds in its recording; one that is called like another clip
    gets `-2` behind. Events are cut at the edges; one that lies in several clips stands in each. Weak labels are
    repeated on every clip. A clip of unknown length stays as it is.

    Args:
        clips: with `duration_s`; onsets of clips that are stretches already and of their parts add up.
        labels: of clips of that table; their times start at the clip's onset.
        clip_s, hop_s: length of clips, and from one onset to the next (`clip_s` if left out); at least 0.1 s.

    Raises:
        InputError: a length is too short.
    """
    check_cut(clip_s, hop_s)
    plan = _plan(clips, round(clip_s * SECOND_US), round((hop_s or clip_s) * SECOND_US))
    if not plan.is_cut.any():
        return Cut(clips, labels, (f"cut: none; no clip is longer than {clip_s:g} s by half a second",))
    stretches, num_renamed = _stretches(clips, plan)
    pieces, notes = _labels_of_stretches(clips, labels, plan, stretches["clip"])
    length = f"{clip_s:g} s" + ("" if hop_s in (None, clip_s) else f" every {hop_s:g} s")
    made = plan.count[plan.is_cut]
    said = [f"cut: {len(made)} of {counted(clips.num_rows, 'clip')} into {made.sum()} of {length}", *notes]
    if num_renamed:
        said.append(f'{num_renamed} stretches would be called like another clip and have "-2" behind their names')
    return Cut(stretches, pieces, tuple(said))


def end_events(clips: pa.Table, labels: pa.Table) -> tuple[pa.Table, list[str]]:
    """The labels without what lies past the end of its clip, and notes on that.

    An event that begins at or after the end is left out; one that ends later ends with the clip. Clips of unknown
    length, and labels without times, stay as they are.
    """
    row, onset, offset = _clip_rows(clips, labels), _seconds(labels["onset"]), _seconds(labels["offset"])
    end = clip_lengths(clips)[row]
    # Comparisons with NaN (a weak label, a length not known) are false.
    outside, late = onset >= end, offset > end
    if not late.any():
        return labels, []
    notes = []
    if outside.any():
        notes.append(
            f"left out: {counted(int(outside.sum()), 'event')} at or after the end of the clip "
            f"({_first_event(labels, onset, end, outside)})"
        )
    told = late & ~outside & (offset > end + END_TOLERANCE_S)
    if told.any():
        notes.append(
            f"cut to the clip: {counted(int(told.sum()), 'event')} with an end more than {END_TOLERANCE_S} s after it "
            f"({_first_event(labels, offset, end, told)})"
        )
    ended = _with_columns(labels, {"offset": _times(np.where(late, end, offset))}).filter(pa.array(~outside))
    ended, same = _said_once(ended, row[~outside])
    return ended, [*notes, *same]


@dataclass(frozen=True, eq=False)
class _Plan:
    """How clips are cut, in microseconds.

    Attributes:
        is_cut, count: of every clip, whether it is cut and into how many, (clip,).
        first: the place of its first stretch among all, (clip,).
        start, end: of every stretch within its clip, (stretch,); of no meaning for clips that stay.
        parent: the clip that a stretch is of, (stretch,).
    """

    clip_us: int
    hop_us: int
    is_cut: BoolArray
    count: IntArray
    first: IntArray
    start: IntArray
    end: IntArray
    parent: IntArray


def _plan(clips: pa.Table, clip_us: int, hop_us: int) -> _Plan:
    length = np.rint(np.nan_to_num(clip_lengths(clips)) * SECOND_US).astype(np.int64)
    is_cut = length >= clip_us + LAST_US
    whole = np.where(is_cut, (length - clip_us) // hop_us + 1, 1)
    has_gaps = hop_us > clip_us
    # What no whole stretch covers; after a gap, what lies in the stretch that would come next.
    left = length - (whole * hop_us if has_gaps else (whole - 1) * hop_us + clip_us)
    has_rest = is_cut & (left >= LAST_US)
    count = whole + has_rest
    first = np.cumsum(count) - count
    parent = np.repeat(np.arange(len(count)), count)
    start = (np.arange(len(parent)) - first[parent]) * hop_us
    end = start + clip_us
    last = first + count - 1
    end[last] = np.where(has_rest | (not has_gaps), length, end[last])
    return _Plan(clip_us, hop_us, is_cut, count, first, start, end, parent)


def _stretches(clips: pa.Table, plan: _Plan) -> tuple[pa.Table, int]:
    """The clip table after the cut, and how many stretches could not have their own name."""
    table = clips.take(pa.array(plan.parent))
    is_cut = plan.is_cut[plan.parent]
    base = np.rint(np.nan_to_num(_seconds(table["onset"])) * SECOND_US).astype(np.int64)
    start, end = base + plan.start, base + plan.end
    number = pa.array(start // 1000).cast(pa.string())
    names = pc.if_else(pa.array(is_cut), pc.binary_join_element_wise(table["clip"], number, "_"), table["clip"])
    names, num_renamed = _unique_names(names, is_cut)
    columns = {
        "clip": names,
        "onset": _times(np.where(is_cut, start / SECOND_US, _seconds(table["onset"]))),
        "offset": _times(np.where(is_cut, end / SECOND_US, _seconds(table["offset"]))),
    }
    return _with_columns(table, columns), num_renamed


def _unique_names(names: pa.ChunkedArray, is_cut: BoolArray) -> tuple[pa.ChunkedArray, int]:
    """Names of which none stands twice. Two stretches never share one, so only whole clips' names are in the way."""
    clashing = np.flatnonzero(is_cut & np.asarray(pc.is_in(names, names.filter(pa.array(~is_cut))), dtype=np.bool_))
    if not len(clashing):
        return names, 0
    listed = names.to_pylist()
    taken = set(listed)
    for index in clashing:
        numbered = (f"{listed[index]}-{number}" for number in itertools.count(2))
        listed[index] = next(name for name in numbered if name not in taken)
        taken.add(listed[index])
    return pa.chunked_array([pa.array(listed, pa.string())]), len(clashing)


class _Pieces(NamedTuple):
    """What becomes of labels: each stands in one stretch or in several, (piece,).

    Attributes:
        label: row of the label table.
        stretch: the stretch it stands in.
        onset, offset: seconds in the stretch, NaN where weak.
    """

    label: IntArray
    stretch: IntArray
    onset: FloatArray
    offset: FloatArray


def _labels_of_stretches(
    clips: pa.Table, labels: pa.Table, plan: _Plan, names: pa.ChunkedArray
) -> tuple[pa.Table, list[str]]:
    """The label table after the cut, in the order of its clips, and what should be known of it."""
    row = _clip_rows(clips, labels)
    is_event = np.asarray(labels["onset"].is_valid(), dtype=np.bool_)
    cut_event, weak_of_cut = plan.is_cut[row] & is_event, plan.is_cut[row] & ~is_event
    onset, offset = _seconds(labels["onset"]), _seconds(labels["offset"])
    events, notes = _parts_of_events(onset, offset, row, np.flatnonzero(cut_event), plan)
    others = _repeated(onset, offset, row, np.flatnonzero(~cut_event), plan)
    pieces = _Pieces(*(np.concatenate(pair) for pair in zip(events, others, strict=True)))
    order = np.lexsort((pieces.label, pieces.stretch))
    columns = {
        "clip": names.take(pa.array(pieces.stretch[order])),
        "onset": _times(pieces.onset[order]),
        "offset": _times(pieces.offset[order]),
    }
    table = _with_columns(labels.take(pa.array(pieces.label[order])), columns)
    table, same = _said_once(table, pieces.stretch[order])
    if weak_of_cut.any():
        notes.append(
            f"weak labels of clips that are cut: {int(weak_of_cut.sum())}, repeated on every part "
            f"({int(plan.count[row[weak_of_cut]].sum())} in all); which parts hold the tag is a guess"
        )
    return table, [*notes, *same]


def _repeated(onset: FloatArray, offset: FloatArray, row: IntArray, labels: IntArray, plan: _Plan) -> _Pieces:
    """Some labels on every stretch of their clip, at the times that they have."""
    count = plan.count[row[labels]]
    label = np.repeat(labels, count)
    stretch = np.repeat(plan.first[row[labels]], count) + _numbered(count)
    return _Pieces(label, stretch, onset[label], offset[label])


def _parts_of_events(
    onset: FloatArray, offset: FloatArray, row: IntArray, labels: IntArray, plan: _Plan
) -> tuple[_Pieces, list[str]]:
    """Some events in all stretches that they reach into, cut at the edges."""
    onset_us, offset_us = (np.rint(times[labels] * SECOND_US).astype(np.int64) for times in (onset, offset))
    # Stretch k begins at k hops; the last one may end later than the others.
    last = plan.count[row[labels]] - 1
    low = np.clip((onset_us - plan.clip_us) // plan.hop_us + 1, 0, last)
    high = np.clip((offset_us - 1) // plan.hop_us, low, last)
    event = np.repeat(np.arange(len(labels)), high - low + 1)
    stretch = (plan.first[row[labels]] + low)[event] + _numbered(high - low + 1)
    start, end = plan.start[stretch], plan.end[stretch]
    onset_in = np.maximum(onset_us[event], start)
    offset_in = np.minimum(offset_us[event], end)
    # In a gap between two stretches nothing is left of it.
    there = onset_in < offset_in
    is_part = there & ((onset_in > onset_us[event]) | (offset_in < offset_us[event]))
    num_crossing = len(np.unique(event[is_part]))
    num_lost = len(labels) - len(np.unique(event[there]))
    notes = [f"events crossing an edge: {num_crossing} cut"] if len(labels) else []
    if num_lost:
        notes.append(f"left out: {counted(num_lost, 'event')} in no clip")
    times = ((onset_in - start)[there] / SECOND_US, (offset_in - start)[there] / SECOND_US)
    return _Pieces(labels[event][there], stretch[there], *times), notes


def _numbered(count: IntArray) -> IntArray:
    """0, 1, ... count - 1 for every count, one after another."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)


def _said_once(labels: pa.Table, row: IntArray) -> tuple[pa.Table, list[str]]:
    """The labels without those that say what an earlier one says, and a note on these; `row` numbers their clips."""
    tag = np.asarray(labels["tag"].combine_chunks().dictionary_encode().indices, dtype=np.int64)
    again, _ = repeats([row, tag, *(np.nan_to_num(_seconds(labels[name]), nan=-1.0) for name in ("onset", "offset"))])
    if not again.any():
        return labels, []
    note = f"left out: {counted(int(again.sum()), 'label')}, the same as another one that ends with the clip"
    return labels.filter(pa.array(~again)), [note]


def _first_event(labels: pa.Table, time_s: FloatArray, end: FloatArray, among: BoolArray) -> str:
    index = int(np.argmax(among))
    tag, clip = labels["tag"][index], labels["clip"][index]
    return f'first: "{tag}" at {seconds(time_s[index])} s in "{clip}", which lasts {seconds(end[index])} s'


def _clip_rows(clips: pa.Table, labels: pa.Table) -> IntArray:
    return np.asarray(pc.index_in(labels["clip"], clips["clip"].combine_chunks()), dtype=np.int64)


def _seconds(column: pa.ChunkedArray) -> FloatArray:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _times(values: FloatArray) -> pa.Array:
    return pa.array(values, from_pandas=True)


def _with_columns(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table
