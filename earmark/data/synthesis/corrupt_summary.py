"""What was planted, as numbers for `dataset.json` and as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from earmark.config import values_of
from earmark.data.dataset import Dataset
from earmark.data.layers import TRUTH
from earmark.data.synthesis.planting import CorruptSettings, Planted
from earmark.data.synthesis.true_labels import LongTail
from earmark.errors import first_few

MOST_TAGS = 20
COUNTS = ("true", "missing", "wrong", "mistaken", "given")


@dataclass(frozen=True)
class CorruptSummary:
    """What was made of what; a label is a clip with one of its tags.

    Attributes:
        source: name and layer of what is true, whether that layer tells of planted faults itself, and digests of its
            clips and of its clipwise labels.
        no_node: tags that the ontology does not have, if it was read.
        clips: in the new data set; `left_alone` of them cannot get missing or wrong labels though not verified.
        dropped: clips dropped for imbalance.
        labels_added, tags_added: ancestors.
        untimed: labels without their times, in `weakened` clips.
        verified: clips that are verified.
        missing, wrong: labels with the fault; `could_miss`, `could_be_wrong`: those that the rates are shares of.
        by_tag: `COUNTS` of labels: true, missing, wrong (of the tag), mistaken (other tags' given as this), given.
        tail: for an imbalance, by tag: clips asked for and reached, among those that could be dropped.
    """

    folder: str
    settings: CorruptSettings
    source: Mapping[str, Any]
    no_node: Sequence[str]
    clips: int
    left_alone: int
    dropped: int
    labels_added: int
    tags_added: int
    weakened: int
    untimed: int
    verified: int
    missing: int
    could_miss: int
    wrong: int
    could_be_wrong: int
    by_tag: Mapping[str, Mapping[str, int]]
    tail: Mapping[str, Mapping[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """The numbers for `dataset.json`, and as notes what a run on the data set tells of it."""
        numbers = asdict(self)
        # The folder may be renamed.
        del numbers["folder"]
        return {**numbers, "settings": values_of(self.settings), "notes": list(self._planted())}

    def lines(self) -> list[str]:
        """The same for people."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.folder}: {self.clips} clips of {self.source['name']}, {len(self.by_tag)} tags"
        yield from self._planted()
        ordered = sorted(self.by_tag.items(), key=lambda item: -item[1]["true"])
        width = max(len("labels by tag"), *(len(tag) for tag, _ in ordered[:MOST_TAGS]))
        yield f"{'labels by tag':<{width}}" + "".join(f"{name:>10}" for name in COUNTS)
        for tag, counts in ordered[:MOST_TAGS]:
            yield f"{tag:<{width}}" + "".join(f"{counts[name]:>10}" for name in COUNTS)
        if len(ordered) > MOST_TAGS:
            yield f"and {len(ordered) - MOST_TAGS} tags with fewer"
        yield f"truth: layer {TRUTH}, to evaluate by, never to train on"

    def _planted(self) -> Iterator[str]:
        if self.source["is_truth"]:
            yield f"taken as true: layer {self.source['layer']}, itself the truth about planted faults"
        if self.settings.add_ancestors:
            yield f"ancestors: {self.labels_added} labels added; {self.tags_added} tags are new"
        if self.no_node:
            yield f"no node: {len(self.no_node)} tags: {first_few(self.no_node)}"
        if self.tail:
            yield f"imbalance: {self.dropped} clips dropped (dropped.csv); {self._tail_line()}"
        if self.settings.weak:
            yield f"weak: {self.untimed} labels of {self.weakened} clips lost their times"
        if self.verified or self.settings.verified_share is not None:
            yield f"verified: {self.verified} of {self.clips} clips, without missing or wrong labels"
        if self.left_alone:
            yield f"left alone: {self.left_alone} of {self.clips} clips, not labelled or kept by fold or split"
        for name, number, could in (
            ("missing", self.missing, self.could_miss),
            ("wrong", self.wrong, self.could_be_wrong),
        ):
            if could:
                yield f"{name}: {number} of {could} labels that can be"

    def _tail_line(self) -> str:
        asked, reached = ([counts[name] for counts in self.tail.values()] for name in ("asked", "reached"))
        exact = sum(count == wanted for count, wanted in zip(reached, asked, strict=True))
        return (
            f"clips a tag from {max(reached)} to {min(reached)}, asked for {max(asked)} to {min(asked)}; "
            f"{exact} of {len(self.tail)} tags are as asked for"
        )


def summarise(
    folder: str,
    settings: CorruptSettings,
    dataset: Dataset,
    layer: str,
    no_node: Sequence[str],
    planted: Planted,
    tail: LongTail | None,
) -> CorruptSummary:
    """The numbers of what was planted."""
    true, faults = planted.true, planted.faults
    tags = true.vocabulary.tags
    weakened = planted.clips["labelled"].to_numpy() != true.clips["labelled"].to_numpy()
    verified = np.asarray(planted.clips["verified"].fill_null(False))
    return CorruptSummary(
        folder=folder,
        settings=settings,
        source={
            "name": dataset.name,
            "layer": layer,
            "is_truth": dataset.is_truth(layer),
            "digest": dataset.digest,
            "labels_digest": dataset.labels(layer).digest,
        },
        no_node=no_node,
        clips=true.clips.num_rows,
        left_alone=int((~true.touchable & ~verified).sum()),
        dropped=0 if tail is None else int(tail.dropped.sum()),
        labels_added=true.num_added,
        tags_added=len(tags) - len(dataset.vocabulary),
        weakened=int(weakened.sum()),
        untimed=int((faults.weak & ~faults.missing & ~faults.wrong).sum()),
        verified=int(verified.sum()),
        missing=int(faults.missing.sum()),
        could_miss=int(planted.can_miss.sum()),
        wrong=int(faults.wrong.sum()),
        could_be_wrong=int(planted.can_be_wrong.sum()),
        by_tag=_by_tag(planted),
        tail={} if tail is None else _tail_by_tag(tail, tags),
    )


def _by_tag(planted: Planted) -> dict[str, dict[str, int]]:
    labels, faults = planted.labels, planted.faults
    counted = {
        "true": labels.tag_index,
        "missing": labels.tag_index[faults.missing],
        "wrong": labels.tag_index[faults.wrong],
        "mistaken": faults.mistaken_for[faults.wrong],
    }
    counts = {name: np.bincount(tag, minlength=labels.num_tags) for name, tag in counted.items()}
    counts["given"] = counts["true"] - counts["missing"] - counts["wrong"] + counts["mistaken"]
    return {
        tag: {name: int(count[k]) for name, count in counts.items()} for k, tag in enumerate(planted.true.vocabulary)
    }


def _tail_by_tag(tail: LongTail, tags: Sequence[str]) -> dict[str, dict[str, int]]:
    present = np.flatnonzero(tail.asked)
    return {tags[int(k)]: {"asked": int(tail.asked[k]), "reached": int(tail.reached[k])} for k in present}
