"""Soundscapes and planted faults as a user types them."""

from pathlib import Path

import pytest

from earmark.cli.app import dataset_and_overrides
from earmark.data.dataset import open_dataset
from tests.cli.command import earmark


@pytest.mark.parametrize("verb", ["mix", "corrupt"])
def test_help_has_an_example_and_show_every_setting_with_a_line_of_text(verb: str) -> None:
    answer = earmark(verb, "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"Example: earmark {verb}" in answer.stdout
    first, second = {"mix": ("num_clips=7", "clip_s=2.5"), "corrupt": ("wrong_rate=0.25", "weak=true")}[verb]
    answer = earmark(verb, "--show", "--set", first, second)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"\n{verb}\n")
    assert f"  {first} " in answer.stdout
    assert f"  {second} " in answer.stdout
    settings = [line for line in answer.stdout.splitlines() if "=" in line]
    assert all(len(line.split("  ")) > 2 and line.rstrip()[-1] != "=" for line in settings)


def test_corrupt_plants_what_is_asked_for_and_training_refuses_the_truth(small_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "noisy"
    words = ("corrupt", small_dataset, "-o", out, "--seed", "3", "--set", "missing_rate=.25", "wrong_rate=.5")
    answer = earmark(*words, "keep_folds=[1]", "wrong_pairs={Tone: [Click]}")
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[:4] == [
        f"{out}: 36 clips of sounds, 3 tags",
        "left alone: 12 of 36 clips, not labelled or kept by fold or split",
        "missing: 6 of 24 labels that can be",
        "wrong: 4 of 8 labels that can be",
    ]
    assert lines[-1].endswith(f"evaluate RUN {out} --labels truth")
    made = open_dataset(out)
    assert made.labels("truth").counts().tolist() == [12, 12, 12]
    assert made.labels("given").counts().sum() == 30

    again = earmark(*words)
    assert again.returncode == 2
    assert again.stderr.startswith(f"earmark: {out}: must be a folder that is not there yet")

    refused = earmark("train", "baseline", out, "-o", tmp_path / "run", "--labels", "truth")
    assert refused.returncode == 2
    assert "is the truth about planted faults and nothing learns from it" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "truth: layer truth" in earmark("info", out).stdout


def test_corrupt_reads_an_ontology_and_a_layer(small_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "kinds.csv").write_text("parent,child\nSound,Tone\nSound,Noise\n")
    words = ("corrupt", small_dataset, "--ontology", tmp_path / "kinds.csv", "--set", "add_ancestors=true")
    answer = earmark(*words, "-o", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    assert open_dataset(tmp_path / "out").vocabulary.tags == ("Click", "Noise", "Tone", "Sound")
    assert "ancestors: 24 labels added; 1 tags are new" in answer.stdout
    answer = earmark(*words, "-o", tmp_path / "other", "--labels", "gven")
    assert answer.returncode == 2
    assert 'there is no label layer "gven"; did you mean "given"?' in answer.stderr


def test_corrupt_refuses_an_ontology_that_nobody_reads(small_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "kinds.csv").write_text("parent,child\nSound,Tone\n")
    words = ("corrupt", small_dataset, "-o", tmp_path / "out", "--ontology", tmp_path / "kinds.csv", "--set")
    answer = earmark(*words, "wrong_rate=.5")
    assert answer.returncode == 2
    assert answer.stderr == "earmark: an ontology is read with add_ancestors or missing_from only; leave it out\n"


def test_the_data_set_may_follow_the_settings(small_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "x1"
    answer = earmark("corrupt", "--set", "wrong_rate=.25", "missing_rate=.25", small_dataset, "-o", out)
    assert answer.returncode == 0, answer.stderr
    assert open_dataset(out).about["import"]["settings"]["missing_rate"] == 0.25
    two = earmark("corrupt", "--set", "wrong_rate=.25", "missing_rate=.25", small_dataset, "other", "-o", out)
    assert two.returncode == 2
    assert two.stderr == 'earmark: a setting is given as key=value, got "other"\n'


@pytest.mark.parametrize(
    ("dataset", "settings", "more", "found", "values"),
    [
        (None, None, None, None, {}),
        ("esc", ["a=1"], ["b=2"], "esc", {"a": 1, "b": 2}),
        ("b=2", ["a=1"], None, None, {"a": 1, "b": 2}),
        ("b=2", ["a=1"], ["esc"], "esc", {"a": 1, "b": 2}),
        ("b=2", ["a=1"], ["c=3", "esc", "d=4"], "esc", {"a": 1, "b": 2, "c": 3, "d": 4}),
        ("x=y", ["a=1"], ["b=2"], "x=y", {"a": 1, "b": 2}),
        ("b=2", ["a=1"], ["x=y"], "x=y", {"a": 1, "b": 2}),
    ],
)
def test_the_word_that_is_no_setting_is_the_data_set(
    dataset: str | None,
    settings: list[str] | None,
    more: list[str] | None,
    found: str | None,
    values: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A folder may be called like a setting.
    (tmp_path / "x=y").mkdir()
    monkeypatch.chdir(tmp_path)
    given = None if dataset is None else Path(dataset)
    assert dataset_and_overrides(given, settings, more) == (None if found is None else Path(found), values)


def test_a_folder_that_cannot_be_made_is_named_as_it_was_given(small_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "out"
    answer = earmark("corrupt", small_dataset, "-o", out, "--set", "wrong_rate=.5")
    assert answer.returncode == 2
    assert answer.stderr == f"earmark: {out}: Not a directory\n"


def test_mix_makes_soundscapes_of_folds(small_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "scenes"
    words = ("mix", small_dataset, "-o", out, "--test-fold", "1", "--validation-fold", "2", "--workers", "1")
    answer = earmark(*words, "--seed", "2", "--set", "num_clips=6", "clip_s=2", "rate_hz=16000", "min_active_s=.05")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"{out}: 6 soundscapes")
    assert answer.stdout.splitlines()[-1].endswith(f"info {out}")
    made = open_dataset(out)
    assert made.num_clips == 6
    assert set(made.column("labelled")) == {"strong"}
    assert made.about["import"]["seed"] == 2
    assert made.about["import"]["test_fold"] == 1
    refused = earmark(*words[:3], tmp_path / "other", "--labels", "gven")
    assert refused.returncode == 2
    assert 'there is no label layer "gven"; did you mean "given"?' in refused.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["corrupt"], "corrupt needs a data set and a folder to make: earmark corrupt DATASET -o OUT"),
        (["mix", "nowhere"], "mix needs a data set and a folder to make"),
        (["corrupt", "nowhere", "-o", "out"], "nowhere: must be a data set"),
        (["mix", "nowhere", "-o", "out"], "nowhere: must be a data set"),
        (["corrupt", "--show", "--set", "wrong=1"], 'unknown key "wrong" in corrupt; did you mean "wrong_rate"?'),
        (["mix", "--show", "--set", "num_clip=1"], 'unknown key "num_clip" in mix; did you mean "num_clips"?'),
        (["corrupt", "--show", "--set", "weak=1", "missing_rate=2"], '"missing_rate" in corrupt: '),
        (["mix", "--show", "--set", "rate_hz=70001"], "rate_hz above 65535 must be a multiple of 10"),
    ],
)
def test_a_mistake_is_answered_in_one_line(words: list[str], message: str) -> None:
    answer = earmark(*words)
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
