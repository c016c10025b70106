"""PSLA on data small enough for seconds: its presets, its switches, its teachers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from earmark.config import settings_from, values_of
from earmark.data.clips import whole_clips
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.data.splits import fold_splits, resolve_splits
from earmark.errors import InputError
from earmark.recipes import find_recipe, preset_names, read_preset
from earmark.recipes.job import Request
from earmark.recipes.parts import sampling_order
from earmark.recipes.psla import PslaSettings
from earmark.recipes.run import run_recipe
from earmark.recipes.scoring import score_out_of_fold
from earmark.scores.store import open_scores
from earmark.training.schedules import learning_rate
from tests.conftest import RATE_HZ, sound

SMALL = {
    "backbone": "crnn_small", "pretrained": None, "epochs": 2, "batch_size": 8, "warmup_steps": 0,
    "final_weights": "last",
}  # fmt: skip
PSLA = find_recipe("psla")


def preset(name: str) -> PslaSettings:
    return settings_from(PslaSettings, read_preset("psla", name))


def test_presets_hold_the_papers_numbers():
    assert preset_names("psla") == ["audioset-balanced", "audioset-full", "fsd50k"]
    rates = {"audioset-balanced": 1e-3, "audioset-full": 1e-4, "fsd50k": 5e-4}
    told = {
        # epochs, batch, last epoch at the full rate, first at a quarter of it and first averaged, sampling, enhancement
        "audioset-balanced": (60, 100, 35, 41, "shuffled", "both"),
        "audioset-full": (30, 100, 10, 16, "balanced", "none"),
        "fsd50k": (40, 24, 10, 21, "balanced", "both"),
    }
    for name, (epochs, batch, full, average, sampling, enhance) in told.items():
        chosen = preset(name)
        fit, augmentation, model = chosen.fit, chosen.augmentation, chosen.model
        assert (fit.epochs, fit.batch_size, fit.average_from_epoch) == (epochs, batch, average)
        assert (chosen.sampling, chosen.enhancing.enhance, chosen.enhancing.enhance_threshold) == (
            sampling,
            enhance,
            "mean",
        )
        assert (fit.optimizer, fit.beta1, fit.beta2, fit.weight_decay) == ("adam", 0.95, 0.999, 5e-7)
        assert (fit.final_weights, fit.keep_from_epoch, fit.schedule.warmup_steps) == ("range", 1, 1000)
        assert (augmentation.mixup_rate, augmentation.mixup_beta) == (0.5, 10)
        assert (augmentation.frequency_masks, augmentation.frequency_mask_bins) == (1, 48)
        assert (augmentation.time_masks, augmentation.time_mask_frames) == (1, 192)
        assert (model.backbone, model.head, model.num_heads, model.stochastic_depth) == (
            "efficientnet_b2", "multi_head_attention", 4, 0.2,
        )  # fmt: skip
        assert (model.front_end, model.pool_over, model.dropout) == ("psla", "all", 0)
        # 1000 steps an epoch, so that the warm-up is over after the first.
        rate = [learning_rate(fit.schedule, (epoch - 1) * 1000, epochs * 1000, 1000) for epoch in range(2, epochs + 1)]
        share = dict(zip(range(2, epochs + 1), np.array(rate) / rates[name], strict=True))
        assert [share[full], share[full + 1], share[full + 5], share[full + 6]] == pytest.approx([1, 0.5, 0.5, 0.25])
    assert preset("audioset-full").model.fixed_frames == 1056
    assert preset("fsd50k").model.fixed_frames == 3000
    assert not preset("audioset-balanced").model.normalise


def test_a_preset_that_is_none():
    with pytest.raises(
        InputError, match='recipe psla has no preset "fsd50", nor is that a file; did you mean "fsd50k"'
    ):
        read_preset("psla", "fsd50")


def test_a_preset_may_be_a_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("epochs: 3\nmixup_rate: 0\n")
    assert read_preset("psla", str(tmp_path / "mine.yaml")) == {"epochs": 3, "mixup_rate": 0}
    (tmp_path / "list.yaml").write_text("- epochs\n")
    with pytest.raises(InputError, match="must hold lines of key: value"):
        read_preset("psla", str(tmp_path / "list.yaml"))


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Clips of a child tag and its parent: rain is water. A third of the rain is not labelled water."""
    folder = tmp_path_factory.mktemp("family")
    (folder / "audio").mkdir()
    rows = ["path,tags,fold"]
    for index in range(36):
        kind = ("Noise", "Tone")[index % 2]
        soundfile.write(folder / "audio" / f"{index}.wav", sound(kind, index, 0.6), RATE_HZ)
        tags = "Bark" if kind == "Tone" else "Rain" if index % 3 == 0 else "Rain;Water"
        rows.append(f"audio/{index}.wav,{tags},{index // 6 % 3 + 1}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(folder / "list.csv", folder / "set")
    return open_dataset(folder / "set")


def test_balanced_sampling_favours_the_rare(family):
    pack = open_pack(family, RATE_HZ)
    clips = whole_clips(pack, np.arange(family.num_clips))
    labels = family.labels()
    order = sampling_order("balanced", labels, clips, seed=0)
    drawn = np.concatenate([order(epoch) for epoch in range(200)])
    counts = labels.counts()
    weight = (labels.rows(clips.clip_index) / counts).sum(axis=1)
    expected = weight / weight.sum() * len(drawn)
    assert (abs(np.bincount(drawn, minlength=len(clips)) - expected) < 6 * np.sqrt(expected)).all()
    plain = sampling_order("shuffled", labels, clips, seed=0)
    assert sorted(plain(3).tolist()) == list(range(len(clips)))


def test_folds_hold_out_every_clip_once_and_no_group_twice(family):
    splits = resolve_splits(family, test_fold=3)
    parts = fold_splits(family, splits, 3)
    held_out = np.concatenate([part.test for part in parts])
    assert sorted(held_out.tolist()) == splits.train.tolist()
    for part in parts:
        assert len(part.validation)
        everything = np.concatenate([part.train, part.validation, part.test])
        assert sorted(everything.tolist()) == sorted(held_out.tolist())
    assert max(len(part.test) for part in parts) - min(len(part.test) for part in parts) <= 1
    with pytest.raises(InputError, match="folds must be from 2 to the 22 groups of training clips, got 25"):
        fold_splits(family, splits, 25)


@pytest.mark.slow
def test_teachers_enhance_the_labels_that_are_learned_from(family, tmp_path):
    settings = SMALL | {
        "epochs": 40, "learning_rate": 3e-3, "mixup_rate": 0, "enhance": "both", "teacher_folds": 2,
        "enhance_threshold": "5", "frequency_masks": 0, "time_masks": 0, "front_end": "psl",
    }  # fmt: skip
    request = Request(dataset=family, run=tmp_path / "first", test_fold=1, validation_fold=2)
    run_recipe(PSLA, request, settings)
    assert family.layers() == ["given", "first-enhanced"]
    given, enhanced = family.labels().counts(), family.labels("first-enhanced").counts()
    water = family.vocabulary.index("Water")
    assert enhanced[water] > given[water]
    assert (enhanced[[0, 1]] == given[[0, 1]]).all()
    about = json.loads((family.folder / "labels" / "first-enhanced.json").read_text())
    assert about["changes"]["type_2"] == about["changes"]["added"] == enhanced[water] - given[water]
    store = open_scores(tmp_path / "first" / "teacher")
    assert store.about["out_of_fold"]
    assert about["changes"]["asked"]
    with pytest.raises(InputError, match='label layer "first-enhanced" is there already'):
        run_recipe(PSLA, replace(request, run=tmp_path / "elsewhere" / "first"), settings)
    assert not (tmp_path / "elsewhere" / "first" / "teacher").exists()
    before = (tmp_path / "first" / "model" / "model.safetensors").read_bytes()
    run_recipe(PSLA, replace(request, resume=True), settings)
    assert (tmp_path / "first" / "model" / "model.safetensors").read_bytes() == before


def test_a_run_killed_before_its_first_checkpoint_goes_on(family, tmp_path, monkeypatch):
    request = Request(dataset=family, run=tmp_path / "run", test_fold=1, validation_fold=2, resume=True)

    def killed(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("earmark.recipes.psla.fit", killed)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(PSLA, request, SMALL)
    assert (tmp_path / "run" / "figures").is_dir()
    run_recipe(PSLA, request, SMALL)
    assert (tmp_path / "run" / "model" / "config.json").exists()


@pytest.mark.slow
def test_a_run_is_trained_again_without_each_fold(family, tmp_path):
    run_recipe(
        find_recipe("baseline"), Request(dataset=family, run=tmp_path / "run", test_fold=1, validation_fold=2), SMALL
    )
    store = score_out_of_fold(
        tmp_path / "run", family, 2, tmp_path / "scores", device=Request(family, tmp_path).device, workers=None
    )
    clips, rows, in_training = store.of_clips(family)
    assert np.flatnonzero(in_training).tolist() == resolve_splits(family, 1, 2).train.tolist()
    assert clips.tolist() == list(range(36))
    runs = sorted(path for path in (tmp_path / "scores" / "folds").iterdir() if path.is_dir())
    assert [run.name for run in runs] == ["scores-1", "scores-2"]
    kept = json.loads((runs[0] / "settings.json").read_text())
    assert kept["settings"] == json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert kept["splits"]
    # A test clip is in no fold: it has the mean of both models.
    assert rows.tolist() == list(range(36))
    with pytest.raises(InputError, match="this is no run folder"):
        score_out_of_fold(tmp_path, family, 2, tmp_path / "s", device=Request(family, tmp_path).device, workers=None)


def test_defaults_are_settings_and_every_switch_turns(family, tmp_path):
    off = {
        "sampling": "shuffled", "mixup_rate": 0, "frequency_masks": 0, "time_masks": 0, "head": "attention",
    }  # fmt: skip
    assert set(off) <= set(values_of(PslaSettings()))
    run_recipe(PSLA, Request(dataset=family, run=tmp_path / "run", test_fold=1, validation_fold=2), SMALL | off)
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert record["recipe"] == "psla"
    assert record["settings"]["sampling"] == "shuffled"
    assert record["defaults"]["mixup_rate"] == 0.5
    figures = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "run" / "figures").glob("*.json")}
    assert sorted(figures) == ["sampled-counts", "tag-counts", "unseen-share"]
    counts = dict(zip(*(figures["tag-counts"]["series"][0][axis] for axis in "xy"), strict=True))
    sampled = dict(zip(*(figures["sampled-counts"]["series"][0][axis] for axis in "xy"), strict=True))
    assert sampled == {tag: 2 * count for tag, count in counts.items()}  # each clip once in each of two epochs
    assert figures["unseen-share"]["series"][0]["y"] == [0, 0]
