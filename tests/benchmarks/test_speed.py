"""The speed benchmark: contestants take turns, answers are compared, and the table says what was measured."""

import ast
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.naming import named_rows
from benchmarks.speed.__main__ import main, measure
from benchmarks.speed.contest import OURS, Contestant, Row, run_row
from benchmarks.speed.ours.peaks import BYTES, OPERATIONS
from benchmarks.speed.rows import ALL
from benchmarks.speed.table import floor_seconds, write_table
from earmark.errors import InputError
from tests.conftest import REPOSITORY

HERE = "tests.benchmarks.contestants"
PYTHONS = {"ours": Path(sys.executable), "peers": Path(sys.executable)}
ROW = Row(
    name="some-row", title="Some work", unit="clip", table="Some table", tolerance=1.0,
    ours=Contestant("ours", f"{HERE}:first", 2, OURS), peers=(Contestant("a peer", f"{HERE}:second"),),
)  # fmt: skip


def kept(**contestants: tuple[float, float]) -> dict[str, Any]:
    """A record of seconds a unit and ratios."""
    found = {
        name.replace("_", " "): {
            "seconds": seconds,
            "ratio": ratio,
            "ratio_low": ratio,
            "ratio_high": ratio,
            "peak_mb": 7,
        }
        for name, (seconds, ratio) in contestants.items()
    }
    return {"date": "2026-01-02", "machine": "a machine", "contestants": found}


def table_of(row: Row, record: dict[str, Any], results: Path) -> str:
    (results / "speed").mkdir(parents=True)
    (results / "speed" / f"{row.name}.json").write_text(json.dumps(record))
    write_table([row, replace(row, name="other", title="Other work")], results)
    return (results / "speed.md").read_text()


def names_in(path: Path) -> set[str]:
    """What a module defines, without importing it: it may need packages that only peers have."""
    top = ast.parse(path.read_text()).body
    targets = [target for node in top if isinstance(node, ast.Assign) for target in node.targets]
    return {node.name for node in top if isinstance(node, ast.FunctionDef)} | {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }


def test_they_take_turns(tmp_path: Path) -> None:
    found = run_row(ROW, PYTHONS, tmp_path, rounds=3, block_s=0)
    turns = (tmp_path / "turns.txt").read_text().split()
    # An answer each, a call each to warm up, then the rounds.
    assert turns == ["first", "second", "first", "second", *["first", "second"] * 3]
    assert found["rounds"] == 3
    assert found["apart"] == 0.5
    assert found["contestants"]["ours"]["ratio"] == 1
    assert set(found["contestants"]) == {"ours", "a peer"}
    assert all(one["peak_mb"] > 1 for one in found["contestants"].values())


def test_speed_counts_only_where_answers_agree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'row "some-row": answers must lie within 0\.1 of ours, found 0\.5'):
        measure([replace(ROW, tolerance=0.1)], Path(sys.executable), tmp_path, tmp_path / "results", 1)
    silent = replace(ROW, peers=(Contestant("silent", f"{HERE}:silent"),))
    with pytest.raises(InputError, match="found None"):
        measure([silent], Path(sys.executable), tmp_path, tmp_path / "results", 1)
    assert not (tmp_path / "results").exists()


def test_one_that_cannot_begin_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a peer: ended with exit status 1"):
        run_row(replace(ROW, peers=(Contestant("a peer", f"{HERE}:broken"),)), PYTHONS, tmp_path, rounds=1)


def test_short_work_is_done_as_often_as_makes_a_turn(tmp_path: Path) -> None:
    run_row(replace(ROW, peers=(), tolerance=None), PYTHONS, tmp_path, rounds=1, block_s=0.05)
    # Twice to see how long it takes, which is far less than a turn.
    assert len((tmp_path / "turns.txt").read_text().split()) > 10


def test_a_contestant_may_have_variables_of_its_own(tmp_path: Path) -> None:
    told = Contestant("told", f"{HERE}:told", variables={"SOME_VARIABLE": "2.5"})
    row = replace(ROW, ours=replace(told, environment=OURS), peers=(replace(told, variables={"SOME_VARIABLE": "4"}),))
    assert run_row(row, PYTHONS, tmp_path, rounds=1, block_s=0)["apart"] == 1.5
    assert "SOME_VARIABLE" not in os.environ


def test_the_floor_is_the_longer_of_operations_and_bytes() -> None:
    found = {"peak fp32": {"seconds": 0.5}, "copy": {"seconds": 0.25}}
    row = replace(ROW, flops=OPERATIONS / 5, bytes=BYTES / 2)
    assert floor_seconds(row, found) == pytest.approx(0.125)
    assert floor_seconds(replace(row, flops=OPERATIONS), found) == pytest.approx(0.5)
    assert floor_seconds(ROW, found) == 0


def test_the_table_says_what_was_reached(tmp_path: Path) -> None:
    row = replace(ROW, aim=3.0, bytes=BYTES, binds="The decoder does.")
    found = table_of(row, kept(ours=(0.2, 1), a_peer=(0.5, 2.5), copy=(0.1, 0.5)), tmp_path)
    assert "| Some work | **ours** | 5 clips |  |  | 50 % | 7 |" in found
    assert "|  | a peer | 2 clips | 2.5 (2.5 to 2.5) | >= 3 missed |  | 7 |" in found
    assert "- Some work: 2.5 of the 3 times aimed at beside a peer. The decoder does." in found
    assert "| Other work |  | not measured |" in found
    assert "Run 2026-01-02 on a machine." in found


def test_a_row_measured_before_it_had_another_contestant_is_not_measured(tmp_path: Path) -> None:
    row = replace(ROW, peers=(*ROW.peers, Contestant("a new peer", f"{HERE}:first")))
    assert "| Some work |  | not measured |" in table_of(row, kept(ours=(0.2, 1), a_peer=(0.5, 2.5)), tmp_path)


def test_an_aim_speaks_of_the_best_peer_or_of_one(tmp_path: Path) -> None:
    peers = (Contestant("fast", f"{HERE}:second"), Contestant("slow", f"{HERE}:second"))
    record = kept(ours=(0.1, 1), fast=(0.2, 2), slow=(0.9, 9))
    row = replace(ROW, peers=peers, aim=4.0)
    assert "| fast | 5 clips | 2 (2 to 2) | >= 4 missed |" in table_of(row, record, tmp_path / "best")
    named_one = table_of(replace(row, aim_peer="slow"), record, tmp_path / "named")
    assert "| slow | 1.11 clips | 9 (9 to 9) | >= 4 |" in named_one
    assert "missed" not in named_one


def test_a_part_of_the_work_is_no_peer_that_an_aim_speaks_of(tmp_path: Path) -> None:
    row = replace(ROW, peers=(*ROW.peers, Contestant("a part", f"{HERE}:first")), parts=("a part",), aim=3.0)
    found = table_of(row, kept(ours=(0.2, 1), a_peer=(0.8, 4), a_part=(0.1, 0.5)), tmp_path)
    assert "| a peer | 1.25 clips | 4 (4 to 4) | >= 3 |" in found
    assert "| Some work | **ours** | 5 clips |  |  | 50 % | 7 |" in found


def test_rows_of_several_runs_say_which_each_is_of(tmp_path: Path) -> None:
    record = kept(ours=(0.2, 1), a_peer=(0.5, 2.5))
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "other.json").write_text(json.dumps({**record, "machine": "another machine"}))
    (tmp_path / "speed" / "some-row.json").write_text(json.dumps(record))
    write_table([ROW, replace(ROW, name="other", title="Other work")], tmp_path)
    found = (tmp_path / "speed.md").read_text()
    assert "| Some work [1] | **ours** |" in found
    assert "| Other work [2] | **ours** |" in found
    assert "[1] Run 2026-01-02 on a machine.  \n[2] Run 2026-01-02 on another machine." in found


def test_a_row_that_the_machine_lacks_something_for_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.speed.__main__.resolve_precision", lambda name, device: "fp32")
    monkeypatch.setattr("benchmarks.speed.__main__.torch.cuda.is_available", lambda: False)
    rows = [replace(ROW, flops=1.0, peak="bf16"), replace(ROW, name="of-a-gpu", device="cuda")]
    measure(rows, Path(sys.executable), tmp_path, tmp_path / "results", 1)
    assert capsys.readouterr().out.splitlines() == [
        "some-row: not measured, it needs a processor that computes in bf16",
        "of-a-gpu: not measured, it needs a GPU",
    ]
    assert not (tmp_path / "results").exists()


def test_rows_name_what_is_there() -> None:
    assert len({row.name for row in ALL}) == len(ALL)
    for row in ALL:
        assert row.ours.environment == OURS
        assert row.aim_peer is None or row.aim_peer in {peer.name for peer in row.peers}
        for contestant in row.contestants:
            module, _, name = contestant.function.partition(":")
            assert name in names_in(REPOSITORY / f"{module.replace('.', '/')}.py"), contestant.function
            assert contestant.units > 0


def test_peers_do_without_us() -> None:
    for path in (REPOSITORY / "benchmarks" / "speed" / "peers").glob("*.py"):
        assert "import earmark" not in path.read_text()
        assert "from earmark" not in path.read_text()


def test_mistakes_are_answered_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match='unknown row "ap-auk" of speed; did you mean "ap-auc"'):
        named_rows(ALL, ["ap-auk"], "speed")
    with pytest.raises(SystemExit):
        main(["--rows", "ap-auc", "--results", str(tmp_path)])
    assert 'row "ap-auc" needs --peers PYTHON' in capsys.readouterr().err


def test_smoke_runs_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SCALE", "smoke")
    monkeypatch.setattr("benchmarks.speed.__main__.ALL", (replace(ROW, peers=()), ROW))
    main(["--results", str(tmp_path)])
    assert "smoke: it runs; it claims nothing" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
