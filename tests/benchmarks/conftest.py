"""A benchmark of made-up rows, and what was asked of it."""

from collections.abc import Callable, Iterable, Sized
from pathlib import Path

import pytest

from benchmarks.harness import Bench, Row


@pytest.fixture
def asked() -> list[tuple[str, int]]:
    """Which rows were run, by name and seed."""
    return []


@pytest.fixture
def bench(tmp_path: Path, asked: list[tuple[str, int]]) -> Bench:
    def values(name: str, base: float) -> Callable[[Bench, int], dict[str, float]]:
        def of(bench: Bench, seed: int) -> dict[str, float]:
            asked.append((name, seed))
            with bench.timed(f"training-{seed}"):
                return {"mAP": base + seed / 100}

        return of

    rows = [
        Row("all", "everything", "Ablation", values("all", 0.8), 2, "mAP .5", reference="all"),
        Row("less", "without it", "Ablation", values("less", 0.7), 1, reference="all", remark="Too few clips."),
        Row("more", "something else", "Other", values("more", 0.9), 3, remark="Never said."),
    ]
    return Bench(
        "some_bench", "A title", rows, "baseline", {"epochs": 1}, (0, 1, 2), tmp_path / "work", tmp_path / "results"
    )


def row_of(bench: Bench, name: str) -> Row:
    return bench.named([name])[0]


def trainings_by_row(bench: Bench, rows: Iterable[Row], asked: Sized) -> dict[str, int]:
    """How many trainings each row asks for that no row before it did."""
    trainings = {}
    for row in rows:
        before = len(asked)
        row.values(bench, 0)
        trainings[row.name] = len(asked) - before
    return trainings
