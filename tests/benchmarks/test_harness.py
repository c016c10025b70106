"""The harness of the methods' benchmarks: rows are run once, never mixed, and trainings are shared."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.command import run_rows
from benchmarks.harness import Bench, Learning, key_of
from earmark.data.dataset import open_dataset


@pytest.mark.parametrize(
    "change", [{"settings": {"epochs": 2}}, {"made_of": {"missing_rate": 0.3}}, {"recipe": "psla"}]
)
def test_values_of_other_settings_are_run_anew_and_not_mixed(
    bench: Bench, asked: list[tuple[str, int]], change: dict[str, object]
) -> None:
    run_rows(bench, bench.rows[:1])
    asked.clear()
    other = replace(bench, **change)
    run_rows(other, other.rows[:1], seeds=[1])
    assert asked == [("all", 1)]
    assert list(other.kept(other.rows[0])) == [1]
    assert bench.kept(bench.rows[0]) == {}


def test_a_setting_that_says_its_default_is_no_other_setting(bench: Bench) -> None:
    assert replace(bench, settings={"epochs": 1, "batch_size": 32}).digest == bench.digest


def test_seconds_add_up_where_work_was_broken_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 5.0, 100.0, 102.5])
    monkeypatch.setattr("benchmarks.harness.time.perf_counter", lambda: next(now))
    with pytest.raises(KeyboardInterrupt), bench.timed("a"):
        raise KeyboardInterrupt
    with bench.timed("a"):
        pass
    assert json.loads((bench.work / "seconds" / "a.json").read_text()) == 7.5


def test_a_training_is_another_one_where_anything_it_depends_on_differs(
    bench: Bench, small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    monkeypatch.setattr("benchmarks.harness.run_recipe", lambda recipe, request, settings: trained.append(request.run))
    bed = open_dataset(small_dataset)
    ask = {"test_fold": 1, "seed": 0}
    first = bench.run_of(bed, {}, **ask)
    # 32 is the default.
    assert bench.run_of(bed, {"batch_size": 32}, **ask) == first
    others = [
        bench.run_of(bed, {"batch_size": 16}, **ask),
        bench.run_of(bed, {}, **{**ask, "test_fold": 2}),
        bench.run_of(bed, {}, **{**ask, "seed": 1}),
        bench.run_of(replace(bed, clips=bed.clips.slice(1), _labels={"given": bed.labels()}), {}, **ask),
    ]
    assert len({first, *others}) == 5
    assert len(trained) == 6


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, SimpleNamespace, dict[str, object]]]:
    """What recipes were asked for, in place of training."""
    asked: list[tuple[str, SimpleNamespace, dict[str, object]]] = []
    monkeypatch.setattr("benchmarks.harness.Request", lambda **asked_for: SimpleNamespace(**asked_for))
    monkeypatch.setattr(
        "benchmarks.harness.run_recipe",
        lambda recipe, request, settings: asked.append((recipe.name, request, settings)),
    )
    return asked


def test_a_run_is_named_as_it_was_before_benches_had_several_recipes(
    bench: Bench, small_dataset: Path, requests: list[tuple[str, SimpleNamespace, dict[str, object]]]
) -> None:
    bed = open_dataset(small_dataset)
    key = key_of("baseline", bench.resolved(), bed.digest, bed.labels().digest, 1, 0, None)
    assert bench.run_of(bed, {}, test_fold=1).name == f"{bed.name}-{key}"
    assert requests[0][1].teacher is None
    assert replace(bench, made_of={"a": 1}).digest == key_of("baseline", bench.resolved(), {"a": 1})


def test_a_run_by_another_recipe_teacher_or_model_is_another_one(
    bench: Bench, small_dataset: Path, requests: list[tuple[str, SimpleNamespace, dict[str, object]]]
) -> None:
    bed = open_dataset(small_dataset)
    several = replace(bench, others={"long": Learning("psla", {"epochs": 3})})
    runs = [
        several.run_of(bed, {}),
        several.run_of(bed, {}, learning="long"),
        several.run_of(bed, {"batch_size": 8}, learning="long"),
        several.run_of(bed, {}, learning="long", teacher=Path("somewhere/scores-a")),
        several.run_of(bed, {}, learning="long", teacher=Path("somewhere/scores-b")),
        several.run_of(bed, {}, learning="long", init=Path("somewhere/scores-b")),
    ]
    assert len(set(runs)) == 6
    assert [name for name, _, _ in requests] == ["baseline"] + ["psla"] * 5
    assert requests[2][2]["batch_size"] == 8
    assert {settings["epochs"] for _, _, settings in requests[1:]} == {3}
    assert requests[3][1].teacher == Path("somewhere/scores-a")
    assert requests[5][1].init == Path("somewhere/scores-b")
    # Named by what the folder is called, wherever the benchmark's work lies.
    assert several.run_of(bed, {}, learning="long", teacher=Path("elsewhere/scores-a")) == runs[3]


def test_values_depend_on_the_settings_of_all_trainings(bench: Bench) -> None:
    digests = {
        replace(bench, others={"long": Learning(recipe, settings)}).digest
        for recipe, settings in (("psla", {}), ("psla", {"epochs": 3}), ("baseline", {"epochs": 3}))
    }
    assert len({bench.digest, *digests}) == 4
