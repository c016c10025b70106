"""Which tags of a model stand for which tags of a data set with another vocabulary: a CSV, proposed by an ontology.

Columns `dataset_tag`, `model_tag`. A data set's tag may stand on several lines: it scores the greatest of its tags.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.ontology import Ontology, tag_nodes
from earmark.data.table_files import read_table_file, write_table
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, did_you_mean
from earmark.files import written_aside

COLUMNS = ("dataset_tag", "model_tag")


@dataclass(frozen=True)
class TagMap:
    """The tags that a data set and a model share.

    Attributes:
        model_tags: for each shared tag of the data set, in its vocabulary's order, the places of the model's tags that
            stand for it.
    """

    dataset: Vocabulary
    model: Vocabulary
    model_tags: Mapping[str, tuple[int, ...]]

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Where the shared tags stand in the data set's vocabulary."""
        return np.array([self.dataset.index(tag) for tag in self.model_tags], np.int64)

    def scores(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The model's scores (clip, model tag) as those of the shared tags (clip, shared tag)."""
        return np.stack([scores[:, list(places)].max(axis=1) for places in self.model_tags.values()], axis=1)


def read_tag_map(path: Path, dataset: Vocabulary, model: Vocabulary) -> TagMap:
    """The map in a CSV.

    Raises:
        InputError: it is a folder, a column is missing, a tag is in neither vocabulary, or no line stands there; with
            file and line.
    """
    if path.is_dir():
        raise InputError(f"{path}: must be a CSV as `earmark map` makes it, this is a folder")
    file = read_table_file(path)
    file.check_columns(COLUMNS, COLUMNS)
    columns = [file.required_text(name).to_pylist() for name in COLUMNS]
    for name, column, vocabulary in zip(COLUMNS, columns, (dataset, model), strict=True):
        file.refuse(
            np.array([tag not in vocabulary for tag in column], np.bool_),
            lambda row, name=name, column=column, vocabulary=vocabulary: (  # type: ignore[misc]
                f'{name} must be one of {len(vocabulary)}, got "{column[row]}"'
                f"{did_you_mean(column[row], vocabulary.tags)}"
            ),
        )
    return _map(list(zip(*columns, strict=True)), dataset, model, str(path))


def propose_tag_map(dataset: Vocabulary, model: Vocabulary, ontology: Ontology) -> TagMap:
    """The map of tags that mean the same node of an ontology, or have the same name where neither has a node.

    Raises:
        InputError: there is none.
    """
    ours, theirs = tag_nodes(dataset, ontology), tag_nodes(model, ontology)
    pairs = [
        (tag, model.tags[place])
        for tag, node in zip(dataset.tags, ours.node.tolist(), strict=True)
        for place in (theirs.tags_of.get(node, ()) if node >= 0 else (model.index(tag),) if tag in model else ())
    ]
    return _map(pairs, dataset, model, "the vocabularies")


def write_tag_map(tag_map: TagMap, path: Path) -> None:
    """Writes the map as CSV, whole or not at all; a file that is there already stays as it is.

    Raises:
        InputError: a file is there with other lines.
    """
    pairs = [(tag, tag_map.model.tags[place]) for tag, places in tag_map.model_tags.items() for place in places]
    table = pa.table({name: [pair[index] for pair in pairs] for index, name in enumerate(COLUMNS)})
    with written_aside(path) as aside:
        write_table(table, aside)
        if path.is_file() and path.read_bytes() != aside.read_bytes():
            raise InputError(
                f"{path}: is there with other lines than are proposed, perhaps mended by hand; name another file or "
                "remove it first"
            )


def _map(pairs: list[tuple[str, str]], dataset: Vocabulary, model: Vocabulary, where: str) -> TagMap:
    if not pairs:
        raise InputError(f"{where}: model and data set must share at least one tag, found none")
    shared: dict[str, tuple[int, ...]] = {}
    for tag, model_tag in sorted(pairs, key=lambda pair: dataset.index(pair[0])):
        shared[tag] = tuple(dict.fromkeys((*shared.get(tag, ()), model.index(model_tag))))
    return TagMap(dataset, model, shared)
