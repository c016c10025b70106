"""What one label layer says differently from another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.statements import (
    WEAK,
    FloatArray,
    IntArray,
    Statements,
    joined,
    pairs,
    same_as_next,
    sorted_order,
)

CHANGES = ("added", "removed", "changed")
LEFT = "left"


@dataclass(frozen=True, eq=False)
class LayerDiff:
    """The differences between the labels in force of two layers.

    Attributes:
        rows: a row a statement that differs: clip, tag, onset, offset (null = weak), before, after (value, null where
            not in force), change (added, removed or changed); by clip, tag and times.
        per_tag: tag, added, removed, changed, left (the same in both), for every tag of the vocabulary in its order.
    """

    layer_a: str
    layer_b: str
    rows: pa.Table
    per_tag: pa.Table

    @property
    def counts(self) -> dict[str, int]:
        """How many statements were added, removed, changed and left."""
        return {change: int(pc.sum(self.per_tag[change]).as_py() or 0) for change in (*CHANGES, LEFT)}


@dataclass(frozen=True, eq=False)
class Differing:
    """The statements that two sets do not share.

    Attributes:
        said: those of either set, as the later says them where both speak of the same clip, tag and times; by these.
        change: place in `CHANGES`, (statement,).
        earlier: the value in the first set; without meaning where added, (statement,).
    """

    said: Statements
    change: IntArray
    earlier: FloatArray

    def by_tag(self, before: Statements, num_tags: int) -> dict[str, IntArray]:
        """How many statements of each tag were added, removed, changed and left, (tag,) each.

        Args:
            before: the first set.
        """
        counts = {
            change: np.bincount(self.said.tag_index[self.change == place], minlength=num_tags)
            for place, change in enumerate(CHANGES)
        }
        had = np.bincount(before.tag_index, minlength=num_tags)
        return {**counts, LEFT: had - counts["removed"] - counts["changed"]}


def differing(before: Statements, after: Statements, num_tags: int) -> Differing:
    """What one set of statements in force adds to, removes from and changes in another."""
    both = joined([before, after])
    pair = pairs(both, num_tags)
    order = sorted_order(both, pair)
    is_after = order >= len(before)
    ordered, pair = both.at(order), pair[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = same_as_next(ordered, pair)
    # The sort is stable and each side says a thing once: a statement of both is two rows, the first set's first.
    changed = np.flatnonzero(same)
    changed = changed[ordered.value[changed] != ordered.value[changed - 1]]
    alone = ~same & ~np.append(same[1:], False)
    rows = np.sort(np.concatenate([np.flatnonzero(alone), changed]))
    change = np.where(same[rows], 2, np.where(is_after[rows], 0, 1))
    earlier = np.where(change == 2, ordered.value[np.maximum(rows - 1, 0)], ordered.value[rows])
    return Differing(ordered.at(rows), change, earlier)


def diff_layers(dataset: Dataset, layer_a: str, layer_b: str) -> LayerDiff:
    """What the labels in force of layer b add to, remove from and change in those of layer a.

    Raises:
        InputError: there is no such layer.
    """
    before, after = dataset.statements(layer_a), dataset.statements(layer_b)
    tags = dataset.vocabulary.array()
    found = differing(before, after, len(tags))
    said = found.said
    table = pa.table(
        {
            "clip": dataset.clips["clip"].take(pa.array(said.clip_index)),
            "tag": tags.take(pa.array(said.tag_index)),
            "onset": _times(said.onset),
            "offset": _times(said.offset),
            "before": pa.array(found.earlier, mask=found.change == CHANGES.index("added")),
            "after": pa.array(said.value, mask=found.change == CHANGES.index("removed")),
            "change": pa.array(CHANGES).take(pa.array(found.change)),
        }
    )
    return LayerDiff(layer_a, layer_b, table, pa.table({"tag": tags, **found.by_tag(before, len(tags))}))


def _times(values: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(values, mask=values == WEAK)
