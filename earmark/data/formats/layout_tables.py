"""The tables of a layout that lists files in tables: what they are called, and where in a source they lie."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.data.csv_files import column_names
from earmark.data.table_files import TableFile, read_table_file
from earmark.errors import InputError, first_few


@dataclass(frozen=True)
class ListKind:
    """One of the tables of a layout.

    Attributes:
        title: tells its clips from those of another table that names a file alike.
        names: what the file may be called, the best first.
        columns: what its header must hold.
        audio: what the folders that its audio lies in may be called.
    """

    title: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    audio: tuple[str, ...]


@dataclass(frozen=True)
class ListLayout:
    """A layout: its name, its tables, and what the folders that they lie in may be called."""

    name: str
    kinds: tuple[ListKind, ...]
    folders: tuple[str, ...]


def holds_list(source: Path, layout: ListLayout) -> bool:
    """Whether a source is, or holds, any of the layout's tables, by names and header lines alone."""
    return any(
        _fits(path, kind)
        for kind in layout.kinds
        for paths in _places(source, kind.names, layout.folders)
        for path in paths
    )


def find_lists(source: Path, layout: ListLayout) -> dict[ListKind, TableFile]:
    """The tables of a layout that a source is or holds, in the layout's order.

    Raises:
        InputError: there is none, there are two of a kind, or a table of the right name lacks a column.
    """
    found = {kind: _find(source, kind, layout) for kind in layout.kinds}
    tables = {kind: read_table_file(path) for kind, path in found.items() if path is not None}
    if not tables:
        wanted = " or ".join(kind.names[0] for kind in layout.kinds)
        raise InputError(
            f"{source}: layout {layout.name} must {'hold' if source.is_dir() else 'be'} {wanted}, found "
            f"{'none of these tables' if source.is_dir() else 'another file'}; give the folder that the archives were "
            "unpacked in"
        )
    return tables


def audio_root(source: Path, layout: ListLayout) -> Path:
    """The folder that audio lies beneath: beside the tables' own folder where the source is that or a table in it."""
    folder = source if source.is_dir() else source.parent
    if (folder.name or folder.resolve().name) not in layout.folders:
        return folder
    # Someone's own folder of tables and audio may be called so, too.
    beside = folder.parent if folder.name else folder.resolve().parent
    audio = [name for kind in layout.kinds for name in kind.audio]
    is_beside = any((beside / name).is_dir() for name in audio) and not any((folder / name).is_dir() for name in audio)
    return beside if is_beside or not source.is_dir() else folder


def _places(source: Path, names: Sequence[str], folders: Sequence[str]) -> Iterator[list[Path]]:
    """The files of some names that a source is or holds, the best first; those side by side are equally good."""
    if not source.is_dir():
        yield [source] if source.name in names else []
        return
    # Listed once: audio may lie here too, two million files of it.
    inside = _subfolders(source)
    groups = (
        [source],
        [source / folder for folder in folders],
        inside,
        [subfolder / folder for subfolder in inside for folder in folders],
    )
    for name in names:
        for group in groups:
            yield [folder / name for folder in group if os.path.exists(folder / name)]


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, but for hidden ones; none if it may not be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []


def _fits(path: Path, kind: ListKind) -> bool:
    try:
        return path.is_file() and set(kind.columns) <= set(column_names(path))
    except (InputError, OSError):
        return False


def _find(source: Path, kind: ListKind, layout: ListLayout) -> Path | None:
    """The table of a kind, if there is any.

    Raises:
        InputError: there are two in equally good places, or only such as lack a column.
    """
    others: list[Path] = []
    for paths in _places(source, kind.names, layout.folders):
        fitting = [path for path in paths if _fits(path, kind)]
        if len(fitting) > 1:
            found = first_few([path.relative_to(source) for path in fitting])
            raise InputError(
                f"{source}: must hold one {fitting[0].name}, found {len(fitting)}: {found}"
                "; give the folder of one data set"
            )
        if fitting:
            return fitting[0]
        others += paths
    if others:
        file = read_table_file(others[0])
        file.check_columns(required=kind.columns, known=file.table.column_names)
    return None
