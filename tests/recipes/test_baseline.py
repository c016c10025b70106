"""The recipe in words of its user: what it leaves in the run folder, and fine-tuning."""

import json
from pathlib import Path

import pytest
import soundfile
import torch

from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.errors import InputError
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from tests.conftest import RATE_HZ, sound

SMALL = {"backbone": "crnn_small", "pretrained": None, "epochs": 1, "batch_size": 4}


def test_the_run_folder_says_what_was_done(small_run: Path) -> None:
    record = json.loads((small_run / "settings.json").read_text())
    assert record["settings"]["epochs"] == 40
    assert record["defaults"]["epochs"] != 40
    assert record["settings"]["precision"] in ("fp32", "bf16")
    data = json.loads((small_run / "data.json").read_text())
    assert {name: data[name] for name in ("train", "validation", "test")} == {"train": 12, "validation": 12, "test": 12}
    assert json.loads((small_run / "environment.json").read_text())["threads"] == torch.get_num_threads()
    config = load_model(small_run).config
    assert config.trained_on["test_fold"] == 1
    assert config.training_length_s == 1.0
    assert abs(config.front_end.mean) > 1  # measured on the training clips, not the preset's 0


def test_fine_tuning_keeps_the_backbone_and_rebuilds_the_head_for_other_tags(small_run: Path, tmp_path: Path) -> None:
    for name, tag in (("hiss", "Noise"), ("beep", "Tone")):
        (tmp_path / "audio" / name).mkdir(parents=True)
        for index in range(8):
            soundfile.write(tmp_path / "audio" / name / f"{index}.wav", sound(tag, 50 + index), RATE_HZ)
    import_dataset(tmp_path / "audio", tmp_path / "sounds")
    request = Request(dataset=open_dataset(tmp_path / "sounds"), run=tmp_path / "run", init=small_run)
    settings = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-9, "chunk_s": 0.5}
    run_recipe(find_recipe("baseline"), request, settings)
    before, after = load_model(small_run), load_model(tmp_path / "run")
    assert after.config.vocabulary == ("beep", "hiss")
    assert after.config.front_end == before.config.front_end
    assert (before.config.training_length_s, after.config.training_length_s) == (1.0, 0.5)
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert "backbone" not in record["settings"]
    assert record["init"]
    for name, tensor in before.backbone.named_parameters():
        torch.testing.assert_close(tensor, after.backbone.get_parameter(name), rtol=0, atol=1e-6)


def test_fine_tuning_keeps_the_given_architecture(small_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    request = Request(dataset=open_dataset(small_dataset), run=tmp_path / "run", init=small_run)
    with pytest.raises(InputError, match="backbone cannot be set together with --init"):
        run_recipe(find_recipe("baseline"), request, {"backbone": "mobilenetv2"})
    assert not (tmp_path / "run").exists()


def test_without_folds_a_tenth_is_held_out_and_said_so(small_dataset: Path, tmp_path: Path) -> None:
    request = Request(dataset=open_dataset(small_dataset), run=tmp_path / "run")
    run_recipe(find_recipe("baseline"), request, SMALL)
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert 2 <= data["validation"] <= 6
    assert data["train"] + data["validation"] == 36
    assert any("validation" in note for note in data["notes"])


def test_a_folder_that_holds_something_else_is_not_a_run(small_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    request = Request(dataset=open_dataset(small_dataset), run=tmp_path)
    with pytest.raises(InputError, match="must be a new or an empty folder"):
        run_recipe(find_recipe("baseline"), request, SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


@pytest.mark.parametrize("head", ["max", "linear_softmax", "attention", "multi_head_attention", "sigmoid_mean"])
def test_every_head_trains(small_dataset: Path, tmp_path: Path, head: str) -> None:
    request = Request(dataset=open_dataset(small_dataset), run=tmp_path / "run", test_fold=1, validation_fold=2)
    run_recipe(find_recipe("baseline"), request, SMALL | {"head": head, "front_end": "psla"})
    tagger = load_model(tmp_path / "run")
    assert tagger.config.head.name == head
    assert tagger.config.front_end.num_mels == 128


@pytest.mark.parametrize(
    ("first", "message"),
    [({"layer": "gven"}, 'did you mean "given"'), ({"init": Path("nowhere")}, "--init must name a model folder")],
)
def test_a_first_try_that_failed_does_not_block_the_corrected_one(
    small_dataset: Path, tmp_path: Path, first: dict, message: str
) -> None:
    asked = {"dataset": open_dataset(small_dataset), "run": tmp_path / "run", "test_fold": 1, "validation_fold": 2}
    settings = {"epochs": 1} if "init" in first else SMALL
    with pytest.raises(InputError, match=message):
        run_recipe(find_recipe("baseline"), Request(**asked | first), settings)
    run_recipe(find_recipe("baseline"), Request(**asked), SMALL)
    assert load_model(tmp_path / "run").config.trained_on["labels"] == "given"


def test_a_run_that_failed_before_its_first_checkpoint_begins_again(small_dataset: Path, tmp_path: Path) -> None:
    asked = {"dataset": open_dataset(small_dataset), "run": tmp_path / "run", "test_fold": 1, "validation_fold": 2}
    with pytest.raises(InputError, match="safetensors"):
        run_recipe(find_recipe("baseline"), Request(**asked), SMALL | {"backbone": "mobilenetv2", "pretrained": "no"})
    assert (tmp_path / "run" / "settings.json").exists()
    run_recipe(find_recipe("baseline"), Request(**asked), SMALL)


@pytest.mark.parametrize("left", [["environment.json"], ["environment.json", ".settings.77.part.json"]])
def test_a_run_killed_before_its_first_checkpoint_begins_again(small_dataset: Path, tmp_path: Path, left: list) -> None:
    for name in left:
        (tmp_path / name).write_text("{")
    request = Request(dataset=open_dataset(small_dataset), run=tmp_path, test_fold=1, validation_fold=2, resume=True)
    run_recipe(find_recipe("baseline"), request, SMALL)
    assert load_model(tmp_path)


def test_resuming_notices_labels_that_changed(class_folders: Path, tmp_path: Path) -> None:
    import_dataset(class_folders, tmp_path / "sounds", tables="csv")
    asked = {"run": tmp_path / "run", "test_fold": 1, "validation_fold": 2}
    run_recipe(find_recipe("baseline"), Request(dataset=open_dataset(tmp_path / "sounds"), **asked), SMALL)
    given = tmp_path / "sounds" / "labels" / "given.csv"
    text = given.read_text()
    changed = text.replace('"Click"', '"Noise"', 1)
    assert changed != text
    given.write_text(changed)
    again = Request(dataset=open_dataset(tmp_path / "sounds"), resume=True, **asked)
    with pytest.raises(InputError, match=r"was begun with labels_digest=\w+ \(now \w+\)$"):
        run_recipe(find_recipe("baseline"), again, SMALL)
    with pytest.raises(InputError, match=r"labels_digest=.*seed=0 \(now 3\), epochs=1 \(now 2\)"):
        run_recipe(find_recipe("baseline"), Request(**{**vars(again), "seed": 3}), SMALL | {"epochs": 2})


def test_a_data_set_without_tags_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,tags\na.wav,\nb.wav,\n")
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", sound("Tone", 1), RATE_HZ)
    import_dataset(tmp_path / "list.csv", tmp_path / "sounds")
    request = Request(dataset=open_dataset(tmp_path / "sounds"), run=tmp_path / "run")
    with pytest.raises(InputError, match="sounds must have tags to learn, found none"):
        run_recipe(find_recipe("baseline"), request, SMALL)
