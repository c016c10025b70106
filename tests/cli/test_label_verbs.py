"""Scores, enhanced labels, ensembles and maps as a user types them."""

import json
import shutil
from pathlib import Path

import pytest

from earmark.data.chunking import Chunking
from earmark.data.dataset import Dataset, open_dataset
from earmark.scores.store import open_scores
from tests.cli.command import earmark
from tests.relabel.scenes import BY_SECOND, write_chunk_scores, write_scenes

SMALL = ("backbone=crnn_small", "pretrained=null", "epochs=2", "batch_size=8", "warmup_steps=0", "keep_from_epoch=1")


@pytest.fixture(scope="module")
def dogs(class_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three sounds under names that AudioSet's ontology knows: every second bark is said to be a dog's."""
    folder = tmp_path_factory.mktemp("dogs")
    rows = ["path,tags,fold"]
    for index, path in enumerate(sorted(class_folders.rglob("*.wav"))):
        kind = path.parent.name[6:]
        tags = {"Tone": "Bark", "Noise": "Rain"}.get(kind, "Bark;Dog" if index % 2 else "Bark")
        rows.append(f"{path},{tags},{path.name[0]}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    made = earmark("import", folder / "list.csv", "-o", folder / "set")
    assert made.returncode == 0, made.stderr
    return folder / "set"


@pytest.fixture(scope="module")
def runs(dogs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("psla")
    made = []
    for seed in (0, 1):
        run = folder / f"run{seed}"
        folds = ("--test-fold", 1, "--validation-fold", 2)
        answer = earmark("train", "psla", dogs, "-o", run, *folds, "--seed", seed, "--set", *SMALL)
        assert answer.returncode == 0, answer.stderr
        made.append(run)
    return made


@pytest.fixture(scope="module")
def scenes_and_scores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    folder = tmp_path_factory.mktemp("scenes")
    scenes = write_scenes(folder)
    return scenes, write_chunk_scores(folder / "scores", scenes, 1, BY_SECOND).folder


def test_recipes_names_the_presets() -> None:
    answer = earmark("recipes")
    assert "presets: audioset-balanced, audioset-full, fsd50k" in answer.stdout


def test_a_preset_is_shown_and_overridden(tmp_path: Path) -> None:
    shown = earmark("train", "psla", "--preset", "audioset-full", "--show", "--set", "epochs=20").stdout
    assert "epochs=20 " in shown
    assert "learning_rate=0.0001 " in shown
    refused = earmark("train", "psla", "--preset", "audioset", "--show")
    assert refused.returncode == 2
    assert 'recipe psla has no preset "audioset", nor is that a file; did you mean "audioset-' in refused.stderr
    (tmp_path / "mine.yaml").write_text("epoch: 3\n")
    refused = earmark("train", "psla", "--preset", tmp_path / "mine.yaml", "--show")
    assert refused.returncode == 2
    assert 'unknown key "epoch" in recipe psla; did you mean "epochs"?' in refused.stderr


@pytest.mark.slow
def test_from_scores_to_enhanced_labels(runs: list[Path], dogs: Path, tmp_path: Path) -> None:
    scores, dataset = tmp_path / "scores", tmp_path / "set"
    shutil.copytree(dogs, dataset)
    answer = earmark("score", runs[0], dataset, "--folds", 2, "--precision", "bf16", "-o", scores)
    assert answer.returncode == 0, answer.stderr
    assert "scores of 36 clips, 3 tags" in answer.stdout
    again = earmark("score", runs[0], dataset, "--folds", 2, "--precision", "bf16", "-o", scores)
    assert again.returncode == 0, again.stderr
    assert open_scores(scores).about["precision"] == "bf16"
    answer = earmark("relabel", "ontology", dataset, "--scores", scores, "--name", "enhanced", "--threshold", "5")
    assert answer.returncode == 0, answer.stderr
    assert "layer enhanced adds" in answer.stdout
    about = json.loads((dataset / "labels" / "enhanced.json").read_text())
    assert about["changes"]["types"] == "both"
    before, after = open_dataset(dataset).labels().counts(), open_dataset(dataset).labels("enhanced").counts()
    assert (after >= before).all()
    assert after.sum() == before.sum() + about["changes"]["added"]
    taken = earmark("relabel", "ontology", dataset, "--scores", scores, "--name", "enhanced")
    assert taken.returncode == 2
    assert 'label layer "enhanced" is there already' in taken.stderr


def test_chunks_are_scored_for_a_student(runs: list[Path], dogs: Path, tmp_path: Path) -> None:
    chunks = ("--chunk-s", 0.4, "--min-chunk-s", 0.1)
    answer = earmark("score", runs[0], dogs, *chunks, "--precision", "bf16", "-o", tmp_path / "scores")
    assert answer.returncode == 0, answer.stderr
    assert "scores of 108 chunks of 36 clips, 3 tags" in answer.stdout
    assert f"train psl {dogs} --teacher {tmp_path / 'scores'} -o RUN" in answer.stdout
    made = open_scores(tmp_path / "scores")
    assert made.chunking == Chunking(chunk_s=0.4, min_chunk_s=0.1)
    assert not made.about["out_of_fold"]
    assert made.about["precision"] == "bf16"
    again = earmark("score", runs[0], dogs, *chunks, "--precision", "fp32", "-o", tmp_path / "scores")
    assert again.returncode == 2
    assert "other scores (in bf16, not fp32); add --precision bf16, or name another folder" in again.stderr
    other = earmark("score", runs[0], dogs, "--chunk-s", 0.5, "-o", tmp_path / "scores")
    assert other.returncode == 2
    assert "holds other scores (of another model, data set or setting); name another folder" in other.stderr
    alone = earmark("score", runs[0], dogs, "--min-chunk-s", 0.1, "-o", tmp_path / "none")
    assert alone.returncode == 2
    assert alone.stderr == "earmark: --min-chunk-s is read with --chunk-s only\n"
    long = earmark("score", runs[0], dogs, "--chunk-s", 0.4, "-o", tmp_path / "none")
    assert long.returncode == 2
    assert long.stderr == "earmark: min_chunk_s must be at most chunk_s, 0.4, got 0.5\n"
    assert not (tmp_path / "none").exists()


def test_scores_are_mapped_as_a_model_is(scenes_and_scores: tuple[Dataset, Path], tmp_path: Path) -> None:
    scenes, scores = scenes_and_scores
    answer = earmark("map", scores, scenes.folder, "-o", tmp_path / "map.csv")
    assert answer.returncode == 0, answer.stderr
    assert "3 of 3 tags are among the model's 3" in answer.stdout
    (used,) = (line for line in answer.stdout.splitlines() if line.startswith("next:"))
    assert used.endswith(f"train psl {scenes.folder} --teacher {scores} -o RUN --map {tmp_path / 'map.csv'}")


def test_folders_in_each_others_places_are_named(
    scenes_and_scores: tuple[Dataset, Path], runs: list[Path], tmp_path: Path
) -> None:
    scenes, scores = scenes_and_scores
    order = "the order is MODEL DATASET (evaluate, score, tune, map), RECIPE DATASET (train), DATASET SCORES (coverage)"
    for words, said in (
        (("evaluate", scenes.folder, runs[0]), f"{runs[0]}: must be a data set, this is a run folder; {order}"),
        (("evaluate", runs[0], runs[0] / "model"), f"model: must be a data set, this is a model folder; {order}"),
        (("coverage", scores, scenes.folder, "-o", tmp_path / "a.html"), f"this is a score store; {order}"),
        (("score", scenes.folder, scenes.folder, "-o", tmp_path / "s"),
         f"{scenes.folder}: must be a model folder or a run folder, this is a data set; {order}"),
        (("tag", scores, scenes.audio_root), f"must be a model folder or a run folder, this is a score store; {order}"),
    ):  # fmt: skip
        answer = earmark(*words)
        assert answer.returncode == 2, answer.stderr
        assert said in answer.stderr
    assert not list(tmp_path.iterdir())


def test_scores_of_one_model_do_not_go_to_folds(
    scenes_and_scores: tuple[Dataset, Path], runs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "scores" / "folds").mkdir(parents=True)
    answer = earmark("score", runs[0], scenes_and_scores[0].folder, "-o", tmp_path / "scores")
    assert answer.returncode == 2
    assert "holds folds of out-of-fold scores; go on with --folds, or name another folder" in answer.stderr


def test_what_cannot_be_relabelled(runs: list[Path], dogs: Path, small_dataset: Path, tmp_path: Path) -> None:
    answer = earmark("score", runs[0], dogs, "-o", tmp_path / "scores")
    assert "their scores flatter it; see --folds" in answer.stderr
    other = earmark("relabel", "ontology", small_dataset, "--scores", tmp_path / "scores", "--name", "e")
    assert other.returncode == 2
    assert "scores must have the 3 tags of sounds, Bark, Dog, Rain differ" in other.stderr
    (tmp_path / "loop.csv").write_text("parent,child\nBark,Dog\nDog,Bark\n")
    loop = earmark(
        "relabel", "ontology", dogs, "--scores", tmp_path / "scores", "--name", "e", "--ontology", tmp_path / "loop.csv"
    )
    assert loop.returncode == 2
    assert " -> " in loop.stderr
    nothing = earmark("relabel", "ontology", dogs, "--scores", tmp_path, "--name", "e")
    assert nothing.returncode == 2
    assert "must be a score store" in nothing.stderr
    assert open_dataset(dogs).layers() == ["given"]
    wrong = earmark("score", tmp_path / "no-run", dogs, "--folds", 2, "-o", tmp_path / "s2")
    assert wrong.returncode == 2
    assert "this is no run folder" in wrong.stderr
    assert not (tmp_path / "s2").exists()


def test_runs_become_a_model(runs: list[Path], dogs: Path, class_folders: Path, tmp_path: Path) -> None:
    answer = earmark("ensemble", *runs, "-o", tmp_path / "model")
    assert answer.returncode == 0, answer.stderr
    assert "2 members" in answer.stdout
    recording = next(class_folders.rglob("*.wav"))
    assert earmark("tag", tmp_path / "model", recording).returncode == 0
    assert earmark("evaluate", tmp_path / "model", dogs, "--split", "test").returncode == 0
    epochs = earmark("ensemble", *runs, "--epochs-from", 2, "-o", tmp_path / "epochs")
    assert "2 members" in epochs.stdout
    taken = earmark("ensemble", *runs, "-o", tmp_path / "model")
    assert taken.returncode == 2
    assert "must not exist yet" in taken.stderr
    twice = earmark("ensemble", runs[0], runs[0] / "model", "-o", tmp_path / "twice")
    assert twice.returncode == 2
    assert "each member of an ensemble must be given once, or it counts double; given again: " in twice.stderr
    resumed = earmark("train", "baseline", dogs, "-o", tmp_path / "run", "--init", tmp_path / "model")
    assert resumed.returncode == 2
    assert "is an ensemble, and one tagger is needed here" in resumed.stderr


def test_a_model_is_judged_on_other_tags(runs: list[Path], class_folders: Path, tmp_path: Path) -> None:
    rows = [f"{path},{'bark' if 'Tone' in str(path) else 'other'}" for path in sorted(class_folders.rglob("*.wav"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,tags", *rows]) + "\n")
    assert earmark("import", tmp_path / "list.csv", "-o", tmp_path / "set").returncode == 0
    proposed = earmark("map", runs[0], tmp_path / "set", "-o", tmp_path / "map.csv")
    assert proposed.returncode == 0, proposed.stderr
    assert "1 of 2 tags are among the model's 3" in proposed.stdout
    assert (tmp_path / "map.csv").read_text().split() == ['"dataset_tag","model_tag"', '"bark","Bark"']
    uses = f"{tmp_path / 'set'} --teacher {runs[0]} -o RUN --map {tmp_path / 'map.csv'}"
    assert f"train psl {uses}" in proposed.stdout.splitlines()[-1]
    answer = earmark("evaluate", runs[0], tmp_path / "set", "--split", "all", "--map", tmp_path / "map.csv", "--json")
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["num_clips"], told["num_tags"]) == (12, 1)
    assert told["metrics"]["accuracy"]["value"] == 1
    without = earmark("evaluate", runs[0], tmp_path / "set", "--split", "all")
    assert without.returncode == 2
    assert "the model must know the data set's tags" in without.stderr
