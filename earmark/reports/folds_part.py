"""The part of a run's page about its folds: a line a fold's model with its best validation, and how each learned."""

import math
from dataclasses import dataclass
from typing import Any

from earmark.figures import ChartFigure, Number
from earmark.reports.learning_curves import curves_of_runs, metric_values
from earmark.reports.metric_names import metric_name
from earmark.reports.run_files import RunFiles

_USUAL = "mean_average_precision"


@dataclass(frozen=True)
class FoldRow:
    """A fold's model.

    Attributes:
        train, validation: clips.
        validations: how many there were so far.
        best: of the metric, over these; None where none was finite.
        best_epoch: when.
    """

    name: str
    is_trained: bool
    train: int | None
    validation: int | None
    validations: int
    best: Number
    best_epoch: float | None


@dataclass(frozen=True)
class FoldsPart:
    """What a page says of folds.

    Attributes:
        asked: how many folds there are to be.
        metric: in words; empty where nothing was validated yet.
        mean: of the best values of the folds that have one.
    """

    asked: int
    metric: str
    rows: list[FoldRow]
    mean: Number
    curves: list[ChartFigure]

    @property
    def num_trained(self) -> int:
        """The folds whose model is there."""
        return sum(row.is_trained for row in self.rows)

    @property
    def num_valued(self) -> int:
        """The folds that the mean is of."""
        return sum(row.best is not None for row in self.rows)


def folds_part(files: RunFiles) -> FoldsPart | None:
    """What is known of a run's folds; None for a run of one model.

    The metric is the one that chose among checkpoints, where the run's settings name one that was validated.
    """
    if not files.num_folds:
        return None
    metric = _metric(files)
    rows = [_row(fold, metric) for fold in files.folds]
    best = [row.best for row in rows if row.best is not None]
    progress = {fold.folder.name: fold.progress for fold in files.folds}
    return FoldsPart(
        asked=files.num_folds,
        metric=metric_name(metric)[0] if metric else "",
        rows=rows,
        mean=math.fsum(best) / len(best) if best else None,
        curves=curves_of_runs(progress, metric) if metric else [],
    )


def _metric(files: RunFiles) -> str | None:
    names = list(
        dict.fromkeys(name for fold in files.folds for line in fold.progress for name in line.validation or {})
    )
    inner: Any = (files.settings or {}).get("settings")
    asked = inner.get("select_by") if isinstance(inner, dict) else None
    return next((name for name in (asked, _USUAL) if name in names), names[0] if names else None)


def _row(fold: RunFiles, metric: str | None) -> FoldRow:
    values = metric_values(fold.progress, metric) if metric else []
    found = [(value, line.epoch) for value, line in zip(values, fold.progress, strict=True) if value is not None]
    best, epoch = max(found, key=lambda one: one[0], default=(None, None))
    return FoldRow(
        name=fold.folder.name,
        is_trained=fold.has_model,
        train=fold.data.train if fold.data else None,
        validation=fold.data.validation if fold.data else None,
        validations=len(found),
        best=best,
        best_epoch=epoch,
    )
