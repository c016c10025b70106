"""Ontologies: which sounds are kinds of which. A graph without loops, in which a node may have several parents."""

import functools
import importlib.resources
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.table_files import CSV_SUFFIXES, TableFile, read_table_file
from earmark.errors import InputError, did_you_mean, first_few

_HEADERS = (("parent", "child"), ("parent_id", "child_id"))


@dataclass(frozen=True)
class Ontology:
    """Nodes by number. What is said of each node (`parents`, `ancestors`, ...) is in the order of the nodes.

    Attributes:
        ids: of every node, each once.
        names: what people call it; several nodes may share one.
        children: the nodes directly below.
        abstract: nodes that only group others and have no sounds of their own.
        blacklisted: nodes that people were not asked about, because they are hard to hear or to find.

    >>> pets = Ontology(("pet", "dog", "bark"), ("Pet", "Dog", "Bark"), ((1,), (2,), ()))
    >>> sorted(pets.ancestors[pets.index("bark")])
    [0, 1]
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    children: tuple[tuple[int, ...], ...]
    abstract: frozenset[int] = frozenset()
    blacklisted: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.names) == len(self.children):
            raise ValueError("an ontology must have an id, a name and children for every node")
        for node, children in enumerate(self.children):
            if not all(0 <= child < len(self) for child in children):
                raise InputError(
                    f"children must be numbers of nodes, 0 to {len(self) - 1}, found {list(children)} under "
                    f'"{self.ids[node]}"'
                )
        if len(self._by_id) < len(self.ids):
            twice = next(name for name in self.ids if self.ids.count(name) > 1)
            raise InputError(f'an ontology must name every node once, found "{twice}" {self.ids.count(twice)} times')
        if len(self._from_the_top) < len(self.ids):
            raise InputError(f"an ontology must have no loop, found {self._loop()}; a node cannot be below itself")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._by_id

    def index(self, node_id: str) -> int:
        """The node's number.

        Raises:
            InputError: no node has this id; names the nearest one.
        """
        if node_id not in self._by_id:
            raise InputError(
                f'the ontology of {len(self)} nodes must have the id, got "{node_id}"{did_you_mean(node_id, self.ids)}'
            )
        return self._by_id[node_id]

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """The nodes directly above every node, ascending."""
        above: list[list[int]] = [[] for _ in self.ids]
        for parent, children in enumerate(self.children):
            for child in children:
                above[child].append(parent)
        return tuple(map(tuple, above))

    @cached_property
    def ancestors(self) -> tuple[frozenset[int], ...]:
        """All nodes above every node, by any path."""
        return self._above(passable=range(len(self)))

    @cached_property
    def ancestors_up_to_abstract(self) -> tuple[frozenset[int], ...]:
        """The nodes above every node on paths that pass no abstract node; a path may end at one."""
        return self._above(passable=set(range(len(self))) - self.abstract)

    @cached_property
    def descendants(self) -> tuple[frozenset[int], ...]:
        """All nodes below every node, by any path."""
        below: list[set[int]] = [set() for _ in self.ids]
        for node, above in enumerate(self.ancestors):
            for ancestor in above:
                below[ancestor].add(node)
        return tuple(map(frozenset, below))

    @cached_property
    def by_name(self) -> dict[str, tuple[int, ...]]:
        """The nodes of every name."""
        nodes: dict[str, tuple[int, ...]] = {}
        for node, name in enumerate(self.names):
            nodes[name] = (*nodes.get(name, ()), node)
        return nodes

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {node_id: node for node, node_id in enumerate(self.ids)}

    @cached_property
    def _from_the_top(self) -> list[int]:
        """Every node after all of its parents; without the nodes of loops and what is below them."""
        waiting = [len(parents) for parents in self.parents]
        order = [node for node, count in enumerate(waiting) if count == 0]
        for node in order:
            for child in self.children[node]:
                waiting[child] -= 1
                if waiting[child] == 0:
                    order.append(child)
        return order

    def _above(self, passable: Iterable[int]) -> tuple[frozenset[int], ...]:
        """The nodes above every node on paths whose inner nodes are passable."""
        open_nodes = frozenset(passable)
        above: list[frozenset[int]] = [frozenset()] * len(self)
        for node in self._from_the_top:
            parents = self.parents[node]
            above[node] = frozenset(parents).union(*(above[parent] for parent in parents if parent in open_nodes))
        return tuple(above)

    def _loop(self) -> str:
        """One loop in words: `a -> b -> a`, from parent to child."""
        # What never came to the top has a parent that did not either, so a walk upwards there meets itself.
        left = set(range(len(self))) - set(self._from_the_top)
        node = min(left)
        walk: dict[int, None] = {}
        while node not in walk:
            walk[node] = None
            node = next(parent for parent in self.parents[node] if parent in left)
        upwards = list(walk)[list(walk).index(node) :]
        loop = [self.ids[node] for node in [upwards[0], *reversed(upwards)]]
        return " -> ".join(loop if len(loop) < 8 else [*loop[:5], "...", loop[-1]])


@functools.cache
def audioset_ontology() -> Ontology:
    """The AudioSet ontology, 632 nodes.

    Source: https://github.com/audioset/ontology, CC BY-SA 4.0.

    >>> dog = audioset_ontology().index("/m/0bt9lr")
    >>> audioset_ontology().names[dog]
    'Dog'
    """
    text = importlib.resources.files("earmark.data").joinpath("ontologies", "audioset.json").read_text("utf-8")
    return _ontology_from(json.loads(text))


def read_ontology(path: Path) -> Ontology:
    """The ontology in a JSON file as AudioSet's, or in a table with the columns `parent` and `child`.

    A table's nodes are the words in it, in the order in which they appear, each its own id and name. The header may be
    in any case, and spaces around a word are not part of it. A row without a parent names a node that has none; a row
    that stands twice says nothing new.

    Raises:
        InputError: the file is no ontology, a child is no node, a node is named twice, or nodes make a loop.
    """
    if path.suffix.lower() != ".json":
        return _read_pairs(path)
    try:
        written = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise InputError(f"{path}: an ontology must be JSON in UTF-8, {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: an ontology must be a list of nodes, found JSON that is nested too deep") from error
    try:
        return _ontology_from(written)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _ontology_from(written: Any) -> Ontology:
    """The ontology that AudioSet's JSON describes: a list of nodes."""
    if not isinstance(written, list) or not written:
        raise InputError('an ontology must be a list of nodes with "id", "name" and "child_ids", found something else')
    for number, node in enumerate(written, start=1):
        if not _is_node(node):
            raise InputError(
                f'a node must have a text "id", a text "name" and a list "child_ids", node {number} has not'
            )
    by_id = {node["id"]: index for index, node in enumerate(written)}
    unknown = [(node["id"], child) for node in written for child in node["child_ids"] if child not in by_id]
    if unknown:
        parent, child = unknown[0]
        more = f"; {len(unknown)} such ids: {first_few(child for _, child in unknown)}" if len(unknown) > 1 else ""
        raise InputError(f'child_ids must name nodes, found "{child}" under "{parent}", which is none{more}')
    return Ontology(
        ids=tuple(node["id"] for node in written),
        names=tuple(node["name"] for node in written),
        children=tuple(tuple(dict.fromkeys(by_id[child] for child in node["child_ids"])) for node in written),
        abstract=_restricted(written, "abstract"),
        blacklisted=_restricted(written, "blacklist"),
    )


def _is_node(node: Any) -> bool:
    """Whether an entry has the form of a node."""
    if not isinstance(node, dict):
        return False
    lists = [node.get("child_ids"), node.get("restrictions", [])]
    return all(isinstance(node.get(key), str) and node[key] for key in ("id", "name")) and all(
        isinstance(words, list) and all(isinstance(word, str) for word in words) for words in lists
    )


def _restricted(written: Sequence[dict[str, Any]], restriction: str) -> frozenset[int]:
    return frozenset(index for index, node in enumerate(written) if restriction in node.get("restrictions", ()))


def _read_pairs(path: Path) -> Ontology:
    """The ontology in a table of parents and children."""
    if path.suffix.lower() not in (*CSV_SUFFIXES, ".parquet"):
        raise InputError(f'{path}: an ontology must be a .json, .csv, .tsv or .parquet file, got "{path.suffix}"')
    file = _trimmed(read_table_file(path))
    header = next((names for names in _HEADERS if file.has(names[1])), _HEADERS[0])
    file.check_columns(required=header, known=header)
    above, below = file.text(header[0]).to_pylist(), file.required_text(header[1]).to_pylist()
    words = [word for pair in zip(above, below, strict=True) for word in pair if word is not None]
    ids = tuple(dict.fromkeys(words))
    if not ids:
        raise InputError(f"{path}: an ontology must have at least one node, found no rows")
    by_id = {node_id: node for node, node_id in enumerate(ids)}
    children: list[dict[int, None]] = [{} for _ in ids]
    for parent, child in zip(above, below, strict=True):
        if parent is not None:
            children[by_id[parent]][by_id[child]] = None
    try:
        return Ontology(ids, ids, tuple(map(tuple, children)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _trimmed(file: TableFile) -> TableFile:
    """The table with the names of its columns in lower case, and text without spaces around it."""
    names = [name.strip().lower() for name in file.table.column_names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f'{file.path}: a column must be named once, found "{twice}" {names.count(twice)} times')
    columns = [
        pc.utf8_trim_whitespace(column)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        else column
        for column in file.table.columns
    ]
    return replace(file, table=pa.table(columns, names=names))
