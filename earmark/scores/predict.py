"""A scorer and packed clips give scores."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from earmark.data.clips import Batch, Excerpts, IntArray, read_batch, whole_clips, windows
from earmark.data.packs import Pack
from earmark.models.ensemble import Model
from earmark.models.inference import on_all_cores
from earmark.prefetch import prefetched
from earmark.progress import progress_bar
from earmark.scores.scorer import Scorer, model_scorer

FloatArray = np.ndarray[Any, np.dtype[np.float32]]


def clip_scores(tagger: Model, pack: Pack, rows: IntArray, *, device: torch.device) -> tuple[IntArray, FloatArray]:
    """The clipwise scores of whole clips by a model: the rows that the pack holds, and their scores (clip, tag).

    One too long to be scored whole is cut into windows of the training length and gets the maximum over them.
    """
    return whole_clip_scores(model_scorer(tagger, device), pack, rows)


def whole_clip_scores(scorer: Scorer, pack: Pack, rows: IntArray) -> tuple[IntArray, FloatArray]:
    """What `clip_scores` gives, by any scorer."""
    clips = whole_clips(pack, rows)
    long = clips.num_samples > scorer.whole_samples
    hop = np.where(long, scorer.window_samples, np.maximum(clips.num_samples, 1))
    parts = windows(clips, hop, hop)
    scores = excerpt_scores(scorer, pack, parts)
    firsts = np.flatnonzero(np.diff(parts.clip_index, prepend=-1))
    return clips.clip_index, np.maximum.reduceat(scores, firsts) if len(parts) else scores


def excerpt_scores(scorer: Scorer, pack: Pack, excerpts: Excerpts) -> FloatArray:
    """The clipwise scores of excerpts, float32 (excerpt, tag), in their order.

    Where the scorer has a chunking, an excerpt is cut so and gets the mean over its chunks. Memory grows with the
    scores alone.

    Raises:
        ValueError: pack and scorer have different rates.
    """
    if pack.rate_hz != scorer.rate_hz:
        raise ValueError(f"the pack must be at the scorer's {scorer.rate_hz} Hz, it is at {pack.rate_hz} Hz")
    parts, counts = excerpts, np.ones(len(excerpts), np.int64)
    if scorer.chunking is not None:
        parts = scorer.chunking.cut(excerpts, pack.rate_hz)
        counts = scorer.chunking.counts(excerpts, pack.rate_hz)
    of = np.repeat(np.arange(len(excerpts)), counts)
    scores = np.zeros((len(excerpts), len(scorer.tags)), np.float32)

    def said_of(read: tuple[IntArray, Batch]) -> tuple[IntArray, FloatArray]:
        positions, batch = read
        return positions, scorer.score(batch.waveform, batch.num_samples).cpu().numpy()

    read_ahead = prefetched(batches(scorer.padded_samples, scorer.clips_at_once, pack, parts))
    with progress_bar(len(parts), "scoring", "clip") as bar:
        for positions, said in on_all_cores(said_of, read_ahead, scorer.device):
            np.add.at(scores, of[positions], said)
            bar.update(len(positions))
    scores /= counts[:, None]
    return scores


def batches(
    padded_samples: Callable[[int], int], clips_at_once: Callable[[int], int], pack: Pack, excerpts: Excerpts
) -> Iterator[tuple[IntArray, Batch]]:
    """Batches of one padded length each with their positions; a clip's padded length is its own, whatever its mates.

    Args:
        padded_samples: the length that an excerpt of so many samples is padded or cut to.
        clips_at_once: how many of a padded length make a batch.
    """
    lengths, which = np.unique(excerpts.num_samples, return_inverse=True)
    padded = np.array([padded_samples(int(length)) for length in lengths], np.int64)[which]
    for length in np.unique(padded):
        alike = np.flatnonzero(padded == length)
        at_once = clips_at_once(int(length))
        for first in range(0, len(alike), at_once):
            positions = alike[first : first + at_once]
            yield positions, read_batch(pack, excerpts.at(positions), int(length))
