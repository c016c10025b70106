"""Where out-of-fold scores may go: said before any model is trained."""

from pathlib import Path

import pytest

from earmark.data.chunking import Chunking
from earmark.data.dataset import open_dataset
from earmark.data.splits import resolve_splits
from earmark.errors import InputError
from earmark.files import write_json
from earmark.recipes.job import Request
from earmark.recipes.out_of_fold import out_of_fold_scores, refuse_folds
from tests.relabel.scenes import BY_SECOND, write_chunk_scores, write_scenes


class TrainedError(Exception):
    """A model would be trained now."""


def never(_: Request) -> None:
    raise TrainedError


def asked(dataset: Path, folder: Path, num_folds: int = 2, chunk_s: float | None = 1) -> None:
    opened = open_dataset(dataset)
    request = Request(dataset=opened, run=folder.parent / "run")
    chunking = None if chunk_s is None else Chunking(chunk_s=chunk_s)
    out_of_fold_scores(never, request, resolve_splits(opened), num_folds, folder, chunking)


def test_scores_of_one_model_are_refused_at_once(small_dataset, tmp_path):
    scenes = write_scenes(tmp_path / "scenes")
    write_chunk_scores(tmp_path / "scores", scenes, 1, BY_SECOND)
    with pytest.raises(InputError, match="scores: holds scores of one model, not out-of-fold ones; name another"):
        asked(small_dataset, tmp_path / "scores")
    assert not (tmp_path / "scores" / "folds").exists()


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"folds": 3}, "was begun with 3 folds, not 2; name another folder"),
        ({"folds": 2, "labels": "mended"}, 'holds other scores, labels "mended", not "given"; name another folder'),
        ({"folds": 2, "dataset": "other"}, "holds other scores, of another data set; name another folder"),
        ({"folds": 2, "chunk_s": 5.0}, "holds other scores, chunk_s 5.0, not 1.0; name another folder"),
        ({"folds": 2, "chunk_s": None}, "holds other scores, of whole clips, not of chunks; name another folder"),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_other_out_of_fold_scores_are_refused_at_once(small_dataset, tmp_path, held, message, begun):
    same = {"dataset": open_dataset(small_dataset).digest, "labels": "given", "chunk_s": 1.0, "min_chunk_s": 0.5}
    held = {name: value for name, value in (same | held).items() if value is not None}
    (tmp_path / "scores").mkdir()
    told = {"request": held, "done": 1} if begun else held
    write_json(tmp_path / "scores" / ("begun.json" if begun else "about.json"), told)
    with pytest.raises(InputError, match=message):
        asked(small_dataset, tmp_path / "scores")


def test_another_number_of_folds_is_refused_before_any_score_is_stored(small_dataset, tmp_path):
    for _ in range(2):
        with pytest.raises(TrainedError):
            asked(small_dataset, tmp_path / "scores", 2)
    with pytest.raises(InputError, match="was begun with 2 folds, not 3; name another folder"):
        asked(small_dataset, tmp_path / "scores", 3)


def test_a_folder_of_something_else_is_refused_at_once(small_dataset, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").touch()
    with pytest.raises(InputError, match=r"run: must be a new or an empty folder, it holds settings\.json; name"):
        asked(small_dataset, tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: must be a folder, found a file; name another"):
        asked(small_dataset, tmp_path / "file")


def test_a_folder_of_folds_takes_no_scores_of_one_model(tmp_path):
    (tmp_path / "folds").mkdir()
    with pytest.raises(InputError, match="holds folds of out-of-fold scores; go on with --folds, or name another"):
        refuse_folds(tmp_path)
    refuse_folds(tmp_path / "new")
