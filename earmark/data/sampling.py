"""Which items an epoch draws, in order; and the one source of every draw of data.

An item is a position in the `Excerpts` that an epoch reads. Every order is a pure function of its arguments: no sampler
has state, so a run resumed at any step draws what the unbroken run would have drawn. The items' tags are given in
compressed rows: item i has the tags `tag_index[indptr[i]:indptr[i + 1]]`.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError

Order = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]


def epoch_generator(seed: int, epoch: int, purpose: str) -> np.random.Generator:
    """The generator of one kind of draw in one epoch; any other seed, epoch or purpose gives unrelated draws.

    Use one purpose an array: element p of an array drawn by it is then the same however long the array is.

    >>> bool(epoch_generator(0, 1, "order").random() == epoch_generator(0, 1, "order").random())
    True
    """
    key = hashlib.blake2b(f"{int(seed)}:{int(epoch)}:{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def keys_of_names(names: Iterable[str]) -> KeyArray:
    """A number that looks drawn for each name, the same wherever the name stands, uint64 (name,).

    In their order the names are shuffled; a seed or a purpose belongs into the name.
    """
    hashed = b"".join([hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names])
    return np.frombuffer(hashed, ">u8").astype(np.uint64)


def shuffled(num_items: int, seed: int, epoch: int) -> Order:
    """Every item once, in random order.

    >>> sorted(shuffled(4, seed=0, epoch=1).tolist())
    [0, 1, 2, 3]
    """
    return epoch_generator(seed, epoch, "shuffled").permutation(num_items)


def weighted(weights: FloatArray, num_draws: int, seed: int, epoch: int) -> Order:
    """Items drawn with replacement, each with a probability proportional to its weight.

    Args:
        weights: (item,), at least 0; an item of weight 0 is never drawn.

    Raises:
        InputError: no item has a weight.
        ValueError: a weight is negative or not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sampling weights must be finite and at least 0")
    if not weights.any():
        raise InputError(
            f"weighted sampling needs a clip with a tag, none of {len(weights)} has one; shuffle, or check the labels"
        )
    upper = np.cumsum(weights / weights.max())
    draws = epoch_generator(seed, epoch, "weighted").random(num_draws) * upper[-1]
    order: Order = np.searchsorted(upper, draws, side="right").astype(np.int64, copy=False)
    return order


def balanced_clip_weights(indptr: IntArray, tag_index: IntArray, counts: IntArray) -> npt.NDArray[np.float64]:
    """The sum over each item's tags of 1 / (clips with that tag), (item,); 0 for an item without tags: never drawn.

    Args:
        indptr: (item + 1,). tag_index: the items' tags one after another.
        counts: clips with each tag, (tag,), in the set that is sampled.

    Raises:
        ValueError: an item has a tag whose count is 0.

    Source: Gong et al. 2021 (PSLA), Algorithm 1.

    >>> balanced_clip_weights(np.array([0, 2, 3, 3]), np.array([0, 1, 1]), np.array([1, 2])).tolist()
    [1.5, 0.5, 0.0]
    """
    tag_counts = np.asarray(counts)[tag_index]
    if (tag_counts <= 0).any():
        raise ValueError(f"tag {tag_index[np.argmin(tag_counts)]} is an item's tag, but its count is 0")
    sums = np.bincount(_item_of_each_tag(indptr), 1.0 / tag_counts, minlength=len(indptr) - 1)
    return sums.astype(np.float64, copy=False)  # without any tag numpy gives integers


def class_cyclic(indptr: IntArray, tag_index: IntArray, num_draws: int, seed: int, epoch: int) -> Order:
    """Items drawn tag by tag: a fresh random order of the tags each cycle, each giving the next item of its own list.

    A tag's list is in random order, and reshuffled when it ends; tags without items are skipped, and items without
    tags never drawn. An epoch starts every list anew: a tag with more items than the epoch has cycles gives, each
    epoch, a new random part of them, not the part that the epochs before left.

    Args:
        indptr: (item + 1,). tag_index: the items' tags one after another.

    Raises:
        InputError: no item has a tag.

    Source: Dinkel et al. 2022 (PSL), the sampling of its machine annotator.
    """
    if not len(tag_index):
        raise InputError(
            f"class-cyclic sampling needs a clip with a tag, none of {len(indptr) - 1} has one; "
            "shuffle, or check the labels"
        )
    items = _item_of_each_tag(indptr)[np.argsort(tag_index, kind="stable")]
    tags, first = np.unique(np.sort(tag_index), return_index=True)
    num_cycles = -(-num_draws // len(tags))
    lists = epoch_generator(seed, epoch, "class-cyclic lists")
    given = np.empty((num_cycles, len(tags)), np.int64)
    for column, tag_items in enumerate(np.split(items, first[1:])):
        given[:, column] = _repeatedly_shuffled(tag_items, num_cycles, lists)
    # Each cycle names every tag once, so a tag's n-th turn is in cycle n: the row holds what each tag gives then.
    return epoch_generator(seed, epoch, "class-cyclic tags").permuted(given, axis=1).reshape(-1)[:num_draws]


def in_passes(items: IntArray, num_draws: int, seed: int, epoch: int) -> Order:
    """So many draws of the items, in random order again and again, each time in a new one.

    >>> sorted(in_passes(np.array([3, 5]), 4, seed=0, epoch=1).tolist())
    [3, 3, 5, 5]
    """
    order: Order = _repeatedly_shuffled(items, num_draws, epoch_generator(seed, epoch, "in passes")).astype(np.int64)
    return order


def half_and_half(first: IntArray, second: IntArray, num_batches: int, batch_size: int, seed: int, epoch: int) -> Order:
    """Whole batches, each half from `first` and then half from `second`; a set that ends is reshuffled and goes on.

    Args:
        first: items, (n,). second: items, (m,).
        batch_size: even.

    Returns:
        (num_batches * batch_size,), the batches one after another.

    Raises:
        InputError: a set is empty, or the batch size odd.
    """
    if batch_size < 2 or batch_size % 2:
        raise InputError(f"half-and-half sampling needs an even batch size, got {batch_size}")
    if not len(first) or not len(second):
        raise InputError(
            f"half-and-half sampling needs clips of both kinds, got {len(first)} of the first and {len(second)} of "
            "the second; shuffle instead"
        )
    half = batch_size // 2
    halves = [
        _repeatedly_shuffled(items, num_batches * half, epoch_generator(seed, epoch, f"half-and-half {side}"))
        for side, items in (("first", first), ("second", second))
    ]
    return np.concatenate([side.reshape(num_batches, half) for side in halves], axis=1).reshape(-1)


def tags_of_items(
    indptr: IntArray, tag_index: IntArray, value: FloatArray, clip_index: IntArray
) -> tuple[Order, Order]:
    """The tags of items in compressed rows (indptr, tag_index), from those of the clips that they are cut from.

    Args:
        indptr, tag_index, value: the clips' labels in compressed rows; a clip has the tags of value .5 or more.
        clip_index: each item's row among the clips, (item,).

    >>> clips = np.array([0, 2, 3]), np.array([4, 5, 6]), np.array([1, 0, 1])
    >>> [part.tolist() for part in tags_of_items(*clips, clip_index=np.array([1, 0]))]
    [[0, 1, 2], [6, 4]]
    """
    lengths = np.diff(indptr)[clip_index]
    ends = np.cumsum(lengths, dtype=np.int64)
    source = np.arange(ends[-1] if len(ends) else 0) + np.repeat(indptr[:-1][clip_index] - (ends - lengths), lengths)
    has_tag = np.asarray(value)[source] >= 0.5
    kept_before = np.concatenate([[0], np.cumsum(has_tag, dtype=np.int64)])
    return kept_before[np.concatenate([[0], ends])], tag_index[source[has_tag]].astype(np.int64)


def _item_of_each_tag(indptr: IntArray) -> Order:
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))


def _repeatedly_shuffled(items: IntArray, num_draws: int, generator: np.random.Generator) -> IntArray:
    """The items in random order, again and again, each time in a new one."""
    num_passes = -(-num_draws // len(items))
    return generator.permuted(np.broadcast_to(items, (num_passes, len(items))), axis=1).reshape(-1)[:num_draws]
