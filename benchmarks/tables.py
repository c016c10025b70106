"""What a benchmark writes: a table of what its rows cost, and a table of their values beside the paper's."""

import statistics
from collections.abc import Mapping, Sequence

import torch

from benchmarks.harness import Bench, Row
from earmark.environment import machine_name, today
from earmark.errors import InputError
from earmark.figures import write_figure
from earmark.files import write_text

BUDGET_MINUTES = 60.0


def write_costs(bench: Bench, seconds: float) -> None:
    """Writes `results/BENCH-cost.md`: what rows cost, given the seconds of a training, and which are dropped."""
    first = bench.rows[0]
    lines = [
        f"# {bench.title}: what the rows cost",
        "",
        f'"{first.title}" took {seconds * first.trainings:.0f} s a seed ({machine_name(torch.device("cpu"))}, '
        f"{today()}), with all that it needs and the scoring: {first.trainings:g} trainings of {seconds:.0f} s. "
        f"Rows are dropped, last first, until all fit {BUDGET_MINUTES:.0f} minutes.",
        "",
        "| row | trainings a seed | seeds | minutes | in all | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    fitting = affordable(bench, seconds)
    total = 0.0
    for row in bench.rows:
        minutes = 0.0 if row.missing else _minutes(bench, row, seconds)
        total += minutes
        verdict = f"needs {row.missing}" if row.missing else "" if row in fitting else "dropped"
        lines.append(
            f"| {row.title} | {row.trainings:g} | {len(bench.seeds)} | {minutes:.1f} | {total:.1f} | {verdict} |"
        )
    write_text(bench.results / f"{bench.name}-cost.md", "\n".join(lines) + "\n")


def affordable(bench: Bench, seconds: float) -> list[Row]:
    """The rows that can be run and fit the budget, in their order; none after the first that does not fit."""
    total, chosen = 0.0, []
    for row in bench.rows:
        if row.missing:
            continue
        total += _minutes(bench, row, seconds)
        if total <= BUDGET_MINUTES:
            chosen.append(row)
    return chosen


def _minutes(bench: Bench, row: Row, seconds: float) -> float:
    return row.trainings * seconds * len(bench.seeds) / 60


def write_table(bench: Bench) -> None:
    """Writes `results/BENCH.md` from what is kept.

    Raises:
        InputError: nothing is kept.
    """
    records = [record for record in map(bench.record, bench.rows) if record]
    if not records:
        raise InputError(f"{bench.results / bench.name}: no row is kept of today's settings; run the benchmark first")
    lines = [
        f"# {bench.title}", "", bench.note.strip(), "",
        f"Made by `make bench-{bench.name.replace('_', '-')}`; mean and standard deviation over seeds, each with "
        "its own test bed; differences are paired by seed.", "",
    ]  # fmt: skip
    for table in dict.fromkeys(row.table for row in bench.rows):
        lines += _table_lines(bench, table)
    dates = sorted({record["date"] for record in records})
    machines = sorted({record["machine"] for record in records})
    lines.append(f"Run {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {'; '.join(machines)}.")
    write_text(bench.results / f"{bench.name}.md", "\n".join(lines) + "\n")


def _table_lines(bench: Bench, table: str) -> list[str]:
    rows = [row for row in bench.rows if row.table == table]
    kept = [values for row in rows for values in bench.kept(row).values()]
    decimals = {name: _decimals(name, [values[name] for values in kept if name in values]) for name in _names(kept)}
    references = {row.reference for row in rows} - {""}
    assert len(references) <= 1, f"one reference a table: {table}"
    heads = ["row", "seeds", *decimals, *(f"mAP - {name}" for name in references), "paper"]
    lines = [f"## {table}", ""]
    if bench.captions.get(table):
        lines += [bench.captions[table], ""]
    lines += [_line(heads), "|---|---:|" + "---:|" * (len(heads) - 3) + "---|"]
    compared = bench.kept(bench.named(list(references))[0]) if references else None
    lines += [_row_line(bench, row, decimals, compared) for row in rows]
    remarks = [f"- {row.title}: {row.remark}" for row in rows if row.remark and bench.kept(row)]
    return [*lines, "", *remarks, *([""] if remarks else []), *_pictures(bench, table, rows)]


def _pictures(bench: Bench, table: str, rows: Sequence[Row]) -> list[str]:
    """Writes a table's charts into `results/BENCH/figures/`, as data and drawn, and shows them."""
    charts = bench.pictures[table](bench, rows) if table in bench.pictures else {}
    lines = []
    for name, chart in charts.items():
        from earmark.reports.render import picture_svg  # needs matplotlib, which only charts do

        folder = bench.results / bench.name / "figures"
        write_figure(folder, name, chart)
        write_text(folder / f"{name}.svg", picture_svg(chart))
        lines += [f"![{chart.alt}]({bench.name}/figures/{name}.svg)", "", chart.caption, ""]
    return lines


def _names(kept: Sequence[Mapping[str, float]]) -> list[str]:
    """The names of all figures that stand in tables, as they come."""
    return [name for name in dict.fromkeys(name for values in kept for name in values) if not name.startswith("~")]


def _decimals(name: str, values: Sequence[float]) -> int:
    """The decimals of a column: one of per cent and of counts, four of what lies between 0 and 1."""
    return 1 if name.endswith("%") or all(float(value).is_integer() for value in values) else 4


def _row_line(
    bench: Bench, row: Row, decimals: Mapping[str, int], compared: Mapping[int, Mapping[str, float]] | None
) -> str:
    kept = bench.kept(row)
    cells = [
        _spread([values[name] for values in kept.values() if name in values], digits, sign=name.endswith(" gain"))
        for name, digits in decimals.items()
    ]
    if compared is not None:
        gains = [values["mAP"] - compared[seed]["mAP"] for seed, values in kept.items() if seed in compared]
        cells.append(_spread(gains if row.name != row.reference else [], sign=True))
    return _line([row.title, str(len(kept) or "not run"), *cells, row.paper])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], decimals: int = 4, sign: bool = False) -> str:
    """Mean and standard deviation: `.9512 ± .0031`."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):{'+' if sign else ''}.{decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else mean
