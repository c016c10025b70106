"""What is true of a data set before faults are planted: its labels, their ancestors, and which clips may be touched."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.ontology import Ontology, with_ancestors
from earmark.data.statements import BoolArray, Statements, in_force, statements_from
from earmark.data.synthesis.corrupt_settings import CorruptSettings
from earmark.data.synthesis.planting import Labels, label_table, labels_of
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, first_few


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


def read_true_labels(dataset: Dataset, layer: str, settings: CorruptSettings) -> TrueLabels:
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
        _touchable(dataset, settings),
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


def _touchable(dataset: Dataset, settings: CorruptSettings) -> BoolArray:
    touchable = np.asarray(dataset.column("labelled") != "none", dtype=np.bool_)
    for column, kept in (("fold", settings.keep_folds), ("split", settings.keep_splits)):
        known = pc.unique(dataset.clips[column].drop_null()).to_pylist()
        unknown = [value for value in kept if value not in known]
        if unknown:
            there = first_few(sorted(known), 12) or "none"
            raise InputError(
                f"{dataset.folder}: keep_{column}s must name {column}s of the data set ({there}), got {unknown[0]}"
            )
        touchable &= ~np.isin(dataset.column(column), kept)
    return touchable
