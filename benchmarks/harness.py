"""What the methods' benchmarks share: rows, seeds, trainings that are kept, values as JSON.

A row is a line of a table. It is run once a seed, seed i on its own test bed with its own test fold, and its values are
kept in `results/BENCH/ROW.json`; a row that is there is not run again unless the benchmark's settings have changed.
Trainings are kept in `work/`, named by all that they depend on, so that rows share them and a killed run goes on.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.naming import named_rows
from earmark.config import settings_from, values_of
from earmark.data.dataset import Dataset
from earmark.data.splits import Splits
from earmark.environment import machine_name, today
from earmark.figures import ChartFigure
from earmark.files import digest_of, read_json, write_json
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        values: given the bench and a seed, named figures; what begins with "~" is kept and stands in no table.
        trainings: what it costs beside what rows before it trained, scoring included; one is a training with all of the
            training clips.
        paper: the paper's own line, as text; "" where it has none.
        table: the heading that the row stands under.
        reference: the row that its mAP is compared with, the same in all of a table; "" for none.
        remark: what is to be said of its values, such as the likely reason why something does not help.
        missing: what it needs and was not given, such as a folder; "" where it can be run.
    """

    name: str
    title: str
    table: str
    values: Callable[["Bench", int], Mapping[str, float]]
    trainings: float
    paper: str = ""
    reference: str = ""
    remark: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Learning:
    """A way to train that rows change a little: a recipe, and its settings where they are not the defaults."""

    recipe: str
    settings: Mapping[str, Any]

    def resolved(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All settings of a training, defaults included."""
        recipe = find_recipe(self.recipe)
        return values_of(settings_from(recipe.settings, self.settings, changes or {}, where=f"recipe {recipe.name}"))


@dataclass
class Bench:
    """One method's benchmark.

    Attributes:
        rows: most important first; the first one is timed, and says what the others cost.
        recipe, settings: of every training at this scale that names no other.
        made_of: what values depend on beside: how test beds are made, what the rows change.
        captions: what is to be said under a table's heading.
        others: trainings by other recipes or settings, by name.
        pictures: by table: given its rows, charts of what is kept of them, by the names of their files.
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
    others: Mapping[str, Learning] = field(default_factory=dict)
    pictures: Mapping[str, Callable[["Bench", Sequence[Row]], Mapping[str, ChartFigure]]] = field(default_factory=dict)
    _pieces: set[str] = field(default_factory=set, repr=False)

    def learning(self, name: str | None = None) -> Learning:
        """What trains under a name among `others`; the bench's own recipe without one."""
        return Learning(self.recipe, self.settings) if name is None else self.others[name]

    def resolved(self, changes: Mapping[str, Any] | None = None, learning: str | None = None) -> dict[str, Any]:
        """All settings of a training, defaults included."""
        return self.learning(learning).resolved(changes)

    @property
    def digest(self) -> str:
        """A short name of all that rows' values depend on: values with another one are not mixed with these."""
        others = {name: [self.others[name].recipe, self.resolved(learning=name)] for name in self.others}
        return key_of(self.recipe, self.resolved(), dict(self.made_of), *([others] if others else []))

    def run_of(
        self,
        bed: Dataset,
        changes: Mapping[str, Any],
        *,
        test_fold: int | None = None,
        layer: str = "given",
        seed: int = 0,
        splits: Splits | None = None,
        learning: str | None = None,
        teacher: Path | None = None,
        init: Path | None = None,
    ) -> Path:
        """The run of a recipe with its settings and some changes; trained unless it is there.

        Args:
            learning: which of `others` trains; None for the bench's own recipe.
            teacher, init: a folder in `work`, whose name tells all that it depends on.
        """
        recipe, settings = self.learning(learning).recipe, self.resolved(changes, learning)
        parts = [bed.digest, bed.labels(layer).digest, test_fold, seed, splits.digest if splits else None]
        given = {name: path.name for name, path in (("teacher", teacher), ("init", init)) if path is not None}
        run = self.work / "runs" / f"{bed.name}-{key_of(recipe, settings, *parts, *([given] if given else []))}"
        with self.timed(run.name):
            if not (run / "model" / "config.json").exists():
                request = Request(
                    dataset=bed, run=run, layer=layer, test_fold=test_fold, seed=seed, resume=True, splits=splits,
                    init=init, teacher=teacher,
                )  # fmt: skip
                run_recipe(find_recipe(recipe), request, settings)
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
        return named_rows(self.rows, names, self.name)

    def run_row(self, row: Row, seed: int) -> None:
        """Runs a row for a seed and keeps its values, with the seconds of all that it needs."""
        self._pieces.clear()
        measured = {name: float(value) for name, value in row.values(self, seed).items()}
        # What is not defined, such as the precision of no decisions, is not there.
        values = {name: round(value, 5) for name, value in measured.items() if math.isfinite(value)}
        seconds = round(sum(self._seconds_of(piece) for piece in self._pieces), 1)
        shown = {name: value for name, value in values.items() if not name.startswith("~")}
        print(f"{row.name} seed {seed}: {shown} (needs {seconds / 60:.1f} min of work)", flush=True)
        before = self.record(row)
        record = {
            "row": row.name, "title": row.title, "date": today(), "machine": machine_name(torch.device("cpu")),
            "threads": torch.get_num_threads(),  # training rounds otherwise with another number
            "digest": self.digest, "settings": self.resolved(), "made_of": dict(self.made_of),
            "seeds": {**before.get("seeds", {}), str(seed): values},
            "seconds": {**before.get("seconds", {}), str(seed): seconds},
        }  # fmt: skip
        write_json(self.path_of(row), record)


def key_of(*parts: Any) -> str:
    """A short name of what is given, whatever the order of keys."""
    return digest_of(json.dumps(parts, sort_keys=True).encode())
