"""Which tags go together: labelled together, found together, and found where another one is labelled."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_CLIPS_AT_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class TagPairs:
    """Clips by pairs of tags, each int64 (tag, tag); of clips where both tags were annotated.

    Attributes:
        clips: in which both were annotated.
        labelled: that have both tags by their labels.
        found: of which both tags are decided.
        without: that have the first tag, but not the second.
        confused: of these, those of which the second tag is decided all the same.
        instead: of these again, those of which the first tag, their own, is not.
    """

    clips: Ints
    labelled: Ints
    found: Ints
    without: Ints
    confused: Ints
    instead: Ints


def tag_pairs(truth: Bools, decided: Bools, annotated: Bools) -> TagPairs:
    """Counts of all pairs; on the diagonal `labelled`, `found` and `clips` are those of one tag.

    Args:
        truth, decided, annotated: (clip, tag).

    >>> pairs = tag_pairs(np.array([[True, False]]), np.array([[False, True]]), np.ones((1, 2), np.bool_))
    >>> pairs.confused.tolist()
    [[0, 1], [0, 0]]
    """
    num_clips, num_tags = truth.shape
    counts = np.zeros((6, num_tags, num_tags), np.int64)
    for first in range(0, num_clips, _CLIPS_AT_A_TIME):
        block = slice(first, first + _CLIPS_AT_A_TIME)
        known = annotated[block]
        has, is_decided = truth[block] & known, decided[block] & known
        lacks = known & ~has
        pairs = (
            (known, known), (has, has), (is_decided, is_decided),
            (has, lacks), (has, lacks & is_decided), (has & ~is_decided, lacks & is_decided),
        )  # fmt: skip
        for count, (one, other) in zip(counts, pairs, strict=True):
            # Whole numbers up to the block's length, which float32 holds exactly.
            count += np.rint(one.T.astype(np.float32) @ other.astype(np.float32)).astype(np.int64)
    return TagPairs(*counts)
