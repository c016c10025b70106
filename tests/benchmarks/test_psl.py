"""PSL's benchmark: the order of its rows, which trainings they share, what its beds and held-out recordings are."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc
import pytest
import soundfile
from pyarrow import csv

from benchmarks import beds, psl, psl_bed, psl_values
from benchmarks.harness import Bench
from earmark.data.dataset import open_dataset
from earmark.data.splits import Splits, resolve_splits
from earmark.errors import InputError
from tests.benchmarks.conftest import trainings_by_row
from tests.conftest import RATE_HZ, REPOSITORY, sound


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return psl.make("full", tmp_path / "work", tmp_path / "results")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, dict[str, object], int, str | None]]:
    """The trainings that rows ask for, in place of them: how, changes, training clips, what they are given."""
    trained: list[tuple[str | None, dict[str, object], int, str | None]] = []

    def run_of(bench, bed, changes, *, seed, splits=None, learning=None, teacher=None, init=None):
        given = teacher or init
        entry = (learning, dict(changes), len(splits.train) if splits else 600, given.name if given else None)
        if entry not in trained:
            trained.append(entry)
        return Path(f"run-{trained.index(entry)}")

    everything = np.arange(600)
    monkeypatch.setattr(Bench, "run_of", run_of)
    monkeypatch.setattr(psl_values, "bed_of", lambda bench, seed: None)
    monkeypatch.setattr(
        psl_values,
        "splits_of",
        lambda bench, seed, share=1.0: Splits(everything[: int(share * 600)], everything[:0], everything[:0], ()),
    )
    monkeypatch.setattr(
        psl_values,
        "teacher_scores",
        lambda bench, seed, chunk_s: SimpleNamespace(folder=Path(f"{psl_values.teacher_of(bench, seed)}-{chunk_s:g}s")),
    )
    monkeypatch.setattr(psl_values, "tagging", lambda bench, seed, run: {"mAP": 0.5})
    monkeypatch.setattr(psl_values, "transfer", lambda bench, seed, init, dataset, splits: {"mAP": 0.5})
    monkeypatch.setattr(psl_values, "held_out", lambda bench, seed: None)
    monkeypatch.setattr(psl_values, "resolve_splits", lambda bed: None)
    return trained


def test_tables_stand_in_the_papers_order_each_with_its_own_reference() -> None:
    rows = psl.rows()
    assert list(dict.fromkeys((row.table, row.reference) for row in rows)) == [
        (psl.TABLE_2, "weak"),
        (psl.LABELS, ""),
        (psl.TABLE_3, "alpha-0-10s"),
        (psl.TABLE_4, "grown-teacher"),
        (psl.TABLE_5, "transfer-teacher"),
        (psl.OFFICE, "office-teacher"),
    ]
    assert [row.name for row in rows[:5]] == ["weak", "psl-10s", "psl-5s", "psl-2s", "teacher"]
    names = {row.name for row in rows}
    assert {row.reference for row in rows} - {""} < names
    assert set(psl.REMARKS) <= names
    assert set(psl.CAPTIONS) <= {row.table for row in rows}


def test_rows_share_trainings(bench: Bench, asked: list[tuple[str | None, dict[str, object], int, str | None]]) -> None:
    rows = [row for row in psl.rows() if row.table not in (psl.LABELS, psl.OFFICE)]
    cost = trainings_by_row(bench, rows, asked)
    # A training wherever the cost table says that there is one.
    expected = {row.name: int(row.trainings >= 1) for row in rows}
    assert cost == expected | {"psl-10s": 2}
    assert sum(learning == "teacher" for learning, *_ in asked) == 1


def test_the_weak_student_is_given_no_teacher_and_more_soundscapes_are_more_steps(
    bench: Bench, asked: list[tuple[str | None, dict[str, object], int, str | None]]
) -> None:
    for row in psl.rows():
        if row.table in (psl.TABLE_2, psl.TABLE_3, psl.TABLE_4):
            row.values(bench, 0)
    students = [(changes, clips, given) for learning, changes, clips, given in asked if learning is None]
    heard = {
        clips: {changes["epochs"] * clips for changes, more, _ in students if more == clips} for clips in (75, 300, 600)
    }
    assert heard == {75: {40 * 75}, 300: {13 * 300}, 600: {10 * 600}}
    for changes, _, given in students:
        if changes["alpha"] == 0:
            assert given is None
        else:
            assert given is not None
            assert given.endswith(f"-{changes['chunk_s']:g}s")


@pytest.mark.parametrize("scale", ["smoke", "full"])
def test_all_settings_hold(scale: str, tmp_path: Path) -> None:
    bench = psl.make(scale, tmp_path, tmp_path)
    student = bench.resolved({"chunk_s": 2.0, "alpha": 0.5})
    teacher, linear = (bench.resolved(learning=name) for name in ("teacher", "linear"))
    assert (student["mixup_rate"], teacher["sampling"]) == (0, "class_cyclic")
    assert teacher["mixup_rate"] > 0
    assert "backbone" not in linear


def test_a_seeds_folds_are_its_own() -> None:
    folds = [(beds.fold_of(seed), beds.validation_fold_of(seed)) for seed in range(5)]
    assert folds == [(1, 2), (2, 3), (3, 4), (4, 5), (5, 1)]


def test_rows_of_changed_beds_are_not_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = psl.make("full", tmp_path, tmp_path).digest
    assert psl.make("full", tmp_path, tmp_path).digest == before
    monkeypatch.setattr(psl_bed, "MISSING_RATE", 0.4)
    assert psl.make("full", tmp_path, tmp_path).digest != before


def test_clips_of_some_tags_have_these_alone(small_dataset: Path, tmp_path: Path) -> None:
    whole = open_dataset(small_dataset)
    some = psl_bed.part_of(whole, ("Tone", "Click"), tmp_path / "some")
    rest = psl_bed.part_of(whole, ("Noise",), tmp_path / "rest")
    assert (some.vocabulary.tags, rest.vocabulary.tags) == (("Click", "Tone"), ("Noise",))
    assert sorted(some.clips["clip"].to_pylist() + rest.clips["clip"].to_pylist()) == sorted(
        whole.clips["clip"].to_pylist()
    )
    assert (some.labels().counts().tolist(), rest.labels().counts().tolist()) == ([12, 12], [12])
    assert some.audio_path(0).is_file()
    # Made once; of other tags in another folder.
    assert psl_bed.part_of(whole, ("Click", "Tone"), tmp_path / "some").folder == some.folder
    assert psl_bed.part_of(whole, ("Click",), tmp_path / "some").folder != some.folder
    assert set(psl_bed.HELD_OUT) < {path.name.partition(" - ")[2] for path in (REPOSITORY / "data" / "esc10").iterdir()}


def test_office_recordings_are_in_five_folds_with_every_tag_in_each(tmp_path: Path) -> None:
    source = tmp_path / "sounds"
    source.mkdir()
    for tag in ("draw", "keysDrop"):
        for number in range(10):
            soundfile.write(source / f"{tag}{number:03d}.wav", sound("Noise", number, 0.2), RATE_HZ)
    bench = psl.make("full", tmp_path / "work", tmp_path)
    office = psl_bed.office(bench, source)
    assert office.vocabulary.tags == ("draw", "keysDrop")
    for fold in range(1, 6):
        assert office.labels().counts(np.flatnonzero(office.column("fold") == fold)).tolist() == [2, 2]
    splits = psl_bed.recording_splits(office, 0)
    assert [len(rows) for rows in splits.by_name().values()] == [12, 4, 4]


def test_office_rows_need_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OFFICE11", raising=False)
    assert {row.missing for row in psl.rows() if row.table == psl.OFFICE} == {"OFFICE11=PATH"}
    monkeypatch.setenv("OFFICE11", str(tmp_path))
    assert {row.missing for row in psl.rows()} == {""}
    with pytest.raises(InputError, match=r"must be a folder of recordings such as clearthroat002\.wav, found none"):
        psl_bed.office(psl.make("full", tmp_path / "work", tmp_path), tmp_path)


def test_held_out_soundscapes_are_of_those_tags_and_of_the_seeds_folds(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psl_bed, "esc10", lambda work: open_dataset(small_dataset))
    monkeypatch.setattr(psl_bed, "HELD_OUT", ("Click", "Tone"))
    bench = psl.make("smoke", tmp_path, tmp_path)
    scenes = psl_bed.held_out(bench, 0)
    assert scenes.vocabulary.tags == ("Click", "Tone")
    assert [len(rows) for rows in resolve_splits(scenes).by_name().values()] == [18, 9, 9]
    assert scenes.layers() == ["given"]
    sources = csv.read_csv(scenes.folder / "sources.csv").filter(pc.field("kind") == "event").to_pylist()
    assert {row["tag"] for row in sources} == {"Click", "Tone"}
    # The number before the first dash of a recording's name is its fold.
    folds = {(row["clip"].partition("-")[0], row["source_clip"].rpartition("/")[2][0]) for row in sources}
    assert folds == {("train", "3"), ("validation", "2"), ("test", "1")}
