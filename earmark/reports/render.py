"""The one renderer of figures: Figure -> HTML with inline SVG, which stands alone in a page and needs nothing else."""

import base64
import binascii
import html
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from earmark.figures import ChartFigure, ClipFigure, Event, Number, Series, TableFigure
from earmark.files import digest_of
from earmark.reports.drawing import (
    INK,
    NEUTRAL,
    QUIET,
    SERIES,
    dash_text,
    draw_chart,
    draw_clip,
    draw_legend,
    drawing_style,
    series_look,
)

# Rows of one table on a page; the file itself holds the rest.
MOST_ROWS = 2000

_VARIABLES = {INK: "ink", QUIET: "line", NEUTRAL: "neutral"} | {
    colour: f"series-{i + 1}" for i, colour in enumerate(SERIES)
}
_MARKUP = re.compile(r"<[^>]*>")
_COLOUR = re.compile("|".join(_VARIABLES))
_NOISE = re.compile(r""" id="[a-zA-Z0-9.]+_\d+"|(?<=style=")font-family:[^;"]*;? ?|font-family:[^;"]*;? ?""")
_TURNED_BY_NOTHING = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_LINE_ENDS = re.compile(r"\s*\n\s*")
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
Cell = str | float | int | None


@dataclass(frozen=True)
class NumberTable:
    """Columns by name, and rows with a cell for each."""

    title: str
    columns: list[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class LegendEntry:
    """What a colour and its dashes stand for."""

    label: str
    colour: str
    dashes: str = ""
    mark: str = "line"


def number(value: float | int | str | bool | None) -> str:
    """A value as people read it in a column: three decimals, thousands parted; text stays as it is.

    >>> number(0.91249), number(12345), number(None), number(0.00012), number(2e7)
    ('0.912', '12,345', '–', '0.00012', '20,000,000')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (abs(value) >= 1000 and math.isfinite(value)):
        return f"{value:,.0f}"
    return f"{value:.3g}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(7.25), duration(754), duration(9000)
    ('7.2 s', '12 min 34 s', '2 h 30 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


@cache
def environment() -> Environment:
    """The templates of this package; every value is escaped."""
    found = Environment(
        loader=PackageLoader("earmark.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "duration": duration}
    found.tests["numeric"] = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    return found


def figure_svg(figure: ChartFigure | ClipFigure) -> Markup:
    """The drawing as an inline SVG element: scales with the page, with its colours and its alt text."""
    with drawing_style(digest_of(figure.model_dump_json().encode())):
        drawing = draw_clip(figure) if isinstance(figure, ClipFigure) else draw_chart(figure)
        written = io.StringIO()
        drawing.savefig(written, format="svg", transparent=True, metadata=_NO_METADATA)
    whole = written.getvalue()
    view_box = re.search(r'viewBox="[^"]*"', whole)
    start = whole.index("</defs>") + len("</defs>")  # the first defs holds a style that would reach the whole page
    if view_box is None:
        raise RuntimeError("matplotlib's SVG has no viewBox")
    # Only what stands between angle brackets is changed: text a user wrote, escaped by matplotlib, is not touched.
    body = _MARKUP.sub(lambda tag: _for_page(tag.group()), whole[start : whole.rindex("</svg>")])
    alt = html.escape(figure.alt)
    head = f'<svg class="drawing" {view_box.group()} xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
    return Markup(f'{head} aria-label="{alt}">{_LINE_ENDS.sub(chr(10), body).strip()}</svg>')


def picture_svg(figure: ChartFigure) -> str:
    """The chart as an SVG file that stands alone, on white, with its title and legend: for pages that hold no HTML."""
    with drawing_style(digest_of(figure.model_dump_json().encode())):
        drawing = draw_chart(figure)
        drawing.suptitle(figure.title, x=0.01, ha="left", fontweight="bold")
        draw_legend(drawing, figure)
        written = io.StringIO()
        drawing.savefig(written, format="svg", facecolor="white", metadata=_NO_METADATA)
    return _LINE_ENDS.sub("\n", written.getvalue()).strip() + "\n"


def figure_html(figure: ChartFigure | TableFigure | ClipFigure, name: str, source: str | None = None) -> Markup:
    """A whole figure element: title, legend, drawing or table, sound, caption, and the numbers drawn.

    Args:
        name: the figure's name within the page, for links.
        source: the file that holds the figure, named where only a part of its rows is shown.

    Raises:
        ValueError: the figure's values do not fit together, so that nothing can be drawn.
    """
    template = environment().get_template("figure.html")
    drawing = None if isinstance(figure, TableFigure) else figure_svg(figure)
    return Markup(
        template.render(
            figure=figure,
            name=name,
            drawing=drawing,
            legend=_legend(figure),
            audio=_audio(figure),
            table=number_table(figure),
            most_rows=MOST_ROWS,
            source=source or f"figures/{name}.json",
        )
    )


def _for_page(tag: str) -> str:
    if tag.startswith(("<image", "<!--")):
        return _NOISE.sub("", tag)
    tag = _TURNED_BY_NOTHING.sub("", _NOISE.sub("", tag))
    return _COLOUR.sub(lambda colour: f"var(--{_VARIABLES[colour.group()]},{colour.group()})", tag)


def _legend(figure: ChartFigure | TableFigure | ClipFigure) -> list[LegendEntry]:
    if isinstance(figure, TableFigure):
        return []
    if isinstance(figure, ClipFigure):
        entries = [_entry(index, series, "line") for index, series in enumerate(figure.curves)]
        if figure.threshold is not None and entries:
            entries.append(LegendEntry(f"threshold {figure.threshold:g}", "var(--neutral)"))
        entries += [LegendEntry(figure.reference_name, "var(--neutral)", mark="bar")] * bool(figure.reference)
        return entries + [LegendEntry(figure.estimated_name, "var(--ink)", mark="outline")] * bool(figure.estimated)
    marks = {"line": "line", "bar": "bar", "scatter": "point"}
    entries = [_entry(index, series, marks[figure.kind]) for index, series in enumerate(figure.series)]
    return entries if len(entries) > 1 else []


def _entry(index: int, series: Series, mark: str) -> LegendEntry:
    colour, dashes, _ = series_look(index, series.reference)
    return LegendEntry(series.label, f"var(--{_VARIABLES[colour]})", dash_text(dashes), mark)


def _audio(figure: ChartFigure | TableFigure | ClipFigure) -> str | None:
    if not isinstance(figure, ClipFigure) or not figure.audio:
        return None
    try:
        base64.b64decode(figure.audio, validate=True)
    except binascii.Error as error:
        raise ValueError(f"audio must be base64: {error}") from error
    return f"data:audio/mpeg;base64,{figure.audio}"


def number_table(figure: ChartFigure | TableFigure | ClipFigure) -> NumberTable:
    """What is drawn, as a table for those who want to read the values or cannot see the drawing."""
    if isinstance(figure, TableFigure):
        for index, cells in enumerate(figure.rows):
            if len(cells) != len(figure.columns):
                raise ValueError(f"row {index} must have {len(figure.columns)} cells, got {len(cells)}")
        return NumberTable(figure.title, figure.columns, figure.rows)
    if isinstance(figure, ClipFigure):
        events = [
            *_event_rows(figure.reference_name, figure.reference),
            *_event_rows(figure.estimated_name, figure.estimated),
        ]
        return NumberTable(figure.title, ["Events", "Tag", "Onset (s)", "Offset (s)"], events)
    several = len(figure.series) > 1
    with_intervals = any(series.low is not None for series in figure.series)
    columns = ["Series"] * several + [figure.x_label, figure.y_label] + ["Low", "High"] * with_intervals
    rows: list[list[Cell]] = []
    for series in figure.series:
        named: list[Cell] = [series.label] * several
        nothing: list[Number] = [None] * len(series.y)
        for x, y, low, high in zip(
            _whole(series.x), series.y, series.low or nothing, series.high or nothing, strict=True
        ):
            rows.append([*named, x, y, *[low, high] * with_intervals])
    return NumberTable(figure.title, columns, rows)


def _whole(places: list[float] | list[str]) -> list[Cell]:
    """Places on the x axis, whole ones without decimals."""
    return [int(x) if isinstance(x, float) and x.is_integer() else x for x in places]


def _event_rows(kind: str, events: list[Event]) -> list[list[Cell]]:
    return [[kind, event.tag, event.onset, event.offset] for event in events]
