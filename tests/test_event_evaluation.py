"""The evaluation of events: its numbers against the metrics themselves, its figures against its numbers."""

import json
import logging
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from earmark.data.dataset import open_dataset, write_layer
from earmark.data.packs import open_pack
from earmark.data.synthesis.corruption import corrupt
from earmark.data.synthesis.planting import CorruptSettings
from earmark.data.tables import LABEL_SCHEMA
from earmark.errors import InputError
from earmark.evaluation_summary import event_summary_lines, headline
from earmark.events.decisions import decided_events, filtered, plain_decisions, write_decisions
from earmark.events.evaluation import PSDS, evaluate_model_events, event_results, write_clip_events
from earmark.events.figures import events_by_tag, f1_by_threshold, psd_roc
from earmark.events.reference import metric_scores, reference_events
from earmark.figures import read_figure
from earmark.metrics.bootstrap import ends
from earmark.metrics.collar_based import collar_based_counts
from earmark.metrics.detection import detection_scores
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.intersection_based import Shares, intersection_based_counts
from earmark.metrics.psds import PSDS_1, PSDS_2, psds
from earmark.metrics.psds_bootstrap import bootstrap_psds
from earmark.metrics.segment_based import segment_based_counts
from earmark.models.ensemble import open_model
from earmark.models.tagger import save_model
from earmark.reports.run_page import write_run_page
from earmark.scores.evaluated import evaluated_events_path, read_evaluated_events
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores
from tests.metrics.event_cases import random_case
from tests.test_tuning import tagger_of, write_set

CPU = torch.device("cpu")
TAGS = ("Click", "Noise", "Tone")


@pytest.fixture(scope="module")
def strong(tmp_path_factory):
    """Two seconds with a tone or noise in one half: three strong clips a split, a weak one in test; no click."""
    return write_set(tmp_path_factory.mktemp("strong"), weak="test")


@pytest.fixture
def run(tmp_path):
    """A run folder with a model that has not learned anything, but scores some frames over .5 and some under."""
    save_model(tagger_of(0), tmp_path / "run" / "model")
    (tmp_path / "run" / "settings.json").write_text("{}")
    return tmp_path / "run"


def decisions_of(thresholds=(0.5, 0.48, 0.5), filters=(0.0, 0.2, 0.0), **about):
    made = plain_decisions(TAGS)
    return made.model_copy(update={"thresholds": thresholds, "median_filter_s": filters, "about": about})


def test_the_numbers_are_those_of_the_metrics(strong, run):
    decisions = decisions_of()
    write_decisions(run, decisions)
    found = evaluate_model_events(run, strong, split="test", device=CPU)
    rows = np.flatnonzero((strong.column("split") == "test") & (strong.column("labelled") == "strong"))
    model = open_model(run)
    scored = framewise_clip_scores(model, open_pack(strong, model.rate_hz), rows, device=CPU)
    reference, decided = reference_events(strong, "given", scored), decided_events(scored, decisions)
    scores = metric_scores(scored, filtered(scored, decisions))
    for name, counts in (
        ("collar", collar_based_counts(reference, decided)),
        ("segment", segment_based_counts(reference, decided)),
        ("intersection", intersection_based_counts(reference, decided, Shares(0.5, 0.5))),
    ):
        plain = detection_scores(counts)
        for part in ("f1", "precision", "recall"):
            value = getattr(plain, f"macro_{part}")
            assert found["metrics"][f"{name}_based_{part}"]["value"] == pytest.approx(value, nan_ok=True)
        rows_of = [row[f"{name}_based"] for row in found["per_tag"]]
        assert [row["false_positives"] for row in rows_of] == plain.false_positives.tolist()
        assert [row["true_positives"] for row in rows_of] == plain.true_positives.tolist()
        assert [row["f1"] for row in rows_of][1:] == pytest.approx(plain.f1[1:])
    for name, settings in (("psds_1", PSDS_1), ("psds_2", PSDS_2)):
        expected = bootstrap_psds(reference, scores, settings, groups=strong.groups()[scored.clip_index])
        interval = found["metrics"][name]
        assert (interval["value"], interval["low"], interval["high"]) == (
            expected.value.value, expected.value.low, expected.value.high,
        )  # fmt: skip
        assert [row[name]["value"] for row in found["per_tag"]][1:] == expected.by_tag.value[1:].tolist()
    assert [row["decided_events"] for row in found["per_tag"]] == np.bincount(decided.tag, minlength=3).tolist()
    assert len(decided) > 0


def test_what_it_is_of_is_said(strong, run):
    found = evaluate_model_events(run, strong, split="test", device=CPU)
    assert (found["num_clips"], found["num_without_times"], found["num_not_scored"], found["num_groups"]) == (
        3,
        1,
        0,
        3,
    )
    assert (found["audio_s"], found["score_frame_ms"]) == (6.0, 40.0)
    assert found["decisions"] == {"tuned": None}
    assert [(row["threshold"], row["median_filter_s"]) for row in found["per_tag"]] == [(0.5, 0.0)] * 3
    assert [row["reference_events"] for row in found["per_tag"]] == [0, 1, 2]
    # Nothing clicks in the strong clips: no F1, but what was found of it is counted.
    assert found["left_out_tags"] == ["Click"]
    click = found["per_tag"][0]
    assert click["collar_based"]["f1"] is None
    assert click["psds_1"] == {"value": None, "low": None, "high": None}
    assert click["collar_based"]["false_positives"] == click["decided_events"]
    assert json.loads((run / "evaluation" / "events" / "test.json").read_text()) == found
    lines = event_summary_lines(found)
    assert lines[0] == "sounds, test split, labels given: 3 clips in 3 groups, 6 s, score frames of 40 ms"
    assert lines[1] == "  1 clip of the split with no times took no part"
    assert lines[2] == "  decided: score of 0.5 or more, no median filter (not tuned)"
    assert f"  without events, left out of the means: Click ({click['decided_events']} found)" in lines
    assert headline(run)[0].startswith(f"collar-based F1 on test: {found['metrics']['collar_based_f1']['value']:.3f} (")


def test_what_a_comparison_needs_is_kept(strong, run):
    drawn = []
    for seed in (0, 0, 1):
        found = evaluate_model_events(run, strong, split="test", device=CPU, seed=seed)
        drawn.append(read_evaluated_events(evaluated_events_path(run, "test", "given")))
    assert drawn[0].draws == drawn[1].draws != drawn[2].draws
    kept = drawn[2]
    assert kept.tags == TAGS
    # The weak clip takes no part.
    assert sorted(kept.clips) == sorted(clip for clip in strong.clips["clip"].to_pylist() if "test" in clip)
    names = [kept.tags[tag] for tag in kept.tag]
    assert sorted(names) == ["Noise", "Tone", "Tone"]
    assert (kept.offset_us - kept.onset_us).tolist() == [1_000_000] * 3
    assert list(kept.drawn) == list(found["metrics"])
    for name, interval in found["metrics"].items():
        assert kept.drawn[name].shape == (1000,)
        if interval["low"] is not None:
            low, high = ends(kept.drawn[name][:, None], np.array([interval["value"]]), 0.95)
            assert (low[0], high[0]) == (interval["low"], interval["high"])


def test_tuned_decisions_are_used_and_named_and_flatter_their_own_split(strong, run, caplog):
    about = {"criterion": "collar", "dataset": "sounds", "dataset_digest": strong.digest, "split": "validation"}
    write_decisions(run, decisions_of(thresholds=(0.4, 0.9, 0.5), **about))
    with caplog.at_level(logging.WARNING):
        found = evaluate_model_events(run, strong, split="test", device=CPU)
    assert not [line for line in caplog.messages if "tuned" in line]
    assert [row["threshold"] for row in found["per_tag"]] == [0.4, 0.9, 0.5]
    assert found["decisions"]["tuned"] == about
    words = "threshold and median filter by tag, tuned for collar-based F1 on the validation split of sounds"
    assert f"  decided: {words}" in event_summary_lines(found)
    for split in ("validation", "all"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            evaluate_model_events(run, strong, split=split, device=CPU)
        assert (
            "thresholds and median filters were tuned on the validation split: these figures flatter it"
            in caplog.messages
        )


def test_weak_clips_have_the_times_that_a_truth_layer_gives_them(strong, run, tmp_path):
    corrupt(strong, tmp_path / "weak", CorruptSettings(weak=True))
    weak = open_dataset(tmp_path / "weak")
    with pytest.raises(InputError) as caught:
        evaluate_model_events(run, weak, split="test", device=CPU)
    assert str(caught.value) == (
        "the test split of weak must hold events with onset and offset to judge by, found none: of its 4 clips 0 are "
        "labelled strong and can be read; take --labels truth, which has some"
    )
    by_truth = evaluate_model_events(run, weak, split="test", layer="truth", device=CPU)
    assert (run / "evaluation" / "events" / "test-truth.json").is_file()
    # The clip that was weak before has no event by the truth, and counts as one without any.
    assert (by_truth["num_clips"], by_truth["num_without_times"]) == (4, 0)
    given = evaluate_model_events(run, strong, split="test", device=CPU)
    assert [row["reference_events"] for row in by_truth["per_tag"]] == [
        row["reference_events"] for row in given["per_tag"]
    ]
    assert by_truth["metrics"]["collar_based_recall"]["value"] == given["metrics"]["collar_based_recall"]["value"]


def test_without_any_event_nothing_can_be_judged(run, tmp_path):
    dataset = write_set(tmp_path / "copy", weak="test")
    rows = [
        {"clip": clip, "tag": tag, "onset": None, "offset": None, "value": 0.0, "source": "test"}
        for clip in dataset.clips["clip"].to_pylist()
        for tag in TAGS
    ]
    write_layer(dataset, "empty", pa.Table.from_pylist(rows, schema=LABEL_SCHEMA))
    with pytest.raises(InputError) as caught:
        evaluate_model_events(run, dataset, split="test", layer="empty", device=CPU)
    assert "found none: of its 4 clips 3 are labelled strong and can be read; evaluate its clip" in str(caught.value)


def test_figures_show_the_numbers(strong, run):
    write_decisions(run, decisions_of(thresholds=(0.5, 0.48, 0.5)))
    found = evaluate_model_events(run, strong, split="test", device=CPU)
    figures = {path.stem: read_figure(path) for path in (run / "figures").iterdir()}
    assert sorted(figures) == ["events-by-tag-test", "f1-by-threshold-test", "psd-roc-1-test", "psd-roc-2-test"]
    assert {figure.section for figure in figures.values()} == {"Events on test"}
    assert sorted(figures, key=lambda name: figures[name].place) == sorted(figures)
    for number in (1, 2):
        figure, value = figures[f"psd-roc-{number}-test"], found["metrics"][f"psds_{number}"]["value"]
        assert [series.label for series in figure.series] == [f"PSDS {number}", "Noise", "Tone"]
        assert [series.thin for series in figure.series] == [False, True, True]
        assert figure.series[0].x[0] == 0
        assert figure.series[0].x[-1] == 100
        assert np.mean(figure.series[0].y) == pytest.approx(value, abs=0.01)
        # 6 s were listened to.
        assert "One false positive is 600 an hour." in figure.caption
        assert f"{value:.3f}" in figure.alt
    table = figures["events-by-tag-test"]
    assert [row[0] for row in table.rows][-1] == "Click"
    assert {row[0]: row[1:5] for row in table.rows}["Noise"] == [
        1, found["per_tag"][1]["decided_events"], 0.48, 0.2,
    ]  # fmt: skip
    by_threshold = figures["f1-by-threshold-test"]
    assert [series.label for series in by_threshold.series] == [
        "collar-based", "segment-based", "intersection-based", "as decided",
    ]  # fmt: skip
    marks = by_threshold.series[-1]
    assert marks.reference
    assert marks.x == [0.48, 0.5, 0.5] * 3
    f1 = [found["metrics"][f"{name}_based_f1"]["value"] for name in ("collar", "segment", "intersection")]
    assert marks.y == [value for each in f1 for value in (each, each, None)]


def test_one_threshold_for_all_lies_on_the_curves(strong, run):
    found = evaluate_model_events(run, strong, split="test", device=CPU)
    figure = read_figure(run / "figures" / "f1-by-threshold-test.json")
    for name, series in zip(("collar", "segment", "intersection"), figure.series, strict=False):
        assert series.y[series.x.index(0.5)] == pytest.approx(found["metrics"][f"{name}_based_f1"]["value"])
    assert "as decided, at 0.5 for all tags" in figure.caption


def evaluation_of(num_tags, reference, **changes):
    """As little of an evaluation as figures need."""
    none = {f"{name}_based": {"f1": 0.5} for name in ("collar", "segment", "intersection")}
    per_tag = [
        {"tag": f"tag {k}", "reference_events": 1, "decided_events": 1, "threshold": 0.5, "median_filter_s": 0.0,
         "psds_1": {"value": 0.5}, "psds_2": {"value": 0.5}, **none}
        for k in range(num_tags)
    ]  # fmt: skip
    metrics = {f"{name}_based_f1": {"value": 0.5} for name in ("collar", "segment", "intersection")}
    about = {"dataset": "d", "split": "test", "labels": "given", "num_clips": reference.num_clips, "audio_s": 3600.0}
    return {**about, "metrics": metrics, "per_tag": per_tag, **changes}


def test_many_tags_have_no_lines_of_their_own():
    for num_tags, lines in ((10, 11), (11, 1)):
        reference, scores = random_case(num_tags=num_tags)
        score = psds(reference, scores, PSDS_2)
        figure = psd_roc(2, score, PSDS_2, evaluation_of(num_tags, reference))
        assert len(figure.series) == lines
        assert ("Thin: each tag." in figure.caption) == (lines > 1)
        assert np.mean(figure.series[0].y) == pytest.approx(score.value, abs=0.01)


def test_other_labels_stand_in_titles():
    reference, scores = random_case()
    told = evaluation_of(3, reference, labels="truth")
    assert f1_by_threshold(reference, scores, told).title == "F1 by threshold on test, labels truth"
    assert events_by_tag(told).title == "Events by tag on test, labels truth"


def test_results_of_scores_alone():
    """What a benchmark takes: scores of clips, their reference, decisions; no files."""
    reference, scores = random_case(num_clips=6, num_tags=3)
    scored = ScoredFrames(
        np.arange(6), np.full(6, 160_000), scores.num_frames, scores.scores.astype(np.float32), 4000, 16000
    )
    decisions = plain_decisions(TAGS)
    found = event_results(reference, scored, decisions, resamples=30)
    assert set(found.intervals) == {"collar", "segment", "intersection"}
    assert set(found.psds) == set(PSDS)
    decided = events_from_scores(metric_scores(scored), 0.5)
    assert (
        found.intervals["collar"].macro_f1.value == detection_scores(collar_based_counts(reference, decided)).macro_f1
    )
    assert found.psds["psds_1"].score.value == psds(reference, metric_scores(scored), PSDS_1).value


def test_a_clip_is_shown_with_its_events_and_those_found(strong, run):
    write_decisions(run, decisions_of(thresholds=(0.5, 0.48, 0.5)))
    clip = strong.clips["clip"][int(np.flatnonzero(strong.column("labelled") == "strong")[0])].as_py()
    path = write_clip_events(run, strong, clip, device=CPU)
    figure = read_figure(path)
    assert path.parent == run / "figures"
    assert figure.clip == clip
    assert figure.duration_s == 2.0
    row = int(np.flatnonzero(strong.column("clip") == clip)[0])
    model = open_model(run)
    scored = framewise_clip_scores(model, open_pack(strong, model.rate_hz), np.array([row]), device=CPU)
    decided = decided_events(scored, decisions_of(thresholds=(0.5, 0.48, 0.5)))
    assert len(figure.estimated) == len(decided) > 0
    assert [event.onset for event in figure.estimated] == (decided.onset_us / 1e6).tolist()
    (reference,) = figure.reference
    assert (reference.tag, reference.onset, reference.offset) == ("Tone", 0.0, 1.0)
    # What is drawn over time is what was decided by: filtered, a step a score frame.
    curve = next(series for series in figure.curves if series.label == "Noise")
    smooth = filtered(scored, decisions_of(thresholds=(0.5, 0.48, 0.5)))[:, 1]
    assert curve.y == pytest.approx(np.repeat(smooth, 2))
    assert curve.x[:3] == [0.0, 0.04, 0.04]
    assert curve.x[-1] == 2.0
    assert figure.threshold is None
    assert "Noise from 0.48" in figure.caption
    assert "Nobody says" not in figure.caption


def test_a_clip_without_times_says_so_and_one_threshold_is_a_line(strong, run):
    clip = strong.clips["clip"][int(np.flatnonzero(strong.column("labelled") == "weak")[0])].as_py()
    figure = read_figure(write_clip_events(run, strong, clip, device=CPU))
    assert figure.reference == []
    assert figure.threshold == 0.5
    assert "Nobody says when its sounds begin and end." in figure.caption


def test_a_clip_needs_a_run_and_a_name_that_is_there(strong, run):
    with pytest.raises(InputError, match=r'there is no clip "test9\.wav"; did you mean'):
        write_clip_events(run, strong, "test9.wav", device=CPU)
    with pytest.raises(InputError, match="kept in a run folder, this is a model alone; give its run"):
        write_clip_events(run / "model", strong, "any", device=CPU)
    assert not (run / "figures").exists()


def test_a_model_alone_keeps_no_evaluation(strong, run):
    model = shutil.copytree(run / "model", run.parent / "alone")
    before = sorted(path.name for path in model.iterdir())
    assert evaluate_model_events(model, strong, split="test", device=CPU)["num_clips"] == 3
    assert sorted(path.name for path in model.iterdir()) == before


def test_the_page_of_a_run_shows_events(strong, run):
    found = evaluate_model_events(run, strong, split="test", device=CPU)
    write_clip_events(run, strong, strong.clips["clip"][0].as_py(), device=CPU)
    write_run_page(run, run / "report.html")
    page = (run / "report.html").read_text("utf-8")
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[headings.index("Per tag") :][1:3] == ["Events on test", "Events in clips"]
    assert "Other figures" not in headings
    assert "test, events" in page
    assert "collar-based F1" in page
    assert "Not in the means, for lack of an event: Click." in page
    assert "Events by tag on test" in page
    assert "no headline number" not in page
    assert f"{found['metrics']['psds_2']['value']:.3f}" in page
