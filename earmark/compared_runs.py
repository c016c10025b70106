"""Runs that were evaluated on one split, with the clips and resamples that each evaluation was made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from earmark.errors import InputError, counted, first_few
from earmark.files import read_json
from earmark.scores.evaluated import (
    EvaluatedEvents,
    EvaluatedScores,
    evaluated_events_path,
    evaluated_scores_path,
    evaluation_name,
    read_evaluated_events,
    read_evaluated_scores,
)

KeptT = TypeVar("KeptT", EvaluatedScores, EvaluatedEvents)


@dataclass(frozen=True)
class ComparedRun(Generic[KeptT]):
    """A run with an evaluation, as `evaluation/SPLIT.json` has it, and the clips and resamples that it was made of."""

    name: str
    folder: Path
    evaluation: Mapping[str, Any]
    kept: KeptT


@dataclass(frozen=True)
class Kind(Generic[KeptT]):
    """A kind of evaluation.

    Attributes:
        whose: what is evaluated, in the plural.
        path, read: where a run keeps what the evaluation was made of, by split and label layer; and how that is read.
        option: of `earmark evaluate`, to make it.
    """

    whose: str
    path: Callable[[Path, str, str], Path]
    read: Callable[[Path], KeptT]
    option: str = ""


TAGS = Kind("runs", evaluated_scores_path, read_evaluated_scores)
EVENTS = Kind("events of runs", evaluated_events_path, read_evaluated_events, " --events")


def read_compared_runs(
    kind: Kind[KeptT], runs: Mapping[str, Path], split: str, layer: str
) -> tuple[list[ComparedRun[KeptT]], list[str]]:
    """The runs that kept what their evaluation was made of; a line that names the others that have the evaluation.

    Args:
        runs: their folders by the name that each is shown by.

    Raises:
        InputError: scores cannot be read.
    """
    found, without = [], []
    for name, folder in runs.items():
        path = kind.path(folder, split, layer)
        evaluation = path.with_name(f"{evaluation_name(split, layer)}.json")
        if path.is_file():
            found.append(ComparedRun(name, folder, read_json(evaluation), kind.read(path)))
        elif evaluation.is_file():
            without.append(name)
    if not without:
        return found, []
    option = kind.option + ("" if layer == "given" else f" --labels {layer}")
    return found, [
        f"Paired tests need {kind.path(Path(), split, layer).as_posix()}, which is missing of {first_few(without)}; "
        f"make it with `earmark evaluate {runs[without[0]]} DATASET --split {split}{option}`. "
        "That these were evaluated on the same clips is known by the numbers of clips and of labels alone."
    ]


def refuse_other_clips(kind: Kind[KeptT], one: ComparedRun[KeptT], other: ComparedRun[KeptT]) -> None:
    """Raises InputError where two runs were evaluated on other clips, tags or labels, and says which differ."""
    ours, theirs = one.kept, other.kept
    if set(ours.clips) != set(theirs.clips):
        only = [
            f"{len(names)} only of {run.name} ({first_few(names, 2)})"
            for run, names in (
                (one, sorted(set(ours.clips) - set(theirs.clips))),
                (other, sorted(set(theirs.clips) - set(ours.clips))),
            )
            if names
        ]
        raise InputError(
            f"{kind.whose} must be evaluated on the same clips: {one.name} was on {len(ours.clips)}, {other.name} on "
            f"{len(theirs.clips)}, {', '.join(only)}{_why(one.folder, other.folder)}; leave one of them out"
        )
    if ours.tags != theirs.tags:
        differing = sorted(set(ours.tags) ^ set(theirs.tags))
        what = f"{first_few(differing)} differ" if differing else "their order differs"
        raise InputError(f"{kind.whose} must be evaluated on the same tags: of {one.name} and {other.name} {what}")
    unlike = ours.other_labels(theirs)
    if unlike:
        first = first_few(f"{clip} {tag}" for clip, tag in unlike)
        raise InputError(
            f"{kind.whose} must be evaluated against the same labels: those of {one.name} and {other.name} differ in "
            f"{counted(len(unlike), 'place')} ({first}); evaluate both again on one data set"
        )


def _why(*folders: Path) -> str:
    """What the records of two runs say differently of the clips that each was to be tested on."""
    records = []
    for folder in folders:
        path = folder / "settings.json"
        records.append(read_json(path) if path.is_file() else {})
    differing = [
        f"{name} {records[0].get(name)} and {records[1].get(name)}"
        for name in ("dataset", "dataset_digest", "test_fold", "splits")
        if records[0].get(name) != records[1].get(name)
    ]
    return f"; they were trained with {', '.join(differing)}" if differing else ""
