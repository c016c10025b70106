"""The page of several runs: what each scores by tag, how they learned, what their scores go with."""

from collections.abc import Sequence
from pathlib import Path

from earmark.errors import InputError, counted, first_few
from earmark.reports.correlations import average_precision_correlations
from earmark.reports.figures_page import Section, write_figures_page
from earmark.reports.over_runs import (
    evaluated_runs,
    learning_curves_over_runs,
    sorted_average_precision_over_runs,
    where_evaluated,
)

LEARNED = "mean_average_precision"


def write_compare_page(runs: Sequence[Path], out: Path, split: str = "test", labels: str = "given") -> Path:
    """Writes the page of runs that were evaluated on the same clips, and returns the folder of its figures.

    Raises:
        InputError: a run was not evaluated on the split against these labels, or on other clips or tags than the first.
    """
    correlations = average_precision_correlations(runs, split, labels)
    by_tag = sorted_average_precision_over_runs(runs, split, labels)
    curves, why = [], []
    try:
        curves.append(("learning-curves", learning_curves_over_runs(runs, LEARNED)))
    except InputError as error:
        # A model may be compared however it was trained, without validation too.
        why.append(f"Learning curves are not shown: {error}.")
    found = evaluated_runs(runs, split, labels)
    return write_figures_page(
        out,
        kicker="Comparison of runs",
        title=first_few(run.name for run in found),
        lede=f"{counted(len(found), 'run')}, evaluated on {where_evaluated(found)}.",
        sections=[
            Section("Over the runs", [("average-precision", by_tag), *curves], lines=why),
            Section("Correlations", [("correlations", correlations)]),
        ],
    )
