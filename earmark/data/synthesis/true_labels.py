"""What is true of a data set before faults are planted: labels, their ancestors, which clips may be touched, how many.

A long tail is made first: clips are dropped, with all that is true of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.ontology import Ontology, with_ancestors
from earmark.data.statements import BoolArray, IntArray, Statements, in_force, statements_from
from earmark.data.synthesis.draws import FloatArray, rank_within
from earmark.data.synthesis.faults import Labels, label_table, labels_of
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, first_few

# Gains that differ by less are the same but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class TrueLabels:
    """Clips and what is true of them.

    Attributes:
        annotated: the tags that annotators were asked about, (tag,).
        touchable: the clips that may get faults: labelled, and kept right by no setting, (clip,).
        num_added: labels that are there only as ancestors of others.
    """

    clips: pa.Table
    statements: Statements
    vocabulary: Vocabulary
    annotated: BoolArray
    touchable: BoolArray
    num_added: int = 0

    @property
    def labels(self) -> Labels:
        """The labels that the statements make."""
        return labels_of(self.statements, len(self.vocabulary))

    def without(self, dropped: BoolArray) -> "TrueLabels":
        """The same without some clips, (clip,)."""
        stays = ~dropped
        statements = self.statements.at(stays[self.statements.clip_index])
        number = np.cumsum(stays) - 1
        return replace(
            self,
            clips=self.clips.filter(pa.array(stays)),
            statements=replace(statements, clip_index=number[statements.clip_index]),
            touchable=self.touchable[stays],
        )


def read_true_labels(
    dataset: Dataset, layer: str, keep_folds: Sequence[int] = (), keep_splits: Sequence[str] = ()
) -> TrueLabels:
    """The labels in force after a layer.

    Raises:
        InputError: there is no such layer, or a fold or split to keep is not in the data set.
    """
    not_annotated = dataset.about.get("not_annotated", ())
    return TrueLabels(
        dataset.clips,
        dataset.statements(layer),
        dataset.vocabulary,
        np.array([tag not in not_annotated for tag in dataset.vocabulary], np.bool_),
        _touchable(dataset, {"fold": keep_folds, "split": keep_splits}),
    )


def add_ancestors(true: TrueLabels, ontology: Ontology) -> TrueLabels:
    """The labels and those of the ancestors of their tags, with the vocabulary that has these too."""
    source = pa.repeat(GIVEN, len(true.statements))
    table = label_table(true.statements, true.clips, true.vocabulary, source)
    table, vocabulary = with_ancestors(table, true.vocabulary, ontology)
    # The added tags are known wherever the tags below them are.
    annotated = np.append(true.annotated, np.ones(len(vocabulary) - len(true.vocabulary), np.bool_))
    wider = replace(
        true,
        statements=in_force([statements_from(table, true.clips, vocabulary)], len(vocabulary)),
        vocabulary=vocabulary,
        annotated=annotated,
    )
    return replace(wider, num_added=len(wider.labels) - len(true.labels))


def _touchable(dataset: Dataset, keep: Mapping[str, Sequence[int] | Sequence[str]]) -> BoolArray:
    touchable = np.asarray(dataset.column("labelled") != "none", dtype=np.bool_)
    for column, kept in keep.items():
        known = pc.unique(dataset.clips[column].drop_null()).to_pylist()
        unknown = [value for value in kept if value not in known]
        if unknown:
            there = first_few(sorted(known), 12) or "none"
            raise InputError(
                f"{dataset.folder}: keep_{column}s must name {column}s of the data set ({there}), got {unknown[0]}"
            )
        touchable &= ~np.isin(dataset.column(column), kept)
    return touchable


@dataclass(frozen=True, eq=False)
class LongTail:
    """What is dropped, and how near the counts come.

    Attributes:
        dropped: (clip,).
        asked, reached: clips of every tag among those that could be dropped, (tag,).
    """

    dropped: BoolArray
    asked: IntArray
    reached: IntArray


def long_tail(
    labels: Labels, droppable: BoolArray, ratio: float, of_clips: FloatArray, of_tags: FloatArray
) -> LongTail:
    """The clips to drop so that the most frequent tag has `ratio` times the clips of the rarest, as near as can be.

    The counts asked for fall by the same factor from tag to tag, from the most frequent to the rarest, and are as great
    as they can be while none is above what there is: what has a long tail already is thinned little. Clips of one tag
    reach them exactly. A clip of several tags is dropped if that brings the counts nearer: the distance is the sum over
    tags of the deviation as a share of the count asked for, and in the end no single clip's drop would lessen it. Clips
    without tags stay.

    Args:
        droppable: the clips that count and may be dropped, (clip,).
        of_clips: a number for every clip; of those that help as much the least goes first.
        of_tags: a number for every tag; of those as frequent the least is asked for more.
    """
    rows = np.flatnonzero(droppable[labels.clip_index])
    clip, tag = labels.clip_index[rows], labels.tag_index[rows]
    asked = _asked(np.bincount(tag, minlength=labels.num_tags), ratio, of_tags)
    dropped = np.zeros(len(droppable), np.bool_)
    while True:
        more = _next_dropped(clip, tag, asked, of_clips)
        if not more.any():
            return LongTail(dropped, asked, np.bincount(tag, minlength=labels.num_tags))
        dropped |= more
        stays = ~more[clip]
        clip, tag = clip[stays], tag[stays]


def _asked(counts: IntArray, ratio: float, of_tags: FloatArray) -> IntArray:
    """The counts asked for, (tag,); 0 for a tag that no clip has."""
    asked = np.zeros(len(counts), np.int64)
    present = np.flatnonzero(counts)
    order = present[np.lexsort((of_tags[present], -counts[present]))]
    share = ratio ** -np.linspace(0, 1, len(order))
    most = np.min(counts[order] / share, initial=np.inf)
    # Rounded first, so that a count that is a half but for the last bit is one.
    asked[order] = np.maximum(1, np.floor(np.round(most * share, 6) + 0.5)) if len(order) else 0
    return asked


def _next_dropped(clip: IntArray, tag: IntArray, asked: IntArray, of_clips: FloatArray) -> BoolArray:
    """Clips that can all be dropped at once, each bringing the counts nearer, (clip,); none when no clip does.

    At most so many clips of a tag as it has too many, so that none that is dropped spoils another's gain. The best clip
    that may be dropped is always among them.
    """
    num_clips = len(of_clips)
    counts = np.bincount(tag, minlength=len(asked))
    too_many = counts - asked
    spare = np.where(too_many > 0, too_many, counts - np.min(asked, where=asked > 0, initial=counts.max(initial=0)))
    gain = np.bincount(clip, np.where(too_many[tag] > 0, 1, -1) / asked[tag], minlength=num_clips)
    helps = gain > _ROUNDING
    helps[clip[spare[tag] == 0]] = False
    place = np.empty(num_clips, np.int64)
    place[np.lexsort((of_clips, -gain))] = np.arange(num_clips)
    counted = np.flatnonzero(helps[clip])
    late = rank_within(tag[counted], place[clip[counted]]) >= spare[tag[counted]]
    helps[clip[counted[late]]] = False
    return helps
