import json

import pyarrow.parquet

from earmark.data.exporting import export_dataset
from tests.data.exporting.small_sets import dataset_of, files_of


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metadata_to_the_byte(tmp_path):
    clips = [
        {"clip": 'Dog/a, "b"', "split": "train"},
        {"clip": "-ü", "split": "train", "labelled": "strong"},
        {"clip": "t", "split": "test", "labelled": "strong"},
    ]
    labels = [('Dog/a, "b"', "Dog"), ("-ü", "Dog", 0.5, 0.75), ("-ü", "Cat", 0.1, 0.12345), ("t", "Cat", 0.0, 1.0)]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "hf", tmp_path / "out")
    assert (tmp_path / "out/train/metadata.jsonl").read_text() == (
        '{"file_name": "Dog_a, \\"b\\".wav", "clip": "Dog/a, \\"b\\"", "labels": ["Dog"], "events": [], '
        '"labelled": "weak"}\n'
        '{"file_name": "-ü.wav", "clip": "-ü", "labels": ["Cat", "Dog"], "events": ['
        '{"tag": "Cat", "onset": 0.1, "offset": 0.12345}, {"tag": "Dog", "onset": 0.5, "offset": 0.75}], '
        '"labelled": "strong"}\n'
    )
    assert files_of(tmp_path / "out") == [
        *("README.md", "test/metadata.jsonl", "test/t.wav"),
        *("train/-ü.wav", 'train/Dog_a, "b".wav', "train/metadata.jsonl"),
    ]
    assert (summary.clips, summary.labels, summary.events, summary.tables, summary.files) == (3, 4, 3, 2, 3)
    assert summary.losses == summary.notes == ()


def test_columns_are_there_if_the_data_set_has_them(tmp_path):
    clips = [{"clip": "a", "fold": 2, "verified": True, "group": "g"}, {"clip": "b"}]
    summary = export_dataset(dataset_of(tmp_path, clips), "hf", tmp_path / "out")
    common = {"labels": [], "labelled": "weak"}
    assert lines(tmp_path / "out/train/metadata.jsonl") == [
        {"file_name": "a.wav", "clip": "a", **common, "fold": 2, "group": "g", "verified": True},
        {"file_name": "b.wav", "clip": "b", **common, "fold": None, "group": "b.wav", "verified": None},
    ]
    assert summary.notes == ("2 clips without a split: in train",)


def test_the_first_lines_show_every_type(tmp_path):
    clips = [{"clip": "a"}, {"clip": "b"}, {"clip": "c", "labelled": "strong", "verified": False}, {"clip": "d"}]
    export_dataset(dataset_of(tmp_path, clips, [("d", "Dog"), ("c", "Cat", 0.0, 1.0)]), "hf", tmp_path / "out")
    assert [row["clip"] for row in lines(tmp_path / "out/train/metadata.jsonl")] == ["a", "c", "b", "d"]


def test_types_that_a_split_does_not_show_are_kept_in_parquet(tmp_path):
    clips = [{"clip": "a", "split": "train"}, {"clip": "b", "split": "test", "labelled": "strong"}]
    labels = [("a", "Dog"), ("b", "Dog", 0.25, 0.5)]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "hf", tmp_path / "out")
    train, test = (
        pyarrow.parquet.read_table(tmp_path / "out" / split / "metadata.parquet") for split in ("train", "test")
    )
    assert train.schema == test.schema
    assert train.to_pylist() == [
        {"file_name": "a.wav", "clip": "a", "labels": ["Dog"], "events": [], "labelled": "weak"}
    ]
    assert test.to_pylist()[0]["events"] == [{"tag": "Dog", "onset": 0.25, "offset": 0.5}]
    assert not list((tmp_path / "out").rglob("*.jsonl"))
    assert summary.notes == (
        "metadata.parquet instead of metadata.jsonl: a split has nothing in a column that another split fills",
    )


def test_the_card_tells_splits_and_features(tmp_path):
    clips = [
        {"clip": "a", "split": "train", "labelled": "strong"},
        {"clip": "b", "split": "test", "labelled": "strong"},
    ]
    labels = [("a", "Dog", 0.0, 0.5), ("b", "Dog", 0.25, 0.5)]
    export_dataset(dataset_of(tmp_path, clips, labels), "hf", tmp_path / "out")
    assert (
        (tmp_path / "out/README.md").read_text()
        == """\
---
pretty_name: "set"
task_categories:
- audio-classification
configs:
- config_name: default
  data_files:
  - split: train
    path: train/**
  - split: test
    path: test/**
dataset_info:
  features:
  - name: audio
    dtype: audio
  - name: clip
    dtype: string
  - name: labels
    list: string
  - name: events
    list:
    - name: tag
      dtype: string
    - name: onset
      dtype: float64
    - name: offset
      dtype: float64
  - name: labelled
    dtype: string
---

# set

2 clips, 2 tags. Written by earmark.

- `labels`: the tags of the clip
- `events`: those with times, in seconds from the clip's start
- `labelled`: what annotators were asked for: tags with times (strong), tags (weak) or nothing (none)
"""
    )
