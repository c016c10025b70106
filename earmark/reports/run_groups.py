"""What tells several runs apart: their settings beside their metrics, and which differ in nothing but their seed."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from earmark.errors import counted, first_few
from earmark.figures import TableFigure
from earmark.reports.metric_names import metric_name
from earmark.reports.over_runs import EvaluatedRun, where_evaluated

OF_THE_SEED = ("seed", "splits")
"""What a run's seed decides: with it, which clips are drawn to validate on."""


def grouped_but_for_seed(found: Sequence[EvaluatedRun]) -> dict[str, list[EvaluatedRun]]:
    """The runs by group, in their order, those together that differ in their seed alone; by a name for the group.

    A run whose settings are not known is a group of its own.
    """
    groups: dict[str, list[EvaluatedRun]] = defaultdict(list)
    for run in found:
        record = run_record(run)
        alike = {name: value for name, value in record.items() if name not in OF_THE_SEED}
        groups[json.dumps(alike, sort_keys=True) if record else run.name].append(run)
    return {first_few((run.name for run in runs), 1): runs for runs in groups.values()}


def ablation_table(found: Sequence[EvaluatedRun]) -> TableFigure:
    """The table of runs: the settings that differ between them, and what each scores.

    What a run has no setting of is null, as is a metric that it was not evaluated by.
    """
    records = [run_record(run) for run in found]
    names = list(dict.fromkeys(name for record in records for name in record))
    differing = [name for name in names if len({json.dumps(record.get(name)) for record in records}) > 1]
    metrics = list(dict.fromkeys(name for run in found for name in run.evaluation.metrics))
    rows: list[list[str | float | int | None]] = [
        [
            run.name,
            *(_cell(record.get(name)) for name in differing),
            *(run.evaluation.metrics[name].value if name in run.evaluation.metrics else None for name in metrics),
        ]
        for run, record in zip(found, records, strict=True)
    ]
    unknown = [run.name for run, record in zip(found, records, strict=True) if not record]
    told = f"{counted(len(differing), 'setting', 'differ')}, of {len(names)}." if names else "No settings are known."
    without = f" Without settings.json: {first_few(unknown)}." if unknown else ""
    return TableFigure(
        title="Settings that differ, and metrics",
        caption=f"{where_evaluated(found)}. {told}{without}",
        alt=f"A table of {counted(len(found), 'run')} with {counted(len(differing), 'setting')} and "
        f"{counted(len(metrics), 'metric')}.",
        columns=["run", *differing, *(metric_name(name)[0] for name in metrics)],
        rows=rows,
    )


def run_record(run: EvaluatedRun) -> dict[str, Any]:
    """All that `settings.json` says of how the run was made, by dotted name; empty where there is none."""
    record = {name: value for name, value in (run.files.settings or {}).items() if name not in ("settings", "defaults")}
    inner = (run.files.settings or {}).get("settings")
    return _flat(record) | _flat(inner if isinstance(inner, dict) else {})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return found


def _cell(value: Any) -> str | float | int | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return json.dumps(value, ensure_ascii=False)
