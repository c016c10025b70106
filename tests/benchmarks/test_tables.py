"""The tables of benchmarks: values, differences and what was not run; what rows cost."""

import json
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.command import run_rows
from benchmarks.harness import Bench, Row
from benchmarks.tables import affordable, write_costs
from earmark.figures import ChartFigure, Series, read_figure


def table_of(bench: Bench) -> list[str]:
    return (bench.results / "some_bench.md").read_text().splitlines()


def test_rows_are_run_once_and_differences_are_paired(bench: Bench, asked: list[tuple[str, int]]) -> None:
    run_rows(bench, bench.rows[:2])
    run_rows(bench, bench.rows[:2])
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
    run_rows(bench, bench.rows)
    heads = [line for line in table_of(bench) if line.startswith("| row |")]
    assert heads == ["| row | seeds | mAP | mAP - all | paper |", "| row | seeds | mAP | paper |"]


def test_a_remark_stands_under_the_table_once_there_are_values(bench: Bench) -> None:
    run_rows(bench, bench.rows[:2])
    lines = table_of(bench)
    assert lines.index("- without it: Too few clips.") < lines.index("## Other")
    assert "Never said." not in "\n".join(lines)


def test_rows_that_do_not_fit_an_hour_are_dropped_last_first(bench: Bench) -> None:
    # 240 s a training: 24 minutes, then 12, then 36.
    assert [row.name for row in affordable(bench, 240)] == ["all", "less"]
    write_costs(bench, 240)
    lines = (bench.results / "some_bench-cost.md").read_text().splitlines()
    assert "| without it | 1 | 3 | 12.0 | 36.0 |  |" in lines
    assert "| something else | 3 | 3 | 36.0 | 72.0 | dropped |" in lines


def test_counts_and_per_cent_have_one_decimal(bench: Bench) -> None:
    def values(bench: Bench, seed: int) -> dict[str, float]:
        return {"mAP": 0.8, "clips": 75 + seed, "added %": 7.25, "tags a clip": 1.5, "undefined": float("nan")}

    bench = replace(bench, rows=[replace(bench.rows[0], values=values, remark="")])
    run_rows(bench, bench.rows)
    assert "| row | seeds | mAP | clips | added % | tags a clip | mAP - all | paper |" in table_of(bench)
    assert "| everything | 3 | 0.8000 ± 0.0000 | 76.0 ± 1.0 | 7.2 ± 0.0 | 1.5000 ± 0.0000 |  | mAP .5 |" in table_of(
        bench
    )


def test_hidden_figures_are_kept_and_stand_in_no_table_and_gains_have_their_sign(bench: Bench) -> None:
    def values(bench: Bench, seed: int) -> dict[str, float]:
        return {"mAP": 0.5, "mAP gain": 0.25, "~loss at 3": 2.0}

    bench = replace(bench, rows=[replace(bench.rows[2], values=values)])
    run_rows(bench, bench.rows)
    assert bench.kept(bench.rows[0])[1]["~loss at 3"] == 2
    lines = table_of(bench)
    assert "| row | seeds | mAP | mAP gain | paper |" in lines
    assert any(line.startswith("| something else | 3 | 0.5000 ± 0.0000 | +0.2500 ± 0.0000 |") for line in lines)


def test_pictures_stand_under_their_table(bench: Bench) -> None:
    def draw(bench: Bench, rows: Sequence[Row]) -> dict[str, ChartFigure]:
        values = [bench.kept(row)[0]["mAP"] for row in rows if bench.kept(row)]
        series = [Series(label="mAP", x=[1.0, 2.0][: len(values)], y=list(values))]
        words = {"title": "A chart", "caption": "What to notice.", "alt": "In words."}
        return {"chart": ChartFigure(kind="line", x_label="row", y_label="mAP", series=series, **words)}

    bench = replace(bench, pictures={"Ablation": draw})
    run_rows(bench, bench.rows[:2], [0])
    lines = table_of(bench)
    place = lines.index("![In words.](some_bench/figures/chart.svg)")
    assert lines.index("| without it | 1 | 0.7000 | -0.1000 |  |") < place < lines.index("## Other")
    assert lines[place + 2] == "What to notice."
    folder = bench.results / "some_bench" / "figures"
    assert read_figure(folder / "chart.json").series[0].y == [0.8, 0.7]
    assert "A chart" in (folder / "chart.svg").read_text()
