"""Two label layers of a data set side by side, and beside the truth where a layer holds it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from earmark.data.dataset import Dataset
from earmark.data.statements import BoolArray, IntArray, Statements, events_of
from earmark.data.tables import clip_lengths
from earmark.events.reference import strong_clips
from earmark.labels.changes import TagChanges, cut_to_clips, tag_changes, tag_pairs
from earmark.labels.quality import LabelQuality, clipwise_quality, timewise_quality


@dataclass(frozen=True, eq=False)
class ComparedLayers:
    """The labels in force of two layers, and of the truth.

    Attributes:
        before, after: layers by name.
        truth: the layer that undoes planted faults, None where there is none.
        said: statements in force by layer.
        tags: what became of the tags of clips.
    """

    dataset: Dataset
    before: str
    after: str
    truth: str | None
    said: dict[str, Statements]
    tags: TagChanges

    @property
    def num_tags(self) -> int:
        """Tags of the vocabulary."""
        return len(self.dataset.vocabulary)

    @property
    def judged(self) -> list[str]:
        """The layers that the truth says something of: not itself."""
        return [layer for layer in dict.fromkeys((self.before, self.after)) if layer != self.truth]

    @cached_property
    def is_labelled(self) -> BoolArray:
        """Which clips somebody was asked about, (clip,)."""
        return self.dataset.labels(self.before).clip_weight > 0

    def has_events(self, *layers: str) -> bool:
        """Whether any of these layers says when something sounds."""
        return any(len(events_of(self.said[layer])) for layer in layers)

    def pairs(self, layer: str) -> IntArray:
        """The tags that clips have by a layer, see `label_changes.tag_pairs`."""
        return tag_pairs(self.said[layer], self.num_tags)

    def events(self, layer: str) -> Statements:
        """The events of a layer, cut to their clips."""
        return cut_to_clips(events_of(self.said[layer]), clip_lengths(self.dataset.clips))

    def known(self, pairs: IntArray) -> IntArray:
        """Those of some tags of clips that can be right or wrong: the clip is labelled and the tag was annotated."""
        clip, tag = np.divmod(pairs, self.num_tags)
        return pairs[self.is_labelled[clip] & self._is_annotated[tag]]

    def known_events(self, layer: str) -> Statements:
        """Those of a layer's events that can be right or wrong: of clips whose true events are known with times."""
        events = self.events(layer)
        return events.at(self.knows_times[events.clip_index] & self._is_annotated[events.tag_index])

    def clipwise(self, layer: str) -> LabelQuality:
        """How right a layer's tags of clips are."""
        return clipwise_quality(self.known(self.pairs(layer)), self.known(self.pairs(self._truth)), self.num_tags)

    def timewise(self, layer: str) -> LabelQuality:
        """How right a layer's events are, in the clips whose events are known with times."""
        return timewise_quality(self.known_events(layer), self.known_events(self._truth), self.num_tags)

    @cached_property
    def knows_times(self) -> BoolArray:
        """The clips whose true events are known with times, (clip,); none without a truth layer."""
        if self.truth is None:
            return np.zeros(self.dataset.num_clips, np.bool_)
        return self.is_labelled & strong_clips(self.dataset, self.truth)

    @cached_property
    def _is_annotated(self) -> BoolArray:
        return self.dataset.labels(self.before).tag_weight > 0

    @property
    def _truth(self) -> str:
        assert self.truth is not None, "asked only where there is a truth layer"
        return self.truth


def compare_layers(dataset: Dataset, before: str, after: str) -> ComparedLayers:
    """Two layers of a data set, and its truth layer, the latest where it has several.

    Raises:
        InputError: there is no such layer.
    """
    truths = [layer for layer in dataset.layers() if dataset.is_truth(layer)]
    truth = truths[-1] if truths else None
    said = {layer: dataset.statements(layer) for layer in {before, after, *truths[-1:]}}
    tags = tag_changes(said[before], said[after], len(dataset.vocabulary))
    return ComparedLayers(dataset, before, after, truth, said, tags)
