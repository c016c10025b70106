"""Where a recording of one sound is active, which stretch of it is placed, and where there is room. All in samples."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.timing import samples_from_seconds

IntArray = npt.NDArray[np.int64]

FRAME_S = 0.01
LEVEL_DB = -30.0
BRIDGED_S = 0.2
SHORTEST_S = 0.03
SILENCE_DB = -60.0
# Pauses in a part are shorter than .2 s, so that a cut of this length holds an active frame wherever it lies in a part.
SHORTEST_CUT_S = 0.25


def active_parts(
    waveform: npt.NDArray[np.int16], rate_hz: int, level_db: float = LEVEL_DB, silence_db: float = SILENCE_DB
) -> IntArray:
    """Onset and offset of every active part, int64 (part, 2), in samples, half open, ascending.

    Active are frames of 10 ms whose RMS is at most 30 dB below that of the recording's own loudest frame; so edges lie
    on a grid of 10 ms. Parts less than .2 s apart are one (words, blows of a hammer, the dips of rain). Before the
    first part of 30 ms and after the last one shorter parts are left away, unless there is no longer one (a click may
    be the sound itself); so all that sounds from the first part to the last is in a part.

    Why 30 dB: in a mixture an event lies 30 dB above its background at most, so what is quieter is not heard there.
    On ESC-10 rain, waves, helicopters and chainsaws are then one part, barks and the ticks of a clean clock one each,
    and reverberation ends with the part; 5 dB less breaks crackling fires up, 5 dB more joins barks through the noise
    between them. A recording whose own noise comes within 30 dB of its peak is one part: its events cannot be told
    from it by level.

    Args:
        waveform: (sample,).
        level_db: the lowest level of an active frame, relative to the loudest.
        silence_db: the lowest level of the loudest frame, dB of full scale.

    Returns:
        No part at all where the loudest frame is below `silence_db`: its noise would be made as loud as a sound.
    """
    frame = samples_from_seconds(FRAME_S, rate_hz)
    power = _frame_power(waveform, frame)
    if power.max(initial=0.0) < 10 ** (silence_db / 10):
        return np.empty((0, 2), np.int64)
    is_active = power >= power.max(initial=0.0) * 10 ** (level_db / 10)
    edges = np.flatnonzero(np.diff(is_active, prepend=False, append=False))
    parts = np.minimum(edges.reshape(-1, 2) * frame, len(waveform))
    parts = _bridged(parts, samples_from_seconds(BRIDGED_S, rate_hz))
    long = np.flatnonzero(np.diff(parts)[:, 0] >= samples_from_seconds(SHORTEST_S, rate_hz))
    return parts[long[0] : long[-1] + 1] if len(long) else parts


def _frame_power(waveform: npt.NDArray[np.int16], frame: int) -> npt.NDArray[np.float64]:
    """The mean square of every frame, 1 at full scale; the last frame is filled up with zeros."""
    padded = np.zeros(-(-len(waveform) // frame) * frame, np.float64)
    padded[: len(waveform)] = waveform
    return np.asarray(np.square(padded.reshape(-1, frame) / 32768).mean(axis=1))


def _bridged(parts: IntArray, gap: int) -> IntArray:
    """The parts with those joined that are less than `gap` samples apart."""
    is_apart = parts[1:, 0] - parts[:-1, 1] >= gap
    onsets = parts[np.append(True, is_apart), 0]
    offsets = parts[np.append(is_apart, True), 1]
    return np.stack([onsets, offsets], axis=1)


@dataclass(frozen=True, eq=False)
class Stretch:
    """What of a recording is placed.

    Attributes:
        onset, offset: in the recording; with the margins that the fades lie in.
        parts: active parts inside, in the recording, int64 (part, 2).
    """

    onset: int
    offset: int
    parts: IntArray

    def __len__(self) -> int:
        return self.offset - self.onset


def draw_stretch(
    waveform: npt.NDArray[np.int16], rate_hz: int, parts: IntArray, longest: int, fade: int, draw: np.random.Generator
) -> Stretch:
    """The stretch from the first to the last active part, or one of at most `longest` samples from a random place.

    It begins with a part and holds whole parts only; but a part that is itself too long is cut anywhere, and the cut
    is searched for active parts anew, so that it does not begin with a pause. A margin of `fade` samples is added where
    the recording goes on, so that the fades spare the event; at a cut, and at the recording's own ends, they lie in it.

    Args:
        waveform: of the recording, (sample,).
        parts: its active parts, (part, 2), at least one.
        longest: at least `SHORTEST_CUT_S`, without the margins.
    """
    lowest, highest = 0, len(waveform)
    if parts[-1, 1] - parts[0, 0] > longest:
        onset, offset = parts[draw.integers(len(parts))].tolist()
        if offset - onset > longest:
            lowest = onset + int(draw.integers(offset - onset - longest + 1))
            highest = lowest + longest
            parts = active_parts(waveform[lowest:highest], rate_hz, silence_db=-math.inf) + lowest
        else:
            parts = parts[(parts[:, 0] >= onset) & (parts[:, 1] <= onset + longest)]
    return Stretch(max(int(parts[0, 0]) - fade, lowest), min(int(parts[-1, 1]) + fade, highest), parts)


def draw_onset(placed: IntArray, length: int, total: int, max_overlap: int, draw: np.random.Generator) -> int | None:
    """An onset drawn uniformly from all that keep to `max_overlap`, or None where there is none.

    Args:
        placed: onset and offset of what is placed already, (stretch, 2).
        length: of the stretch to place, which lies wholly within the `total` samples.
        max_overlap: how many may sound at once.
    """
    free = free_onsets(placed, length, total, max_overlap)
    sizes = free[:, 1] - free[:, 0]
    if not len(free):
        return None
    place = int(draw.integers(sizes.sum()))
    which = int(np.searchsorted(np.cumsum(sizes), place, side="right"))
    return int(free[which, 0]) + place - int(sizes[:which].sum())


def free_onsets(placed: IntArray, length: int, total: int, max_overlap: int) -> IntArray:
    """The onsets that keep to `max_overlap`, as half-open ranges, int64 (range, 2), ascending.

    >>> free_onsets(np.array([[40, 50]]), length=10, total=100, max_overlap=1).tolist()
    [[0, 31], [50, 91]]
    """
    gaps = free_gaps(placed, total, max_overlap)
    gaps = gaps[gaps[:, 1] - gaps[:, 0] >= length]
    return np.stack([gaps[:, 0], gaps[:, 1] - length + 1], axis=1)


def free_gaps(placed: IntArray, total: int, max_overlap: int) -> IntArray:
    """Where fewer than `max_overlap` sound, as half-open ranges, int64 (gap, 2), ascending.

    >>> free_gaps(np.array([[40, 50], [0, 10]]), total=100, max_overlap=1).tolist()
    [[10, 40], [50, 100]]
    """
    edges = np.unique(np.append(placed, [0, total]))
    sounding = ((placed[:, :1] <= edges[:-1]) & (edges[:-1] < placed[:, 1:])).sum(axis=0)
    ends = np.flatnonzero(np.diff(sounding < max_overlap, prepend=False, append=False))
    return np.asarray(edges[ends].reshape(-1, 2), dtype=np.int64)
