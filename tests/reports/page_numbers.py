"""That the numbers of a page are those of the JSON and the Markdown beside it."""

import html.parser
import json
import re
from pathlib import Path

from earmark.reports.render import number

Cell = str | float | None


class _Tables(html.parser.HTMLParser):
    """The tables of figures on a page, by the figure's name: a list of rows of cells, and of the words in these."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[Cell, str]]]] = {}
        self._figure: str | None = None
        self._value: str | None = None
        self._words: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "figure":
            self._figure = (found["id"] or "").removeprefix("figure-")
        elif self._figure and tag == "tbody":
            self.tables[self._figure] = []
        elif self._figure in self.tables and tag == "tr":
            self.tables[self._figure].append([])
        elif self._figure in self.tables and tag == "td":
            self._value, self._words = found.get("data-value"), ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "td" and self._figure in self.tables and self._words is not None:
            value: Cell = self._words if self._value is None else float(self._value) if self._value else None
            self.tables[self._figure][-1].append((value, self._words))
            self._words = None
        elif tag == "figure":
            self._figure = None

    def handle_data(self, data: str) -> None:
        if self._words is not None:
            self._words += data


def assert_numbers_are_those_beside(page: Path, least_tables: int = 1) -> None:
    """Every table of PAGE.json is on the page with the same values, and rounded as on it in PAGE.md."""
    on_page = _Tables(page.read_text("utf-8")).tables
    parts = json.loads(page.with_suffix(".json").read_text("utf-8"))["parts"]
    tables = [table for part in parts for table in part["tables"] if table["rows"]]
    assert {table["name"] for table in tables} == {name for name, rows in on_page.items() if rows}
    assert len(tables) >= least_tables
    lines = page.with_suffix(".md").read_text("utf-8").splitlines()
    for table in tables:
        rows = on_page[table["name"]]
        assert [[value for value, _ in row] for row in rows] == table["rows"], table["name"]
        assert [[shown for _, shown in row] for row in rows] == [
            [number(cell) for cell in row] for row in table["rows"]
        ]
        at = lines.index(f"### {table['title']}") + 2
        for place, row in enumerate(rows):
            cells = re.split(r"(?<!\\)\|", lines[at + 2 + place])[1:-1]
            assert [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in cells] == [shown for _, shown in row]
