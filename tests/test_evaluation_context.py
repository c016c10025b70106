"""Thresholds come from validation, counts from training, and nothing from the clips that are evaluated."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.data.synthesis.corruption import corrupt
from earmark.data.synthesis.planting import CorruptSettings
from earmark.evaluation import evaluate, evaluate_model
from earmark.evaluation_context import NO_CONTEXT, context_of
from earmark.evaluation_summary import summary_lines
from earmark.metrics.clipwise_thresholds import best_f1_thresholds
from earmark.models.ensemble import Ensemble
from earmark.models.tagger import load_model
from earmark.scores.predict import clip_scores
from earmark.scores.split_rows import own_splits
from tests.conftest import RATE_HZ

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(small_run, tmp_path_factory.mktemp("context") / "run")


@pytest.fixture(scope="module")
def opened(small_dataset: Path, run: Path):
    dataset = open_dataset(small_dataset)
    tagger = load_model(run)
    return dataset, tagger, open_pack(dataset, RATE_HZ), own_splits(tagger.trained_on(), dataset)


def test_thresholds_are_the_best_on_validation(opened, run):
    dataset, tagger, pack, splits = opened
    found = evaluate_model(run, dataset, split="test", device=CPU)
    rows, scores = clip_scores(tagger, pack, splits.validation, device=CPU)
    best = best_f1_thresholds(dataset.labels().rows(rows), scores)
    assert [row["threshold"] for row in found["per_tag"]] == best.tolist()
    rows, scores = clip_scores(tagger, pack, splits.test, device=CPU)
    truth = dataset.labels().rows(rows)
    expected = [f1_score(truth[:, k], scores[:, k] >= best[k]) for k in range(3)]
    assert [row["f1"] for row in found["per_tag"]] == pytest.approx(expected)
    assert found["metrics"]["macro_f1"]["value"] == pytest.approx(np.mean(expected))
    about = {"split": "validation", "labels": "given", "num_clips": 12, "tags_without_positives": 0}
    assert found["thresholds"] == json.loads((run / "evaluation" / "test.json").read_text())["thresholds"] == about
    assert "F1 is at the best threshold of each tag on validation (12 clips)" in "\n".join(summary_lines(found))


def test_training_clips_are_counted_by_tag(opened, run):
    found = evaluate_model(run, opened[0], split="test", device=CPU)
    assert [row["training_clips"] for row in found["per_tag"]] == [4, 4, 4]


def test_on_validation_its_own_thresholds_are_said_to_flatter(opened, run):
    found = evaluate_model(run, opened[0], split="validation", device=CPU)
    assert found["thresholds"]["split"] == "validation"
    assert "on validation (12 clips), these very clips: it flatters" in "\n".join(summary_lines(found))


def test_without_validation_clips_of_its_own_a_model_has_no_thresholds(opened):
    dataset, tagger, pack, splits = opened
    other = load_model_with(tagger, test_fold=3)
    both = Ensemble([tagger, other])
    assert context_of(both, dataset, pack, "test", "given", CPU) is NO_CONTEXT
    found, _ = evaluate(both, dataset, pack, splits.test, split="test", layer="given", device=CPU, resamples=2)
    assert found["thresholds"] is None
    assert [row["threshold"] for row in found["per_tag"]] == [0.5, 0.5, 0.5]
    assert "F1 is at a score of 0.5 for all tags" in "\n".join(summary_lines(found))


def load_model_with(tagger, **changes):
    trained_on = tagger.config.trained_on | changes
    copy = type(tagger)(tagger.config.model_copy(update={"trained_on": trained_on}))
    copy.load_state_dict(tagger.state_dict())
    return copy.eval()


def test_no_threshold_is_chosen_by_planted_truth(opened, small_dataset, tmp_path):
    corrupt(open_dataset(small_dataset), tmp_path / "noisy", CorruptSettings(missing_rate=0.5))
    dataset = open_dataset(tmp_path / "noisy")
    tagger = opened[1]
    pack = open_pack(dataset, RATE_HZ)
    by_truth = context_of(tagger, dataset, pack, "test", "truth", CPU).thresholds
    given = context_of(tagger, dataset, pack, "test", "given", CPU).thresholds
    assert by_truth.labels == given.labels == "given"
    assert by_truth.values.tolist() == given.values.tolist()
