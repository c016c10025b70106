"""Fig. 4 of He et al. 2020, drawn from what is kept of its rows: F-score, loss and threshold by step, a line a rule."""

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.harness import Bench, Row
from benchmarks.staged_values import HIDDEN
from earmark.figures import ChartFigure, Series

PARTS = {
    "F-score": ("F-score by step", "macro F1", "the macro F1 of the validation clips at .5"),
    "loss": ("Training loss by step", "loss", "the training loss since the validation before"),
    "threshold": ("Threshold by step", "loss", "the loss from which unverified clips were dropped"),
}


def fig_4(bench: Bench, rows: Sequence[Row]) -> Mapping[str, ChartFigure]:
    """The three parts of Fig. 4 by the names of their files; those of which nothing is kept are not there."""
    figures = {}
    for letter, (part, words) in zip("abc", PARTS.items(), strict=True):
        lines = [line for row in rows if (line := _line(row.title, part, bench.kept(row)))]
        if lines:
            figures[f"fig-4-{letter}"] = _figure(*words, lines, len(bench.seeds))
    return figures


def _line(rule: str, part: str, kept: Mapping[int, Mapping[str, float]]) -> Series | None:
    """A rule's mean over seeds at each step, with the deviation to both sides."""
    head = f"{HIDDEN}{part} at "
    at_step: dict[int, list[float]] = {}
    for values in kept.values():
        for name, value in values.items():
            if name.startswith(head):
                at_step.setdefault(int(name.removeprefix(head)), []).append(value)
    if not at_step:
        return None
    steps = sorted(at_step)
    means = [statistics.fmean(at_step[step]) for step in steps]
    spread = [statistics.stdev(at_step[step]) if len(at_step[step]) > 1 else 0.0 for step in steps]
    return Series(
        label=rule,
        x=[float(step) for step in steps],
        y=list(means),
        low=[mean - by for mean, by in zip(means, spread, strict=True)],
        high=[mean + by for mean, by in zip(means, spread, strict=True)],
    )


def _figure(title: str, y_label: str, what: str, lines: Sequence[Series], num_seeds: int) -> ChartFigure:
    ends = "; ".join(f"{line.label} from {line.y[0]:.3f} to {line.y[-1]:.3f}" for line in lines)
    return ChartFigure(
        kind="line",
        title=title,
        caption=f"{what[0].upper()}{what[1:]}: the mean over {num_seeds} seeds, and the deviation as a band. {ends}.",
        alt=f"{title}: {what}; {ends}.",
        x_label="step",
        y_label=y_label,
        series=list(lines),
    )
