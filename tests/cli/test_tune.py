"""The verb tune as a user types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earmark.cli import app
from earmark.models.tagger import save_model
from tests.cli.command import earmark
from tests.test_tuning import tagger_of, write_set


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and a data set with strong clips."""
    folder = tmp_path_factory.mktemp("tune")
    write_set(folder)
    save_model(tagger_of(0), folder / "model")
    return folder / "model", folder / "sounds"


def test_tune_prints_each_tag_and_the_next_step_works(folders: tuple[Path, Path]) -> None:
    model, dataset = folders
    answer = earmark("tune", model, dataset, "--criterion", "segment")
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert "3 clips labelled strong; 1 other not labelled strong" in lines[0]
    assert [line.split()[0] for line in lines[2:4]] == ["Noise", "Tone"]
    assert "on the very clips that it was tuned on: the latter flatters" in answer.stdout
    assert f"{model}/events.json: thresholds and filters of 3 tags" in answer.stdout
    assert lines[-1].startswith("next:  ")
    words = lines[-1].split(" evaluate ")[1].split()
    answer = earmark("evaluate", *words)
    assert answer.returncode == 0, answer.stderr


def test_tune_as_json_is_what_is_kept(folders: tuple[Path, Path]) -> None:
    model, dataset = folders
    answer = CliRunner().invoke(app, ["tune", str(model), str(dataset), "--json", "-q"])
    assert answer.exit_code == 0, answer.stderr
    printed, kept = json.loads(answer.stdout), json.loads((model / "events.json").read_text())
    assert [row["threshold"] for row in printed["per_tag"]] == kept["thresholds"]
    assert [row["median_filter_s"] for row in printed["per_tag"]] == kept["median_filter_s"]
    assert kept["about"] == {key: printed[key] for key in kept["about"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL", "SET", "--split", "test"], "what is tuned on the clips that a model is tested on flatters it there"),
        (["MODEL", "SET", "--split", "tests"], '--split must be one of validation, train, got "tests"'),
        (
            ["SET", "MODEL"],
            "this is a model folder; the order is MODEL DATASET (evaluate, score, tune",
        ),
        (["MODEL", "SET", "--labels", "gven"], '"gven"; did you mean "given"?'),
    ],
)
def test_a_mistake_is_answered_in_one_line(folders: tuple[Path, Path], words: list[str], message: str) -> None:
    named = dict(zip(("MODEL", "SET"), map(str, folders), strict=True))
    answer = CliRunner().invoke(app, ["tune", *(named.get(word, word) for word in words)])
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
