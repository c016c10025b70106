"""The harness of the methods' benchmarks: rows are run once, never mixed, and tables say what was not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness import Bench, Row, main
from earmark.data.dataset import open_dataset
from earmark.errors import InputError


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


def run(bench: Bench, *arguments: str) -> None:
    """The command line over a bench."""
    main(lambda scale, work, results: bench, arguments)


def table_of(bench: Bench) -> list[str]:
    return (bench.results / "some_bench.md").read_text().splitlines()


def test_rows_are_run_once_and_differences_are_paired(bench: Bench, asked: list[tuple[str, int]]) -> None:
    bench.run(bench.rows[:2])
    bench.run(bench.rows[:2])
    assert asked == [(name, seed) for name in ("all", "less") for seed in (0, 1, 2)]
    kept = json.loads((bench.results / "some_bench" / "all.json").read_text())
    assert kept["seeds"] == {"0": {"mAP": 0.8}, "1": {"mAP": 0.81}, "2": {"mAP": 0.82}}
    assert kept["settings"]["epochs"] == 1
    assert "batch_size" in kept["settings"]
    lines = table_of(bench)
    assert "| everything | 3 | 0.8100 ± 0.0100 |  | mAP .5 |" in lines
    assert "| without it | 3 | 0.7100 ± 0.0100 | -0.1000 ± 0.0000 |  |" in lines
    assert "| something else | not run |  |" in lines
    assert "Made by `make bench-some-bench`" in "\n".join(lines)


def test_a_table_says_with_which_row_it_compares(bench: Bench) -> None:
    bench.run(bench.rows)
    heads = [line for line in table_of(bench) if line.startswith("| row |")]
    assert heads == ["| row | seeds | mAP | mAP - all | paper |", "| row | seeds | mAP | paper |"]


def test_a_remark_stands_under_the_table_once_there_are_values(bench: Bench) -> None:
    bench.run(bench.rows[:2])
    lines = table_of(bench)
    assert lines.index("- without it: Too few clips.") < lines.index("## Other")
    assert "Never said." not in "\n".join(lines)


@pytest.mark.parametrize(
    "change", [{"settings": {"epochs": 2}}, {"made_of": {"missing_rate": 0.3}}, {"recipe": "psla"}]
)
def test_values_of_other_settings_are_run_anew_and_not_mixed(
    bench: Bench, asked: list[tuple[str, int]], change: dict[str, object]
) -> None:
    bench.run(bench.rows[:1])
    asked.clear()
    other = replace(bench, **change)
    other.run(other.rows[:1], seeds=[1])
    assert asked == [("all", 1)]
    assert list(other.kept(other.rows[0])) == [1]
    assert bench.kept(bench.rows[0]) == {}


def test_a_setting_that_says_its_default_is_no_other_setting(bench: Bench) -> None:
    assert replace(bench, settings={"epochs": 1, "batch_size": 32}).digest == bench.digest


def test_seconds_add_up_where_work_was_broken_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 5.0, 100.0, 102.5])
    monkeypatch.setattr("benchmarks.harness.time.perf_counter", lambda: next(now))
    with pytest.raises(KeyboardInterrupt), bench.timed("a"):
        raise KeyboardInterrupt
    with bench.timed("a"):
        pass
    assert json.loads((bench.work / "seconds" / "a.json").read_text()) == 7.5


def test_the_cost_of_a_row_counts_work_that_was_done_before(bench: Bench) -> None:
    (bench.work / "seconds").mkdir(parents=True)
    (bench.work / "seconds" / "training-0.json").write_text("120.0")
    # The first row, two trainings.
    assert bench.seconds_a_training() == 60
    assert list(bench.kept(bench.rows[0])) == [0]


def test_named_rows_need_no_costs(bench: Bench, asked: list[tuple[str, int]]) -> None:
    run(bench, "--rows", "less")
    assert asked == [("less", 0), ("less", 1), ("less", 2)]
    assert not (bench.results / "some_bench-cost.md").exists()


def test_the_cost_is_told_whether_or_not_the_first_row_is_kept(bench: Bench, asked: list[tuple[str, int]]) -> None:
    run(bench, "--cost")
    run(bench, "--cost")
    assert asked == [("all", 0)]
    assert (bench.results / "some_bench-cost.md").exists()


def test_all_rows_are_run_where_they_fit(bench: Bench, asked: list[tuple[str, int]]) -> None:
    run(bench)
    assert sorted(asked) == [(name, seed) for name in ("all", "less", "more") for seed in (0, 1, 2)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table"], "no row is kept of today's settings; run the benchmark first"),
        (["--rows", "less,les"], 'unknown row "les'),
    ],
)
def test_what_cannot_be_done_is_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(bench, *arguments)
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_an_unknown_row_is_refused_before_any_is_run(bench: Bench) -> None:
    with pytest.raises(InputError, match=r'unknown row "mor" of some_bench; did you mean "more"\?'):
        bench.named(["all", "mor"])


def test_rows_that_do_not_fit_an_hour_are_dropped_last_first(bench: Bench) -> None:
    # 240 s a training: 24 minutes, then 12, then 36.
    assert [row.name for row in bench.affordable(240)] == ["all", "less"]
    bench.write_costs(240)
    lines = (bench.results / "some_bench-cost.md").read_text().splitlines()
    assert "| without it | 1 | 3 | 12.0 | 36.0 |  |" in lines
    assert "| something else | 3 | 3 | 36.0 | 72.0 | dropped |" in lines


def test_a_training_is_another_one_where_anything_it_depends_on_differs(
    bench: Bench, small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    monkeypatch.setattr("benchmarks.harness.run_recipe", lambda recipe, request, settings: trained.append(request.run))
    bed = open_dataset(small_dataset)
    ask = {"test_fold": 1, "seed": 0}
    first = bench.run_of(bed, {}, **ask)
    # 32 is the default.
    assert bench.run_of(bed, {"batch_size": 32}, **ask) == first
    others = [
        bench.run_of(bed, {"batch_size": 16}, **ask),
        bench.run_of(bed, {}, **{**ask, "test_fold": 2}),
        bench.run_of(bed, {}, **{**ask, "seed": 1}),
        bench.run_of(replace(bed, clips=bed.clips.slice(1), _labels={"given": bed.labels()}), {}, **ask),
    ]
    assert len({first, *others}) == 5
    assert len(trained) == 6
