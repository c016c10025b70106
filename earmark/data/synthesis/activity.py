"""Where a recording of one sound is active: what of it counts as an event, and what is silence around it."""

import numpy as np
import numpy.typing as npt

from earmark.timing import samples_from_seconds

IntArray = npt.NDArray[np.int64]

FRAME_S = 0.01
LEVEL_DB = -30.0
BRIDGED_S = 0.2
SHORTEST_S = 0.03
SILENCE_DB = -80.0


def active_parts(waveform: npt.NDArray[np.int16], rate_hz: int, level_db: float = LEVEL_DB) -> IntArray:
    """Onset and offset of every active part, int64 (part, 2), in samples, half open, ascending.

    Active are frames of 10 ms whose RMS is at most 30 dB below that of the recording's own loudest frame; so edges lie
    on a grid of 10 ms. Parts less than .2 s apart are one (words, blows of a hammer, the dips of rain), and a part
    under 30 ms is left away unless there is no longer one (a click may be the sound itself).

    Why 30 dB: in a mixture an event lies 30 dB above its background at most, so what is quieter is not heard there.
    On ESC-10 rain, waves, helicopters and chainsaws are then one part, barks and the ticks of a clean clock one each,
    and reverberation ends with the part; 5 dB less breaks crackling fires up, 5 dB more joins barks through the noise
    between them. A recording whose own noise comes within 30 dB of its peak is one part: its events cannot be told
    from it by level.

    Args:
        waveform: (sample,).
        level_db: the lowest level of an active frame, relative to the loudest.

    Returns:
        No part at all where the loudest frame stays below -80 dBFS: digital silence, or the last bit's noise.
    """
    frame = samples_from_seconds(FRAME_S, rate_hz)
    power = _frame_power(waveform, frame)
    if power.max(initial=0.0) < 10 ** (SILENCE_DB / 10):
        return np.empty((0, 2), np.int64)
    is_active = power >= power.max() * 10 ** (level_db / 10)
    edges = np.flatnonzero(np.diff(is_active, prepend=False, append=False))
    parts = np.minimum(edges.reshape(-1, 2) * frame, len(waveform))
    parts = _bridged(parts, samples_from_seconds(BRIDGED_S, rate_hz))
    is_long = np.diff(parts)[:, 0] >= samples_from_seconds(SHORTEST_S, rate_hz)
    return parts[is_long] if is_long.any() else parts


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
