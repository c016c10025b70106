"""The benchmark of class-frame pseudo labels: its rows, what they share, what its beds hold, what its figures count."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import soundfile
from pyarrow import csv

from benchmarks import class_frame, class_frame_bed, class_frame_values
from benchmarks.class_frame_values import FRESH, WITH, WITHOUT, Cell
from benchmarks.harness import Bench
from earmark.data.dataset import Dataset, open_dataset, write_layer
from earmark.data.frames import framewise
from earmark.data.importing import import_dataset
from earmark.data.layers import GIVEN, TRUTH
from earmark.data.statements import WEAK
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.events.reference import strong_clips
from earmark.scores.framewise import ScoredFrames
from earmark.timing import frames_covering
from tests.benchmarks.conftest import row_of, trainings_by_row
from tests.conftest import RATE_HZ, TAGS, sound

HOP_SAMPLES = 320


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return class_frame.make("full", tmp_path / "work", tmp_path / "results")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The trainings that rows ask for, in place of them."""
    trained: list[Cell] = []

    def run_of(bench: Bench, seed: int, cell: Cell) -> Path:
        if cell not in trained:
            trained.append(cell)
        return Path("run")

    def events_found(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
        run_of(bench, seed, cell)
        better = 0.25 if cell.rounds == "warm" else 0.0
        return {"event-based F1": 0.5 + better, "PSDS 1": 0.5, class_frame_values.OF_STRONG: 0.9}

    def round_labels(bench: Bench, seed: int, cell: Cell, number: int) -> dict[str, float]:
        run_of(bench, seed, cell)
        return {"theta": 0.75}

    def by_windows(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
        run_of(bench, seed, cell)
        return {}

    for name, fake in {"events_found": events_found, "round_labels": round_labels}.items():
        monkeypatch.setattr(class_frame_values, name, fake)
        monkeypatch.setattr(class_frame, name, fake)
    monkeypatch.setattr(class_frame, "by_windows", by_windows)
    return trained


def test_rows_stand_in_the_order_asked_for() -> None:
    rows = class_frame.rows()
    assert list(dict.fromkeys(row.table for row in rows)) == [
        class_frame.TABLE_1,
        class_frame.TABLE_1_GAINS,
        class_frame.BY_ROUND,
        class_frame.DELTA,
        class_frame.DELTA_GAINS,
        class_frame.WEIGHTS_TABLE,
        class_frame.WEIGHTS_GAINS,
        class_frame.STARTS_TABLE,
        class_frame.STARTS_GAINS,
        class_frame.WINDOWS,
    ]
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    assert names[:4] == ["without", "with", "gain-with", "round-1"]
    assert set(class_frame.REMARKS) <= set(names)
    assert set(class_frame.CAPTIONS) == {row.table for row in rows}


def test_rows_share_trainings(tmp_path: Path, asked: list[Cell]) -> None:
    bench = class_frame.make("full", tmp_path, tmp_path)
    cost = trainings_by_row(bench, bench.rows, asked)
    # A training wherever the cost table says that there is one, and nowhere else.
    assert cost == {row.name: int(row.trainings >= 1) for row in bench.rows}
    assert sum(cost.values()) == len(set(asked)) == len(asked)
    assert asked[:2] == [WITHOUT, WITH]


def test_a_gain_is_a_difference_on_the_same_bed_and_not_of_the_strong_set(tmp_path: Path, asked: list[Cell]) -> None:
    bench = class_frame.make("full", tmp_path, tmp_path)
    gained = row_of(bench, "gain-with").values(bench, 0)
    assert gained == {"event-based F1 gain": 0.25, "PSDS 1 gain": 0.0}
    assert row_of(bench, "gain-rounds-fresh").values(bench, 0)["event-based F1 gain"] == -0.25


def test_the_papers_own_figures_stand_beside(bench: Bench) -> None:
    said = {row.name: row.paper for row in bench.rows if row.paper}
    assert said == {"without": ".241, .613", "with": ".259, .620", "gain-with": "+.018, +.007"}


def test_every_model_that_is_tested_has_learned_for_as_many_epochs(bench: Bench) -> None:
    settings = {
        row.name: bench.resolved(class_frame_values.changes_of(bench, row.values.keywords["cell"]))
        for row in bench.rows
        if not row.name.startswith(("gain", "round-"))
    }
    # Of a fresh round only its own epochs count.
    epochs = {
        name: one["round_epochs"] if one["restart"] else one["first_epochs"] + one["rounds"] * one["round_epochs"]
        for name, one in settings.items()
    }
    assert len(set(epochs.values())) == 1
    assert {one["final_weights"] for one in settings.values()} == {"last"}
    assert settings["with"] == {**bench.resolved(), "delta": 1 / 16}
    assert [settings["without"][name] for name in ("rounds", "restart")] == [0, False]
    assert [settings["rounds-fresh"][name] for name in ("rounds", "restart", "delta")] == [2, True, 1 / 4]
    assert {one["class_weights"] for one in settings.values()} == {"exponential", "inverse"}
    # Rows of one name are of one training.
    of_weights = {name: one for name, one in settings.items() if one != settings["with"]}
    assert len({json.dumps(one, sort_keys=True) for one in of_weights.values()}) == len(of_weights)


def test_smoke_trains_once_and_looks_at_a_round(tmp_path: Path) -> None:
    bench = class_frame.make("smoke", tmp_path, tmp_path)
    assert [row.name for row in bench.rows] == list(class_frame.SMOKE_ROWS)
    assert {row.values.keywords["cell"] for row in bench.rows} == {WITH}
    assert bench.resolved()["rounds"] > 0
    assert bench.seeds == (1,)


def test_a_seeds_folds_are_all_five_each_once() -> None:
    assert class_frame_bed.folds_of(1) == {"judged": (2, 3), "strong": (4,), "weak": (5, 1)}
    for seed in range(5):
        assert sorted(fold for folds in class_frame_bed.folds_of(seed).values() for fold in folds) == [1, 2, 3, 4, 5]
    tested = {class_frame_bed.folds_of(seed)["judged"][0] for seed in class_frame.SEEDS}
    assert len(tested) == len(class_frame.SEEDS) == 3
    # Settings were chosen on this one.
    assert 1 not in tested


def test_rows_of_changed_beds_are_not_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = class_frame.make("full", tmp_path, tmp_path).digest
    assert class_frame.make("full", tmp_path, tmp_path).digest == before
    monkeypatch.setitem(class_frame.WEAK_MIX, "max_snr_db", 15.0)
    assert class_frame.make("full", tmp_path, tmp_path).digest != before


def test_the_weak_set_is_mixed_another_way_and_judged_by_it(bench: Bench) -> None:
    mixing = bench.made_of["mix"]
    differing = {name for name, value in mixing["weak"].items() if mixing["judged"][name] != value}
    assert differing == {"num_clips", "validation_share", "test_share"}
    assert mixing["strong"]["min_snr_db"] >= mixing["weak"]["max_snr_db"]
    assert mixing["strong"]["max_events"] < mixing["weak"]["max_events"]


@pytest.fixture(scope="module")
def five_folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 30 short sounds in five folds, two of each tag in each."""
    folder = tmp_path_factory.mktemp("five")
    for number, tag in enumerate(TAGS, start=1):
        inside = folder / "audio" / f"{number:03d} - {tag}"
        inside.mkdir(parents=True)
        for index in range(10):
            soundfile.write(inside / f"{index % 5 + 1}-{100 * number + index}-A.wav", sound(tag, index), RATE_HZ)
    import_dataset(folder / "audio", folder / "sounds")
    return folder / "sounds"


@pytest.fixture
def small(five_folds: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The benchmark with few and short soundscapes."""
    monkeypatch.setattr(class_frame_bed, "esc10", lambda work: open_dataset(five_folds))
    numbers = {"strong": 5, "weak": 24, "judged": 12}
    mix = {
        # A sound each: two of a tag that nearly touch are one on the grid of frames.
        kind: {**bench.made_of["mix"][kind], "num_clips": number, "clip_s": 2.0, "rate_hz": RATE_HZ, "max_events": 1}
        for kind, number in numbers.items()
    }
    return replace(bench, made_of={**bench.made_of, "mix": mix})


def kinds_of(bed: Dataset) -> np.ndarray:
    return np.array([name.partition("-")[0] for name in bed.clips["clip"].to_pylist()])


def test_a_bed_is_trained_on_in_two_kinds_and_judged_by_the_weak_ones(small: Bench) -> None:
    bed = class_frame_bed.bed_of(small, 1)
    splits, kinds = class_frame_bed.splits_of(bed), kinds_of(bed)
    assert (len(splits.validation), len(splits.test), (kinds == "strong").sum()) == (4, 8, 5)
    assert [np.unique(kinds[rows]).tolist() for rows in splits.by_name().values()] == [
        ["strong", "weak"], ["judged"], ["judged"]
    ]  # fmt: skip
    assert splits.notes == ()
    assert set(zip(kinds, bed.column("labelled"), strict=True)) == {
        ("strong", "strong"), ("weak", "weak"), ("judged", "strong")
    }  # fmt: skip
    assert all(bed.audio_path(row).is_file() for row in range(bed.num_clips))
    assert len(np.unique(bed.groups())) == bed.num_clips
    # Made once.
    assert class_frame_bed.bed_of(small, 1).about["created"] == bed.about["created"]


def test_the_weak_sets_times_are_in_the_truth_alone(small: Bench) -> None:
    bed = class_frame_bed.bed_of(small, 1)
    is_weak, everything = kinds_of(bed) == "weak", np.arange(bed.num_clips)
    for layer, timed in ((GIVEN, ~is_weak), (TRUTH, np.ones(len(is_weak), np.bool_))):
        said = bed.statements(layer)
        assert ((said.onset != WEAK) == timed[said.clip_index]).all()
        assert set(said.clip_index[said.value > 0]) == set(everything.tolist())
    assert bed.is_truth(TRUTH)
    assert (bed.labels().rows(everything) == bed.labels(TRUTH).rows(everything)).all()


def test_in_the_weak_set_some_tags_are_rarer(small: Bench) -> None:
    bed = class_frame_bed.bed_of(small, 1)
    counts = bed.labels().counts(np.flatnonzero(kinds_of(bed) == "weak"))
    # One tag a clip: the counts asked for are reached, and rounded.
    assert counts.max() / counts.min() == pytest.approx(4, rel=0.25)


def test_each_kind_is_of_its_own_recordings_and_noise(small: Bench) -> None:
    bed = class_frame_bed.bed_of(small, 1)
    for kind, folds in {"strong": {"4"}, "weak": {"5", "1"}, "judged": {"2", "3"}}.items():
        row = int(np.flatnonzero(kinds_of(bed) == kind)[0])
        sources = csv.read_csv(bed.audio_path(row).parents[1] / "sources.csv").to_pylist()
        # The number before the first dash of a recording's name is its fold.
        heard = {one["source_clip"].rpartition("/")[2][0] for one in sources if one["kind"] == "event"}
        assert heard <= folds
    first = [bed.audio_path(int(np.flatnonzero(kinds_of(bed) == kind)[0])) for kind in ("strong", "weak")]
    waveforms = [soundfile.read(path)[0] for path in first]
    assert len(waveforms[0]) == len(waveforms[1])
    assert abs(np.corrcoef(*waveforms)[0, 1]) < 0.5


def scored_as(bed: Dataset, rows: np.ndarray, layer: str) -> ScoredFrames:
    """Framewise scores that are right: 1 where an event sounds, 0 elsewhere."""
    said = bed.statements(layer)
    num_samples = np.full(len(rows), 2 * RATE_HZ)
    frames = [
        framewise(
            said.at(said.clip_index == row), num_tags=len(bed.vocabulary), num_samples=2 * RATE_HZ,
            hop_samples=HOP_SAMPLES, rate_hz=RATE_HZ,
        )
        for row in rows
    ]  # fmt: skip
    num_frames = np.full(len(rows), frames_covering(2 * RATE_HZ, HOP_SAMPLES, RATE_HZ))
    return ScoredFrames(rows, num_samples, num_frames, np.concatenate(frames), HOP_SAMPLES, RATE_HZ)


@pytest.fixture
def right(small: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Bench, Dataset]:
    """A training that finds everything, and its bed."""
    bed = class_frame_bed.bed_of(small, 1)
    splits = class_frame_bed.splits_of(bed)
    strong = splits.train[strong_clips(bed)[splits.train]]
    parts = {
        part: scored_as(bed, rows, GIVEN)
        for part, rows in {"test": splits.test, "validation": splits.validation, "strong": strong}.items()
    }
    monkeypatch.setattr(class_frame_values, "scored_parts", lambda *cell: parts)
    monkeypatch.setattr(class_frame_values, "run_of", lambda *cell: tmp_path / "run")
    return small, bed


def test_what_is_found_is_all_where_scores_are_right(right: tuple[Bench, Dataset]) -> None:
    found = class_frame_values.events_found(right[0], 1, WITH)
    assert found == pytest.approx({name: 1.0 for name in found})
    assert list(found) == [
        "event-based F1", "segment-based F1", "PSDS 1", "PSDS 2", "tuned event-based F1", "tuned segment-based F1",
        "strong set: event-based F1",
    ]  # fmt: skip


def test_thresholds_are_tuned_on_the_validation_clips(right: tuple[Bench, Dataset]) -> None:
    parts = class_frame_values.scored_parts(*right, WITH)
    for part in ("test", "validation"):
        parts[part].scores[:] *= 0.25
    found = class_frame_values.events_found(right[0], 1, WITH)
    assert (found["event-based F1"], found["segment-based F1"]) == (0, 0)
    # Tags that do not sound in a validation clip keep .5.
    heard = right[1].labels().rows(parts["validation"].clip_index).any(axis=0)
    there = right[1].labels().rows(parts["test"].clip_index).any(axis=0)
    assert found["tuned event-based F1"] == pytest.approx((heard & there).sum() / there.sum())
    assert found["strong set: event-based F1"] == 1


def test_a_rounds_labels_are_compared_with_the_truth_frame_by_frame(
    right: tuple[Bench, Dataset], tmp_path: Path
) -> None:
    small, bed = right
    weak = np.flatnonzero(kinds_of(bed) == "weak")
    said = bed.statements(TRUTH)
    own = said.at(np.isin(said.clip_index, weak[:2]) & (said.onset != WEAK) & (said.value > 0))
    half = (own.onset + own.offset) / 2
    table = columns_or_null(
        len(own),
        LABEL_SCHEMA,
        clip=bed.clips["clip"].take(pa.array(own.clip_index)),
        tag=bed.vocabulary.array().take(pa.array(own.tag_index)),
        onset=pa.array(own.onset),
        offset=pa.array(half),
        value=pa.array(np.ones(len(own), np.float32)),
    )
    write_layer(bed, "some-run-round-02", table, changes={"threshold": 0.6875})
    rounds = tmp_path / "run" / "rounds"
    rounds.mkdir(parents=True)
    (rounds / "layers.json").write_text('{"prefix": "some-run"}')
    outcome = ["accepted", "accepted", *["lacks a tag"] * (len(weak) - 2)]
    pyarrow.parquet.write_table(pa.table({"row": weak, "outcome": outcome}), rounds / "round-02.parquet")
    found = class_frame_values.round_labels(small, 1, WITH, 2)
    assert found["theta"] == 0.6875
    assert found["accepted %"] == pytest.approx(100 * 2 / len(weak))
    assert found["precision"] == 1
    assert 0.45 < found["recall"] < 0.6
    assert found["of all weak clips: recall"] < found["recall"]
    assert 0 < found["weak labels: precision"] < 1


def test_frames_are_counted_in_accepted_clips() -> None:
    pseudo = [np.array([[1, 0], [1, 0], [0, 0]], bool), np.array([[0, 0], [0, 1]], bool), np.zeros((1, 2), bool)]
    truth = [np.array([[1, 0], [0, 0], [1, 0]], bool), np.array([[0, 1], [0, 1]], bool), np.array([[1, 1]], bool)]
    given = np.array([[1, 0], [0, 1], [1, 1]], bool)
    quality = class_frame_values.frame_quality(pseudo, truth, given, np.array([True, True, False]))
    assert quality == pytest.approx(
        {
            "precision": 2 / 3,
            "recall": 2 / 4,
            "of all weak clips: recall": 2 / 6,
            "weak labels: precision": 4 / 5,
        }
    )


def test_what_is_kept_of_a_training_does_without_its_checkpoints(
    small: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed, run, asked = class_frame_bed.bed_of(small, 1), tmp_path / "run", []
    (run / "checkpoints").mkdir(parents=True)

    def framewise_clip_scores(tagger: SimpleNamespace, pack: str, rows: np.ndarray, device: object) -> ScoredFrames:
        asked.append(kinds_of(bed)[rows])
        return scored_as(bed, rows, GIVEN)

    monkeypatch.setattr(class_frame_values, "run_of", lambda *cell: run)
    monkeypatch.setattr(class_frame_values, "load_model", lambda run: SimpleNamespace(rate_hz=RATE_HZ))
    monkeypatch.setattr(class_frame_values, "framewise_clip_scores", framewise_clip_scores)
    first, again = (class_frame_values.scored_parts(small, 1, WITH) for _ in range(2))
    assert [np.unique(kinds).tolist() for kinds in asked] == [["judged"], ["judged"], ["strong"]]
    assert not (run / "checkpoints").exists()
    for part, scored in first.items():
        kept = again[part]
        assert (kept.scores == scored.scores).all()
        assert kept.scores.dtype == np.float32
        assert (kept.clip_index == scored.clip_index).all()
        assert (kept.hop_samples, kept.rate_hz) == (HOP_SAMPLES, RATE_HZ)


def test_the_fresh_cell_is_another_training_than_the_warm_one(bench: Bench) -> None:
    warm, fresh = (bench.resolved(class_frame_values.changes_of(bench, cell)) for cell in (WITH, FRESH))
    assert (warm["restart"], fresh["restart"]) == (False, True)
