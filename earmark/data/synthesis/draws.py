"""Draws that belong to clips and tags by their names, so that each is the same whatever else is drawn."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Draws:
    """Numbers in [0, 1) for clips, tags and labels: pure functions of the seed, the purpose and the names.

    Where something is drawn without replacement, those with the least numbers are taken: more than before means those
    of before and some beside.

    Attributes:
        clip, tag: a key for each name, uint64 (clip,) and (tag,).
    """

    seed: int
    clip: KeyArray
    tag: KeyArray

    def of_clips(self, purpose: str) -> FloatArray:
        """A number for every clip, (clip,)."""
        return _uniform(self._scrambled(self.clip, purpose))

    def of_tags(self, purpose: str) -> FloatArray:
        """A number for every tag, (tag,)."""
        return _uniform(self._scrambled(self.tag, purpose))

    def of_labels(self, purpose: str, clip_index: IntArray, tag_index: IntArray) -> FloatArray:
        """A number for every label, (label,)."""
        return _uniform(_scrambled(self._scrambled(self.clip, purpose)[clip_index] ^ self.tag[tag_index]))

    def _scrambled(self, keys: KeyArray, purpose: str) -> KeyArray:
        return _scrambled(keys ^ keys_of([f"{self.seed}:{purpose}"]))


def draws_for(seed: int, clips: Iterable[str], tags: Iterable[str]) -> Draws:
    """The draws of a seed for clips and tags by name."""
    return Draws(seed, keys_of(clips), keys_of(tags))


def keys_of(names: Iterable[str]) -> KeyArray:
    """A key for each name, uint64 (name,)."""
    hashed = b"".join([hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names])
    return np.frombuffer(hashed, "<u8").astype(np.uint64)


def rank_within(group: npt.NDArray[np.integer], number: FloatArray | IntArray) -> IntArray:
    """The place of each element by its number among those of its group, from 0.

    >>> rank_within(np.array([7, 3, 7]), np.array([0.2, 0.5, 0.1])).tolist()
    [1, 0, 0]
    """
    order = np.lexsort((number, group))
    ordered = group[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(order) else order
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return rank


def share_of(number: int, rate: float) -> int:
    """A rate of a number, half up, of the decimal that the rate is written as: not of its nearest binary fraction.

    >>> share_of(100, 0.285), share_of(5, 0.5)
    (29, 3)
    """
    return math.floor(Fraction(repr(float(rate))) * number + Fraction(1, 2))


def _scrambled(keys: KeyArray) -> KeyArray:
    """Keys that look unrelated to the given ones, one to one.

    Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _uniform(keys: KeyArray) -> FloatArray:
    return (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53
