"""What a model is given: excerpts of packed clips, and batches of them with their valid lengths."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from earmark.data.packs import Pack

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Int16Array = np.ndarray[Any, np.dtype[np.int16]]

# Waveforms kept on their packs' pages at once, each of which may hold a file open.
MOST_ON_PAGES = 256


@dataclass(frozen=True)
class Excerpts:
    """Stretches of packed clips, one a row: whole clips, chunks or windows.

    Attributes:
        clip_index: row in the clip table, int64 (excerpt,).
        onset_samples: first sample within the clip, int64 (excerpt,).
        num_samples: length, int64 (excerpt,).
    """

    clip_index: IntArray
    onset_samples: IntArray
    num_samples: IntArray

    def __len__(self) -> int:
        return len(self.clip_index)

    def at(self, positions: IntArray) -> "Excerpts":
        """The excerpts at some positions, in their order."""
        return Excerpts(self.clip_index[positions], self.onset_samples[positions], self.num_samples[positions])


@dataclass(frozen=True)
class Batch:
    """Waveforms of one length, zero past each one's valid samples.

    Attributes:
        waveform: (clip, sample); int16 as packed (scale 2^-15), or float32 in [-1, 1] once augmented.
        clip_index: row in the clip table, int64 (clip,).
        num_samples: valid samples, int64 (clip,).
    """

    waveform: torch.Tensor
    clip_index: IntArray
    num_samples: torch.Tensor


def whole_clips(pack: Pack, rows: IntArray) -> Excerpts:
    """Each clip as one excerpt; clips that the pack left out are not among them."""
    rows = np.asarray(rows, dtype=np.int64)
    rows = rows[pack.num_samples[rows] > 0]
    return Excerpts(rows, np.zeros(len(rows), np.int64), pack.num_samples[rows].astype(np.int64))


def chunks(clips: Excerpts, chunk_samples: int, min_samples: int) -> Excerpts:
    """The clips cut into chunks one after another; a last chunk under `min_samples` joins the one before it.

    Args:
        clips: whole clips (or any excerpts).
        chunk_samples: length of a chunk; a clip no longer than this stays whole.
        min_samples: the shortest last chunk that stands alone, at most `chunk_samples`.
    """
    count = chunk_counts(clips.num_samples, chunk_samples, min_samples)
    return _cut(clips, count, chunk_samples, chunk_samples, last_to_end=True)


def chunk_counts(num_samples: IntArray, chunk_samples: int, min_samples: int) -> IntArray:
    """How many chunks `chunks` cuts clips of these lengths into, (clip,); at least one."""
    full, rest = np.divmod(num_samples, chunk_samples)
    stands_alone = (rest >= min_samples) & (rest > 0)
    counts: IntArray = np.maximum(full + stands_alone, 1)
    return counts


def windows(clips: Excerpts, window_samples: int | IntArray, hop_samples: int | IntArray) -> Excerpts:
    """Windows of one length every hop; the last one ends with the clip, so that every sample is in a window.

    Window and hop are one number for all clips, or one a clip.
    """
    count = 1 + np.maximum(0, -(-(clips.num_samples - window_samples) // hop_samples))
    cut = _cut(clips, count, window_samples, hop_samples, last_to_end=False)
    end = np.repeat(clips.onset_samples + clips.num_samples, count)
    length = np.repeat(np.minimum(window_samples, clips.num_samples), count)
    return Excerpts(cut.clip_index, np.minimum(cut.onset_samples, end - length), length)


def random_windows(excerpts: Excerpts, window_samples: int, draws: np.ndarray[Any, Any]) -> Excerpts:
    """One window in each excerpt, its place given by a draw in [0, 1); shorter excerpts stay whole."""
    spare = np.maximum(excerpts.num_samples - window_samples, 0)
    shift = np.floor(draws * (spare + 1)).astype(np.int64)
    return Excerpts(
        excerpts.clip_index, excerpts.onset_samples + shift, np.minimum(excerpts.num_samples, window_samples)
    )


def read_excerpts(pack: Pack, excerpts: Excerpts, length_samples: int) -> list[Int16Array]:
    """The excerpts as int16 waveforms (sample,), cut to a length, read-only; on the pack's own pages, or copied."""
    num_samples = np.minimum(excerpts.num_samples, length_samples)
    read = pack.excerpts(excerpts.clip_index, excerpts.onset_samples, num_samples)
    return [samples if place < MOST_ON_PAGES else samples.copy() for place, samples in enumerate(read)]


def read_batch(pack: Pack, excerpts: Excerpts, length_samples: int) -> Batch:
    """The excerpts as int16 waveforms of one length, cut or zero-padded to it."""
    waveform = np.empty((len(excerpts), length_samples), np.int16)
    num_samples = np.minimum(excerpts.num_samples, length_samples)
    read = pack.excerpts(excerpts.clip_index, excerpts.onset_samples, num_samples)
    for row, samples in zip(waveform, read, strict=True):
        row[: len(samples)] = samples
        row[len(samples) :] = 0
    return Batch(torch.from_numpy(waveform), excerpts.clip_index, torch.from_numpy(num_samples))


def _cut(clips: Excerpts, count: IntArray, length: int | IntArray, hop: int | IntArray, last_to_end: bool) -> Excerpts:
    """`count` excerpts of each clip, `hop` apart; the last may run to the clip's end, however far that is."""
    which = np.repeat(np.arange(len(clips)), count)
    place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    onset = place * np.repeat(np.broadcast_to(hop, len(clips)), count)
    left = clips.num_samples[which] - onset
    last = place == count[which] - 1
    num_samples = np.where(
        last & last_to_end, left, np.minimum(np.repeat(np.broadcast_to(length, len(clips)), count), left)
    )
    return Excerpts(clips.clip_index[which], clips.onset_samples[which] + onset, num_samples)
