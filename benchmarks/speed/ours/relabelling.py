"""Labels rewritten by scores, each method of ours: made-up data sets of AudioSet's kind, and made-up scores.

Each takes a number of clips and the work folder, where made-up files are kept by that number; how many clips a row does
stands at the end.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.layers import GIVEN
from earmark.data.ontology_graph import audioset_ontology
from earmark.data.statements import ClipLabels
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.relabel.chunk_figures import coverage_figures
from earmark.relabel.class_frames import pseudo_labels
from earmark.relabel.enhanced_layer import add_enhanced_layer
from earmark.scores.framewise import ScoredFrames
from earmark.scores.index import index_of_chunks, index_of_clips
from earmark.scores.store import ScoreStore, open_scores
from earmark.scores.writing import write_scores
from earmark.training.selection import Selection, SelectionSettings
from earmark.training.targets import SoftLabels, WeakLabels

NUM_TAGS = 527
RATE_HZ = 16_000
CLIP_S = 10
CHUNKING = Chunking(chunk_s=2.0)
MOST_TAGS = 3
BATCH = 64
FRAMES, FRAME_TAGS, HOP_SAMPLES = 156, 10, 1024
MADE_ROWS = 4_096
"""Different rows of made-up scores; further ones are these again."""

Work = Callable[[], object]


def made_labels(num_clips: int) -> ClipLabels:
    """Up to three tags a clip; the first tags are the commonest by far."""
    tags = np.sort((NUM_TAGS * np.random.default_rng(0).random((num_clips, MOST_TAGS)) ** 3).astype(np.int32), axis=1)
    is_new = np.diff(tags, axis=1, prepend=-1) > 0
    indptr = np.append(0, np.cumsum(is_new.sum(axis=1)))
    found = tags[is_new]
    weights = np.ones(num_clips, np.float32), np.ones(NUM_TAGS, np.float32)
    return ClipLabels(indptr, found, np.ones(len(found), np.float32), *weights)


def scores_at(rows: npt.NDArray[np.int64], made: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Made-up scores of some rows."""
    return made[rows % len(made)]


def made_scores() -> npt.NDArray[np.float32]:
    """Scores (row, tag) of which all but three or four a row are below .5, as a model's of AudioSet are."""
    return (np.random.default_rng(1).random((MADE_ROWS, NUM_TAGS)) ** 100).astype(np.float32)


def made_dataset(num_clips: int, work: Path) -> Dataset:
    """A data set of made-up labels, without recordings."""
    folder = work / f"labels-{num_clips}"
    if not folder.exists():
        ontology = audioset_ontology()
        nodes = [node for node in range(len(ontology)) if node not in ontology.abstract][:NUM_TAGS]
        names = [f"{ontology.names[node]} {node}" for node in nodes]
        vocabulary = Vocabulary(tuple(names), tuple(ontology.ids[node] for node in nodes))
        clip = pa.array([f"clip{number:07d}" for number in range(num_clips)])
        labels = made_labels(num_clips)
        clips = columns_or_null(
            num_clips, CLIP_SCHEMA, clip=clip, path=clip, group=clip,
            split=pa.repeat("train", num_clips), labelled=pa.repeat("weak", num_clips),
        )  # fmt: skip
        rows = np.repeat(np.arange(num_clips), np.diff(labels.indptr))
        table = columns_or_null(
            len(rows), LABEL_SCHEMA, clip=clip.take(pa.array(rows)),
            tag=vocabulary.array().take(pa.array(labels.tag_index)), value=pa.array(labels.value),
        )  # fmt: skip
        aside = work / f"{folder.name}.part"
        shutil.rmtree(aside, ignore_errors=True)
        write_dataset(aside, name="made-up", clips=clips, labels=table, vocabulary=vocabulary, audio_root=work)
        aside.rename(folder)
    return open_dataset(folder)


def made_store(num_clips: int, work: Path, *, by_chunk: bool) -> ScoreStore:
    """Stored scores of the clips of `made_dataset`, or of their chunks."""
    folder = work / f"{'chunk' if by_chunk else 'clip'}-scores-{num_clips}"
    if (folder / "about.json").exists():
        return open_scores(folder)
    return _write_store(folder, made_dataset(num_clips, work), made_scores(), by_chunk)


def _write_store(folder: Path, dataset: Dataset, made: npt.NDArray[np.float32], by_chunk: bool) -> ScoreStore:
    everything = np.arange(dataset.num_clips)
    about: dict[str, Any] = {"dataset": dataset.digest, "out_of_fold": True}
    if by_chunk:
        index = index_of_chunks(dataset, CHUNKING.cut(_whole(dataset.num_clips), RATE_HZ), RATE_HZ, everything)
        about |= CHUNKING.model_dump()
    else:
        index = index_of_clips(dataset, everything, everything)
    dtype = "float16" if by_chunk else "float32"
    return write_scores(folder, index, dataset.vocabulary.tags, about, partial(scores_at, made=made), dtype)


def _whole(num_clips: int) -> Excerpts:
    nothing = np.zeros(num_clips, np.int64)
    return Excerpts(np.arange(num_clips), nothing, nothing + CLIP_S * RATE_HZ)


def store_chunks(num_clips: int, work: Path) -> Work:
    """PSL: a teacher's scores of chunks become a store of soft labels."""
    dataset, made, folder = made_dataset(num_clips, work), made_scores(), work / f"stored-{num_clips}"

    def store() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        _write_store(folder, dataset, made, by_chunk=True)

    return store


def read_chunks(num_clips: int, work: Path) -> Work:
    """PSL: an epoch of random batches of a student's targets, soft labels mixed with the clips' own."""
    dataset, store = made_dataset(num_clips, work), made_store(num_clips, work, by_chunk=True)
    chunks, row = store.chunks_of(dataset, _whole(num_clips), RATE_HZ)
    targets = SoftLabels(store.read, row, WeakLabels(dataset.labels(), chunks), 0.5)
    order = np.random.default_rng(2).permutation(len(chunks))

    def epoch() -> None:
        for first in range(0, len(order), BATCH):
            targets.at(order[first : first + BATCH])

    return epoch


def cover_chunks(num_clips: int, work: Path) -> Work:
    """PSL: what the chunks' labels say beside the clips'."""
    dataset, store = made_dataset(num_clips, work), made_store(num_clips, work, by_chunk=True)
    return lambda: coverage_figures(dataset, [store])


def enhance_by_ontology(num_clips: int, work: Path) -> Work:
    """PSLA: the layer of labels that an ontology proposes and scores confirm, as `earmark relabel` writes it.

    The work gives the opened scores, which are mapped.
    """
    folder = made_dataset(num_clips, work).folder
    made_store(num_clips, work, by_chunk=False)

    def enhance() -> ScoreStore:
        dataset, store = open_dataset(folder), made_store(num_clips, work, by_chunk=False)
        for layer in (folder / "labels").glob("enhanced*"):
            layer.unlink()
        add_enhanced_layer(dataset, store, audioset_ontology(), "enhanced", parent=GIVEN)
        return store

    return enhance


def select_clips(num_clips: int, work: Path) -> Work:
    """Staged training: an epoch of batches whose clips are kept or dropped by their losses."""
    draw = np.random.default_rng(3)
    verified = draw.random(num_clips) < 0.2
    order = draw.permutation(num_clips)
    losses = torch.from_numpy(draw.exponential(size=num_clips).astype(np.float32))
    alone, may_rank = np.full(BATCH, -1), np.ones(BATCH, np.bool_)

    def epoch() -> None:
        selection = Selection(SelectionSettings(selection="threshold"), verified, BATCH)
        for step, first in enumerate(range(0, num_clips - BATCH + 1, BATCH)):
            at = slice(first, first + BATCH)
            selection.keep(losses[at], order[at], alone, may_rank, step)

    return epoch


def label_frames(num_clips: int, work: Path) -> Work:
    """Class-frame pseudo labels: a round's frames labelled where they agree with the clips' tags."""
    draw = np.random.default_rng(4)
    scores = draw.random((num_clips * FRAMES, FRAME_TAGS), np.float32)
    scores *= 0.45
    has = draw.random((num_clips, FRAME_TAGS)) < 0.2
    events = scores.reshape(num_clips, FRAMES, FRAME_TAGS)
    for clip, tag in zip(*np.nonzero(has), strict=True):
        onset, long = draw.integers(0, FRAMES - 20), draw.integers(1, 60)
        # Some are missed: those clips are not accepted.
        events[clip, onset : onset + long, tag] += 0.5 if draw.random() < 0.8 else 0.0
    labels = ClipLabels(
        np.append(0, np.cumsum(has.sum(axis=1))), np.nonzero(has)[1].astype(np.int32),
        np.ones(np.count_nonzero(has), np.float32), np.ones(num_clips, np.float32), np.ones(FRAME_TAGS, np.float32),
    )  # fmt: skip
    samples = np.full(num_clips, FRAMES * HOP_SAMPLES)
    scored = ScoredFrames(np.arange(num_clips), samples, np.full(num_clips, FRAMES), scores, HOP_SAMPLES, RATE_HZ)
    return lambda: pseudo_labels(scored, labels, 0.5)


chunks_stored = partial(store_chunks, 20_000)
chunks_read = partial(read_chunks, 20_000)
chunks_covered = partial(cover_chunks, 20_000)
enhanced = partial(enhance_by_ontology, 100_000)
selected = partial(select_clips, 2_000_000)
frames_labelled = partial(label_frames, 20_000)
