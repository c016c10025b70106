"""AudioSet's tags: machine ids ("mids", such as `/m/0bt9lr`) and display names, and the tables that tell them."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.ontology import audioset_ontology
from earmark.data.table_files import read_table_file
from earmark.data.tables import IntArray, repeats
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, counted, first_few

CLASS_LIST = "class_labels_indices.csv"
_HEAD_BYTES = 4096


def find_tables(folder: Path, names: Collection[str]) -> dict[str, Path]:
    """The files of some names in a folder, its subfolders and theirs; of several the one that lies highest.

    It looks no deeper, because beneath lie the audio files, up to millions.
    """
    found: dict[str, Path] = {}
    for place in _folders_near(folder):
        for name in names:
            if name not in found and os.path.isfile(place / name):
                found[name] = place / name
    return {name: found[name] for name in names if name in found}


def tables_to_read(source: Path, names: Collection[str], others: Collection[str]) -> tuple[list[Path], dict[str, Path]]:
    """The tables of some names that a folder has, or the source if it is one; and all tables by name, also others.

    Raises:
        InputError: the folder has none to read.
    """
    files = find_tables(source if source.is_dir() else source.parent, (*names, *others))
    paths = [files[name] for name in names if name in files] if source.is_dir() else [source]
    if not paths:
        raise InputError(f"{source}: must hold one of {', '.join(names)}, found none of them")
    return paths, files


def first_lines(path: Path) -> list[bytes]:
    """The first lines of a file, as far as they fit in 4 KB; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError:
        return []


def read_class_list(path: Path) -> dict[str, str]:
    """The display name of every mid in a `class_labels_indices.csv`, in the order of its column `index`.

    Raises:
        InputError: mid or display_name are not there or empty, or a mid stands twice; with file and line.
    """
    file = read_table_file(path)
    file.check_columns(required=("mid", "display_name"), known=file.table.column_names)
    mid, name = (pc.utf8_trim_whitespace(file.required_text(column)) for column in ("mid", "display_name"))
    again, first = repeats([np.asarray(mid.combine_chunks().dictionary_encode().indices, dtype=np.int64)])
    file.refuse(
        again, lambda row: f'mid must stand once, got "{mid[row]}" again, first at line {file.places([first[row]])[0]}'
    )
    index = file.integers("index")
    file.refuse(index.is_null() if file.has("index") else [], lambda row: f'index must be given (mid "{mid[row]}")')
    order = np.argsort(np.asarray(index), kind="stable") if file.has("index") else np.arange(len(mid))
    return dict(zip(mid.take(pa.array(order)).to_pylist(), name.take(pa.array(order)).to_pylist(), strict=True))


def ontology_names(mids: pa.Array) -> dict[str, str]:
    """The display name of every mid in AudioSet's ontology, sorted by name; a mid that it lacks is its own name."""
    ontology = audioset_ontology()
    known = dict(zip(ontology.ids, ontology.names, strict=True))
    names = {mid: known.get(mid, mid) for mid in pc.unique(mids).to_pylist()}
    return dict(sorted(names.items(), key=lambda item: (item[1], item[0])))


def read_display_names(path: Path) -> dict[str, str]:
    """The display name of every mid in a `mid_to_display_name.tsv`: a mid, a tab and a name on each line, no header.

    Raises:
        InputError: a line does not hold, or a mid stands twice; with file and line.
    """
    names: dict[str, str] = {}
    for number, line in enumerate(file_text(path).splitlines(), start=1):
        mid, _, name = (part.strip() for part in line.partition("\t"))
        if not line.strip():
            continue
        if not name:
            raise InputError(f'{path}:{number}: a line must be a mid, a tab and a display name, found "{line}"')
        if mid in names:
            raise InputError(f'{path}:{number}: mid must stand once, got "{mid}" again')
        names[mid] = name
    return names


def file_text(path: Path) -> str:
    """The content of a file.

    Raises:
        InputError: the file cannot be opened or is not UTF-8.
    """
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: the file must be UTF-8, found byte 0x{content[error.start]:02x}") from error


def vocabulary_of(names: Mapping[str, str]) -> Vocabulary:
    """The vocabulary of mids and their display names, in their order.

    A display name that several mids have is followed by the mid in brackets, so that each tag is named once.

    >>> vocabulary_of({"/m/1": "Dog", "/m/2": "Wild animals", "/m/3": "Wild animals"}).tags
    ('Dog', 'Wild animals (/m/2)', 'Wild animals (/m/3)')
    """
    count = Counter(names.values())
    tags = tuple(name if count[name] == 1 else f"{name} ({mid})" for mid, name in names.items())
    return Vocabulary(tags, tuple(names))


def split_mids(cells: pa.Array) -> tuple[IntArray, pa.Array]:
    """Every mid of cells such as `/m/09x0r,/t/dd00088`: the row of its cell, and the mid."""
    lists = pc.split_pattern(cells, ",")
    mid = pc.utf8_trim_whitespace(lists.flatten())
    given = pc.not_equal(mid, "")
    row = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    return row[np.asarray(given, dtype=np.bool_)], mid.filter(given)


def places_of(names: pa.Array, known: Sequence[str]) -> IntArray:
    """The place of every name among the known ones, -1 where it is not one of them."""
    return np.asarray(pc.fill_null(pc.index_in(names, pa.array(known, pa.string())), -1), dtype=np.int64)


def unknown_tags_note(names: pa.Array, places: IntArray) -> Iterator[str]:
    """What is left out because its tag has no place in the vocabulary, if anything is."""
    unknown = names.filter(pa.array(places < 0))
    if len(unknown):
        few = first_few(pc.unique(unknown).to_pylist())
        yield f"left out: {counted(len(unknown), 'label')} whose tags are not in the vocabulary (first: {few})"


def names_notes(vocabulary: Vocabulary, names: Mapping[str, str], origin: Path | None) -> Iterator[str]:
    """Where the tags are from, which lack a name, and which carry their mid because another tag has their name."""
    yield f"tags are the display names in {origin.name if origin else 'the ontology of AudioSet'}"
    nameless = [mid for mid, name in names.items() if mid == name]
    if nameless:
        yield f"tags without a display name are their mids: {first_few(nameless)}"
    renamed = [tag for tag, name in zip(vocabulary.tags, names.values(), strict=True) if tag != name]
    if renamed:
        yield f"tags that share a display name carry their mid: {first_few(renamed)}"


def _folders_near(folder: Path) -> list[Path]:
    """The folder, its subfolders, and theirs; without hidden ones and those that cannot be listed."""
    levels = [[folder]]
    for _ in range(2):
        levels.append([inside for above in levels[-1] for inside in _subfolders(above)])
    return [place for level in levels for place in level]


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]
