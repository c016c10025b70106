"""What one label layer says differently from another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.statements import WEAK, joined, pairs, same_as_next, sorted_order

CHANGES = ("added", "removed", "changed")


@dataclass(frozen=True, eq=False)
class LayerDiff:
    """The differences between the labels in force of two layers.

    Attributes:
        rows: a row a statement that differs: clip, tag, onset, offset (null = weak), before, after (value, null where
            not in force), change (added, removed or changed); by clip, tag and times.
        per_tag: tag, added, removed, changed, for every tag of the vocabulary in its order.
    """

    layer_a: str
    layer_b: str
    rows: pa.Table
    per_tag: pa.Table

    @property
    def counts(self) -> dict[str, int]:
        """How many statements were added, removed and changed."""
        return {change: int(pc.sum(self.per_tag[change]).as_py() or 0) for change in CHANGES}


def diff_layers(dataset: Dataset, layer_a: str, layer_b: str) -> LayerDiff:
    """What the labels in force of layer b add to, remove from and change in those of layer a.

    Raises:
        InputError: there is no such layer.
    """
    before, after = dataset.statements(layer_a), dataset.statements(layer_b)
    both, num_tags = joined([before, after]), len(dataset.vocabulary)
    pair = pairs(both, num_tags)
    order = sorted_order(both, pair)
    is_after = order >= len(before)
    ordered, pair = both.at(order), pair[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = same_as_next(ordered, pair)
    # The sort is stable and each side says a thing once: a statement of both is two rows, a's first.
    changed = np.flatnonzero(same)
    changed = changed[ordered.value[changed] != ordered.value[changed - 1]]
    alone = ~same & ~np.append(same[1:], False)
    rows = np.sort(np.concatenate([np.flatnonzero(alone), changed]))
    kind = np.where(same[rows], 2, np.where(is_after[rows], 0, 1))
    earlier = np.where(kind == 2, ordered.value[np.maximum(rows - 1, 0)], ordered.value[rows])
    said = ordered.at(rows)
    table = pa.table(
        {
            "clip": dataset.clips["clip"].take(pa.array(said.clip_index)),
            "tag": dataset.vocabulary.array().take(pa.array(said.tag_index)),
            "onset": _times(said.onset),
            "offset": _times(said.offset),
            "before": pa.array(earlier, mask=kind == 0),
            "after": pa.array(said.value, mask=kind == 1),
            "change": pa.array(CHANGES).take(pa.array(kind)),
        }
    )
    counts = {
        change: np.bincount(said.tag_index[kind == index], minlength=num_tags) for index, change in enumerate(CHANGES)
    }
    return LayerDiff(layer_a, layer_b, table, pa.table({"tag": dataset.vocabulary.array(), **counts}))


def _times(values: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(values, mask=values == WEAK)
