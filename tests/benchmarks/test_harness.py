"""The harness of the methods' benchmarks: rows are run once, tables say what was not."""

import json
from pathlib import Path

import pytest

from benchmarks.harness import Bench, Row


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    asked: list[tuple[str, int]] = []

    def values(name: str, base: float):
        def of(bench: Bench, seed: int) -> dict[str, float]:
            asked.append((name, seed))
            return {"mAP": base + seed / 100}

        return of

    rows = [
        Row("all", "everything", "Ablation", values("all", 0.8), 2, "mAP .5"),
        Row("less", "without it", "Ablation", values("less", 0.7), 1),
        Row("more", "something else", "Other", values("more", 0.9), 3),
    ]
    made = Bench("some_bench", "A title", rows, "all", {"epochs": 1}, (0, 1, 2), tmp_path / "work", tmp_path)
    made.asked = asked  # type: ignore[attr-defined]
    return made


def test_rows_are_run_once_and_differences_are_paired(bench: Bench) -> None:
    bench.run(bench.rows[:2])
    bench.run(bench.rows[:2])
    assert bench.asked == [(name, seed) for name in ("all", "less") for seed in (0, 1, 2)]  # type: ignore[attr-defined]
    kept = json.loads((bench.results / "some_bench" / "all.json").read_text())
    assert kept["seeds"] == {"0": {"mAP": 0.8}, "1": {"mAP": 0.81}, "2": {"mAP": 0.82}}
    assert kept["settings"] == {"epochs": 1}
    lines = (bench.results / "some_bench.md").read_text().splitlines()
    assert "| everything | 3 | 0.8100 ± 0.0100 |  | mAP .5 |" in lines
    assert "| without it | 3 | 0.7100 ± 0.0100 | -0.1000 ± 0.0000 |  |" in lines
    assert "| something else | not run | |  |" in lines
    assert "Made by `make bench-some-bench`" in "\n".join(lines)


def test_rows_that_do_not_fit_an_hour_are_dropped_last_first(bench: Bench) -> None:
    # 240 s a training: 24 minutes, then 12, then 36.
    assert [row.name for row in bench.affordable(240)] == ["all", "less"]
    bench.write_costs(240)
    lines = (bench.results / "some_bench-cost.md").read_text().splitlines()
    assert "| without it | 1 | 3 | 12.0 | 36.0 |  |" in lines
    assert "| something else | 3 | 3 | 36.0 | 72.0 | dropped |" in lines
