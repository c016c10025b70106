"""Figures over runs: means, deviations and correlations of made-up runs, by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.data.dataset import open_dataset
from earmark.errors import InputError
from earmark.evaluation import evaluate_model
from earmark.figures import ChartFigure, Series, TableFigure, write_figure
from earmark.reports.correlations import average_precision_correlations, pearson
from earmark.reports.over_runs import evaluated_runs, learning_curves_over_runs, sorted_average_precision_over_runs
from earmark.reports.render import figure_html
from earmark.reports.run_files import read_run

POSITIVES = {"a": 4, "b": 3, "c": 2, "d": 1}


def run_with(
    folder: Path,
    precisions: dict[str, float | None],
    positives: dict[str, int] = POSITIVES,
    verified: dict[str, float] | None = None,
    **about: object,
) -> Path:
    """A run that was evaluated on test, with these average precisions by tag."""
    rows = [
        {"tag": tag, "positives": positives[tag], "average_precision": value, "low": None, "high": None}
        | ({} if verified is None else {"verified_share": verified[tag]})
        for tag, value in precisions.items()
    ]
    evaluation = {"dataset": "sounds", "split": "test", "labels": "given", "num_clips": 9, "metrics": {}, **about}
    (folder / "evaluation").mkdir(parents=True)
    name = evaluation["split"] if evaluation["labels"] == "given" else f"{evaluation['split']}-{evaluation['labels']}"
    (folder / "evaluation" / f"{name}.json").write_text(json.dumps({**evaluation, "per_tag": rows}))
    return folder


def run_learning(folder: Path, lines: list[tuple[int, float | None]]) -> Path:
    """A run whose lines of `metrics.jsonl` are these epochs and values of lwlrap."""
    folder.mkdir()
    (folder / "settings.json").write_text('{"dataset": "sounds"}')
    records = [{"epoch": epoch, "validation": {"lwlrap": value}} for epoch, value in lines]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def counts_of(run: Path, counts: dict[str, float]) -> None:
    series = [Series(label="clips", x=list(counts), y=list(counts.values()))]
    figure = ChartFigure(kind="bar", title="t", caption="c", alt="a", x_label="tag", y_label="clips", series=series)
    write_figure(run / "figures", "tag-counts", figure)


def sorted_over(runs: list[Path], split: str = "test", labels: str = "given") -> ChartFigure:
    return sorted_average_precision_over_runs({"all": evaluated_runs(runs, split, labels)})


def curves_over(runs: list[Path], metric: str) -> ChartFigure:
    return learning_curves_over_runs({"all": [read_run(run) for run in runs]}, metric)


def correlations_of(runs: list[Path], quality: dict[str, float] | None = None) -> TableFigure:
    return average_precision_correlations(evaluated_runs(runs, "test", "given"), quality)


def test_average_precision_is_sorted_by_its_mean(tmp_path):
    runs = [
        run_with(tmp_path / "one", {"a": 0.25, "b": 0.75, "c": None, "d": 0.5}),
        run_with(tmp_path / "two", {"d": 1.0, "a": 0.5, "b": 0.875, "c": None}),
    ]
    figure = sorted_over(runs)
    (series,) = figure.series
    assert (series.x, series.y) == (["b", "d", "a"], [0.8125, 0.75, 0.375])
    # The deviation of two values is their distance over the square root of two.
    deviation = np.array([0.125, 0.5, 0.25]) / np.sqrt(2)
    assert series.low == pytest.approx(np.array(series.y) - deviation)
    # No precision is over 1, so that no band is either.
    assert series.high == pytest.approx([0.8125 + deviation[0], 1, 0.375 + deviation[2]])
    assert figure.caption == (
        "9 clips of the test split of sounds; mean of 2 runs and its standard deviation over them. Varies most: d "
        "(deviation 0.354). Left out, without positives in a run: c."
    )
    assert "Mean average precision for 3 tags, from b 0.812 down to a 0.375" in figure.alt
    assert "0.812" in figure_html(figure, "sorted")


def test_one_run_has_no_deviation(tmp_path):
    series = sorted_over([run_with(tmp_path / "one", {"a": 0.25})]).series[0]
    assert (series.y, series.low, series.high) == ([0.25], None, None)


def test_runs_on_other_clips_are_told_of(tmp_path):
    runs = [
        run_with(tmp_path / "one", {"a": 0.25}),
        run_with(tmp_path / "two", {"a": 0.75}, dataset="others", num_clips=7),
    ]
    caption = sorted_over(runs).caption
    assert "not the same clips in all runs (one 9 clips of sounds, two 7 clips of others)" in caption


def test_labels_of_a_layer_are_another_evaluation(tmp_path):
    run = run_with(tmp_path / "one", {"a": 0.25}, labels="truth")
    figure = sorted_over([run], labels="truth")
    assert figure.caption.startswith("9 clips of the test split of sounds, labels truth; one run")
    with pytest.raises(InputError, match=r"evaluated on test \(labels given\), it holds test \(labels truth\); run"):
        sorted_over([run])


def test_what_runs_must_share(tmp_path):
    one = run_with(tmp_path / "one", {"a": 0.25, "b": 0.5, "c": 0.5})
    two = run_with(tmp_path / "two", {"a": 0.25, "d": 0.5})
    message = "on the same tags; only one has b, c; only two has d; leave one of them out"
    for runs, split, said in (
        ([one, two], "test", message),
        ([one], "validation", r"one must have been evaluated on validation .* it holds test"),
        ([one, one], "test", "each run must be given once"),
        ([], "test", "at least one run folder"),
    ):
        with pytest.raises(InputError, match=said):
            evaluated_runs(runs, split, "given")
    (two / "evaluation" / "test.json").write_text('{"split": "te')
    with pytest.raises(InputError, match=r"two: evaluation/test.json cannot be read: .*; evaluate the run again"):
        evaluated_runs([one, two], "test", "given")


def test_no_tag_that_all_runs_scored(tmp_path):
    runs = [run_with(tmp_path / "one", {"a": 0.25, "b": None}), run_with(tmp_path / "two", {"a": None, "b": 0.5})]
    with pytest.raises(InputError, match="in the test split of every run, none has"):
        sorted_over(runs)


def test_learning_curves_end_with_the_shortest_run(tmp_path):
    # The first run validated twice in epoch 1, and the second stopped early.
    runs = [
        run_learning(tmp_path / "one", [(1, 0.1), (1, 0.25), (2, 0.5), (3, 0.75), (4, 0.875)]),
        run_learning(tmp_path / "two", [(1, 0.75), (2, 0.5), (3, None)]),
    ]
    figure = curves_over(runs, "lwlrap")
    (series,) = figure.series
    assert (series.x, series.y) == ([1, 2, 3], [0.5, 0.5, None])
    half = 0.5 / np.sqrt(2)
    assert series.low[:2] == pytest.approx([0.5 - half, 0.5])
    assert series.high[:2] == pytest.approx([0.5 + half, 0.5])
    assert (series.low[2], series.high[2]) == (None, None)
    assert figure.caption == (
        "lwlrap on the validation split of sounds; mean of 2 runs and its standard deviation over them: 0.500 after "
        "epoch 1, not finite after epoch 3 (the last epoch that all have; the longest run has 4)."
    )
    assert "<svg" in figure_html(figure, "curves")
    with pytest.raises(InputError, match=r'two.metrics.jsonl has no metric "lwlrup"; did you mean "lwlrap"'):
        curves_over(runs[1:], "lwlrup")


def test_groups_are_a_line_each(tmp_path):
    runs = [
        run_with(tmp_path / name, {"a": first, "b": second})
        for name, first, second in (("one", 0.25, 0.5), ("two", 0.5, 1.0), ("other", 0.25, 0.0))
    ]
    one, two, other = evaluated_runs(runs, "test", "given")
    figure = sorted_average_precision_over_runs({"pair": [one, two], "single": [other]})
    assert figure.kind == "line"
    pair, single = figure.series
    # In the order of the mean over all runs, b (.5) before a (.333).
    assert [(series.label, series.x, series.y) for series in (pair, single)] == [
        ("pair", ["b", "a"], [0.75, 0.375]),
        ("single", ["b", "a"], [0.0, 0.25]),
    ]
    assert pair.high == pytest.approx([1, 0.375 + 0.125 * np.sqrt(2)])
    assert single.low is None
    lines = {"one": [(1, 0.25), (2, 0.5)], "two": [(1, 0.75), (2, 0.5)], "other": [(1, 0.0), (2, 0.25), (3, 0.5)]}
    read = [read_run(run_learning(tmp_path / f"{name}-learns", told)) for name, told in lines.items()]
    curves = learning_curves_over_runs({"pair": read[:2], "single": read[2:]}, "lwlrap")
    assert [(series.label, series.x, series.y) for series in curves.series] == [
        ("pair", [1, 2], [0.5, 0.5]),
        ("single", [1, 2, 3], [0.0, 0.25, 0.5]),
    ]
    assert "pair 0.500 after epoch 1, 0.500 after epoch 2; single 0.000 after epoch 1, 0.500 after" in curves.caption


def test_correlation_is_numpys_where_both_are_known():
    x, y = [1.0, 2, np.nan, 4, 7], [3.0, 1, 5, np.nan, 2]
    assert pearson(x, y) == pytest.approx(np.corrcoef([1, 2, 7], [3, 1, 2])[0, 1])
    assert pearson([1, 2, np.nan], [1, 2, 3]) is None
    assert pearson([0.1, 0.1, 0.1], [1, 2, 3]) is None


def test_correlations_by_hand(tmp_path):
    runs = [
        run_with(tmp_path / "one", {"a": 0.25, "b": 0.5, "c": 0.75, "d": 1.0}),
        run_with(tmp_path / "two", {"d": 0.0, "c": 0.25, "b": 0.5, "a": 0.75}),
        run_with(tmp_path / "three", dict.fromkeys("abcd", 0.5)),
    ]
    counts_of(runs[0], {"a": 1, "b": 3, "c": 2, "d": 4})
    table = correlations_of(runs, quality={"a": 1.0, "b": 0.5, "d": 0.0, "strange": 9.0})
    assert table.columns == ["run", "one", "two", "three", "clips with the tag", "annotation quality"]
    # Training counts of the first run, positives of the others; the quality of three tags, (1, .5, 0) against AP.
    quality = np.corrcoef([0.25, 0.5, 1.0], [1.0, 0.5, 0.0])[0, 1]
    assert [row[0] for row in table.rows] == ["one", "two", "three"]
    assert table.rows[0][1:] == [pytest.approx(1), pytest.approx(-1), None, pytest.approx(0.8), pytest.approx(quality)]
    assert table.rows[1][1:5] == [pytest.approx(-1), pytest.approx(1), None, pytest.approx(1)]
    assert table.rows[2][1:] == [None] * 5
    assert "over 4 tags" in table.caption
    assert "training clips, but the evaluated ones for two, three: no figures/tag-counts.json." in table.caption
    assert "Annotation quality is as given, known for 3 of the tags." in table.caption
    assert "Null: fewer than 3 tags, or values that do not vary." in table.caption
    assert "three" in figure_html(table, "correlations")


def test_quality_is_the_verified_share_where_the_evaluation_has_it(tmp_path):
    precisions = {"a": 0.25, "b": 0.5, "c": 1.0, "d": 1.0}
    plain = correlations_of([run_with(tmp_path / "one", precisions)])
    assert plain.columns == ["run", "one", "clips with the tag"]
    assert "the evaluated ones: no run holds figures/tag-counts.json." in plain.caption
    assert "Null" not in plain.caption
    shares = {"a": 0.5, "b": 0.625, "c": 0.875, "d": 0.875}
    table = correlations_of([run_with(tmp_path / "two", precisions, verified=shares)])
    assert table.rows[0][-1] == pytest.approx(1)
    assert "Annotation quality is the share of a tag's clips that people verified." in table.caption


def test_two_tags_have_no_correlation(tmp_path):
    table = correlations_of([run_with(tmp_path / "one", {"a": 0.25, "b": 0.5})])
    assert table.rows == [["one", None, None]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_clips": 8}, "one was on 9 clips of sounds, two on 8 of sounds"),
        ({"dataset": "others"}, "one was on 9 clips of sounds, two on 9 of others"),
        ({"positives": {**POSITIVES, "b": 5}}, "one and two have different numbers of positives: b 3 and 5"),
    ],
)
def test_models_are_correlated_on_the_same_clips_only(tmp_path, changes, message):
    precisions = {"a": 0.25, "b": 0.5, "c": 1.0}
    runs = [run_with(tmp_path / "one", precisions), run_with(tmp_path / "two", precisions, **changes)]
    with pytest.raises(InputError, match=message):
        correlations_of(runs)


def test_counts_that_lack_a_tag_or_cannot_be_read(tmp_path):
    run = run_with(tmp_path / "one", {"a": 0.25, "b": 0.5, "c": 1.0})
    counts_of(run, {"a": 1, "b": 3})
    with pytest.raises(InputError, match="must count all evaluated tags, it lacks c; remove it"):
        correlations_of([run])
    (run / "figures" / "tag-counts.json").write_text("{")
    with pytest.raises(InputError, match=r"one: figures/tag-counts.json cannot be shown: .*; remove it"):
        correlations_of([run])


def test_folders_of_one_name_are_told_apart_by_their_path(tmp_path):
    precisions = {"a": 0.25, "b": 0.5, "c": 1.0}
    runs = [run_with(tmp_path / "x" / "run", precisions), run_with(tmp_path / "y" / "run", precisions)]
    assert correlations_of(runs).columns[1:3] == [str(run) for run in runs]


def test_a_real_run(small_run, small_dataset):
    found = evaluate_model(small_run, open_dataset(small_dataset), split="test", device=torch.device("cpu"))
    series = sorted_over([small_run]).series[0]
    precisions = {row["tag"]: row["average_precision"] for row in found["per_tag"]}
    assert dict(zip(series.x, series.y, strict=True)) == precisions
    lines = [json.loads(line) for line in (small_run / "metrics.jsonl").read_text().splitlines()]
    curve = curves_over([small_run], "mean_average_precision").series[0]
    assert curve.y == [line["validation"]["mean_average_precision"] for line in lines]
    assert correlations_of([small_run]).rows[0][0] == small_run.name
