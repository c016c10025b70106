"""An evaluation's numbers against scikit-learn's, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.evaluation import evaluate, evaluate_model, verified_shares
from earmark.evaluation_summary import sorted_average_precision, summary_lines
from earmark.figures import read_figure
from earmark.metrics.tagging import map_at_k
from earmark.models.tagger import load_model
from earmark.reports.run_page import write_run_page
from earmark.scores.predict import clip_scores
from earmark.tag_map import TagMap
from tests.conftest import RATE_HZ, write_class_folders

CPU = torch.device("cpu")


def test_the_numbers_are_scikit_learns(small_dataset: Path, small_run: Path) -> None:
    dataset = open_dataset(small_dataset)
    found = evaluate_model(small_run, dataset, split="all", device=CPU)
    _, scores = clip_scores(load_model(small_run), open_pack(dataset, RATE_HZ), np.arange(36), device=CPU)
    truth = dataset.labels().rows(np.arange(36))
    precisions = [average_precision_score(truth[:, k], scores[:, k]) for k in range(3)]
    areas = [roc_auc_score(truth[:, k], scores[:, k]) for k in range(3)]
    assert [row["average_precision"] for row in found["per_tag"]] == pytest.approx(precisions)
    assert [row["roc_auc"] for row in found["per_tag"]] == pytest.approx(areas)
    assert found["metrics"]["mean_average_precision"]["value"] == pytest.approx(np.mean(precisions))
    assert [row["positives"] for row in found["per_tag"]] == [12, 12, 12]
    assert found["num_groups"] == 36


def test_the_three_best_tags_of_each_clip_are_judged_too(small_dataset: Path, small_run: Path) -> None:
    dataset = open_dataset(small_dataset)
    found = evaluate_model(small_run, dataset, split="all", device=CPU)
    _, scores = clip_scores(load_model(small_run), open_pack(dataset, RATE_HZ), np.arange(36), device=CPU)
    metric = found["metrics"]["map_at_3"]
    assert metric["value"] == pytest.approx(map_at_k(dataset.labels().rows(np.arange(36)), scores, k=3))
    assert metric["low"] <= metric["value"] <= metric["high"]
    assert f"  map_at_3                 {metric['value']:.4f}  [" in "\n".join(summary_lines(found))
    write_run_page(small_run, small_run / "report.html")
    assert "mAP@3" in (small_run / "report.html").read_text("utf-8")


def test_the_splits_are_those_of_training(small_dataset: Path, small_run: Path) -> None:
    dataset = open_dataset(small_dataset)
    for split, count in (("test", 12), ("validation", 12), ("train", 12), ("all", 36)):
        assert evaluate_model(small_run, dataset, split=split, device=CPU)["num_clips"] == count
    kept = json.loads((small_run / "evaluation" / "test.json").read_text())
    figure = read_figure(small_run / "figures" / "average-precision-test.json")
    assert figure == sorted_average_precision(kept)
    assert figure.series[0].y == sorted(figure.series[0].y, reverse=True)
    assert "12 clips" in "\n".join(summary_lines(kept))


def test_a_data_set_without_a_test_split_says_what_there_is(small_run: Path, tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "audio", per_tag=10)
    import_dataset(source, tmp_path / "others")
    with pytest.raises(InputError, match=r"others must have a test split, it has train \(\d+ clips\), validation"):
        evaluate_model(small_run, open_dataset(tmp_path / "others"), split="test", device=CPU)


def test_other_tags_are_refused_by_name(small_run: Path, tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "audio", per_tag=1)
    (source / "003 - Tone").rename(source / "003 - Tones")
    import_dataset(source, tmp_path / "others")
    with pytest.raises(InputError, match='lacks 1: Tones; did you mean "Tone"'):
        evaluate_model(small_run, open_dataset(tmp_path / "others"), split="all", device=CPU)


def test_the_verified_share_of_a_tags_clips(small_dataset: Path, small_run: Path) -> None:
    plain = open_dataset(small_dataset)
    assert verified_shares(plain, "given") is None
    # Clips are in the order of Click, Noise, Tone, 12 of each: 3 of 12, 2 of the 4 that are known, none known.
    says = [True] * 3 + [False] * 9 + [True, True, False, False] + [None] * 20
    column = plain.clips.column_names.index("verified")
    dataset = replace(plain, clips=plain.clips.set_column(column, "verified", pa.array(says, pa.bool_())), _labels={})
    tagger, pack = load_model(small_run), open_pack(plain, RATE_HZ)

    def shares(dataset, tag_map=None):
        found, _ = evaluate(
            tagger, dataset, pack, np.arange(11, 36), split="all", layer="given", device=CPU, tag_map=tag_map,
            resamples=2,
        )  # fmt: skip
        return [row.get("verified_share", "not told") for row in found["per_tag"]]

    assert shares(dataset) == [0.25, 0.5, None]
    assert shares(plain) == ["not told"] * 3
    # Of the shared tags only, wherever they stand in the data set's vocabulary.
    vocabulary = dataset.vocabulary
    assert shares(dataset, TagMap(vocabulary, vocabulary, {"Noise": (1,), "Tone": (2,)})) == [0.5, None]
