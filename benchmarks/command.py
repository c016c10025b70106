"""The command line of a benchmark: which rows are run, in what order, and when tables are written."""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness import Bench, Row
from benchmarks.tables import affordable, write_costs, write_table
from earmark.errors import InputError
from earmark.progress import show_progress

HERE = Path(__file__).parent


def run_rows(bench: Bench, rows: Sequence[Row], seeds: Sequence[int] | None = None) -> None:
    """Runs rows, each for the seeds that it lacks, and writes the table after each.

    Raises:
        InputError: a row needs what was not given; said before any is run.
    """
    for row in rows:
        if row.missing:
            raise InputError(f'row "{row.name}" of {bench.name} needs {row.missing}')
    for row in rows:
        for seed in bench.seeds if seeds is None else seeds:
            if seed not in bench.kept(row):
                bench.run_row(row, seed)
                write_table(bench)


def seconds_a_training(bench: Bench) -> float:
    """What one training costs with its scoring, from the first row, which is run for one seed if it is not kept."""
    first = bench.rows[0]
    if not bench.kept(first):
        run_rows(bench, [first], bench.seeds[:1])
    return statistics.fmean(bench.record(first)["seconds"].values()) / first.trainings


def main(make: Callable[[str, Path, Path], Bench], arguments: Sequence[str] | None = None) -> None:
    """The command line of a benchmark; `SCALE=smoke` runs two rows of one seed, and keeps nothing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", help="names of rows, with commas; default: all that fit the budget")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where test beds and trainings are kept")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where rows and tables are kept")
    parser.add_argument("--cost", action="store_true", help="time one training, write the cost table, and stop")
    parser.add_argument("--table", action="store_true", help="write the table from what is kept, and stop")
    chosen = parser.parse_args(arguments)
    show_progress(False)
    # As Ctrl-C does, so that what was broken off still counts its seconds.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if os.environ.get("SCALE") == "smoke":
            _smoke(make)
        else:
            _follow(make("full", chosen.work, chosen.results), chosen)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _smoke(make: Callable[[str, Path, Path], Bench]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = make("smoke", Path(folder) / "work", Path(folder))
        run_rows(bench, bench.rows[:2])
        print((bench.results / f"{bench.name}.md").read_text("utf-8"))
        print("smoke: it runs; it claims nothing")


def _follow(bench: Bench, chosen: argparse.Namespace) -> None:
    if chosen.table:
        write_table(bench)
    elif chosen.rows and not chosen.cost:
        run_rows(bench, bench.named(chosen.rows.split(",")))
    else:
        seconds = seconds_a_training(bench)
        write_costs(bench, seconds)
        if not chosen.cost:
            run_rows(bench, affordable(bench, seconds))
