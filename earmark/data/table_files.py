"""Tables as they lie in files: columns brought to their types, and offending rows named by file and row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from earmark.data.csv_files import lines_of_rows, read_csv
from earmark.errors import InputError, did_you_mean, first_few

BoolArray = npt.NDArray[np.bool_]

CSV_SUFFIXES = (".csv", ".tsv")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# Programs that know no empty integers write folds as 1.0.
_INTEGER = r"^-?[0-9]{1,15}(\.0*)?$"


@dataclass(frozen=True)
class TableFile:
    """A table whose columns are still to be checked, and where it lies.

    Attributes:
        path: named in every message.
        table: columns of text where the file is a CSV, else of any type.
        has_lines: rows are named by the line of a CSV, else by their number, counted from 1.
        rows: where the table's rows stand in the file, from 0; None where it has all of them.
    """

    path: Path
    table: pa.Table
    has_lines: bool
    rows: npt.NDArray[np.int64] | None = field(default=None, kw_only=True)

    def at(self, rows: npt.NDArray[np.int64]) -> "TableFile":
        """Some of the rows, which are named by where they stand in the file all the same."""
        own = rows if self.rows is None else self.rows[rows]
        return replace(self, table=self.table.take(pa.array(rows)), rows=own)

    def places(self, rows: Sequence[int]) -> list[str]:
        """Where rows stand in the file: lines of a CSV, row numbers from 1 otherwise."""
        own = list(rows) if self.rows is None else self.rows[list(rows)].tolist()
        return [str(place) for place in (lines_of_rows(self.path, own) if self.has_lines else np.add(own, 1))]

    def refuse(self, bad: Any, message: Callable[[int], str]) -> None:
        """Raises InputError if any row is bad: the message of the first one, the places of four more, the count.

        Args:
            bad: (row,) booleans; null counts as not bad.
            message: given a row, what must hold and what was found.
        """
        rows = np.flatnonzero(as_mask(bad))
        if not len(rows):
            return
        first, *others = self.places([int(row) for row in rows[:5]])
        where = f"{self.path}:{first}" if self.has_lines else f"{self.path}: row {first}"
        unit = "line" if self.has_lines else "row"
        more = len(rows) - 5
        rest = f"; {len(rows)} such rows, the next on {unit} {', '.join(others)}" if others else ""
        raise InputError(f"{where}: {message(int(rows[0]))}{rest}{f' and {more} more' if more > 0 else ''}")

    def check_columns(self, required: Sequence[str], known: Sequence[str]) -> None:
        """Raises InputError unless the required columns are there and every column is known."""
        names = self.table.column_names
        missing = [name for name in required if name not in names]
        where = f"{self.path}:1" if self.has_lines else f"{self.path}"
        if missing:
            raise InputError(
                f"{where}: columns {', '.join(required)} are required, {first_few(missing)} not found"
                f"; there are {first_few(names, 12)}"
            )
        unknown = [name for name in names if name not in known]
        if unknown:
            raise InputError(f'{where}: unknown column "{unknown[0]}"{did_you_mean(unknown[0], known)}')

    def has(self, name: str) -> bool:
        """Whether the table has a column."""
        return name in self.table.column_names

    def nulls(self, kind: pa.DataType) -> pa.ChunkedArray:
        """A column of nothing, for one that the file need not have."""
        return pa.chunked_array([pa.nulls(self.table.num_rows, kind)])

    def text(self, name: str) -> pa.ChunkedArray:
        """A column as text, empty cells as null; all null where the file has no such column."""
        if not self.has(name):
            return self.nulls(pa.string())
        column = self.table[name]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_null(kind) or _is_text(kind)):
            raise InputError(f"{self.path}: column {name} must hold text, holds {column.type}")
        column = column if pa.types.is_string(column.type) else column.cast(pa.string())
        self.refuse(
            pc.match_substring_regex(column, r"[\r\n]"),
            lambda row: f"{name} must stay on one line, found a line break; is a quote left open?",
        )
        return null_if(column, pc.equal(column, "")) if pc.any(pc.equal(column, "")).as_py() else column

    def required_text(self, name: str) -> pa.ChunkedArray:
        """A column as text without empty cells."""
        column = self.text(name)
        self.refuse(column.is_null(), lambda row: f"{name} must not be empty{self.naming(row)}")
        return column

    def words(self, name: str, allowed: Sequence[str], required: bool = False) -> pa.ChunkedArray:
        """A column that holds one of a few words."""
        column = self.required_text(name) if required else self.text(name)
        must = f"{name} must be one of {', '.join(allowed)}{'' if required else ' or empty'}"
        self.refuse(
            pc.and_(column.is_valid(), pc.invert(pc.is_in(column, pa.array(allowed)))),
            lambda row: f'{must}, got "{column[row]}"{self.naming(row)}',
        )
        return column

    def numbers(self, name: str, kind: pa.DataType | None = None) -> pa.ChunkedArray:
        """A column of finite numbers, float64 or another floating type."""
        kind = pa.float64() if kind is None else kind
        column = self._parsed(name, _NUMBER, "a number")
        if column.type != kind:
            column = column.cast(kind, safe=False)
        self.refuse(
            pc.invert(pc.is_finite(column)), lambda row: f"{name} must be finite, got {column[row]}{self.naming(row)}"
        )
        return column

    def integers(self, name: str) -> pa.ChunkedArray:
        """A column of whole numbers, int64."""
        column = self._parsed(name, _INTEGER, "a whole number")
        if pa.types.is_integer(column.type):
            return column.cast(pa.int64())
        column = column.cast(pa.float64())
        self.refuse(
            pc.invert(pc.and_(pc.is_finite(column), pc.equal(pc.floor(column), column))),
            lambda row: f"{name} must be a whole number, got {column[row]}{self.naming(row)}",
        )
        return column.cast(pa.int64())

    def flags(self, name: str) -> pa.ChunkedArray:
        """A column of true, false (also 1, 0, in any case) or null."""
        if not self.has(name):
            return self.nulls(pa.bool_())
        column = self.table[name]
        if pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
            return column.cast(pa.bool_())
        text = pc.utf8_lower(self.text(name)) if _is_text(column.type) else self.integers(name).cast(pa.string())
        is_true = pc.is_in(text, pa.array(["true", "1"]))
        bad = pc.invert(pc.or_(is_true, pc.is_in(text, pa.array(["false", "0"]))))
        self.refuse(
            pc.and_(text.is_valid(), bad),
            lambda row: f'{name} must be true, false or empty, got "{column[row]}"{self.naming(row)}',
        )
        return null_if(is_true, text.is_null())

    def naming(self, row: int) -> str:
        """Which clip and tag a row is about, in brackets: ` (clip "a1b2", tag "Dog")`."""
        names = [name for name in ("clip", "tag") if self.has(name)] or ["path"] * self.has("path")
        said = [f'{name} "{self.table[name][row]}"' for name in names if self.table[name][row].is_valid]
        return f" ({', '.join(said)})" if said else ""

    def _parsed(self, name: str, pattern: str, must: str) -> pa.ChunkedArray:
        """A column of numbers of any numeric type; text that is no number is refused."""
        if not self.has(name):
            return self.nulls(pa.float64())
        kind = self.table[name].type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self.table[name]
        if not _is_text(kind) and not pa.types.is_null(kind):
            raise InputError(f"{self.path}: column {name} must hold numbers, holds {kind}")
        column = self.text(name)
        self.refuse(
            pc.invert(pc.match_substring_regex(column, pattern)),
            lambda row: f'{name} must be {must}, got "{column[row]}"{self.naming(row)}',
        )
        return column.cast(pa.float64())


def read_table_file(path: Path) -> TableFile:
    """The table in a `.csv`, `.tsv` or `.parquet` file, its columns not yet checked.

    Raises:
        InputError: there is no such file, or it holds no table.
    """
    if path.suffix.lower() in CSV_SUFFIXES:
        return TableFile(path, read_csv(path), has_lines=True)
    if path.suffix.lower() != ".parquet":
        raise InputError(f'{path}: a table must be a .csv, .tsv or .parquet file, got "{path.suffix}"')
    try:
        # By its name, not as an open file: for Python's file objects Arrow keeps a thread that can abort the process
        # as it exits (with torch loaded and a busy machine in 5 of 16 runs; by name in none of 72).
        return TableFile(path, pa.parquet.ParquetFile(path).read(), has_lines=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file, {str(error).splitlines()[0]}") from error


def write_table(table: pa.Table, path: Path) -> None:
    """Writes `.csv` or `.parquet` by the suffix."""
    if path.suffix.lower() == ".parquet":
        pa.parquet.write_table(table, path, compression="zstd")
    elif path.suffix.lower() == ".csv":
        pa.csv.write_csv(table, path)
    else:
        raise InputError(f'{path}: a table must be a .csv or .parquet file, got "{path.suffix}"')


def as_mask(values: Any) -> BoolArray:
    """(row,) booleans as a numpy array, null as false."""
    if isinstance(values, pa.ChunkedArray | pa.Array):
        return np.asarray(pc.fill_null(values, False), dtype=np.bool_)
    return np.asarray(values, dtype=np.bool_)


def null_if(column: pa.ChunkedArray, mask: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column, null where the mask holds."""
    return pc.if_else(mask, pa.scalar(None, column.type), column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
