"""A page's part about folds says what the folds' files say."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from earmark.reports.folds_part import folds_part
from earmark.reports.run_files import read_run
from tests.reports.test_run_page import page_of, words

MakeRun = Callable[..., Path]
LINES = {
    "fold-1": [(0.25, 0.5), (0.75, 0.9)],
    "fold-2": [(0.5, 0.4), (None, 0.3)],
    "fold-10": [(0.125, 0.2)],
}


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    """Three of four folds begun, the last of them not trained yet."""
    run = make_run(name="run")
    for place, (name, lines) in enumerate(LINES.items(), start=1):
        fold = make_run(name=f"run/folds/{name}")
        shutil.rmtree(fold / "figures")
        (fold / "metrics.jsonl").write_text("".join(
            json.dumps({"epoch": epoch, "train_loss": 1 / epoch, "seconds": 10, "clips_per_second": 5,
                        "validation": {"lwlrap": lwlrap, "mean_average_precision": precision}}) + "\n"
            for epoch, (precision, lwlrap) in enumerate(lines, start=1)
        ))  # fmt: skip
        settings = json.loads((fold / "settings.json").read_text())
        (fold / "settings.json").write_text(json.dumps(settings | {"folds": 4, "fold": place}))
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(settings | {"folds": 4}))
    (run / "metrics.jsonl").unlink()
    shutil.rmtree(run / "folds" / "fold-10" / "model")
    return run


def test_a_line_a_fold_with_its_best_validation(run: Path, tmp_path: Path) -> None:
    page, outline = page_of(run, tmp_path)
    said = words(outline)
    start = said.index("Folds The run is 4 models")
    table = said[start : said.index("Learning curves", start)]
    assert "Fold Trained on Validated on Best mAP Epoch Validations" in table
    assert table.endswith(
        "fold-1 1,288 32 0.750 2 2 fold-2 1,288 32 0.500 1 1 fold-10 being trained 1,288 32 0.125 1 1 Mean of 3 0.458 "
    )
    assert f'data-value="{(0.75 + 0.5 + 0.125) / 3}"' in page
    assert "of esc10 in 4 folds, a model each, for 10 tags" in said
    assert (
        "mAP on validation by epoch: Over metrics.jsonl of 3 runs: fold-1 from 0.25 to 0.75; fold-2 0.5; fold-10"
        in page
    )
    assert "Training loss by epoch: Over metrics.jsonl of 3 runs: fold-1 from 1 to 0.5; " in page
    assert "training 50.0 s" in said
    assert "folds 4" in said


def test_the_metric_that_chose_is_the_one_shown(run: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "settings.json").read_text())
    settings["settings"]["select_by"] = "lwlrap"
    (run / "settings.json").write_text(json.dumps(settings))
    part = folds_part(read_run(run))
    assert part is not None
    assert (part.metric, [row.best for row in part.rows]) == ("lwlrap", [0.9, 0.4, 0.2])
    assert (part.asked, part.num_trained, part.num_valued) == (4, 2, 3)
    assert part.mean == pytest.approx(0.5)


def test_folds_that_were_interrupted_say_how_far_they_are(run: Path, tmp_path: Path) -> None:
    for part in ("evaluation", "figures", "model"):
        shutil.rmtree(run / part)
    (run / "folds" / "fold-2" / "metrics.jsonl").write_text('{"epoch": 1, "validation": {"lwlrap": 0.5}}\n{"epo')
    (run / "folds" / "fold-11").mkdir()
    (run / "folds" / "fold-x").mkdir()
    said = words(page_of(run, tmp_path)[1])
    assert "2 of 4 folds are trained. No model has been written: the run is still going or was interrupted." in said
    assert "folds/fold-2/metrics.jsonl:2 is left out: cut short, as a killed run leaves it" in said
    assert "fold-2 1,288 32 – – 0 fold-10" in said
    shutil.rmtree(run / "folds")
    said = words(page_of(run, tmp_path)[1])
    assert "0 of 4 folds are trained." in said
    assert "No fold has begun." in said
    assert "No epoch has been finished" in said


def test_a_run_of_one_model_has_no_folds(make_run: MakeRun, run: Path, tmp_path: Path) -> None:
    for one in (make_run(name="other"), run / "folds" / "fold-1"):
        assert folds_part(read_run(one)) is None
        page, outline = page_of(one, tmp_path)
        assert 'id="folds"' not in page
        assert all(attributes.get("href") != "#folds" for attributes in outline.all("a"))


def test_folds_validated_by_step_and_by_epoch_share_an_axis(run: Path) -> None:
    (run / "folds" / "fold-1" / "metrics.jsonl").write_text("".join(
        json.dumps({"epoch": 1, "step": step, "validation": {"mean_average_precision": 0.5}}) + "\n" for step in (3, 6)
    ))  # fmt: skip
    part = folds_part(read_run(run))
    assert part is not None
    assert part.curves[0].x_label == "Line of metrics.jsonl"
    assert part.curves[0].series[0].x == [1, 2]
