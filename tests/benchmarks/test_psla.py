"""PSLA's benchmark: which rows share trainings, what a share of the clips is, what beds are named by."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import psla, psla_bed, psla_values
from earmark.data.splits import Splits


@pytest.fixture
def of_groups(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The group of every training clip, of a bed of 100 clips in groups of one to three."""
    import pyarrow as pa

    groups = {row: row // 3 if row < 60 else row for row in range(100)}
    bed = SimpleNamespace(clips=pa.table({"group": [f"g{group}" for group in groups.values()]}))
    train = np.setdiff1d(np.arange(100), np.arange(90, 100))
    splits = Splits(train, np.arange(90, 95), np.arange(95, 100), ())
    monkeypatch.setattr(psla_bed, "bed_of", lambda bench, seed: bed)
    monkeypatch.setattr(psla_bed, "resolve_splits", lambda *asked: splits)
    return groups


def test_a_share_of_the_clips_is_whole_groups_and_within_a_greater_share(of_groups: dict[int, int]) -> None:
    quarter, half, whole = (psla_bed.splits_of(None, 0, share) for share in (0.25, 0.5, 1.0))
    assert len(whole.train) == 90
    assert 20 <= len(quarter.train) <= 22
    assert 43 <= len(half.train) <= 45
    assert set(quarter.train) < set(half.train) < set(whole.train)
    inside = {of_groups[row] for row in quarter.train}
    assert not inside & {of_groups[row] for row in set(whole.train) - set(quarter.train)}
    assert (half.test == whole.test).all()
    assert (half.validation == whole.validation).all()
    assert set(psla_bed.splits_of(None, 1, 0.25).train) != set(quarter.train)


def test_each_table_compares_with_its_own_row(tmp_path: Path) -> None:
    rows = psla.rows()
    assert {(row.table, row.reference) for row in rows} == {
        (psla.ABLATION, "psla"),
        (psla.ENHANCEMENT, "enhanced-none"),
        (psla.ENSEMBLES, ""),
        (psla.MIXUP, "mixup-rate-0"),
        (psla.VOLUME, ""),
    }
    names = {row.name for row in rows}
    assert {"enhanced-none", "mixup-rate-0"} < names
    assert set(psla.REMARKS) <= names
    assert [row.table for row in rows][-3:] == [psla.VOLUME] * 3


def test_pretraining_is_taken_away_and_nothing_else() -> None:
    assert psla_values.WITHOUT["pretraining"] == {"pretrained": None}


@pytest.mark.parametrize("scale", ["smoke", "full"])
def test_all_settings_of_rows_hold(scale: str, tmp_path: Path) -> None:
    bench = psla.make(scale, tmp_path, tmp_path)
    for changes in (*psla_values.WITHOUT.values(), {"mixup_rate": 1.0}, {"mixup_beta": 0.1}):
        late = bench.resolved({**changes, **psla_values.kept_late(bench)})
        whole = bench.resolved(changes)
        # What is kept differs, not what is learned.
        assert {key for key in late if late[key] != whole[key]} <= {
            "keep_from_epoch",
            "final_weights",
            "average_from_epoch",
        }
    assert psla_bed.teacher_settings(bench)["keep_from_epoch"] is None


def test_rows_of_changed_beds_are_not_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = psla.make("full", tmp_path, tmp_path).digest
    assert psla.make("full", tmp_path, tmp_path).digest == before
    monkeypatch.setattr(psla_bed, "MISSING_RATE", 0.4)
    assert psla.make("full", tmp_path, tmp_path).digest != before


def test_a_techniques_change_is_told_by_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags 0 and 1 got labels; tag 3 has no test clips."""
    given = np.array([[1, 0, 0, 1], [0, 0, 1, 0]], np.float32)
    enhanced = np.array([[1, 1, 0, 1], [1, 0, 1, 0]], np.float32)
    layers = {
        name: SimpleNamespace(rows=lambda rows, said=said: said)
        for name, said in {"given": given, "enhanced": enhanced}.items()
    }
    splits = SimpleNamespace(train=None, test=None)
    precision = {"without": np.array([0.5, 0.4, 0.8, np.nan]), "with": np.array([0.6, 0.44, 0.6, np.nan])}
    monkeypatch.setattr(psla_values, "bed_of", lambda bench, seed: SimpleNamespace(labels=layers.get))
    monkeypatch.setattr(psla_values, "splits_of", lambda bench, seed: splits)
    monkeypatch.setattr(psla_values, "run_of", lambda bench, seed, changes, layer: Path("without"))
    monkeypatch.setattr(psla_values, "tag_aps", lambda bench, seed, run: precision[run.name])
    changes = psla_values.changes_of(None, 0, Path("with"), "enhanced")
    assert changes == pytest.approx(
        {
            "tags touched": 2,
            "AP touched %": 15,
            "AP untouched %": -25,
            "AP all %": 5 / 3,
            "mAP %": 100 * (1.64 / 1.7 - 1),
        }
    )
    # A mean over no tags is not there.
    layers["given"] = SimpleNamespace(rows=lambda rows: 0 * given)
    layers["enhanced"] = SimpleNamespace(rows=lambda rows: 0 * given + 1)
    assert "AP untouched %" not in psla_values.changes_of(None, 0, Path("with"), "enhanced")
