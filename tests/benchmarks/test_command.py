"""The command line of benchmarks: which rows are run, and what is refused."""

from dataclasses import replace

import pytest

from benchmarks.command import main, seconds_a_training
from benchmarks.harness import Bench
from earmark.errors import InputError


def run(bench: Bench, *arguments: str) -> None:
    """The command line over a bench."""
    main(lambda scale, work, results: bench, arguments)


def test_the_cost_of_a_row_counts_work_that_was_done_before(bench: Bench) -> None:
    (bench.work / "seconds").mkdir(parents=True)
    (bench.work / "seconds" / "training-0.json").write_text("120.0")
    # The first row, two trainings.
    assert seconds_a_training(bench) == 60
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


def test_a_row_without_what_it_needs_is_left_out_and_refused_by_name(
    bench: Bench, asked: list[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    bench = replace(bench, rows=[*bench.rows[:2], replace(bench.rows[2], missing="SOUNDS=PATH")])
    run(bench)
    assert {name for name, _ in asked} == {"all", "less"}
    cost = (bench.results / "some_bench-cost.md").read_text()
    assert "| something else | 3 | 3 | 0.0 | 0.0 | needs SOUNDS=PATH |" in cost
    assert "| something else | not run |" in (bench.results / "some_bench.md").read_text()
    with pytest.raises(SystemExit):
        run(bench, "--rows", "less,more")
    assert capsys.readouterr().err == 'row "more" of some_bench needs SOUNDS=PATH\n'
