"""`results/speed.md` from the rows that are kept, one JSON file each in `results/speed/`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.contest import Row
from benchmarks.speed.ours.peaks import BYTES, OPERATIONS
from earmark.files import read_json, write_text

NOTE = """\
Made by `make bench-speed`; one row again: `python -m benchmarks.speed --rows NAME`. Everyone takes turns, each in a
process of its own, with one thread unless a row says more: **times as fast** is the median over rounds of the peer's
seconds beside ours in the same round, with its quartiles. **Floor** is what the machine would need at least: operations
over the measured peak of a matrix product, or bytes over a measured copy of memory, whichever is more, or the work's
parts by themselves, shared evenly among the cores; beside ours stands how much of it is reached. Peak memory is the
whole process's, libraries included."""


NAMES = {"cpu": "speed", "cuda": "speed-gpu"}
"""What the file with the tables of a device's rows is called, and the folder of their records."""


def write_tables(rows: Sequence[Row], results: Path) -> None:
    """Writes the tables of all rows, a file for each device."""
    for device, name in NAMES.items():
        write_table([row for row in rows if row.device == device], results, name)


def write_table(rows: Sequence[Row], results: Path, name: str = "speed") -> None:
    """Writes the tables of all rows; those that were not run, or with other contestants than now, say so."""
    records = {row.name: record for row in rows if (record := _kept(row, results / name / f"{row.name}.json"))}
    runs = sorted({_run(record) for record in records.values()})
    lines = ["# Speed beside peers", "", NOTE, ""]
    for table in dict.fromkeys(row.table for row in rows):
        lines += [f"## {table}", "", *HEAD]
        shown = [row for row in rows if row.table == table]
        for row in shown:
            lines += _row_lines(row, records.get(row.name), runs)
        missed = [f"- {_title(row)}: {said}" for row in shown if (said := _missed(row, records.get(row.name)))]
        lines += ["", *missed, *([""] if missed else [])]
    lines += [f"Run {run}." if len(runs) == 1 else f"[{number}] Run {run}.  " for number, run in enumerate(runs, 1)]
    write_text(results / f"{name}.md", "\n".join(lines).rstrip() + "\n")


HEAD = [
    "| work | who | a second | times as fast | aim | floor reached | peak MB |",
    "|---|---|---:|---:|---:|---:|---:|",
]


def _kept(row: Row, path: Path) -> dict[str, Any] | None:
    """What was measured of a row; None where that is not all that is asked now."""
    record: dict[str, Any] = read_json(path) if path.exists() else {"contestants": {}}
    return record if {one.name for one in row.contestants} <= set(record["contestants"]) else None


def _run(record: Mapping[str, Any]) -> str:
    """When and on what a row was measured."""
    return f"{record['date']} on {record['machine']}"


def _row_lines(row: Row, record: Mapping[str, Any] | None, runs: Sequence[str]) -> list[str]:
    if record is None:
        return [_line(_title(row), "", "not measured", "", "", "", "")]
    found = record["contestants"]
    floor = floor_seconds(row, found)
    reached = f"{100 * floor / found[row.ours.name]['seconds']:.0f} %" if floor else ""
    note = f"; {row.note.format(apart=format(record['apart'] or 0, '.2g'))}" if row.note else ""
    note += f" [{1 + runs.index(_run(record))}]" if len(runs) > 1 else ""
    ours = found[row.ours.name]
    aim = f"<= {row.aim_seconds:g} s{_or_missed(ours['seconds'] <= row.aim_seconds)}" if row.aim_seconds else ""
    lines = [_line(_title(row) + note, f"**{row.ours.name}**", _rate(row, ours), "", aim, reached, _peak_mb(ours))]
    against = _aim_peer(row, found)
    for peer in row.peers:
        one = found[peer.name]
        times = f"{one['ratio']:.3g} ({one['ratio_low']:.3g} to {one['ratio_high']:.3g})"
        aim = f">= {row.aim:g}{_or_missed(one['ratio'] >= row.aim)}" if row.aim and peer.name == against else ""
        lines.append(_line("", peer.name, _rate(row, one), times, aim, "", _peak_mb(one)))
    return lines


def _title(row: Row) -> str:
    return row.title + (f" ({row.threads} threads)" if row.threads > 1 else "")


def floor_seconds(row: Row, found: Mapping[str, Mapping[str, float]]) -> float:
    """The least seconds that a unit could take on this machine; 0 where none is computed."""
    seconds = [0.0]
    if row.flops:
        seconds.append(row.flops * found[f"peak {row.peak}"]["seconds"] / OPERATIONS)
    if row.bytes:
        seconds.append(row.bytes * found["copy"]["seconds"] / BYTES)
    if row.parts:
        seconds.append(sum(found[name]["seconds"] for name in row.parts) / row.threads)
    return max(seconds)


def _aim_peer(row: Row, found: Mapping[str, Mapping[str, float]]) -> str | None:
    """The peer that the row's aim speaks of: the fastest that does all of the work, unless one is named."""
    names = [peer.name for peer in row.peers if peer.name not in row.parts]
    return row.aim_peer or min(names, key=lambda name: found[name]["ratio"], default=None)


def _missed(row: Row, record: Mapping[str, Any] | None) -> str:
    """By how much a row's aim is missed and what binds; empty where it is reached, or none is set."""
    if record is None:
        return ""
    seconds = record["contestants"][row.ours.name]["seconds"]
    if row.aim_seconds and seconds > row.aim_seconds:
        return f"{seconds:.3g} s, at most {row.aim_seconds:g} aimed at. {row.binds}".rstrip()
    if not row.aim:
        return ""
    against = _aim_peer(row, record["contestants"])
    ratio = record["contestants"][against]["ratio"]
    if ratio >= row.aim:
        return ""
    return f"{ratio:.3g} of the {row.aim:g} times aimed at beside {against}. {row.binds}".rstrip()


def _or_missed(reached: bool) -> str:
    return "" if reached else " missed"


def _rate(row: Row, found: Mapping[str, float]) -> str:
    """Units a second; of what takes longer than a second, the seconds."""
    seconds = found["seconds"]
    if seconds >= 1:
        return f"{seconds:.3g} s each"
    return f"{1 / seconds:{',.0f' if seconds < 0.01 else '.3g'}} {row.unit}s"


def _peak_mb(found: Mapping[str, float]) -> str:
    return f"{found['peak_mb']:,.0f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
