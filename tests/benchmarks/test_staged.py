"""Staged training's benchmark: its rows, what they share, what is planted in its beds, what its figures count."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import staged, staged_bed, staged_values
from benchmarks.command import run_rows
from benchmarks.harness import Bench
from benchmarks.staged_values import Cell, Measured
from earmark.data.dataset import Dataset, open_dataset
from earmark.figures import ChartFigure, read_figure
from earmark.models.settings import ScoreRange
from earmark.tensor_files import save_tensors
from tests.benchmarks.conftest import row_of, trainings_by_row

TRUTH = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], np.float32)
SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.7], [0.3, 0.4]], np.float32)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return staged.make("full", tmp_path / "work", tmp_path / "results")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Cell]:
    """The trainings that rows ask for, in place of them; clips 0, 3 and 6 of eight are wrongly labelled."""
    trained: list[Cell] = []
    log = {
        "seen": np.array([4, 2, 2, 8, 0, 0, 0, 0]),
        # Steps count from 0 in the log; the second stage has steps 60 to 119.
        "drop_step": np.array([60, 60, 74, 75, 119]),
        "drop_clip": np.array([0, 3, 0, 1, 2]),
        "cutoff_step": np.array([60, 75, 90, 119]),
        "cutoff": np.array([9.0, 5.0, 2.0, 4.0]),
    }
    records = [
        {"step": step, "train_loss": 1000 / step, "validation": {"macro_f1": step / 1000}}
        for step in range(15, 151, 15)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def measured(bench: Bench, seed: int, cell: Cell) -> Measured:
        if cell not in trained:
            trained.append(cell)
        better = {"verified": 0.0, "none": 0.0, "top-k": 0.0, "threshold": 0.3}[cell.rule]
        return Measured(tmp_path, np.clip(SCORES + better * TRUTH, 0, 1), SCORES, log)

    labels = SimpleNamespace(rows=lambda rows: TRUTH[rows])
    monkeypatch.setattr(staged_values, "measured", measured)
    monkeypatch.setattr(staged_values, "bed_of", lambda *bed: None)
    monkeypatch.setattr(staged_values, "splits_of", lambda *bed: SimpleNamespace(test=np.arange(4)))
    monkeypatch.setattr(staged_values, "truth_of", lambda bed: labels)
    monkeypatch.setattr(staged_values, "wrong_clips", lambda bed: np.arange(8) % 3 == 0)
    return trained


def test_rows_stand_in_the_order_asked_for() -> None:
    rows = staged.rows()
    assert list(dict.fromkeys(row.table for row in rows)) == [
        staged.TABLE_1,
        staged.TABLE_1_GAINS,
        staged.DROPPED,
        staged.FIG_4,
        staged.SCENES,
        staged.SCENES_GAINS,
        staged.NOISE_TABLE,
        staged.NOISE_GAINS,
    ]
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    assert names[:5] == [
        "sigmoid-verified", "sigmoid-none", "sigmoid-top-k", "sigmoid-threshold", "softmax-verified"
    ]  # fmt: skip
    assert [row.name for row in rows if row.table == staged.NOISE_TABLE][::3] == [
        "noise-0-none", "noise-20-none", "noise-40-none", "noise-60-none"
    ]  # fmt: skip
    assert set(staged.REMARKS) <= set(names)
    assert set(staged.CAPTIONS) == {row.table for row in rows}


def test_rows_share_trainings(bench: Bench, asked: list[Cell]) -> None:
    cost = trainings_by_row(bench, bench.rows, asked)
    # A training wherever the cost table says that there is one, and nowhere else.
    assert cost == {row.name: int(row.trainings >= 1) for row in bench.rows}
    assert sum(cost.values()) == 12 + 7 + 9


def test_the_papers_own_figures_stand_beside(bench: Bench) -> None:
    said = {row.name: row.paper for row in bench.rows}
    assert said["sigmoid-verified"] == ".8417, .7155"
    assert said["sparsemax-none"] == ""
    assert said["gain-sparsemax-threshold-over-top-k"] == "+.0029, +.0039"
    assert said["gain-softmax-top-k-over-verified"] == "+.0185, +.0181"
    assert said["gain-sparsemax-top-k-over-softmax"] == "+.0041, -.0016"
    assert said["gain-sigmoid-none-over-verified"] == ""
    assert said["scenes-sparsemax-threshold"] == "of several .7910"
    assert said["gain-scenes-sparsemax-threshold-over-softmax"] == "of several +.0085"
    assert said["gain-scenes-sparsemax-threshold-over-sigmoid"] == ""


def test_all_cells_take_as_many_steps_and_their_settings_hold(bench: Bench) -> None:
    cells = [Cell(head, rule) for head in staged_values.HEADS for rule in staged_values.RULES]
    settings = [bench.resolved(staged_values.changes_of(bench, cell)) for cell in cells]
    assert {sum(one["stage_steps"]) for one in settings} == {150}
    assert [list(one["stage_steps"]) for one in settings[:2]] == [[60, 0, 90], [60, 60, 30]]
    assert len({json.dumps(one, sort_keys=True) for one in settings}) == len(cells)
    assert {one["final_weights"] for one in settings} == {"last"}
    # The paper's 10 of 32 unverified clips a batch, and the planted share of these.
    assert staged_values.K / (settings[0]["batch_size"] / 2) == pytest.approx(10 / 32, abs=0.1)


def test_smoke_trains_once_and_draws(tmp_path: Path) -> None:
    bench = staged.make("smoke", tmp_path, tmp_path)
    assert [row.name for row in bench.rows] == list(staged.SMOKE_ROWS)
    assert sum(bench.resolved()["stage_steps"]) <= 10
    assert staged.FIG_4 in {row.table for row in bench.rows}


def test_seeds_have_test_folds_of_their_own(bench: Bench) -> None:
    folds = bench.made_of["test_folds"]
    assert len({folds[seed] for seed in bench.seeds}) == len(bench.seeds) == 3
    assert all(test != validation for test, validation in zip(folds, bench.made_of["validation_folds"], strict=True))


def test_rows_of_changed_beds_are_not_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = staged.make("full", tmp_path, tmp_path).digest
    assert staged.make("full", tmp_path, tmp_path).digest == before
    monkeypatch.setattr(staged_bed, "VERIFIED_SHARE", 0.2)
    assert staged.make("full", tmp_path, tmp_path).digest != before


@pytest.fixture
def small_bed(
    small_dataset: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> Callable[[staged_bed.Kind, float], Dataset]:
    """Seed 0's test bed of 36 short recordings: of folds 1, 2 and 3 one is tested on, the next validated on."""
    monkeypatch.setattr(staged_bed, "esc10", lambda work: open_dataset(small_dataset))
    mixing = {**bench.made_of["mix"], "num_clips": 30, "validation_share": 0.2, "test_share": 0.2, "clip_s": 2.0}
    small = replace(bench, made_of={**bench.made_of, "mix": mixing})
    return lambda kind, rate: staged_bed.bed_of(small, 0, kind, rate)


def test_a_quarter_is_verified_and_of_the_others_the_share_is_wrong(
    small_bed: Callable[[staged_bed.Kind, float], Dataset],
) -> None:
    bed = small_bed("recordings", 0.4)
    splits = staged_bed.splits_of(bed, "recordings", 0)
    fold, verified, wrong = bed.column("fold"), bed.column("verified"), staged_bed.wrong_clips(bed)
    assert [np.unique(fold[rows]).tolist() for rows in splits.by_name().values()] == [[3], [2], [1]]
    assert verified[splits.train].tolist().count(1) == 3
    # What is validated and tested on is right, and said to be.
    assert verified[splits.validation].tolist() == verified[splits.test].tolist() == [1] * 12
    assert not wrong[verified == 1].any()
    assert wrong[verified == 0].sum() == 4  # .4 of 9, half up
    given, true = bed.labels().rows(splits.train), staged_bed.truth_of(bed).rows(splits.train)
    assert (given.sum(axis=1) == 1).all()
    assert ((given != true).any(axis=1) == wrong[splits.train]).all()


def test_other_rates_leave_the_verified_clips_as_they_are(
    small_bed: Callable[[staged_bed.Kind, float], Dataset],
) -> None:
    beds = [small_bed("recordings", rate) for rate in (0.0, 0.2, 0.4, 0.6)]
    assert len({bed.folder for bed in beds}) == 4
    assert {tuple(bed.column("verified")) for bed in beds} == {tuple(beds[0].column("verified"))}
    wrong = [set(np.flatnonzero(staged_bed.wrong_clips(bed)).tolist()) for bed in beds]
    assert wrong[0] < wrong[1] < wrong[2] < wrong[3]
    assert wrong[0] == set()
    everything = np.arange(beds[0].num_clips)
    for bed in beds:
        assert (staged_bed.truth_of(bed).rows(everything) == beds[0].labels().rows(everything)).all()


def test_soundscapes_have_the_seeds_folds_and_wrong_labels_in_training_alone(
    small_bed: Callable[[staged_bed.Kind, float], Dataset],
) -> None:
    bed = small_bed("soundscapes", 0.4)
    splits = staged_bed.splits_of(bed, "soundscapes", 0)
    assert [len(rows) for rows in splits.by_name().values()] == [18, 6, 6]
    verified, wrong = bed.column("verified"), staged_bed.wrong_clips(bed)
    assert verified[splits.train].sum() == 5  # a quarter of 18, half up
    assert (verified[np.union1d(splits.validation, splits.test)] == 1).all()
    assert wrong.any()
    assert not wrong[verified == 1].any()
    true = staged_bed.truth_of(bed).rows(np.arange(bed.num_clips))
    assert 1 <= true.sum(axis=1).min() < true.sum(axis=1).max() <= 3


def test_smokes_recordings_are_some_of_every_tag_and_fold(small_dataset: Path, tmp_path: Path) -> None:
    whole = open_dataset(small_dataset)
    part = staged_bed.verified_part(whole, tmp_path / "part", 5)
    assert part.clips["clip"].to_pylist() == whole.clips["clip"].to_pylist()[::5]
    assert (part.column("verified") == 1).all()
    rows = np.arange(part.num_clips)
    assert (part.labels().rows(rows) == whole.labels().rows(rows * 5)).all()
    assert part.audio_path(0) == whole.audio_path(0)


def test_what_is_kept_of_a_training_does_without_its_checkpoints(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    log = {name: torch.arange(3) for name in staged_values.LOG}
    save_tensors(run / "checkpoints" / "last.safetensors", {f"selection.{name}": kept for name, kept in log.items()})
    score_range = ScoreRange(on="validation", low=(0.2, 0.4), high=(0.7, 0.8))
    tagger = SimpleNamespace(rate_hz=16000, config=SimpleNamespace(score_range=score_range))
    tagger.config.model_copy = lambda update: SimpleNamespace(**update)
    asked = []

    def clip_scores(tagger: SimpleNamespace, pack: str, rows: np.ndarray, device: torch.device) -> tuple:
        asked.append((pack, rows, tagger.config.score_range))
        return rows, SCORES

    monkeypatch.setattr(Bench, "run_of", lambda *given, **named: run)
    monkeypatch.setattr(staged_values, "bed_of", lambda *bed: None)
    monkeypatch.setattr(staged_values, "splits_of", lambda *bed: SimpleNamespace(test="test rows"))
    monkeypatch.setattr(staged_values, "load_model", lambda run: tagger)
    monkeypatch.setattr(staged_values, "open_pack", lambda bed, rate_hz: "pack")
    monkeypatch.setattr(staged_values, "clip_scores", clip_scores)
    first, again = (staged_values.measured(bench, 0, Cell("sigmoid", "none")) for _ in range(2))
    assert asked == [("pack", "test rows", None)]
    assert not (run / "checkpoints").exists()
    for found in (first, again):
        assert (found.unscaled == SCORES).all()
        assert found.scores == pytest.approx(np.clip((SCORES - [0.2, 0.4]) / [0.5, 0.4], 0, 1), abs=1e-6)
        assert list(found.log) == list(staged_values.LOG)
        assert all(kept.tolist() == [0, 1, 2] for kept in found.log.values())


def test_wrong_labels_among_the_dropped_are_counted_by_step(bench: Bench, asked: list[Cell]) -> None:
    # Clips 0, 3 and 6 are wrong: judged 12 of 16 times; dropped 0 at step 61, 3 at 61, 0 at 75, 1 at 76, 2 at 120.
    assert row_of(bench, "dropped-sparsemax-top-k").values(bench, 0) == pytest.approx(
        {
            "chance %": 75,
            "wrong %": 60,
            "of all dropped %": 100 * 5 / 16,
            "of the wrong dropped %": 25,
            "steps 61 to 75: wrong %": 100,
            "steps 76 to 90: wrong %": 0,
            "steps 91 to 105: wrong %": float("nan"),
            "steps 106 to 120: wrong %": 0,
        },
        nan_ok=True,
    )


def test_a_gain_is_a_difference_on_the_same_bed(bench: Bench, asked: list[Cell]) -> None:
    scenes = {
        rule: row_of(bench, f"scenes-sparsemax-{rule}").values(bench, 0) for rule in ("none", "top-k", "threshold")
    }
    # By hand: the second clip's first tag ranks second; the one clip with two tags has all tags, so nothing to lose.
    assert scenes["none"]["lwlrap"] == pytest.approx((1 + 1 + 1 + 1 + 0.5) / 5)
    assert scenes["threshold"]["lwlrap"] == 1
    assert scenes["none"]["clips with several"] == 1
    assert scenes["none"]["lwlrap of these"] == 1
    gain = row_of(bench, "gain-scenes-sparsemax-threshold-over-none").values(bench, 0)
    assert gain["lwlrap gain"] == pytest.approx(0.1)
    assert gain["mAP gain"] == pytest.approx(scenes["threshold"]["mAP"] - scenes["none"]["mAP"])
    assert gain["lwlrap of these gain"] == 0
    assert asked[-2:] == [Cell("sparsemax", rule, "soundscapes") for rule in ("top-k", "threshold")]


def test_fig_4_is_drawn_by_step_from_what_is_kept(bench: Bench, asked: list[Cell]) -> None:
    run_rows(bench, bench.named(["fig-4-top-k", "fig-4-threshold"]))
    kept = bench.kept(row_of(bench, "fig-4-threshold"))[bench.seeds[0]]
    assert {name: value for name, value in kept.items() if not name.startswith("~")} == pytest.approx(
        {
            "F-score after stage 1": 0.06,
            "F-score after stage 2": 0.12,
            "F-score after stage 3": 0.15,
            "loss after stage 1": 1000 / 60,
            "loss after stage 2": 1000 / 120,
            "loss after stage 3": 1000 / 150,
            "threshold": 3,
            "deviation of the threshold": 1,
        },
        abs=1e-4,
    )
    lines = (bench.results / "staged.md").read_text("utf-8").splitlines()
    shown = [line for line in lines if line.startswith("![")]
    assert [line.rpartition("(")[2] for line in shown] == [f"staged/figures/fig-4-{part}.svg)" for part in "abc"]
    assert "~" not in next(line for line in lines if line.startswith("| row |") and "F-score" in line)
    figures = [read_figure(bench.results / "staged" / "figures" / f"fig-4-{part}.json") for part in "abc"]
    assert all(isinstance(figure, ChartFigure) for figure in figures)
    assert [[series.label for series in figure.series] for figure in figures] == [["top-k", "threshold"]] * 3
    assert figures[0].series[1].x == [float(step) for step in range(15, 151, 15)]
    assert figures[2].series[1].x == [61, 76, 91, 120]
    assert figures[2].series[1].y == [9, 5, 2, 4]
    assert figures[2].series[1].low == [9, 5, 2, 4]
    assert "9.000 to 4.000" in figures[2].alt


def test_a_pictures_band_is_the_deviation_over_seeds(bench: Bench) -> None:
    values = {seed: {"~loss at 15": 1.0 + seed, "loss after stage 1": 0.0} for seed in range(3)}
    kept = replace(bench)
    kept.kept = lambda row: values  # type: ignore[method-assign]
    figures = staged.fig_4(kept, [row_of(bench, "fig-4-top-k")])
    assert list(figures) == ["fig-4-b"]
    line = figures["fig-4-b"].series[0]
    assert (line.x, line.y, line.low, line.high) == ([15], [2], [1], [3])
