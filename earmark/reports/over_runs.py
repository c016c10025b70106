"""Figures made of several run folders: their average precision by tag and their learning curves, mean and deviation.

The deviation is the standard deviation of a sample (divided by runs - 1); one run has none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError, counted, did_you_mean, first_few
from earmark.figures import ChartFigure, Number, Series
from earmark.reports.metric_names import metric_name
from earmark.reports.run_files import AnyEvaluation, Evaluation, EventEvaluation, RunFiles, TagResult, read_run

Floats = npt.NDArray[np.float64]
EvaluationT = TypeVar("EvaluationT", bound=AnyEvaluation)

IN_UNIT = ("mean_average_precision", "mean_roc_auc", "lwlrap")
"""Metrics of the validation that are from 0 to 1."""


@dataclass(frozen=True)
class EvaluatedRun:
    """A run and what it scored on one split, of events too if it says so, by a name that no other of the runs has."""

    name: str
    files: RunFiles
    evaluation: Evaluation
    events: EventEvaluation | None

    @property
    def by_tag(self) -> dict[str, TagResult]:
        """The results by tag."""
        return {row.tag: row for row in self.evaluation.per_tag}


def sorted_average_precision_over_runs(groups: Mapping[str, Sequence[EvaluatedRun]]) -> ChartFigure:
    """The figure of per-tag average precision, best mean first, with its deviation over the runs of a group.

    One group is drawn as bars, several as a line each. The runs may have been tested on different clips (each on its
    own fold); the caption then says so.

    Args:
        groups: as `evaluated_runs` gives them, by a name for each group.

    Raises:
        InputError: no tag has an average precision in every run.

    Source: Gong et al. 2021, Fig. 7.
    """
    found = [run for runs in groups.values() for run in runs]
    tags, values = scored_tags(found)
    if not tags:
        raise InputError(f"a tag must have positives in the {found[0].evaluation.split} split of every run, none has")
    mean = values.mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    best, weakest = (f"{tags[k]} {mean[k]:.3f}" for k in order[[0, -1]])
    left_out = sorted(set(found[0].by_tag) - set(tags))
    missing = f" Left out, without positives in a run: {first_few(left_out)}." if left_out else ""
    names = [tags[k] for k in order]
    ends = np.cumsum([len(runs) for runs in groups.values()])[:-1]
    series = [
        _series("average precision" if len(groups) == 1 else label, names, rows, in_unit=True)
        for label, rows in zip(groups, np.split(values[:, order], ends), strict=True)
    ]
    widest = _widest(tags, values) if len(groups) == 1 else ""
    return ChartFigure(
        kind="bar" if len(groups) == 1 else "line",
        title="Average precision by tag over runs",
        caption=f"{where_evaluated(found)}; {_what_is_drawn(groups)}.{widest}{missing}",
        alt=f"Mean average precision for {len(tags)} tags, from {best} down to {weakest}.",
        x_label="tag",
        y_label="average precision",
        series=series,
    )


def learning_curves_over_runs(groups: Mapping[str, Sequence[RunFiles]], metric: str) -> ChartFigure:
    """The figure of a validation metric after each epoch: a line for each group of runs, with its deviation over them.

    Drawn are the epochs in which every run of a group was validated, each with the last value of the epoch.

    Args:
        groups: by a name for each.
        metric: as in `metrics.jsonl`, such as "mean_average_precision".

    Raises:
        InputError: a run has no such metric, or there is no epoch that all of a group have.

    Source: Gong et al. 2021, Fig. 9.
    """
    word, drawn, told = metric_name(metric)[0], [], []
    for label, runs in groups.items():
        curves = [_curve(files, metric) for files in runs]
        epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
        if not epochs:
            together = first_few(files.folder.name for files in runs)
            raise InputError(f"the runs must share an epoch with {metric}, {together} share none")
        values = np.array([[curve[epoch] for epoch in epochs] for curve in curves])
        name = word if len(groups) == 1 else label
        drawn.append(_series(name, epochs, values, in_unit=metric in IN_UNIT))
        mean, longest = values.mean(axis=0), max(max(curve) for curve in curves)
        ends = f"{_shown(mean[0])} after epoch {epochs[0]:g}, {_shown(mean[-1])} after epoch {epochs[-1]:g}"
        cut = f" (the last epoch that all have; the longest run has {longest:g})" if longest > epochs[-1] else ""
        told.append(f"{'' if len(groups) == 1 else f'{label} '}{ends}{cut}")
    names = sorted({str((files.settings or {}).get("dataset", "")) for runs in groups.values() for files in runs})
    at = f" of {first_few(filter(None, names))}" if any(names) else ""
    num_runs = sum(map(len, groups.values()))
    return ChartFigure(
        kind="line",
        title=f"{word} by epoch over runs",
        caption=f"{word} on the validation split{at}; {_what_is_drawn(groups)}: {'; '.join(told)}.",
        alt=f"{counted(len(groups), 'line')} of mean {word} over {num_runs} runs by epoch: {'; '.join(told)}.",
        x_label="epoch",
        y_label=word,
        series=drawn,
    )


def evaluated_runs(runs: Sequence[Path], split: str, labels: str) -> list[EvaluatedRun]:
    """The runs with their evaluations on a split against a label layer, all on the same tags.

    Raises:
        InputError: a run has no such evaluation, or the runs were evaluated on different tags.
    """
    read = _read_runs(runs)
    found = [
        EvaluatedRun(name, files, _evaluation_of(files, split, labels), _of_events(files, split, labels))
        for name, files in read.items()
    ]
    first = found[0]
    for other in found[1:]:
        only = [
            f"only {one.name} has {first_few(tag for tag in one.by_tag if tag not in another.by_tag)}"
            for one, another in ((first, other), (other, first))
            if set(one.by_tag) - set(another.by_tag)
        ]
        if only:
            raise InputError(f"runs must be evaluated on the same tags; {'; '.join(only)}; leave one of them out")
    return found


def scored_tags(found: Sequence[EvaluatedRun]) -> tuple[list[str], Floats]:
    """The tags that have an average precision in every run, in the first run's order, and it, (run, tag)."""
    tables = [run.by_tag for run in found]
    tags = [tag for tag in tables[0] if all(table[tag].average_precision is not None for table in tables)]
    return tags, np.array([[table[tag].average_precision for tag in tags] for table in tables], np.float64)


def where_evaluated(found: Sequence[EvaluatedRun]) -> str:
    """Which clips the runs were evaluated on, for a caption."""
    first = found[0].evaluation
    against = "" if first.labels == "given" else f", labels {first.labels}"
    counts = {(run.evaluation.num_clips, run.evaluation.dataset) for run in found}
    if len(counts) == 1 and all(positives(run) == positives(found[0]) for run in found):
        return f"{first.num_clips} clips of the {first.split} split of {first.dataset}{against}"
    each = first_few(f"{run.name} {run.evaluation.num_clips} clips of {run.evaluation.dataset}" for run in found)
    return f"The {first.split} splits{against}, not the same clips in all runs ({each}), so the data differ too"


def positives(run: EvaluatedRun) -> dict[str, int]:
    """The evaluated clips that have each tag."""
    return {tag: row.positives for tag, row in run.by_tag.items()}


def _read_runs(runs: Sequence[Path]) -> dict[str, RunFiles]:
    """The runs by name: the folder's, or the whole path where two folders have one name."""
    if not runs:
        raise InputError("a figure over runs must be given at least one run folder, got none")
    folders = [Path(run) for run in runs]
    resolved = [folder.resolve() for folder in folders]
    twice = [str(folder) for place, folder in enumerate(folders) if resolved[place] in resolved[:place]]
    if twice:
        raise InputError(f"each run must be given once, or the deviation is too small; given again: {first_few(twice)}")
    names = [folder.name for folder in resolved]
    return {
        name if names.count(name) == 1 else str(folder): read_run(folder)
        for name, folder in zip(names, folders, strict=True)
    }


def _evaluation_of(files: RunFiles, split: str, labels: str) -> Evaluation:
    found = _among(files.evaluations, split, labels)
    if found is not None:
        return found
    _refuse_damaged(files, "evaluation")
    there = first_few(f"{one.split} (labels {one.labels})" for one in files.evaluations) or "no evaluation"
    option = "" if labels == "given" else f" --labels {labels}"
    raise InputError(
        f"{files.folder} must have been evaluated on {split} (labels {labels}), it holds {there}; run "
        f"`earmark evaluate {files.folder} DATASET --split {split}{option}`"
    )


def _of_events(files: RunFiles, split: str, labels: str) -> EventEvaluation | None:
    found = _among(files.event_evaluations, split, labels)
    if found is None:
        _refuse_damaged(files, "evaluation/events")
    return found


def _among(evaluations: Sequence[EvaluationT], split: str, labels: str) -> EvaluationT | None:
    return next((one for one in evaluations if (one.split, one.labels) == (split, labels)), None)


def _refuse_damaged(files: RunFiles, folder: str) -> None:
    """Raises InputError where an evaluation in a folder of the run could not be read: it may be the one asked for."""
    damaged = [trouble for trouble in files.troubles if trouble.partition(".json")[0].rpartition("/")[0] == folder]
    if damaged:
        raise InputError(f"{files.folder}: {damaged[0]}; evaluate the run again")


def _curve(files: RunFiles, metric: str) -> dict[float, float]:
    """The metric by epoch, NaN where it was not finite."""
    curve, known = {}, set()
    for place, line in enumerate(files.progress, start=1):
        known |= set(line.validation or {})
        if line.validation is not None and metric in line.validation:
            value = line.validation[metric]
            curve[line.epoch or float(place)] = float(value) if isinstance(value, int | float) else math.nan
    if not curve:
        raise InputError(f'{files.folder / "metrics.jsonl"} has no metric "{metric}"{did_you_mean(metric, known)}')
    return curve


def _series(label: str, x: list[float] | list[str], values: Floats, *, in_unit: bool) -> Series:
    """The mean of values (run, place) over runs, and the band of a deviation to either side.

    Args:
        in_unit: whether values are from 0 to 1, where the band ends too.
    """
    mean = values.mean(axis=0)
    if len(values) == 1:
        return Series(label=label, x=x, y=_numbers(mean))
    deviation = values.std(axis=0, ddof=1)
    low, high = mean - deviation, mean + deviation
    if in_unit:
        low, high = np.maximum(low, 0), np.minimum(high, 1)
    return Series(label=label, x=x, y=_numbers(mean), low=_numbers(low), high=_numbers(high))


def _what_is_drawn(groups: Mapping[str, Sequence[object]]) -> str:
    if len(groups) > 1:
        return "runs that differ in their seed alone are one line, their mean, in a band of the standard deviation"
    (runs,) = groups.values()
    return (
        f"mean of {len(runs)} runs and its standard deviation over them" if len(runs) > 1 else "one run, no deviation"
    )


def _widest(tags: Sequence[str], values: Floats) -> str:
    if len(values) == 1:
        return ""
    deviation = values.std(axis=0, ddof=1)
    return f" Varies most: {tags[int(deviation.argmax())]} (deviation {deviation.max():.3f})."


def _numbers(values: Floats) -> list[Number]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _shown(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "not finite"
