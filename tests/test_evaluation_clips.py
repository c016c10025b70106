"""The worst and the best clips of an evaluation, to look at and to listen to."""

import base64
import io
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark import evaluation_clips as module
from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.evaluation import evaluate_model
from earmark.evaluation_clips import FrameScores, clip_losses, clips_to_show, write_clip_figures
from earmark.figures import Event, read_figure
from earmark.models.tagger import load_model
from earmark.reports.run_page import write_run_page
from earmark.scores.evaluated import evaluated_scores_path, read_evaluated_scores
from earmark.scores.framewise import framewise_clip_scores
from tests.conftest import RATE_HZ, TAGS, sound
from tests.evaluation_cases import made_up
from tests.reports.browser import assert_page_works, needs_chromium

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(small_run, tmp_path_factory.mktemp("clips") / "run")


def figures_of(run: Path, name: str):
    return [read_figure(path) for path in sorted((run / "figures").glob(f"example-??-{name}.json"))]


def test_losses_are_torchs_over_annotated_cells():
    rng = np.random.default_rng(0)
    truth, scores = rng.random((20, 5)) < 0.4, rng.random((20, 5)).astype(np.float32)
    annotated = rng.random((20, 5)) < 0.7
    annotated[3] = False
    losses = clip_losses(made_up(truth, scores, annotated=annotated)[1])
    for clip in range(20):
        known = torch.tensor(annotated[clip])
        if clip == 3:
            assert np.isnan(losses[clip])
            continue
        said, true = torch.tensor(scores[clip])[known], torch.tensor(truth[clip], dtype=torch.float32)[known]
        assert losses[clip] == pytest.approx(float(torch.nn.functional.binary_cross_entropy(said, true)), rel=1e-5)


def test_certain_and_wrong_is_finite():
    losses = clip_losses(made_up(np.array([[1, 0]]), np.array([[0.0, 1.0]]))[1])
    assert losses[0] == pytest.approx(-np.log(1e-6), rel=0.01)


def test_worst_and_best_of_many():
    truth = np.eye(4)[np.arange(40) % 4]
    truth[39] = 0
    losses = np.arange(40)[::-1] / 40
    losses[0] = np.nan
    shown = clips_to_show(losses, made_up(truth, truth)[1])
    assert [one.place for one in shown if one.is_worst] == list(range(1, 9))
    # Clip 39 has no tag; of the others the last of each tag.
    assert [one.place for one in shown if not one.is_worst] == [38, 37, 36, 35]
    assert [one.rank for one in shown] == [*range(1, 9), *range(1, 5)]


def test_of_few_clips_half_are_the_worst():
    truth = np.ones((3, 1))
    shown = clips_to_show(np.array([0.1, 0.3, 0.2]), made_up(truth, truth)[1])
    assert [(one.place, one.is_worst) for one in shown] == [(1, True), (2, True), (0, False)]
    assert clips_to_show(np.empty(0), made_up(np.empty((0, 1)), np.empty((0, 1)))[1]) == []


def test_a_clip_shows_its_scores_over_time_and_what_it_is_labelled(small_dataset, run):
    dataset = open_dataset(small_dataset)
    evaluate_model(run, dataset, split="test", device=CPU)
    kept = read_evaluated_scores(evaluated_scores_path(run, "test", "given"))
    losses = clip_losses(kept)
    shown = figures_of(run, "test")
    others = np.argsort(-losses, kind="stable")[6:]
    num_best = len(np.unique(kept.truth[others], axis=0))
    titles = [figure.title.split(":")[0] for figure in shown]
    assert titles == [*(f"Worst {k + 1}" for k in range(6)), *(f"Best {k + 1}" for k in range(num_best))]
    worst = int(losses.argmax())
    first = shown[0]
    assert first.clip == kept.clips[worst]
    assert first.section == "Clips on test"
    tag = kept.tags[int(kept.truth[worst].argmax())]
    highest = kept.tags[int(kept.scores[worst].argmax())]
    assert first.title == f"Worst 1: labelled {tag}, highest {highest}"
    assert f"Labelled {tag}; highest: {highest} {kept.scores[worst].max():.3f}" in first.caption
    assert f"Loss {losses[worst]:.3f}" in first.caption
    row = int(np.flatnonzero(dataset.column("clip") == first.clip)[0])
    scored = framewise_clip_scores(load_model(run), open_pack(dataset, RATE_HZ), np.array([row]), device=CPU)
    assert first.curves[0].label == tag
    column = dataset.vocabulary.tags.index(tag)
    assert first.curves[0].y[::2] == pytest.approx(scored.scores[:, column].tolist())
    assert (first.curves[0].x[0], first.curves[0].x[-1]) == (0.0, 1.0)
    heard, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(first.audio)))
    assert len(heard) == rate_hz


@needs_chromium
def test_the_page_of_an_evaluated_run_works(small_dataset, run):
    evaluate_model(run, open_dataset(small_dataset), split="test", device=CPU)
    page = write_run_page(run, run / "report.html")
    # The shared run that this one is a copy of may have been evaluated on other splits, too.
    num_clips = len(list((run / "figures").glob("example-*.json")))
    assert num_clips >= len(figures_of(run, "test")) > 0
    assert_page_works(page, num_audio=num_clips, least_tables=5, least_drawings=15)


def test_another_evaluation_takes_the_place_of_the_clips_shown(small_dataset, run):
    (run / "figures" / "example-12-test.json").write_text("{}")
    (run / "figures" / "example-12-test-truth.json").write_text("{}")
    evaluate_model(run, open_dataset(small_dataset), split="test", device=CPU)
    assert not (run / "figures" / "example-12-test.json").exists()
    assert (run / "figures" / "example-12-test-truth.json").exists()


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory):
    """Two recordings of 14 s, with a tone from 11 s to 12 s."""
    folder = tmp_path_factory.mktemp("long")
    for number in range(2):
        (folder / "audio" / "3 - Tone").mkdir(parents=True, exist_ok=True)
        wave = 0.001 * sound("Noise", number, 14.0)
        wave[11 * RATE_HZ : 12 * RATE_HZ] = sound("Tone", number)
        soundfile.write(folder / "audio" / "3 - Tone" / f"{number}.wav", wave, RATE_HZ)
    import_dataset(folder / "audio", folder / "sounds")
    return open_dataset(folder / "sounds")


def shown_of(run, dataset, folder):
    """The figures of a data set's clips as if they had been evaluated."""
    evaluation, kept = made_up(np.tile([0, 0, 1], (2, 1)), np.tile([0.1, 0.2, 0.9], (2, 1)), tags=TAGS)
    kept = replace(kept, clips=dataset.column("clip").astype(np.str_))
    pack = open_pack(dataset, RATE_HZ)
    write_clip_figures(folder, load_model(run), dataset, pack, evaluation, kept, CPU)
    return figures_of(folder, "test")


def test_of_a_long_clip_ten_seconds_are_shown(run, long_clips, tmp_path, monkeypatch):
    frames = FrameScores(np.arange(15.0), np.zeros((14, 3), np.float32))
    frames.scores[11, 2] = 1
    monkeypatch.setattr(module, "_framewise", lambda *_: {0: frames, 1: frames})
    figure = shown_of(run, long_clips, tmp_path)[0]
    assert figure.duration_s == 10
    # The tone is heard from 11 s on, and the clip ends after 14.
    assert "From 4.0 s on, of 14.0 s." in figure.caption
    (tone,) = [curve for curve in figure.curves if curve.label == "Tone"]
    assert (tone.x[0], tone.x[-1]) == (0, 10)
    assert [x for x, y in zip(tone.x, tone.y, strict=True) if y == 1] == [7, 8]
    heard, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(figure.audio)))
    assert len(heard) == 10 * rate_hz
    loud = np.flatnonzero(np.abs(heard) > 0.1) / rate_hz
    assert (loud.min(), loud.max()) == (pytest.approx(7, abs=0.05), pytest.approx(8, abs=0.05))


def test_a_model_without_a_time_axis_has_no_curves(run, long_clips, tmp_path, monkeypatch):
    def refuse(model):
        raise InputError("a model must keep a time axis")

    monkeypatch.setattr(module, "step_samples", refuse)
    figure = shown_of(run, long_clips, tmp_path)[0]
    assert figure.curves == []
    assert "From 0.0 s on, of 14.0 s." in figure.caption
    assert "under the framewise scores" not in figure.alt


def test_a_recording_that_is_gone_is_named_and_left_out(run, long_clips, tmp_path, caplog):
    open_pack(long_clips, RATE_HZ)
    away = long_clips.audio_path(0).rename(tmp_path / "away.wav")
    try:
        with caplog.at_level(logging.WARNING):
            shown = shown_of(run, long_clips, tmp_path)
    finally:
        away.rename(long_clips.audio_path(0))
    assert len(shown) == 1
    assert "a clip of the test split is not shown: " in caplog.text


def test_events_are_moved_with_the_part_shown():
    events = [
        Event(tag="a", onset=1, offset=3),
        Event(tag="b", onset=3.5, offset=20),
        Event(tag="c", onset=15, offset=16),
    ]
    moved = module._moved(events, 2.0, 10.0)
    assert [(event.tag, event.onset, event.offset) for event in moved] == [("a", 0, 1), ("b", 1.5, 10)]
