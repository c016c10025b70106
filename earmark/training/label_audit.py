"""What selection learned about the labels: which clips were dropped how often, as a table and as figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from earmark.data.dataset import Dataset
from earmark.data.statements import COUNTED
from earmark.figures import ChartFigure, Series, TableFigure, write_figure
from earmark.files import written_aside
from earmark.training.selection import Selection

AUDIT = "label-audit.csv"
MOST_SHOWN = 30
MOST_POINTS = 500
RULES = {"threshold": "the moving threshold", "top_k": "the k-th largest loss"}


def write_label_audit(run: Path, dataset: Dataset, layer: str, selection: Selection) -> None:
    """Writes `label-audit.csv` into a run, and figures: every unverified clip that was judged, most suspect first.

    A clip's dropped share is how often it was dropped of the times that it was judged; its mean rank is the mean, over
    these, of the share of judged clips of its batch with no larger loss.

    Args:
        layer: whose labels were judged.
    """
    labels, tags = dataset.labels(layer), np.array(dataset.vocabulary.tags, object)
    # A clip without tags may have been the partner of one with: it has no label that could be wrong.
    judged = np.flatnonzero(selection.seen)
    given = {row: "; ".join(tags[labels.rows(np.array([row]))[0] >= COUNTED]) for row in judged}
    rows = np.array([row for row in judged if given[row]], np.int64)
    audit = pa.table(
        {
            "clip": pa.array(dataset.clips["clip"].take(pa.array(rows)).to_pylist(), pa.string()),
            "tags": pa.array([given[row] for row in rows], pa.string()),
            "judged": selection.seen[rows],
            "dropped": selection.dropped[rows],
            "mean_rank": selection.rank_sum[rows] / selection.seen[rows],
        }
    )
    _write(run, audit)
    if selection.cutoffs:
        write_figure(run / "figures", "selection", _cutoffs(selection))


def merge_audits(folds: Sequence[Path], run: Path) -> None:
    """Writes the audit of several runs as one: how often each clip was judged and dropped in all of them."""
    parts = pa.concat_tables([pyarrow.csv.read_csv(fold / AUDIT, convert_options=_AS_WRITTEN) for fold in folds])
    ranks = pc.multiply(parts["mean_rank"], pc.cast(parts["judged"], pa.float64()))
    summed = (
        parts.append_column("ranks", ranks)
        .group_by(["clip", "tags"])
        .aggregate([("judged", "sum"), ("dropped", "sum"), ("ranks", "sum")])
    )
    judged = summed["judged_sum"]
    audit = pa.table(
        {
            "clip": summed["clip"],
            "tags": summed["tags"],
            "judged": judged,
            "dropped": summed["dropped_sum"],
            "mean_rank": pc.divide(summed["ranks_sum"], pc.cast(judged, pa.float64())),
        }
    )
    _write(run, audit)


_AS_WRITTEN = pyarrow.csv.ConvertOptions(
    column_types={
        "clip": pa.string(), "tags": pa.string(), "judged": pa.int64(), "dropped": pa.int64(),
        "mean_rank": pa.float64(), "dropped_share": pa.float64(),
    },
    strings_can_be_null=False,
)  # fmt: skip


def _write(run: Path, audit: pa.Table) -> None:
    """The table with its dropped share, most suspect first, and its figure.

    Suspicion is (dropped + 1) / (judged + 2): a clip dropped 9 times of 10 stands before one dropped once of once.
    """
    dropped, judged = (pc.cast(audit[name], pa.float64()) for name in ("dropped", "judged"))
    audit = audit.append_column("dropped_share", pc.divide(dropped, judged))
    suspicion = pc.divide(pc.add(dropped, 1.0), pc.add(judged, 2.0))
    audit = audit.append_column("suspicion", suspicion).sort_by(
        [("suspicion", "descending"), ("mean_rank", "descending"), ("clip", "ascending")]
    )
    audit = audit.drop_columns(["suspicion"])
    with written_aside(run / AUDIT) as aside:
        pyarrow.csv.write_csv(audit, aside)
    if audit.num_rows:
        write_figure(run / "figures", "likely-mislabelled", _most_suspect(audit))


def _most_suspect(audit: pa.Table) -> TableFigure:
    ever, always = (int(pc.sum(pc.greater(audit["dropped_share"], least)).as_py()) for least in (0.0, 0.5))
    first = audit.slice(0, MOST_SHOWN)
    columns = {
        "clip": first["clip"],
        "labelled": first["tags"],
        "judged": first["judged"],
        "dropped": first["dropped"],
        "dropped share": pc.round(first["dropped_share"], 3),
        "mean rank of its loss": pc.round(first["mean_rank"], 3),
    }
    return TableFigure(
        title="Labels that are most likely wrong",
        caption=f"Of {audit.num_rows} clips whose labels are not verified, {ever} were dropped from a batch at least "
        f"once and {always} in more than half of the batches that they were in. Shown are the first {first.num_rows}; "
        f"all are in {AUDIT}. A mean rank of 1 is the largest loss of every batch.",
        alt=f"Table of the {first.num_rows} clips dropped most often, each with its labels, counts and mean rank.",
        columns=list(columns),
        rows=[list(row) for row in zip(*(column.to_pylist() for column in columns.values()), strict=True)],
    )


def _cutoffs(selection: Selection) -> ChartFigure:
    """The loss from which clips were dropped, by step (He et al. 2020, Fig. 4c)."""
    every = -(-len(selection.cutoffs) // MOST_POINTS)
    shown = selection.cutoffs[::every]
    first, last = shown[0], shown[-1]
    ends = f"{first[1]:.3f} at step {first[0] + 1}, {last[1]:.3f} at step {last[0] + 1}"
    what = RULES[selection.settings.selection]
    return ChartFigure(
        kind="line",
        title="Loss from which clips were dropped",
        caption=f"An unverified clip was dropped where its loss was above {what}: {ends}. "
        f"{len(selection.drops)} drops in {len(selection.cutoffs)} steps.",
        alt=f"Line of {what} by step: {ends}.",
        x_label="step",
        y_label="loss",
        series=[Series(label=what, x=[float(step + 1) for step, _ in shown], y=[loss for _, loss in shown])],
    )
