"""Training with --folds as a user does, mistakes included."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import earmark

SMALL = ("--set", "backbone=crnn_small", "pretrained=null", "epochs=2", "batch_size=4", "warmup_steps=0")


@pytest.fixture(scope="module")
def run(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds, interrupted while the second is trained, and resumed."""
    run = tmp_path_factory.mktemp("folds") / "run"
    words = ["train", "baseline", small_dataset, "-o", run, "--folds", "2", "--test-fold", "1", *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-m", "earmark", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not (run / "folds" / "fold-2" / "settings.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    again = earmark(*words)
    assert again.returncode == 2, again.stderr
    assert again.stderr.splitlines()[-1].endswith("it holds a run; add --resume to go on, or name another")
    other = earmark(*words[:6], "3", *words[7:], "--resume")
    assert other.returncode == 2, other.stderr
    assert other.stderr.startswith(f"earmark: {run} was begun with folds=2 (now 3); --resume goes on with the same")
    answer = earmark(*words, "--resume")
    assert answer.returncode == 0, answer.stderr
    assert f"{run / 'folds' / 'fold-1'} is done" in answer.stderr
    assert f"evaluate {run} {small_dataset} --split test" in answer.stdout
    return run


def test_folds_are_one_model_for_every_verb(run: Path, small_dataset: Path, class_folders: Path) -> None:
    answer = earmark("evaluate", run, small_dataset)
    assert answer.returncode == 0, answer.stderr
    assert "test split, labels given: 12 clips" in answer.stdout
    answer = earmark("tag", run, class_folders / "003 - Tone" / "1-300-A.wav", "--format", "jsonl")
    assert len(json.loads(answer.stdout)["tags"]) == 3
    answer = earmark("report", run)
    assert answer.returncode == 0, answer.stderr
    assert "mAP on test: " in answer.stdout
    page = (run / "report.html").read_text()
    assert '<td class="name">fold-1</td>' in page
    assert '<td class="name">Mean of 2</td>' in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "RUN", "SET", "--split", "validation"], "all together have no validation split; use another on"),
        (["evaluate", "RUN", "SET", "--by-epoch"], "is several models, and epochs are of one; name one's run, such as"),
        (["score", "RUN", "SET", "--folds", "2", "-o", "s"], "is 2 models, one a fold, and others are trained as one"),
        (["train", "baseline", "SET", "-o", "r", "--init", "RUN"], "is an ensemble, and one tagger is needed here"),
        (
            ["train", "baseline", "SET", "-o", "r", "--folds", "2", "--validation-fold", "1"],
            "leave --validation-fold o",
        ),
        (["train", "baseline", "SET", "-o", "r", "--folds", "40"], "folds must be from 2 to the 36 groups of training"),
    ],
)
def test_a_mistake_with_folds_is_answered_in_one_line(
    run: Path, small_dataset: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    named = {"RUN": run, "SET": small_dataset, "r": tmp_path / "r", "s": tmp_path / "s"}
    answer = earmark(*(named.get(word, word) for word in words))
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
