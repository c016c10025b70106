"""`evaluate --events` as a user types it."""

import json
from pathlib import Path

import pytest

from earmark.data.dataset import Dataset
from earmark.figures import read_figure
from earmark.models.tagger import save_model
from tests.cli.command import earmark
from tests.test_tuning import tagger_of, write_set


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_set(tmp_path_factory.mktemp("strong"), weak="test")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_model(tagger_of(0), tmp_path / "run" / "model")
    (tmp_path / "run" / "settings.json").write_text("{}")
    return tmp_path / "run"


def test_metrics_are_printed_and_kept_with_a_clip(sounds: Dataset, run: Path) -> None:
    strong = next(clip for clip in sounds.clips["clip"].to_pylist() if "test" in clip)
    answer = earmark("evaluate", run, sounds.folder, "--events", "--clip", strong)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[0] == "sounds, test split, labels given: 3 clips in 3 groups, 6 s, score frames of 40 ms"
    assert "  1 clip of the split with no times took no part" in lines
    names = [line.split()[0] for line in lines]
    for metric in ("collar_based_f1", "segment_based_f1", "intersection_based_f1", "psds_1", "psds_2"):
        assert metric in names
    assert lines[-1] == f"clip: {run}/figures/clip-{strong}.json"
    assert read_figure(run / "figures" / f"clip-{strong}.json").clip == strong
    assert earmark("report", run).returncode == 0
    page = (run / "report.html").read_text("utf-8")
    assert f"Events in {strong}" in page
    assert "PSD-ROC of PSDS 2 on test" in page


def test_json_is_what_is_kept(sounds: Dataset, run: Path) -> None:
    answer = earmark("evaluate", run, sounds.folder, "--events", "--split", "validation", "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == json.loads((run / "evaluation" / "events" / "validation.json").read_text())
    # Clips as a whole were not evaluated: nothing stands where that would be kept.
    assert not list((run / "evaluation").glob("*.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--clip", "a"), "--clip shows the events of a clip; add --events"),
        (("--events", "--by-epoch"), "--events judges the model's own tags as they are, and takes neither --map nor"),
        (("--events", "--map", "map.csv"), "--events judges the model's own tags as they are, and takes neither"),
        (("--events", "--labels", "givn"), 'there is no label layer "givn"; did you mean "given"?'),
        (("--events", "--clip", "nothing"), 'there is no clip "nothing"'),
    ],
)
def test_what_does_not_go_is_refused_in_one_line(
    sounds: Dataset, run: Path, options: tuple[str, ...], message: str
) -> None:
    answer = earmark("evaluate", run, sounds.folder, *options)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert not (run / "figures").exists()


def test_clips_without_times_are_refused_in_one_line(small_dataset: Path, run: Path) -> None:
    answer = earmark("evaluate", run, small_dataset, "--events", "--split", "all")
    assert answer.returncode == 2
    assert "must hold events with onset and offset to judge by, found none: of its 36 clips 0 are" in answer.stderr
    assert "evaluate its clip labels, without --events" in answer.stderr
