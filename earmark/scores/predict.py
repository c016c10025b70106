"""A model and packed clips give scores."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earmark.data.clips import Batch, Excerpts, IntArray, read_batch, whole_clips, windows
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack, open_pack
from earmark.data.splits import resolve_splits
from earmark.models.ensemble import Model, digest_of_model, open_model
from earmark.models.inference import clips_at_once, for_scoring
from earmark.prefetch import prefetched
from earmark.progress import progress_bar
from earmark.scores.store import ScoreStore, index_of_clips, write_scores
from earmark.timing import samples_from_seconds

log = logging.getLogger(__name__)

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

LONG_S = 30.0
"""Recordings over this many seconds are scored in windows of the training length."""


def window_samples(tagger: Model) -> int:
    """The window that long recordings are scored in: the training length, or 10 s where the model does not say."""
    return samples_from_seconds(tagger.config.training_length_s or 10.0, tagger.rate_hz)


def clip_scores(tagger: Model, pack: Pack, rows: IntArray, *, device: torch.device) -> tuple[IntArray, FloatArray]:
    """The clipwise scores of whole clips: the rows that the pack holds, and their scores (clip, tag).

    A clip over 30 s is cut into windows of the training length and gets the maximum over them.
    """
    clips = whole_clips(pack, rows)
    long = clips.num_samples > samples_from_seconds(LONG_S, pack.rate_hz)
    window = window_samples(tagger)
    hop = np.where(long, window, np.maximum(clips.num_samples, 1))
    parts = windows(clips, hop, hop)
    scores = excerpt_scores(tagger, pack, parts, device=device)
    firsts = np.flatnonzero(np.diff(parts.clip_index, prepend=-1))
    return clips.clip_index, np.maximum.reduceat(scores, firsts) if len(parts) else scores


def store_model_scores(
    model: Path, dataset: Dataset, folder: Path, *, device: torch.device, workers: int | None = None
) -> ScoreStore:
    """The scores of a data set's whole clips by a model or run folder, as a store; see `write_scores`."""
    tagger = open_model(model)
    trained_on = [about for about in tagger.trained_on() if about.get("dataset_digest") == dataset.digest]
    seen = bool(trained_on)
    if seen:
        log.warning("the model was trained on clips of %s: their scores flatter it; see --folds", dataset.name)
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    rows = np.flatnonzero(pack.num_samples > 0)

    def score(places: IntArray) -> FloatArray:
        return clip_scores(tagger, pack, rows[places], device=device)[1]

    asked = trained_on[0] if seen else {}
    splits = resolve_splits(dataset, asked.get("test_fold"), asked.get("validation_fold"), asked.get("seed", 0))
    about = {"model": digest_of_model(model), "dataset": dataset.digest, "out_of_fold": not seen}
    index = index_of_clips(dataset, rows, splits.train)
    return write_scores(folder, index, tagger.config.vocabulary, about, score)


def excerpt_scores(tagger: Model, pack: Pack, excerpts: Excerpts, *, device: torch.device) -> FloatArray:
    """The clipwise scores of excerpts, float32 (excerpt, tag), in their order, in fp32."""
    scores = np.zeros((len(excerpts), len(tagger.config.vocabulary)), np.float32)
    model = for_scoring(tagger).to(device)
    with torch.inference_mode(), progress_bar(len(excerpts), "scoring", "clip") as bar:
        for positions, batch in prefetched(_batches(tagger, pack, excerpts, device)):
            said = model(batch.waveform.to(device), batch.num_samples.to(device))
            scores[positions] = said.clipwise.cpu().numpy()
            bar.update(len(positions))
    return scores


def _batches(tagger: Model, pack: Pack, excerpts: Excerpts, device: torch.device) -> Iterator[tuple[IntArray, Batch]]:
    """Batches of one padded length each; a clip's padded length is its own, whatever its batch mates."""
    lengths, which = np.unique(excerpts.num_samples, return_inverse=True)
    padded = np.array([tagger.padded_samples(int(length)) for length in lengths], np.int64)[which]
    for length in np.unique(padded):
        alike = np.flatnonzero(padded == length)
        at_once = clips_at_once(tagger, int(length), device)
        for first in range(0, len(alike), at_once):
            positions = alike[first : first + at_once]
            yield positions, read_batch(pack, excerpts.at(positions), int(length))
