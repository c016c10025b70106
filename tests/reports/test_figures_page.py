"""Pages of figures: one file that needs no other, and the figures beside it as data."""

import re

import pytest

from earmark.figures import ChartFigure, ClipFigure, Series, TableFigure, read_figure
from earmark.reports import figures_page
from earmark.reports.figures_page import Section, write_figures_page
from tests.reports.test_run_page import Outline, words

SAID = {"caption": "What to notice.", "alt": "In words."}
TABLE = TableFigure(title="A <table>", columns=["a", "b"], rows=[[1, "x & y"]], **SAID)
BARS = Series(label="s", x=["0", "1"], y=[0.25, 0.75])
CHART = ChartFigure(kind="bar", title="A chart", x_label="x", y_label="y", series=[BARS], **SAID)
BROKEN = ClipFigure(title="A clip", clip="c", duration_s=1, log_mel=[], **SAID)


def page_of(tmp_path, *sections: Section):
    folder = write_figures_page(
        tmp_path / "page.html", kicker="A kind of page", title="<b>sounds</b>", lede="What it is.", sections=sections
    )
    page = (tmp_path / "page.html").read_text("utf-8")
    outline = Outline(page)
    assert outline.open == []
    return folder, page, outline


def test_figures_lie_on_the_page_and_beside_it(tmp_path):
    folder, page, outline = page_of(
        tmp_path, Section("Numbers", [("table", TABLE), ("chart", CHART)], words="Of two."), Section("More", [])
    )
    assert folder == tmp_path / "page-figures"
    assert {path.stem: read_figure(path) for path in folder.iterdir()} == {"table": TABLE, "chart": CHART}
    said = words(outline)
    for text in ("A kind of page", "<b>sounds</b>", "What it is.", "Of two.", "A <table>", "x & y", "A chart"):
        assert text in said
    assert 'id="figure-table"' in page
    assert [attributes["href"] for attributes in outline.all("a")] == ["#part-1", "#part-2"]
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "default-src 'none'" in page


def test_what_cannot_be_shown_is_said(tmp_path, monkeypatch):
    said = words(page_of(tmp_path, Section("Clips", [("broken", BROKEN)], lines=["and no curves: there are none."]))[2])
    assert "page-figures/broken.json cannot be shown: log_mel must have rows" in said
    assert "and no curves: there are none." in said
    monkeypatch.setattr(figures_page, "MOST_FIGURE_BYTES", 10)
    said = words(page_of(tmp_path, Section("Numbers", [("chart", CHART)]))[2])
    assert "page-figures/chart.json is left out, because the page would grow past 20 MB" in said


def test_long_tables_name_the_file_beside_the_page(tmp_path):
    rows: list[list[str | float | int | None]] = [[k, "x"] for k in range(2001)]
    said = words(page_of(tmp_path, Section("Numbers", [("table", TABLE.model_copy(update={"rows": rows}))]))[2])
    assert "The first 2,000 of 2,001 rows; all are in page-figures/table.json." in said


@pytest.mark.parametrize("name", ["page", "page.v2.html"])
def test_the_folder_is_named_as_the_page(tmp_path, name):
    folder = write_figures_page(tmp_path / "new" / name, kicker="k", title="t", lede="l", sections=[])
    assert folder.parent == tmp_path / "new"
    assert folder.name == {"page": "page-figures", "page.v2.html": "page.v2-figures"}[name]
    assert (tmp_path / "new" / name).is_file()
