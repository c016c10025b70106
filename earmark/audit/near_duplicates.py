"""Clips that are the same sound, made louder, encoded or cut otherwise, and that have different labels.

Which clips to compare is told by each band's mean and deviation over a clip, which no shift in time changes: every clip
is compared with the few of other labels that are nearest by these. What is the same is told by the correlation of how
both clips' bands change from one 50 ms to the next, at the best shift of the one against the other: not that two sounds
are alike, but that they rise and fall together. Levels more than 40 dB under a clip's loudest are as if at that floor,
or the step from a sound to the silence that pads it would be all there is.

On ESC-10's 400 clips the nearest five of other recordings correlate by at most .83, but for one pair, of .96, which is
the same sound; of clips that are encoded as Vorbis at its lowest quality, or lack their first half second, nineteen of
twenty correlate with what they were by .84 and more. Clips that share less than half are not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.packs import Pack
from earmark.data.statements import BoolArray, IntArray
from earmark.features import PRESETS, LogMel
from earmark.prefetch import prefetched
from earmark.progress import progress_bar

FRONT_END = PRESETS["psl"]
RATE_HZ = FRONT_END.rate_hz
LEAST_CORRELATION = 0.85
NEIGHBOURS = 3
LONGEST_S = 60.0
"""A longer clip is known by its beginning: its bands stay in memory, 6 kB for 10 s."""

BANDS = 16
FRAMES_TOGETHER = 5
FLOOR_DB = 40.0
LEAST_SHARED = 0.5
BLOCK = 1024
NEVER = -2.0
"""In place of the cosine of clips that are not to be compared."""

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Pairs of clips, the most alike first.

    Attributes:
        first, second: places among the clips asked about, int64 (pair,).
        correlation: of how their bands change, at most 1, (pair,).
        compared: how many clips could be read.
    """

    first: IntArray
    second: IntArray
    correlation: npt.NDArray[np.float64]
    compared: int


def near_duplicates(pack: Pack, rows: IntArray, labels: BoolArray, recordings: Sequence[str]) -> NearDuplicates:
    """The pairs of clips of other recordings that are the same sound and have different labels.

    Args:
        pack: at RATE_HZ.
        rows: of the clip table, (clip,).
        labels: (clip, tag).
        recordings: of each clip, (clip,): stretches of one recording may overlap, and rightly differ in labels.
    """
    known = np.flatnonzero(pack.num_samples[rows] > 0)
    bands, prints = _all_bands(pack, rows[known])
    kind = np.unique(np.packbits(labels[known], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    recording = np.unique(np.asarray(recordings, dtype=object)[known].astype(str), return_inverse=True)[1]
    pairs = _candidates(prints, kind, recording)
    found = np.empty(len(pairs))
    with progress_bar(len(pairs), "comparing clips", "pair") as bar:
        for place, (one, other) in enumerate(pairs.tolist()):
            found[place] = shifted_correlation(bands[one], bands[other])
            bar.update(1)
    same = np.flatnonzero(found >= LEAST_CORRELATION)
    same = same[np.argsort(-found[same], kind="stable")]
    return NearDuplicates(known[pairs[same, 0]], known[pairs[same, 1]], np.minimum(found[same], 1.0), len(known))


def band_changes(log_mel: FloatArray) -> npt.NDArray[np.float32]:
    """How the levels of few bands change from one frame to the next, dB, (frame, BANDS), at least one frame.

    Args:
        log_mel: dB, (frame, mel).
    """
    frames = max(2, len(log_mel) // FRAMES_TOGETHER)
    # A clip of a frame or two has no changes.
    kept = log_mel[: frames * FRAMES_TOGETHER] if len(log_mel) >= frames * FRAMES_TOGETHER else log_mel[[0, 0]]
    loud = np.maximum(kept, kept.max() - FLOOR_DB)
    levels = loud.reshape(frames, -1, BANDS, log_mel.shape[1] // BANDS).mean(axis=(1, 3))
    changes: npt.NDArray[np.float32] = np.diff(levels, axis=0).astype(np.float32)
    return changes


def shifted_correlation(one: FloatArray, other: FloatArray) -> float:
    """The correlation of two clips' changes at the best shift, over the frames that both have there.

    Shifts at which they share less than half of the shorter one are not looked at. 0 where one never changes.

    Args:
        one, other: (frame, band).
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    length = len(one) + len(other) - 1
    size = 1 << (length - 1).bit_length()
    spectra = np.fft.rfft(one, size, axis=0) * np.conj(np.fft.rfft(other, size, axis=0))
    products = np.fft.irfft(spectra.sum(axis=1), size)
    shift = np.arange(1 - len(other), len(one))
    begin, end = np.maximum(shift, 0), np.minimum(shift + len(other), len(one))
    shared = end - begin >= LEAST_SHARED * min(len(one), len(other))
    shift, begin, end = shift[shared], begin[shared], end[shared]
    energy, other_energy = (np.append(0, np.cumsum((bands**2).sum(axis=1))) for bands in (one, other))
    both = (energy[end] - energy[begin]) * (other_energy[end - shift] - other_energy[begin - shift])
    # What an FFT leaves of nothing is no correlation.
    least = 1e-9 * energy[-1] * other_energy[-1]
    found = np.where(both > least, products[shift % size] / np.sqrt(np.maximum(both, 1e-30)), 0.0)
    return float(found.max(initial=0.0))


def _all_bands(pack: Pack, rows: IntArray) -> tuple[list[npt.NDArray[np.float16]], npt.NDArray[np.float32]]:
    """The changes of every clip's bands, and means and deviations as vectors of length 1, (clip, 2 mel)."""
    log_mel, bands = LogMel(FRONT_END), []
    prints = np.empty((len(rows), 2 * FRONT_END.num_mels), np.float32)
    longest = int(LONGEST_S * RATE_HZ)
    with progress_bar(len(rows), "clips' bands", "clip") as bar:
        for place, waveform in enumerate(prefetched(np.array(pack.clip(int(row))[:longest]) for row in rows)):
            features = log_mel(torch.from_numpy(waveform[None]))[0][0].numpy()
            # Levels less their mean: a clip made louder is the same.
            mean = features.mean(axis=0)
            prints[place] = np.concatenate([mean - mean.mean(), features.std(axis=0)])
            bands.append(band_changes(features).astype(np.float16))
            bar.update(1)
    prints -= prints.mean(axis=0)
    prints /= np.maximum(prints.std(axis=0), 1e-6)
    prints /= np.maximum(np.linalg.norm(prints, axis=1, keepdims=True), 1e-6)
    return bands, prints


def _candidates(prints: npt.NDArray[np.float32], kind: IntArray, recording: IntArray) -> IntArray:
    """The pairs to compare, each once, int64 (pair, 2): every clip and its nearest of other labels and recordings."""
    found: list[IntArray] = []
    for first in range(0, len(prints), BLOCK):
        part = slice(first, first + BLOCK)
        cosine = prints[part] @ prints.T
        cosine[(kind[part, None] == kind) | (recording[part, None] == recording)] = NEVER
        count = min(NEIGHBOURS, len(prints))
        near = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        row, place = np.nonzero(np.take_along_axis(cosine, near, axis=1) > NEVER)
        found.append(np.sort(np.stack([row + first, near[row, place]], axis=1), axis=1))
    pairs: IntArray = np.unique(np.concatenate(found), axis=0) if found else np.zeros((0, 2), np.int64)
    return pairs
