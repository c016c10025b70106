"""The figures of an evaluation say what its scores and labels say, for any number of tags and clips."""

import json
from pathlib import Path

import numpy as np
import pytest

from earmark.evaluation_figures import BINS, MOST_DRAWN, evaluation_figures, write_evaluation_figures
from earmark.files import write_json
from earmark.reports.run_page import write_run_page
from tests.evaluation_cases import made_up
from tests.reports.browser import assert_page_works, needs_chromium


@pytest.fixture(scope="module")
def shaky():
    """300 clips of 4 tags, of which the last lacks half of its labels; scores are of the true tags."""
    rng = np.random.default_rng(2)
    true = rng.random((300, 4)) < [0.5, 0.2, 0.1, 0.3]
    scores = np.clip(0.75 * true + rng.normal(0.1, 0.08, true.shape), 0, 1)
    truth = true.copy()
    truth[:, 3] &= rng.random(300) < 0.5
    annotated = np.ones(true.shape, np.bool_)
    annotated[:50, 1] = False
    return true, *made_up(truth, scores, annotated=annotated, training_clips=np.array([900, 30, 30, 2]))


def rows_of(figure):
    return [dict(zip(figure.columns, row, strict=True)) for row in figure.rows]


def test_histograms_hold_every_annotated_cell(shaky):
    _, _, kept = shaky
    figures = evaluation_figures(*shaky[1:])
    positives, negatives = figures["scores"].series
    assert sum(positives.y) == kept.truth.sum()
    assert sum(negatives.y) == (kept.annotated & ~kept.truth).sum()
    assert len(positives.y) == BINS
    counts = np.histogram(kept.scores[kept.truth], BINS, (0, 1))[0]
    assert positives.y == counts.tolist()


def test_the_tag_with_missing_labels_comes_first(shaky):
    true, evaluation, kept = shaky
    figures = evaluation_figures(evaluation, kept)
    assert figures["scores-of-tag-1"].title == "Scores of tag 3"
    positives, negatives = figures["scores-of-tag-1"].series
    missing = true[:, 3] & ~kept.truth[:, 3]
    assert missing.sum() > 30
    assert sum(negatives.y[BINS // 2 :]) == missing.sum()
    assert sum(positives.y[: BINS // 2]) == 0
    assert f", of which {missing.sum()} score the threshold, 0.500, or more" in figures["scores-of-tag-1"].caption
    first = rows_of(figures["scores-by-tag"])[0]
    assert (first["Tag"], first["Negatives found"], first["Positives found"]) == (
        "tag 3", missing.sum(), kept.truth[:, 3].sum()
    )  # fmt: skip
    assert first["Median positive"] == pytest.approx(np.median(kept.scores[kept.truth[:, 3], 3]))
    assert first["Negatives, 0 to 1"][:5] > "▁▁▁▁▁"
    assert first["Positives, 0 to 1"].startswith("▁▁▁▁▁")


def test_each_tags_row_counts_its_annotated_clips(shaky):
    _, _, kept = shaky
    for row in rows_of(evaluation_figures(*shaky[1:])["scores-by-tag"]):
        tag = kept.tags.index(row["Tag"])
        assert row["Positives"] + row["Negatives"] == kept.annotated[:, tag].sum() == (250 if tag == 1 else 300)


def test_reliability_counts_its_pairs(shaky):
    true, _, kept = shaky
    figures = evaluation_figures(*shaky[1:])
    rows = rows_of(figures["reliability-in-numbers"])
    assert sum(row["Pairs"] for row in rows) == kept.annotated.sum()
    assert sum(row["Positives"] for row in rows) == kept.truth.sum()
    curve, promised = figures["reliability"].series
    assert curve.y == [row["Share of positives"] for row in rows if row["Pairs"]]
    assert all(low <= y <= high for low, y, high in zip(curve.low, curve.y, curve.high, strict=True))
    assert promised.reference
    # What the labels lack is all that scores high without one.
    missing = (true & kept.annotated).sum() - kept.truth.sum()
    assert sum(row["Pairs"] - row["Positives"] for row in rows[5:]) == missing


def test_confusions_and_pairs_by_hand():
    # Dogs and rain. A dog taken for rain twice, once with the dog found too; both labelled once; rain alone once.
    truth = np.array([[1, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    scores = np.array([[0.1, 0.9], [0.9, 0.8], [0.9, 0.9], [0.2, 0.9], [0.1, 0.7]])
    figures = evaluation_figures(*made_up(truth, scores, tags=("dog", "rain")))
    assert figures["confusions"].columns[:4] == ["Labelled", "Found, not labelled", "Clips", "Found in"]
    # Rain is found in all three clips without its label.
    assert figures["confusions"].rows == [["dog", "rain", 2, 2, 1.0, 1.0, 1]]
    together = pytest.approx(3 * 2 / 5)
    assert figures["cooccurrence"].rows == [["dog", "rain", 1, together, 2]]


def test_first_is_what_stands_out_and_not_what_is_found_everywhere():
    # Music is found in every clip, wind in the 3 of 20 clips labelled rain. Only dog and bark are labelled together.
    tags = ("music", "wind", "rain", "dog", "bark")
    truth, scores = np.zeros((20, 5)), np.zeros((20, 5))
    truth[:3, 2] = truth[5:7, 3] = truth[5:7, 4] = 1
    scores[:, 0] = scores[:3, 1] = 1
    figures = evaluation_figures(*made_up(truth, scores, tags=tags))
    assert figures["confusions"].rows[0] == ["rain", "wind", 3, 3, 1.0, 3 / 20, 3]
    assert ["rain", "music", 3, 3, 1.0, 1.0, 3] in figures["confusions"].rows
    assert figures["cooccurrence"].rows[0] == ["dog", "bark", 2, pytest.approx(2 * 2 / 20), 0]
    assert figures["cooccurrence"].rows[1:] == [["music", "wind", 0, 0.0, 3]]


def test_clips_of_one_tag_each_have_no_pairs_by_label():
    truth = np.repeat(np.eye(3), 5, axis=0)
    figures = evaluation_figures(*made_up(truth, truth * 0.8))
    assert figures["confusions"].rows == figures["cooccurrence"].rows == []
    assert "There are no such pairs." in figures["confusions"].caption
    assert "No clip is labelled with two tags." in figures["cooccurrence"].caption


def test_average_precision_stands_over_training_clips(shaky):
    evaluation, kept = shaky[1:]
    figure = evaluation_figures(evaluation, kept)["average-precision-by-count"]
    assert figure.series[0].x == [2, 30, 30, 900]
    assert figure.series[0].y == [evaluation["per_tag"][k]["average_precision"] for k in (3, 1, 2, 0)]
    assert figure.x_log
    rows = [{name: value for name, value in row.items() if name != "training_clips"} for row in evaluation["per_tag"]]
    figure = evaluation_figures(evaluation | {"per_tag": rows}, kept)["average-precision-by-count"]
    assert figure.series[0].x == sorted(row["positives"] for row in evaluation["per_tag"])
    assert figure.x_label == "Clips of test with the tag"


def page_of(run: Path, evaluation, kept) -> bytes:
    write_json(run / "evaluation" / "test.json", evaluation)
    write_evaluation_figures(run, evaluation, kept)
    return write_run_page(run, run / "report.html").read_bytes()


def test_a_run_with_one_tag_has_a_page(tmp_path):
    rng = np.random.default_rng(0)
    evaluation, kept = made_up(rng.random((40, 1)) < 0.5, rng.random((40, 1)))
    page = page_of(tmp_path / "run", evaluation, kept).decode()
    assert "Scores of tag 0" in page
    assert "cannot be shown" not in page
    assert 'id="figure-confusions-test"' not in page


@pytest.mark.parametrize("truth", [np.zeros((3, 2)), np.ones((3, 2))])
def test_tags_without_positives_or_negatives_have_a_page(tmp_path, truth):
    page = page_of(tmp_path / "run", *made_up(truth, np.full((3, 2), 0.75))).decode()
    assert "cannot be shown" not in page
    assert "NaN" not in (tmp_path / "run" / "figures" / "reliability-test.json").read_text()


@pytest.fixture(scope="module")
def big_run(tmp_path_factory):
    """The page of a run with 527 tags and 20,000 clips."""
    run = tmp_path_factory.mktemp("big") / "run"
    rng = np.random.default_rng(7)
    share = np.minimum(0.3, 40 / (np.arange(527) + 1) ** 1.3 / 10)
    true = rng.random((20_000, 527), np.float32) < share
    scores = np.clip(0.6 * true + rng.random((20_000, 527), np.float32) ** 6 * 0.5, 0, 1)
    evaluation, kept = made_up(true & (rng.random((20_000, 527), np.float32) < 0.8), scores, training_clips=share * 1e5)
    page_of(run, evaluation, kept)
    return run


def test_527_tags_and_20_000_clips_have_a_page_under_20_megabytes(big_run):
    page = (big_run / "report.html").read_bytes()
    assert len(page) < 3_000_000
    assert page.count(b"<figure ") == 4 + 1 + MOST_DRAWN + 3
    assert b"cannot be shown" not in page
    beside = json.loads((big_run / "report.json").read_text())
    tables = {table["name"]: table for part in beside["parts"] for table in part["tables"]}
    assert len(tables["scores-by-tag-test"]["rows"]) == len(tables["per-tag"]["rows"]) == 527
    assert len(tables["confusions-test"]["rows"]) == 40


@needs_chromium
def test_527_tags_fit_on_a_phone(big_run):
    assert_page_works(big_run / "report.html", least_tables=4, least_drawings=8)


def test_a_later_evaluation_replaces_the_figures_of_tags(tmp_path):
    rng = np.random.default_rng(0)
    figures = tmp_path / "run" / "figures"
    page_of(tmp_path / "run", *made_up(rng.random((9, 4)) < 0.5, rng.random((9, 4))))
    assert (figures / "scores-of-tag-4-test.json").exists()
    page_of(tmp_path / "run", *made_up(rng.random((9, 2)) < 0.5, rng.random((9, 2))))
    assert sorted(path.stem for path in figures.glob("scores-of-*")) == ["scores-of-tag-1-test", "scores-of-tag-2-test"]
