"""What the scores of a clip's chunks say of the clip, beside its labels: pseudo strong labels, looked at.

A tag is decided for a chunk where its score is at least the threshold, and for a clip where it is for any of its
chunks: the union.

Source: Dinkel et al. 2022, section 4.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.statements import COUNTED, ClipLabels

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

BLOCK = 4096
"""Chunks read at a time; more where one clip has more."""


@dataclass(frozen=True, eq=False)
class Coverage:
    """Tags decided by chunks beside the given ones, of each clip.

    Attributes:
        clip_index: row in the clip table, ascending, (clip,).
        num_decided: tags that at least one of its chunks has, (clip,).
        num_given: tags that the labels say, with a value of at least .5, (clip,).
        num_covered: given tags that are among the decided ones, (clip,).
        is_labelled: whether anybody was asked for the clip's tags, (clip,).
    """

    clip_index: IntArray
    num_decided: IntArray
    num_given: IntArray
    num_covered: IntArray
    is_labelled: BoolArray

    def __len__(self) -> int:
        return len(self.clip_index)

    def of(self, clip_index: IntArray) -> "Coverage":
        """The same of some of the clips only."""
        kept = np.isin(self.clip_index, clip_index)
        return Coverage(
            self.clip_index[kept],
            self.num_decided[kept],
            self.num_given[kept],
            self.num_covered[kept],
            self.is_labelled[kept],
        )

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """The share of a clip's given tags that its chunks hold, of the clips that have given tags."""
        has_given = self.num_given > 0
        return self.num_covered[has_given] / self.num_given[has_given]


def coverage(
    labels: ClipLabels, clip_index: IntArray, read: Callable[[slice], FloatArray], threshold: float = 0.5
) -> Coverage:
    """What chunks say of their clips, some thousand chunks at a time.

    Args:
        clip_index: the clip of each chunk by its row in the clip table, ascending, (chunk,).
        read: the scores (chunk, tag) of a stretch of the chunks, over the labels' tags.
        threshold: a score of at least this decides for the tag.

    Raises:
        ValueError: the chunks of a clip do not follow one another.
    """
    if (np.diff(clip_index) < 0).any():
        raise ValueError("chunks must stand in the order of their clips")
    num_tags = len(labels.tag_weight)
    firsts = np.flatnonzero(np.diff(clip_index, prepend=-1))
    ends = np.append(firsts, len(clip_index))[1:]
    clips = clip_index[firsts]
    decided, given, covered = (np.zeros(len(clips), np.int64) for _ in range(3))
    done = 0
    while done < len(clips):
        # As many whole clips as fit a block, and one at least.
        till = max(done + 1, int(np.searchsorted(ends, firsts[done] + BLOCK, side="right")))
        of_block = slice(done, till)
        chunk, tag = np.nonzero(read(slice(int(firsts[done]), int(ends[till - 1]))) >= threshold)
        clip = np.repeat(np.arange(till - done), ends[of_block] - firsts[of_block])[chunk]
        # A pair of clip and tag once, however many of the chunks have it.
        clip, tag = np.divmod(np.unique(clip * num_tags + tag), num_tags)
        has = labels.rows(clips[of_block]) >= COUNTED
        decided[of_block] = np.bincount(clip, minlength=till - done)
        covered[of_block] = np.bincount(clip[has[clip, tag]], minlength=till - done)
        given[of_block] = has.sum(axis=1)
        done = till
    return Coverage(clips, decided, given, covered, labels.clip_weight[clips] > 0)


def shares_by_count(counts: IntArray, most: int) -> npt.NDArray[np.float64]:
    """The share of clips that have 0, 1, ... tags; the last place is for `most` and more, (most + 1,).

    >>> shares_by_count(np.array([0, 1, 1, 7]), 2).tolist()
    [0.25, 0.5, 0.25]
    """
    return np.bincount(np.minimum(counts, most), minlength=most + 1) / max(len(counts), 1)


def shares_by_coverage(shares: npt.NDArray[np.float64], edges: FloatArray) -> npt.NDArray[np.float64]:
    """The share of clips whose coverage is exactly 0, then above each edge up to the next, then exactly 1.

    Args:
        edges: ascending, from 0 to 1, (edge,).

    Returns:
        (edge + 1,): at 0, between the edges (the last of these below 1), at 1.

    >>> shares_by_coverage(np.array([0, 0.5, 0.75, 1]), np.array([0, 0.5, 1])).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    place = np.where(shares >= 1, len(edges), np.searchsorted(edges, shares, side="left"))
    return np.bincount(place, minlength=len(edges) + 1) / max(len(shares), 1)
