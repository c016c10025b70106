"""What a run folder holds, read for a page; what is not there yet is None, what cannot be read is named."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from earmark.config import what_must_hold
from earmark.errors import InputError
from earmark.figures import ChartFigure, ClipFigure, Number, TableFigure, read_figure


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class Interval(_Part):
    """A number with the ends of its interval."""

    value: Number
    low: Number = None
    high: Number = None


class TagResult(_Part):
    """One tag's results; null where a tag has no positive clip."""

    tag: str
    positives: int
    average_precision: Number
    low: Number = None
    high: Number = None
    roc_auc: Number = None
    training_clips: int | None = None
    threshold: Number = None
    f1: Number = None


class ChosenThresholds(_Part):
    """What the tags' thresholds were chosen on."""

    split: str
    num_clips: int
    labels: str = ""
    tags_without_positives: int = 0


class AnyEvaluation(_Part):
    """What evaluations of clips and of events have in common."""

    split: str
    num_clips: int
    metrics: dict[str, Interval]
    dataset: str = ""
    labels: str = ""
    num_not_scored: int = 0
    num_groups: int | None = None
    left_out_tags: list[str] = []
    confidence: float = 0.95
    resamples: int | None = None
    date: str = ""


class Evaluation(AnyEvaluation):
    """`evaluation/SPLIT.json`."""

    per_tag: list[TagResult] = []
    thresholds: ChosenThresholds | None = None
    machine: Any = None
    seconds: float | None = None


class TagEvents(_Part):
    """How many events there are of a tag."""

    tag: str
    reference_events: int


class Decisions(_Part):
    """What events were decided by: what was told of the tuning, or nothing."""

    tuned: dict[str, Any] | None = None


class EventEvaluation(AnyEvaluation):
    """`evaluation/events/SPLIT.json`."""

    per_tag: list[TagEvents] = []
    decisions: Decisions = Decisions()


class LeftOut(_Part):
    """A clip with a problem, and what came of it."""

    path: str
    kind: str
    outcome: str
    clip: str = ""
    detail: str = ""


class RunData(_Part):
    """`data.json`: the clips really used, and those left out."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None
    notes: list[str] = []
    problems: list[LeftOut] = []


class Progress(_Part):
    """A line of `metrics.jsonl`."""

    epoch: float | None = None
    step: float | None = None
    train_loss: Number = None
    learning_rate: Number = None
    validation: dict[str, Any] | None = None
    seconds: float | None = None
    clips_per_second: float | None = None


AnyFigure = ChartFigure | TableFigure | ClipFigure
Figures = list[tuple[str, AnyFigure | str]]
"""By name; text stands for one that cannot be read, and says why."""

PartT = TypeVar("PartT")


@dataclass(frozen=True)
class RunFiles:
    """A run folder's files."""

    folder: Path
    settings: dict[str, Any] | None
    environment: dict[str, Any] | None
    data: RunData | None
    progress: list[Progress]
    evaluations: list[Evaluation]
    event_evaluations: list[EventEvaluation]
    figures: Figures
    has_model: bool
    troubles: list[str] = field(default_factory=list)
    folds: list["RunFiles"] = field(default_factory=list)

    @property
    def num_folds(self) -> int:
        """How many folds' models the run is to be made of; 0 for a run of one model."""
        settings = self.settings or {}
        asked = settings.get("folds") if settings.get("fold") is None else None
        return asked if isinstance(asked, int) else 0


def read_run(folder: Path) -> RunFiles:
    """The files of a run, and of the runs of its folds, whichever are there.

    A figure that cannot be read stands as the line that says why. The test split's evaluation comes first.

    Raises:
        InputError: the folder holds no file of a run.
    """
    if not _is_run(folder):
        what = "it has neither settings.json nor metrics.jsonl" if folder.is_dir() else "there is no such folder"
        raise InputError(f"{folder} is not a run folder: {what}; name the folder that training wrote")
    troubles: list[str] = []
    files = RunFiles(
        folder=folder,
        settings=_read(folder / "settings.json", dict[str, Any], folder, troubles),
        environment=_read(folder / "environment.json", dict[str, Any], folder, troubles),
        data=_read(folder / "data.json", RunData, folder, troubles),
        progress=_read_progress(folder / "metrics.jsonl", troubles),
        evaluations=_read_evaluations("evaluation", Evaluation, folder, troubles),
        event_evaluations=_read_evaluations("evaluation/events", EventEvaluation, folder, troubles),
        figures=[(path.stem, _read_figure(path, folder)) for path in _by_stem(folder / "figures")],
        has_model=(folder / "model").is_dir(),
        troubles=troubles,
    )
    return replace(files, folds=_read_folds(folder, troubles)) if files.num_folds else files


def _read_evaluations(inside: str, form: type[PartT], folder: Path, troubles: list[str]) -> list[PartT]:
    """Those that can be read, of the test split first."""
    paths = sorted((folder / inside).glob("*.json"), key=lambda path: (path.stem != "test", path.stem))
    found = [_read(path, form, folder, troubles) for path in paths]
    return [evaluation for evaluation in found if evaluation is not None]


def _by_stem(folder: Path) -> list[Path]:
    """A folder's JSON files by their names without the suffix: that of a split before those of its other labels."""
    return sorted(folder.glob("*.json"), key=lambda path: path.stem)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("settings.json", "metrics.jsonl", "evaluation", "data.json"))


def _read_folds(folder: Path, troubles: list[str]) -> list[RunFiles]:
    """The runs of the folds in `folds/fold-1`, ..., in their order; adds what cannot be read of them."""
    numbered = {int(path.name[5:]): path for path in folder.glob("folds/fold-*") if path.name[5:].isdecimal()}
    found = [read_run(path) for _, path in sorted(numbered.items()) if _is_run(path)]
    for fold in found:
        troubles.extend(f"folds/{fold.folder.name}/{trouble}" for trouble in fold.troubles)
    return found


def one_line(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        # The name of the kind of figure stands first in a figure's own place and says nothing.
        place = ".".join(str(part) for part in first["loc"] if part not in ("figure", "line", "bar", "scatter"))
        message = what_must_hold(first)
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return f"{place}: {message}{more}" if place else f"{message}{more}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}"
    return " ".join(str(error).split())


def _read(path: Path, form: type[PartT], folder: Path, troubles: list[str]) -> PartT | None:
    if not path.exists():
        return None
    try:
        return TypeAdapter(form).validate_python(json.loads(path.read_text("utf-8")))
    except (ValueError, OSError) as error:
        troubles.append(f"{path.relative_to(folder).as_posix()} cannot be read: {one_line(error)}")
        return None


def _read_progress(path: Path, troubles: list[str]) -> list[Progress]:
    if not path.exists():
        return []
    found = []
    lines = path.read_bytes().splitlines()
    for index, line in enumerate(lines, start=1):
        try:
            found.append(Progress.model_validate(json.loads(line)))
        except ValueError as error:
            cut = "cut short, as a killed run leaves it" if index == len(lines) else one_line(error)
            troubles.append(f"metrics.jsonl:{index} is left out: {cut}")
    return found


def _read_figure(path: Path, folder: Path) -> AnyFigure | str:
    try:
        return read_figure(path)
    except (ValueError, OSError) as error:
        return f"{path.relative_to(folder).as_posix()} cannot be shown: {one_line(error)}"
