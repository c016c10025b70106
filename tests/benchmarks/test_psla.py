"""PSLA's benchmark: which rows share trainings, what a share of the clips is, what beds are named by."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import psla
from earmark.data.splits import Splits


@pytest.fixture
def of_groups(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The group of every training clip, of a bed of 100 clips in groups of one to three."""
    import pyarrow as pa

    groups = {row: row // 3 if row < 60 else row for row in range(100)}
    bed = SimpleNamespace(clips=pa.table({"group": [f"g{group}" for group in groups.values()]}))
    train = np.setdiff1d(np.arange(100), np.arange(90, 100))
    splits = Splits(train, np.arange(90, 95), np.arange(95, 100), ())
    monkeypatch.setattr(psla, "bed_of", lambda bench, seed: bed)
    monkeypatch.setattr(psla, "resolve_splits", lambda *asked: splits)
    return groups


def test_a_share_of_the_clips_is_whole_groups_and_within_a_greater_share(of_groups: dict[int, int]) -> None:
    quarter, half, whole = (psla.splits_of(None, 0, share) for share in (0.25, 0.5, 1.0))
    assert len(whole.train) == 90
    assert 20 <= len(quarter.train) <= 22
    assert 43 <= len(half.train) <= 45
    assert set(quarter.train) < set(half.train) < set(whole.train)
    inside = {of_groups[row] for row in quarter.train}
    assert not inside & {of_groups[row] for row in set(whole.train) - set(quarter.train)}
    assert (half.test == whole.test).all()
    assert (half.validation == whole.validation).all()
    assert set(psla.splits_of(None, 1, 0.25).train) != set(quarter.train)


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
    assert psla.WITHOUT["pretraining"] == {"pretrained": None}


@pytest.mark.parametrize("scale", ["smoke", "full"])
def test_all_settings_of_rows_hold(scale: str, tmp_path: Path) -> None:
    bench = psla.make(scale, tmp_path, tmp_path)
    for changes in (*psla.WITHOUT.values(), {"mixup_rate": 1.0}, {"mixup_beta": 0.1}):
        late = bench.resolved({**changes, **psla.kept_late(bench)})
        whole = bench.resolved(changes)
        # What is kept differs, not what is learned.
        assert {key for key in late if late[key] != whole[key]} <= {
            "keep_from_epoch",
            "final_weights",
            "average_from_epoch",
        }
    assert psla.teacher_settings(bench)["keep_from_epoch"] is None


def test_rows_of_changed_beds_are_not_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = psla.make("full", tmp_path, tmp_path).digest
    assert psla.make("full", tmp_path, tmp_path).digest == before
    monkeypatch.setattr(psla, "MISSING_RATE", 0.4)
    assert psla.make("full", tmp_path, tmp_path).digest != before
