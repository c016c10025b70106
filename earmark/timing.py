"""Seconds, samples, frames: the only conversions and the only rounding rule, on integer sample counts.

Seconds are what people write; samples are what is true. A time in seconds is rounded to the nearest sample once,
half up, and everything after that is integer arithmetic.

A grid of score frames begins with the clip: frame i covers the samples from i * hop up to (i + 1) * hop, and the last
frame ends with the clip. Tables often hold times in whole milliseconds, so a time within 1 ms of the edge of a frame is
taken for that edge (`frames_of_events`). Edges therefore stand more than 2 ms apart: a rest of 2 ms or less at the
clip's end is part of the frame before it. Where the hop itself is 2 ms or less, milliseconds cannot tell the edges
apart: then only times that are exact to the sample are on the grid, and every rest is a frame.
"""

import math

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def samples_from_seconds(seconds: float, rate_hz: int) -> int:
    """The number of samples nearest to a time, half up.

    >>> samples_from_seconds(0.01, 44100)
    441
    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a time must be finite and not negative, got {seconds} s")
    return math.floor(seconds * rate_hz + 0.5)


def samples_at(seconds: FloatArray, rate_hz: int) -> IntArray:
    """`samples_from_seconds` of many times, in the shape that they have.

    >>> samples_at(np.array([0.01, 0.5]), 44100)
    array([  441, 22050])
    """
    if not (np.isfinite(seconds) & (seconds >= 0)).all():
        raise ValueError("times must be finite and not negative")
    return np.floor(seconds * rate_hz + 0.5).astype(np.int64)


def seconds_from_samples(num_samples: int, rate_hz: int) -> float:
    """The duration of a number of samples; `samples_from_seconds` gives the number back.

    >>> seconds_from_samples(441, 44100)
    0.01
    """
    return num_samples / rate_hz


def frames_centred(num_samples: int, hop_samples: int) -> int:
    """Feature frames when frame i is centred on sample i * hop and the ends are padded: 1 + floor(n / hop).

    >>> frames_centred(441000, 431)
    1024
    """
    return 1 + num_samples // hop_samples


def frames_inside(num_samples: int, window_samples: int, hop_samples: int) -> int:
    """Feature frames when every window lies wholly inside the waveform (Kaldi's snip-edges); 0 when too short.

    >>> frames_inside(160000, 400, 160)
    998
    """
    return 0 if num_samples < window_samples else 1 + (num_samples - window_samples) // hop_samples


def frames_covering(num_samples: int, hop_samples: int, rate_hz: int) -> int:
    """Score frames of a clip, the last one ending with it; at least one, unless the clip is empty.

    >>> frames_covering(441000, 8 * 431, 44100), frames_covering(320 * 10 + 32, 320, 16000)
    (128, 10)
    """
    whole, rest = divmod(num_samples, hop_samples)
    return max(whole + int(rest > 2 * _reach_samples(hop_samples, rate_hz)), min(num_samples, 1))


def frames_of_events(
    onset_s: FloatArray, offset_s: FloatArray, num_samples: int, hop_samples: int, rate_hz: int
) -> tuple[IntArray, IntArray]:
    """The first frame that each event is in, and the one after the last, both 0 to `frames_covering`.

    The frames hold all of the event but for at most a millisecond at either end, where the event ends that close to
    the edge of a frame. An event has at least one frame, however short it is, but none if it begins after the clip.

    >>> frames_of_events(np.array([0.02, 0.0196]), np.array([0.05, 0.0601]), 16000, 320, 16000)
    (array([1, 1]), array([3, 3]))
    """
    num_frames = frames_covering(num_samples, hop_samples, rate_hz)
    reach = _reach_samples(hop_samples, rate_hz)
    onset, offset = samples_at(onset_s, rate_hz), samples_at(offset_s, rate_hz)
    # Shifted by the reach, a sample just before an edge falls on it or behind it; just behind one, on it or before.
    first = np.minimum((onset + reach) // hop_samples, num_frames - 1)
    end = np.minimum(-((reach - offset) // hop_samples), num_frames)
    # Where both ends are at one edge, the event is as short as the doubt, and its own samples say where it is.
    short = end <= first
    first = np.where(short, np.minimum(onset // hop_samples, num_frames - 1), first)
    end = np.where(short, np.maximum(np.minimum(-(-offset // hop_samples), num_frames), first + 1), end)
    return np.where(onset < num_samples, first, num_frames), end


def _reach_samples(hop_samples: int, rate_hz: int) -> int:
    """How far a time may lie from the edge of a frame that it is taken for: 1 ms; 0 where the hop is 2 ms or less."""
    return rate_hz // 1000 if 1000 * hop_samples > 2 * rate_hz else 0


def round_up(count: int, grid: int) -> int:
    """The smallest multiple of `grid` that is at least `count`, and at least one `grid`.

    >>> round_up(998, 32), round_up(0, 32)
    (1024, 32)
    """
    return max(1, -(-count // grid)) * grid
