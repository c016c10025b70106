"""What the methods' benchmarks share: rows, seeds, trainings that are kept, results as JSON and as a table.

A row is a line of a table. It is run once a seed, seed i on its own test bed with its own test fold, and its values are
kept in `results/BENCH/ROW.json`; a row that is there is not run again. Trainings are kept in `work/`, so that rows
share them and a killed run goes on.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from earmark.data.dataset import Dataset
from earmark.environment import machine_name, today
from earmark.files import digest_of, read_json, write_json, write_text
from earmark.progress import show_progress
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe

HERE = Path(__file__).parent
BUDGET_MINUTES = 60.0


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        values: given the bench and a seed, named figures.
        trainings: how many trainings it needs that rows before it do not, counted in trainings of the reference row.
        paper: the paper's own line, as text; "" where it has none.
        table: the heading that the row stands under.
    """

    name: str
    title: str
    table: str
    values: Callable[["Bench", int], Mapping[str, float]]
    trainings: float
    paper: str = ""


@dataclass
class Bench:
    """One method's benchmark.

    Attributes:
        settings: of every training, at this scale.
        reference: the row that the others' differences are to.
    """

    name: str
    title: str
    rows: Sequence[Row]
    reference: str
    settings: Mapping[str, Any]
    seeds: Sequence[int]
    work: Path
    results: Path
    note: str = ""
    seconds: list[float] = field(default_factory=list)

    def run_of(
        self,
        bed: Dataset,
        recipe: str,
        changes: Mapping[str, Any],
        *,
        test_fold: int,
        validation_fold: int | None = None,
        layer: str = "given",
        seed: int = 0,
    ) -> Path:
        """The run of a recipe with the bench's settings and some changes; trained unless it is there."""
        settings = {**self.settings, **changes}
        key = digest_of(repr((recipe, sorted(settings.items()), test_fold, validation_fold, layer, seed)).encode())
        run = self.work / "runs" / f"{bed.name}-{key}"
        if (run / "model" / "config.json").exists():
            return run
        started = time.perf_counter()
        request = Request(
            dataset=bed, run=run, layer=layer, test_fold=test_fold, validation_fold=validation_fold, seed=seed,
            resume=True,
        )  # fmt: skip
        run_recipe(find_recipe(recipe), request, settings)
        self.seconds.append(time.perf_counter() - started)
        write_json(run / "seconds.json", self.seconds[-1])
        return run

    def path_of(self, row: Row) -> Path:
        """Where a row's values are kept."""
        return self.results / self.name / f"{row.name}.json"

    def kept(self, row: Row) -> dict[int, dict[str, float]]:
        """A row's values by seed, as far as it has been run."""
        path = self.path_of(row)
        return {int(seed): values for seed, values in read_json(path)["seeds"].items()} if path.exists() else {}

    def run(self, rows: Sequence[Row]) -> None:
        """Runs rows, each for the seeds that it lacks, and writes the table after each."""
        for row in rows:
            for seed in self.seeds:
                kept = self.kept(row)
                if seed in kept:
                    continue
                started = time.perf_counter()
                values = {name: round(float(value), 5) for name, value in row.values(self, seed).items()}
                minutes = (time.perf_counter() - started) / 60
                print(f"{row.name} seed {seed}: {values} ({minutes:.1f} min)", flush=True)
                record = {
                    "row": row.name, "title": row.title, "date": today(), "machine": machine_name(torch.device("cpu")),
                    "settings": dict(self.settings), "seeds": {str(s): v for s, v in {**kept, seed: values}.items()},
                }  # fmt: skip
                write_json(self.path_of(row), record)
                self.write_table()

    def write_table(self) -> None:
        """Writes `results/BENCH.md` from what is kept."""
        write_text(self.results / f"{self.name}.md", "\n".join(self._table_lines()) + "\n")

    def write_costs(self, seconds: float) -> None:
        """Writes `results/BENCH-cost.md`: what each row costs, from one timed training, and which are dropped."""
        lines = [
            f"# {self.title}: what the rows cost",
            "",
            f"One training of the reference row took {seconds:.0f} s ({machine_name(torch.device('cpu'))}, {today()}). "
            f"Rows are dropped, last first, until all fit {BUDGET_MINUTES:.0f} minutes.",
            "",
            "| row | trainings a seed | seeds | minutes | in all | |",
            "|---|---:|---:|---:|---:|---|",
        ]
        total = 0.0
        for row in self.rows:
            minutes = row.trainings * seconds * len(self.seeds) / 60
            total += minutes
            verdict = "" if total <= BUDGET_MINUTES else "dropped"
            lines.append(
                f"| {row.title} | {row.trainings:g} | {len(self.seeds)} | {minutes:.1f} | {total:.1f} | {verdict} |"
            )
        write_text(self.results / f"{self.name}-cost.md", "\n".join(lines) + "\n")

    def affordable(self, seconds: float) -> list[Row]:
        """The rows that fit the budget, in their order."""
        total, chosen = 0.0, []
        for row in self.rows:
            total += row.trainings * seconds * len(self.seeds) / 60
            if total <= BUDGET_MINUTES:
                chosen.append(row)
        return chosen

    def _table_lines(self) -> list[str]:
        command = f"`make bench-{self.name.replace('_', '-')}`"
        lines = [f"# {self.title}", "", self.note.strip(), "", f"Made by {command}; mean and standard deviation over "
                 "seeds, each with its own test bed and test fold; differences are paired by seed.", ""]  # fmt: skip
        reference = self.kept(next(row for row in self.rows if row.name == self.reference))
        for table in dict.fromkeys(row.table for row in self.rows):
            rows = [row for row in self.rows if row.table == table]
            names = list(dict.fromkeys(name for row in rows for some in self.kept(row).values() for name in some))
            lines += [f"## {table}", "", "| row | seeds | " + " | ".join(names) + " | mAP - reference | paper |"]
            lines.append("|---|---:|" + "---:|" * (len(names) + 1) + "---|")
            for row in rows:
                lines.append(self._row_line(row, names, reference))
            lines.append("")
        dates = sorted({read_json(self.path_of(row))["date"] for row in self.rows if self.path_of(row).exists()})
        machines = sorted({read_json(self.path_of(row))["machine"] for row in self.rows if self.path_of(row).exists()})
        return [*lines, f"Run {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {'; '.join(machines)}."]

    def _row_line(self, row: Row, names: Sequence[str], reference: Mapping[int, Mapping[str, float]]) -> str:
        kept = self.kept(row)
        if not kept:
            return f"| {row.title} | not run |" + " |" * (len(names) + 1) + f" {row.paper} |"
        cells = [_spread([values[name] for values in kept.values() if name in values]) for name in names]
        gains = [
            values["mAP"] - reference[seed]["mAP"]
            for seed, values in kept.items()
            if seed in reference and "mAP" in values and row.name != self.reference
        ]
        return f"| {row.title} | {len(kept)} | " + " | ".join(cells) + f" | {_spread(gains, sign=True)} | {row.paper} |"


def _spread(values: Sequence[float], sign: bool = False) -> str:
    """Mean and standard deviation: `.9512 ± .0031`."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):{'+' if sign else ''}.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def main(make: Callable[[str, Path, Path], Bench]) -> None:
    """The command line of a benchmark; `SCALE=smoke` runs two rows of one seed, and keeps nothing."""
    import tempfile

    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", help="names of rows, with commas; default: all that fit the budget")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where test beds and trainings are kept")
    parser.add_argument("--cost", action="store_true", help="time one training, write the cost table, and stop")
    parser.add_argument("--table", action="store_true", help="write the table from what is kept, and stop")
    chosen = parser.parse_args()
    show_progress(False)
    if os.environ.get("SCALE") == "smoke":
        with tempfile.TemporaryDirectory() as folder:
            bench = make("smoke", Path(folder) / "work", Path(folder))
            bench.run(bench.rows[:2])
            print((bench.results / f"{bench.name}.md").read_text("utf-8"))
            print("smoke: it runs; it claims nothing")
        return
    bench = make("full", chosen.work, HERE / "results")
    if chosen.table:
        bench.write_table()
        return
    cost_path = bench.results / f"{bench.name}-cost.json"
    if chosen.cost or not cost_path.exists():
        reference = next(row for row in bench.rows if row.name == bench.reference)
        if chosen.cost:
            bench.run([reference])
        write_json(cost_path, {"seconds": max(bench.seconds), "date": today()})
        bench.write_costs(max(bench.seconds))
        if chosen.cost:
            return
    known = {row.name: row for row in bench.rows}
    rows = [known[name] for name in chosen.rows.split(",")] if chosen.rows else None
    bench.run(rows if rows is not None else bench.affordable(float(read_json(cost_path)["seconds"])))
