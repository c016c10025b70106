"""The page of several runs: what over_runs, run_groups and correlations draw, and what they refuse."""

import json

import pytest

from earmark.comparison import compare_runs
from earmark.errors import InputError
from earmark.figures import read_figure
from earmark.reports.compare_page import write_compare_page
from earmark.reports.correlations import average_precision_correlations
from earmark.reports.figures_page import Section
from earmark.reports.over_runs import evaluated_runs, learning_curves_over_runs, sorted_average_precision_over_runs
from earmark.reports.run_groups import ablation_table, grouped_but_for_seed
from earmark.scores.evaluated import evaluated_events_path
from tests.made_runs import scores_for, some_truth, write_evaluated_run, write_event_evaluation
from tests.reports.page_numbers import assert_numbers_are_those_beside
from tests.reports.test_over_runs import run_with
from tests.reports.test_run_page import Outline, words

PRECISIONS = {"a": 0.25, "b": 0.5, "c": 0.75, "d": 1.0}
LINES = '{"epoch": 1, "validation": {"mean_average_precision": 0.25}}\n'


@pytest.fixture
def runs(tmp_path):
    """Two of one kind with other seeds, and one trained for longer."""
    truth = some_truth()
    return [
        write_evaluated_run(
            tmp_path / name, truth, scores_for(truth, gain, seed=seed), settings={"epochs": epochs, "mixup_rate": 0.5},
            seed=seed, validations=(0.25, gain / 4),
        )
        for name, gain, seed, epochs in (("one", 1.0, 0, 2), ("two", 1.2, 1, 2), ("long", 2.0, 0, 8))
    ]  # fmt: skip


def found_of(runs, split="test", labels="given"):
    return evaluated_runs(runs, split, labels)


def page_of(runs, tmp_path):
    found = found_of(runs)
    paired = compare_runs({run.name: run.files.folder for run in found}, "test", "given")
    sections = [Section("Paired differences", paired.differences, lines=paired.lines), Section("Gains", paired.gains)]
    return write_compare_page(found, tmp_path / "page.html", sections), paired


def test_figures_are_those_over_runs(runs, tmp_path):
    folder, paired = page_of(runs, tmp_path)
    found = found_of(runs)
    groups = grouped_but_for_seed(found)
    shown = {path.stem: read_figure(path) for path in folder.iterdir()}
    metric, metrics = shown.pop("metric"), shown.pop("metrics")
    assert shown == {
        **dict(paired.differences),
        **dict(paired.gains),
        "settings": ablation_table(found),
        "average-precision": sorted_average_precision_over_runs(groups),
        "learning-curves": learning_curves_over_runs(
            {label: [run.files for run in members] for label, members in groups.items()}, "mean_average_precision"
        ),
        "correlations": average_precision_correlations(found),
    }
    evaluations = {run.name: json.loads((run / "evaluation" / "test.json").read_text())["metrics"] for run in runs}
    assert metrics.rows[:3] == [
        ["mAP", name, *one["mean_average_precision"].values()] for name, one in evaluations.items()
    ]
    assert metric.series[0].y == [one["mean_average_precision"]["value"] for one in evaluations.values()]
    assert metric.series[0].low == [one["mean_average_precision"]["low"] for one in evaluations.values()]
    outline = Outline((tmp_path / "page.html").read_text("utf-8"))
    assert outline.open == []
    said = words(outline)
    assert "one, two, long" in said
    assert "3 runs, evaluated on 40 clips of the test split of sounds." in said


def test_numbers_on_the_page_are_those_beside_it(runs, tmp_path):
    page_of(runs, tmp_path)
    assert_numbers_are_those_beside(tmp_path / "page.html", least_tables=12)


def test_runs_that_differ_in_their_seed_alone_are_one_group(runs, tmp_path):
    one, two, long = found_of(runs)
    assert grouped_but_for_seed([one, long, two]) == {"one and 1 more": [one, two], "long": [long]}
    # Which clips a run was validated on follows from its seed.
    record = json.loads((runs[0] / "settings.json").read_text())
    (runs[0] / "settings.json").write_text(json.dumps(record | {"splits": "0123", "seed": 7}))
    assert list(grouped_but_for_seed(found_of(runs))) == ["one and 1 more", "long"]
    (runs[0] / "settings.json").write_text(json.dumps(record | {"labels": "enhanced"}))
    assert list(grouped_but_for_seed(found_of(runs))) == ["one", "two", "long"]
    # Nothing is known of these, and so not that they differ in their seed alone.
    for run in runs:
        (run / "settings.json").unlink()
    assert list(grouped_but_for_seed(found_of(runs))) == ["one", "two", "long"]
    folder, _ = page_of(runs, tmp_path)
    assert [series.low for series in read_figure(folder / "learning-curves.json").series] == [None] * 3


def test_settings_that_differ_stand_beside_the_metrics(runs):
    record = json.loads((runs[2] / "settings.json").read_text())
    record["settings"] |= {"mixup_rate": 0.5, "schedule": {"warmup": 3, "steps": [1, 2]}, "pretrained": True}
    (runs[2] / "settings.json").write_text(json.dumps(record))
    found = found_of(runs)
    table = ablation_table(found)
    settings = ["seed", "epochs", "schedule.warmup", "schedule.steps", "pretrained"]
    assert table.columns[:6] == ["run", *settings]
    assert [row[:6] for row in table.rows] == [
        ["one", 0, 2, None, None, None],
        ["two", 1, 2, None, None, None],
        ["long", 0, 8, 3, "[1, 2]", "true"],
    ]
    metrics = found[0].evaluation.metrics
    assert len(table.columns) == 6 + len(metrics)
    assert table.rows[0][6:] == [metric.value for metric in metrics.values()]
    assert "5 settings differ, of 7." in table.caption
    (runs[0] / "settings.json").unlink()
    assert "Without settings.json: one." in ablation_table(found_of(runs)).caption


def test_runs_without_curves_are_compared_all_the_same(runs, tmp_path):
    (runs[1] / "metrics.jsonl").unlink()
    folder, _ = page_of(runs, tmp_path)
    assert [series.y for series in read_figure(folder / "learning-curves.json").series] == [[0.25, 0.5]]
    said = words(Outline((tmp_path / "page.html").read_text("utf-8")))
    assert "No learning curve of one and 1 more:" in said
    assert 'metrics.jsonl has no metric "mean_average_precision"' in said
    for run in (runs[0], runs[2]):
        (run / "metrics.jsonl").unlink()
    folder, _ = page_of(runs, tmp_path)
    assert not (folder / "learning-curves.json").exists()


def test_runs_on_other_clips_or_splits_are_refused(tmp_path):
    """By what the evaluations say, where the scores are not there to tell more."""
    runs = [run_with(tmp_path / "one", PRECISIONS), run_with(tmp_path / "two", PRECISIONS | {"a": 0.5})]
    other = run_with(tmp_path / "other", PRECISIONS, num_clips=8)
    with pytest.raises(InputError, match="one was on 9 clips of sounds, other on 8 of sounds; leave one of them out"):
        write_compare_page(found_of([runs[0], other]), tmp_path / "page.html")
    with pytest.raises(InputError, match="must have been evaluated on validation"):
        found_of(runs, split="validation")
    with pytest.raises(InputError, match=r"must have been evaluated on test \(labels truth\)"):
        found_of(runs, labels="truth")
    assert not (tmp_path / "page.html").exists()
    assert not (tmp_path / "page-figures").exists()
    # No metric, no curve and no setting is known of these; they have their tags.
    folder = write_compare_page(found_of(runs), tmp_path / "page.html")
    assert sorted(path.stem for path in folder.iterdir()) == ["average-precision", "correlations", "settings"]


def test_event_metrics_stand_side_by_side_with_those_of_tags(runs, tmp_path):
    for run, gain in zip(runs, (1.0, 2.0, 3.0), strict=True):
        write_event_evaluation(run, gain, resamples=20)
    folder, paired = page_of(runs, tmp_path)
    evaluations = {run.name: json.loads((run / "evaluation" / "events" / "test.json").read_text()) for run in runs}
    table, chart = (read_figure(folder / f"{name}-events.json") for name in ("metrics", "metric"))
    shown = {(row[0], row[1]): row[2:] for row in table.rows}
    for word, metric in (
        ("collar-based F1", "collar_based_f1"), ("segment-based F1", "segment_based_f1"),
        ("intersection-based F1", "intersection_based_f1"), ("PSDS 1", "psds_1"), ("PSDS 2", "psds_2"),
    ):  # fmt: skip
        for name, one in evaluations.items():
            assert shown[word, name] == list(one["metrics"][metric].values())
    assert chart.title == "collar-based F1"
    assert chart.series[0].y == [one["metrics"]["collar_based_f1"]["value"] for one in evaluations.values()]
    assert table.caption.startswith("12 clips of the test split of sounds with times; 95% intervals")
    for name in ("differences-events", "paired-differences-events"):
        assert read_figure(folder / f"{name}.json") == dict(paired.differences)[name]
    outline = Outline((tmp_path / "page.html").read_text("utf-8"))
    assert "No event metrics" not in words(outline)
    assert "Decided by" not in words(outline)
    assert_numbers_are_those_beside(tmp_path / "page.html", least_tables=16)


def test_which_runs_have_no_event_metrics_is_one_line(runs, tmp_path):
    page_of(runs, tmp_path)
    assert "events" not in (tmp_path / "page.md").read_text("utf-8")
    write_event_evaluation(runs[1], resamples=20)
    folder, _ = page_of(runs, tmp_path)
    said = words(Outline((tmp_path / "page.html").read_text("utf-8")))
    made = f"`earmark evaluate {runs[0]} DATASET --events --split test` makes them."
    assert f"No event metrics: one, long; {made}" in said
    assert {row[1] for row in read_figure(folder / "metrics-events.json").rows} == {"two"}
    assert not (folder / "paired-differences-events.json").exists()


def test_runs_decided_otherwise_are_told_apart(runs, tmp_path):
    for run, tuned in zip(runs, ({"criterion": "collar"}, None, None), strict=True):
        write_event_evaluation(run, resamples=20, tuned=tuned)
    page_of(runs, tmp_path)
    said = words(Outline((tmp_path / "page.html").read_text("utf-8")))
    assert "Decided by tuned thresholds and median filters: one; at a score of .5 without a filter: two, long." in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_clips": 9},
            "events of runs must be evaluated on the same clips: one was on 12 clips of sounds, two",
        ),
        ({"tags": ("Bark", "Hum", "Tock")}, "of events: Tick [0-9]+ and none, Tock none and [0-9]+; leave one of them"),
    ],
)
def test_other_events_are_refused_by_their_counts_where_nothing_more_is_kept(runs, tmp_path, changes, message):
    write_event_evaluation(runs[0], resamples=20)
    write_event_evaluation(runs[1], resamples=20, **changes)
    evaluated_events_path(runs[1], "test", "given").unlink()
    with pytest.raises(InputError, match=message):
        page_of(runs, tmp_path)
    assert not (tmp_path / "page.html").exists()
    (runs[1] / "evaluation" / "events" / "test.json").write_text("{", "utf-8")
    with pytest.raises(
        InputError, match=r"two: evaluation/events/test.json cannot be read: .*; evaluate the run again"
    ):
        page_of(runs, tmp_path)
