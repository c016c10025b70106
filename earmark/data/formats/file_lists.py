"""Tables that list files, a row a file: their audio found by name, their rows made into clips.

FSD50K, FSDKaggle and ESC-50 are such tables; their own modules say what their columns mean.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import Problem
from earmark.data.formats.files import AudioByName
from earmark.data.formats.imported import Imported, weak_labels, without_suffix
from earmark.data.formats.layout_tables import ListKind, ListLayout, audio_root
from earmark.data.table_files import TableFile
from earmark.data.tables import CLIP_SCHEMA, columns_or_null, repeats
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, counted, first_few


@dataclass(frozen=True, eq=False)
class FileList:
    """A table that was read.

    Attributes:
        path: where it lies.
        rows: `name` (of the file, as it stands there), `tags` (with commas between them) or `tag` (one, which may hold
            a comma), and columns of the clip table, `group` among them; all lists of a layout have the same columns.
    """

    kind: ListKind
    path: Path
    rows: pa.Table


def file_names(file: TableFile, column: str) -> pa.ChunkedArray:
    """The names of the files in a column.

    Raises:
        InputError: a cell is empty, or two name the same file, with or without its suffix.
    """
    names = file.required_text(column)
    stems = pa.array([without_suffix(name) for name in names.to_pylist()], pa.string())
    again, first = repeats([np.asarray(stems.dictionary_encode().indices, dtype=np.int64)])
    file.refuse(
        again,
        lambda row: (
            f'{column} must name every file once, got "{names[row]}" again'
            f", first on line {file.places([int(first[row])])[0]}"
        ),
    )
    return names


def vocabulary_beside(table: Path, columns: str) -> tuple[Vocabulary | None, str]:
    """The vocabulary in `vocabulary.csv` beside a table, None if there is no such file; and what to say of it.

    Args:
        columns: what a line of it holds, which has no header: `index,tag` or `index,tag,id`.

    Raises:
        InputError: a line holds something else, or a tag stands twice; with file and line.
    """
    path = table.with_name("vocabulary.csv")
    if not path.exists():
        return None, "not there: vocabulary.csv; tags are sorted and have no ids"
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"{path}: cannot be read, {(reason or str(error)).lower()}") from error
    width = columns.count(",") + 1
    rows = []
    for line, cells in enumerate(csv.reader(text.splitlines()), start=1):
        if cells and (len(cells) != width or not cells[0].isdecimal()):
            raise InputError(f'{path}:{line}: a line must be {columns}, without a header, found "{",".join(cells)}"')
        if cells:
            rows.append(cells)
    try:
        vocabulary = Vocabulary(tuple(row[1] for row in rows), tuple(row[2] for row in rows) if width > 2 else None)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return vocabulary, f"tags and their order are those of {path.name}"


def imported_lists(
    source: Path,
    layout: ListLayout,
    lists: Sequence[FileList],
    vocabulary: Vocabulary | None,
    notes: Sequence[str],
    passed_over: Sequence[str] = (),
) -> Imported:
    """The clips of a layout's tables, weakly labelled.

    A clip is called as its file without the suffix, or `TITLE/NAME` where two tables name a file alike.

    Args:
        vocabulary: sorted tags of the tables if None.
        notes: what the layout's reader has to say.
        passed_over: names of files that the tables hold, but `lists` do not.
    """
    root = audio_root(source, layout)
    audio = AudioByName(root)
    ids = _clip_ids(lists)
    paths, problems = _located(audio, lists, ids)
    clip, path = pa.array(ids, pa.string()), pa.array(paths, pa.string())
    rows = pa.concat_tables([one.rows for one in lists])
    row, tag = _split_cells(rows["tags"]) if "tags" in rows.column_names else _filled_cells(rows["tag"])
    if vocabulary is None:
        vocabulary = Vocabulary(tuple(sorted(pc.unique(tag).to_pylist())))
    place = pc.index_in(tag, vocabulary.array())
    known = np.asarray(place.is_valid(), dtype=np.bool_)
    named = [*paths, *(path for name in passed_over for path in audio.paths(name))]
    columns = {name: rows[name] for name in rows.column_names if name in CLIP_SCHEMA.names}
    columns |= {"group": pc.coalesce(rows["group"], path), "labelled": pa.repeat("weak", len(ids))}
    return Imported(
        clips=columns_or_null(len(ids), CLIP_SCHEMA, clip=clip, path=path, **columns),
        labels=weak_labels(clip, vocabulary, row[known], np.asarray(place.drop_null(), dtype=np.int64)),
        vocabulary=vocabulary,
        audio_root=root,
        notes=(
            *_tables_read(source, layout, lists),
            *notes,
            *_left_out(len(ids) - len(np.unique(row)), tag.filter(pa.array(~known))),
            *audio.found.unnamed_note(named),
        ),
        problems=(*audio.found.problems, *problems),
    )


def _clip_ids(lists: Sequence[FileList]) -> list[str]:
    stems = [[without_suffix(name) for name in one.rows["name"].to_pylist()] for one in lists]
    count = Counter(stem for of_list in stems for stem in of_list)
    return [
        stem if count[stem] == 1 else f"{one.kind.title}/{stem}"
        for one, of_list in zip(lists, stems, strict=True)
        for stem in of_list
    ]


def _located(audio: AudioByName, lists: Sequence[FileList], ids: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """The path of every clip, and the clips that several files fit; files in another table's folders do not count."""
    paths: list[str] = []
    problems: list[Problem] = []
    for one in lists:
        names = one.rows["name"].to_pylist()
        # Copies in another format have other suffixes than the table.
        sought = [name if audio.paths(name) else without_suffix(name) for name in names]
        found, ambiguous = audio.locate(sought, ids[len(paths) : len(paths) + len(names)], *one.kind.audio)
        others = [folder for other in lists if other is not one for folder in other.kind.audio]
        for name, called, path in zip(names, sought, found, strict=True):
            is_foreign = _is_inside(path, others) and not _is_inside(path, one.kind.audio)
            # What has no file, or several, keeps its name from the table.
            paths.append(name if path == called or is_foreign else path)
        problems += ambiguous
    return paths, problems


def _is_inside(path: str, folders: Sequence[str]) -> bool:
    return any(f"/{folder}/" in f"/{path}" for folder in folders)


def _split_cells(cells: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Every tag of every cell: the row of its cell, and the tag."""
    lists = pc.split_pattern(pc.fill_null(cells, ""), ",").combine_chunks()
    tags = pc.utf8_trim_whitespace(lists.flatten())
    row = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    given = pc.not_equal(tags, "")
    return row[np.asarray(given, dtype=np.bool_)], tags.filter(given)


def _filled_cells(cells: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Every cell that holds a tag, and the tag."""
    tags = pc.fill_null(pc.utf8_trim_whitespace(cells), "").combine_chunks()
    row = np.flatnonzero(np.asarray(pc.not_equal(tags, "")))
    return row, tags.take(pa.array(row))


def _tables_read(source: Path, layout: ListLayout, lists: Sequence[FileList]) -> list[str]:
    is_folder = source.is_dir()
    read = [
        f"{one.path.relative_to(source) if is_folder else one.path.name} ({counted(one.rows.num_rows, 'clip')})"
        for one in lists
    ]
    there = [one.kind for one in lists]
    missing = [kind.names[0] for kind in layout.kinds if is_folder and kind not in there]
    return [f"read: {first_few(read)}", *([f"not there: {first_few(missing)}"] if missing else [])]


def _left_out(num_untagged: int, unknown: pa.Array) -> list[str]:
    notes = []
    if num_untagged:
        clips = counted(num_untagged, "clip", "have")
        notes.append(f"{clips} no tag in the table: counted as having none of the tags")
    if len(unknown):
        labels = counted(len(unknown), "label")
        notes.append(f"left out: {labels} whose tags are not in the vocabulary (first: {unknown[0].as_py()})")
    return notes
