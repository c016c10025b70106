"""Runs evaluated on the same clips, held against each other resample by resample: as figures."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from earmark.compared_runs import (
    EVENTS,
    TAGS,
    ComparedRun,
    KeptT,
    Kind,
    read_compared_runs,
    refuse_other_clips,
)
from earmark.errors import counted, first_few
from earmark.figures import Cell, ChartFigure, Number, Series, TableFigure
from earmark.metrics.paired import Differences, paired_differences
from earmark.reports.metric_names import metric_name, with_words_first
from earmark.scores.evaluated import Evaluated, EvaluatedEvents, EvaluatedScores

MOST_FOR_ALL_PAIRS = 4
"""Of more runs each is held against the first one alone."""
MOST_DRAWN_TAGS = 24

AnyRun = ComparedRun[EvaluatedScores] | ComparedRun[EvaluatedEvents]
RunT = TypeVar("RunT", bound=AnyRun)


@dataclass(frozen=True)
class Comparison:
    """Figures by name, and lines that say what could not be compared.

    Attributes:
        differences: of the metrics, of pairs of runs; then of their events' metrics.
        gains: of each tag's average precision over the first run's, two figures a run.
    """

    differences: list[tuple[str, ChartFigure | TableFigure]] = field(default_factory=list)
    gains: list[tuple[str, ChartFigure | TableFigure]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def compare_runs(runs: Mapping[str, Path], split: str, layer: str) -> Comparison:
    """The paired differences of runs, each evaluated on the split against the layer, and of their events.

    Events are of the runs that evaluated them. Runs whose resamples were not kept, or that were
    resampled otherwise, are named and left out.

    Args:
        runs: their folders by the name that each is shown by; the first one is what the others are held against.

    Raises:
        InputError: what a run kept cannot be read, or is of other clips or labels than the first run's.
    """
    by_tags, lines = _alike(TAGS, runs, split, layer)
    by_events, others = _alike(EVENTS, runs, split, layer)
    differences = [*_differences(_pairs(by_tags)), *_differences(_pairs(by_events), of="events")]
    gains = [figure for place, run in enumerate(by_tags[1:], start=1) for figure in _gains(run, by_tags[0], place)]
    return Comparison(differences, gains, [*lines, *others])


def _alike(
    kind: Kind[KeptT], runs: Mapping[str, Path], split: str, layer: str
) -> tuple[list[ComparedRun[KeptT]], list[str]]:
    """The runs whose resamples are the first one's, and lines that name the others."""
    found, lines = read_compared_runs(kind, runs, split, layer)
    for other in found[1:]:
        refuse_other_clips(kind, found[0], other)
    alike = [run for run in found if _is_resampled_as(run.kept, found[0].kept)]
    others = [run.name for run in found if run not in alike]
    if others:
        lines.append(
            f"Not held against {found[0].name}, {kind.whose} resampled otherwise: {first_few(others)}; evaluate all of "
            "them again, with one --seed."
        )
    return alike, lines


def _is_resampled_as(one: Evaluated, other: Evaluated) -> bool:
    return one.draws == other.draws and np.array_equal(one.clips, other.clips)


def _pairs(runs: Sequence[RunT]) -> list[tuple[RunT, RunT]]:
    if len(runs) <= MOST_FOR_ALL_PAIRS:
        return [(other, one) for one, other in itertools.combinations(runs, 2)]
    return [(other, runs[0]) for other in runs[1:]]


def _differences(pairs: Sequence[tuple[AnyRun, AnyRun]], of: str = "") -> list[tuple[str, ChartFigure | TableFigure]]:
    """The chart of the first metric's differences, and the table of all metrics'; without pairs nothing."""
    if not pairs:
        return []
    first = pairs[0][1]
    in_all = [name for name in first.kept.drawn if all(name in run.kept.drawn for pair in pairs for run in pair)]
    names = with_words_first(in_all)
    found = [_of_pair(run, other, names) for run, other in pairs]
    rows: list[list[Cell]] = [
        [metric_name(name)[0], run.name, other.name, *_numbers(differences, column)]
        for column, name in enumerate(names)
        for (run, other), differences in zip(pairs, found, strict=True)
    ]
    undefined = " Null: not finite in a resample." if any(None in row for row in rows) else ""
    word = metric_name(names[0])[0]
    headline = [_numbers(differences, 0) for differences in found]
    labels = [f"{run.name} − {other.name}" for run, other in pairs]
    told = "; ".join(f"{label} {_signed(cells[0])}" for label, cells in zip(labels, headline, strict=True))
    chart = ChartFigure(
        kind="bar",
        title=f"Difference of {word}",
        caption=f"One run's {word} minus another's, with its {first.evaluation['confidence']:.0%} interval.",
        alt=f"Bars of the difference of {word} for {counted(len(pairs), 'pair')} of runs: {told}.",
        x_label="runs",
        y_label=f"difference of {word}",
        series=[
            Series(
                label=f"difference of {word}",
                x=labels,
                y=[cells[0] for cells in headline],
                low=[cells[1] for cells in headline],
                high=[cells[2] for cells in headline],
            )
        ],
    )
    table = TableFigure(
        title=f"Paired differences of {of}" if of else "Paired differences",
        caption=f"Run minus other, {_how(first)} Below and above 0: the shares of resamples in which the run is worse "
        f"and better.{undefined}",
        alt=f"A table of the differences of {counted(len(names), 'metric')} for {counted(len(pairs), 'pair')} of runs.",
        columns=["metric", "run", "minus", "difference", "low", "high", "below 0", "above 0"],
        rows=rows,
    )
    suffix = of and f"-{of}"
    return [(f"differences{suffix}", chart), (f"paired-differences{suffix}", table)]


def _of_pair(run: AnyRun, other: AnyRun, names: Sequence[str]) -> Differences:
    values = [[_value(one.evaluation["metrics"][name]["value"]) for name in names] for one in (run, other)]
    drawn = [np.stack([one.kept.drawn[name] for name in names], axis=1) for one in (run, other)]
    most = [math.inf if name == "d_prime" else 1.0 for name in names]
    return paired_differences(values[0], drawn[0], values[1], drawn[1], run.evaluation["confidence"], most)


def _gains(
    run: ComparedRun[EvaluatedScores], first: ComparedRun[EvaluatedScores], place: int
) -> list[tuple[str, ChartFigure | TableFigure]]:
    """The chart of the tags that gained and lost most, and the table of all tags, best gain first."""
    by_tag = [{row["tag"]: row for row in one.evaluation["per_tag"]} for one in (run, first)]
    tags = run.kept.tags
    values = [np.array([_value(table[tag]["average_precision"]) for tag in tags]) for table in by_tag]
    differences = paired_differences(
        values[0],
        run.kept.drawn_average_precision,
        values[1],
        first.kept.drawn_average_precision,
        run.evaluation["confidence"],
    )
    known = np.flatnonzero(~np.isnan(differences.value))
    order = known[np.argsort(-differences.value[known], kind="stable")]
    rows: list[list[Cell]] = [
        [
            tags[k],
            by_tag[1][tags[k]]["positives"],
            *(float(value[k]) for value in reversed(values)),
            *_numbers(differences, k),
        ]
        for k in order
    ]
    gained, lost = (int((ends > 0).sum()) for ends in (differences.low, -differences.high))
    told = (
        f"The interval lies above 0 for {gained} of {counted(len(order), 'tag')} and below it for {lost}; by chance "
        f"alone it would for about {(1 - run.evaluation['confidence']) / 2:.1%} of them on either side."
    )
    left_out = sorted(set(tags) - {tags[k] for k in order})
    missing = f" Left out, without positives: {first_few(left_out)}." if left_out else ""
    title = f"{run.name}: gain over {first.name} by tag"
    table = TableFigure(
        title=f"{title}, all tags",
        caption=f"Average precision, {run.name} minus {first.name}, {_how(first)} {told}{missing}",
        alt=f"A table of the gain in average precision for {counted(len(order), 'tag')}.",
        columns=["tag", "positives", first.name, run.name, "difference", "low", "high", "below 0", "above 0"],
        rows=rows,
    )
    return [(f"gains-{place}", _gain_chart(title, told, rows)), (f"gains-{place}-by-tag", table)]


def _gain_chart(title: str, told: str, rows: Sequence[list[Cell]]) -> ChartFigure:
    half = MOST_DRAWN_TAGS // 2
    drawn = list(rows) if len(rows) <= MOST_DRAWN_TAGS else [*rows[:half], *rows[-half:]]
    which = "" if len(drawn) == len(rows) else f"The {half} tags that gained most, and the {half} that lost most. "
    ends = [f"{row[0]} {_signed(row[4])}" for row in (*drawn[:1], *drawn[-1:])]
    return ChartFigure(
        kind="bar",
        title=title,
        caption=f"{which}{told}",
        alt=f"Bars of the gain in average precision for {counted(len(drawn), 'tag')}, from {' down to '.join(ends)}.",
        x_label="tag",
        y_label="gain in average precision",
        series=[
            Series(
                label="gain",
                x=[str(row[0]) for row in drawn],
                y=[_number(row[4]) for row in drawn],
                low=[_number(row[5]) for row in drawn],
                high=[_number(row[6]) for row in drawn],
            )
        ],
    )


def _how(run: AnyRun) -> str:
    evaluation = run.evaluation
    return (
        f"on {counted(evaluation['num_clips'], 'clip')} of the {evaluation['split']} split of {evaluation['dataset']}, "
        f"with the {evaluation['confidence']:.0%} interval from {counted(evaluation['resamples'], 'resample')} of its "
        f"{counted(evaluation['num_groups'], 'group')}, the same for both runs."
    )


def _numbers(differences: Differences, column: int) -> list[Number]:
    """A difference, the ends of its interval, and the shares below and above 0."""
    d = differences
    arrays: list[npt.NDArray[np.float64]] = [d.value, d.low, d.high, d.below, d.above]
    return [_number(float(array[column])) for array in arrays]


def _number(value: object) -> Number:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _value(number: Number) -> float:
    return math.nan if number is None else number


def _signed(value: object) -> str:
    return f"{value:+.3f}" if isinstance(value, float) else "not known"
