"""What the methods' benchmarks share: rows, seeds, trainings that are kept, results as JSON and as a table.

A row is a line of a table. It is run once a seed, seed i on its own test bed with its own test fold, and its values are
kept in `results/BENCH/ROW.json`; a row that is there is not run again unless the benchmark's settings have changed.
Trainings are kept in `work/`, named by all that they depend on, so that rows share them and a killed run goes on.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from earmark.config import settings_from, values_of
from earmark.data.dataset import Dataset
from earmark.data.splits import Splits
from earmark.environment import machine_name, today
from earmark.errors import InputError, did_you_mean
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
        trainings: what it costs beside what rows before it trained, scoring included; one is a training with all of the
            training clips.
        paper: the paper's own line, as text; "" where it has none.
        table: the heading that the row stands under.
        reference: the row that its mAP is compared with, the same in all of a table; "" for none.
        remark: what is to be said of its values, such as the likely reason why something does not help.
    """

    name: str
    title: str
    table: str
    values: Callable[["Bench", int], Mapping[str, float]]
    trainings: float
    paper: str = ""
    reference: str = ""
    remark: str = ""


@dataclass
class Bench:
    """One method's benchmark.

    Attributes:
        rows: most important first; the first one is timed, and says what the others cost.
        settings: of every training, at this scale.
        made_of: what values depend on beside: how test beds are made, what the rows change.
        captions: what is to be said under a table's heading.
    """

    name: str
    title: str
    rows: Sequence[Row]
    recipe: str
    settings: Mapping[str, Any]
    seeds: Sequence[int]
    work: Path
    results: Path
    made_of: Mapping[str, Any] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    _pieces: set[str] = field(default_factory=set, repr=False)

    def resolved(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All settings of a training, defaults included."""
        recipe = find_recipe(self.recipe)
        return values_of(settings_from(recipe.settings, self.settings, changes or {}, where=f"bench {self.name}"))

    @property
    def digest(self) -> str:
        """A short name of all that rows' values depend on: values with another one are not mixed with these."""
        return key_of(self.recipe, self.resolved(), dict(self.made_of))

    def run_of(
        self,
        bed: Dataset,
        changes: Mapping[str, Any],
        *,
        test_fold: int,
        layer: str = "given",
        seed: int = 0,
        splits: Splits | None = None,
    ) -> Path:
        """The run of the recipe with the bench's settings and some changes; trained unless it is there."""
        settings, labels = self.resolved(changes), bed.labels(layer)
        key = key_of(
            self.recipe, settings, bed.digest, labels.digest, test_fold, seed, splits.digest if splits else None
        )
        run = self.work / "runs" / f"{bed.name}-{key}"
        with self.timed(run.name):
            if not (run / "model" / "config.json").exists():
                request = Request(
                    dataset=bed, run=run, layer=layer, test_fold=test_fold, seed=seed, resume=True, splits=splits
                )
                run_recipe(find_recipe(self.recipe), request, settings)
        return run

    @contextlib.contextmanager
    def timed(self, piece: str) -> Iterator[None]:
        """Adds the block's seconds to what a piece of work has cost so far, also when it is broken off.

        The row that is being run counts the piece among what it needs, whoever did the work and when.
        """
        self._pieces.add(piece)
        before, started = self._seconds_of(piece), time.perf_counter()
        try:
            yield
        finally:
            write_json(self._seconds_path(piece), round(before + time.perf_counter() - started, 1))

    def _seconds_path(self, piece: str) -> Path:
        # Not in the piece's own folder: that belongs to the run, which refuses files it does not know.
        return self.work / "seconds" / f"{piece}.json"

    def _seconds_of(self, piece: str) -> float:
        path = self._seconds_path(piece)
        return float(read_json(path)) if path.exists() else 0.0

    def path_of(self, row: Row) -> Path:
        """Where a row's values are kept."""
        return self.results / self.name / f"{row.name}.json"

    def record(self, row: Row) -> dict[str, Any]:
        """What is kept of a row; of other settings than today's, nothing."""
        path = self.path_of(row)
        kept = read_json(path) if path.exists() else {}
        return kept if kept.get("digest") == self.digest else {}

    def kept(self, row: Row) -> dict[int, dict[str, float]]:
        """A row's values by seed, as far as it has been run."""
        return {int(seed): values for seed, values in self.record(row).get("seeds", {}).items()}

    def named(self, names: Sequence[str]) -> list[Row]:
        """The rows of some names.

        Raises:
            InputError: there is no such row; the message names the nearest.
        """
        known = {row.name: row for row in self.rows}
        for name in names:
            if name not in known:
                raise InputError(f'unknown row "{name}" of {self.name}{did_you_mean(name, known)}')
        return [known[name] for name in names]

    def run(self, rows: Sequence[Row], seeds: Sequence[int] | None = None) -> None:
        """Runs rows, each for the seeds that it lacks, and writes the table after each."""
        for row in rows:
            for seed in self.seeds if seeds is None else seeds:
                if seed not in self.kept(row):
                    self._run_row(row, seed)
                    self.write_table()

    def _run_row(self, row: Row, seed: int) -> None:
        self._pieces.clear()
        values = {name: round(float(value), 5) for name, value in row.values(self, seed).items()}
        seconds = round(sum(self._seconds_of(piece) for piece in self._pieces), 1)
        print(f"{row.name} seed {seed}: {values} (needs {seconds / 60:.1f} min of work)", flush=True)
        before = self.record(row)
        record = {
            "row": row.name, "title": row.title, "date": today(), "machine": machine_name(torch.device("cpu")),
            "digest": self.digest, "settings": self.resolved(), "made_of": dict(self.made_of),
            "seeds": {**before.get("seeds", {}), str(seed): values},
            "seconds": {**before.get("seconds", {}), str(seed): seconds},
        }  # fmt: skip
        write_json(self.path_of(row), record)

    def seconds_a_training(self) -> float:
        """What one training costs with its scoring, from the first row, which is run for one seed if it is not kept."""
        first = self.rows[0]
        if not self.kept(first):
            self.run([first], self.seeds[:1])
        return statistics.fmean(self.record(first)["seconds"].values()) / first.trainings

    def write_costs(self, seconds: float) -> None:
        """Writes `results/BENCH-cost.md`: what rows cost, given the seconds of a training, and which are dropped."""
        first = self.rows[0]
        lines = [
            f"# {self.title}: what the rows cost",
            "",
            f'"{first.title}" took {seconds * first.trainings:.0f} s a seed ({machine_name(torch.device("cpu"))}, '
            f"{today()}), with all that it needs and the scoring: {first.trainings:g} trainings of {seconds:.0f} s. "
            f"Rows are dropped, last first, until all fit {BUDGET_MINUTES:.0f} minutes.",
            "",
            "| row | trainings a seed | seeds | minutes | in all | |",
            "|---|---:|---:|---:|---:|---|",
        ]
        fitting = self.affordable(seconds)
        total = 0.0
        for row in self.rows:
            minutes = self._minutes(row, seconds)
            total += minutes
            verdict = "" if row in fitting else "dropped"
            lines.append(
                f"| {row.title} | {row.trainings:g} | {len(self.seeds)} | {minutes:.1f} | {total:.1f} | {verdict} |"
            )
        write_text(self.results / f"{self.name}-cost.md", "\n".join(lines) + "\n")

    def affordable(self, seconds: float) -> list[Row]:
        """The rows that fit the budget, in their order; none after the first that does not."""
        total, chosen = 0.0, []
        for row in self.rows:
            total += self._minutes(row, seconds)
            if total <= BUDGET_MINUTES:
                chosen.append(row)
        return chosen

    def _minutes(self, row: Row, seconds: float) -> float:
        return row.trainings * seconds * len(self.seeds) / 60

    def write_table(self) -> None:
        """Writes `results/BENCH.md` from what is kept.

        Raises:
            InputError: nothing is kept.
        """
        records = [record for record in map(self.record, self.rows) if record]
        if not records:
            raise InputError(f"{self.results / self.name}: no row is kept of today's settings; run the benchmark first")
        lines = [
            f"# {self.title}", "", self.note.strip(), "",
            f"Made by `make bench-{self.name.replace('_', '-')}`; mean and standard deviation over seeds, each with "
            "its own test bed and test fold; differences are paired by seed.", "",
        ]  # fmt: skip
        for table in dict.fromkeys(row.table for row in self.rows):
            lines += self._table_lines(table)
        dates = sorted({record["date"] for record in records})
        machines = sorted({record["machine"] for record in records})
        lines.append(f"Run {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {'; '.join(machines)}.")
        write_text(self.results / f"{self.name}.md", "\n".join(lines) + "\n")

    def _table_lines(self, table: str) -> list[str]:
        rows = [row for row in self.rows if row.table == table]
        names = list(dict.fromkeys(name for row in rows for some in self.kept(row).values() for name in some))
        references = {row.reference for row in rows} - {""}
        assert len(references) <= 1, f"one reference a table: {table}"
        heads = ["row", "seeds", *names, *(f"mAP - {name}" for name in references), "paper"]
        lines = [f"## {table}", ""]
        if self.captions.get(table):
            lines += [self.captions[table], ""]
        lines += [_line(heads), "|---|---:|" + "---:|" * (len(heads) - 3) + "---|"]
        compared = self.kept(self.named(list(references))[0]) if references else None
        lines += [self._row_line(row, names, compared) for row in rows]
        remarks = [f"- {row.title}: {row.remark}" for row in rows if row.remark and self.kept(row)]
        return [*lines, "", *remarks, ""] if remarks else [*lines, ""]

    def _row_line(self, row: Row, names: Sequence[str], compared: Mapping[int, Mapping[str, float]] | None) -> str:
        kept = self.kept(row)
        cells = [_spread([values[name] for values in kept.values() if name in values]) for name in names]
        if compared is not None:
            gains = [values["mAP"] - compared[seed]["mAP"] for seed, values in kept.items() if seed in compared]
            cells.append(_spread(gains if row.name != row.reference else [], sign=True))
        return _line([row.title, str(len(kept) or "not run"), *cells, row.paper])


def key_of(*parts: Any) -> str:
    """A short name of what is given, whatever the order of keys."""
    return digest_of(json.dumps(parts, sort_keys=True).encode())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], sign: bool = False) -> str:
    """Mean and standard deviation: `.9512 ± .0031`."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):{'+' if sign else ''}.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


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
        bench.run(bench.rows[:2])
        print((bench.results / f"{bench.name}.md").read_text("utf-8"))
        print("smoke: it runs; it claims nothing")


def _follow(bench: Bench, chosen: argparse.Namespace) -> None:
    if chosen.table:
        bench.write_table()
    elif chosen.rows and not chosen.cost:
        bench.run(bench.named(chosen.rows.split(",")))
    else:
        seconds = bench.seconds_a_training()
        bench.write_costs(seconds)
        if not chosen.cost:
            bench.run(bench.affordable(seconds))
