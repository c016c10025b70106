"""The numbers of a page beside it: all of its tables as JSON for programs, and as Markdown for people."""

import contextlib
import math
import re
from collections.abc import Sequence
from pathlib import Path

from earmark.files import write_json, write_text
from earmark.reports.render import MOST_ROWS, Cell, NumberTable, number, number_table
from earmark.reports.run_files import AnyFigure

Part = tuple[str, Sequence[tuple[str, AnyFigure]]]
"""A heading, and figures by name."""


def write_numbers(page: Path, title: str, lede: str, parts: Sequence[Part]) -> None:
    """Writes PAGE.json and PAGE.md beside a page: what its figures show as tables, with all their decimals as JSON.

    JSON is {"title", "lede", "parts": [{"heading", "tables": [{"name", "title", "caption", "columns", "rows"}]}]}; of a
    clip the table is its events, and a value that is no finite number is null. Markdown holds at most 2,000 rows of
    a table, rounded as on the page.
    """
    tables = [(heading, _tables(figures)) for heading, figures in parts]
    as_json = [
        {
            "heading": heading,
            "tables": [
                {"name": name, "title": figure.title, "caption": figure.caption, **_as_json(table)}
                for name, figure, table in figures
            ],
        }
        for heading, figures in tables
    ]
    lines = [f"# {_one_line(title)}", "", _one_line(lede), ""]
    for heading, figures in tables:
        lines += [f"## {_one_line(heading)}", ""]
        for name, figure, table in figures:
            lines += [f"### {_one_line(figure.title)}", "", *_as_markdown(table, page.with_suffix(".json").name, name)]
            lines += [_one_line(figure.caption), ""]
    write_json(page.with_suffix(".json"), {"title": title, "lede": lede, "parts": as_json})
    write_text(page.with_suffix(".md"), "\n".join(lines).rstrip() + "\n")


def _tables(figures: Sequence[tuple[str, AnyFigure]]) -> list[tuple[str, AnyFigure, NumberTable]]:
    """Without the figures that cannot be shown: the page says of them why."""
    found = []
    for name, figure in figures:
        with contextlib.suppress(ValueError):
            found.append((name, figure, number_table(figure)))
    return found


def _as_json(table: NumberTable) -> dict[str, object]:
    rows = [
        [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row] for row in table.rows
    ]
    return {"columns": table.columns, "rows": rows}


def _as_markdown(table: NumberTable, source: str, name: str) -> list[str]:
    """The lines of a table, and an empty one; none for a table without rows."""
    if not table.rows:
        return []
    are_numbers = [all(cell is None or _is_number(cell) for cell in column) for column in zip(*table.rows, strict=True)]
    lines = [_markdown_row(table.columns), _markdown_row(["---:" if numbers else "---" for numbers in are_numbers])]
    lines += [_markdown_row(row) for row in table.rows[:MOST_ROWS]]
    if len(table.rows) > MOST_ROWS:
        lines += ["", f"The first {MOST_ROWS:,} of {len(table.rows):,} rows; all are in {source}, under {name}."]
    return [*lines, ""]


def _markdown_row(cells: Sequence[Cell]) -> str:
    return f"| {' | '.join(_one_line(number(cell)).replace('|', chr(92) + '|') for cell in cells)} |"


def _one_line(text: str) -> str:
    """Text as Markdown shows it: what would be markup is not."""
    return re.sub(r"([\\`*<\[])", r"\\\1", " ".join(text.split()))


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)
