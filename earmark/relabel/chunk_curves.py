"""One clip under the scores of its chunks: what pseudo strong labels look like."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.clip_figure import RATE_HZ, clip_figure, clip_row, clip_waveform, steps
from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.statements import COUNTED
from earmark.errors import counted
from earmark.figures import ClipFigure
from earmark.relabel.chunk_figures import check_own_tags, labels_in_words
from earmark.relabel.chunks import FloatArray
from earmark.scores.store import ScoreStore

BEST_TAGS = 3
MOST_TAGS = 6


@dataclass(frozen=True, eq=False)
class ChunkScores:
    """A store's chunks of one clip, seconds (chunk,), and their scores, (chunk, tag)."""

    chunk_s: float
    onset_s: npt.NDArray[np.float64]
    offset_s: npt.NDArray[np.float64]
    scores: FloatArray


def chunk_clip_figures(
    dataset: Dataset, stores: Sequence[ScoreStore], clip: str, layer: str = GIVEN, threshold: float = 0.5
) -> list[ClipFigure]:
    """A figure of a clip for each store, with the scores of its chunks as steps, of the same tags in all.

    These are the three that score highest in any chunk, and those that the clip has by the layer.

    Raises:
        InputError: there is no such clip or layer, a store has no chunks of it, or its recording cannot be read.
    """
    row = clip_row(dataset, clip)
    waveform = clip_waveform(dataset, row)
    whole = Excerpts(*(np.array([value], np.int64) for value in (row, 0, len(waveform))))
    said = [_chunk_scores(store, dataset, whole) for store in stores]
    given = np.flatnonzero(dataset.labels(layer).rows(np.array([row]))[0] >= COUNTED)
    highest = np.max([one.scores.max(axis=0) for one in said], axis=0)
    best = np.argsort(-highest, kind="stable")[:BEST_TAGS]
    shown = list(dict.fromkeys([*best.tolist(), *given.tolist()]))[:MOST_TAGS]
    names = dataset.vocabulary.tags
    told = f"{labels_in_words(layer).removeprefix('the ')}: {_listed(names, given)}."
    why = " Drawn: the tags that score highest in any chunk, and the given ones." if len(shown) < len(names) else ""
    return [
        clip_figure(
            dataset,
            row,
            waveform,
            title=f"{clip} in chunks of {one.chunk_s:g} s",
            caption=f"Scores of {_number(one)}. At least {threshold:g} in any: "
            f"{_listed(names, np.flatnonzero(one.scores.max(axis=0) >= threshold))}; {told}{why}",
            alt=f"Scores of {_listed(names, shown)} over {_number(one)} as steps above the log-mel.",
            curves=[steps(names[tag], one.onset_s, one.offset_s, one.scores[:, tag]) for tag in shown],
            threshold=threshold,
            layer=layer,
        )
        for one in said
    ]


def _chunk_scores(store: ScoreStore, dataset: Dataset, whole: Excerpts) -> ChunkScores:
    check_own_tags(store, dataset)
    chunks, score_row = store.chunks_of(dataset, whole, RATE_HZ)
    assert store.chunking is not None
    onset_s, offset_s = chunks.onset_samples / RATE_HZ, (chunks.onset_samples + chunks.num_samples) / RATE_HZ
    return ChunkScores(store.chunking.chunk_s, onset_s, offset_s, store.read(score_row))


def _number(one: ChunkScores) -> str:
    return counted(len(one.scores), "chunk")


def _listed(names: Sequence[str], tags: Iterable[int]) -> str:
    return ", ".join(names[int(tag)] for tag in tags) or "none"
