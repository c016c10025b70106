"""Label statements as arrays: which are in force after a chain of layers, and the clipwise labels that they give.

A statement is (clip, tag, onset, offset) with a value. Later layers win: the last statement about the same clip, tag
and times is in force. Value 0 removes: a statement with times those times, a weak one every row of the tag that earlier
layers gave the clip. What a layer says beside its own weak 0 holds, so a layer can retract a tag and place it anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.vocabulary import Vocabulary
from earmark.files import digest_of

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

WEAK = -1.0
"""Onset and offset of a weak statement, which has none."""

COUNTED = 0.5
"""A statement of at least this value counts as a label that the clip has."""


@dataclass(frozen=True, eq=False)
class Statements:
    """Statements by number.

    Attributes:
        clip_index: row in the clip table, (statement,).
        tag_index: place in the vocabulary, (statement,).
        onset, offset: seconds in the clip, both -1 where weak, (statement,).
        value: in [0, 1], (statement,).
    """

    clip_index: IntArray
    tag_index: npt.NDArray[np.int32]
    onset: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    value: FloatArray

    def __len__(self) -> int:
        return len(self.value)

    def at(self, rows: npt.NDArray[np.integer] | BoolArray) -> "Statements":
        """Some of the statements, in the order asked for."""
        return Statements(
            self.clip_index[rows], self.tag_index[rows], self.onset[rows], self.offset[rows], self.value[rows]
        )

    def of_clip(self, row: int) -> "Statements":
        """Those about a clip, out of statements in the order of clips, as those in force are."""
        return self.at(np.arange(*np.searchsorted(self.clip_index, [row, row + 1])))


def statements_from(labels: pa.Table, clips: pa.Table, vocabulary: Vocabulary) -> Statements:
    """The rows of a checked label table, whose clips and tags are all known."""
    return Statements(
        np.asarray(pc.index_in(labels["clip"], clips["clip"].combine_chunks()), dtype=np.int64),
        np.asarray(pc.index_in(labels["tag"], vocabulary.array()), dtype=np.int32),
        np.asarray(pc.fill_null(labels["onset"], WEAK), dtype=np.float64),
        np.asarray(pc.fill_null(labels["offset"], WEAK), dtype=np.float64),
        np.asarray(labels["value"], dtype=np.float32),
    )


def joined(parts: Sequence[Statements]) -> Statements:
    """The statements of several sets, one after another."""
    return Statements(
        np.concatenate([part.clip_index for part in parts]),
        np.concatenate([part.tag_index for part in parts]),
        np.concatenate([part.onset for part in parts]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def events_of(statements: Statements) -> Statements:
    """The labels with times that count."""
    return statements.at((statements.onset != WEAK) & (statements.value >= COUNTED))


def in_force(layers: Sequence[Statements], num_tags: int) -> Statements:
    """The statements that hold after all layers, oldest first: by clip, tag and times, none of value 0."""
    everything = joined(layers)
    layer = np.repeat(np.arange(len(layers)), [len(part) for part in layers])
    pair = pairs(everything, num_tags)
    retracting = (everything.value == 0) & (everything.onset == WEAK)
    kept = np.ones(len(everything), np.bool_)
    if len(layers) > 1 and retracting.any():
        kept = layer >= _last_retraction(pair, layer, retracting)
    order = np.flatnonzero(kept)
    order = order[sorted_order(everything.at(order), pair[order])]
    ordered, ordered_pair = everything.at(order), pair[order]
    # The sort is stable, so the last of equals is the latest layer's.
    last = np.append(~same_as_next(ordered, ordered_pair), np.ones(min(1, len(order)), np.bool_))
    return ordered.at(last & (ordered.value > 0))


def pairs(statements: Statements, num_tags: int) -> IntArray:
    """One number for every clip and tag, in the order of both."""
    return statements.clip_index * num_tags + statements.tag_index


def sorted_order(statements: Statements, pair: IntArray) -> IntArray:
    """The stable order by clip, tag, onset, offset."""
    if (statements.onset == WEAK).all():
        return np.argsort(pair, kind="stable")
    return np.lexsort((statements.offset, statements.onset, pair))


def same_as_next(ordered: Statements, pair: IntArray) -> BoolArray:
    """Which of sorted statements are about the same clip, tag and times as the next, (statement - 1,)."""
    same: BoolArray = (
        (pair[:-1] == pair[1:])
        & (ordered.onset[:-1] == ordered.onset[1:])
        & (ordered.offset[:-1] == ordered.offset[1:])
    )
    return same


def _last_retraction(pair: IntArray, layer: IntArray, retracting: BoolArray) -> IntArray:
    """For every statement the last layer that retracts its tag from its clip by a weak 0; 0 where none does."""
    retracted, which = np.unique(pair[retracting], return_inverse=True)
    last = np.zeros(len(retracted), np.int64)
    np.maximum.at(last, which, layer[retracting])
    place = np.minimum(np.searchsorted(retracted, pair), len(retracted) - 1)
    return np.where(retracted[place] == pair, last[place], 0)


@dataclass(frozen=True, eq=False)
class ClipLabels:
    """Clipwise labels in force for every row of the clip table, in compressed rows.

    A clip has the tags `tag_index[indptr[i]:indptr[i + 1]]`, each with a value: the greatest of its rows. Every other
    tag is negative, with a weight that says whether that is known.

    Attributes:
        indptr: int64 (clip + 1,).
        tag_index: int32, ascending within a clip.
        value: float32 in (0, 1].
        clip_weight: float32 (clip,); 0 where the clip was not annotated.
        tag_weight: float32 (tag,); 0 where the data set did not annotate the tag.
    """

    indptr: IntArray
    tag_index: npt.NDArray[np.int32]
    value: FloatArray
    clip_weight: FloatArray
    tag_weight: FloatArray

    def rows(self, clip_index: IntArray) -> FloatArray:
        """The values of some clips, float32 (len(clip_index), tag)."""
        place, count = self._places(np.asarray(clip_index, dtype=np.int64))
        dense = np.zeros((len(count), len(self.tag_weight)), np.float32)
        dense[np.repeat(np.arange(len(count)), count), self.tag_index[place]] = self.value[place]
        return dense

    def weights(self, clip_index: IntArray) -> FloatArray:
        """What is known of some clips, float32 (len(clip_index), tag): clip weight times tag weight."""
        return np.multiply.outer(self.clip_weight[clip_index], self.tag_weight)

    def counts(self, clip_index: IntArray | None = None) -> IntArray:
        """The clips that have each tag with a value that counts, int64 (tag,), among some clips or all."""
        place: IntArray | slice = slice(None)
        if clip_index is not None:
            place, _ = self._places(np.asarray(clip_index, dtype=np.int64))
        tags = self.tag_index[place][self.value[place] >= COUNTED]
        return np.bincount(tags, minlength=len(self.tag_weight)).astype(np.int64)

    @property
    def digest(self) -> str:
        """A short name of what the labels say and of what is known."""
        arrays = (self.indptr, self.tag_index, self.value, self.clip_weight, self.tag_weight)
        return digest_of(*(np.ascontiguousarray(array).tobytes() for array in arrays))

    def _places(self, clip_index: IntArray) -> tuple[IntArray, IntArray]:
        """Where the tags of some clips stand, one clip after another, and how many each has."""
        first = self.indptr[clip_index]
        count = self.indptr[clip_index + 1] - first
        return np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count), count


def clip_labels_from(statements: Statements, clip_weight: FloatArray, tag_weight: FloatArray) -> ClipLabels:
    """The clipwise labels that statements in force give, in the order of `in_force`."""
    num_tags = len(tag_weight)
    pair = pairs(statements, num_tags)
    starts = np.flatnonzero(np.diff(pair, prepend=-1)) if len(pair) else np.zeros(0, np.int64)
    value = np.maximum.reduceat(statements.value, starts) if len(starts) else np.zeros(0, np.float32)
    per_clip = np.bincount(statements.clip_index[starts], minlength=len(clip_weight))
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(per_clip, dtype=np.int64)])
    return ClipLabels(indptr, statements.tag_index[starts], value, clip_weight, tag_weight)
