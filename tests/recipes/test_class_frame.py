"""Class-frame pseudo labels on data small enough for seconds: rounds, layers, going on after a kill."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from earmark.config import settings_from
from earmark.data.dataset import Dataset, open_dataset, write_dataset, write_layer
from earmark.data.layers import GIVEN, about_layer, read_layer
from earmark.data.packs import open_pack
from earmark.data.statements import WEAK
from earmark.data.synthesis import MixSettings, mix
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.errors import InputError
from earmark.events.reference import metric_scores, reference_events
from earmark.figures import read_figure
from earmark.metrics.detection import detection_scores
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.segment_based import segment_based_counts
from earmark.models.tagger import load_model
from earmark.recipes import class_frame, find_recipe, preset_names, read_preset, rounds
from earmark.recipes.class_frame import ClassFrameSettings
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from earmark.scores.framewise import framewise_clip_scores
from earmark.tensor_files import load_tensors
from earmark.training import loop
from earmark.training.targets import Origin

CLASS_FRAME = find_recipe("class_frame")
SMALL = {
    "first_epochs": 12, "rounds": 2, "round_epochs": 2, "delta": 0.25, "batch_size": 8, "learning_rate": 5e-3,
    "warmup_steps": 0, "precision": "fp32",
}  # fmt: skip


def weakened(
    source: Dataset, folder: Path, kinds: tuple[str, ...] = ("strong", "weak", "weak"), validation: str = "strong"
) -> Dataset:
    """A data set whose training clips are labelled in turn as `kinds` says; the others are as they were."""
    split = source.column("split")
    kind = np.where(split == "train", np.resize(np.array(kinds, object), source.num_clips), "strong")
    kind[split == "validation"] = validation
    clips = source.clips.set_column(
        source.clips.column_names.index("labelled"), "labelled", pa.array(kind.tolist(), pa.string())
    )
    of = dict(zip(source.clips["clip"].to_pylist(), kind, strict=True))
    rows = read_layer(source.folder, GIVEN, source.clips, source.vocabulary).to_pylist()
    said = {
        (row["clip"], row["tag"], *((None, None) if of[row["clip"]] == "weak" else (row["onset"], row["offset"])))
        for row in rows
        if of[row["clip"]] != "none"
    }
    clip, tag, onset, offset = zip(*sorted(said, key=str), strict=True)
    labels = columns_or_null(
        len(clip), LABEL_SCHEMA, clip=pa.array(clip), tag=pa.array(tag), onset=pa.array(onset, pa.float64()),
        offset=pa.array(offset, pa.float64()), value=pa.array(np.ones(len(clip), np.float32)),
    )  # fmt: skip
    return write_dataset(
        folder, name=folder.name, clips=clips, labels=labels, vocabulary=source.vocabulary,
        audio_root=source.audio_root,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scenes(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Soundscapes of 1.5 s with one or two of three sounds."""
    folder = tmp_path_factory.mktemp("scenes") / "scenes"
    settings = MixSettings(
        num_clips=50, clip_s=1.5, rate_hz=16000, max_events=2, max_event_s=0.6, max_overlap=1, min_snr_db=20.0
    )
    mix(open_dataset(small_dataset), folder, settings, seed=0, test_fold=1, validation_fold=2)
    return open_dataset(folder)


@pytest.fixture
def both(scenes: Dataset, tmp_path: Path) -> Dataset:
    return weakened(scenes, tmp_path / "both")


def trained(dataset: Dataset, run: Path, **changes: Any) -> Path:
    run_recipe(CLASS_FRAME, Request(dataset=dataset, run=run, resume=True), {**SMALL, **changes})
    return run


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def weights(run: Path) -> dict[str, Any]:
    return load_tensors(run / "model" / "model.safetensors")[0]


def test_the_preset_holds_the_papers_numbers():
    assert preset_names("class_frame") == ["dcase2019"]
    chosen = settings_from(ClassFrameSettings, read_preset("class_frame", "dcase2019"))
    assert (chosen.model.front_end, chosen.model.backbone, chosen.model.head) == (
        "class_frame", "class_frame_resnet", "max",
    )  # fmt: skip
    assert (chosen.fit.optimizer, chosen.fit.schedule.learning_rate, chosen.fit.beta1) == ("sgd", 0.01, 0.9)
    assert (chosen.fit.batch_size, chosen.relabelling.rounds, chosen.relabelling.delta) == (32, 9, 1 / 16)
    assert (chosen.class_weights, chosen.relabelling.restart) == ("exponential", False)


def test_rounds_learn_events_and_leave_layers_tables_and_figures(both: Dataset, tmp_path: Path) -> None:
    run = trained(both, tmp_path / "run")
    metrics = records(run)
    assert [record["epoch"] for record in metrics] == list(range(1, 17))
    assert metrics[-1]["validation"]["segment_f1"] > 0.6
    assert 0 <= metrics[-1]["validation"]["event_f1"] <= 1
    layers = [name for name in both.layers() if name != GIVEN]
    assert layers == ["run-round-01", "run-round-02"]
    with (run / "pseudo-labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    weak = both.column("labelled") == "weak"
    assert [row["clip"] for row in table] == both.clips.filter(pa.array(weak))["clip"].to_pylist()
    for number, (name, theta) in enumerate(zip(layers, (0.75, 0.5), strict=True), start=1):
        told = about_layer(both.folder, name)
        assert (told["parent"], told["changes"]["round"], told["changes"]["threshold"]) == (GIVEN, number, theta)
        accepted = {row["clip"] for row in table if row[f"round_{number:02d}"] == "accepted"}
        assert told["changes"]["accepted"] == len(accepted) > 0
        # A round's pseudo labels are of its accepted clips alone, and leave clip labels as they are.
        added = both.statements(name)
        timed = added.clip_index[(added.onset != WEAK) & weak[added.clip_index]]
        assert set(both.clips["clip"].take(pa.array(np.unique(timed))).to_pylist()) <= accepted
        np.testing.assert_array_equal(
            both.labels(name).rows(np.flatnonzero(weak)), both.labels().rows(np.flatnonzero(weak))
        )
    drawn = {path.stem for path in (run / "figures").glob("*.json")}
    assert drawn >= {"rounds", "pseudo-frames"}
    never = [row["clip"] for row in table if row["accepted"] == "0"]
    assert ("never-accepted" in drawn) == bool(never)
    if never:
        assert [row[0] for row in read_figure(run / "figures" / "never-accepted.json").rows] == never[:30]
    assert read_figure(run / "figures" / "rounds.json").series[0].y[0] == pytest.approx(
        about_layer(both.folder, layers[0])["changes"]["accepted"] / weak.sum()
    )
    assert load_model(run).config.trained_on["recipe"] == "class_frame"


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""


def killed_at(monkeypatch: pytest.MonkeyPatch, what: Any, name: str, call: int, after: bool = False) -> None:
    """Makes the n-th call of a function the last thing that the process does."""
    original, calls = getattr(what, name), []

    def once(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == call and not after:
            raise KilledError
        result = original(*arguments, **named)
        if len(calls) == call:
            raise KilledError
        return result

    monkeypatch.setattr(what, name, once)


@pytest.mark.parametrize("restart", [False, True], ids=["warm", "afresh"])
def test_a_run_killed_anywhere_goes_on_to_the_same_weights(scenes: Dataset, tmp_path: Path, restart: bool) -> None:
    settings = {"first_epochs": 2, "rounds": 2, "round_epochs": 2, "restart": restart, "checkpoint_every_steps": 1}
    unbroken = trained(weakened(scenes, tmp_path / "whole"), tmp_path / "unbroken" / "run", **settings)
    dataset, run = weakened(scenes, tmp_path / "broken"), tmp_path / "broken-run" / "run"
    steps = 2 * (30 // 8)
    # In the first stage; before, in and after the first relabelling; in a round's middle; before the second.
    for what, name, call, after in [
        (loop, "train_step", 3, False),
        (rounds, "framewise_clip_scores", 1, False),
        (rounds, "write_round_layer", 1, False),
        (rounds, "write_round_layer", 1, True),
        (loop, "train_step", steps // 2, True),
        (rounds, "framewise_clip_scores", 1, True),
        (loop, "train_step", 2, False),
    ]:
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, what, name, call, after)
            with pytest.raises(KilledError):
                trained(dataset, run, **settings)
    trained(dataset, run, **settings)
    ours, theirs = weights(run), weights(unbroken)
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert [r["validation"] for r in records(run)] == [r["validation"] for r in records(unbroken)]


def begins(dataset: Dataset, run: Path, restart: bool) -> list[tuple[Any, int, float]]:
    """What each step of a run of two epochs began with: the head's weights, parameters with momentum, the rate."""
    begun: list[tuple[Any, int, float]] = []
    original = loop.train_step

    def step(tagger: Any, batch: Any, optimizer: Any, rate: float, *rest: Any) -> float:
        begun.append((tagger.head.linear.weight.detach().clone(), len(optimizer.state), rate))
        return original(tagger, batch, optimizer, rate, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", step)
        trained(dataset, run, first_epochs=1, rounds=1, round_epochs=1, schedule="cosine", restart=restart)
    return begun


def test_rounds_afresh_begin_with_new_weights_and_warm_ones_do_not(scenes: Dataset, tmp_path: Path) -> None:
    both = [begins(weakened(scenes, tmp_path / f"{kind}"), tmp_path / f"run-{kind}", kind) for kind in (True, False)]
    middle = len(both[0]) // 2
    drawn, afresh, warm = both[0][0], both[0][middle], both[1][middle]
    assert (afresh[0] == drawn[0]).all()
    assert afresh[1] == 0
    assert afresh[2] == pytest.approx(5e-3)  # the learning rate's course is its own
    assert not (warm[0] == drawn[0]).all()
    assert warm[1] > 0
    assert warm[2] == pytest.approx(2.5e-3)  # half way down the run's


def test_without_rounds_there_is_the_first_stage_alone(both: Dataset, tmp_path: Path) -> None:
    run = trained(both, tmp_path / "run", first_epochs=2, rounds=0, round_epochs=3, delta=1 / 16)
    assert len(records(run)) == 2
    assert both.layers() == [GIVEN]
    assert not (run / "pseudo-labels.csv").exists()


def test_a_name_that_another_runs_layers_have_is_not_taken(both: Dataset, tmp_path: Path) -> None:
    few = {"first_epochs": 1, "rounds": 1, "round_epochs": 1}
    trained(both, tmp_path / "a" / "run", **few)
    trained(both, tmp_path / "b" / "run", **few)
    assert [name for name in both.layers() if name != GIVEN] == ["run-round-01", "run-2-round-01"]


def test_long_clips_are_learned_from_in_chunks_with_their_own_events(both: Dataset, tmp_path: Path) -> None:
    seen: list[Any] = []
    original = loop.train_step

    def step(tagger: Any, batch: Any, *rest: Any) -> float:
        seen.append(batch)
        return original(tagger, batch, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", step)
        run = trained(both, tmp_path / "run", chunk_s=0.5, first_epochs=1, rounds=1, round_epochs=1)
    assert load_model(run).config.training_length_s == 0.5
    assert all(batch.waveform.shape[1] == 8000 for batch in seen)
    labels = both.labels()
    fewer = 0
    for batch in seen:
        frames = batch.targets.frames
        strong = frames.origin.numpy() == Origin.LABELS
        of_clip = labels.rows(batch.clip_index)
        # A strong chunk has the tags that sound in it, a weak one its clip's.
        heard = frames.values.numpy().max(axis=1)
        np.testing.assert_array_equal(batch.targets.clipwise.numpy(), np.where(strong[:, None], heard, of_clip))
        fewer += int(heard[strong].sum() < of_clip[strong].sum())
    assert fewer


def test_chunks_are_no_longer_than_fixed_frames(both: Dataset, tmp_path: Path) -> None:
    few = {"first_epochs": 1, "rounds": 1, "round_epochs": 1, "fixed_frames": 60}
    with pytest.raises(InputError, match=r"chunk_s must be at most 0.6, .* fixed_frames=60 hold, got 1.5"):
        trained(both, tmp_path / "run", **few)
    trained(both, tmp_path / "run", chunk_s=0.55, **few)


def test_a_layer_that_was_learned_from_and_is_gone_is_said(both: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = {"first_epochs": 1, "rounds": 1, "round_epochs": 2}
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, loop, "train_step", 5 + 30 // 8)
        with pytest.raises(KilledError):
            trained(both, run, checkpoint_every_steps=1, **few)
    (both.folder / "labels" / "run-round-01.json").unlink()
    with pytest.raises(InputError, match=r"has learned from the label layer run-round-01 .* train anew"):
        trained(both, run, checkpoint_every_steps=1, **few)


@pytest.mark.parametrize(
    ("kinds", "changes", "message"),
    [
        (("weak", "none"), {}, "must hold strongly labelled clips .* found none"),
        (("strong", "none"), {}, "must hold weakly labelled clips to relabel.*rounds=0"),
        (("strong", "weak"), {"time_shift_fraction": 0.5}, "frame labels stay where they are"),
        (("strong", "weak"), {"epochs": 5}, "epochs are what first_epochs, rounds and round_epochs make"),
        (("strong", "weak"), {"patience": 5}, "leave patience out"),
        (
            ("strong", "weak"),
            {"rounds": 0, "round_epochs": 3, "delta": 1 / 16, "restart": True},
            "restart is read with rounds above 0 only",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_training(
    scenes: Dataset, tmp_path: Path, kinds: tuple[str, ...], changes: dict[str, Any], message: str
) -> None:
    dataset = weakened(scenes, tmp_path / "data", kinds)
    with pytest.raises(InputError, match=message):
        trained(dataset, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_clips_without_labels_are_left_out_and_said(scenes: Dataset, tmp_path: Path) -> None:
    dataset = weakened(scenes, tmp_path / "data", ("strong", "weak", "none"))
    run = trained(dataset, tmp_path / "run", first_epochs=1, rounds=1, round_epochs=1)
    assert "10 clips without labels took no part in training" in " ".join(
        json.loads((run / "data.json").read_text())["notes"]
    )


def test_best_weights_can_be_chosen_by_events_and_no_other_recipe_can(both: Dataset, tmp_path: Path) -> None:
    few = {"first_epochs": 4, "rounds": 0, "round_epochs": 3, "delta": 1 / 16}
    run = trained(both, tmp_path / "run", select_by="segment_f1", final_weights="best", **few)
    found = [record["validation"]["segment_f1"] for record in records(run)]
    tagger, pack = load_model(run), open_pack(both, 16000)
    rows = np.flatnonzero(both.column("split") == "validation")
    scored = framewise_clip_scores(tagger, pack, rows, device=torch.device("cpu"))
    decided = events_from_scores(metric_scores(scored), 0.5)
    counts = segment_based_counts(reference_events(both, GIVEN, scored), decided)
    assert detection_scores(counts).macro_f1 == pytest.approx(max(found), abs=1e-6)
    with pytest.raises(InputError, match="select_by must be a metric of the validation split, event_f1 is not among"):
        run_recipe(
            find_recipe("baseline"), Request(dataset=both, run=tmp_path / "other"),
            {"backbone": "crnn_small", "pretrained": None, "epochs": 1, "select_by": "event_f1"},
        )  # fmt: skip


def test_without_events_to_validate_on_none_can_choose(scenes: Dataset, tmp_path: Path) -> None:
    dataset = weakened(scenes, tmp_path / "data", validation="weak")
    with pytest.raises(InputError, match=r"select_by=event_f1 needs events to validate on, .* 0 of its 10 clips"):
        trained(dataset, tmp_path / "run", select_by="event_f1")
    assert not (tmp_path / "run").exists()
    run = trained(dataset, tmp_path / "run", first_epochs=1, rounds=1, round_epochs=1)
    assert "event_f1" not in records(run)[-1]["validation"]


def test_two_runs_of_one_name_never_take_each_others_layers(both: Dataset, tmp_path: Path) -> None:
    """Both have begun before either has relabelled: the later one takes another name."""
    few = {"first_epochs": 1, "rounds": 2, "round_epochs": 1, "delta": 0.25, "checkpoint_every_steps": 1}
    early, late = tmp_path / "a" / "run", tmp_path / "b" / "run"
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, loop, "train_step", 2)
        with pytest.raises(KilledError):
            trained(both, early, **few)
    trained(both, late, **few)
    trained(both, early, **few)
    assert [name for name in both.layers() if name != GIVEN] == [
        "run-round-01", "run-round-02", "run-2-round-01", "run-2-round-02",
    ]  # fmt: skip
    for prefix, run in (("run", late), ("run-2", early)):
        assert about_layer(both.folder, f"{prefix}-round-01")["written_by"] == str(run)


def test_pseudo_labels_take_the_place_of_times_that_the_labels_beneath_give(both: Dataset, tmp_path: Path) -> None:
    weak = np.flatnonzero((both.column("labelled") == "weak") & (both.column("split") == "train"))
    names, said = both.clips["clip"].to_pylist(), both.statements()
    stale = [(names[clip], both.vocabulary.tags[tag], 0.05, 0.1) for clip, tag in zip(
        said.clip_index, said.tag_index, strict=True) if clip in weak]  # fmt: skip
    clip, tag, onset, offset = zip(*stale, strict=True)
    table = columns_or_null(
        len(stale), LABEL_SCHEMA, clip=pa.array(clip), tag=pa.array(tag), onset=pa.array(onset),
        offset=pa.array(offset), value=pa.array(np.ones(len(stale), np.float32)),
    )  # fmt: skip
    write_layer(both, "timed", table)
    learned: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        original = class_frame.FrameLabels

        def made(*arguments: Any) -> Any:
            learned.append(original(*arguments))
            return learned[-1]

        patch.setattr(class_frame, "FrameLabels", made)
        request = Request(dataset=both, run=tmp_path / "run", layer="timed")
        run_recipe(CLASS_FRAME, request, {**SMALL, "rounds": 1})
    of_round = learned[1]
    accepted = np.flatnonzero(of_round.origin == Origin.SCORES)
    assert len(accepted)
    layer = both.statements("run-round-01")
    for events in (of_round.events, layer):
        mine = events.at((events.onset != WEAK) & np.isin(events.clip_index, accepted))
        assert len(mine)
        assert not ((mine.onset == 0.05) & (mine.offset == 0.1)).any()
    # What nobody relabelled keeps the times that it was given.
    rejected = np.setdiff1d(weak, accepted)
    kept = layer.at((layer.onset != WEAK) & np.isin(layer.clip_index, rejected))
    assert ((kept.onset == 0.05) & (kept.offset == 0.1)).all()


@pytest.mark.parametrize("name", ["my run", "Lauf-ä (1)", ".hidden", "x" * 120, "..."])
def test_any_name_of_a_run_makes_names_of_layers(both: Dataset, tmp_path: Path, name: str) -> None:
    trained(both, tmp_path / f"_{name}" if name == "..." else tmp_path / name, first_epochs=1, rounds=1, round_epochs=1)
    assert len(both.layers()) == 2


def test_a_data_set_that_cannot_be_written_to_is_refused_before_training(
    both: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_pack(both, 16000)
    monkeypatch.setattr(rounds.os, "access", lambda path, mode: "labels" not in str(path))
    with pytest.raises(InputError, match=r"must be a folder that can be written to, .* --set rounds=0"):
        trained(both, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    trained(both, tmp_path / "run", first_epochs=1, rounds=0, round_epochs=3, delta=1 / 16)


def test_folds_without_strong_clips_are_refused_before_any_is_trained(scenes: Dataset, tmp_path: Path) -> None:
    dataset = weakened(scenes, tmp_path / "data", ("strong", *["weak"] * 29))
    with pytest.raises(InputError, match=r"fold \d: the train split of data must hold strongly labelled .* --folds"):
        run_recipe(CLASS_FRAME, Request(dataset=dataset, run=tmp_path / "run", folds=3), SMALL)
    assert not (tmp_path / "run").exists()
