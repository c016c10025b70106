"""One renderer for every kind of figure; nothing of a user's text is taken for markup."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from earmark.figures import ChartFigure, ClipFigure, Event, Series, TableFigure
from earmark.reports.drawing import INK, NEUTRAL, SERIES, series_look
from earmark.reports.render import MOST_ROWS, figure_html, figure_svg, picture_svg

WORDS = {"title": "Title", "caption": "What to notice.", "alt": "In words."}
AXES = {"x_label": "Epoch", "y_label": "Loss"}
WEIRD = "<script>alert(1)</script> $\\frac{ & \"quoted\" 'too' --> ]]> {{ 7 * 7 }} fill: #0072b2; 雨"


def chart(kind: str, *series: Series) -> ChartFigure:
    return ChartFigure(kind=kind, series=list(series), **AXES, **WORDS)


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter() if node.tag.rpartition("}")[2] == "text"]


@pytest.mark.parametrize("kind", ["line", "bar", "scatter"])
@pytest.mark.parametrize("x", [[1.0, 2.0, 4.0], ["a", "b", "c"]])
def test_chart_of_every_kind_is_one_well_formed_element_with_its_alt_text(
    kind: str, x: list[float] | list[str]
) -> None:
    series = [Series(label=name, x=x, y=[1.0, None, 3.0], low=[0.5, None, 2.0], high=[2.0, None, 4.0]) for name in "pq"]
    svg = figure_svg(chart(kind, *series))
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "In words."
    assert root.get("viewBox")
    assert root.get("width") is None
    assert "<style" not in svg


@pytest.mark.parametrize("kind", ["line", "bar", "scatter"])
def test_a_logarithmic_axis_names_its_powers_and_leaves_out_what_it_has_no_place_for(kind: str) -> None:
    series = Series(label="a", x=[0.0, 10.0, 10_000.0], y=[0.0, 1.0, 1_000.0])
    figure = chart(kind, series).model_copy(update={"x_log": kind != "bar", "y_log": True})
    svg = figure_svg(figure)
    assert {"1", "10", "1,000"} <= set(texts(svg))
    assert not re.search(r"nan|inf(?!o)|mathdefault", svg)
    assert ("10,000" in texts(svg)) is figure.x_log
    nothing = chart(kind, Series(label="a", x=[1.0], y=[0.0])).model_copy(update={"y_log": True})
    assert ElementTree.fromstring(figure_svg(nothing)).get("aria-label") == "In words."


def test_lying_bars_have_their_logarithmic_axis_below() -> None:
    names = [f"a long name {k}" for k in range(3)]
    figure = chart("bar", Series(label="a", x=names, y=[1.0, 100.0, 1_000.0])).model_copy(update={"y_log": True})
    assert {"1", "10", "100", "1,000", *names} <= set(texts(figure_svg(figure)))


def test_colours_are_the_pages_own_so_that_dark_mode_holds() -> None:
    svg = figure_svg(chart("line", Series(label="a", x=[1.0, 2.0], y=[1.0, 2.0])))
    assert f"var(--series-1,{SERIES[0]})" in svg
    assert f"var(--ink,{INK})" in svg
    bare = re.sub(r"var\([^)]*\)", "", svg)
    assert not re.search(r"(?:fill|stroke): *#", bare)


def test_what_was_given_has_no_series_colour() -> None:
    series = [Series(label=name, x=["a"], y=[1.0], reference=name == "given") for name in ("given", "found")]
    element = figure_html(chart("bar", *series), "f")
    assert element.count(f"var(--neutral,{NEUTRAL})") == 1
    assert "var(--series-1" not in element
    curves = [Series(label=str(place), x=[0.0, 1.0], y=[0.1, 0.9]) for place in range(2)]
    events = {name: [Event(tag="Dog", onset=0.5, offset=1)] for name in ("reference", "estimated")}
    element = figure_html(clip(curves=curves, threshold=0.5, **events), "c")
    assert element.count("series-2") == 2 * 1
    assert "series-3" not in element
    assert "threshold 0.5" in element


def test_first_24_series_differ_in_more_than_colour() -> None:
    assert len({series_look(index)[:2] for index in range(24)}) == 24


@pytest.mark.parametrize("kind", ["line", "bar"])
def test_text_of_a_user_is_text_and_nothing_else(kind: str) -> None:
    name = '<b> $x$ "&'  # short enough to be drawn whole
    figure = chart(kind, Series(label=WEIRD, x=[name, "b"], y=[1.0, 2.0]), Series(label="b", x=["b"], y=[1.0]))
    assert name in texts(figure_svg(figure))
    element = figure_html(figure, "f")
    assert "<script" not in element
    assert "<b>" not in element
    assert "{{ 7 * 7 }}" in element


def test_colour_written_in_a_text_stays_as_written() -> None:
    svg = figure_svg(chart("line", Series(label="a", x=["#0072b2", "b"], y=[1.0, 2.0])))
    assert "#0072b2" in texts(svg)


def test_no_two_figures_share_a_name_inside_their_drawings() -> None:
    first = figure_svg(chart("line", Series(label="a", x=[1.0, 2.0], y=[1.0, 2.0])))
    second = figure_svg(chart("line", Series(label="b", x=[1.0, 2.0], y=[1.0, 2.0])))
    ids = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_equal_figures_give_equal_bytes_and_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    figure = chart("scatter", Series(label="a", x=[1.0, 2.0], y=[1.0, 2.0]))
    assert figure_svg(figure) == figure_svg(figure)
    assert dict(matplotlib.rcParams) == before


def test_a_picture_stands_alone_with_its_title_and_legend() -> None:
    figure = chart("line", *(Series(label=name, x=[1.0, 2.0], y=[1.0, 2.0]) for name in ("top-k", "a < b & c")))
    svg = picture_svg(figure)
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"Title", "Epoch", "Loss", "top-k", "a < b & c"} <= set(texts(svg))
    # Colours of its own: nothing beside it says what a page's variables stand for.
    assert "var(--" not in svg
    assert all(colour in svg for colour in SERIES[:2])
    assert picture_svg(figure) == svg
    alone = picture_svg(chart("line", Series(label="top-k", x=[1.0], y=[1.0])))
    assert "top-k" not in texts(alone)


def test_rounded_numbers_keep_the_whole_value() -> None:
    element = figure_html(chart("line", Series(label="a", x=[1.0], y=[0.123_456_789])), "f")
    assert '<td class="n" data-value="0.123456789">0.123</td>' in element


def test_many_points_are_drawn_as_one_image() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    points = Series(label="a", x=values.tolist(), y=values[::-1].tolist())
    svg = figure_svg(chart("scatter", points))
    assert "data:image/png;base64," in svg
    assert len(svg) < 500_000


def test_table_shows_so_many_rows_and_says_how_many_there_are() -> None:
    rows: list[list[str | float | int | None]] = [[f"row {i}", i] for i in range(MOST_ROWS + 1)]
    element = figure_html(TableFigure(columns=["A", "B"], rows=rows, **WORDS), "t")
    assert f"row {MOST_ROWS - 1}<" in element
    assert f"row {MOST_ROWS}<" not in element
    assert "The first 2,000 of 2,001 rows; all are in figures/t.json." in element


def clip(**changes: object) -> ClipFigure:
    values = {"clip": "c1", "duration_s": 2.0, "log_mel": [[0, 255], [10, 20]], "audio": "SUQz"} | WORDS | changes
    return ClipFigure.model_validate(values)


def test_clip_has_image_curves_events_and_sound() -> None:
    curves = [Series(label="Dog", x=[0.0, 1.0], y=[0.1, 0.9])]
    element = figure_html(clip(curves=curves, reference=[Event(tag="Dog", onset=0.5, offset=1)]), "c")
    assert "data:image/png;base64," in element
    assert 'src="data:audio/mpeg;base64,SUQz"' in element
    assert ">Dog</text>" in element
    assert '<td class="n" data-value="0.5">0.500</td>' in element


def test_clip_without_sound_has_no_player() -> None:
    assert "<audio" not in figure_html(clip(audio=None), "c")


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (clip(log_mel=[[1, 2], [1]]), r"log_mel must have rows of one length .* got lengths \[1, 2\]"),
        (clip(log_mel=[]), "log_mel must have rows of one length"),
        (clip(audio='"><script>'), "audio must be base64"),
        (TableFigure(columns=["a", "b"], rows=[[1, 2], [1]], **WORDS), "row 1 must have 2 cells, got 1"),
    ],
)
def test_values_that_do_not_fit_together_are_named(figure: ClipFigure | TableFigure, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figure_html(figure, "f")


@pytest.mark.parametrize("kind", ["line", "bar", "scatter"])
def test_chart_without_any_value_is_still_drawn(kind: str) -> None:
    empty = chart(kind)
    nulls = chart(kind, Series(label="a", x=[1.0, 2.0], y=[None, None]))
    assert "<svg" in figure_svg(empty)
    assert "<svg" in figure_svg(nulls)


@pytest.mark.parametrize(
    ("names", "lie"),
    [
        ([str(k) for k in range(12)], False),
        (["Dog", "Cat", "Cow", "Hen", "Pig", "Rat", "Owl"], False),
        (["Dog bark", "Sea wave", "Baby cry", "Rooster", "Cat", "Rain", "Wind"], True),
        (["Dog", "Fire crackling"], True),
    ],
)
def test_bars_lie_down_where_their_names_need_the_room(names: list[str], lie: bool) -> None:
    figure = chart("bar", Series(label="a", x=names, y=[float(k) for k in range(len(names))]))
    svg = figure_svg(figure)
    assert set(names) <= set(texts(svg))
    wide, high = (float(size) for size in re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    # Lying bars grow with their number; standing ones have one height.
    assert (high == 250) != lie
    assert wide == 400
