"""Coverage and comparison as a user types them."""

import json
import shutil
from pathlib import Path

import pytest

from earmark.data.dataset import Dataset
from earmark.figures import read_figure
from tests.cli.command import earmark
from tests.relabel.scenes import BY_SECOND, WHOLE, write_chunk_scores, write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def stores(scenes: Dataset) -> list[Path]:
    folder = scenes.folder.parent
    return [
        write_chunk_scores(folder / "whole", scenes, 10, WHOLE).folder,
        write_chunk_scores(folder / "seconds", scenes, 1, BY_SECOND).folder,
    ]


def test_coverage_is_a_page_and_lines(scenes: Dataset, stores: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "coverage.html"
    answer = earmark("coverage", scenes.folder, *stores, "--clip", "dogs", "-o", page)
    assert answer.returncode == 0, answer.stderr
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert ["10", "s", "0.750", "1.000", "0.500", "0.500", "0.500"] in lines
    assert ["1", "s", "1.500", "1.000", "0.250", "0.750", "0.000"] in lines
    assert f"train psl {scenes.folder} --teacher {stores[0]} -o RUN" in answer.stdout
    written = tmp_path / "coverage-figures"
    assert sorted(path.stem for path in written.iterdir()) == [
        "clip-1", "clip-2", "coverage", "label-coverage", "tags-per-clip",
    ]  # fmt: skip
    assert read_figure(written / "clip-2.json").title == "dogs in chunks of 1 s"
    text = page.read_text("utf-8")
    assert text.count("data:audio/mpeg;base64,") == 2
    assert "Clip dogs" in text
    assert not list(scenes.folder.glob("packs"))


def test_scores_made_for_another_clip_table_are_warned_of(scenes: Dataset, stores: list[Path], tmp_path: Path) -> None:
    other = shutil.copytree(stores[0], tmp_path / "other")
    about = json.loads((other / "about.json").read_text())
    (other / "about.json").write_text(json.dumps(about | {"dataset": "of another"}))
    answer = earmark("coverage", scenes.folder, stores[1], other, "--clip", "dogs", "-o", tmp_path / "page.html")
    assert answer.returncode == 0, answer.stderr
    assert "other was made for another clip table than that of scenes; its clips are taken for those" in answer.stderr
    assert answer.stderr.count("another clip table") == 1


def test_another_threshold(scenes: Dataset, stores: list[Path], tmp_path: Path) -> None:
    answer = earmark("coverage", scenes.folder, stores[1], "--threshold", ".7", "-o", tmp_path / "page.html")
    assert "1 s" in answer.stdout, answer.stderr
    assert "score at least 0.7" in answer.stdout
    assert "1.250" in answer.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--clip", "dog"), 'there is no clip "dog"; did you mean "dogs"?'),
        (("--labels", "givn"), 'there is no label layer "givn"; did you mean "given"?'),
    ],
)
def test_what_is_not_there_is_refused(
    scenes: Dataset, stores: list[Path], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    answer = earmark("coverage", scenes.folder, stores[1], *options, "-o", tmp_path / "page.html")
    assert answer.returncode == 2
    assert message in answer.stderr
    assert not list(tmp_path.iterdir())


def test_scores_of_whole_clips_or_other_tags_are_refused(
    scenes: Dataset, stores: list[Path], small_dataset: Path, tmp_path: Path
) -> None:
    whole = shutil.copytree(stores[0], tmp_path / "clips")
    about = json.loads((whole / "about.json").read_text())
    (whole / "about.json").write_text(json.dumps({k: v for k, v in about.items() if "chunk_s" not in k}))
    answer = earmark("coverage", scenes.folder, stores[1], whole, "-o", tmp_path / "page.html")
    assert answer.returncode == 2
    assert "clips: scores must be of chunks, these are of whole clips; make such a store with" in answer.stderr
    other = earmark("coverage", small_dataset, stores[1], "-o", tmp_path / "page.html")
    assert other.returncode == 2
    assert "scores must have the 3 tags of sounds, Bark, Hum, Tick differ" in other.stderr
    assert "coverage is over the data set's own tags, and takes no map of others" in other.stderr


def test_the_page_is_checked_first_and_nothing_is_written(scenes: Dataset, stores: list[Path], tmp_path: Path) -> None:
    for out, message in (
        (tmp_path, f"{tmp_path}: must be the HTML file to write, this is a folder; name a file such as"),
        (tmp_path / "page", f"{tmp_path}/page: must be the HTML file to write, its name ends in .html; name"),
    ):
        for words in (("coverage", scenes.folder, stores[0]), ("compare", tmp_path / "no-run")):
            answer = earmark(*words, "-o", out)
            assert answer.returncode == 2
            assert message in answer.stderr
    twice = earmark("coverage", scenes.folder, stores[0], stores[0], "-o", tmp_path / "page.html")
    assert "each store of scores must be given once" in twice.stderr
    assert not list(tmp_path.iterdir())


def test_the_next_line_names_scores_out_of_fold(scenes: Dataset, stores: list[Path], tmp_path: Path) -> None:
    folds = write_chunk_scores(tmp_path / "folds", scenes, 1, BY_SECOND, out_of_fold=True).folder
    page = tmp_path / "page.html"
    answer = earmark("coverage", scenes.folder, stores[0], folds, "--clip", "dogs", "-o", page)
    assert answer.stdout.splitlines()[-1].endswith(f"--teacher {folds} -o RUN")
    assert "Scored by models that never saw the clip: 1 s." in answer.stdout
    (tmp_path / "page-figures" / "mine.json").write_text("{}")
    assert earmark("coverage", scenes.folder, folds, "-o", page).returncode == 0
    left = sorted(path.stem for path in (tmp_path / "page-figures").iterdir())
    assert left == ["coverage", "label-coverage", "mine", "tags-per-clip"]


def test_runs_are_compared(small_run: Path, small_dataset: Path, tmp_path: Path) -> None:
    # Without what other tests evaluated the shared run on.
    without = shutil.ignore_patterns("evaluation")
    runs = [shutil.copytree(small_run, tmp_path / name, ignore=without) for name in ("one", "two")]
    for run in runs:
        assert earmark("evaluate", run, small_dataset, "--split", "test", "-q").returncode == 0
    answer = earmark("compare", *runs, "-o", tmp_path / "compare.html")
    assert answer.returncode == 0, answer.stderr
    beside = f"data:  {tmp_path}/compare-figures, compare.json, compare.md"
    assert answer.stdout.splitlines() == [f"page:  {tmp_path}/compare.html", beside]
    assert "Average precision by tag over runs" in (tmp_path / "compare.html").read_text("utf-8")
    refused = earmark("compare", *runs, "--split", "validation", "-o", tmp_path / "page.html")
    assert refused.returncode == 2
    assert "must have been evaluated on validation" in refused.stderr
    twice = earmark("compare", runs[0], runs[0], "-o", tmp_path / "page.html")
    assert "each run must be given once" in twice.stderr
    # Two copies of one model differ in nothing, resample by resample.
    parts = {part["heading"]: part["tables"] for part in json.loads((tmp_path / "compare.json").read_text())["parts"]}
    for row in parts["Paired differences"][1]["rows"]:
        assert set(row[3:]) <= {0.0, None}
