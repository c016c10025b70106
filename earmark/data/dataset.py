"""A data set as a folder: clips, vocabulary, label layers, problems; how it is opened, written and added to.

`dataset.json` (what it is), `vocabulary.json`, `clips.parquet` or `clips.csv`, `labels/` (see `layers`), `problems.csv`
(what was wrong with which file) and `packs/RATE/` (a cache).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data import layers
from earmark.data.audio.problems import Problem
from earmark.data.statements import ClipLabels, IntArray, Statements, clip_labels_from, in_force, statements_from
from earmark.data.table_files import read_table_file, write_table
from earmark.data.tables import read_clips, write_clips, write_labels
from earmark.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from earmark.errors import InputError, did_you_mean
from earmark.files import ORDER, digest_of, kind_of_folder, read_json, write_json, written_aside

__all__ = ["ClipLabels", "Dataset", "open_dataset", "write_dataset", "write_layer"]

FORMAT = 1
PROBLEM_COLUMNS = ("path", "clip", "kind", "outcome", "detail")


@dataclass(frozen=True, eq=False)
class Dataset:
    """An opened data set.

    Attributes:
        clips: the clip table, see `tables`; a clip's row is its number everywhere.
        audio_root: the folder that relative paths of the clip table start from.
        about: what `dataset.json` holds beside.
    """

    folder: Path
    name: str
    clips: pa.Table
    vocabulary: Vocabulary
    audio_root: Path
    about: Mapping[str, Any]
    _labels: dict[str, ClipLabels] = field(default_factory=dict, repr=False)

    @property
    def num_clips(self) -> int:
        """The rows of the clip table."""
        return int(self.clips.num_rows)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of the clip table as numpy, (clip,).

        Text is objects with None, seconds are float64 with NaN, fold is int64 with -1, verified is int8 with -1.
        """
        if name not in self.clips.column_names:
            raise InputError(f'unknown column "{name}" of the clip table{did_you_mean(name, self.clips.column_names)}')
        column = self.clips[name]
        if pa.types.is_boolean(column.type):
            return np.asarray(pc.fill_null(column.cast(pa.int8()), -1), dtype=np.int8)
        if pa.types.is_integer(column.type):
            return np.asarray(pc.fill_null(column, -1), dtype=np.int64)
        return column.to_numpy()  # type: ignore[no-any-return]

    def groups(self) -> IntArray:
        """A number for the group of every clip, int64 (clip,); clips of one recording have the same."""
        return np.asarray(self.clips["group"].combine_chunks().dictionary_encode().indices, dtype=np.int64)

    def audio_path(self, row: int) -> Path:
        """The recording that a clip lies in."""
        return self.audio_root / str(self.clips["path"][row])

    def labels(self, layer: str = layers.GIVEN) -> ClipLabels:
        """The clipwise labels in force after a layer and all that it builds on.

        Raises:
            InputError: there is no such layer, or one of the chain does not hold.
        """
        if layer not in self._labels:
            self._labels[layer] = clip_labels_from(self.statements(layer), self._clip_weight(), self._tag_weight())
        return self._labels[layer]

    def statements(self, layer: str = layers.GIVEN) -> Statements:
        """The statements in force after a layer, weak and strong, by clip, tag and times."""
        chain = layers.layer_chain(self.folder, layer)
        tables = (layers.read_layer(self.folder, name, self.clips, self.vocabulary) for name in chain)
        return in_force([statements_from(table, self.clips, self.vocabulary) for table in tables], len(self.vocabulary))

    def layers(self) -> list[str]:
        """The label layers, `given` first, then by date."""
        return layers.layer_names(self.folder)

    def is_truth(self, layer: str) -> bool:
        """Whether a layer, or one that it builds on, undoes planted faults: to score by, never to learn from.

        Raises:
            InputError: there is no such layer.
        """
        return layers.is_truth(self.folder, layer)

    def problems(self) -> list[Problem]:
        """What was found wrong with files when they were imported."""
        path = self.folder / "problems.csv"
        if not path.exists():
            return []
        file = read_table_file(path)
        file.check_columns(PROBLEM_COLUMNS, PROBLEM_COLUMNS)
        columns = [[cell or "" for cell in file.table[name].to_pylist()] for name in PROBLEM_COLUMNS]
        return [
            Problem(path, clip, kind, "left out" if outcome == "left out" else "kept", detail)
            for path, clip, kind, outcome, detail in zip(*columns, strict=True)
        ]

    @cached_property
    def digest(self) -> str:
        """A short name of the clip table's content, the same for Parquet and CSV."""
        return table_digest(self.clips)

    def _clip_weight(self) -> npt.NDArray[np.float32]:
        return np.asarray(pc.not_equal(self.clips["labelled"], "none"), dtype=np.float32)

    def _tag_weight(self) -> npt.NDArray[np.float32]:
        weight = np.ones(len(self.vocabulary), np.float32)
        weight[[self.vocabulary.index(tag) for tag in self.about.get("not_annotated", ())]] = 0
        return weight


def open_dataset(folder: Path | str) -> Dataset:
    """The data set in a folder, its clip table checked; labels are read when asked for.

    Raises:
        InputError: the folder holds no data set, or a table of it does not hold.
    """
    folder = Path(folder)
    path = folder / "dataset.json"
    if not path.is_file():
        kind = kind_of_folder(folder)
        if kind:
            raise InputError(f"{folder}: must be a data set, this is {kind}; {ORDER}")
        was = "that has no dataset.json" if folder.is_dir() else "that does not exist"
        raise InputError(f"{folder}: must be a data set, got a folder {was}; make one with `earmark import`")
    try:
        about = dict(read_json(path))
        version, name, audio_root = about["format"], str(about["name"]), str(about["audio_root"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: must be JSON with "format", "name" and "audio_root", {error!r}') from error
    if version != FORMAT:
        raise InputError(f"{path}: format must be {FORMAT}, got {version}; another version of earmark wrote it")
    return Dataset(
        folder=folder,
        name=name,
        clips=read_clips(layers.table_path(folder / "clips")),
        vocabulary=read_vocabulary(folder / "vocabulary.json"),
        audio_root=Path(os.path.normpath(folder.resolve() / audio_root)),
        about=about,
    )


def write_dataset(
    folder: Path | str,
    *,
    name: str,
    clips: pa.Table,
    labels: pa.Table,
    vocabulary: Vocabulary,
    audio_root: Path,
    source: Path | None = None,
    not_annotated: Sequence[str] = (),
    problems: Sequence[Problem] = (),
    summary: Mapping[str, Any] | None = None,
    tables: str = "parquet",
) -> Dataset:
    """Writes the files of a data set into a folder that holds none, and opens it.

    Args:
        audio_root: kept relative to the data set if it lies beneath the data set's parent folder, else absolute.
        tables: "parquet" or "csv".

    Raises:
        InputError: a data set is there already, or a table does not hold.
    """
    folder = Path(folder)
    if (folder / "dataset.json").exists():
        raise InputError(f"{folder}: a data set is there already; choose another folder")
    if f".{tables}" not in layers.TABLE_SUFFIXES:
        raise InputError(f'tables must be parquet or csv, got "{tables}"{did_you_mean(tables, ("parquet", "csv"))}')
    for tag in not_annotated:
        vocabulary.index(tag)
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    write_vocabulary(vocabulary, folder / "vocabulary.json")
    write_clips(clips, folder / f"clips.{tables}")
    write_labels(labels, folder / "labels" / f"{layers.GIVEN}.{tables}", clips, vocabulary)
    _write_problems(problems, folder / "problems.csv")
    about = {
        "format": FORMAT,
        "name": name,
        "audio_root": _stored_path(audio_root, folder),
        "source": None if source is None else _stored_path(source, folder),
        "not_annotated": list(not_annotated),
        "created": layers.now(),
        "import": dict(summary or {}),
    }
    # Last, because it is what makes the folder a data set.
    write_json(folder / "dataset.json", about)
    return open_dataset(folder)


def write_layer(
    dataset: Dataset,
    name: str,
    table: pa.Table,
    parent: str = layers.GIVEN,
    written_by: str = "",
    role: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Adds a label layer that builds on another one; a layer never changes once it is there.

    Args:
        table: a label table that holds only what differs from the parent; value 0 removes.
        written_by: the run or command that made it.
        role: "truth" for the layer that undoes planted faults, None for any other.
        changes: what the layer says of itself in its JSON.

    Raises:
        InputError: the name is taken, the parent is unknown or a truth layer, or the table does not hold.
    """
    folder, clips, vocabulary = dataset.folder, dataset.clips, dataset.vocabulary
    layers.write_layer_files(folder, name, table, clips, vocabulary, parent, written_by, role, changes)


def table_digest(table: pa.Table) -> str:
    """A short name of a table's content: the same however it is chunked, sliced or stored."""
    parts: list[bytes] = []
    for column_name in table.column_names:
        column = table[column_name]
        parts.append(f"{column_name}:{len(column)}:".encode())
        parts.append(np.packbits(np.asarray(column.is_null(), dtype=np.bool_)).tobytes())
        if pa.types.is_string(column.type):
            parts.append(np.asarray(pc.fill_null(pc.binary_length(column), 0), dtype=np.int64).tobytes())
            parts.extend(_text_bytes(chunk) for chunk in column.chunks)
        else:
            parts.append(np.asarray(pc.fill_null(column.cast(pa.float64()), 0), dtype=np.float64).tobytes())
    return digest_of(*parts)


def _text_bytes(chunk: pa.Array) -> bytes:
    """The text of a string array without its ends, nulls as nothing."""
    filled = pc.fill_null(chunk, "")
    _, offsets, data = filled.buffers()
    if data is None or not len(filled):
        return b""
    ends = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    return memoryview(data)[ends[0] : ends[-1]].tobytes()


def _stored_path(path: Path, folder: Path) -> str:
    path, folder = path.resolve(), folder.resolve()
    return os.path.relpath(path, folder) if path.is_relative_to(folder.parent) else str(path)


def _write_problems(problems: Sequence[Problem], path: Path) -> None:
    table = pa.table(
        {name: pa.array([getattr(problem, name) for problem in problems], pa.string()) for name in PROBLEM_COLUMNS}
    )
    with written_aside(path) as aside:
        write_table(table, aside)
