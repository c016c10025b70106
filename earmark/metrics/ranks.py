"""Where some of many scores stand among all, without all being put in order.

A whole sort is most of what average precision and ROC AUC cost. Scores are first told apart by 16 bits alone, which
numpy sorts by counting; only those that share their bits with a score asked for are then looked at themselves. AP and
AUC of 18,000 clips x 527 tags take 105 ms so. With a sort they take 118 ms, or 236 ms on AMD's processors with AVX-512,
where numpy's sort is slow (github.com/numpy/x86-simd-sort/issues/6).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.floating[Any]]
_BITS = 16


def ranks_of(places: Ints, scores: Scores) -> tuple[Scores, Ints, Ints]:
    """The scores at some places, ascending; how many of all lie below each, and how many at it or below.

    Exact: equal scores have equal counts.

    Args:
        places: in `scores`, (found,).
        scores: float32 or float64, finite or -inf, one at least, (score,).

    >>> ranks_of(np.array([0, 2, 1]), np.array([0.2, 0.7, 0.2, 0.1]))
    (array([0.2, 0.2, 0.7]), array([1, 1, 3]), array([3, 3, 4]))
    """
    keys, places = _keys(scores), places[np.argsort(scores[places])]
    found, found_keys = scores[places], keys[places]
    is_found_key = np.zeros(1 << _BITS, np.bool_)
    is_found_key[found_keys] = True
    near = np.flatnonzero(is_found_key.take(keys))
    near_scores, near_keys = np.sort(scores[near]), np.sort(keys[near], kind="stable")
    # All others lie where their keys do. Stable is by counting, as numpy has it for 16 bits.
    others = np.searchsorted(np.sort(keys, kind="stable"), found_keys) - np.searchsorted(near_keys, found_keys)
    below, not_above = (np.searchsorted(near_scores, found, side) for side in ("left", "right"))
    return found, others + below, others + not_above


def _keys(scores: Scores) -> npt.NDArray[np.uint16]:
    """A number of 16 bits for each score that is no less where the score is no less."""
    with np.errstate(over="ignore"):
        bits = (scores + 0.0).astype(np.float32, copy=False).view(np.int32)  # + 0.0 makes one zero of two
    bits ^= (bits >> 31) & 0x7FFFFFFF  # the other bits of a negative number fall as it rises
    above_lowest = (bits - bits.min()).view(np.uint32)
    shift = max(int(above_lowest.max()).bit_length() - _BITS, 0)
    keys: npt.NDArray[np.uint16] = (above_lowest >> shift).astype(np.uint16)
    return keys
