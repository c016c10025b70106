"""PSL on data small enough for seconds: its teachers, its targets, and what it leaves behind."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.config import settings_from
from earmark.data.chunking import Chunking
from earmark.data.clips import whole_clips
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.data.splits import resolve_splits
from earmark.errors import InputError
from earmark.evaluation import evaluate_model
from earmark.features import PRESETS
from earmark.models.ensemble import digest_of_model
from earmark.models.tagger import BackboneConfig, Tagger, TaggerConfig, load_model, save_model
from earmark.recipes import find_recipe, preset_names, read_preset
from earmark.recipes.job import Request
from earmark.recipes.psl import PslSettings
from earmark.recipes.run import run_recipe
from earmark.recipes.scoring import score_out_of_fold
from earmark.scores.chunk_scores import store_chunk_scores
from earmark.scores.predict import clip_scores, excerpt_scores
from earmark.scores.scorer import callable_scorer, model_scorer
from earmark.scores.store import open_scores
from tests.conftest import RATE_HZ, TAGS, sound

CPU = torch.device("cpu")
CHUNKING = Chunking(chunk_s=0.4, min_chunk_s=0.3)  # a clip of 1 s has a chunk of .4 s and one of .6 s
SMALL = {
    "backbone": "crnn_small", "pretrained": None, "epochs": 2, "batch_size": 4, "chunk_s": 0.4, "min_chunk_s": 0.3,
    "learning_rate": 3e-3,
}  # fmt: skip


@pytest.fixture
def request_(small_dataset: Path, tmp_path: Path) -> Request:
    return Request(dataset=open_dataset(small_dataset), run=tmp_path / "run", test_fold=1, validation_fold=2)


def train(request: Request, **changes: object) -> Tagger:
    run_recipe(find_recipe("psl"), request, SMALL | changes)
    return load_model(request.run)


def test_the_preset_holds_the_papers_numbers() -> None:
    assert preset_names("psl") == ["audioset"]
    chosen = settings_from(PslSettings, read_preset("psl", "audioset"))
    assert (chosen.chunk_s, chosen.alpha, chosen.fit.top_k, chosen.fit.epochs, chosen.fit.patience) == (
        2,
        1,
        4,
        300,
        15,
    )
    assert (chosen.fit.batch_size, chosen.fit.schedule.learning_rate, chosen.fit.validate_every_steps) == (
        32,
        1e-4,
        10_000,
    )
    assert (chosen.model.backbone, chosen.model.pretrained, chosen.model.head) == ("mobilenetv2", None, "sigmoid_mean")
    assert chosen.augmentation == type(chosen.augmentation)()


def test_a_student_learns_its_teachers_chunks(request_: Request, small_run: Path) -> None:
    student = train(replace(request_, teacher=small_run), epochs=40)
    store = open_scores(request_.run / "pseudo-labels")
    assert store.chunking == CHUNKING
    assert store.scores.dtype == np.float16
    assert (store.about["model"], store.about["out_of_fold"]) == (digest_of_model(small_run), False)
    splits = resolve_splits(request_.dataset, 1, 2)
    pack = open_pack(request_.dataset, RATE_HZ)
    clips = whole_clips(pack, splits.train)
    chunks, rows = store.chunks_of(request_.dataset, clips, RATE_HZ)
    assert chunks.num_samples.tolist() == [6400, 9600] * len(splits.train)
    fresh = excerpt_scores(model_scorer(load_model(small_run), CPU), pack, chunks)
    np.testing.assert_allclose(store.read(rows), fresh, rtol=0, atol=1e-3)
    assert student.config.chunking == CHUNKING
    _, scores = clip_scores(student, pack, splits.test, device=CPU)
    assert (scores.argmax(axis=1) == request_.dataset.labels().rows(splits.test).argmax(axis=1)).mean() > 0.8
    parts = CHUNKING.cut(whole_clips(pack, splits.test[:1]), RATE_HZ)
    plain = student
    plain.config = student.config.model_copy(update={"chunking": None})
    alone = excerpt_scores(model_scorer(plain, CPU), pack, parts)
    np.testing.assert_allclose(scores[0], alone.mean(axis=0), rtol=0, atol=1e-5)
    assert {path.stem for path in (request_.run / "figures").glob("*.json")} >= {"coverage", "tags-per-clip"}


def test_without_a_teachers_share_it_is_the_baseline_on_chunks(request_: Request, tmp_path: Path) -> None:
    student = train(request_, alpha=0)
    settings = {**SMALL, "learn_from": "chunks", "mixup_rate": 0, "gain_db": (0.0, 0.0), "time_shift_fraction": 0}
    settings |= {"frequency_masks": 0, "frequency_mask_bins": 0, "time_masks": 0, "time_mask_frames": 0}
    settings |= {"final_weights": "top_k", "patience": 15, "schedule": "constant", "warmup_steps": 0}
    run_recipe(find_recipe("baseline"), replace(request_, run=tmp_path / "baseline"), settings)
    other = load_model(tmp_path / "baseline")
    for (name, tensor), same in zip(student.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(tensor, same), name
    assert other.config.chunking == student.config.chunking == CHUNKING
    assert not (request_.run / "pseudo-labels").exists()


def test_stored_scores_are_as_good_a_teacher_as_their_model(request_: Request, small_run: Path, tmp_path: Path) -> None:
    by_model = train(replace(request_, teacher=small_run))
    scorer = model_scorer(load_model(small_run), CPU)
    rows = np.arange(request_.dataset.num_clips)
    store_chunk_scores(
        scorer, request_.dataset, rows, CHUNKING, tmp_path / "scores", training=rows, out_of_fold=False, workers=1
    )
    stored = replace(request_, run=tmp_path / "other", teacher=tmp_path / "scores")
    by_scores = train(stored, chunk_s=None, min_chunk_s=None)
    for name, tensor in by_model.state_dict().items():
        assert torch.equal(tensor, by_scores.state_dict()[name]), name
    with pytest.raises(InputError, match="learned from a teacher that may have seen any clip"):
        score_out_of_fold(stored.run, stored.dataset, 2, tmp_path / "folds", device=CPU, workers=1)
    with pytest.raises(InputError, match=r"holds scores of chunks of 0.4 s .* and chunks of 0.5 s .* were asked for"):
        train(replace(stored, run=tmp_path / "third"), chunk_s=0.5)


def test_clips_that_the_store_lacks_are_left_out_and_counted(
    request_: Request, small_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = resolve_splits(request_.dataset, 1, 2).train
    scorer = model_scorer(load_model(small_run), CPU)
    store_chunk_scores(
        scorer, request_.dataset, rows[3:], CHUNKING, tmp_path / "some", training=rows, out_of_fold=False, workers=1
    )
    with caplog.at_level(logging.WARNING):
        train(replace(request_, teacher=tmp_path / "some"), epochs=1)
    assert "3 of 12 training clips have no scores and are not learned from" in caplog.text


def test_a_store_of_another_clip_table_is_warned_of_once(
    request_: Request, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def says(waveform: torch.Tensor, num_samples: torch.Tensor) -> np.ndarray:
        return np.tile(np.array([0.9, 0.2, 0.1], np.float32), (len(waveform), 1))

    rows, folder = np.arange(request_.dataset.num_clips), tmp_path / "scores"
    scorer = callable_scorer(says, TAGS, RATE_HZ, "one")
    store_chunk_scores(scorer, request_.dataset, rows, CHUNKING, folder, training=rows, out_of_fold=True, workers=1)
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"dataset": "of another"}))
    with caplog.at_level(logging.WARNING):
        train(replace(request_, teacher=folder), chunk_s=None, min_chunk_s=None, epochs=1)
    assert caplog.text.count("scores was made for another clip table than that of sounds; its clips are taken") == 1


def test_any_callable_may_teach(request_: Request) -> None:
    def all_tone(waveform: torch.Tensor, num_samples: torch.Tensor) -> np.ndarray:
        assert waveform.dtype == torch.float32
        assert waveform.abs().max() <= 1
        return np.tile(np.array([0, 0, 1], np.float32), (len(waveform), 1))

    student = train(replace(request_, teacher=callable_scorer(all_tone, TAGS, 8000, "all tone")), epochs=30)
    _, scores = clip_scores(student, open_pack(request_.dataset, RATE_HZ), np.arange(6), device=CPU)
    assert scores[:, 2].min() > 0.9
    assert scores[:, :2].max() < 0.1
    assert json.loads((request_.run / "settings.json").read_text())["teacher"] == "all tone"


def test_a_teacher_of_another_rate(request_: Request, small_run: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    front_end = PRESETS["psl"].model_copy(update={"rate_hz": 44_100, "high_hz": 8000.0, "window_samples": 1411,
                                                  "hop_samples": 441, "fft_samples": 2048})  # fmt: skip
    config = TaggerConfig(front_end=front_end, backbone=BackboneConfig(name="crnn_small"), vocabulary=TAGS)
    save_model(Tagger(config), tmp_path / "student")
    settings = {key: value for key, value in SMALL.items() if key not in ("backbone", "pretrained")}
    run_recipe(find_recipe("psl"), replace(request_, teacher=small_run, init=tmp_path / "student"), settings)
    assert load_model(request_.run).rate_hz == 44_100
    store = open_scores(request_.run / "pseudo-labels")
    clips = whole_clips(open_pack(request_.dataset, 44_100), resolve_splits(request_.dataset, 1, 2).train)
    chunks, rows = store.chunks_of(request_.dataset, clips, 44_100)
    assert chunks.num_samples.tolist() == [17_640, 26_460] * 12
    assert rows.tolist() == list(range(24))


@pytest.fixture(scope="module")
def with_teachers_clips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A third of the clips are for the teacher alone."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "audio").mkdir()
    rows = ["path,tags,split"]
    for index in range(36):
        tag = TAGS[index % 3]
        soundfile.write(folder / "audio" / f"{index}.wav", sound(tag, index), RATE_HZ)
        rows.append(f"audio/{index}.wav,{tag},{('train', 'teacher', 'validation', 'test')[index // 3 % 4]}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(folder / "list.csv", folder / "set")
    return open_dataset(folder / "set")


def test_without_a_teacher_one_is_trained_first(
    with_teachers_clips: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earmark.recipes.teacher.TEACHER_SETTINGS", {"backbone": "crnn_small", "pretrained": None,
                        "epochs": 2, "sampling": "class_cyclic", "warmup_steps": 0, "batch_size": 4})  # fmt: skip
    request = Request(dataset=with_teachers_clips, run=tmp_path / "run")
    train(request)
    teacher = load_model(tmp_path / "run" / "teacher").config.trained_on
    student = load_model(tmp_path / "run").config.trained_on
    assert (teacher["recipe"], teacher["clips"], student["clips"]) == ("baseline", 18, 9)
    assert evaluate_model(tmp_path / "run" / "teacher", with_teachers_clips, split="test", device=CPU)["num_clips"] == 9
    assert len(set(open_scores(tmp_path / "run" / "pseudo-labels").index["clip"].to_pylist())) == 9
    # As after a kill before the student's first checkpoint: what the teacher said is kept.
    before = (tmp_path / "run" / "pseudo-labels" / "scores.npy").stat().st_mtime_ns
    for path in ("model", "checkpoints"):
        (tmp_path / "run" / path).rename(tmp_path / path)
    (tmp_path / "run" / "metrics.jsonl").unlink()
    train(request)
    assert (tmp_path / "run" / "pseudo-labels" / "scores.npy").stat().st_mtime_ns == before


def test_a_teacher_of_other_tags_needs_a_map(request_: Request, tmp_path: Path) -> None:
    def says(waveform: torch.Tensor, num_samples: torch.Tensor) -> np.ndarray:
        return np.tile(np.array([0.9, 0.2], np.float32), (len(waveform), 1))

    other = replace(request_, teacher=callable_scorer(says, ("Beep", "Hiss"), RATE_HZ, "two"))
    with pytest.raises(InputError, match=r"scores 2 tags \(Beep, Hiss\), sounds has 3 \(Click, Noise, Tone\).*--map"):
        train(other)
    (tmp_path / "map.csv").write_text("dataset_tag,model_tag\nTone,Beep\n")
    student = train(replace(other, tag_map=tmp_path / "map.csv"), epochs=20)
    _, scores = clip_scores(student, open_pack(request_.dataset, RATE_HZ), np.arange(12), device=CPU)
    assert abs(scores[:, 2].mean() - 0.9) < 0.05  # the two others are learned by nobody
    notes = json.loads((request_.run / "data.json").read_text())["notes"]
    assert notes[-1].startswith("2 tags have none of the teacher's in the map and are not learned at all")
    assert notes[-1].endswith("Click, Noise")


@pytest.mark.parametrize(
    ("recipe", "changes", "settings", "said"),
    [
        ("baseline", {"teacher": "run"}, {}, "recipe baseline has no teacher; --teacher is for psl"),
        ("psl", {"tag_map": Path("map.csv")}, {}, "give --teacher too"),
        ("psl", {"teacher": "run"}, {"alpha": 0}, "alpha=0 learns from the weak labels alone; leave --teacher out"),
        ("psl", {"teacher": "run"}, {"teacher_preset": "teacher"}, "teacher_preset is for a teacher that the recipe"),
        ("psl", {"teacher": Path("nowhere")}, {}, "nowhere"),
    ],
)
def test_what_nobody_would_read_is_refused(
    request_: Request, small_run: Path, recipe: str, changes: dict, settings: dict, said: str
) -> None:
    changes = {key: small_run if value == "run" else value for key, value in changes.items()}
    with pytest.raises(InputError, match=said):
        run_recipe(find_recipe(recipe), replace(request_, **changes), settings)
    assert not (request_.run / "model").exists()


def test_a_teacher_that_saw_the_test_is_warned_of(
    request_: Request, small_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        train(replace(request_, teacher=small_run, test_fold=3, validation_fold=2), epochs=1)
    assert "the teacher was trained on 12 of the 24 clips that this run validates or tests on" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        train(replace(request_, run=request_.run.with_name("same"), teacher=small_run), epochs=1)
    assert "flatter" not in caplog.text


def test_a_resumed_run_has_the_same_weights(request_: Request, small_run: Path, tmp_path: Path) -> None:
    whole = replace(request_, teacher=small_run)
    unbroken = train(whole, epochs=3)
    broken = replace(whole, run=tmp_path / "broken")
    stops = {"epochs": 3, "checkpoint_every_steps": 2}
    calls = 0

    def dies(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.training.loop._refuse_broken_weights", dies)
        with pytest.raises(KeyboardInterrupt):
            train(broken, **stops)
    figures = {path.name: path.stat().st_mtime_ns for path in (broken.run / "figures").iterdir()}
    assert set(figures) == {"coverage.json", "label-coverage.json", "tags-per-clip.json"}
    resumed = train(replace(broken, resume=True), **stops)
    # Of all scores, so they are not looked through again at every start.
    assert {name: (broken.run / "figures" / name).stat().st_mtime_ns for name in figures} == figures
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
