"""The page of several runs: what over_runs and correlations draw, and what they refuse."""

import pytest

from earmark.errors import InputError
from earmark.figures import read_figure
from earmark.reports.compare_page import write_compare_page
from earmark.reports.correlations import average_precision_correlations
from earmark.reports.over_runs import learning_curves_over_runs, sorted_average_precision_over_runs
from tests.reports.test_over_runs import run_with
from tests.reports.test_run_page import Outline, words

PRECISIONS = {"a": 0.25, "b": 0.5, "c": 0.75, "d": 1.0}
LINES = '{"epoch": 1, "validation": {"mean_average_precision": 0.25}}\n'


@pytest.fixture
def runs(tmp_path):
    made = [run_with(tmp_path / "one", PRECISIONS), run_with(tmp_path / "two", PRECISIONS | {"a": 0.5})]
    for run in made:
        (run / "metrics.jsonl").write_text(LINES)
    return made


def test_figures_are_those_over_runs(runs, tmp_path):
    folder = write_compare_page(runs, tmp_path / "page.html")
    assert {path.stem: read_figure(path) for path in folder.iterdir()} == {
        "average-precision": sorted_average_precision_over_runs(runs, "test"),
        "learning-curves": learning_curves_over_runs(runs, "mean_average_precision"),
        "correlations": average_precision_correlations(runs, "test"),
    }
    outline = Outline((tmp_path / "page.html").read_text("utf-8"))
    assert outline.open == []
    said = words(outline)
    assert "one, two" in said
    assert "2 runs, evaluated on 9 clips of the test split of sounds." in said


def test_runs_without_curves_are_compared_all_the_same(runs, tmp_path):
    (runs[1] / "metrics.jsonl").unlink()
    folder = write_compare_page(runs, tmp_path / "page.html")
    assert sorted(path.stem for path in folder.iterdir()) == ["average-precision", "correlations"]
    said = words(Outline((tmp_path / "page.html").read_text("utf-8")))
    assert 'metrics.jsonl has no metric "mean_average_precision"' in said


def test_runs_on_other_clips_or_splits_are_refused(runs, tmp_path):
    other = run_with(tmp_path / "other", PRECISIONS, num_clips=8)
    with pytest.raises(InputError, match="one was on 9 clips of sounds, other on 8 of sounds; leave one of them out"):
        write_compare_page([runs[0], other], tmp_path / "page.html")
    with pytest.raises(InputError, match="must have been evaluated on validation"):
        write_compare_page(runs, tmp_path / "page.html", split="validation")
    with pytest.raises(InputError, match=r"must have been evaluated on test \(labels truth\)"):
        write_compare_page(runs, tmp_path / "page.html", labels="truth")
    assert not (tmp_path / "page.html").exists()
    assert not (tmp_path / "page-figures").exists()
