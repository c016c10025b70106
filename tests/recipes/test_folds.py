"""Folds: complete runs that each leave out another part of the training clips, and their mean as one model."""

import csv
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.data.splits import cross_validation
from earmark.errors import InputError, OtherWorkError
from earmark.evaluation import evaluate_model
from earmark.models.ensemble import Ensemble, epoch_taggers, open_model, records_of
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe
from earmark.recipes.folds import run_name
from earmark.recipes.job import Request, notes_of
from earmark.recipes.run import run_recipe
from earmark.recipes.scoring import score_out_of_fold
from earmark.scores.predict import clip_scores
from earmark.training.label_audit import AUDIT
from earmark.training.loop import fit
from tests.conftest import RATE_HZ, TAGS, sound

CPU = torch.device("cpu")
BASELINE = find_recipe("baseline")
SMALL = {
    "backbone": "crnn_small", "pretrained": None, "epochs": 2, "batch_size": 8, "warmup_steps": 0, "precision": "fp32",
}  # fmt: skip


class KilledError(Exception):
    """The process dies now."""


@pytest.fixture(scope="module")
def dataset(small_dataset: Path) -> Dataset:
    return open_dataset(small_dataset)


@pytest.fixture(scope="module")
def folds(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """Three folds trained, beside fold 1 of the data set to test on."""
    request = Request(dataset=dataset, run=tmp_path_factory.mktemp("folds") / "run", test_fold=1, folds=3)
    run_recipe(BASELINE, request, SMALL)
    return request


def runs_of(request: Request) -> list[Path]:
    return [request.run / "folds" / f"fold-{number}" for number in range(1, (request.folds or 0) + 1)]


def weights(model: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((model / "model").rglob("model.safetensors"))]


def told(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def test_the_model_is_the_mean_of_the_folds(folds: Request, dataset: Dataset) -> None:
    pack, rows = open_pack(dataset, RATE_HZ), np.arange(36)
    each = [clip_scores(load_model(run), pack, rows, device=CPU)[1] for run in runs_of(folds)]
    _, together = clip_scores(open_model(folds.run), pack, rows, device=CPU)
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-6)
    assert np.ptp(each, axis=0).max() > 1e-3


def test_a_fold_is_the_run_that_its_clips_alone_would_give(folds: Request, dataset: Dataset, tmp_path: Path) -> None:
    for number, part in enumerate(cross_validation(dataset, 3, 1), start=1):
        data = told(folds.run / "folds" / f"fold-{number}" / "data.json")
        assert [data[name] for name in ("train", "validation", "test")] == [16, 8, 12]
        trained_on = load_model(folds.run / "folds" / f"fold-{number}").config.trained_on
        assert (trained_on["folds"], trained_on["fold"], trained_on["splits"]) == (3, number, part.digest)
    # Of the last fold, after two others in one process.
    alone = Request(dataset=dataset, run=tmp_path / "alone", splits=part)
    run_recipe(BASELINE, alone, SMALL)
    assert weights(alone.run) == weights(runs_of(folds)[2])


def test_the_record_is_as_other_runs_have_it(folds: Request) -> None:
    record = told(folds.run / "settings.json")
    assert (record["folds"], record["fold"], record["test_fold"], record["splits"]) == (3, None, 1, None)
    assert record["settings"]["epochs"] == 2
    assert (folds.run / "environment.json").is_file()
    data, imported = told(folds.run / "data.json"), notes_of(folds.dataset)
    assert {name: data.get(name) for name in ("train", "validation", "test")} == {
        "train": 24, "validation": None, "test": 12,
    }  # fmt: skip
    assert sum(" of 3, 8 clips" in note for note in data["notes"]) == 3
    assert imported
    assert data["notes"][-len(imported) :] == imported
    assert len(data["notes"]) == 3 + 1 + len(imported)
    assert [about["fold"] for about in records_of(folds.run)] == [1, 2, 3]
    assert "arithmetic mean of 3 taggers" in (folds.run / "model" / "README.md").read_text()


def test_the_test_split_is_evaluated_and_no_other_flatters_in_silence(
    folds: Request, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    assert evaluate_model(folds.run, dataset, split="test", device=CPU)["num_clips"] == 12
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert told(folds.run / "evaluation" / "test.json")["num_clips"] == 12
    with pytest.raises(InputError, match="each member of the model was validated on clips that other members were"):
        evaluate_model(folds.run, dataset, split="validation", device=CPU)
    assert evaluate_model(folds.run, dataset, split="train", device=CPU)["num_clips"] == 24
    assert "the model was trained on the train split: these figures flatter it" in caplog.text
    caplog.clear()
    fold = runs_of(folds)[1]
    assert evaluate_model(fold, dataset, split="validation", device=CPU)["num_clips"] == 8
    assert "the model was selected on the validation split: these figures flatter it" in caplog.text
    assert evaluate_model(fold, dataset, split="train", device=CPU)["num_clips"] == 16


def test_a_finished_run_is_left_as_it_is(folds: Request) -> None:
    before = {path: path.stat().st_mtime_ns for path in folds.run.rglob("*.safetensors")}
    assert len(run_recipe(BASELINE, replace(folds, resume=True), SMALL).test) == 12
    assert {path: path.stat().st_mtime_ns for path in folds.run.rglob("*.safetensors")} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"run must not exist yet, it holds a run; add --resume to go on, or name another"),
        ({"resume": True, "folds": 4}, r"was begun with folds=3 \(now 4\); --resume goes on with the same data"),
        ({"resume": True, "folds": None}, r"was begun with folds=3 \(now None\)"),
        ({"resume": True, "seed": 1}, r"was begun with seed=0 \(now 1\)"),
        ({"resume": True, "test_fold": 2}, r"was begun with test_fold=1 \(now 2\)"),
    ],
)
def test_another_run_is_refused_in_its_folder(folds: Request, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_recipe(BASELINE, replace(folds, **changes), SMALL)


def test_a_run_of_one_model_is_no_folder_for_folds(small_run: Path, dataset: Dataset, folds: Request) -> None:
    before = weights(small_run)
    with pytest.raises(OtherWorkError, match=r"folds=None \(now 2\)"):
        run_recipe(BASELINE, Request(dataset, small_run, test_fold=1, folds=2, resume=True), SMALL)
    assert weights(small_run) == before
    with pytest.raises(OtherWorkError, match="was begun with splits="):
        run_recipe(BASELINE, Request(dataset, runs_of(folds)[0], test_fold=1, folds=2, resume=True), SMALL)


def dying(after: int, calls: list[Path]) -> Callable[..., Any]:
    """Training that dies in the middle of the run after so many others, at its first validation."""

    def train(tagger: Any, feed: Any, validate: Any, settings: Any, folder: Path, **more: Any) -> Any:
        calls.append(folder)

        def dies(tagger: Any) -> dict[str, float]:
            if len(calls) > after and (folder / "metrics.jsonl").exists():
                raise KilledError
            return validate(tagger)

        return fit(tagger, feed, dies, settings, folder, **more)

    return train


@pytest.mark.parametrize("after", [0, 1])
def test_a_killed_run_goes_on_to_the_same_weights(
    folds: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    request, calls = replace(folds, run=tmp_path / "run"), []
    with monkeypatch.context() as patched:
        patched.setattr("earmark.recipes.baseline.fit", dying(after, calls))
        with pytest.raises(KilledError):
            run_recipe(BASELINE, request, SMALL)
    assert [call.name for call in calls] == [f"fold-{number}" for number in range(1, after + 2)]
    assert not (request.run / "model").exists()
    with pytest.raises(InputError, match="it holds a run; add --resume to go on"):
        run_recipe(BASELINE, request, SMALL)
    with pytest.raises(InputError, match=r"folds=3 \(now 2\)"):
        run_recipe(BASELINE, replace(request, folds=2, resume=True), SMALL)
    calls.clear()
    monkeypatch.setattr("earmark.recipes.baseline.fit", dying(9, calls))
    run_recipe(BASELINE, replace(request, resume=True), SMALL)
    assert [call.name for call in calls] == [f"fold-{number}" for number in range(after + 1, 4)]
    assert weights(request.run) == weights(folds.run)
    assert told(request.run / "data.json") == told(folds.run / "data.json")


def test_a_model_that_was_being_written_is_written_again(folds: Request, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folds.run, run)
    (run / "model" / "config.json").unlink()
    shutil.rmtree(run / "model" / "member-3")
    run_recipe(BASELINE, replace(folds, run=run, resume=True), SMALL)
    assert weights(run) == weights(folds.run)


def test_what_has_not_begun_may_be_begun_anew(folds: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*arguments: Any, **more: Any) -> None:
        raise KilledError

    request = replace(folds, run=tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr("earmark.recipes.baseline.fit", dies)
        for changes in ({}, {"folds": 2}, {"seed": 1}):
            with pytest.raises(KilledError):
                run_recipe(BASELINE, replace(request, **changes), SMALL)
            assert (request.run / "folds" / "fold-1" / "settings.json").is_file()
        with pytest.raises(KilledError):
            run_recipe(BASELINE, replace(request, folds=None), SMALL)
    assert not (request.run / "folds").exists()
    # A teacher, or scores, may have cost days.
    for kept in ("teacher/model/model.safetensors", "pseudo-labels/scores.npy"):
        path = request.run / "folds" / "fold-1" / kept
        path.parent.mkdir(parents=True)
        path.touch()
        with pytest.raises(InputError, match="must be a new or an empty folder, it holds folds; name another"):
            run_recipe(BASELINE, replace(request, folds=None), SMALL)
        assert path.exists()
        shutil.rmtree(request.run / "folds")
    (request.run / "folds" / "scores-1").mkdir(parents=True)
    with pytest.raises(InputError, match="must be a new or an empty folder, it holds folds; name another"):
        run_recipe(BASELINE, request, SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation_fold": 2}, "--folds validates each model on its own part of the clips; leave --validation-fold"),
        ({"folds": 25}, "folds must be from 2 to the 24 groups of training clips, got 25"),
        ({"folds": 1}, "folds must be from 2 to the 24 groups of training clips, got 1"),
        ({"test_fold": 9}, "test fold must be one of 1, 2, 3, got 9"),
    ],
)
def test_folds_that_cannot_be(folds: Request, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_recipe(BASELINE, replace(folds, run=tmp_path / "run", **changes), SMALL)
    assert not (tmp_path / "run").exists()


def test_a_fold_without_tags_is_refused_before_any_training(class_folders: Path, tmp_path: Path) -> None:
    paths = sorted(class_folders.rglob("*.wav"))[:8]
    rows = [f"{path},{'Click' if index < 2 else ''},weak" for index, path in enumerate(paths)]
    (tmp_path / "list.csv").write_text("\n".join(["path,tags,labelled", *rows]) + "\n")
    import_dataset(tmp_path / "list.csv", tmp_path / "set")
    request = Request(open_dataset(tmp_path / "set"), tmp_path / "run", folds=4)
    with pytest.raises(InputError, match=r"of 4 folds [23] folds of set hold none \(.*\); name fewer with --folds, or"):
        run_recipe(BASELINE, request, SMALL)
    assert not (tmp_path / "run").exists()


def with_validation(class_folders: Path, folder: Path) -> Dataset:
    """Four clips of each tag to validate on, two to test on and six to train on, by a split column."""
    rows = ["path,tags,split"]
    for tag, inside in zip(TAGS, sorted(class_folders.iterdir()), strict=True):
        for index, path in enumerate(sorted(inside.iterdir())):
            rows.append(f"{path},{tag},{'validation' if index < 4 else 'test' if index < 6 else 'train'}")
    folder.mkdir()
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(folder / "list.csv", folder / "set")
    return open_dataset(folder / "set")


def test_the_data_sets_own_validation_split_is_new_to_all_folds(
    class_folders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = with_validation(class_folders, tmp_path / "data")
    request = Request(dataset, tmp_path / "run", folds=2)
    run_recipe(BASELINE, request, SMALL | {"epochs": 1})
    data = told(request.run / "data.json")
    assert (data["train"], data["test"]) == (18, 6)
    assert "validation: the 12 clips that the data set gives for it are in no fold" in data["notes"]
    caplog.clear()
    assert evaluate_model(request.run, dataset, split="validation", device=CPU)["num_clips"] == 12
    assert "flatter" not in caplog.text
    # A fold's model has a validation split of its own.
    assert evaluate_model(runs_of(request)[0], dataset, split="validation", device=CPU)["num_clips"] == 9


def test_folds_go_on_from_a_given_model(folds: Request, tmp_path: Path, small_run: Path) -> None:
    request = replace(folds, run=tmp_path / "run", folds=2, init=small_run)
    linear = find_recipe("linear")
    run_recipe(linear, request, {"epochs": 1, "batch_size": 8})
    given = load_model(small_run).state_dict()
    members = open_model(request.run)
    assert isinstance(members, Ensemble)
    for member in members.taggers:
        assert all(
            torch.equal(value, given[f"backbone.{name}"]) for name, value in member.backbone.state_dict().items()
        )
    assert all(about["learned_from"] for about in records_of(request.run))
    with pytest.raises(InputError, match="head cannot be set together with --init"):
        run_recipe(BASELINE, replace(request, run=tmp_path / "other"), {"head": "max"})
    with pytest.raises(InputError, match="is an ensemble, and one tagger is needed here"):
        run_recipe(linear, replace(request, run=tmp_path / "other", init=folds.run), {})


def test_a_fold_has_a_teacher_of_its_own(folds: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earmark.recipes.teacher.TEACHER_SETTINGS", SMALL | {"epochs": 1})
    request = replace(folds, run=tmp_path / "run", folds=2)
    settings = {key: value for key, value in SMALL.items() if key != "warmup_steps"}
    run_recipe(find_recipe("psl"), request, settings | {"epochs": 1, "chunk_s": 0.5})
    for part, run in zip(cross_validation(request.dataset, 2, 1), runs_of(request), strict=True):
        student, teacher = (load_model(folder).config.trained_on for folder in (run, run / "teacher"))
        assert student["splits"] == teacher["splits"] == part.digest
        assert student["learned_from"] == [teacher]


def test_runs_are_told_apart_by_name(folds: Request) -> None:
    assert run_name(folds) == "run"
    assert run_name(replace(folds, run=folds.run / "folds" / "fold-2", fold=2)) == "run-fold-2"


def test_other_models_are_trained_as_a_fold_was_not_as_all_were(folds: Request, tmp_path: Path) -> None:
    arguments = {"device": CPU, "workers": None}
    with pytest.raises(InputError, match=r"run: is 3 models, one a fold, .* name the run of one, such as .*fold-1"):
        score_out_of_fold(folds.run, folds.dataset, 2, tmp_path / "scores", **arguments)
    with pytest.raises(InputError, match=r"is several models, and epochs are of one; .* such as RUN/folds/fold-1"):
        epoch_taggers(folds.run)


def test_a_recipe_names_the_mean_and_audits_are_merged(
    folds: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (find_recipe("staged").fold_mean, BASELINE.fold_mean) == ("geometric", "arithmetic")
    merged: list[Any] = []
    monkeypatch.setattr("earmark.recipes.folds.merge_audits", lambda *given: merged.append(given))
    request, runs = replace(folds, run=tmp_path / "run", folds=2), runs_of(folds)

    def trained(job: Any) -> Any:
        shutil.copy(runs[0] / "data.json", job.request.run)
        if job.request.fold in audited:
            (job.request.run / AUDIT).touch()
        return load_model(runs[job.request.fold - 1])

    recipe = replace(BASELINE, train=trained, fold_mean="geometric")
    for audited in ([2], [1, 2]):
        shutil.rmtree(request.run, ignore_errors=True)
        run_recipe(recipe, request, SMALL)
        assert bool(merged) == (len(audited) == 2)
    assert merged == [(runs_of(request), request.run)]
    assert told(request.run / "model" / "config.json")["ensemble"]["mean"] == "geometric"


def test_staged_folds_of_clips_of_any_length_are_one_model(tmp_path: Path) -> None:
    rows = ["path,tags,verified"]
    (tmp_path / "audio").mkdir()
    for index in range(18):
        tag = TAGS[index % 3]
        soundfile.write(tmp_path / "audio" / f"{index}.wav", sound(tag, index, 0.5 + index / 20), RATE_HZ)
        rows.append(f"audio/{index}.wav,{tag},{'true' if index % 2 else 'false'}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(tmp_path / "list.csv", tmp_path / "set")
    request = Request(open_dataset(tmp_path / "set"), tmp_path / "run", folds=3)
    settings = {key: value for key, value in SMALL.items() if key != "epochs"}
    stages = {"stage_steps": [4, 4, 2], "epoch_steps": 2, "selection_k": 1, "batch_size": 4}
    run_recipe(find_recipe("staged"), request, settings | stages)
    pack, every = open_pack(request.dataset, RATE_HZ), np.arange(18)
    each = [clip_scores(load_model(run), pack, every, device=CPU)[1] for run in runs_of(request)]
    assert min(scores.min() for scores in each) == 0  # scaled by its own validation clips
    _, together = clip_scores(open_model(request.run), pack, every, device=CPU)
    expected = np.prod(np.maximum(np.array(each, np.float64), 1e-6), axis=0) ** (1 / 3)
    np.testing.assert_allclose(together, expected, rtol=1e-4, atol=1e-6)
    audits = [list(csv.DictReader((run / AUDIT).open())) for run in (request.run, *runs_of(request))]
    judged = [sum(int(row["judged"]) for row in audit) for audit in audits]
    assert judged[0] == sum(judged[1:]) > 0
    assert len({row["clip"] for row in audits[0]}) == len(audits[0]) == 9
