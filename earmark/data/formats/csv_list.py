"""A CSV that names files and their tags: columns `path,tags`, and if wanted `split,fold,group,verified,labelled`.

Paths start from the CSV's folder; a name without suffix finds its audio file. Tags in a cell are separated by `;` where
any cell of the file holds one, else by `,`. A file may stand on several lines; its tags are then joined.
"""

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import problem_of
from earmark.data.csv_files import column_names
from earmark.data.formats.files import FoundFiles, find_audio
from earmark.data.formats.imported import Imported, clip_ids, shown, weak_labels, without_common_folder, without_suffix
from earmark.data.table_files import CSV_SUFFIXES, TableFile, read_table_file
from earmark.data.tables import CLIP_SCHEMA, CLIP_SPLITS, LABELLED, columns_or_null, repeats
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, counted, did_you_mean, first_few

PATH_NAMES = ("path", "filename", "fname", "file")
TAG_NAMES = ("tags", "labels", "tag", "label")
OPTIONAL = ("split", "fold", "group", "verified", "labelled")
_SPLIT_WORDS = {"training": "train", "val": "validation", "valid": "validation"}


def is_at(source: Path) -> bool:
    """Whether the source is a CSV with a column of paths and one of tags."""
    try:
        return source.is_file() and source.suffix.lower() in CSV_SUFFIXES and has_columns(column_names(source))
    except InputError:
        return False


def read(source: Path) -> Imported:
    """The clips that a CSV names, weakly labelled unless its column `labelled` says otherwise.

    Raises:
        InputError: the columns path and tags are not there, or a cell does not hold; with file and line.
    """
    if source.is_dir():
        raise InputError(f"{source}: layout csv is a file, found a folder")
    file, unread = _known_columns(read_table_file(source))
    names = file.required_text("path").to_pylist()
    located = _locate(source.parent, names)
    again, first = repeats([np.unique(np.array(located.paths, object), return_inverse=True)[1]])
    rows = np.flatnonzero(~again)
    columns = _optional_columns(file, first)
    paths = [located.paths[row] for row in rows]
    is_absolute = all(path.startswith("/") for path in paths)
    clip = pa.array(clip_ids(without_common_folder(paths) if is_absolute else paths), pa.string())
    path = pa.array(paths, pa.string())
    kept = {name: column.take(pa.array(rows)).combine_chunks() for name, column in columns.items()}
    kept["labelled"] = pc.coalesce(kept["labelled"], pa.scalar("weak"))
    kept["group"] = pc.coalesce(kept["group"], path)
    cell, tag, note = _split_tags(file.text("tags"))
    vocabulary = Vocabulary(tuple(sorted(pc.unique(tag).to_pylist())))
    # A line's clip is the one of the first line with the same file.
    clip_of_line = np.searchsorted(rows, first)
    return Imported(
        clips=columns_or_null(len(rows), CLIP_SCHEMA, clip=clip, path=path, **kept),
        labels=weak_labels(
            clip, vocabulary, clip_of_line[cell], np.asarray(pc.index_in(tag, vocabulary.array()), dtype=np.int64)
        ),
        vocabulary=vocabulary,
        audio_root=source.parent,
        notes=(*note, *_notes(unread, int(again.sum()), paths, located.found)),
        problems=tuple(
            problem_of("unclear", path, clip[index].as_py(), located.ambiguous[path])
            for index, path in enumerate(paths)
            if path in located.ambiguous
        ),
    )


def has_columns(names: Sequence[str]) -> bool:
    """Whether a header has a column of paths and one of tags."""
    lower = {name.lower() for name in names}
    return bool(lower & set(PATH_NAMES) and lower & set(TAG_NAMES))


def nearest_columns(names: Sequence[str]) -> str:
    """The end of a message about a header without paths or tags: which of its names may have meant one."""
    known = [*PATH_NAMES, *TAG_NAMES]
    hints = {name: did_you_mean(name, known) for name in names if name.lower() not in known}
    return "".join(f'; "{name}"{hint.replace(";", ":")}' for name, hint in hints.items() if "did you mean" in hint)


def _known_columns(file: TableFile) -> tuple[TableFile, list[str]]:
    """The table with the columns that are read, under their usual names; and the names of the others."""
    by_lower = {name.lower(): name for name in reversed(file.table.column_names)}
    renamed = {}
    for column, aliases in (("path", PATH_NAMES), ("tags", TAG_NAMES), *((name, (name,)) for name in OPTIONAL)):
        found = [by_lower[alias] for alias in aliases if alias in by_lower]
        if found:
            renamed[column] = found[0]
    for column, aliases in (("path", PATH_NAMES), ("tags", TAG_NAMES)):
        if column not in renamed:
            raise InputError(
                f"{file.path}:1: a column must be called one of {', '.join(aliases)}"
                f"; there are {first_few(file.table.column_names, 12)}"
            )
    times = [by_lower[name] for name in ("onset", "offset") if name in by_lower]
    if times:
        raise InputError(
            f"{file.path}:1: the layout csv has no times, found {' and '.join(times)}; to keep them name the columns "
            "filename,onset,offset,event_label and add --format desed, else take onset and offset out"
        )
    table = pa.table({column: file.table[name] for column, name in renamed.items()})
    unread = [name for name in file.table.column_names if name not in renamed.values()]
    return replace(file, table=table), unread


def _optional_columns(file: TableFile, first: npt.NDArray[np.int64]) -> dict[str, pa.ChunkedArray]:
    """The columns beside path and tags, checked; lines of one file must agree in them."""
    if file.has("split"):
        words, split = pa.array(list(_SPLIT_WORDS)), pc.utf8_lower(file.text("split"))
        usual = pa.array(list(_SPLIT_WORDS.values())).take(pc.index_in(split, words).combine_chunks())
        table = file.table.set_column(file.table.column_names.index("split"), "split", pc.coalesce(usual, split))
        file = replace(file, table=table)
    columns = {
        "split": file.words("split", CLIP_SPLITS),
        "fold": file.integers("fold"),
        "group": file.text("group"),
        "verified": file.flags("verified"),
        "labelled": file.words("labelled", LABELLED),
    }
    for name, column in columns.items():
        earlier = column.take(pa.array(first))
        same = pc.or_kleene(pc.equal(column, earlier), pc.and_(column.is_null(), earlier.is_null()))
        file.refuse(
            pc.invert(pc.fill_null(same, False)),
            lambda row, name=name, column=column: (  # type: ignore[misc]
                f"{name} must be the same on every line of a file, got {shown(column, row)}, "
                f"on line {file.places([int(first[row])])[0]} {shown(column, int(first[row]))}{file.naming(row)}"
            ),
        )
    return columns


def _split_tags(cells: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], pa.Array, list[str]]:
    """Every tag of every cell: the row of its cell, the tag, and what should be said about the reading."""
    separator = ";" if pc.any(pc.match_substring(cells, ";")).as_py() else ","
    lists = pc.split_pattern(pc.fill_null(cells, ""), separator).combine_chunks()
    tags = pc.utf8_trim_whitespace(lists.flatten())
    row = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    given = pc.not_equal(tags, "")
    row, tags = row[np.asarray(given, dtype=np.bool_)], tags.filter(given)
    notes = []
    commas = pc.sum(pc.match_substring(pc.unique(tags), ",")).as_py()
    if commas:
        notes.append(f'tags are separated by ";"; {counted(commas, "tag", "hold")} a comma')
    empty = len(cells) - len(np.unique(row))
    if empty:
        notes.append(f"{counted(empty, 'line', 'name')} no tag: their clips count as having none of the tags")
    return row, tags, notes


@dataclass(frozen=True)
class _Located:
    """Their paths in the order of the names, why some names fit no one file, and all that was found."""

    paths: list[str]
    ambiguous: dict[str, str]
    found: FoundFiles


def _locate(root: Path, names: list[str]) -> _Located:
    """The file of every name; a name without one stays as it is and is found missing when it is looked at."""
    absolute_root = str(root.absolute()) + "/"
    usual = [posixpath.normpath(name).removeprefix(absolute_root) for name in names]
    # A folder is only searched if a name leads into it: the CSV may lie in someone's home.
    found = find_audio(root, {name.split("/", 1)[0] for name in usual if "/" in name})
    there = set(found.audio)
    by_stem: dict[str, list[str]] = {}
    for path in found.audio:
        by_stem.setdefault(without_suffix(path), []).append(path)
    paths, ambiguous = [], {}
    for name in usual:
        fitting = [] if name in there else by_stem.get(name, [])
        if len(fitting) > 1 and not os.path.lexists(root / name):
            ambiguous[name] = f"no file of just that name, and {len(fitting)} with a suffix: {first_few(fitting)}"
        paths.append(fitting[0] if len(fitting) == 1 else name)
    return _Located(paths, ambiguous, found)


def _notes(unread: list[str], num_joined: int, paths: list[str], found: FoundFiles) -> list[str]:
    notes = []
    if unread:
        notes.append(f"columns not read: {first_few(unread, 12)}")
    if num_joined:
        notes.append(f"{counted(num_joined, 'line', 'name')} a file again; its tags are joined")
    return [*notes, *found.unnamed_note(paths)]
