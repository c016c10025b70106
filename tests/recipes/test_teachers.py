"""What a run knows of its teacher, and what it refuses before it costs anything."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.config import settings_from
from earmark.data.chunking import Chunking
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.splits import resolve_splits
from earmark.errors import InputError
from earmark.models.tagger import Tagger, load_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.psl import PslSettings
from earmark.recipes.run import run_recipe
from earmark.recipes.teacher import TEACHER_SETTINGS, filled_chunking
from earmark.scores.chunk_scores import store_chunk_scores, store_model_scores
from earmark.scores.scorer import Scorer, callable_scorer
from tests.conftest import RATE_HZ, TAGS, sound

CPU = torch.device("cpu")
CHUNKING = Chunking(chunk_s=0.4, min_chunk_s=0.3)
CHUNKS = {"chunk_s": 0.4, "min_chunk_s": 0.3}
SMALL = {"backbone": "crnn_small", "pretrained": None, "epochs": 1, "batch_size": 4}
BASE = SMALL | {"warmup_steps": 0, "mixup_rate": 0.0, "final_weights": "last"}


@pytest.fixture
def request_(small_dataset: Path, tmp_path: Path) -> Request:
    return Request(dataset=open_dataset(small_dataset), run=tmp_path / "run", test_fold=1, validation_fold=2)


@pytest.fixture
def quick_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's own teacher is trained in seconds."""
    monkeypatch.setattr("earmark.recipes.teacher.TEACHER_SETTINGS", BASE | TEACHER_SETTINGS)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch):
    """Runs and is killed before the student's first checkpoint."""

    def run(request: Request, **changes: object) -> None:
        def dies(*arguments: object, **named: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as during:
            during.setattr("earmark.recipes.psl.fit", dies)
            with pytest.raises(KeyboardInterrupt):
                train(request, **changes)

    return run


def train(request: Request, **changes: object) -> Tagger:
    run_recipe(find_recipe("psl"), request, SMALL | CHUNKS | changes)
    return load_model(request.run)


def says(name: str = "says", tags: tuple[str, ...] = TAGS) -> Scorer:
    """A teacher that says the same of everything."""
    scores = np.linspace(0.1, 0.9, len(tags), dtype=np.float32)
    return callable_scorer(lambda wave, num_samples: np.tile(scores, (len(wave), 1)), tags, RATE_HZ, name)


def dataset_of(folder: Path, columns: dict[str, list]) -> Dataset:
    """Clips of a second, one for each value of the columns."""
    (folder / "audio").mkdir(parents=True)
    rows = [",".join(["path", *({"tags": 0} | columns)])]
    for index in range(len(next(iter(columns.values())))):
        soundfile.write(folder / "audio" / f"{index}.wav", sound(TAGS[index % 3], index), RATE_HZ)
        cells = {"tags": TAGS[index % 3]} | {name: str(values[index]) for name, values in columns.items()}
        rows.append(",".join([f"audio/{index}.wav", *cells.values()]))
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(folder / "list.csv", folder / "set")
    return open_dataset(folder / "set")


def test_scores_of_a_teacher_that_saw_the_test_are_warned_of(
    request_: Request, small_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = request_.dataset
    store_model_scores(small_run, dataset, tmp_path / "scores", chunking=CHUNKING, device=CPU, workers=1)
    other = replace(request_, teacher=tmp_path / "scores", test_fold=3, validation_fold=2)
    with caplog.at_level(logging.WARNING):
        student = train(other)
    assert "the teacher was trained on 12 of the 24 clips that this run validates or tests on" in caplog.text
    # The student passes on what its teacher's teacher was trained on.
    (told,) = student.config.trained_on["learned_from"]
    assert (told["recipe"], told["test_fold"]) == ("baseline", 1)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        train(replace(other, run=tmp_path / "same", test_fold=1))
    assert "flatter" not in caplog.text


@pytest.mark.usefixtures("quick_teacher")
def test_a_teacher_of_a_runs_own_is_known_by_all_its_clips(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns = {"split": ["teacher" if row % 6 == 0 else "" for row in range(36)], "fold": [row // 3 % 3 + 1
               for row in range(36)]}  # fmt: skip
    dataset = dataset_of(tmp_path, columns)
    first = Request(dataset=dataset, run=tmp_path / "first", test_fold=1, validation_fold=2)
    with caplog.at_level(logging.INFO):
        student = train(first)
    assert "no --teacher: one is trained in" in caplog.text
    assert "by the recipe baseline, defaults with tags in turn (as in the paper: --set teacher_preset" in caplog.text
    saw = resolve_splits(dataset, 1, 2).of_teacher().train
    assert [about["clips"] for about in student.config.trained_on["learned_from"]] == [len(saw)]
    judged = resolve_splits(dataset, 3, 2)
    shared = np.intersect1d(saw, np.concatenate([judged.test, judged.validation]))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        train(replace(first, run=tmp_path / "second", test_fold=3, teacher=tmp_path / "first" / "teacher"))
    assert f"the teacher was trained on {len(shared)} of the" in caplog.text
    store = store_model_scores(tmp_path / "first" / "teacher", dataset, tmp_path / "scores", device=CPU, workers=1)
    assert np.flatnonzero(store.index["in_training"]).tolist() == saw.tolist()


def test_a_model_to_begin_with_that_saw_the_test_is_warned_of(
    request_: Request, small_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = replace(request_, init=small_run, test_fold=3)
    with caplog.at_level(logging.WARNING):
        run_recipe(find_recipe("linear"), asked, {"epochs": 1, "batch_size": 4})
    assert "the model of --init was trained on 12 of the 24 clips that this run validates or tests on" in caplog.text
    assert [about["test_fold"] for about in load_model(asked.run).config.trained_on["learned_from"]] == [1]


def test_scores_of_a_teachers_clips_are_not_out_of_fold(request_: Request, small_run: Path, tmp_path: Path) -> None:
    other = dataset_of(tmp_path / "other", {"split": ["train", "validation"] * 6})
    train(Request(dataset=other, run=tmp_path / "student", teacher=small_run))
    store = store_model_scores(tmp_path / "student", request_.dataset, tmp_path / "scores", device=CPU, workers=1)
    assert store.about["out_of_fold"] is False
    expected = resolve_splits(request_.dataset, 1, 2).train
    assert np.flatnonzero(store.index["in_training"]).tolist() == expected.tolist()


def test_what_is_not_said_of_a_chunking_is_filled() -> None:
    stored = Chunking(chunk_s=0.4, min_chunk_s=0.1)
    assert filled_chunking(None, None) == Chunking(chunk_s=2.0, min_chunk_s=0.5)
    assert filled_chunking(0.3, None) == Chunking(chunk_s=0.3, min_chunk_s=0.3)
    assert filled_chunking(5.0, None) == Chunking(chunk_s=5.0, min_chunk_s=0.5)
    assert filled_chunking(None, 0.2) == Chunking(chunk_s=2.0, min_chunk_s=0.2)
    assert filled_chunking(None, None, stored) == filled_chunking(0.4, None, stored) == stored
    assert filled_chunking(None, 0.1, stored) == stored
    assert filled_chunking(0.4, 0.2, stored) == Chunking(chunk_s=0.4, min_chunk_s=0.2)


@pytest.mark.parametrize("named", [{"chunk_s": 0.4, "min_chunk_s": None}, {"chunk_s": None, "min_chunk_s": 0.3}])
def test_half_a_chunking_is_that_of_the_scores(request_: Request, tmp_path: Path, named: dict) -> None:
    rows = np.arange(request_.dataset.num_clips)
    store_chunk_scores(says(), request_.dataset, rows, CHUNKING, tmp_path / "scores", training=rows[:0],
                       out_of_fold=False, workers=1)  # fmt: skip
    assert train(replace(request_, teacher=tmp_path / "scores"), **named).config.chunking == CHUNKING


def test_a_chunking_that_cannot_be_is_refused_by_the_settings() -> None:
    with pytest.raises(InputError, match=r"recipe psl: min_chunk_s must be at most chunk_s, 0.4, got 0.5"):
        settings_from(PslSettings, {"chunk_s": 0.4, "min_chunk_s": 0.5}, where="recipe psl")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": Path("nowhere")}, r"--teacher must name a model, a run or .*, there is none in nowhere"),
        ({"teacher": says(), "tag_map": Path("no.csv")}, "--map must name a file made by `earmark map`; there is no"),
    ],
)
def test_files_that_are_not_there_are_refused_before_the_run(request_: Request, changes: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        train(replace(request_, **changes))
    assert not request_.run.exists()


def test_going_on_without_the_teacher_says_so(request_: Request, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run / "model", tmp_path / "teacher")
    asked = replace(request_, teacher=tmp_path / "teacher")
    train(asked)
    (tmp_path / "teacher").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"--teacher must name .* none in .*teacher; if it was moved, name where it"):
        train(replace(asked, resume=True))
    train(replace(asked, resume=True, teacher=tmp_path / "moved"))


def test_nothing_is_scored_where_nothing_can_be_validated(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, {"split": ["train"] * 6, "group": ["one"] * 6})
    with pytest.raises(InputError, match="the validation split of set must hold clips"):
        train(Request(dataset=dataset, run=tmp_path / "run", teacher=says()))
    assert not (tmp_path / "run" / "pseudo-labels").exists()


def test_a_run_begun_anew_takes_nothing_of_other_settings_and_removes_no_work(request_: Request, killed) -> None:
    asked = replace(request_, teacher=says())
    killed(asked)
    store = request_.run / "pseudo-labels" / "scores.npy"
    before = store.stat().st_mtime_ns
    killed(asked, learning_rate=1e-4)  # which the scores do not depend on
    assert store.stat().st_mtime_ns == before
    assert (request_.run / "figures").is_dir()
    with pytest.raises(
        InputError, match=r"its pseudo-labels/ was made with other settings: .*; name another run folder"
    ):
        train(asked, chunk_s=0.5)
    with pytest.raises(InputError, match=r"its pseudo-labels/ was made with other settings: this run makes no scores"):
        train(request_, alpha=0)
    assert store.stat().st_mtime_ns == before
    assert not (request_.run / "figures").exists()  # they would be taken for the new run's


@pytest.mark.usefixtures("quick_teacher")
def test_a_teacher_of_other_settings_is_never_lost(request_: Request, killed) -> None:
    killed(request_)
    before = (request_.run / "teacher" / "model" / "model.safetensors").read_bytes()
    killed(request_, learning_rate=1e-4)
    with pytest.raises(InputError, match=r"its teacher/ was made with other settings: .*seed=0 \(now 1\)"):
        train(replace(request_, seed=1))
    with pytest.raises(InputError, match=r"its teacher/ was made with other settings: this run trains no teacher"):
        train(replace(request_, teacher=request_.run / "teacher"))
    with pytest.raises(InputError, match="must be a new or an empty folder, it holds pseudo-labels, teacher"):
        run_recipe(find_recipe("baseline"), request_, BASE)
    assert (request_.run / "teacher" / "model" / "model.safetensors").read_bytes() == before


@pytest.mark.usefixtures("quick_teacher")
def test_a_run_that_goes_on_never_loses_its_teacher(request_: Request) -> None:
    train(request_)
    shutil.rmtree(request_.run / "model")
    path = request_.run / "teacher" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 7}))
    with pytest.raises(InputError, match=r"run: its teacher/ was made with other settings: .*seed=7 \(now 0\)"):
        train(replace(request_, resume=True))
    assert (request_.run / "teacher" / "model").is_dir()


def test_a_teachers_name_and_what_it_lacks_are_said_plainly(request_: Request) -> None:
    with pytest.raises(InputError) as caught:
        train(replace(request_, teacher=says("two", ("Beep", "Hiss"))))
    assert str(caught.value).startswith("two scores 2 tags (Beep, Hiss), ")
    assert "; known are Beep, Hiss; say which" in str(caught.value)
    with pytest.raises(InputError, match=r"\(Click, Noise, Tone\): order or number differ; say which tags"):
        train(replace(request_, run=request_.run.with_name("b"), teacher=says("three", (*TAGS, "Rain"))))


def test_chunks_longer_than_ten_seconds_are_the_models_length(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, {"split": ["train", "validation"]})
    for index in range(2):
        soundfile.write(tmp_path / "audio" / f"{index}.wav", sound(TAGS[index], index, 13.0), RATE_HZ)
    shutil.rmtree(tmp_path / "set")
    import_dataset(tmp_path / "list.csv", tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    student = train(Request(dataset=dataset, run=tmp_path / "run", teacher=says(tags=dataset.vocabulary.tags)),
                    chunk_s=12.0)  # fmt: skip
    assert student.config.training_length_s == 12.0
