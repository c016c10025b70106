"""The audit's benchmark: its rows, what is planted in its beds, what its figures count."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import audit, audit_bed, audit_values
from benchmarks.audit_values import Cell, Order, measures
from benchmarks.command import run_rows
from benchmarks.harness import Bench
from earmark.data.dataset import open_dataset
from earmark.errors import InputError
from tests.audit.test_noise import planted
from tests.conftest import REPOSITORY


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("CLEANLAB", raising=False)
    return audit.make("full", tmp_path / "work", tmp_path / "results")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The beds that rows ask for, in place of them; cleanlab's order is self-confidence."""
    made: list[tuple[int, str]] = []
    truth, given, scores = planted(400, 5, 0.2, 0.2, apart=4)

    def audited(bench: Bench, seed: int, kind: str) -> tuple[SimpleNamespace, np.ndarray]:
        if (seed, kind) not in made:
            made.append((seed, kind))
        found = SimpleNamespace(given=given, judged=np.ones_like(given), scores=scores, groups=np.arange(400))
        return found, truth

    monkeypatch.setattr(audit_values, "audited", audited)
    quality = np.where(given, scores, 1 - scores)
    monkeypatch.setattr(audit_values, "by_cleanlab", lambda *bed: Order(-quality, quality < 0.1))
    return made


def test_rows_are_of_both_beds_and_all_orders() -> None:
    rows = audit.rows(cleanlab=True)
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    assert names[:3] == ["recordings-wrong-audit", "recordings-wrong-cleanlab", "recordings-wrong-chance"]
    assert [row.name for row in rows if row.trainings] == ["recordings-wrong-audit", "soundscapes-wrong-audit"]
    assert set(audit.REMARKS) <= set(names)
    assert set(audit.CAPTIONS) <= {row.table for row in rows}
    assert not any(row.missing for row in rows)


def test_without_cleanlab_its_rows_are_not_run(bench: Bench) -> None:
    lacking = {row.name for row in bench.rows if row.missing}
    assert lacking == {row.name for row in bench.rows if "cleanlab" in row.name or row.table == audit.GAINS}
    with pytest.raises(InputError, match='row "recordings-wrong-cleanlab" of audit needs cleanlab in an environment'):
        run_rows(bench, bench.named(["recordings-wrong-cleanlab"]))


def test_cleanlab_is_run_where_it_is_asked_for_or_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANLAB", "1")
    assert not any(row.missing for row in audit.make("full", tmp_path, tmp_path).rows)
    monkeypatch.delenv("CLEANLAB")
    assert any(row.missing for row in audit.make("full", tmp_path, tmp_path).rows)
    python = audit_values.cleanlab_python(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    assert not any(row.missing for row in audit.make("full", tmp_path, tmp_path).rows)


def test_measures_by_hand() -> None:
    error = np.arange(200, 0, -1).astype(float)
    planted_errors = np.zeros(200, bool)
    planted_errors[[0, 1, 2, 60]] = True
    listed = error > 196
    found = measures(error, listed, planted_errors)
    assert found["P@50 %"] == 6
    assert found["P@100 %"] == 4
    assert found["AP"] == pytest.approx((1 + 1 + 1 + 4 / 61) / 4)
    assert (found["listed"], found["right of the listed %"], found["recall %"]) == (4, 75, 75)
    # An order that says nothing is no better than the data's own.
    assert measures(np.zeros(200), listed, planted_errors)["P@50 %"] == 6
    assert measures(np.zeros(200), listed, planted_errors)["AP"] == pytest.approx(4 / 200)


def test_chance_is_the_share_that_was_planted(bench: Bench, asked: list[tuple[int, str]]) -> None:
    both = audit_values.ordered(bench, 0, Cell("recordings", "either"), "chance")
    parts = [audit_values.ordered(bench, 0, Cell("recordings", fault), "chance") for fault in ("wrong", "missing")]
    assert both["planted"] == sum(part["planted"] for part in parts)
    assert both["AP"] == both["P@50 %"] / 100 == pytest.approx(both["planted"] / (400 * 5))


def test_the_audit_finds_what_is_planted(bench: Bench, asked: list[tuple[int, str]]) -> None:
    for fault in ("wrong", "missing", "either"):
        found = audit_values.ordered(bench, 0, Cell("recordings", fault), "audit")
        chance = audit_values.ordered(bench, 0, Cell("recordings", fault), "chance")
        assert found["AP"] > 0.8 > chance["AP"]
        gain = audit_values.gain(bench, 0, Cell("recordings", fault), "cleanlab")
        base = audit_values.ordered(bench, 0, Cell("recordings", fault), "cleanlab")
        assert gain["AP gain"] == pytest.approx(found["AP"] - base["AP"])
    told = audit_values.estimates(bench, 0, "recordings")
    assert told["wrong, estimated %"] == pytest.approx(told["wrong, planted %"], abs=5)
    assert told["missing, estimated %"] == pytest.approx(told["missing, planted %"], abs=5)


def test_the_table_says_what_was_not_run(bench: Bench, asked: list[tuple[int, str]]) -> None:
    run_rows(bench, [row for row in bench.rows if not row.missing])
    assert len(asked) == 2 * len(bench.seeds) == 6
    lines = (bench.results / "audit.md").read_text("utf-8").splitlines()
    assert sum(line.startswith("| cleanlab | not run |") for line in lines) == len(audit.CELLS)
    assert sum(line.startswith("| audit | 3 |") for line in lines) == len(audit.CELLS)


def test_each_seed_has_faults_of_its_own(small_dataset: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_bed, "esc10", lambda work: open_dataset(small_dataset))
    mixing = {**bench.made_of["mix"], "num_clips": 30, "clip_s": 2.0}
    small = replace(bench, made_of={**bench.made_of, "mix": mixing})
    wrong = []
    for seed in (0, 1):
        bed = audit_bed.bed_of(small, seed, "recordings")
        rows = np.arange(bed.num_clips)
        given, true = bed.labels().rows(rows) > 0, bed.labels("truth").rows(rows) > 0
        assert (given.sum(axis=1) == 1).all()
        assert (given & ~true).sum() == 0.25 * bed.num_clips
        wrong.append(np.flatnonzero((given != true).any(axis=1)).tolist())
    assert wrong[0] != wrong[1]
    scenes = audit_bed.bed_of(small, 0, "soundscapes")
    rows = np.arange(30)
    given, true = scenes.labels().rows(rows) > 0, scenes.labels("truth").rows(rows) > 0
    assert (given & ~true).any()
    assert (true & ~given).sum() > (given & ~true).sum()
    assert (scenes.statements().onset < 0).all()


@pytest.mark.slow
def test_smoke_runs_and_keeps_nothing() -> None:
    before = set((REPOSITORY / "benchmarks").rglob("*.md"))
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit"], env={**os.environ, "SCALE": "smoke"}, cwd=REPOSITORY,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "smoke: it runs; it claims nothing" in answer.stdout
    assert len(re.findall(r" seed \d: ", answer.stdout)) == 2
    assert set((REPOSITORY / "benchmarks").rglob("*.md")) == before
