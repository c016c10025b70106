"""Averaging by start epoch, against ensembles and averaged checkpoints made one start at a time."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.averaging import LINES, averaging_by_start_epoch
from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.evaluation import validation_metrics
from earmark.figures import read_figure
from earmark.models.ensemble import Ensemble, epoch_taggers
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from earmark.tensor_files import load_tensors, load_weights, save_tensors
from earmark.training.checkpoints import average_weights
from tests.cli.command import earmark
from tests.conftest import RATE_HZ

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def kept_run(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs that kept the weights of each."""
    run = tmp_path_factory.mktemp("runs") / "kept"
    request = Request(dataset=open_dataset(small_dataset), run=run, test_fold=1, validation_fold=2)
    settings = {
        "backbone": "crnn_small", "pretrained": None, "epochs": 4, "batch_size": 4, "final_weights": "last",
        "learning_rate": 3e-3, "mixup_rate": 0.0, "warmup_steps": 0, "keep_from_epoch": 1,
    }  # fmt: skip
    run_recipe(find_recipe("baseline"), request, settings)
    return run


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*.safetensors"))


def copy_without(run: Path, copy: Path, places: list[int]) -> Path:
    """A copy of a run without some of its kept weights."""
    shutil.copytree(run, copy)
    kept = checkpoints(copy)
    for place in places:
        kept[place].unlink()
    return copy


def disturbed(run: Path, copy: Path) -> Path:
    """A copy of a run whose kept weights lie apart, so that averages differ from their members."""
    shutil.copytree(run, copy)
    draw = torch.Generator().manual_seed(0)
    for path in checkpoints(copy):
        weights, about = load_tensors(path)
        for name in [name for name in weights if name.startswith(("backbone.", "head."))]:
            if weights[name].is_floating_point() and not name.endswith("running_var"):
                weights[name] *= 1 + torch.randn(weights[name].shape, generator=draw)
        save_tensors(path, weights, about)
    return copy


def test_the_lines_are_those_of_each_start_by_itself(kept_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    dataset, run = open_dataset(small_dataset), disturbed(kept_run, tmp_path / "disturbed")
    figure = averaging_by_start_epoch(run, dataset, "all", CPU)
    pack, rows = open_pack(dataset, RATE_HZ), np.arange(36)
    taggers, paths = epoch_taggers(run), checkpoints(run)
    averaged = [load_model(run) for _ in paths]
    for start, tagger in enumerate(averaged):
        load_weights(tagger, average_weights(paths[start:]), "average")
    expected = [taggers, [Ensemble(taggers[start:]) for start in range(4)], averaged]
    assert tuple(series.label for series in figure.series) == LINES
    for series, models in zip(figure.series, expected, strict=True):
        assert series.x == [1, 2, 3, 4]
        metrics = [validation_metrics(model, dataset, pack, rows, "given", CPU) for model in models]
        assert series.y == pytest.approx([one["mean_average_precision"] for one in metrics])
    ends = [series.y[-1] for series in figure.series]
    assert ends[0] == ends[1] == ends[2]
    # Else the lines could be swapped unseen.
    assert len({tuple(series.y) for series in figure.series}) == 3
    assert "36 clips of the all split of sounds" in figure.caption
    assert "Statistics of BatchNorm are averaged like the weights" in figure.caption


def test_epochs_before_a_gap_are_left_out(kept_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    run = copy_without(kept_run, tmp_path / "gap", [])
    # Weights kept in the middle of epoch 2 are not those after it.
    path = checkpoints(run)[1]
    weights, about = load_tensors(path)
    save_tensors(path, weights, {**about, "ends_epoch": False})
    figure = averaging_by_start_epoch(run, open_dataset(small_dataset), "test", CPU)
    assert [series.x for series in figure.series] == [[3, 4]] * 3


def test_too_few_weights_are_refused(kept_run: Path, small_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    dataset = open_dataset(small_dataset)
    with pytest.raises(InputError, match="none were kept; train with --set keep_from_epoch=1"):
        averaging_by_start_epoch(small_run, dataset, "test", CPU)
    run = copy_without(kept_run, tmp_path / "one", [0, 2, 3])
    with pytest.raises(InputError, match="two epochs in a row, found those of epoch 2 alone; train with --set keep_"):
        averaging_by_start_epoch(run, dataset, "test", CPU)


def test_the_command_writes_the_figure(kept_run: Path, small_dataset: Path) -> None:
    answer = earmark("evaluate", kept_run, small_dataset, "--split", "validation", "--by-epoch", "--quiet")
    assert answer.returncode == 0, answer.stderr
    path = kept_run / "figures" / "averaging-validation.json"
    figure = read_figure(path)
    assert answer.stdout == f"{path}: {figure.alt}\n"
    assert not (kept_run / "evaluation" / "validation.json").exists()
    answer = earmark("evaluate", kept_run, small_dataset, "--by-epoch", "--json")
    assert answer.returncode == 2
    assert "takes neither --map nor --json" in answer.stderr
