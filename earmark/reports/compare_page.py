"""The page of several runs: what each scores, by tag too, how they learned, and what tells them apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from earmark.errors import InputError, counted, first_few
from earmark.figures import Cell, ChartFigure, Series, TableFigure
from earmark.reports.correlations import average_precision_correlations
from earmark.reports.figures_page import Section, write_figures_page
from earmark.reports.metric_names import metric_name, with_words_first
from earmark.reports.over_runs import (
    EvaluatedRun,
    learning_curves_over_runs,
    sorted_average_precision_over_runs,
    where_evaluated,
)
from earmark.reports.run_files import AnyEvaluation, AnyFigure, EventEvaluation
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
            Section("Metrics", _metrics({run.name: run.evaluation for run in found}, where_evaluated(found))),
            *_metrics_of_events(found),
            *paired,
            Section("Settings", [("settings", ablation_table(found))]),
            Section("Over the runs", [("average-precision", by_tag), *curves], lines=why),
            Section("Correlations", [("correlations", correlations)]),
        ],
    )


def _metrics_of_events(found: Sequence[EvaluatedRun]) -> list[Section]:
    """The same of events, where any run has some, with a line that names the runs that have none.

    Raises:
        InputError: the evaluations show that they are not of the same events.
    """
    of_runs = {run.name: run.events for run in found if run.events is not None}
    if not of_runs:
        return []
    first, *others = of_runs
    for other in others:
        _refuse_other_events(first, of_runs[first], other, of_runs[other])
    one, lines = of_runs[first], []
    without = [run for run in found if run.events is None]
    if without:
        option = "" if one.labels == "given" else f" --labels {one.labels}"
        lines.append(
            f"No event metrics: {first_few(run.name for run in without)}; `earmark evaluate {without[0].files.folder} "
            f"DATASET --events --split {one.split}{option}` makes them."
        )
    tuned = [name for name, events in of_runs.items() if events.decisions.tuned]
    plain = [name for name in of_runs if name not in tuned]
    if tuned and plain:
        lines.append(
            f"Decided by tuned thresholds and median filters: {first_few(tuned)}; at a score of .5 without a filter: "
            f"{first_few(plain)}. Part of a difference in F1 is that."
        )
    where = f"{counted(one.num_clips, 'clip')} of the {one.split} split of {one.dataset} with times"
    return [Section("Metrics of events", _metrics(of_runs, where, of="events"), lines=lines)]


def _refuse_other_events(name: str, ours: EventEvaluation, other: str, theirs: EventEvaluation) -> None:
    """Raises InputError where counts show that two runs' events are not those of the same clips."""
    if (ours.dataset, ours.num_clips) != (theirs.dataset, theirs.num_clips):
        raise InputError(
            f"events of runs must be evaluated on the same clips: {name} was on {ours.num_clips} clips of "
            f"{ours.dataset}, {other} on {theirs.num_clips} of {theirs.dataset}; leave one of them out"
        )
    counts, others = ({row.tag: row.reference_events for row in one.per_tag} for one in (ours, theirs))
    differing = [tag for tag in {**counts, **others} if counts.get(tag) != others.get(tag)]
    if differing:
        shown = first_few(f"{tag} {counts.get(tag, 'none')} and {others.get(tag, 'none')}" for tag in differing)
        raise InputError(
            f"events of runs must be evaluated on the same tags and events: {name} and {other} have different numbers "
            f"of events: {shown}; leave one of them out"
        )


def _metrics(evaluations: Mapping[str, AnyEvaluation], where: str, of: str = "") -> list[tuple[str, AnyFigure]]:
    """The chart of the first metric, and the table of all, with the intervals that the evaluations have.

    Args:
        evaluations: by the run's name.
        where: what they are on.
        of: what they are of, if not clips.
    """
    first = next(iter(evaluations.values()))
    names = with_words_first(name for name in first.metrics if all(name in one.metrics for one in evaluations.values()))
    if not names:
        return []
    how = f"{first.confidence:.0%} intervals from resamples of groups of clips, as each run was evaluated"
    rows: list[list[Cell]] = []
    for name in names:
        for run, one in evaluations.items():
            metric = one.metrics[name]
            rows.append([metric_name(name)[0], run, metric.value, metric.low, metric.high])
    table = TableFigure(
        title=f"Metrics of {of} with intervals" if of else "Metrics with intervals",
        caption=f"{where}; {how}. Intervals that overlap say little: the runs share their clips, and "
        "what is hard about these drops out of paired differences.",
        alt=f"A table of {counted(len(names), 'metric')} for {counted(len(evaluations), 'run')}.",
        columns=["metric", "run", "value", "low", "high"],
        rows=rows,
    )
    headline = {run: one.metrics[names[0]] for run, one in evaluations.items()}
    word = metric_name(names[0])[0]
    shown = "; ".join(
        f"{run} {'not finite' if metric.value is None else f'{metric.value:.3f}'}" for run, metric in headline.items()
    )
    chart = ChartFigure(
        kind="bar",
        title=word,
        caption=f"{word} with its {first.confidence:.0%} interval.",
        alt=f"Bars of {word} for {counted(len(evaluations), 'run')}: {shown}.",
        x_label="run",
        y_label=word,
        series=[
            Series(
                label=word,
                x=list(headline),
                y=[metric.value for metric in headline.values()],
                low=[metric.low for metric in headline.values()],
                high=[metric.high for metric in headline.values()],
            )
        ],
    )
    suffix = of and f"-{of}"
    return [(f"metric{suffix}", chart), (f"metrics{suffix}", table)]


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
