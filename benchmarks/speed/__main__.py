"""The command line: which rows are measured, with which Pythons, how often."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.naming import named_rows
from benchmarks.speed.contest import Row, run_row
from benchmarks.speed.rows import ALL
from benchmarks.speed.table import NAMES, write_tables
from earmark.environment import machine_name, resolve_precision, today
from earmark.errors import InputError
from earmark.files import write_json

RESULTS = Path(__file__).parents[1] / "results"
ROUNDS = 9


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures rows and writes the table after each; `SCALE=smoke` runs two rows in no time, and keeps nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--rows", help="names of rows, with commas; default: all")
    parser.add_argument("--peers", type=Path, help="Python of an environment with peers/requirements.txt, for peers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each takes a turn")
    parser.add_argument("--work", type=Path, help="where files are kept between rows; default: a folder that goes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where rows and tables are kept")
    parser.add_argument("--list", action="store_true", help="name the rows, and stop")
    parser.add_argument("--table", action="store_true", help="write the table from what is kept, and stop")
    chosen = parser.parse_args(arguments)
    try:
        if os.environ.get("SCALE") == "smoke":
            _smoke(chosen.peers)
        elif chosen.list:
            print("\n".join(f"{row.name:28} {row.title}" for row in ALL))
        else:
            if not chosen.table:
                rows = named_rows(ALL, chosen.rows.split(","), "speed") if chosen.rows else ALL
                with tempfile.TemporaryDirectory() as folder:
                    measure(rows, chosen.peers, chosen.work or Path(folder), chosen.results, chosen.rounds)
            write_tables(ALL, chosen.results)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def measure(rows: Sequence[Row], peers: Path | None, work: Path, results: Path, rounds: int) -> None:
    """Measures rows in their order and keeps each; those that this machine lacks something for are passed over."""
    for row in rows:
        if lacking := _lacking(row):
            print(f"{row.name}: not measured, it needs {lacking}")
            continue
        if peers is None and any(one.environment == "peers" for one in row.contestants):
            raise InputError(
                f'row "{row.name}" needs --peers PYTHON, of an environment with benchmarks/speed/peers/requirements.txt'
            )
        work.mkdir(parents=True, exist_ok=True)
        found = run_row(row, {"ours": Path(sys.executable), "peers": peers or Path()}, work, rounds)
        _refuse_other_answers(row, found["apart"])
        machine = machine_name(torch.device(row.device))
        write_json(
            results / NAMES[row.device] / f"{row.name}.json",
            {"row": row.name, "date": today(), "machine": machine, **found},
        )
        for name, one in found["contestants"].items():
            print(
                f"{row.name:24} {name:40} {one['seconds']:.3e} s  x {one['ratio']:.3g}  {one['peak_mb']} MB", flush=True
            )
        write_tables(ALL, results)


def _lacking(row: Row) -> str:
    """What a row needs that this machine does not have; empty where nothing lacks."""
    if row.device == "cuda":
        return "" if torch.cuda.is_available() else "a GPU"
    in_bf16 = row.peak == "bf16" and resolve_precision("auto", torch.device("cpu")) != "bf16"
    return "a processor that computes in bf16" if in_bf16 else ""


def _refuse_other_answers(row: Row, apart: float | None) -> None:
    """Speed counts only where the work is the same."""
    if row.tolerance is not None and (apart is None or apart > row.tolerance):
        raise InputError(f'row "{row.name}": answers must lie within {row.tolerance:g} of ours, found {apart}')


def _smoke(peers: Path | None) -> None:
    rows = [row for row in ALL if not row.peers or peers][:2]
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            pythons = {"ours": Path(sys.executable), "peers": peers or Path()}
            found = run_row(row, pythons, Path(folder), rounds=1, block_s=0)
            print(row.name, found["contestants"])
    print("smoke: it runs; it claims nothing")


if __name__ == "__main__":
    main()
