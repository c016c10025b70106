"""Learning curves: figures made of the lines of `metrics.jsonl`."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

from earmark.errors import counted
from earmark.figures import ChartFigure, Number, Series
from earmark.reports.metric_names import metric_name
from earmark.reports.run_files import Progress

_MOST_IN_ONE = 4
_COUNTED = "Line of metrics.jsonl"
Line = tuple[list[float], list[Number]]
"""Places and values."""


def learning_curves(progress: list[Progress]) -> list[ChartFigure]:
    """Charts of what the run wrote as it went: losses, each validation metric, learning rate; those with values only.

    Metrics between 0 and 1 share a chart; one on another scale has its own.
    """
    if not progress:
        return []
    x, x_label = _axis(progress)
    names = list(dict.fromkeys(name for line in progress for name in line.validation or {}))
    validation = {name: metric_values(progress, name) for name in names}
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
    where = f"{counted(len(x), 'line')} of metrics.jsonl"
    drawn = [
        _chart(title, y_label, x_label, {name: (x, values) for name, values in lines.items()}, where)
        for title, y_label, lines in charts
    ]
    return [chart for chart in drawn if chart.series]


def curves_of_runs(runs: Mapping[str, list[Progress]], metric: str) -> list[ChartFigure]:
    """Charts of a validation metric and of the training loss with a line a run, those with values only."""
    runs = {name: progress for name, progress in runs.items() if progress}
    axes = [_axis(progress) for progress in runs.values()]
    labels = {label for _, label in axes}
    if len(labels) > 1:
        labels, axes = {_COUNTED}, [(_counted(progress), _COUNTED) for progress in runs.values()]
    where, words = f"metrics.jsonl of {counted(len(runs), 'run')}", metric_name(metric)[0]
    metrics = [metric_values(progress, metric) for progress in runs.values()]
    losses = [_values(progress, lambda line: line.train_loss) for progress in runs.values()]
    charts = []
    for title, y_label, found in ((f"{words} on validation", words, metrics), ("Training loss", "Loss", losses)):
        lines = {name: (x, values) for name, (x, _), values in zip(runs, axes, found, strict=True)}
        charts.append(_chart(title, y_label, "".join(labels), lines, where))
    return [chart for chart in charts if chart.series]


def metric_values(progress: list[Progress], metric: str) -> list[Number]:
    """A validation metric line by line, None where it is not there or no number."""

    def value(line: Progress) -> Number:
        found = (line.validation or {}).get(metric)
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            return None
        return float(found)

    return _values(progress, value)


def _values(progress: list[Progress], value: Callable[[Progress], Number]) -> list[Number]:
    return [value(line) for line in progress]


def _axis(progress: list[Progress]) -> tuple[list[float], str]:
    """Epochs where each line is a later one; else steps; else the lines themselves, counted."""
    for label, places in (("Epoch", [line.epoch for line in progress]), ("Step", [line.step for line in progress])):
        known = [place for place in places if place is not None]
        if len(known) == len(progress) and all(b > a for a, b in pairwise(known)):
            return known, label
    return _counted(progress), _COUNTED


def _counted(progress: list[Progress]) -> list[float]:
    return [float(index + 1) for index in range(len(progress))]


def _chart(title: str, y_label: str, x_label: str, lines: Mapping[str, Line], where: str) -> ChartFigure:
    """A chart of the lines that have a value; a line skips the places where it has none, so that it is not broken."""
    series, ends = [], []
    for label, (x, values) in lines.items():
        points = [(place, value) for place, value in zip(x, values, strict=True) if value is not None]
        if points:
            series.append(
                Series(
                    label=label, x=[place for place, _ in points], y=[value for _, value in points], low=None, high=None
                )
            )
            first, last = f"{points[0][1]:.3g}", f"{points[-1][1]:.3g}"
            ends.append(f"{label} from {first} to {last}" if len(points) > 1 else f"{label} {first}")
    words = f"Over {where}: {'; '.join(ends)}."
    return ChartFigure(
        kind="line",
        title=title,
        caption=words,
        alt=f"{title} by {x_label.lower()}: {words}",
        x_label=x_label,
        y_label=y_label,
        series=series,
    )
