"""The numbers of a run's page beside it: its tables and its figures."""

from collections.abc import Sequence
from pathlib import Path

from earmark.errors import InputError
from earmark.figures import ChartFigure, TableFigure
from earmark.reports.metric_names import metric_name
from earmark.reports.numbers_beside import Part, write_numbers
from earmark.reports.run_files import AnyEvaluation, Figures, RunFiles, TagResult

_OF_A_TAG = ("training_clips", "positives", "average_precision", "low", "high", "roc_auc", "threshold", "f1")
_OF_A_RUN = ("settings", "environment", "data")


def write_run_numbers(
    page: Path,
    files: RunFiles,
    tags: Sequence[TagResult],
    sections: Sequence[tuple[str, Figures | list[tuple[str, ChartFigure]]]],
) -> None:
    """Writes the metrics, the results by tag and what the figures of a page show beside it, see `write_numbers`.

    Args:
        tags: in the order of the page.
        sections: figures by their headings; those that cannot be read are left out.
    """
    metrics = [(f"metrics-{one.split}-{one.labels}", _metrics(one)) for one in files.evaluations]
    of_events = [(f"metrics-events-{one.split}-{one.labels}", _metrics(one)) for one in files.event_evaluations]
    parts: list[Part] = [("Metrics", metrics), ("Metrics of events", of_events)]
    parts.append(("Per tag", [("per-tag", _per_tag(files.evaluations[0].split, tags))] if tags else []))
    for heading, figures in sections:
        parts.append((heading, [(name, figure) for name, figure in figures if not isinstance(figure, str)]))
    name = files.folder.resolve().name
    write_numbers(page, name, "What the page of a training run shows.", [part for part in parts if part[1]])


def refuse_over_files_of(run: Path, page: Path) -> None:
    """Raises InputError where the numbers beside a page would take the place of a file that training wrote."""
    if page.stem in _OF_A_RUN and page.resolve().parent == run.resolve():
        raise InputError(f"{page}: its numbers would be written over {page.stem}.json of the run; choose another name")


def _metrics(evaluation: AnyEvaluation) -> TableFigure:
    return TableFigure(
        title=f"On {evaluation.split}, labels {evaluation.labels or 'not told'}",
        caption=f"{evaluation.num_clips} clips of {evaluation.dataset}; {evaluation.confidence:.0%} intervals.",
        alt="",
        columns=["metric", "value", "low", "high"],
        rows=[
            [metric_name(name)[0], metric.value, metric.low, metric.high] for name, metric in evaluation.metrics.items()
        ],
    )


def _per_tag(split: str, tags: Sequence[TagResult]) -> TableFigure:
    return TableFigure(
        title=f"On {split}",
        caption="Low and high are the ends of the interval of average precision.",
        alt="",
        columns=["tag", *(name.replace("_", " ") for name in _OF_A_TAG)],
        rows=[[tag.tag, *(getattr(tag, name) for name in _OF_A_TAG)] for tag in tags],
    )
