"""Cross-validation: a model a fold of the training clips, each validated on its own fold, and all of them as one."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from earmark.data.splits import Splits, union_of
from earmark.errors import InputError, counted, first_few
from earmark.files import read_json, write_json
from earmark.models.ensemble import Ensemble, Mean, save_ensemble
from earmark.models.tagger import load_model
from earmark.recipes.job import Request, notes_of
from earmark.training.label_audit import AUDIT, merge_audits

log = logging.getLogger(__name__)

FOLDS = "folds"
"""The folder of a run in which the folds' runs lie."""


def train_folds(train: Callable[[Request], object], request: Request, parts: Sequence[Splits], mean: Mean) -> None:
    """Trains a run a fold in `RUN/folds/fold-1`, ..., and leaves their ensemble in `RUN/model`.

    Each is a complete run with the same settings and seed. Killed anywhere, a rerun goes on; finished folds are not
    trained again.

    Args:
        train: trains a run, as `Request` says.
        parts: the splits of each fold, see `cross_validation`.
        mean: of the models' scores.
    """
    runs = [request.run / FOLDS / f"fold-{number}" for number in range(1, len(parts) + 1)]
    for number, (run, part) in enumerate(zip(runs, parts, strict=True), start=1):
        log.info("fold %d of %d", number, len(parts))
        train(replace(request, run=run, splits=part, fold=number, resume=True))
        if number == 1:
            _write_data(request, run, parts)
    if all((run / AUDIT).is_file() for run in runs):
        merge_audits(runs, request.run)
    save_ensemble(Ensemble([load_model(run) for run in runs], mean), request.run / "model")
    log.info("%s: %s mean of the scores of %d folds' models", request.run / "model", mean, len(parts))


def refuse_empty_folds(request: Request, parts: Sequence[Splits]) -> None:
    """Raises InputError where a fold has nothing to validate on; said before any model is trained."""
    labels = request.dataset.labels(request.layer)
    known = [part.validation[labels.clip_weight[part.validation] > 0] for part in parts]
    counts = [labels.counts(rows)[labels.tag_weight > 0].sum() for rows in known]
    empty = [number for number, count in enumerate(counts, start=1) if not count]
    if empty:
        raise InputError(
            f"every fold must hold clips with tags to validate on, of {len(parts)} folds {counted(len(empty), 'fold')} "
            f"of {request.dataset.name} hold none ({first_few(empty)}); name fewer with --folds, or another --seed"
        )


def run_name(request: Request) -> str:
    """What a run is called among others: its folder, and for a fold's the folder of the whole run before it."""
    run = request.run.resolve()
    return run.name if request.fold is None else f"{run.parent.parent.name}-{run.name}"


def _write_data(request: Request, first: Path, parts: Sequence[Splits]) -> None:
    """Writes the `data.json` of all folds together, by the first's: what one validates on, others learn from."""
    told = read_json(first / "data.json")
    used = {"train": told["train"] + told["validation"], "test": told["test"]}
    notes = [*union_of(parts).notes, *notes_of(request.dataset)]
    write_json(request.run / "data.json", {**used, "notes": notes, "problems": told["problems"]})
