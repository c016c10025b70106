"""Learning curves: figures made of the lines of `metrics.jsonl`."""

from collections.abc import Callable
from itertools import pairwise

from earmark.figures import ChartFigure, Number, Series
from earmark.reports.metric_names import metric_name
from earmark.reports.run_files import Progress

_MOST_IN_ONE = 4


def learning_curves(progress: list[Progress]) -> list[ChartFigure]:
    """Charts of what the run wrote as it went: losses, each validation metric, learning rate; those with values only.

    Metrics between 0 and 1 share a chart; one on another scale has its own.
    """
    if not progress:
        return []
    x, x_label = _axis(progress)
    names = list(dict.fromkeys(name for line in progress for name in line.validation or {}))
    validation = {name: _values(progress, _metric(name)) for name in names}
    validation = {name: values for name, values in validation.items() if any(value is not None for value in values)}
    losses = {"train": _values(progress, lambda line: line.train_loss)}
    for name in [name for name in validation if name.split("_")[-1] == "loss"]:
        losses[f"validation {name.replace('_', ' ')}"] = validation.pop(name)
    unit = [name for name, values in validation.items() if all(v is None or 0 <= v <= 1 for v in values)]
    charts = [("Loss", "Loss", losses)]
    for start in range(0, len(unit), _MOST_IN_ONE):
        some = {metric_name(name)[0]: validation[name] for name in unit[start : start + _MOST_IN_ONE]}
        charts.append(("Metrics on validation", "Score", some))
    for name in validation:
        if name not in unit:
            words = metric_name(name)[0]
            charts.append((f"{words} on validation", words, {words: validation[name]}))
    charts.append(
        ("Learning rate", "Learning rate", {"learning rate": _values(progress, lambda line: line.learning_rate)})
    )
    drawn = [_chart(title, y_label, x, x_label, lines) for title, y_label, lines in charts]
    return [chart for chart in drawn if chart.series]


def _metric(name: str) -> Callable[[Progress], Number]:
    def value(line: Progress) -> Number:
        found = (line.validation or {}).get(name)
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    return value


def _values(progress: list[Progress], value: Callable[[Progress], Number]) -> list[Number]:
    return [value(line) for line in progress]


def _axis(progress: list[Progress]) -> tuple[list[float], str]:
    """Epochs where each line is a later one; else steps; else the lines themselves, counted."""
    for label, places in (("Epoch", [line.epoch for line in progress]), ("Step", [line.step for line in progress])):
        known = [place for place in places if place is not None]
        if len(known) == len(progress) and all(b > a for a, b in pairwise(known)):
            return known, label
    return [float(index + 1) for index in range(len(progress))], "Line of metrics.jsonl"


def _chart(title: str, y_label: str, x: list[float], x_label: str, lines: dict[str, list[Number]]) -> ChartFigure:
    """A chart of the lines that have a value; a line skips the places where it has none, so that it is not broken."""
    series, ends = [], []
    for label, values in lines.items():
        points = [(place, value) for place, value in zip(x, values, strict=True) if value is not None]
        if points:
            series.append(
                Series(
                    label=label, x=[place for place, _ in points], y=[value for _, value in points], low=None, high=None
                )
            )
            first, last = f"{points[0][1]:.3g}", f"{points[-1][1]:.3g}"
            ends.append(f"{label} from {first} to {last}" if len(points) > 1 else f"{label} {first}")
    words = f"Over {len(x)} {'line' if len(x) == 1 else 'lines'} of metrics.jsonl: {'; '.join(ends)}."
    return ChartFigure(
        kind="line",
        title=title,
        caption=words,
        alt=f"{title} by {x_label.lower()}: {words}",
        x_label=x_label,
        y_label=y_label,
        series=series,
    )
