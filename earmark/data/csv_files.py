"""A CSV file as columns of text, and the line that every row came from."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from earmark.errors import InputError, first_few

HEADER_BYTES = 1 << 20
BLOCK_BYTES = 8 << 20
DELIMITERS = (",", "\t", ";")


def read_csv(path: Path) -> pa.Table:
    """Every cell as text, empty cells as null.

    The file is UTF-8, with or without a byte order mark, with line ends of any kind; the first line names the columns
    and shows the delimiter (comma, else tab, else semicolon); empty lines are passed over.

    Raises:
        InputError: the file cannot be opened, is not UTF-8, names a column twice, or a row has too many or few cells.
    """
    names, delimiter = _header(path)
    try:
        return pa.csv.read_csv(
            path,
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1, block_size=BLOCK_BYTES),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                # Else a tag called "NA" would be no tag.
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        _check_encoding(path)
        _check_widths(path, delimiter, len(names))
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from error


def column_names(path: Path) -> list[str]:
    """The names in the first line.

    Raises:
        InputError: as for `read_csv`.
    """
    return _header(path)[0]


def lines_of_rows(path: Path, rows: list[int]) -> list[int]:
    """The line, counted from 1, on which each of some rows begins.

    Reads the file again from its start, because rows and lines part where a quoted cell holds a line break or a line
    is empty. That is for messages only.
    """
    wanted = set(rows)
    lines: dict[int, int] = {}
    for row, (line, _) in enumerate(_records(path, _header(path)[1])):
        if row in wanted:
            lines[row] = line
            if len(lines) == len(wanted):
                break
    return [lines[row] for row in rows]


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns and the delimiter."""
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: the file must be UTF-8, found UTF-16; save it as UTF-8")
    lines = start.removeprefix(b"\xef\xbb\xbf").splitlines()
    if not lines or not lines[0].strip():
        raise InputError(
            f"{path}:1: the first line must name the columns, found {'an empty line' if start else 'none'}"
        )
    _check_utf8(path, 1, lines[0])
    text = lines[0].decode("utf-8")
    delimiter = next((delimiter for delimiter in DELIMITERS if delimiter in text), ",")
    names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f'{path}:1: a column must be named once, found "{twice[0]}" {names.count(twice[0])} times')
    return names, delimiter


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows after the header, each with the line that it begins on."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        line = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(
                    f"{path}:{line}: a row must end with its line; is a quote left open? ({error})"
                ) from error
            if line > 1 and cells:
                yield line, cells
            line = reader.line_num + 1


def _check_encoding(path: Path) -> None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            _check_utf8(path, number, line)


def _check_utf8(path: Path, number: int, line: bytes) -> None:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{number}: the file must be UTF-8, found byte 0x{line[error.start]:02x}"
            f' (in Latin-1 "{line[error.start : error.start + 1].decode("latin-1")}"); save it as UTF-8'
        ) from error


def _check_widths(path: Path, delimiter: str, num_columns: int) -> None:
    bad: list[tuple[int, int]] = [
        (line, len(cells)) for line, cells in _records(path, delimiter) if len(cells) != num_columns
    ]
    if bad:
        more = f"; {len(bad)} such rows, the next on line {first_few([line for line, _ in bad[1:]], 4)}"
        raise InputError(
            f"{path}:{bad[0][0]}: a row must have {num_columns} cells, as the header has, found {bad[0][1]}"
            f"; quote cells that hold the delimiter{more if len(bad) > 1 else ''}"
        )
