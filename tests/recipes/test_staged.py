"""Staged training on data small enough for seconds: its stages, its preset, what it says about labels."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from earmark.config import settings_from, values_of
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.packs import open_pack
from earmark.data.splits import resolve_splits
from earmark.data.synthesis import CorruptSettings, corrupt
from earmark.errors import InputError
from earmark.evaluation import evaluate_model
from earmark.figures import read_figure
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe, preset_names, read_preset
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from earmark.recipes.staged import StagedSettings
from earmark.recipes.stages import Stages
from earmark.scores.predict import clip_scores
from earmark.scores.store import open_scores
from earmark.training.label_audit import merge_audits
from earmark.training.selection import Selection

STAGED = find_recipe("staged")
SMALL = {
    "backbone": "crnn_small", "pretrained": None, "batch_size": 8, "warmup_steps": 0, "learning_rate": 3e-3,
    "stage_steps": [30, 30, 10], "epoch_steps": 10, "selection_k": 2, "precision": "fp32",
}  # fmt: skip


CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def noisy(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Half of the clips of two folds are verified, 40 % of the others' labels wrong; fold 1 is as it was."""
    folder = tmp_path_factory.mktemp("noisy") / "noisy"
    corrupt(
        open_dataset(small_dataset), folder, CorruptSettings(wrong_rate=0.4, verified_share=0.5, keep_folds=[1]), seed=0
    )
    return open_dataset(folder)


def trained(dataset: Dataset, run: Path, **changes: object) -> Path:
    request = Request(dataset=dataset, run=run, test_fold=1, validation_fold=2)
    run_recipe(STAGED, request, {**SMALL, **changes})
    return run


@pytest.fixture(scope="module")
def run(noisy: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(noisy, tmp_path_factory.mktemp("staged") / "run")


def test_the_preset_holds_the_papers_numbers():
    assert preset_names("staged") == ["fsdkaggle2019"]
    chosen = settings_from(StagedSettings, read_preset("staged", "fsdkaggle2019"))
    assert chosen.stages.stage_steps == (10_000, 10_000, 5_000)
    assert chosen.stages.epochs * chosen.stages.epoch_steps == 25_000
    assert (chosen.fit.batch_size, chosen.fit.optimizer, chosen.fit.schedule.learning_rate) == (64, "adam", 1e-3)
    assert (chosen.fit.schedule.schedule, chosen.fit.schedule.warmup_steps) == ("constant", 0)
    assert (chosen.model.front_end, chosen.model.backbone, chosen.model.head) == (
        "staged", "cnn_gru", "sigmoid_sparsemax",
    )  # fmt: skip
    assert chosen.fitting.of(1501).model_dump() == {
        "num_frames": 2000, "window_frames": 512, "silence_db": 60.0,
    }  # fmt: skip
    assert (chosen.selection.selection, chosen.selection.k_of(64), chosen.selection.threshold_smoothing) == (
        "threshold", 10, 0.9,
    )  # fmt: skip
    assert (chosen.augmentation.mixup_rate, chosen.augmentation.mixup_beta) == (0.5, 0.4)


def test_each_stage_draws_the_clips_that_it_is_for():
    kind = np.arange(30) % 3 == 0
    settings = settings_from(StagedSettings, {"stage_steps": [4, 6, 2], "epoch_steps": 2, "batch_size": 8})
    order = settings.stages.order(kind, 8, seed=0)
    epochs = [order(epoch).reshape(2, 8) for epoch in range(6)]
    for epoch in (0, 1, 5):
        assert kind[epochs[epoch]].all()
    for epoch in (2, 3, 4):
        assert kind[epochs[epoch][:, :4]].all()
        assert not kind[epochs[epoch][:, 4:]].any()
    # Every unverified clip of the 20 is drawn once before one comes again: 24 draws of them in the second stage.
    drawn = np.bincount(np.concatenate(epochs[2:5])[:, 4:].reshape(-1), minlength=30)[~kind]
    assert set(drawn.tolist()) == {1, 2}
    assert (order(0) != settings.stages.order(kind, 8, seed=1)(0)).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stage_steps": [5, 10, 5]}, "whole epochs of epoch_steps 10, got .5, 10, 5."),
        ({"stage_steps": [0, 0, 0]}, "not all 0"),
        ({"epochs": 3}, "epochs are what stage_steps and epoch_steps make"),
        ({"fixed_frames": 100}, "leave fixed_frames out"),
        ({"clip_frames": 50, "window_frames": 51}, "at most clip_frames 50, got 51"),
        ({"head": "mean", "second_head_weight": 0.5}, "read with a head of two branches only"),
        ({"patience": 2}, "leave patience out"),
        ({"final_weights": "range", "average_from_epoch": 4}, "at most the 3 epochs that the stages make"),
        ({"batch_size": 7}, "batch_size must be even for the second stage's halves, got 7"),
        ({"stage_steps": [100, 100, 50], "epoch_steps": 500}, "set epoch_steps=50 too"),
        ({"head": "sigmoid"}, "the sigmoid alone is mean"),
    ],
)
def test_settings_that_do_not_hang_together(changes: dict, said: str):
    with pytest.raises(InputError, match=said):
        settings_from(StagedSettings, {"stage_steps": [10, 10, 10], "epoch_steps": 10, **changes})


def test_a_run_learns_and_says_which_labels_are_wrong(run: Path, noisy: Dataset):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == list(range(10, 80, 10))
    shares = [record["selection"]["dropped_share"] for record in records]
    assert shares[:3] == [None] * 3 == [*shares[6:], None, None]
    assert all(share is not None and 0 <= share <= 1 for share in shares[3:6])
    with (run / "label-audit.csv").open() as file:
        audit = list(csv.DictReader(file))
    verified = set(noisy.clips["clip"].filter(pa.array(noisy.column("verified") == 1)).to_pylist())
    assert audit
    assert not verified & {row["clip"] for row in audit}
    suspicion = [(int(row["dropped"]) + 1) / (int(row["judged"]) + 2) for row in audit]
    assert suspicion == sorted(suspicion, reverse=True)
    # The planted wrong labels are those most suspected.
    given, true = (noisy.labels(layer).rows(np.arange(noisy.num_clips)) for layer in ("given", "truth"))
    is_wrong = dict(zip(noisy.clips["clip"].to_pylist(), (given != true).any(axis=1), strict=True))
    suspected = [is_wrong[row["clip"]] for row in audit]
    assert 0 < sum(suspected) < len(suspected)
    assert suspected == sorted(suspected, reverse=True)
    table = read_figure(run / "figures" / "likely-mislabelled.json")
    assert [row[0] for row in table.rows] == [row["clip"] for row in audit[:30]]
    assert len(read_figure(run / "figures" / "selection.json").series[0].x) == 30


def test_scores_of_the_validation_clips_fill_the_range(run: Path, noisy: Dataset, caplog: pytest.LogCaptureFixture):
    tagger = load_model(run)
    assert tagger.config.clip_frames is not None
    assert tagger.config.clip_frames.num_frames == 101
    rows = resolve_splits(noisy, 1, 2).validation
    _, scores = clip_scores(tagger, open_pack(noisy, tagger.rate_hz), rows, device=CPU)
    np.testing.assert_allclose([scores.min(axis=0), scores.max(axis=0)], [[0] * 3, [1] * 3], atol=1e-5)
    evaluate_model(run, noisy, split="validation", device=CPU)
    assert "scores are scaled by those of its validation split" in caplog.text


def test_a_run_broken_off_in_its_second_stage_ends_as_the_unbroken_one(
    run: Path, noisy: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ranked = []

    def keep(selection: Selection, *batch: Any) -> Any:
        ranked.append(selection.cutoffs[-1:])
        if len(selection.cutoffs) == 7:
            raise KeyboardInterrupt
        return kept(selection, *batch)

    kept = Selection.keep
    monkeypatch.setattr(Selection, "keep", keep)
    with pytest.raises(KeyboardInterrupt):
        trained(noisy, tmp_path / "run", checkpoint_every_steps=5)
    assert len(ranked) == 38
    monkeypatch.undo()
    request = Request(dataset=noisy, run=tmp_path / "run", test_fold=1, validation_fold=2, resume=True)
    run_recipe(STAGED, request, {**SMALL, "checkpoint_every_steps": 5})
    for name in ("label-audit.csv", "model/model.safetensors", "figures/selection.json"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes(), name


@pytest.mark.parametrize("final_weights", ["top_k", "range"])
def test_averaged_weights_get_statistics_of_the_last_stages_clips(noisy: Dataset, tmp_path: Path, final_weights: str):
    changes = {"stage_steps": [2, 2, 2], "epoch_steps": 2, "final_weights": final_weights}
    assert (trained(noisy, tmp_path / "run", **changes) / "model" / "config.json").exists()


def test_a_split_too_small_to_scale_by_is_named_before_training(noisy: Dataset, tmp_path: Path):
    request = Request(dataset=noisy, run=tmp_path / "run", validation_fold=2)
    with pytest.raises(InputError, match=r"the test split .* at least 2 clips to scale scores by, found 0; .*=none"):
        run_recipe(STAGED, request, {**SMALL, "postprocess_on": "test"})
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()  # what was there before stays
    with pytest.raises(InputError, match="at least 2 clips"):
        run_recipe(STAGED, request, {**SMALL, "postprocess_on": "test"})
    assert (tmp_path / "run").is_dir()


def test_without_stages_on_unverified_clips_the_advice_can_be_followed():
    with pytest.raises(InputError, match=r"stage_steps=\[4, 0, 0\]"):
        Stages(stage_steps=(0, 4, 0), epoch_steps=2).refuse_one_kind(np.ones(5, np.bool_), "the train split of x")


def test_a_scaled_teacher_teaches_its_own_probabilities(run: Path, noisy: Dataset, tmp_path: Path):
    request = Request(dataset=noisy, run=tmp_path / "psl", test_fold=1, validation_fold=2, teacher=run)
    small = {"backbone": "crnn_small", "pretrained": None, "epochs": 1, "batch_size": 8, "chunk_s": 1.0}
    run_recipe(find_recipe("psl"), request, small)
    scores = np.asarray(open_scores(tmp_path / "psl" / "pseudo-labels").scores)
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize("head", ["mean", "sigmoid_softmax"])
@pytest.mark.parametrize("rule", ["none", "top_k"])
def test_every_head_and_rule_runs(noisy: Dataset, tmp_path: Path, head: str, rule: str):
    changes = {"head": head, "selection": rule, "stage_steps": [2, 2, 0], "epoch_steps": 2, "postprocess_on": "none"}
    if rule == "none":
        changes["selection_k"] = None
    done = trained(noisy, tmp_path / "run", **changes)
    assert load_model(done).config.score_range is None
    assert (done / "label-audit.csv").exists()
    assert (done / "figures" / "selection.json").exists() == (rule == "top_k")


def test_a_data_set_that_says_nothing_of_verified_labels_is_told_what_to_do(small_dataset: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"says so of no clip; import it with a column verified .* train baseline"):
        trained(open_dataset(small_dataset), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_second_stage_needs_clips_that_are_not_verified(small_dataset: Path, tmp_path: Path):
    folder = tmp_path / "right"
    corrupt(open_dataset(small_dataset), folder, CorruptSettings(verified_share=1.0, imbalance=1.5), seed=0)
    with pytest.raises(InputError, match=r"found \d+ verified ones alone; .* 'stage_steps=\[30, 0, 10\]'"):
        trained(open_dataset(folder), tmp_path / "run")
    trained(open_dataset(folder), tmp_path / "other", stage_steps=[2, 0, 2], epoch_steps=2)


def test_selection_is_one_setting_of_psla(noisy: Dataset, tmp_path: Path):
    request = Request(dataset=noisy, run=tmp_path / "run", test_fold=1, validation_fold=2)
    small = {
        "backbone": "crnn_small", "pretrained": None, "epochs": 2, "batch_size": 8, "warmup_steps": 0,
        "final_weights": "last", "selection": "top_k", "selection_k": 2,
    }  # fmt: skip
    run_recipe(find_recipe("psla"), request, small)
    with (tmp_path / "run" / "label-audit.csv").open() as file:
        assert sum(int(row["dropped"]) for row in csv.DictReader(file)) >= 4
    none = values_of(settings_from(find_recipe("psla").settings, {}))
    assert none["selection"] == "none"


def test_audits_of_several_runs_become_one(tmp_path: Path):
    header = '"clip","tags","judged","dropped","mean_rank","dropped_share"\n'
    for name, lines in (("1", '"a","Dog",4,2,0.5,0.5\n"b","Cat",1,1,1,1\n'), ("2", '"a","Dog",4,4,1,1\n')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "label-audit.csv").write_text(header + lines)
    merge_audits([tmp_path / "1", tmp_path / "2"], tmp_path)
    with (tmp_path / "label-audit.csv").open() as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    # 7 of 10 is more than 2 of 3: what was seen once weighs little.
    assert rows == [["a", "Dog", "8", "6", "0.75", "0.75"], ["b", "Cat", "1", "1", "1", "1"]]
    assert read_figure(tmp_path / "figures" / "likely-mislabelled.json").rows[1][0] == "b"
