"""A run's page: one HTML file made of the run folder's files, which needs no network and no other file.

Nothing here knows a method, a setting or a metric it must find: what the files hold is shown, in the files' words.
"""

import json
import shlex
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark import __version__
from earmark.files import write_text
from earmark.reports.figures_page import Room, drawn
from earmark.reports.folds_part import folds_part
from earmark.reports.learning_curves import learning_curves
from earmark.reports.metric_names import metric_name
from earmark.reports.render import MOST_ROWS, environment
from earmark.reports.run_files import (
    AnyEvaluation,
    Evaluation,
    Figures,
    LeftOut,
    Progress,
    RunFiles,
    TagResult,
    read_run,
)
from earmark.reports.run_numbers import refuse_over_files_of, write_run_numbers

MOST_NAMES = 200  # of clips with one kind of problem

_HEADLINE = "mean_average_precision"


@dataclass(frozen=True)
class ProblemGroup:
    """Clips with the same problem and outcome."""

    kind: str
    outcome: str
    count: int
    shown: list[LeftOut]


@dataclass(frozen=True)
class SettingRow:
    """A setting, its value and its default as JSON writes them."""

    name: str
    value: str
    default: str | None


def write_run_page(run: Path, out: Path) -> Path:
    """Writes the page of a run folder to `out`, its numbers beside it, and returns its path.

    The same files give the same bytes.

    Parts that the run has not written yet are named as missing; files that cannot be read are named with the reason.

    Raises:
        InputError: `run` is not a run folder, or the numbers would be written over a file of it.
    """
    refuse_over_files_of(run, out)
    files = read_run(run)
    changed, unchanged = _settings(files.settings)
    primary = files.evaluations[0] if files.evaluations else None
    headlined = primary or (files.event_evaluations[0] if files.event_evaluations else None)
    folds = folds_part(files)
    # A run of folds has no progress of its own.
    progress = [line for run in (files, *files.folds) for line in run.progress]
    curves = folds.curves if folds else learning_curves(files.progress)
    learned = [(f"curve-{i + 1}", curve) for i, curve in enumerate(curves)]
    best_first = _best_first(primary.per_tag if primary else [])
    room, sections = Room(), _figure_sections(files.figures)
    page = (
        environment()
        .get_template("run.html")
        .render(
            files=files,
            name=run.resolve().name,
            recipe=_text(files.settings, "recipe"),
            dataset=_text(files.settings, "dataset") or (primary.dataset if primary else ""),
            trained_with=_trained_with(files.settings),
            evaluation=primary,
            headlined=headlined,
            headline=_headline(headlined),
            metric_name=metric_name,
            data_counts=_data_counts(files),
            data_extra=_flat(files.data.model_extra or {}) if files.data else [],
            problems=_problem_groups(files.data.problems if files.data else []),
            most_names=MOST_NAMES,
            folds=folds,
            curves=drawn(learned, room),
            figure_sections=[(heading, drawn(figures, room)) for heading, figures in sections],
            tags_best_first=best_first,
            changed=changed,
            unchanged=unchanged,
            knows_defaults=bool(files.settings and "defaults" in files.settings),
            machine=_machine(files, primary),
            training_time=_training_time(progress),
            speed=_speed(progress),
            scoring_speed=_scoring_speed(primary),
            run_words=shlex.quote(str(run)),
            python_path=json.dumps(str(run), ensure_ascii=False),
            most_rows=MOST_ROWS,
            version=__version__,
        )
    )
    write_text(out, page)
    write_run_numbers(out, files, best_first, [("Learning curves", learned), *sections])
    return out


def _figure_sections(figures: Figures) -> list[tuple[str, Figures]]:
    """Figures by the heading that they stand under, in their places; last those without, or that cannot be read."""
    ordered = sorted(figures, key=lambda one: 0 if isinstance(one[1], str) else one[1].place)
    sections: dict[str, Figures] = {}
    for name, figure in ordered:
        sections.setdefault("" if isinstance(figure, str) else figure.section, []).append((name, figure))
    others = sections.pop("", [])
    heading = "Other figures" if sections else "Figures"
    return [*sections.items(), *([(heading, others)] if others or not sections else [])]


def _best_first(results: list[TagResult]) -> list[TagResult]:
    """By average precision, those without one last."""
    return sorted(results, key=lambda tag: (tag.average_precision is None, -(tag.average_precision or 0.0)))


def _headline(evaluation: AnyEvaluation | None) -> str | None:
    if evaluation is None or not evaluation.metrics:
        return None
    return _HEADLINE if _HEADLINE in evaluation.metrics else next(iter(evaluation.metrics))


def _text(settings: dict[str, Any] | None, name: str) -> str | None:
    value = (settings or {}).get(name)
    return value if isinstance(value, str) else None


def _trained_with(settings: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What the record of a run says beside its settings: data set, labels, folds, seed; what was not given left out."""
    if settings is None or not isinstance(settings.get("settings"), dict):
        return []
    told = {
        name: value for name, value in settings.items() if name not in ("settings", "defaults") and value is not None
    }
    return [(name.replace("_", " "), value) for name, value in _flat(told)]


def _data_counts(files: RunFiles) -> list[tuple[str, int]]:
    if files.data is None:
        return []
    counts = [("train", files.data.train), ("validation", files.data.validation), ("test", files.data.test)]
    return [(split, count) for split, count in counts if count is not None]


def _problem_groups(problems: list[LeftOut]) -> list[ProblemGroup]:
    """What was left out first, then what was kept; the most frequent kind first."""
    groups: dict[tuple[str, str], list[LeftOut]] = defaultdict(list)
    for problem in problems:
        groups[problem.outcome, problem.kind].append(problem)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0] != "left out", -len(item[1]), item[0]))
    return [ProblemGroup(kind, outcome, len(all_), all_[:MOST_NAMES]) for (outcome, kind), all_ in ordered]


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A mapping of mappings as (dotted name, value as JSON writes it, text bare)."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{name}.")
        else:
            rows.append((name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return rows


def _settings(settings: dict[str, Any] | None) -> tuple[list[SettingRow], list[SettingRow]]:
    """The settings that differ from their default, and the others.

    `settings.json` is {"recipe", ..., "settings", "defaults"}; a plain mapping of settings, whose defaults nobody
    knows, is shown as it is.
    """
    if settings is None:
        return [], []
    inner, known = settings.get("settings"), settings.get("defaults")
    values = dict(_flat(inner if isinstance(inner, dict) else settings))
    defaults = dict(_flat(known)) if isinstance(known, dict) else {}
    rows = [SettingRow(name, value, defaults.get(name)) for name, value in values.items()]
    if not isinstance(known, dict):
        return [], rows
    return [row for row in rows if row.value != row.default], [row for row in rows if row.value == row.default]


def _machine(files: RunFiles, evaluation: Evaluation | None) -> list[tuple[str, str]]:
    rows = _flat(files.environment or {})
    if evaluation and evaluation.machine is not None:
        rows += _flat({"evaluated on": evaluation.machine})
    return rows


def _training_time(progress: list[Progress]) -> float | None:
    seconds = [line.seconds for line in progress if line.seconds is not None]
    return sum(seconds) if seconds else None


def _speed(progress: list[Progress]) -> float | None:
    """The median, which a first slow epoch does not move."""
    speeds = sorted(line.clips_per_second for line in progress if line.clips_per_second is not None)
    return speeds[len(speeds) // 2] if speeds else None


def _scoring_speed(evaluation: Evaluation | None) -> float | None:
    """Clips a second while they were scored."""
    if evaluation is None or not evaluation.seconds:
        return None
    return evaluation.num_clips / evaluation.seconds
