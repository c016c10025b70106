"""The published layouts that data sets come in, one module each."""

from collections.abc import Callable
from pathlib import Path

from earmark.data.csv_files import column_names
from earmark.data.formats import csv_list, folder
from earmark.data.formats.imported import Imported
from earmark.data.table_files import CSV_SUFFIXES
from earmark.errors import InputError, did_you_mean, first_few

__all__ = ["FORMATS", "Imported", "find_format", "read_source"]

FORMATS: dict[str, Callable[[Path], Imported]] = {"folder": folder.read, "csv": csv_list.read}


def find_format(source: Path) -> str:
    """The name of the layout that a source has.

    Raises:
        InputError: there is no such source, or it has no layout that is known.
    """
    if source.is_dir():
        return "folder"
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    if source.suffix.lower() in CSV_SUFFIXES:
        names = column_names(source)
        if not csv_list.has_columns(names):
            raise InputError(
                f"{source}:1: no known layout has these columns: {first_few(names, 12)}"
                f"; a list of files has the columns path,tags{csv_list.nearest_columns(names)}"
            )
        return "csv"
    raise InputError(f"{source}: must be a folder of class folders or a CSV with the columns path,tags")


def read_source(source: Path, format_name: str | None = None) -> tuple[str, Imported]:
    """The layout's name and what its reader found; the layout is found out if it is not given."""
    name = find_format(source) if format_name is None else format_name
    if name not in FORMATS:
        raise InputError(f'unknown layout "{name}"{did_you_mean(name, FORMATS)}')
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    if source.is_dir() != (name == "folder"):
        raise InputError(f"{source}: layout {name} is a {'folder' if name == 'folder' else 'file'}")
    return name, FORMATS[name](source)
