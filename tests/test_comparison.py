"""Runs held against each other: on made-up scores with a planted gain, and what must be the same in all of them."""

import json
import re

import numpy as np
import pytest
import torch

from earmark.comparison import compare_runs
from earmark.data.dataset import open_dataset
from earmark.errors import InputError
from earmark.evaluation import evaluate_model
from earmark.metrics.bootstrap import bootstrap
from earmark.metrics.paired import paired_differences
from earmark.metrics.tagging import average_precision
from earmark.scores.evaluated import evaluated_scores_path, read_evaluated_scores
from tests.made_runs import scores_for, some_truth, write_evaluated_run

TRUTH = some_truth()


def made(tmp_path, **gains):
    return {
        name: write_evaluated_run(tmp_path / name, TRUTH, scores_for(TRUTH, gain, seed=place))
        for place, (name, gain) in enumerate(gains.items())
    }


def compared(runs):
    return compare_runs(runs, "test", "given")


def test_differences_are_those_of_the_resamples_and_of_the_evaluations(tmp_path):
    runs = made(tmp_path, one=1.0, two=2.0)
    found = compared(runs)
    assert found.lines == []
    (chart_name, chart), (table_name, table) = found.differences
    assert (chart_name, table_name) == ("differences", "paired-differences")
    theirs, ours = (
        bootstrap(TRUTH, scores_for(TRUTH, gain, seed=k), ["mean_average_precision", "lwlrap"],
                  groups=np.arange(40) // 2, resamples=100)
        for k, gain in ((0, 1.0), (1, 2.0))
    )  # fmt: skip
    rows = {row[0]: row for row in table.rows}
    for word, name in (("mAP", "mean_average_precision"), ("lwlrap", "lwlrap")):
        expected = paired_differences([ours.metrics[name].value], ours.drawn[name][:, None],
                                      [theirs.metrics[name].value], theirs.drawn[name][:, None])  # fmt: skip
        assert rows[word][1:3] == ["two", "one"]
        assert rows[word][3:] == pytest.approx([array[0] for array in vars(expected).values()])
    values = [json.loads((run / "evaluation" / "test.json").read_text())["metrics"] for run in runs.values()]
    for word, name in (("ROC AUC", "mean_roc_auc"), ("d′", "d_prime"), ("mAP@3", "map_at_3")):
        assert rows[word][3] == values[1][name]["value"] - values[0][name]["value"]
    assert (chart.series[0].x, chart.series[0].y) == (["two − one"], [rows["mAP"][3]])
    assert "on 40 clips of the test split of sounds, with the 95% interval from 100 resamples of its 20 groups" in (
        table.caption
    )


def test_few_runs_are_held_against_each_other_many_against_the_first(tmp_path):
    runs = made(tmp_path, **{f"run{k}": 1.0 + k / 4 for k in range(5)})
    pairs = [row[1:3] for row in compared(runs).differences[1][1].rows if row[0] == "mAP"]
    assert pairs == [[f"run{k}", "run0"] for k in range(1, 5)]
    four = {name: runs[name] for name in list(runs)[1:]}
    pairs = [row[1:3] for row in compared(four).differences[1][1].rows if row[0] == "mAP"]
    assert pairs == [[f"run{b}", f"run{a}"] for a in range(1, 5) for b in range(a + 1, 5)]
    assert [name for name, _ in compared(four).gains] == [
        f"gains-{k}{end}" for k in (1, 2, 3) for end in ("", "-by-tag")
    ]


def test_the_tag_with_a_planted_gain_comes_first(tmp_path):
    scores = [scores_for(TRUTH, 1.0, seed=0), scores_for(TRUTH, 1.0, seed=1)]
    scores[1][:, 2] = scores_for(TRUTH, 4.0, seed=1)[:, 2]
    runs = {
        name: write_evaluated_run(tmp_path / name, TRUTH, one) for name, one in zip(("a", "b"), scores, strict=True)
    }
    (_, chart), (_, table) = compared(runs).gains
    assert table.columns == ["tag", "positives", "a", "b", "difference", "low", "high", "below 0", "above 0"]
    before, after = (average_precision(TRUTH, one) for one in scores)
    first = table.rows[0]
    assert first[:5] == ["Tick", TRUTH[:, 2].sum(), before[2], after[2], pytest.approx(after[2] - before[2])]
    assert first[5] > 0
    assert first[8] > 0.95
    assert [row[4] for row in table.rows] == sorted((after - before).tolist(), reverse=True)
    assert chart.series[0].x == [row[0] for row in table.rows]
    above, below = (sum(row[place] * sign > 0 for row in table.rows) for place, sign in ((5, 1), (6, -1)))
    assert f"The interval lies above 0 for {above} of 3 tags and below it for {below};" in chart.caption


def test_of_many_tags_the_best_and_the_worst_are_drawn(tmp_path):
    truth = some_truth(30, 40)
    truth[:, 5] = False
    tags = [f"tag-{k}" for k in range(40)]
    runs = {
        name: write_evaluated_run(tmp_path / name, truth, scores_for(truth, seed=place), tags=tags)
        for place, name in enumerate("ab")
    }
    (_, chart), (_, table) = compared(runs).gains
    assert len(table.rows) == 39
    assert "Left out, without positives: tag-5." in table.caption
    names = [row[0] for row in table.rows]
    assert chart.series[0].x == names[:12] + names[-12:]
    assert chart.caption.startswith("The 12 tags that gained most, and the 12 that lost most. ")


def test_runs_on_other_clips_are_refused_and_told_apart(tmp_path):
    runs = {}
    for fold, name in ((4, "one"), (5, "two")):
        clips = [f"{fold if k < 10 else 0}-{k}" for k in range(40)]
        runs[name] = write_evaluated_run(
            tmp_path / name, TRUTH, scores_for(TRUTH), clips=clips, settings={}, test_fold=fold
        )
    with pytest.raises(InputError) as refused:
        compared(runs)
    assert str(refused.value) == (
        "runs must be evaluated on the same clips: one was on 40, two on 40, 10 only of one (4-0, 4-1 and 8 more), 10 "
        "only of two (5-0, 5-1 and 8 more); they were trained with test_fold 4 and 5; leave one of them out"
    )


def test_runs_against_other_labels_or_tags_are_refused(tmp_path):
    runs = made(tmp_path, one=1.0)
    truth = TRUTH.copy()
    truth[[2, 3], 1] ^= True
    runs["two"] = write_evaluated_run(tmp_path / "two", truth, scores_for(TRUTH))
    message = "those of one and two differ in 2 places (clip-0002 Hum, clip-0003 Hum); evaluate both again"
    with pytest.raises(InputError, match=re.escape(message)):
        compared(runs)
    runs["two"] = write_evaluated_run(tmp_path / "three", TRUTH, scores_for(TRUTH), tags=("Bark", "Tick", "Hum"))
    with pytest.raises(InputError, match="of one and two their order differs"):
        compared(runs)
    runs["two"] = write_evaluated_run(tmp_path / "four", TRUTH, scores_for(TRUTH), tags=("Bark", "Hum", "Tock"))
    with pytest.raises(InputError, match="of one and two Tick, Tock differ"):
        compared(runs)


def test_a_run_without_scores_is_named_with_the_way_to_make_them(tmp_path):
    runs = made(tmp_path, one=1.0, two=2.0, three=3.0)
    evaluated_scores_path(runs["two"], "test", "given").unlink()
    found = compared(runs)
    (line,) = found.lines
    assert line.startswith("Paired tests need evaluation/test-scores.npz, which is missing of two; make it with")
    assert f"`earmark evaluate {runs['two']} DATASET --split test`" in line
    assert {tuple(row[1:3]) for row in found.differences[1][1].rows} == {("three", "one")}
    evaluated_scores_path(runs["one"], "test", "given").unlink()
    found = compared(runs)
    assert (found.differences, found.gains) == ([], [])
    assert "missing of one, two;" in found.lines[0]


def test_runs_resampled_otherwise_are_named(tmp_path):
    runs = made(tmp_path, one=1.0, two=2.0)
    runs["three"] = write_evaluated_run(tmp_path / "three", TRUTH, scores_for(TRUTH), draw_seed=1)
    back = slice(None, None, -1)
    clips = [f"clip-{k:04d}" for k in range(40)][back]
    runs["four"] = write_evaluated_run(tmp_path / "four", TRUTH[back], scores_for(TRUTH)[back], clips=clips)
    # The same numbers are drawn for clips in another order: only their names tell.
    kept = [read_evaluated_scores(evaluated_scores_path(runs[name], "test", "given")) for name in ("one", "four")]
    assert kept[0].draws == kept[1].draws
    found = compared(runs)
    assert found.lines == [
        "Not held against one, runs resampled otherwise: three, four; evaluate all of them again, with one --seed."
    ]
    assert {tuple(row[1:3]) for row in found.differences[1][1].rows} == {("two", "one")}


def test_a_real_evaluation_keeps_what_it_was_made_of(small_run, small_dataset):
    dataset = open_dataset(small_dataset)
    result = evaluate_model(small_run, dataset, split="test", device=torch.device("cpu"))
    kept = read_evaluated_scores(evaluated_scores_path(small_run, "test", "given"))
    assert kept.tags == tuple(dataset.vocabulary.tags)
    rows = [dataset.clips["clip"].to_pylist().index(clip) for clip in kept.clips]
    np.testing.assert_array_equal(kept.truth, dataset.labels("given").rows(np.array(rows)) >= 0.5)
    assert kept.annotated.all()
    again = bootstrap(kept.truth, kept.scores, list(kept.drawn), groups=kept.groups)
    for name, interval in again.metrics.items():
        if np.isfinite(interval.high):
            assert vars(interval) == pytest.approx(result["metrics"][name])
        np.testing.assert_array_equal(kept.drawn[name], again.drawn[name])
    np.testing.assert_allclose(kept.drawn_average_precision, again.drawn_average_precision, rtol=1e-6)
    draws = [kept.draws]
    for seed in (0, 1):
        evaluate_model(small_run, dataset, split="test", device=torch.device("cpu"), seed=seed)
        draws.append(read_evaluated_scores(evaluated_scores_path(small_run, "test", "given")).draws)
    assert draws[0] == draws[1] != draws[2]
