"""The layer that an ontology and stored scores add to a data set's labels."""

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from earmark.data.dataset import Dataset, write_layer
from earmark.data.layers import check_new
from earmark.data.ontology import Ontology, TagNodes, tag_nodes
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.errors import InputError, first_few
from earmark.relabel.ontology import BoolArray, Enhancement, Threshold, Types, enhance
from earmark.scores.store import ScoreStore

log = logging.getLogger(__name__)

SOURCE = "ontology"
MOST_TAGS = 10


class NothingToAddError(InputError):
    """The scores add no label."""


Ancestors = Literal["all", "parents_only", "stop_at_abstract"]


def known_nodes(dataset: Dataset, ontology: Ontology) -> TagNodes:
    """The nodes of a data set's tags.

    Raises:
        InputError: no tag has one.
    """
    nodes = tag_nodes(dataset.vocabulary, ontology)
    if len(nodes.unknown) == len(dataset.vocabulary):
        raise InputError(
            f"tags of {dataset.name} must be nodes of the ontology, none of {len(dataset.vocabulary)} is: "
            f"{first_few(dataset.vocabulary.tags)}; give the vocabulary ids, or another ontology"
        )
    return nodes


def add_enhanced_layer(
    dataset: Dataset,
    store: ScoreStore,
    ontology: Ontology,
    name: str,
    *,
    parent: str = "given",
    types: Types = "both",
    threshold: Threshold = "mean",
    ancestors: Ancestors = "all",
    written_by: str = "",
    about: Mapping[str, Any] | None = None,
) -> tuple[Enhancement, tuple[str, ...]]:
    """Writes the layer of added labels and returns them, with the tags that have no node and so take no part.

    Only clips that the store has scores of are looked at; each added label is weak. Thresholds are made of clips of the
    training split alone.

    Args:
        parent: the layer whose labels propose, and that the new one builds on.
        ancestors: type 2 looks at all ancestors, at parents only (the paper's text), or at none beyond an abstract
            node (its released code). Abstract nodes are never added.

    Raises:
        InputError: the name is taken, the scores do not fit the data set, no tag has a node, or nothing is to be added.
    """
    check_new(dataset.folder, name, parent)
    nodes = known_nodes(dataset, ontology)
    clips, score_rows, in_training = store.of_clips(dataset)
    if not store.about.get("out_of_fold"):
        log.warning("%s: scores of clips by a model that was trained on them; better: score --folds", store.folder)
    labels = dataset.labels(parent)
    found = enhance(
        labels, clips, store.scores, score_rows, nodes.children & ~_is_abstract(nodes), _reached(nodes, ancestors),
        makes_thresholds=in_training, types=types, threshold=threshold,
    )  # fmt: skip
    if not len(found.tag_index):
        raise NothingToAddError(
            f"{dataset.name}: no label is to be added, because no tag that the ontology proposes scores above its "
            f"threshold; nothing was written"
        )
    table = columns_or_null(
        len(found.tag_index),
        LABEL_SCHEMA,
        clip=dataset.clips["clip"].take(pa.array(found.clip_index)),
        tag=dataset.vocabulary.array().take(pa.array(found.tag_index)),
        value=pa.array(np.ones(len(found.tag_index), np.float32)),
        source=pa.repeat(SOURCE, len(found.tag_index)),
    )
    told = {"types": types, "threshold": threshold, "ancestors": ancestors, **(about or {}), **found.changes()}
    write_layer(dataset, name, table, parent, written_by, changes=told)
    return found, nodes.unknown


def enhancement_lines(dataset: Dataset, name: str, found: Enhancement, unknown: tuple[str, ...]) -> list[str]:
    """What was added, for a terminal: in total, and for the tags with most."""
    changes = found.changes()
    lines = [
        f"{dataset.folder}: layer {name} adds {changes['added']} labels ({changes['added_percent']:.1f} % of "
        f"{int(found.counts.sum())}) to {changes['clips_touched']} clips",
        f"type 1 (children) {changes['type_1']}, type 2 (ancestors) {changes['type_2']}, "
        f"tags touched {changes['tags_touched']} of {len(found.counts)}",
    ]
    added = np.bincount(found.tag_index, minlength=len(found.counts))
    for tag in np.argsort(-added, kind="stable")[:MOST_TAGS]:
        if added[tag]:
            before, limit = found.counts[tag], found.threshold[tag]
            lines.append(f"  {dataset.vocabulary.tags[tag]}: {added[tag]} to {before}, threshold {limit:.3f}")
    without = [tag for tag, count in zip(dataset.vocabulary.tags, found.counts, strict=True) if not count]
    if without:
        lines.append(f"note: {len(without)} tags that no training clip has are never added: {first_few(without)}")
    if unknown:
        lines.append(f"note: {len(unknown)} tags have no node of the ontology and take no part: {first_few(unknown)}")
    return lines


def _reached(nodes: TagNodes, ancestors: Ancestors) -> BoolArray:
    """Which tags type 2 may add for each tag, (tag, tag)."""
    above = {
        "all": nodes.ancestors,
        "parents_only": nodes.children.T,
        "stop_at_abstract": nodes.ancestors_up_to_abstract,
    }[ancestors]
    return above & ~_is_abstract(nodes)


def _is_abstract(nodes: TagNodes) -> BoolArray:
    """The tags whose node is abstract, (tag,)."""
    is_abstract: BoolArray = np.isin(nodes.node, list(nodes.ontology.abstract))
    return is_abstract
