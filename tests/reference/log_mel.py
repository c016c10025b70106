"""Log-mel front ends step by step in float64: one frame, one band, one sum at a time, as their definitions read."""

import math

import numpy as np


def hertz_to_mel(hz):
    return 2595 * math.log10(1 + hz / 700)


def mel_to_hertz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


def triangle(place, left, centre, right):
    if left < place <= centre:
        return (place - left) / (centre - left)
    if centre < place < right:
        return (right - place) / (right - centre)
    return 0.0


def sample_at(clip, place):
    """A sample of the clip continued to both sides by reflection at its ends."""
    last = len(clip) - 1
    if last == 0:
        return clip[0]
    while not 0 <= place <= last:
        place = -place if place < 0 else 2 * last - place
    return clip[place]


def psl_log_mel(clip):
    """Decibels, (frame, 64), of a clip in [-1, 1] at 16 kHz (Dinkel 2022)."""
    rate, size, hop, num_mels = 16000, 512, 160, 64
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / size) for i in range(size)]
    edges = [mel_to_hertz(hertz_to_mel(8000) * i / (num_mels + 1)) for i in range(num_mels + 2)]
    bands = np.array([[triangle(k * rate / size, *edges[m : m + 3]) for k in range(257)] for m in range(num_mels)])
    rows = []
    for frame in range(1 + len(clip) // hop):
        first = frame * hop - size // 2
        heard = [window[i] * sample_at(clip, first + i) for i in range(size)]
        power = np.abs(np.fft.rfft(heard)) ** 2
        rows.append([10 * math.log10(max(sum(band * power), 1e-10)) for band in bands])
    return np.maximum(rows, np.max(rows) - 120)


def psla_log_mel(clip):
    """Natural logarithms, (frame, 128), not normalised, of a clip in [-1, 1] at 16 kHz (Gong 2021, Kaldi's steps)."""
    rate, size, hop, num_mels, num_points = 16000, 400, 160, 128, 512
    clip = np.asarray(clip, dtype=np.float64)
    clip = clip - clip.mean()
    clip = np.append(clip, np.zeros(max(0, size - len(clip))))
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / (size - 1)) for i in range(size)]
    low, high = hertz_to_mel(20), hertz_to_mel(8000)
    edges = [low + (high - low) * i / (num_mels + 1) for i in range(num_mels + 2)]
    mels = [hertz_to_mel(k * rate / num_points) for k in range(num_points // 2 + 1)]
    bands = np.array([[triangle(mel, *edges[m : m + 3]) for mel in mels] for m in range(num_mels)])
    rows = []
    for frame in range(1 + (len(clip) - size) // hop):
        heard = clip[frame * hop : frame * hop + size]
        heard = heard - heard.mean()
        before = np.append(heard[0], heard[:-1])
        power = np.abs(np.fft.rfft(window * (heard - 0.97 * before), num_points)) ** 2
        rows.append([math.log(max(sum(band * power), float(np.finfo(np.float32).eps))) for band in bands])
    return np.array(rows)


def staged_log_mel(clip, exponent=1):
    """Natural logarithms, (frame, 80), not normalised, of a clip in [-1, 1] at 44.1 kHz (He 2020).

    `exponent` is that of the magnitude: 1 as in the paper, 2 for powers.
    """
    rate, size, hop, num_mels, num_points = 44100, 1764, 882, 80, 2048
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / size) for i in range(size)])
    edges = [mel_to_hertz(hertz_to_mel(22050) * i / (num_mels + 1)) for i in range(num_mels + 2)]
    bands = [[triangle(k * rate / num_points, *edges[m : m + 3]) for k in range(1025)] for m in range(num_mels)]
    rows = []
    for frame in range(1 + len(clip) // hop):
        first = frame * hop - size // 2
        heard = window * [sample_at(clip, first + i) for i in range(size)]
        spectrum = np.abs(np.fft.rfft(heard, num_points)) ** exponent
        rows.append([math.log(max(sum(band * spectrum), 1e-10)) for band in np.array(bands)])
    return np.array(rows)


def class_frame_log_mel(clip):
    """Natural logarithms, (frame, 64), before each clip is scaled, of a clip in [-1, 1] at 44.1 kHz (NEC 2019)."""
    rate, size, hop, num_mels, num_points = 44100, 882, 431, 64, 1024
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / size) for i in range(size)])
    edges = [mel_to_hertz(hertz_to_mel(16000) * i / (num_mels + 1)) for i in range(num_mels + 2)]
    bands = [[triangle(k * rate / num_points, *edges[m : m + 3]) for k in range(513)] for m in range(num_mels)]
    rows = []
    for frame in range(1 + len(clip) // hop):
        first = frame * hop - size // 2
        heard = window * [sample_at(clip, first + i) for i in range(size)]
        power = np.abs(np.fft.rfft(heard, num_points)) ** 2
        rows.append([math.log(max(sum(band * power), 1e-10)) for band in np.array(bands)])
    return np.array(rows)
