"""The numbers of a page as JSON and Markdown: those on the page, whatever names they go by."""

import json
import math

import numpy as np

from earmark.figures import ChartFigure, ClipFigure, Series, TableFigure
from earmark.reports.figures_page import Section, write_figures_page
from tests.reports.conftest import clip_figure
from tests.reports.page_numbers import assert_numbers_are_those_beside

SAID = {"caption": "What to\nnotice.", "alt": "In words."}
WEIRD = "a | b <i> *c* [d](e) `f` \\ _g_"


def written(tmp_path, *figures):
    page = tmp_path / "page.html"
    write_figures_page(page, kicker="k", title="A title", lede="What it is.", sections=[Section("Numbers", figures)])
    return page, json.loads((tmp_path / "page.json").read_text("utf-8")), (tmp_path / "page.md").read_text("utf-8")


def test_every_kind_of_figure(tmp_path):
    low, high = [0.125, None], [1 / 3, None]
    first = Series(label="one", x=[1.0, 2.5], y=[0.1 + 0.2, None], low=low, high=high)
    chart = ChartFigure(kind="line", title="Lines", x_label="x", y_label="y", series=[first, first], **SAID)
    table = TableFigure(title="A table", columns=["tag", "n"], rows=[["x", 12345], ["y", 1.5e-5]], **SAID)
    clip = clip_figure(np.random.default_rng(0))
    page, found, text = written(tmp_path, ("lines", chart), ("table", table), ("clip", clip))
    assert_numbers_are_those_beside(page, least_tables=3)
    (part,) = found["parts"]
    assert (found["title"], found["lede"], part["heading"]) == ("A title", "What it is.", "Numbers")
    lines = part["tables"][0]
    assert (lines["name"], lines["title"], lines["columns"]) == ("lines", "Lines", ["Series", "x", "y", "Low", "High"])
    assert lines["rows"][:2] == [["one", 1, 0.1 + 0.2, 0.125, 1 / 3], ["one", 2.5, None, None, None]]
    assert part["tables"][2]["rows"][0] == ["reference", "Dog bark", 2.0, 4.0]
    assert clip.audio not in (tmp_path / "page.json").read_text("utf-8")
    assert text.startswith("# A title\n\nWhat it is.\n\n## Numbers\n\n### Lines\n\n| Series | x | y | Low | High |\n")
    assert "\n| --- | ---: | ---: | ---: | ---: |\n| one | 1 | 0.300 | 0.125 | 0.333 |\n" in text
    assert "\n| x | 12,345 |\n| y | 1.5e-05 |\n\nWhat to notice.\n" in text


def test_names_that_would_be_markup(tmp_path):
    table = TableFigure(title=WEIRD, columns=[WEIRD], rows=[[WEIRD]], **SAID)
    _, found, text = written(tmp_path, ("table", table))
    assert found["parts"][0]["tables"][0]["rows"] == [[WEIRD]]
    escaped = r"a | b \<i> \*c\* \[d](e) \`f\` \\ _g_"
    assert f"### {escaped}\n" in text
    assert f"\n| {escaped.replace('|', chr(92) + '|')} |\n| --- |\n" in text


def test_what_is_no_number_and_what_cannot_be_shown(tmp_path):
    odd = TableFigure(title="Odd", columns=["v"], rows=[[math.nan], [math.inf], [None], [1.0]], **SAID)
    ragged = TableFigure(title="Ragged", columns=["a", "b"], rows=[[1]], **SAID)
    empty = TableFigure(title="Empty", columns=["a"], rows=[], **SAID)
    _, found, text = written(tmp_path, ("odd", odd), ("ragged", ragged), ("empty", empty))
    tables = found["parts"][0]["tables"]
    assert [(table["name"], table["rows"]) for table in tables] == [
        ("odd", [[None], [None], [None], [1.0]]),
        ("empty", []),
    ]
    assert "Ragged" not in text
    assert text.endswith("### Empty\n\nWhat to notice.\n")


def test_long_tables_are_whole_as_json(tmp_path):
    rows: list[list[str | float | int | None]] = [[k] for k in range(2001)]
    _, found, text = written(tmp_path, ("long", TableFigure(title="t", columns=["n"], rows=rows, **SAID)))
    assert len(found["parts"][0]["tables"][0]["rows"]) == 2001
    assert "\n| 1,999 |\n\nThe first 2,000 of 2,001 rows; all are in page.json, under long.\n" in text


def test_a_clip_without_events_has_no_table(tmp_path):
    clip = ClipFigure(title="A clip", clip="c", duration_s=1, log_mel=[[0, 1]], **SAID)
    _, found, text = written(tmp_path, ("clip", clip))
    assert found["parts"][0]["tables"][0]["rows"] == []
    assert text.endswith("### A clip\n\nWhat to notice.\n")
