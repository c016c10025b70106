"""What corrected labels say of the clips of a data set, whatever file they stood in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.corrections.clip_names import ClipNames, FloatArray, IntArray, Pieces
from earmark.data.formats.beside import Tally
from earmark.data.statements import WEAK, Statements
from earmark.errors import InputError

TOLERANCE_S = 0.0005
"""Times this near are the same: tables are rounded to milliseconds."""

# So many pairs of event and piece are looked at in one go.
_BLOCK_PAIRS = 1 << 22


@dataclass(frozen=True, eq=False)
class Corrected:
    """What corrected labels say.

    Attributes:
        said: each statement once; value 1, or 0 for one that is to go.
        named: rows of the clips that something is said of, ascending.
        is_complete: `said` is all that holds of the clips named; else each statement is one correction.
        has_times: the source can say when; else a tag stands for all that is in force of it.
        unknown: names that fit no clip and no recording, or several recordings.
        notes: what was left out or cut.
    """

    said: Statements
    named: IntArray
    is_complete: bool
    has_times: bool
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Named:
    """Events of what their names mean, still on the clock of the names.

    Attributes:
        names: what recordings or clips are called.
        name: which of the names each event is of, (event,).
        tag: place in the vocabulary, (event,).
        times_s: onset and offset, both NaN where weak, (2, event).
    """

    names: Sequence[str]
    name: IntArray
    tag: IntArray
    times_s: FloatArray


def in_clips(events: Named, pieces: Pieces, tally: Tally) -> tuple[IntArray, IntArray, Statements]:
    """The statements that events make of the clips that their names mean, and the event and the piece of each.

    An event of a recording is cut at the edges of the clips and stands in each that it lies in. What is left of it in a
    clip must be longer than the tolerance: a table rounded to milliseconds may reach over an edge by that much.
    """
    count = pieces.counts[events.name]
    block = np.cumsum(count) // _BLOCK_PAIRS
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    parts = [_in_clips(events, pieces, some) for some in np.split(np.arange(len(block)), starts[1:])]
    event, piece, times_s, is_cut = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    cut, lost = np.unique(event[is_cut]), np.setdiff1d(np.flatnonzero(count), event)
    for remark, some in (("events cut at the edge of a clip", cut), ("left out: events outside every clip", lost)):
        if len(some):
            tally.add(remark, f'"{events.names[events.name[some[0]]]}"', len(some))
    value = np.ones(len(event), np.float32)
    tag = events.tag[event].astype(np.int32)
    return event, piece, Statements(pieces.row[piece], tag, times_s[0], times_s[1], value)


def _in_clips(
    events: Named, pieces: Pieces, some: IntArray
) -> tuple[IntArray, IntArray, FloatArray, npt.NDArray[np.bool_]]:
    """Event, piece, times in the clip and whether it was cut, of every statement that some events make."""
    count = pieces.counts[events.name[some]]
    event, piece = np.repeat(some, count), ranges(pieces.indptr[events.name[some]], count)
    onset_s, offset_s = events.times_s[:, event]
    begin_s, end_s = pieces.begin_s[piece], pieces.end_s[piece]
    first_s, last_s = np.maximum(onset_s, begin_s), np.minimum(offset_s, end_s)
    is_weak = np.isnan(onset_s)
    kept = is_weak | ((first_s == onset_s) & (last_s == offset_s)) | (last_s - first_s > TOLERANCE_S)
    is_cut = (first_s - onset_s > TOLERANCE_S) | (offset_s - last_s > TOLERANCE_S)
    times_s = np.stack([first_s, last_s])
    # A difference of two times has rounding in it.
    times_s = np.where(begin_s > 0, np.round(times_s - begin_s, 6), times_s)
    times_s[:, is_weak] = WEAK
    return event[kept], piece[kept], times_s[:, kept], is_cut[kept]


def unknown_names(source: object, names: Sequence[str], counts: IntArray, lookup: ClipNames) -> tuple[str, ...]:
    """The names that mean no clip.

    Raises:
        InputError: there is no name that means one.
    """
    unknown = tuple(name for name, count in zip(names, counts, strict=True) if not count)
    if len(unknown) == len(names):
        what = f'none of {len(names)} is one, first "{names[0]}"{lookup.nearest(names[0])}' if names else "names none"
        raise InputError(f"{source}: must name clips or recordings of the data set; {what}")
    return unknown


def ranges(start: IntArray, count: IntArray) -> IntArray:
    """The numbers from each start on, as many as its count, one after another.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    place: IntArray = np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)
    return place
