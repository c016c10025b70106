"""Seconds, samples, frames: the only conversions and the only rounding rule, on integer sample counts.

Seconds are what people write; samples are what is true. A time in seconds is rounded to the nearest sample once,
half up, and everything after that is integer arithmetic.
"""

import math


def samples_from_seconds(seconds: float, rate_hz: int) -> int:
    """The number of samples nearest to a time, half up.

    >>> samples_from_seconds(0.01, 44100)
    441
    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a time must be finite and not negative, got {seconds} s")
    return math.floor(seconds * rate_hz + 0.5)


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


def round_up(count: int, grid: int) -> int:
    """The smallest multiple of `grid` that is at least `count`, and at least one `grid`.

    >>> round_up(998, 32), round_up(0, 32)
    (1024, 32)
    """
    return max(1, -(-count // grid)) * grid
