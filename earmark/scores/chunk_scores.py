"""Score stores made: of a data set's whole clips or of their chunks, by one scorer or by one a fold."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts, IntArray, whole_clips
from earmark.data.dataset import Dataset
from earmark.data.packs import Pack, open_pack
from earmark.data.splits import resolve_splits
from earmark.errors import InputError
from earmark.files import digest_of
from earmark.models.ensemble import digest_of_model, open_model
from earmark.scores.index import index_of_chunks, index_of_clips
from earmark.scores.predict import FloatArray, excerpt_scores, whole_clip_scores
from earmark.scores.scorer import Scorer, model_scorer
from earmark.scores.seen import never_saw, seen_clips
from earmark.scores.store import ScoreStore
from earmark.scores.writing import write_scores

log = logging.getLogger(__name__)


def store_model_scores(
    model: Path,
    dataset: Dataset,
    folder: Path,
    *,
    chunking: Chunking | None = None,
    device: torch.device,
    precision: str = "fp32",
    workers: int | None = None,
) -> ScoreStore:
    """The scores of a data set's clips by a model or run folder, as a store: of whole clips, or of their chunks.

    Args:
        precision: of the model: fp32 or bf16, see `for_scoring`.

    Raises:
        InputError: there is no model, no clip can be read, or the folder holds something else, or other scores.
    """
    tagger = open_model(model)
    records = tagger.trained_on()
    seen = seen_clips(records, dataset)
    if seen.is_any:
        log.warning("the model was trained on clips of %s: their scores flatter it; see --folds", dataset.name)
    training = seen.rows
    if seen.is_untold or not len(training):
        own = next((about for about in records if about.get("dataset_digest") == dataset.digest), {})
        splits = resolve_splits(dataset, own.get("test_fold"), own.get("validation_fold"), own.get("seed", 0))
        training = np.union1d(training, splits.train)
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    wanted = to_score(dataset, pack, np.arange(dataset.num_clips), chunking, training=training)
    scorer = model_scorer(tagger, device, digest_of_model(model), precision=precision)
    about = {
        "model": scorer.digest,
        "precision": precision,
        "dataset": dataset.digest,
        "out_of_fold": never_saw(records, dataset),
        "trained_on": records,
    }
    return store_scores(wanted, [scorer], np.zeros(dataset.num_clips, np.int64), folder, about)


def store_chunk_scores(
    scorer: Scorer,
    dataset: Dataset,
    rows: IntArray,
    chunking: Chunking,
    folder: Path,
    *,
    training: IntArray,
    out_of_fold: bool,
    workers: int | None = None,
) -> ScoreStore:
    """The scores of the chunks of clips, float16, as a store; killed anywhere, a rerun goes on.

    Args:
        rows: the clips to score, by their row; those that cannot be read are left out.
        training: the rows of the training split.
        out_of_fold: whether the scorer never saw these clips.
        workers: threads that decode.

    Raises:
        InputError: no clip can be read, or the folder holds something else, or other scores.
    """
    pack = open_pack(dataset, scorer.rate_hz, workers=workers)
    wanted = to_score(dataset, pack, rows, chunking, training=training)
    about = {"model": scorer.digest, "dataset": dataset.digest, "out_of_fold": out_of_fold}
    return store_scores(wanted, [scorer], np.zeros(dataset.num_clips, np.int64), folder, about)


@dataclass(frozen=True, eq=False)
class ToScore:
    """What a store is to hold, whoever scores it.

    Attributes:
        clip_index: the clip of each excerpt, by its row, int64 (excerpt,).
        index: the store's index, a line an excerpt.
        about: what the store says of the clips and of how they were cut.
        dtype: of the scores on disk.
        score: the scores, float32 (place, tag), of some excerpts by their place.
    """

    clip_index: IntArray
    index: pa.Table
    about: Mapping[str, Any]
    dtype: Literal["float16", "float32"]
    score: Callable[[Scorer, IntArray], FloatArray]


def to_score(dataset: Dataset, pack: Pack, rows: IntArray, chunking: Chunking | None, *, training: IntArray) -> ToScore:
    """Clips as a store holds them: cut into chunks, or whole where there is no chunking.

    Args:
        rows: the clips, by their row; those that the pack left out are not among them.
        training: the rows of the training split.

    Raises:
        InputError: the pack holds none of the clips.
    """
    clips = whole_clips(pack, rows)
    if not len(clips):
        raise InputError(f"{dataset.folder}: must hold clips that can be read, found none among {len(rows)}")
    if chunking is None:

        def by_clip(scorer: Scorer, places: IntArray) -> FloatArray:
            return whole_clip_scores(scorer, pack, clips.clip_index[places])[1]

        index, about = index_of_clips(dataset, clips.clip_index, training), {"clips": _digest_of(clips)}
        return ToScore(clips.clip_index, index, about, "float32", by_clip)
    chunks = chunking.cut(clips, pack.rate_hz)
    index = index_of_chunks(dataset, chunks, pack.rate_hz, training)
    cut = {**chunking.model_dump(), "chunks": _digest_of(chunks)}

    def by_chunk(scorer: Scorer, places: IntArray) -> FloatArray:
        # The chunk as a whole, however the scorer would cut what it is given.
        return excerpt_scores(replace(scorer, chunking=None), pack, chunks.at(places))

    return ToScore(chunks.clip_index, index, cut, "float16", by_chunk)


def store_scores(
    wanted: ToScore, scorers: Sequence[Scorer], scorer_of_clip: IntArray, folder: Path, about: Mapping[str, Any]
) -> ScoreStore:
    """The store of what is wanted; see `write_scores`.

    Args:
        scorers: of the same tags and rate.
        scorer_of_clip: which of them scores each row of the clip table, (clip,).
        about: which scorers these are.
    """

    def score(places: IntArray) -> FloatArray:
        number = scorer_of_clip[wanted.clip_index[places]]
        scores = np.zeros((len(places), len(scorers[0].tags)), np.float32)
        for one in np.unique(number):
            mine = np.flatnonzero(number == one)
            scores[mine] = wanted.score(scorers[one], places[mine])
        return scores

    return write_scores(folder, wanted.index, scorers[0].tags, {**about, **wanted.about}, score, wanted.dtype)


def _digest_of(excerpts: Excerpts) -> str:
    """A short name of which excerpts these are: a store that was begun is gone on with only where they are the same."""
    return digest_of(*(part.tobytes() for part in (excerpts.clip_index, excerpts.onset_samples, excerpts.num_samples)))
