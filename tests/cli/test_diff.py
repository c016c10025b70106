"""What a label layer says differently, in lines and as a page, as a user types it."""

import json
from pathlib import Path

import pytest

from earmark.data.dataset import Dataset, open_dataset, write_layer
from tests.cli.command import earmark
from tests.relabel.scenes import write_scenes
from tests.reports.browser import assert_page_works, needs_chromium
from tests.reports.page_numbers import assert_numbers_are_those_beside
from tests.test_label_figures import FIRST, TRUTH, label_table


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    made = write_scenes(tmp_path_factory.mktemp("scenes"))
    write_layer(made, "first", label_table(*FIRST))
    write_layer(made, "second", label_table(("hall", "Tick", None, None, 1.0)), parent="first")
    write_layer(made, "truth", label_table(*TRUTH), role="truth")
    return open_dataset(made.folder)


@pytest.fixture(scope="module")
def page(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("pages") / "labels.html"
    answer = earmark("diff", dataset.folder, "first", "-o", page)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[0] == "given -> first: 4 added, 2 removed, 0 changed, 2 left"
    assert answer.stdout.splitlines()[-2:] == [f"page:  {page}", "data:  {}-figures, labels.json, labels.md".format(
        page.with_suffix(""))]  # fmt: skip
    return page


def test_the_numbers_beside_the_page_are_those_on_it(page: Path) -> None:
    assert_numbers_are_those_beside(page, least_tables=10)
    parts = json.loads(page.with_suffix(".json").read_text("utf-8"))["parts"]
    assert [part["heading"] for part in parts] == [
        "Changes", "Right and wrong", "Tags per clip", "Added, to listen to", "Removed, to listen to",
        "Changed, to listen to",
    ]  # fmt: skip
    quality = next(table for part in parts for table in part["tables"] if table["name"] == "quality")
    assert quality["rows"][1] == ["first", 3, 3, 5, 1.0, 0.6]


@needs_chromium
def test_the_page_works_in_a_browser(page: Path) -> None:
    assert_page_works(page, num_audio=4, least_tables=10, least_drawings=7)


def test_a_layer_alone_is_compared_with_the_one_it_builds_on(dataset: Dataset) -> None:
    assert earmark("diff", dataset.folder, "second").stdout.startswith("first -> second: 1 added, 0 removed")
    assert earmark("diff", dataset.folder, "second", "given").stdout.startswith("second -> given: 2 added, 5 removed")


def test_the_page_says_which_seed_drew_its_clips(dataset: Dataset, page: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    assert earmark("diff", dataset.folder, "first", "-o", other, "--seed", "3").returncode == 0
    assert "drawn by chance with the seed 0" in page.read_text("utf-8")
    assert "drawn by chance with the seed 3" in other.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("given",), 'label layer "given" builds on no other one; name the layer to compare it with'),
        (("frist", "-o", "{}/page.html"), 'there is no label layer "frist"; did you mean "first"?'),
        (("first", "--seed", "1"), "--seed is read with -o PAGE only"),
        (("first", "-o", "{}/page"), "must be the HTML file to write, its name ends in .html"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    dataset: Dataset, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    answer = earmark("diff", dataset.folder, *(word.format(tmp_path) for word in words))
    assert answer.returncode == 2
    assert message in answer.stderr
    assert not list(tmp_path.iterdir())
