"""Label layers in a data set's folder `labels/`: `given`, and named ones that each build on a parent.

A layer is a label table, `NAME.parquet` or `NAME.csv`, that holds only its differences from its parent, and
`NAME.json`, which names the parent, the run that wrote it and the date. The JSON is written last: a layer without it is
not there. A layer whose JSON has the role "truth" undoes faults that were planted: models are scored by it and never
learn from it, so no layer builds on it.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from earmark.data.tables import read_labels, write_labels
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, did_you_mean
from earmark.files import read_json, write_json

GIVEN = "given"
TRUTH = "truth"
"""The role of a layer that undoes planted faults, and the name that it is given."""

TABLE_SUFFIXES = (".parquet", ".csv")


def layer_names(folder: Path) -> list[str]:
    """`given`, then the other layers of a data set by date."""
    names = (path.stem for path in (folder / "labels").glob("*.json"))
    dated = [(str(about_layer(folder, name).get("date", "")), name) for name in names]
    return [GIVEN, *(name for _, name in sorted(dated) if name != GIVEN)]


def layer_chain(folder: Path, layer: str) -> list[str]:
    """The layers that a layer builds on, oldest first, itself last.

    Raises:
        InputError: there is no such layer, or one of its parents is gone.
    """
    chain = [layer]
    while chain[0] != GIVEN:
        names = layer_names(folder)
        if chain[0] not in names:
            of = "" if len(chain) == 1 else f', parent of "{chain[1]}"'
            raise InputError(f'{folder}: there is no label layer "{chain[0]}"{of}{did_you_mean(chain[0], names)}')
        parent = about_layer(folder, chain[0]).get("parent")
        if not isinstance(parent, str) or parent in chain:
            raise InputError(
                f'{folder / "labels" / chain[0]}.json: "parent" must name an earlier layer, got {parent!r}'
            )
        chain.insert(0, parent)
    return chain


def parent_of(folder: Path, layer: str) -> str:
    """The layer that another one builds on.

    Raises:
        InputError: there is no such layer, it builds on none, or its parent is gone.
    """
    chain = layer_chain(folder, layer)
    if len(chain) == 1:
        raise InputError(f'{folder}: label layer "{layer}" builds on no other one; name the layer to compare it with')
    return chain[-2]


def is_truth(folder: Path, layer: str) -> bool:
    """Whether a layer, or one that it builds on, undoes planted faults.

    Raises:
        InputError: there is no such layer, or one of its parents is gone.
    """
    return any(about_layer(folder, name).get("role") == TRUTH for name in layer_chain(folder, layer) if name != GIVEN)


def read_layer(folder: Path, layer: str, clips: pa.Table, vocabulary: Vocabulary) -> pa.Table:
    """The label table of one layer, without its parents.

    Raises:
        InputError: there is no such layer, or it does not fit the clips and the vocabulary.
    """
    layer_chain(folder, layer)
    return read_labels(table_path(folder / "labels" / layer), clips, vocabulary)


def about_layer(folder: Path, name: str) -> dict[str, Any]:
    """What a layer's JSON says: its parent, who wrote it and when, and what else it was given.

    Raises:
        InputError: there is none, or it is not a JSON object.
    """
    path = folder / "labels" / f"{name}.json"
    try:
        about = read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read, {error}") from error
    if not isinstance(about, dict):
        raise InputError(f'{path}: must be JSON with "parent", "written_by" and "date"')
    return about


def write_layer_files(
    folder: Path,
    name: str,
    table: pa.Table,
    clips: pa.Table,
    vocabulary: Vocabulary,
    parent: str,
    written_by: str,
    role: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Writes a layer beside the others; its table has the form of the clip table, Parquet or CSV.

    Args:
        role: kept in the JSON; "truth" for the layer that undoes planted faults, None for any other.
        changes: kept in the JSON, where given.

    Raises:
        InputError: the name is taken or no file name, the parent is unknown or a truth layer, or the table does not
            hold.
    """
    check_new(folder, name, parent)
    suffix = table_path(folder / "clips").suffix
    write_labels(table, folder / "labels" / f"{name}{suffix}", clips, vocabulary)
    about = {"parent": parent, "written_by": written_by, "date": now(), "statements": table.num_rows}
    if role is not None:
        about["role"] = role
    if changes:
        about["changes"] = dict(changes)
    write_json(folder / "labels" / f"{name}.json", about)


def check_new(folder: Path, name: str, parent: str) -> None:
    """Raises InputError unless a layer of that name may be written on a parent."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise InputError(f'the name of a layer must be letters, digits, "_", "-" and ".", got "{name}"')
    if name in layer_names(folder):
        raise InputError(f'{folder}: label layer "{name}" is there already and layers never change; take another name')
    if is_truth(folder, parent):
        raise InputError(
            f'{folder}: label layer "{name}" must build on labels as they are given, "{parent}" is the truth about '
            f'planted faults; build on "{GIVEN}"'
        )


def table_path(stem: Path) -> Path:
    """The one table that lies at a path without its suffix.

    Raises:
        InputError: there is none, or both a Parquet and a CSV table.
    """
    found = [path for path in (stem.with_name(stem.name + suffix) for suffix in TABLE_SUFFIXES) if path.is_file()]
    if len(found) != 1:
        was = "both" if found else "neither"
        raise InputError(f"{stem.parent}: must hold either {stem.name}.parquet or {stem.name}.csv, holds {was}")
    return found[0]


def now() -> str:
    """The date and time, UTC, to a microsecond, so that layers written one after another sort by it."""
    return datetime.now(UTC).isoformat()
