"""Runs held against each other by their events, on made-up scores, and what must be the same in all of them."""

import re

import numpy as np
import pytest

from earmark.comparison import compare_runs
from earmark.errors import InputError
from earmark.events.evaluation import PSDS
from earmark.metrics.criteria import CRITERIA
from earmark.metrics.detection import DetectionCounts, detection_scores
from earmark.metrics.paired import paired_differences
from earmark.metrics.psds import psds
from earmark.metrics.resampling import draw_resamples
from earmark.scores.evaluated import evaluated_events_path
from tests.made_runs import scores_for, some_truth, write_evaluated_run, write_event_evaluation
from tests.metrics.test_psds_bootstrap import repeated

TRUTH = some_truth()
F1 = ("collar-based F1", "segment-based F1", "intersection-based F1")


def made(tmp_path, *names):
    return {
        name: write_evaluated_run(tmp_path / name, TRUTH, scores_for(TRUTH, seed=place))
        for place, name in enumerate(names)
    }


def compared(runs):
    return compare_runs(runs, "test", "given")


def tables_of(found):
    return {name: figure for name, figure in found.differences if name.startswith("paired-")}


def slow_values(results, times):
    """Every metric of clips repeated so often."""
    values = []
    for criterion in CRITERIA.values():
        counts = criterion.counts(results.reference, results.decided)
        parts = (counts.true_positives, counts.false_positives, counts.num_reference)
        scores = detection_scores(DetectionCounts(*(np.repeat(part, times, axis=0) for part in parts)))
        values += [scores.macro_f1, scores.macro_precision, scores.macro_recall]
    return values + [psds(*repeated(results.reference, results.scores, times), s).value for s in PSDS.values()]


def test_differences_are_those_of_both_runs_on_the_same_repeated_clips(tmp_path):
    runs = made(tmp_path, "one", "two")
    results = [write_event_evaluation(run, gain) for run, gain in zip(runs.values(), (1.0, 2.0), strict=True)]
    theirs, ours = ([slow_values(each, np.ones(12, int))] for each in results)
    drawn = [
        np.array([slow_values(each, times) for times in next(draw_resamples(np.arange(12) // 2, 30, seed=0)).T])
        for each in results
    ]
    expected = paired_differences(ours[0], drawn[1], theirs[0], drawn[0])
    found = compared(runs)
    assert found.lines == []
    assert [name for name, _ in found.differences] == [
        "differences", "paired-differences", "differences-events", "paired-differences-events",
    ]  # fmt: skip
    table = tables_of(found)["paired-differences-events"]
    names = [f"{name}-based {part}" for name in CRITERIA for part in ("F1", "precision", "recall")]
    by_name = dict(zip([*names, "PSDS 1", "PSDS 2"], zip(*vars(expected).values(), strict=True), strict=True))
    # What people look at first stands first.
    assert [row[0] for row in table.rows[:5]] == [*F1, "PSDS 1", "PSDS 2"]
    assert {row[0] for row in table.rows} == set(by_name)
    for row in table.rows:
        assert row[1:3] == ["two", "one"]
        assert row[3:] == pytest.approx([float(value) for value in by_name[row[0]]], abs=1e-9)
    chart = dict(found.differences)["differences-events"]
    assert (chart.title, chart.series[0].y) == ("Difference of collar-based F1", [table.rows[0][3]])
    assert "on 12 clips of the test split of sounds, with the 95% interval from 30 resamples of its 6 groups" in (
        table.caption
    )


def test_a_planted_gain_is_found_and_the_same_events_do_not_differ(tmp_path):
    runs = made(tmp_path, "one", "better", "equal")
    for run, gain in zip(runs.values(), (1.0, 4.0, 1.0), strict=True):
        write_event_evaluation(run, gain, num_clips=30, resamples=60)
    rows = {(row[0], row[1], row[2]): row for row in tables_of(compared(runs))["paired-differences-events"].rows}
    for metric in (*F1, "PSDS 1", "PSDS 2"):
        difference, low, _, below, above = rows[metric, "better", "one"][3:]
        assert 0 < low < difference
        assert above > 0.95
        assert below < 0.05
        assert rows[metric, "equal", "one"][3:] == [0, 0, 0, 0, 0]


def test_runs_without_events_are_compared_by_tags_alone(tmp_path):
    runs = made(tmp_path, "one", "two", "three")
    by_tags = compared(runs)
    write_event_evaluation(runs["two"])
    assert vars(compared(runs)) == vars(by_tags)
    write_event_evaluation(runs["three"], 2.0)
    found = compared(runs)
    tables = tables_of(found)
    assert tables["paired-differences"] == tables_of(by_tags)["paired-differences"]
    assert {tuple(row[1:3]) for row in tables["paired-differences-events"].rows} == {("three", "two")}
    assert found.lines == []


def test_resamples_that_were_not_kept_are_named_with_the_way_to_make_them(tmp_path):
    runs = made(tmp_path, "one", "two")
    for run in runs.values():
        write_event_evaluation(run)
    evaluated_events_path(runs["two"], "test", "given").unlink()
    found = compared(runs)
    (line,) = found.lines
    assert line.startswith("Paired tests need evaluation/events/test-resamples.npz, which is missing of two; make it")
    assert f"`earmark evaluate {runs['two']} DATASET --split test --events`" in line
    assert list(tables_of(found)) == ["paired-differences"]


def test_events_resampled_otherwise_are_named(tmp_path):
    runs = made(tmp_path, "one", "two")
    for seed, run in enumerate(runs.values()):
        write_event_evaluation(run, seed=seed)
    found = compared(runs)
    assert found.lines == [
        "Not held against one, events of runs resampled otherwise: two; evaluate all of them again, with one --seed."
    ]
    assert list(tables_of(found)) == ["paired-differences"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_clips": 11}, "events of runs must be evaluated on the same clips: one was on 12, two on 11, 1 only of "
         "one (clip-0011); leave one of them out"),
        ({"tags": ("Bark", "Hum", "Tock")}, "events of runs must be evaluated on the same tags: of one and two Tick, "
         "Tock differ"),
    ],
)  # fmt: skip
def test_events_of_other_clips_or_tags_are_refused(tmp_path, changes, message):
    runs = made(tmp_path, "one", "two")
    write_event_evaluation(runs["one"])
    write_event_evaluation(runs["two"], **changes)
    with pytest.raises(InputError, match=re.escape(message)):
        compared(runs)


def test_events_at_other_times_are_refused_but_within_a_millisecond_they_are_the_same(tmp_path):
    runs = made(tmp_path, "one", "two")
    reference = write_event_evaluation(runs["one"]).reference
    write_event_evaluation(runs["two"], delay_us=1000)
    assert len(tables_of(compared(runs))) == 2
    write_event_evaluation(runs["two"], delay_us=1001)
    late = reference.offset_us < reference.duration_us[reference.clip]
    places = {(clip, tag) for clip, tag in zip(reference.clip[late], reference.tag[late], strict=True)}
    message = f"against the same labels: those of one and two differ in {len(places)} places (clip-0000 "
    with pytest.raises(InputError, match=re.escape(f"events of runs must be evaluated {message}")):
        compared(runs)
