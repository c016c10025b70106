"""What an ontology says of tags: their nodes, which are kinds of which, and labels with the ancestors of their tags."""

import csv
import functools
import importlib.resources
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.ontology_graph import Ontology, audioset_ontology, read_ontology
from earmark.data.statements import (
    WEAK,
    BoolArray,
    IntArray,
    Statements,
    pairs,
    same_as_next,
    sorted_order,
    statements_from,
)
from earmark.data.tables import LABEL_SCHEMA
from earmark.data.vocabulary import Vocabulary

__all__ = [
    "Ontology",
    "TagNodes",
    "audioset_ontology",
    "ontology_of",
    "read_ontology",
    "tag_nodes",
    "with_ancestors",
]


def ontology_of(path: Path | None) -> Ontology:
    """The ontology of a file, AudioSet's where none is given."""
    return audioset_ontology() if path is None else read_ontology(path)


@dataclass(frozen=True, eq=False)
class TagNodes:
    """The node of every tag of a vocabulary, and how the tags lie to each other.

    Attributes:
        node: number of the tag's node, -1 where it has none, int64 (tag,). Two tags may have one node.
    """

    vocabulary: Vocabulary
    ontology: Ontology
    node: IntArray

    @property
    def unknown(self) -> tuple[str, ...]:
        """The tags without a node."""
        return tuple(self.vocabulary.tags[tag] for tag in np.flatnonzero(self.node < 0))

    @cached_property
    def tags_of(self) -> dict[int, tuple[int, ...]]:
        """The tags of every node that has any."""
        tags: dict[int, tuple[int, ...]] = {}
        for tag, node in enumerate(self.node.tolist()):
            if node >= 0:
                tags[node] = (*tags.get(node, ()), tag)
        return tags

    @cached_property
    def children(self) -> BoolArray:
        """`children[i, j]`: tag j's node is directly below tag i's, bool (tag, tag)."""
        return self._related(lambda node: self.ontology.children[node])

    @cached_property
    def ancestors(self) -> BoolArray:
        """`ancestors[i, j]`: tag j's node is above tag i's, by any path, bool (tag, tag)."""
        return self._related(lambda node: self.ontology.ancestors[node])

    @cached_property
    def ancestors_up_to_abstract(self) -> BoolArray:
        """`ancestors` by paths that pass no abstract node, though they may end at one, bool (tag, tag)."""
        return self._related(lambda node: self.ontology.ancestors_up_to_abstract[node])

    @cached_property
    def siblings(self) -> BoolArray:
        """`siblings[i, j]`: different nodes with a parent in common, neither above the other, bool (tag, tag).

        Symmetric. Such tags are easily mistaken for each other, and the one does not make the other right.
        """
        return self._related(self._siblings_of)

    def _siblings_of(self, node: int) -> set[int]:
        ontology = self.ontology
        beside = {child for parent in ontology.parents[node] for child in ontology.children[parent]}
        return beside - {node} - ontology.ancestors[node] - ontology.descendants[node]

    def _related(self, related: Callable[[int], Iterable[int]]) -> BoolArray:
        """Which tags have nodes that are related to each tag's node, bool (tag, tag)."""
        matrix = np.zeros((len(self.node), len(self.node)), np.bool_)
        for node, tags in self.tags_of.items():
            others = [tag for other in related(node) for tag in self.tags_of.get(other, ())]
            matrix[np.ix_(tags, others)] = True
        return matrix


def tag_nodes(vocabulary: Vocabulary, ontology: Ontology) -> TagNodes:
    """The node of every tag: that of its id, else the one that the tag names.

    A tag names a node by its id or name; else by its name in any case, with `_` for spaces and "and" or "or" for
    commas ("Burping_or_eructation" is "Burping, eructation"); else by the list of other data sets' tags in
    `ontologies/names.csv`. A tag that names several nodes has none.
    """
    by_words = _nodes_by_words(ontology)
    ids = vocabulary.ids or (None,) * len(vocabulary)
    found = (_nodes_of(tag, tag_id, ontology, by_words) for tag, tag_id in zip(vocabulary.tags, ids, strict=True))
    return TagNodes(vocabulary, ontology, np.array([nodes[0] if len(nodes) == 1 else -1 for nodes in found], np.int64))


def _nodes_of(
    tag: str, tag_id: str | None, ontology: Ontology, by_words: dict[tuple[str, ...], tuple[int, ...]]
) -> tuple[int, ...]:
    """The nodes that a tag may mean."""
    for node_id in (tag_id, tag):
        if node_id is not None and node_id in ontology:
            return (ontology.index(node_id),)
    nodes = ontology.by_name.get(tag) or by_words.get(_words(tag))
    if nodes:
        return nodes
    elsewhere = _names_elsewhere().get(_words(tag))
    return (ontology.index(elsewhere),) if elsewhere is not None and elsewhere in ontology else ()


def _nodes_by_words(ontology: Ontology) -> dict[tuple[str, ...], tuple[int, ...]]:
    """The nodes of every name's words."""
    nodes: dict[tuple[str, ...], tuple[int, ...]] = {}
    for name, named in ontology.by_name.items():
        nodes[_words(name)] = (*nodes.get(_words(name), ()), *named)
    return nodes


def _words(name: str) -> tuple[str, ...]:
    """The words of a name that data sets leave as they are.

    >>> _words("Dishes, pots, and pans") == _words("Dishes_and_pots_and_pans")
    True
    """
    return tuple(word for word in re.split(r"[\s_,]+", name.lower()) if word not in ("", "and", "or"))


@functools.cache
def _names_elsewhere() -> dict[tuple[str, ...], str]:
    """The ids of AudioSet's nodes by other data sets' names for them."""
    text = importlib.resources.files("earmark.data").joinpath("ontologies", "names.csv").read_text("utf-8")
    return {_words(row["name"]): row["id"] for row in csv.DictReader(text.splitlines())}


def with_ancestors(labels: pa.Table, vocabulary: Vocabulary, ontology: Ontology) -> tuple[pa.Table, Vocabulary]:
    """The labels and those of all ancestors of their tags, with the vocabulary that has these too.

    A kind of something is that too: at the same times, with the same value, said by the same source. An added event
    that overlaps others of its tag and value becomes one with them, from the first onset to the last offset, with the
    source of the first. Statements about the same times become one, with the greatest value. Rows of value 0 add
    nothing. Where all values are one, twice gives the same as once.

    Abstract and blacklisted nodes become no new tags: AudioSet's annotators were asked about neither, so that nothing
    that learns from such labels knows them. The nodes above them do, and where the vocabulary has such a tag itself
    (FSD50K's has "Human_voice") it is added like others.

    Args:
        labels: a checked label table.

    Returns:
        labels: by clip as first met, then by tag, onset and offset.
        vocabulary: the given tags, then by name the ancestors that any of them has, used or not. A name that a given
            tag has already is followed by the node's id. Ids are those of the nodes if the vocabulary has ids, or if
            every tag has a node of its own; otherwise there are none.

    Raises:
        InputError: a tag is not in the vocabulary.
    """
    unknown = pc.invert(pc.is_in(labels["tag"], vocabulary.array()))
    if pc.any(unknown).as_py():
        vocabulary.index(labels["tag"].filter(unknown)[0].as_py())
    wider, implied = _implied_tags(tag_nodes(vocabulary, ontology))
    clips = pc.unique(labels["clip"])
    given = statements_from(labels, pa.table({"clip": clips}), vocabulary)
    row, tag = _implied_rows(given, implied)
    said, place = _said_once(
        replace(given.at(row), tag_index=tag), added=np.arange(len(row)) >= len(given), num_tags=len(wider)
    )
    columns = {
        "clip": pc.take(clips, pa.array(said.clip_index)),
        "tag": pc.take(wider.array(), pa.array(said.tag_index)),
        "onset": pa.array(said.onset, mask=said.onset == WEAK),
        "offset": pa.array(said.offset, mask=said.onset == WEAK),
        "value": pa.array(said.value),
        "source": pc.take(labels["source"], pa.array(row[place])),
    }
    return pa.table(columns, schema=LABEL_SCHEMA), wider


def _implied_tags(nodes: TagNodes) -> tuple[Vocabulary, list[tuple[int, ...]]]:
    """The vocabulary with the ancestors that its tags have, and for each given tag the tags that it implies."""
    ontology, given = nodes.ontology, nodes.vocabulary
    above = {ancestor for node in nodes.tags_of for ancestor in ontology.ancestors[node]}
    new = above - set(nodes.tags_of) - ontology.abstract - ontology.blacklisted
    names = {node: ontology.names[node] for node in new}
    shared = Counter([*given.tags, *names.values()])
    tag_of = {node: name if shared[name] == 1 else f"{name} ({ontology.ids[node]})" for node, name in names.items()}
    added = sorted(new, key=lambda node: tag_of[node])
    tags_of = nodes.tags_of | {node: (len(given) + place,) for place, node in enumerate(added)}
    implied = [
        tuple(sorted(tag for ancestor in ontology.ancestors[node] for tag in tags_of.get(ancestor, ())))
        if node >= 0
        else ()
        for node in nodes.node.tolist()
    ]
    ids = given.ids
    if ids is None and not nodes.unknown and len(nodes.tags_of) == len(given):
        ids = tuple(ontology.ids[node] for node in nodes.node)
    wider = Vocabulary(
        (*given.tags, *(tag_of[node] for node in added)),
        None if ids is None else (*ids, *(ontology.ids[node] for node in added)),
    )
    return wider, implied


def _implied_rows(given: Statements, implied: Sequence[tuple[int, ...]]) -> tuple[IntArray, npt.NDArray[np.int32]]:
    """The rows and their tags, then each row above 0 again with every tag that its tag implies."""
    tag = given.tag_index
    width = np.array([len(tags) for tags in implied], np.int64)
    flat = np.array([other for tags in implied for other in tags], np.int32)
    count = np.where(given.value > 0, width[tag], 0)
    first = (np.cumsum(width) - width)[tag] - (np.cumsum(count) - count)
    place = np.arange(count.sum()) + np.repeat(first, count)
    rows = np.arange(len(given))
    return np.concatenate([rows, np.repeat(rows, count)]), np.concatenate([tag, flat[place]])


def _said_once(statements: Statements, added: BoolArray, num_tags: int) -> tuple[Statements, IntArray]:
    """The statements with added events merged and none about the same times twice, and the place of each before."""
    pair = pairs(statements, num_tags)
    kept, offset = np.ones(len(statements), np.bool_), statements.offset.copy()
    events = np.flatnonzero(statements.onset != WEAK)
    if added[events].any():
        order = events[np.lexsort((statements.onset[events], statements.value[events], pair[events]))]
        ordered = statements.at(order)
        starts, reach = _overlapping(pair[order], ordered)
        merged = np.logical_or.reduceat(added[order], starts)
        kept[order] = ~np.repeat(merged, np.diff(starts, append=len(order)))
        kept[order[starts]] = True
        offset[order[starts[merged]]] = reach[merged]
    place = np.flatnonzero(kept)
    place = place[np.argsort(-statements.value[place], kind="stable")]
    said = replace(statements, offset=offset).at(place)
    order = sorted_order(said, pair[place])
    said, place = said.at(order), place[order]
    first = np.append(np.ones(min(1, len(place)), np.bool_), ~same_as_next(said, pair[place]))
    return said.at(first), place[first]


def _overlapping(pair: IntArray, ordered: Statements) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Where runs of overlapping events begin, and the last offset of each; by clip and tag, value, then onset."""
    group = np.cumsum((np.diff(pair, prepend=pair[:1]) != 0) | (np.diff(ordered.value, prepend=ordered.value[:1]) != 0))
    # As ranks the times of all groups fit on one line without rounding, so one running maximum serves them all.
    times, rank = np.unique(np.concatenate([ordered.onset, ordered.offset]), return_inverse=True)
    onset, offset = rank.reshape(2, -1) + group * len(times)
    reach = np.maximum.accumulate(offset)
    starts = np.flatnonzero(np.append(True, onset[1:] >= reach[:-1]))
    return starts, times[reach[np.append(starts[1:], len(reach)) - 1] % len(times)]
