"""Every verb as a user types it: what it prints, where, and with which exit code."""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from typer.testing import CliRunner

from earmark.cli import app
from tests.cli.command import earmark
from tests.conftest import RATE_HZ, TAGS, sound

VERBS = (
    "import",
    "export",
    "pack",
    "info",
    "diff",
    "recipes",
    "train",
    "evaluate",
    "tag",
    "report",
    "tune",
    "score",
    "relabel",
    "ensemble",
    "map",
    "mix",
    "corrupt",
)


def test_help_needs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; import earmark.cli; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_answers_help_with_an_example(verb: str) -> None:
    answer = earmark(verb, "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"Example: earmark {verb}" in answer.stdout


def test_import_prints_what_it_found(class_folders: Path, tmp_path: Path) -> None:
    answer = earmark("import", class_folders, "-o", tmp_path / "sounds", "--tables", "csv")
    assert answer.returncode == 0, answer.stderr
    assert "usable" in answer.stdout
    assert "36" in answer.stdout
    assert (tmp_path / "sounds" / "clips.csv").exists()


def test_import_cuts_long_recordings(class_folders: Path, tmp_path: Path) -> None:
    answer = earmark("import", class_folders, "-o", tmp_path / "sounds", "--clip-s", "0.5", "--hop-s", "0.25")
    assert answer.returncode == 0, answer.stderr
    assert "clips       108" in answer.stdout
    assert "note: cut: 36 of 36 clips into 108 of 0.5 s every 0.25 s" in answer.stdout


def test_corrected_labels_become_a_layer(class_folders: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "sounds"
    assert earmark("import", class_folders, "-o", dataset).returncode == 0
    (tmp_path / "mine.csv").write_text("clip,tag,value\n001 - Click/1-100-A,Click,0\n001 - Click/1-100-A,Tone,1\n")
    answer = earmark("import", "--labels-from", tmp_path / "mine.csv", "--name", "mine", dataset)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout
    assert earmark("diff", dataset, "given", "mine").stdout.startswith("given -> mine: 1 added, 1 removed, 0 changed")
    (tmp_path / "more.csv").write_text("clip,tag,value\n001 - Click/1-100-A,Noise,1\nnobody,Click,1\n")
    answer = earmark("import", "--labels-from", tmp_path / "more.csv", "--name", "other", dataset)
    assert answer.returncode == 3, answer.stderr
    assert "unknown    1  names: nobody" in answer.stdout
    answer = earmark("import", "--labels-from", tmp_path / "mine.csv", "--name", "more", dataset, "--labels", "mien")
    assert answer.returncode == 2
    assert '"mien"; did you mean "mine"?' in answer.stderr


def test_export_says_what_it_wrote_and_what_it_left_out(class_folders: Path, tmp_path: Path) -> None:
    source, dataset = tmp_path / "audio", tmp_path / "sounds"
    shutil.copytree(class_folders, source)
    assert earmark("import", source, "-o", dataset).returncode == 0
    answer = earmark("export", dataset, "--format", "raven", "-o", tmp_path / "tables")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout
    assert (tmp_path / "tables").is_dir()
    (source / "001 - Click" / "1-100-A.wav").unlink()
    answer = earmark("export", dataset, "--format", "raven", "-o", tmp_path / "others")
    assert answer.returncode == 3, answer.stderr
    answer = earmark("export", dataset, "--format", "ravne", "-o", tmp_path / "more")
    assert answer.returncode == 2
    assert '"ravne"; did you mean "raven"?' in answer.stderr


def test_a_profile_is_a_table_and_no_run(small_dataset: Path, tmp_path: Path) -> None:
    words = ["train", "baseline", small_dataset, "--profile", "--set", "backbone=crnn_small", "pretrained=null"]
    alone = earmark(*words)
    assert alone.returncode == 0, alone.stderr
    lines = alone.stdout.splitlines()
    assert lines[0] == "baseline on sounds"
    assert "waiting for data" in alone.stdout
    assert lines[-1].startswith(("computing binds: ", "data bind: "))
    folds = earmark(*words, "--folds", 2, "-o", tmp_path / "run")
    assert folds.returncode == 0, folds.stderr
    assert folds.stdout.startswith(
        f"baseline on sounds: {tmp_path / 'run' / 'folds' / 'fold-1'}, which is trained first"
    )
    assert not (tmp_path / "run").exists()


def test_info_and_recipes(small_dataset: Path) -> None:
    answer = earmark("info", small_dataset)
    assert "36 clips of 36 recordings, 3 tags" in answer.stdout
    assert "fold: 1 12, 2 12, 3 12" in answer.stdout
    assert earmark("recipes").stdout.startswith("baseline ")


def test_show_prints_every_setting_with_a_line_of_text() -> None:
    answer = earmark("train", "baseline", "--show", "--set", "epochs=3", "batch_size=5")
    assert answer.returncode == 0, answer.stderr
    assert "epochs=3 " in answer.stdout
    assert "batch_size=5 " in answer.stdout
    settings = [line for line in answer.stdout.splitlines() if "=" in line]
    assert all(len(line.split("  ")) > 1 and line.rstrip()[-1] != "=" for line in settings)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "basline", "d", "-o", "r"], 'unknown recipe "basline"; did you mean "baseline"?'),
        (["train", "baseline", "--show", "--set", "epoch=3"], 'unknown key "epoch" in recipe baseline; did you mean'),
        (["train", "baseline", "--show", "--set", "epochs=0"], '"epochs" in recipe baseline'),
        (["train", "baseline", "nowhere", "-o", "r"], "nowhere: must be a data set"),
        (["train", "baseline"], "train needs a data set and a run folder"),
        (["tag", "nowhere", "a.wav"], "must hold config.json"),
        (["report", "nowhere"], "is not a run folder"),
        (["import", "nowhere", "-o", "d"], "nowhere"),
        (["export", "nowhere", "--format", "raven", "-o", "e"], "nowhere: must be a data set"),
        (["train", "baseline", "--show", "--set", "backbone=efficientnet_b7"], "efficientnet_b2"),
        (["train", "baseline", "--show", "--set", "head=atention"], "attention"),
        (["train", "baseline", "--show", "--set", "backbone=crnn_small"], "crnn_small set pretrained=null"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_line_with_the_way_out(words: list[str], message: str) -> None:
    answer = earmark(*words)
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert answer.stderr.startswith("earmark: ")
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "add -o DATASET"),
        (["a", "-o", "d", "--format", "esc5"], 'unknown layout "esc5"'),
        (["a", "-o", "d", "--hop-s", "5"], "give --clip-s too"),
        (["a", "-o", "d", "--clip-s", "0"], "clip_s must be at least 0.1 s, got 0"),
        (["a", "-o", "d", "--name", "n"], "--name goes with --labels-from FILE"),
        (["a", "-o", "d", "--labels", "given"], "--labels goes with --labels-from FILE"),
        (["d", "--labels-from", "f.csv"], "add --name LAYER"),
        (["d", "--labels-from", "f.csv", "--name", "n", "-o", "e"], "-o does not go with --labels-from"),
        (["d", "--labels-from", "f.csv", "--name", "n", "--tables", "csv"], "--tables does not go with"),
        (["nowhere", "--labels-from", "f.csv", "--name", "n"], "nowhere: must be a data set"),
    ],
)
def test_options_of_import_that_do_not_go_together(words: list[str], message: str) -> None:
    answer = CliRunner().invoke(app, ["import", *words])
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_unknown_tag_layer_and_fold_name_what_there_is(small_dataset: Path, small_run: Path, tmp_path: Path) -> None:
    answer = earmark("train", "baseline", small_dataset, "-o", tmp_path / "r", "--labels", "gven")
    assert answer.returncode == 2, answer.stderr
    assert '"gven"; did you mean "given"?' in answer.stderr
    answer = earmark("train", "baseline", small_dataset, "-o", tmp_path / "r", "--test-fold", "9")
    assert answer.returncode == 2, answer.stderr
    assert "9" in answer.stderr
    assert "1, 2, 3" in answer.stderr
    answer = earmark("diff", small_dataset, "given", "correctd")
    assert answer.returncode == 2, answer.stderr


def test_a_run_folder_in_use_is_not_overwritten(small_dataset: Path, small_run: Path) -> None:
    before = (small_run / "model" / "model.safetensors").read_bytes()
    answer = earmark("train", "baseline", small_dataset, "-o", small_run)
    assert answer.returncode == 2, answer.stderr
    assert "--resume" in answer.stderr
    answer = earmark("train", "baseline", small_dataset, "-o", small_run, "--resume")
    assert answer.returncode == 2, answer.stderr
    assert "the same data and settings" in answer.stderr
    assert (small_run / "model" / "model.safetensors").read_bytes() == before


def test_evaluate_prints_metrics_and_keeps_them(small_dataset: Path, small_run: Path) -> None:
    answer = earmark("evaluate", small_run, small_dataset, "--json")
    assert answer.returncode == 0, answer.stderr
    printed = json.loads(answer.stdout)
    assert printed == json.loads((small_run / "evaluation" / "test.json").read_text())
    mean = printed["metrics"]["mean_average_precision"]
    assert mean["low"] <= mean["value"] <= mean["high"]
    assert mean["value"] > 0.9
    assert printed["num_clips"] == 12
    answer = earmark("evaluate", small_run, small_dataset, "--split", "train")
    assert "the model was trained on the train split: these figures flatter it" in answer.stderr
    answer = earmark("report", small_run)
    assert f"mAP on test: {mean['value']:.3f}" in answer.stdout
    assert f"{mean['value']:.3f}" in (small_run / "report.html").read_text()


def test_tag_formats_agree(small_run: Path, class_folders: Path, tmp_path: Path) -> None:
    folder = class_folders / "003 - Tone"
    rows = [json.loads(line) for line in earmark("tag", small_run, folder, "--format", "jsonl").stdout.splitlines()]
    assert len(rows) == 12
    assert all(row["onset"] is None and len(row["tags"]) == 3 for row in rows)
    assert sum(row["tags"][0]["tag"] == "Tone" for row in rows) >= 11
    table = list(csv.DictReader(io.StringIO(earmark("tag", small_run, folder, "--format", "csv").stdout)))
    assert [(row["path"], row["tag"]) for row in table] == [
        (row["path"], tag["tag"]) for row in rows for tag in row["tags"]
    ]
    lines = earmark("tag", small_run, folder, "--top-k", "1").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [row["path"] for row in rows]
    paths = "".join(f"{row['path']}\n" for row in rows[:2])
    out = tmp_path / "e.npz"
    answer = earmark("tag", small_run, "-", "--threshold", "0.999999", "--embeddings", out, stdin=paths)
    assert answer.stdout.count("(no tag)") == 2
    with np.load(out) as kept:
        assert kept["paths"].tolist() == [row["path"] for row in rows[:2]]
        assert kept["embeddings"].shape[0] == 2
        assert np.isfinite(kept["embeddings"]).all()


def test_a_long_recording_is_tagged_in_windows(small_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    parts = [sound(tag, 90 + i, 12.0) for i, tag in enumerate(("Tone", "Noise", "Click"))]
    soundfile.write(path, np.concatenate(parts), RATE_HZ)
    rows = [
        json.loads(line)
        for line in earmark("tag", small_run, path, "--format", "jsonl", "--top-k", "3").stdout.splitlines()
    ]
    *windows, whole = rows
    assert whole["onset"] is None
    assert [row["onset"] for row in windows] == [float(i) for i in range(36)]
    assert windows[-1]["offset"] == 36.0
    for tag in TAGS:
        scores = [t["score"] for row in windows for t in row["tags"] if t["tag"] == tag]
        assert max(scores) == next(t["score"] for t in whole["tags"] if t["tag"] == tag)
    assert windows[2]["tags"][0]["tag"] == "Tone"
    assert windows[20]["tags"][0]["tag"] == "Noise"


def test_an_interrupted_command_says_how_to_go_on(small_dataset: Path, tmp_path: Path) -> None:
    words = ["train", "baseline", small_dataset, "-o", tmp_path / "run", "--set", "backbone=crnn_small",
             "pretrained=null", "epochs=500", "batch_size=4"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "earmark", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("earmark: interrupted; what is written is whole")


def test_a_reader_that_has_enough_ends_the_command_quietly(small_dataset: Path) -> None:
    command = f"{sys.executable} -m earmark info {small_dataset} | true; exit ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert answer.returncode in (0, 141)
    assert answer.stderr == ""


def test_folders_that_cannot_be_written_are_answered_in_one_line(
    small_dataset: Path, small_run: Path, class_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    recording = class_folders / "003 - Tone" / "1-300-A.wav"
    for words in (
        ["train", "baseline", small_dataset, "-o", tmp_path / "file" / "run"],
        ["import", class_folders, "-o", tmp_path / "file" / "sounds"],
        ["tag", small_run, recording, "--embeddings", tmp_path / "nowhere" / "e.npz"],
    ):
        answer = earmark(*words)
        assert answer.returncode == 2, answer.stderr
        assert answer.stderr.splitlines()[-1].startswith("earmark: ")
        assert "Traceback" not in answer.stderr
    assert "tag" not in earmark("tag", small_run, recording, "--embeddings", tmp_path / "nowhere" / "e.npz").stdout


def test_embeddings_go_where_they_were_asked_for(small_run: Path, class_folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "embeddings"
    answer = earmark("tag", small_run, class_folders / "003 - Tone" / "1-300-A.wav", "--embeddings", out, "-q")
    assert answer.returncode == 0, answer.stderr
    with np.load(out) as kept:
        assert kept["embeddings"].shape[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]


def test_a_list_may_come_from_another_system_and_name_folders(small_run: Path, class_folders: Path) -> None:
    recording = class_folders / "001 - Click" / "1-100-A.wav"
    answer = earmark(
        "tag", small_run, "-", "--top-k", "1", stdin=f"{recording}\r\n\r\n{class_folders / '003 - Tone'}\r\n"
    )
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == 13


def test_the_next_step_is_one_that_works(small_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "my run"
    answer = earmark("train", "baseline", small_dataset, "-o", out, "--set", "backbone=crnn_small", "pretrained=null",
                     "epochs=1", "batch_size=4")  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert f" tag '{out}' YOUR_RECORDINGS/" in answer.stdout
    assert "next:  earmark tag" in answer.stdout or "next:  python -m earmark tag" in answer.stdout


def test_diff_prints_what_a_layer_changed(class_folders: Path, tmp_path: Path) -> None:
    from earmark.data.dataset import open_dataset, write_layer
    from earmark.data.importing import import_dataset
    from earmark.data.tables import LABEL_SCHEMA, columns_or_null

    import_dataset(class_folders, tmp_path / "sounds")
    dataset = open_dataset(tmp_path / "sounds")
    clip = dataset.column("clip")[0]
    table = columns_or_null(
        2,
        LABEL_SCHEMA,
        clip=pa.array([clip] * 2),
        tag=pa.array(["Click", "Tone"]),
        value=pa.array([0.0, 1.0], pa.float32()),
    )
    write_layer(dataset, "corrected", table)
    answer = earmark("diff", tmp_path / "sounds", "given", "corrected")
    lines = answer.stdout.splitlines()
    assert lines[0] == "given -> corrected: 1 added, 1 removed, 0 changed, 35 left"
    assert f"  removed  {clip}  Click  1 -> none" in lines
    assert f"  added    {clip}  Tone  none -> 1" in lines
    assert "given, corrected" in earmark("info", tmp_path / "sounds").stdout


def test_evaluating_where_nothing_is_positive_says_so(small_run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound("Tone", 1), RATE_HZ)
    soundfile.write(tmp_path / "b.wav", sound("Click", 1), RATE_HZ)
    soundfile.write(tmp_path / "c.wav", sound("Noise", 1), RATE_HZ)
    (tmp_path / "list.csv").write_text(
        "path,tags,split\na.wav,Tone,train\nb.wav,Click,train\nc.wav,Noise,train\n", "utf-8"
    )
    with (tmp_path / "list.csv").open("a") as file:
        soundfile.write(tmp_path / "d.wav", sound("Tone", 2), RATE_HZ)
        file.write("d.wav,,test\n")
    assert earmark("import", tmp_path / "list.csv", "-o", tmp_path / "sounds").returncode == 0
    answer = earmark("evaluate", small_run, tmp_path / "sounds")
    assert answer.returncode == 0, answer.stderr
    assert "mean_average_precision   not finite" in answer.stdout
    assert "without positives, left out of the means: Click, Noise, Tone" in answer.stdout


def test_figures_that_flatter_are_called_so(
    small_run: Path, small_dataset: Path, class_folders: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(small_run / "model", model)
    config = json.loads((model / "config.json").read_text())
    config["trained_on"]["selected_on"] = "validation"
    (model / "config.json").write_text(json.dumps(config))
    said = earmark("evaluate", model, small_dataset, "--split", "validation").stderr
    assert "the model was selected on the validation split: these figures flatter it" in said
    assert earmark("evaluate", model, small_dataset, "--split", "test").stderr == ""
    assert "these figures flatter it" in earmark("evaluate", small_run, small_dataset, "--split", "all").stderr
    (tmp_path / "audio").mkdir()
    for name in ("001 - Click", "002 - Noise", "003 - Tone"):
        (tmp_path / "audio" / name).mkdir()
        for path in sorted((class_folders / name).iterdir())[:11]:
            shutil.copy(path, tmp_path / "audio" / name)
    assert earmark("import", tmp_path / "audio", "-o", tmp_path / "sounds").returncode == 0
    said = earmark("evaluate", small_run, tmp_path / "sounds", "--split", "validation").stderr
    assert "its validation split may hold training clips" in said


def test_a_column_misspelt_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("paht,tags\na.wav,Tone\n")
    answer = earmark("import", tmp_path / "list.csv", "-o", tmp_path / "sounds")
    assert answer.returncode == 2, answer.stderr
    assert '"paht": did you mean "path"?' in answer.stderr


def test_verbose_says_where_a_mistake_was_found() -> None:
    assert "Traceback" in earmark("train", "baseline", "nowhere", "-o", "r", "-v").stderr
