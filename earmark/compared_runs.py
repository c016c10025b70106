"""Runs that were evaluated on one split, with the clips and resamples that each evaluation was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import InputError, counted, first_few
from earmark.files import read_json
from earmark.scores.evaluated import EvaluatedScores, evaluated_scores_path, evaluation_name, read_evaluated_scores


@dataclass(frozen=True)
class ComparedRun:
    """A run with its evaluation, as `evaluation/SPLIT.json` has it, and the clips and resamples that it was made of."""

    name: str
    folder: Path
    evaluation: Mapping[str, Any]
    kept: EvaluatedScores


def read_compared_runs(runs: Mapping[str, Path], split: str, layer: str) -> tuple[list[ComparedRun], list[str]]:
    """The runs that kept what their evaluation was made of; a line that names the others.

    Args:
        runs: their folders by the name that each is shown by.

    Raises:
        InputError: scores cannot be read.
    """
    found, without = [], []
    for name, folder in runs.items():
        path = evaluated_scores_path(folder, split, layer)
        if not path.is_file():
            without.append(name)
            continue
        evaluation = read_json(folder / "evaluation" / f"{evaluation_name(split, layer)}.json")
        found.append(ComparedRun(name, folder, evaluation, read_evaluated_scores(path)))
    if not without:
        return found, []
    option = "" if layer == "given" else f" --labels {layer}"
    return found, [
        f"Paired tests need evaluation/{evaluated_scores_path(Path(), split, layer).name}, which is missing of "
        f"{first_few(without)}; make it with `earmark evaluate {runs[without[0]]} DATASET --split {split}{option}`. "
        "That these were evaluated on the same clips is known by the numbers of clips and of positives alone."
    ]


def refuse_other_clips(one: ComparedRun, other: ComparedRun) -> None:
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
            f"runs must be evaluated on the same clips: {one.name} was on {len(ours.clips)}, {other.name} on "
            f"{len(theirs.clips)}, {', '.join(only)}{_why(one, other)}; leave one of them out"
        )
    if ours.tags != theirs.tags:
        differing = sorted(set(ours.tags) ^ set(theirs.tags))
        what = f"{first_few(differing)} differ" if differing else "their order differs"
        raise InputError(f"runs must be evaluated on the same tags: of {one.name} and {other.name} {what}")
    order = np.argsort(ours.clips)[np.argsort(np.argsort(theirs.clips))]
    unlike = (ours.truth[order] != theirs.truth) | (ours.annotated[order] != theirs.annotated)
    if unlike.any():
        clips, tags = np.nonzero(unlike)
        first = first_few(f"{theirs.clips[clip]} {theirs.tags[tag]}" for clip, tag in zip(clips, tags, strict=True))
        raise InputError(
            f"runs must be evaluated against the same labels: those of {one.name} and {other.name} differ in "
            f"{counted(len(clips), 'place')} ({first}); evaluate both again on one data set"
        )


def _why(one: ComparedRun, other: ComparedRun) -> str:
    """What the records of two runs say differently of the clips that each was to be tested on."""
    records = []
    for run in (one, other):
        path = run.folder / "settings.json"
        records.append(read_json(path) if path.is_file() else {})
    differing = [
        f"{name} {records[0].get(name)} and {records[1].get(name)}"
        for name in ("dataset", "dataset_digest", "test_fold", "splits")
        if records[0].get(name) != records[1].get(name)
    ]
    return f"; they were trained with {', '.join(differing)}" if differing else ""
