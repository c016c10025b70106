"""An audit as a user types it: from shaky recordings to corrected labels."""

import csv
import os
import shlex
import shutil
from pathlib import Path

import pytest

from earmark.data.dataset import open_dataset
from tests.audit.shaky import name_of, write_shaky, write_shaky_scores
from tests.cli.command import earmark

# Fourteen steps an epoch on a fold of 36 clips: enough to tell three sounds apart.
SMALL = (
    "backbone=crnn_small", "pretrained=null", "epochs=25", "batch_size=4", "learning_rate=3e-3", "warmup_steps=0",
    "mixup_rate=0", "final_weights=last",
)  # fmt: skip
WRONG = {"1-100-A": "Noise", "2-204-A": "Tone", "3-305-A": "Click"}


@pytest.fixture(scope="module")
def sounds(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three sounds in a table without splits, three of them under another's name."""
    folder = tmp_path_factory.mktemp("sounds")
    lines = ["path,tags"]
    for path in sorted(class_folders.rglob("*.wav")):
        lines.append(f"{path},{WRONG.get(path.stem, path.parent.name[6:])}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    made = earmark("import", folder / "list.csv", "-o", folder / "set")
    assert made.returncode == 0, made.stderr
    return folder / "set"


@pytest.fixture(scope="module")
def out(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit") / "out"
    answer = earmark("audit", sounds, "-o", out, "--folds", 3, "--set", *SMALL)
    assert answer.returncode == 0, answer.stderr
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


@pytest.mark.slow
def test_planted_errors_are_found_by_models_that_it_trains(out: Path) -> None:
    assert {path.name for path in out.iterdir()} == {
        "scores", "suspects.csv", "audit.html", "audit-figures", "audit.json", "audit.md"
    }  # fmt: skip
    rows = rows_of(out / "suspects.csv")
    wrong = {(row["clip"].rpartition("/")[2], row["tag"]) for row in rows if row["kind"] == "wrong"}
    assert set(WRONG.items()) <= wrong
    assert len(wrong) <= 6
    assert len(list((out / "scores" / "folds").glob("*/model"))) == 3


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_was_stopped(sounds: Path, out: Path) -> None:
    before = (out / "suspects.csv").read_bytes()
    models = sorted((out / "scores" / "folds").glob("*/model/model.safetensors"))
    times = [os.stat(path).st_mtime_ns for path in models]
    # As it is when it was stopped in the second fold.
    for name in ("about.json", "index.parquet", "scores.npy"):
        (out / "scores" / name).unlink()
    for name in ("suspects.csv", "audit.html"):
        (out / name).unlink()
    shutil.rmtree(models[2].parent)
    answer = earmark("audit", sounds, "-o", out, "--folds", 3, "--set", *SMALL)
    assert answer.returncode == 0, answer.stderr
    assert (out / "suspects.csv").read_bytes() == before
    assert [os.stat(path).st_mtime_ns for path in models[:2]] == times[:2]
    other = earmark("audit", sounds, "-o", out, "--folds", 2, "--set", *SMALL)
    assert other.returncode == 2
    assert "was begun with 3 folds, not 2; name another folder" in other.stderr


@pytest.mark.slow
def test_what_it_tells_to_type_next_brings_the_corrections_back(sounds: Path, out: Path, tmp_path: Path) -> None:
    answer = earmark("audit", sounds, "--scores", out / "scores", "-o", tmp_path / "again", "--no-near-duplicates")
    assert answer.returncode == 0, answer.stderr
    path = tmp_path / "again" / "suspects.csv"
    assert path.read_bytes() == (out / "suspects.csv").read_bytes()
    rows = rows_of(path)
    for row in rows:
        row["verdict"] = "remove" if (row["clip"].rpartition("/")[2], row["tag"]) in WRONG.items() else "keep"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    words = shlex.split(answer.stdout.splitlines()[-1])
    answer = earmark(*words[words.index("import") :])
    assert answer.returncode == 0, answer.stderr
    assert "removed    3" in answer.stdout
    dataset = open_dataset(sounds)
    assert dataset.labels("given").counts().sum() - dataset.labels("audited").counts().sum() == 3
    over = earmark("audit", sounds, "--scores", out / "scores", "-o", tmp_path / "again")
    assert over.returncode == 2
    assert "verdicts, which a new audit would write over" in over.stderr


def test_what_it_prints(tmp_path: Path) -> None:
    dataset = write_shaky(tmp_path / "shaky")
    store = write_shaky_scores(tmp_path / "scores", dataset)
    answer = earmark("audit", dataset.folder, "--scores", store.folder, "-o", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["labels", "wrong", "missing", "suspects", "the"]
    assert "3 wrong, 2 missing, 2 implied" in lines[3]
    assert f"page:  {tmp_path / 'out' / 'audit.html'}" in lines
    assert lines[-1].endswith(
        f"import {dataset.folder} --labels-from {tmp_path / 'out' / 'suspects.csv'} --name audited"
    )
    listed = rows_of(tmp_path / "out" / "suspects.csv")
    assert name_of(7) in {row["clip"] for row in listed}


def test_what_cannot_be_audited_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    dataset = write_shaky(tmp_path / "shaky")
    store = write_shaky_scores(tmp_path / "scores", dataset)
    folder, out = dataset.folder, tmp_path / "out"
    given = ("--scores", store.folder)
    for words, said in (
        ((folder,), "audit needs a data set and a folder: earmark audit DATASET -o OUT"),
        ((folder, *given, "-o", out, "--folds", 3), "--folds is for models that an audit trains; leave it out, or"),
        ((folder, *given, "-o", out, "--set", "epochs=3"), "--set is for models that an audit trains"),
        ((folder, "-o", out, "--recipe", "bseline"), 'unknown recipe "bseline"; did you mean "baseline"?'),
        ((folder, "-o", out, "--set", "epoch=3"), 'unknown key "epoch" in recipe baseline; did you mean "epochs"?'),
        ((folder, "-o", out, "--labels", "other"), 'there is no label layer "other"'),
        ((folder, *given, "-o", tmp_path), "must be a new or an empty folder, it holds shaky; name another"),
        ((store.folder, *given, "-o", out), "must be a data set, this is a score store"),
        ((folder, "--scores", folder, "-o", out), "must be a score store, this is a data set"),
    ):
        answer = earmark("audit", *words)
        assert answer.returncode == 2, (words, answer.stderr)
        assert said in answer.stderr
        assert not out.exists()
