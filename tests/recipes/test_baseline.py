"""The recipe in words of its user: what it leaves in the run folder, and fine-tuning."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.config import settings_from
from earmark.data.chunking import Chunking
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.models.heads import HEADS
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe, preset_names, read_preset
from earmark.recipes.baseline import BaselineSettings
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from earmark.scores.predict import clip_scores
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


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"mean"}))
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


def test_a_run_that_is_refused_before_any_work_leaves_no_folder(small_dataset: Path, tmp_path: Path) -> None:
    asked = {"dataset": open_dataset(small_dataset), "run": tmp_path / "run", "test_fold": 1, "validation_fold": 2}
    with pytest.raises(InputError, match="safetensors"):
        run_recipe(find_recipe("baseline"), Request(**asked), SMALL | {"backbone": "mobilenetv2", "pretrained": "no"})
    assert not (tmp_path / "run").exists()
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
    with pytest.raises(InputError, match=r"was begun with labels_digest=\w+ \(now \w+\); --resume goes on"):
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


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve clips of 1.2 to 2.3 s, three to a fold."""
    folder = tmp_path_factory.mktemp("long")
    rows = ["path,tags,fold"]
    for index in range(12):
        tag = ("Noise", "Tone")[index % 2]
        soundfile.write(folder / f"{index}.wav", sound(tag, index, 1.2 + index / 10), RATE_HZ)
        rows.append(f"{index}.wav,{tag},{index // 3 + 1}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(folder / "list.csv", folder / "set")
    return open_dataset(folder / "set")


CHUNKS = {"learn_from": "chunks", "chunk_s": 0.5, "min_chunk_s": 0.25}


def test_every_chunk_is_learned_from_once_an_epoch_with_its_clips_labels(
    long_clips: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list = []
    monkeypatch.setattr("earmark.recipes.baseline.fit", lambda tagger, feed, *rest, **named: fed.append(feed))
    request = Request(dataset=long_clips, run=tmp_path / "run", test_fold=1, validation_fold=2)
    run_recipe(find_recipe("baseline"), request, SMALL | CHUNKS)
    (feed,) = fed
    pack = open_pack(long_clips, RATE_HZ)
    learned = np.arange(6, 12)
    # Half a second each; a rest under a quarter of a second joins the chunk before: 2.1 s and 2.2 s have one so.
    whole, rest = np.divmod(pack.num_samples[learned], RATE_HZ // 2)
    counts = whole + (rest >= RATE_HZ // 4)
    assert np.bincount(feed.excerpts.clip_index, minlength=12)[learned].tolist() == counts.tolist()
    assert np.bincount(feed.excerpts.clip_index, feed.excerpts.num_samples).tolist()[6:] == (
        pack.num_samples[learned].tolist()
    )
    assert feed.excerpts.num_samples.max() > RATE_HZ // 2
    # A joined chunk makes its own batch longer, and no other.
    lengths = {batch.waveform.shape[1] - int(batch.num_samples.max()) for batch in feed.batches(0)}
    assert lengths == {0}
    for epoch in (0, 1):
        assert sorted(feed.order(epoch).tolist()) == list(range(len(feed.excerpts)))
    everything = np.arange(len(feed.excerpts))
    expected = long_clips.labels().rows(feed.excerpts.clip_index)
    assert torch.equal(feed.targets.at(everything).clipwise, torch.from_numpy(expected))
    config = load_model(tmp_path / "run").config
    assert config.chunking == Chunking(chunk_s=0.5, min_chunk_s=0.25)
    assert config.training_length_s == 2.3  # long recordings are cut in windows of this, and each in chunks


def test_a_clip_scores_the_mean_of_its_chunks(long_clips: Dataset, tmp_path: Path) -> None:
    request = Request(dataset=long_clips, run=tmp_path / "run", test_fold=1, validation_fold=2)
    run_recipe(find_recipe("baseline"), request, SMALL | CHUNKS | {"epochs": 2})
    tagger, pack = load_model(tmp_path / "run"), open_pack(long_clips, RATE_HZ)
    rows = np.array([0, 10])
    _, scores = clip_scores(tagger, pack, rows, device=torch.device("cpu"))
    # 1.2 s and 2.2 s in chunks of half a second: the last fifth of a second joins the chunk before.
    for row, said, count in zip(rows, scores, (2, 4), strict=True):
        wave = torch.from_numpy(pack.clip(row).copy())
        bounds = tagger.config.chunking.bounds(len(wave), RATE_HZ)
        assert len(bounds) == count
        with torch.inference_mode():
            parts = [tagger(wave[None, first:end]).clipwise[0] for first, end in bounds]
        np.testing.assert_allclose(said, torch.stack(parts).mean(0), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learn_from": "chunks"}, "learn_from=chunks needs the length of a chunk; set chunk_s"),
        ({"chunk_s": 1.0, "min_chunk_s": 0.2}, "min_chunk_s is read with learn_from=chunks only"),
        (CHUNKS | {"min_chunk_s": 1.0}, "recipe baseline: min_chunk_s must be at most chunk_s, 0.5, got 1"),
        ({"learn_from": "clips"}, '"learn_from" in recipe baseline: must be windows or chunks, got clips'),
        ({"sampling": "cyclic"}, '"sampling" in recipe baseline: must be .* class_cyclic, got cyclic'),
    ],
)
def test_settings_of_chunks_that_do_not_go_together(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings_from(BaselineSettings, settings, where="recipe baseline")


def test_rare_tags_can_be_drawn_in_turn(small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list = []
    monkeypatch.setattr("earmark.recipes.baseline.fit", lambda tagger, feed, *rest, **named: fed.append(feed))
    request = Request(dataset=open_dataset(small_dataset), run=tmp_path / "run", test_fold=1, validation_fold=2)
    run_recipe(find_recipe("baseline"), request, SMALL | {"sampling": "class_cyclic"})
    tags = fed[0].targets.at(fed[0].order(0)).clipwise.argmax(1).reshape(-1, 3)
    assert (tags.sort(dim=1).values == torch.arange(3)).all()


def test_the_preset_holds_the_papers_machine_annotator() -> None:
    assert preset_names("baseline") == ["teacher"]
    teacher = settings_from(BaselineSettings, read_preset("baseline", "teacher"))
    model, augmentation, fit = teacher.model, teacher.augmentation, teacher.fit
    assert (teacher.chunk_s, teacher.learn_from, teacher.sampling) == (10.0, "windows", "class_cyclic")
    assert (model.backbone, model.pretrained, model.head, model.dropout) == ("mobilenetv2", None, "sigmoid_mean", 0.3)
    assert (model.front_end, model.normalise, model.padding) == ("psl", False, None)
    assert min(augmentation.mixup_rate, augmentation.polarity_rate, augmentation.time_shift_fraction) > 0
    assert augmentation.gain_db[0] < augmentation.gain_db[1]
    assert augmentation.frequency_masks > 0
    assert augmentation.time_masks > 0
    assert augmentation.time_warp_frames == 0
    assert (fit.epochs, fit.batch_size, fit.optimizer, fit.final_weights, fit.top_k) == (30, 32, "adam", "top_k", 4)
    assert (fit.beta1, fit.beta2, fit.weight_decay, fit.validate_every_steps) == (0.9, 0.999, 0, 10_000)
    schedule = fit.schedule
    assert (schedule.schedule, schedule.learning_rate, schedule.decay_power) == ("polynomial", 1e-4, 1)
    assert schedule.warmup_steps == 0
