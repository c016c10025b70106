"""What came of an import, as numbers for `dataset.json` and as lines for people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow.compute as pc

from earmark.data.audio.problems import Problem
from earmark.data.dataset import Dataset
from earmark.data.splits import group_crossings
from earmark.data.tables import SPLITS

NOT_FOUND = ("missing", "dangling link")


@dataclass(frozen=True)
class ImportSummary:
    """What was named, found and kept.

    Attributes:
        named: clips that the source names; `found` of them have a file, `usable` went into the clip table.
        left_out, kept: problems by kind; a kept file may have several.
        hours: audio in the usable clips.
        tags: usable clips that have each tag, in the order of the vocabulary.
        tags_per_clip: how many usable clips have 0, 1, 2 ... tags.
        splits, folds: usable clips in each, as the source gives them.
        groups: recordings that the usable clips come from.
        crossings: groups that lie in both of two splits ("train and test"), or in several folds ("folds").
    """

    source: str
    layout: str
    folder: str
    named: int
    found: int
    usable: int
    left_out: dict[str, int]
    kept: dict[str, int]
    hours: float
    tags: dict[str, int]
    tags_per_clip: dict[str, int]
    splits: dict[str, int]
    folds: dict[str, int]
    groups: int
    crossings: dict[str, int]
    notes: tuple[str, ...]

    @property
    def cardinality(self) -> float:
        """Tags per usable clip, the mean."""
        return sum(int(number) * count for number, count in self.tags_per_clip.items()) / max(1, self.usable)

    def as_dict(self) -> dict[str, Any]:
        """The numbers for `dataset.json`."""
        return {**asdict(self), "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """A table of name and number, then what should be known."""
        rows = list(self._rows())
        width = max(len(name) for name, _, _ in rows)
        figures = max(len(number) for _, number, _ in rows)
        table = [f"{name:<{width}}  {number:>{figures}}  {remark}".rstrip() for name, number, remark in rows]
        tags = max((len(tag) for tag in self.tags), default=0)
        counts = [f"  {tag:<{tags}}  {count:>6}" for tag, count in self._tags_shown()]
        more = len(self.tags) - len(counts)
        counts += [f"  and {more} tags with fewer"] if more else []
        return [
            f"{self.folder}: {self.layout} {self.source}",
            *table,
            *counts,
            *(f"note: {note}" for note in self.notes),
        ]

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        yield "named", str(self.named), ""
        yield "found", str(self.found), ""
        yield "usable", str(self.usable), f"{self.hours:.2f} h"
        for kind, count in self.left_out.items():
            yield "left out", str(count), kind
        for kind, count in self.kept.items():
            yield "kept", str(count), kind
        yield "groups", str(self.groups), ""
        for where, count in self.crossings.items():
            yield "crossing", str(count), f"groups in {where}"
        for name, count in self.splits.items():
            yield "split", str(count), name
        for name, count in self.folds.items():
            yield "fold", str(count), name
        spread = ", ".join(f"{count} with {number}" for number, count in self.tags_per_clip.items())
        yield "tags", str(len(self.tags)), f"{self.cardinality:.2f} a clip ({spread})"

    def _tags_shown(self) -> list[tuple[str, int]]:
        """All tags in their order where they are few, else the 15 with most clips."""
        if len(self.tags) <= 20:
            return list(self.tags.items())
        return Counter(self.tags).most_common(15)


def summarise(
    dataset: Dataset, *, source: str, layout: str, named: int, problems: Sequence[Problem], notes: Sequence[str]
) -> ImportSummary:
    """The summary of an imported data set."""
    labels, split, fold, groups = dataset.labels(), dataset.column("split"), dataset.column("fold"), dataset.groups()
    per_clip = np.unique(np.diff(labels.indptr), return_counts=True)
    left_out = [problem for problem in problems if problem.outcome == "left out"]
    kept = Counter(problem.kind for problem in problems if problem.outcome == "kept")
    return ImportSummary(
        source=source,
        layout=layout,
        folder=str(dataset.folder),
        named=named,
        found=named - sum(problem.kind in NOT_FOUND for problem in left_out),
        usable=dataset.num_clips,
        left_out=dict(Counter(problem.kind for problem in left_out).most_common()),
        kept=dict(kept.most_common()),
        hours=_seconds(dataset) / 3600,
        tags=dict(zip(dataset.vocabulary.tags, labels.counts().tolist(), strict=True)),
        tags_per_clip={str(number): int(count) for number, count in zip(*per_clip, strict=True)},
        splits={name: int(count) for name in SPLITS if (count := (split == name).sum())},
        folds={str(number): int((fold == number).sum()) for number in np.unique(fold[fold >= 0])},
        groups=len(np.unique(groups)),
        crossings=dict(_crossings(split, fold, groups)),
        notes=tuple(notes),
    )


def _crossings(split: np.ndarray[Any, Any], fold: np.ndarray[Any, Any], groups: Any) -> Iterator[tuple[str, int]]:
    number = np.select([split == name for name in SPLITS], range(len(SPLITS)), -1)
    for left, right in combinations(range(len(SPLITS)), 2):
        if shared := len(group_crossings(groups, number, left, right)):
            yield f"{SPLITS[left]} and {SPLITS[right]}", shared
    pairs = np.unique(np.stack([groups[fold >= 0], fold[fold >= 0]]), axis=1)
    if several := int((np.bincount(pairs[0]) > 1).sum()):
        yield "several folds", several


def _seconds(dataset: Dataset) -> float:
    clips = dataset.clips
    return float(pc.sum(pc.coalesce(pc.subtract(clips["offset"], clips["onset"]), clips["duration_s"])).as_py() or 0)
