"""Which stretch of a recording is placed into a soundscape, and where there is room for it. All in samples."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.synthesis.activity import active_parts

IntArray = npt.NDArray[np.int64]


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
        longest: at least half a second's, without the margins.
    """
    lowest, highest = 0, len(waveform)
    if parts[-1, 1] - parts[0, 0] > longest:
        onset, offset = parts[draw.integers(len(parts))].tolist()
        if offset - onset > longest:
            lowest = onset + int(draw.integers(offset - onset - longest + 1))
            highest = lowest + longest
            found = active_parts(waveform[lowest:highest], rate_hz) + lowest
            parts = found if len(found) else np.array([[lowest, highest]])
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
    edges = np.unique(placed)
    sounding = ((placed[:, :1] <= edges) & (edges < placed[:, 1:])).sum(axis=0)
    free = []
    earliest = 0
    for k in np.flatnonzero(sounding >= max_overlap):
        # Full from edges[k] to the next edge: there is always one, because nothing sounds at the last.
        if earliest <= edges[k] - length:
            free.append((earliest, int(edges[k]) - length + 1))
        earliest = int(edges[k + 1])
    if earliest <= total - length:
        free.append((earliest, total - length + 1))
    return np.array(free, np.int64).reshape(-1, 2)
