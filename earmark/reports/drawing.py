"""Figures given as data, drawn with matplotlib; `render` turns the drawings into what a page holds.

Every colour here is a light-mode colour of the palette; `render` exchanges them for the page's CSS variables, so one
drawing is right in light and dark mode.
"""

import itertools
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from earmark.figures import ChartFigure, ClipFigure, Event, Number, Series

INK = "#20252b"
QUIET = "#dedbd4"
# What was given, beside what was found: never the colour of a series.
NEUTRAL = "#858c94"
# Okabe and Ito's hues without black and yellow, darker where 3:1 on a white page asks for it; told apart by people who
# see no red, no green or no blue too.
SERIES = ("#0072b2", "#b03a10", "#009e73", "#c86fa6", "#a88a10", "#3791ff")
# A second mark beside colour, for print without colour and for more series than colours.
DASHES = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))
MARKERS = ("o", "s", "^", "D", "v", "P")

WIDTH = 400.0  # of a drawing in its own units; shown 340 to 520 CSS pixels wide
_TEXT = 11.5
_MOST_NAMED_BARS = 60
_MOST_STANDING_LETTERS = 54  # names side by side under bars, with a space each
_MOST_VECTOR_POINTS = 3000
_LONGEST_NAME = 24

_STYLE = {
    "font.size": _TEXT,
    "text.parse_math": False,  # a tag may hold dollar signs
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": _TEXT,
    "axes.titlepad": 8,
    "axes.edgecolor": QUIET,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.unicode_minus": True,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "grid.color": QUIET,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "svg.fonttype": "none",  # text stays text: selectable, small, in the page's font
    "image.composite_image": False,
}


@contextmanager
def drawing_style(salt: str) -> Iterator[None]:
    """Drawing and saving both happen inside this; matplotlib's settings outside are left alone.

    Args:
        salt: what the names inside the SVG are made from: equal figures give equal bytes, others share no name.
    """
    style = {**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE, "svg.hashsalt": salt}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # The page's font draws the text, so what matplotlib's own font lacks is no news.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        yield


def series_look(index: int, reference: bool = False) -> tuple[str, tuple[float, ...], str]:
    """(colour, dashes, marker) of a figure's series; no two of the first 24 look alike, and none as a reference."""
    if reference:
        return NEUTRAL, (), "X"
    return SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)], MARKERS[index % len(MARKERS)]


def short(text: str, longest: int = _LONGEST_NAME) -> str:
    """A text cut with an ellipsis where a drawing has no room for more.

    >>> short("Single-lens reflex camera", 12)
    'Single-lens…'
    """
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def draw_chart(figure: ChartFigure) -> Drawing:
    """Lines, bars or points over two axes."""
    if figure.kind == "bar":
        return _bars(figure)
    drawing, axes = _canvas(250)
    positions, names = _positions(figure.series)
    draw_series = _line if figure.kind == "line" else _points
    for index, (series, x) in enumerate(zip(figure.series, positions, strict=True)):
        draw_series(axes, index, series, x)
    axes.grid(True, axis="y")
    axes.margins(x=0.03)
    if names is not None:
        _name_ticks(axes, names, most=6)
    else:
        _whole_ticks(axes, sorted({float(value) for x in positions for value in x if math.isfinite(value)}))
    if figure.x_log and names is None:
        _log_axis(axes, "x", positions)
    if figure.y_log:
        _log_axis(axes, "y", [_array(series.y) for series in figure.series])
    axes.set_xlabel(_with_unit(figure.x_label, figure.x_unit))
    if figure.y_unit or figure.y_label != figure.title:
        axes.set_title(short(_with_unit(figure.y_label, figure.y_unit), 60), loc="left")
    return drawing


def draw_legend(drawing: Drawing, figure: ChartFigure) -> None:
    """What a chart's colours stand for, under it, where a drawing has no page beside it to say so."""
    looks = [series_look(index, series.reference) for index, series in enumerate(figure.series)]
    marks = [
        Line2D([], [], color=colour, dashes=dashes or (None, None), marker=marker) for colour, dashes, marker in looks
    ]
    if len(marks) > 1:
        labels = [short(series.label) for series in figure.series]
        drawing.legend(marks, labels, loc="outside lower center", ncols=len(marks), frameon=False)


def draw_clip(figure: ClipFigure) -> Drawing:
    """A clip's curves, log-mel and events over one time axis.

    Raises:
        ValueError: the log-mel has no cell, or rows of different lengths.
    """
    image = _log_mel_image(figure)
    tags = list(dict.fromkeys(event.tag for event in (*figure.reference, *figure.estimated)))
    heights = [90.0] * bool(figure.curves) + [130.0] + [22.0 * len(tags) + 6] * bool(tags)
    drawing = Drawing(figsize=(WIDTH / 72, (sum(heights) + 50 + 8 * len(heights)) / 72), dpi=72, layout="constrained")
    rows = list(drawing.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    remaining = iter(rows)
    if figure.curves:
        _draw_curves(next(remaining), figure.curves, figure.threshold)
    mel = next(remaining)
    extent = (0.0, figure.duration_s, 0.0, float(len(image)))
    mel.imshow(image, "magma", vmin=0, vmax=255, origin="lower", aspect="auto", extent=extent, interpolation="none")
    mel.set_yticks([])
    mel.spines["bottom"].set_visible(False)
    if tags:
        _draw_events(next(remaining), tags, figure.reference, figure.estimated)
    rows[-1].set_xlim(0, figure.duration_s)
    rows[-1].set_xlabel("Time (s)")
    return drawing


def _canvas(height: float) -> tuple[Drawing, Axes]:
    drawing = Drawing(figsize=(WIDTH / 72, height / 72), dpi=72, layout="constrained")
    return drawing, drawing.subplots()


def _with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def _array(values: Sequence[Number]) -> npt.NDArray[np.float64]:
    """Values with NaN, which matplotlib leaves out, for null and infinite ones."""
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _positions(all_series: Sequence[Series]) -> tuple[list[npt.NDArray[np.float64]], list[str] | None]:
    """Where each series' points stand on the x axis, and the categories' names when the axis has categories."""
    if all(not isinstance(x, str) for series in all_series for x in series.x):
        return [_array([float(x) for x in series.x]) for series in all_series], None
    names = list(dict.fromkeys(str(x) for series in all_series for x in series.x))
    place = {name: float(index) for index, name in enumerate(names)}
    return [np.array([place[str(x)] for x in series.x]) for series in all_series], names


def _name_ticks(axes: Axes, names: Sequence[str], most: int) -> None:
    step = max(1, math.ceil(len(names) / most))
    axes.set_xticks(range(0, len(names), step), [short(name, 10) for name in names[::step]])


def _whole_ticks(axes: Axes, places: Sequence[float]) -> None:
    """No epoch 2.5 on an axis of whole numbers."""
    if not all(place.is_integer() for place in places):
        return
    axes.xaxis.set_major_locator(FixedLocator(places) if len(places) < 6 else MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(lambda place, _: f"{place:,.0f}")


def _log_axis(axes: Axes, which: str, values: Sequence[npt.NDArray[np.float64]]) -> None:
    """A logarithmic axis that begins under the lowest value above 0, so that a bar of it is seen."""
    above = np.concatenate([some[some > 0] for some in values])
    if not above.size:
        return
    axes.set(**{f"{which}scale": "log"})
    axes.set(**{f"{which}lim": (above.min() / 1.6, None)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(lambda place, _: f"{place:,.0f}" if place >= 1 else f"{place:g}")
    axis.set_minor_formatter(NullFormatter())


def _line(axes: Axes, index: int, series: Series, x: npt.NDArray[np.float64]) -> None:
    colour, dashes, marker = series_look(index, series.reference)
    if series.low is not None and series.high is not None:
        axes.fill_between(x, _array(series.low), _array(series.high), color=colour, alpha=0.18, linewidth=0)
    shown, width = marker if len(x) <= 40 else "", 0.8 if series.thin else None
    axes.plot(x, _array(series.y), color=colour, dashes=dashes or (None, None), marker=shown, linewidth=width)


def _points(axes: Axes, index: int, series: Series, x: npt.NDArray[np.float64]) -> None:
    colour, _, marker = series_look(index, series.reference)
    y = _array(series.y)
    _intervals(axes, x, y, series, horizontal=False, faint=len(x) > _MOST_NAMED_BARS)
    many = len(x) > _MOST_VECTOR_POINTS
    axes.scatter(x, y, s=16, color=colour, marker=marker, alpha=0.7, linewidths=0, rasterized=many)


def _intervals(
    axes: Axes, at: npt.NDArray[np.float64], y: npt.NDArray[np.float64], series: Series, horizontal: bool, faint: bool
) -> None:
    if series.low is None or series.high is None:
        return
    low, high = _array(series.low), _array(series.high)
    draw_lines = axes.hlines if horizontal else axes.vlines
    width, alpha = (0.5, 0.35) if faint else (1.0, 1.0)
    draw_lines(at, np.where(np.isnan(y), np.nan, low), high, color=INK, zorder=3, linewidth=width, alpha=alpha)


def _bars(figure: ChartFigure) -> Drawing:
    """Bars lie down when their names need room, and lose their names when there are too many to read."""
    positions, names = _positions(figure.series)
    count = len(names) if names is not None else 0
    longest = max(map(len, names), default=0) if names is not None else 0
    lying = 0 < count <= _MOST_NAMED_BARS and (longest > 8 or count * (longest + 1) > _MOST_STANDING_LETTERS)
    thickness = max(15, 10 * len(figure.series))
    drawing, axes = _canvas(70 + thickness * count if lying else 250)
    between = [np.diff(np.unique(x[np.isfinite(x)])) for x in positions]
    group = 0.8 * min((float(gap.min()) for gap in between if gap.size), default=1.0)
    width = (group if count <= _MOST_NAMED_BARS else 1.0) / max(len(figure.series), 1)
    for index, (series, x) in enumerate(zip(figure.series, positions, strict=True)):
        at, y = x + (index - (len(figure.series) - 1) / 2) * width, _array(series.y)
        draw_bars = axes.barh if lying else axes.bar
        draw_bars(at, y, width, color=series_look(index, series.reference)[0], linewidth=0)
        _intervals(axes, at, y, series, horizontal=lying, faint=len(at) > _MOST_NAMED_BARS)
    x_label, y_label = _with_unit(figure.x_label, figure.x_unit), _with_unit(figure.y_label, figure.y_unit)
    if lying and names is not None:
        axes.invert_yaxis()
        axes.set_yticks(range(count), [short(name) for name in names])
        axes.margins(y=0.01)
        x_label, y_label = y_label, x_label
    elif names is not None and count > _MOST_NAMED_BARS:
        axes.set_xticks([])
        axes.margins(x=0.01)
        x_label = f"{x_label}: {count:,}, in the order given"
    elif names is not None:
        axes.set_xticks(range(count), [short(name, 10) for name in names])
    if figure.y_log:
        _log_axis(axes, "x" if lying else "y", [_array(series.y) for series in figure.series])
    axes.grid(True, axis="x" if lying else "y")
    axes.set_xlabel(x_label)
    axes.set_title(short(y_label, 60), loc="left")
    return drawing


def _log_mel_image(figure: ClipFigure) -> npt.NDArray[np.uint8]:
    lengths = {len(row) for row in figure.log_mel}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"log_mel must have rows of one length with at least one frame, got lengths {sorted(lengths)}")
    return np.clip(np.array(figure.log_mel, dtype=np.int64), 0, 255).astype(np.uint8)


def _draw_curves(axes: Axes, curves: Sequence[Series], threshold: float | None) -> None:
    if threshold is not None:
        axes.axhline(threshold, color=NEUTRAL, linewidth=1.2)
    positions, _ = _positions(curves)
    for index, (series, x) in enumerate(zip(curves, positions, strict=True)):
        colour, dashes, _ = series_look(index, series.reference)
        axes.plot(x, _array(series.y), color=colour, dashes=dashes or (None, None))
    values = np.concatenate([_array(series.y) for series in curves])
    if np.all(np.isnan(values) | ((values >= 0) & (values <= 1))):
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.grid(True, axis="y")
    axes.tick_params(axis="x", length=0)
    axes.set_title("Score", loc="left")


def _draw_events(axes: Axes, tags: Sequence[str], reference: Sequence[Event], estimated: Sequence[Event]) -> None:
    """One row a tag: the reference as a filled bar, and under it what was found as an outlined one."""
    place = {tag: row for row, tag in enumerate(tags)}
    for event in reference:
        box = [(event.onset, event.offset - event.onset)]
        axes.broken_barh(box, (place[event.tag] - 0.36, 0.34), facecolor=NEUTRAL, linewidth=0)
    for event in estimated:
        box = [(event.onset, event.offset - event.onset)]
        axes.broken_barh(box, (place[event.tag] + 0.06, 0.3), facecolor="none", edgecolor=INK, linewidth=1.6)
    axes.set_ylim(len(tags) - 0.5, -0.5)
    axes.set_yticks(range(len(tags)), [short(tag, 18) for tag in tags])


def dash_text(dashes: Sequence[float]) -> str:
    """Dashes as SVG writes them, scaled as matplotlib scales them to the line's width."""
    return " ".join(f"{length:g}" for length in itertools.chain(dashes))
