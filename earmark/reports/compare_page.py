"""The page of several runs: what each scores, by tag too, how they learned, and what tells them apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from earmark.errors import InputError, counted, first_few
from earmark.figures import ChartFigure, Series, TableFigure
from earmark.reports.correlations import average_precision_correlations
from earmark.reports.figures_page import Section, write_figures_page
from earmark.reports.metric_names import metric_name
from earmark.reports.over_runs import (
    EvaluatedRun,
    learning_curves_over_runs,
    sorted_average_precision_over_runs,
    where_evaluated,
)
from earmark.reports.run_files import AnyFigure
from earmark.reports.run_groups import ablation_table, grouped_but_for_seed

LEARNED = "mean_average_precision"


def write_compare_page(found: Sequence[EvaluatedRun], out: Path, paired: Sequence[Section] = ()) -> Path:
    """Writes the page of runs that were evaluated on the same clips, and returns the folder of its figures.

    Args:
        found: as `evaluated_runs` gives them.
        paired: what else holds them against each other, shown after their metrics.

    Raises:
        InputError: the evaluations show that they are not on the same clips.
    """
    correlations = average_precision_correlations(found)
    groups = grouped_but_for_seed(found)
    by_tag = sorted_average_precision_over_runs(groups)
    curves, why = _learning_curves(groups)
    return write_figures_page(
        out,
        kicker="Comparison of runs",
        title=first_few(run.name for run in found),
        lede=f"{counted(len(found), 'run')}, evaluated on {where_evaluated(found)}.",
        sections=[
            Section("Metrics", _metrics(found)),
            *paired,
            Section("Settings", [("settings", ablation_table(found))]),
            Section("Over the runs", [("average-precision", by_tag), *curves], lines=why),
            Section("Correlations", [("correlations", correlations)]),
        ],
    )


def _metrics(found: Sequence[EvaluatedRun]) -> list[tuple[str, AnyFigure]]:
    """The chart of the first metric, and the table of all, with the intervals that the evaluations have."""
    names = [name for name in found[0].evaluation.metrics if all(name in run.evaluation.metrics for run in found)]
    if not names:
        return []
    first = found[0].evaluation
    how = f"{first.confidence:.0%} intervals from resamples of groups of clips, as each run was evaluated"
    rows: list[list[str | float | int | None]] = []
    for name in names:
        for run in found:
            metric = run.evaluation.metrics[name]
            rows.append([metric_name(name)[0], run.name, metric.value, metric.low, metric.high])
    table = TableFigure(
        title="Metrics with intervals",
        caption=f"{where_evaluated(found)}; {how}. Intervals that overlap say little: the runs share their clips, and "
        "what is hard about these drops out of paired differences.",
        alt=f"A table of {counted(len(names), 'metric')} for {counted(len(found), 'run')}.",
        columns=["metric", "run", "value", "low", "high"],
        rows=rows,
    )
    headline = [run.evaluation.metrics[names[0]] for run in found]
    word = metric_name(names[0])[0]
    shown = "; ".join(
        f"{run.name} {'not finite' if metric.value is None else f'{metric.value:.3f}'}"
        for run, metric in zip(found, headline, strict=True)
    )
    chart = ChartFigure(
        kind="bar",
        title=word,
        caption=f"{word} with its {first.confidence:.0%} interval.",
        alt=f"Bars of {word} for {counted(len(found), 'run')}: {shown}.",
        x_label="run",
        y_label=word,
        series=[
            Series(
                label=word,
                x=[run.name for run in found],
                y=[metric.value for metric in headline],
                low=[metric.low for metric in headline],
                high=[metric.high for metric in headline],
            )
        ],
    )
    return [("metric", chart), ("metrics", table)]


def _learning_curves(groups: Mapping[str, Sequence[EvaluatedRun]]) -> tuple[list[tuple[str, AnyFigure]], list[str]]:
    """The figure of how the groups learned; and why some are not in it.

    A model may be compared however it was trained, without validation too.
    """
    shown, why = {}, []
    for label, runs in groups.items():
        files = [run.files for run in runs]
        try:
            learning_curves_over_runs({label: files}, LEARNED)
        except InputError as error:
            why.append(f"No learning curve of {label}: {error}.")
        else:
            shown[label] = files
    return [("learning-curves", learning_curves_over_runs(shown, LEARNED))] if shown else [], why
