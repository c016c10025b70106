"""Which clips a model has learned from, itself or through the models that it learned from, as far as they record it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.splits import Splits, cross_validation, resolve_splits
from earmark.scores.store import ScoreStore

log = logging.getLogger(__name__)

Record = Mapping[str, Any]
"""What one model says that it was trained on; under "learned_from" the records of its teacher and of its beginning."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The clips of a data set that were learned from.

    Attributes:
        rows: those that the records tell, ascending, int64.
        is_any: whether any clip of the data set was.
        is_untold: whether there are others, of which the records do not tell which.
    """

    rows: IntArray
    is_any: bool
    is_untold: bool


def ancestors(records: Sequence[Record]) -> list[Record]:
    """The records of the models that models learned from, and of those that these learned from."""
    parents = [parent for about in records for parent in about.get("learned_from", ())]
    return [*parents, *ancestors(parents)] if parents else []


def seen_clips(records: Sequence[Record], dataset: Dataset) -> Seen:
    """The clips of a data set that models with these records, or their ancestors, have learned from."""
    rows, untold = np.empty(0, np.int64), False
    here = [about for about in (*records, *ancestors(records)) if about.get("dataset_digest") == dataset.digest]
    for about in here:
        splits = None if "out_of_fold" in about else splits_of_record(about, dataset)
        if splits is not None:
            rows = np.union1d(rows, splits.train)
        # Out of fold nobody saw the clip that it scored.
        untold |= splits is None and not about.get("out_of_fold")
    return Seen(rows, bool(here), untold)


def never_saw(records: Sequence[Record], dataset: Dataset) -> bool:
    """Whether it is known that models with these records never saw a clip of a data set, nor did their ancestors.

    It is not of a model that does not say what it was trained on, or whose teacher does not.
    """
    told = all(about.get("dataset_digest") for about in (*records, *ancestors(records)))
    return told and not seen_clips(records, dataset).is_any


def seen_by_scores(store: ScoreStore, dataset: Dataset) -> Seen:
    """The clips of a data set, by their names, that the scorers of a store have learned from."""
    if store.about.get("out_of_fold") and "folds" not in store.about:
        return Seen(np.empty(0, np.int64), False, False)
    names = pc.unique(pc.filter(store.index["clip"], store.index["in_training"]))
    rows = np.flatnonzero(np.asarray(pc.is_in(dataset.clips["clip"].combine_chunks(), pa.array(names))))
    return Seen(rows, bool(len(rows)), False)


def records_of_scores(store: ScoreStore) -> list[Record]:
    """What the scorers of a store were trained on; where it does not say, whose clips they scored, and how."""
    about = store.about
    told: list[Record] | None = about.get("trained_on")
    return told if told is not None else [{"dataset_digest": about.get("dataset"), **_how_scored(about)}]


def warn_of_seen(who: str, seen: Seen, rows: IntArray, what: str) -> None:
    """Says how many of some clips were learned from.

    Args:
        who: was trained on them.
        rows: the clips that figures are told of.
        what: these clips are, after "clips".
    """
    count = len(np.intersect1d(seen.rows, rows))
    if count:
        log.warning(
            "%s was trained on %d of the %d clips%s: figures on them flatter the model that learned from it",
            who,
            count,
            len(rows),
            what,
        )
    elif seen.is_untold and len(rows):
        log.warning(
            "%s was trained on clips of this data set, which of them its record does not tell; they may be among the "
            "%d clips%s: figures on them may flatter the model that learned from it",
            who,
            len(rows),
            what,
        )


def splits_of_record(about: Record, dataset: Dataset) -> Splits | None:
    """The splits of the run that a record is of; None where they cannot be told, as of a model that scores its fold."""
    test_fold, seed, named = about.get("test_fold"), about.get("seed", 0), about.get("splits")
    if about.get("folds") is None:
        splits = resolve_splits(dataset, test_fold, about.get("validation_fold"), seed)
    else:
        splits = cross_validation(dataset, about["folds"], test_fold, seed)[about["fold"] - 1]
    known = (splits, splits.of_teacher())
    return splits if named is None else next((one for one in known if one.digest == named), None)


def _how_scored(about: Record) -> Record:
    return {name: about[name] for name in ("out_of_fold", "folds") if name in about}
