"""Every recipe's steps can be timed, and no run, layer or teacher is left of it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earmark.data.dataset import Dataset, open_dataset
from earmark.data.synthesis import CorruptSettings, MixSettings, corrupt, mix
from earmark.recipes import RECIPES, find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import profile_recipe
from earmark.training.profile import StepTimes

SMALL = {"batch_size": 4, "precision": "fp32"}
MODEL = {"backbone": "crnn_small", "pretrained": None}


def noisy(source: Dataset, folder: Path) -> Dataset:
    """Half of the clips are verified."""
    corrupt(source, folder, CorruptSettings(wrong_rate=0.1, verified_share=0.5), seed=0)
    return open_dataset(folder)


def scenes(source: Dataset, folder: Path) -> Dataset:
    """Soundscapes labelled with times."""
    settings = MixSettings(num_clips=20, clip_s=1.0, rate_hz=16000, max_events=1, max_event_s=0.5)
    mix(source, folder, settings, seed=0, test_fold=1, validation_fold=2)
    return open_dataset(folder)


def as_it_is(source: Dataset, folder: Path) -> Dataset:
    return source


CASES: dict[str, tuple[Callable[[Dataset, Path], Dataset], dict[str, Any], dict[str, Any], str]] = {
    "baseline": (as_it_is, MODEL, {}, "."),
    "psl": (as_it_is, MODEL, {}, "teacher"),
    "psla": (as_it_is, MODEL, {"folds": 2}, "folds/fold-1"),
    "staged": (noisy, MODEL | {"stage_steps": [2, 2, 0], "epoch_steps": 1}, {}, "."),
    "class_frame": (scenes, MODEL | {"rounds": 0}, {"test_fold": None, "validation_fold": None}, "."),
    "linear": (as_it_is, {}, {"init": True}, "."),
}


def profiled(recipe: str, small_dataset: Path, small_run: Path, folder: Path) -> tuple[StepTimes, str]:
    made, settings, asked, where = CASES[recipe]
    dataset = made(open_dataset(small_dataset), folder / "set")
    given = {"test_fold": 1, "validation_fold": 2} | asked
    given |= {"init": small_run} if "init" in asked else {}
    given |= {"validation_fold": None} if "folds" in asked else {}
    request = Request(dataset=dataset, run=folder / "run", **given)
    before = sorted(path for path in dataset.folder.rglob("*") if "packs" not in path.parts)
    found = profile_recipe(find_recipe(recipe), request, SMALL | settings)
    assert sorted(path for path in dataset.folder.rglob("*") if "packs" not in path.parts) == before
    return found, where


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_profile_times_steps_and_leaves_nothing(
    recipe: str, small_dataset: Path, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aside").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "aside"))
    monkeypatch.setattr("earmark.recipes.teacher.TEACHER_SETTINGS", MODEL | SMALL)
    found, where = profiled(recipe, small_dataset, small_run, tmp_path)
    assert found.folder == Path(where)
    assert (found.batch_size, found.precision) == (4, "fp32")
    assert min(found.seconds[phase] for phase in ("features", "forward", "loss", "backward", "optimiser")) > 0
    assert found.feed_s > 0
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "aside").iterdir())


def test_a_student_with_a_teacher_is_timed_itself(small_dataset: Path, small_run: Path, tmp_path: Path) -> None:
    request = Request(
        dataset=open_dataset(small_dataset), run=tmp_path / "run", test_fold=1, validation_fold=2, teacher=small_run
    )
    settings = {"chunk_s": 0.4, "min_chunk_s": 0.1, "batch_size": 4}
    assert profile_recipe(find_recipe("psl"), request, MODEL | settings).folder == Path()
