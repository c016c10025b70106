"""Score stores: written block by block, gone on with, and refused where they do not fit."""

import json

import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import open_dataset
from earmark.errors import InputError
from earmark.scores import writing
from earmark.scores.store import open_scores
from earmark.scores.writing import write_scores

TAGS = ("Click", "Noise", "Tone")


class Scorer:
    """Scores that tell which excerpt they are of; may die after some blocks."""

    def __init__(self, rows_each: int = 1, dies_after: int | None = None) -> None:
        self.rows_each, self.dies_after, self.asked = rows_each, dies_after, []

    def __call__(self, places):
        if self.dies_after is not None and len(self.asked) == self.dies_after:
            raise KeyboardInterrupt
        self.asked.append(places.tolist())
        rows = np.repeat(places, self.rows_each) / 100
        return np.stack([rows, rows + 0.001, rows + 0.002], axis=1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(writing, "BLOCK", 4)


def index(names=tuple(f"c{k}" for k in range(10))):
    rows = np.arange(len(names))
    nothing = pa.nulls(len(names), pa.float64())
    return pa.table(
        {
            "clip": list(names), "onset": nothing, "offset": nothing, "first_row": rows,
            "rows": np.ones(len(names), np.int64), "in_training": rows % 2 == 0,
        }
    )  # fmt: skip


def test_scores_are_written_block_by_block(tmp_path):
    scorer = Scorer()
    written = write_scores(tmp_path / "s", index(), TAGS, {"model": "m"}, scorer)
    assert scorer.asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert written.scores.dtype == np.float32
    assert isinstance(written.scores, np.memmap)
    np.testing.assert_allclose(written.scores[:, 0], np.arange(10) / 100)
    assert written.about["model"] == "m"
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["about.json", "index.parquet", "scores.npy"]


def test_excerpts_of_several_rows(tmp_path):
    table = pa.table(
        {
            "clip": ["a", "a", "b"], "onset": [0.0, 1.0, 0.0], "offset": [1.0, 2.0, 1.0],
            "in_training": [True] * 3,
            "first_row": [0, 2, 4], "rows": [2, 2, 2],
        }
    )  # fmt: skip
    written = write_scores(tmp_path, table, TAGS, {}, Scorer(rows_each=2), "float16")
    assert written.scores.dtype == np.float16
    assert written.scores.shape == (6, 3)
    np.testing.assert_allclose(written.scores[:, 0], [0, 0, 0.01, 0.01, 0.02, 0.02], atol=1e-5)


def test_a_killed_one_is_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_scores(tmp_path, index(), TAGS, {"model": "m"}, Scorer(dies_after=2))
    with pytest.raises(InputError, match="must be a score store, there is no"):
        open_scores(tmp_path)
    with pytest.raises(InputError, match="holds other scores"):
        write_scores(tmp_path, index(), TAGS, {"model": "another"}, Scorer())
    again = Scorer()
    written = write_scores(tmp_path, index(), TAGS, {"model": "m"}, again)
    assert again.asked == [[8, 9]]
    np.testing.assert_allclose(written.scores[:, 0], np.arange(10) / 100)
    assert write_scores(tmp_path, index(), TAGS, {"model": "m"}, Scorer(dies_after=0)).scores.shape == (10, 3)
    with pytest.raises(InputError, match="holds other scores"):
        write_scores(tmp_path, index(), TAGS, {"model": "another"}, Scorer())


def test_what_a_killed_process_left_is_no_obstacle(tmp_path):
    (tmp_path / ".index.parquet.77.part.parquet").write_bytes(b"half")
    assert write_scores(tmp_path, index(), TAGS, {}, Scorer()).scores.shape == (10, 3)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match=r"must be a new or an empty folder, it holds thesis.txt"):
        write_scores(tmp_path, index(), TAGS, {}, Scorer())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.25, 1.5])
def test_what_is_no_score_is_not_stored(tmp_path, wrong):
    def score(places):
        scores = np.full((2 * len(places), 3), 0.5)
        scores[(2 * places[:, None] + [0, 1]).ravel() == 11, 1] = wrong
        return scores

    table = index().set_column(4, "rows", pa.array([2] * 10))
    said = rf's: scores must be finite and in \[0, 1\], got {wrong:g} for "Noise" of clip "c5"; look at the model'
    with pytest.raises(InputError, match=said):
        write_scores(tmp_path / "s", table, TAGS, {}, score, "float16")
    assert json.loads((tmp_path / "s" / "begun.json").read_text())["done"] == 4


def test_clips_are_found_by_name(small_dataset, tmp_path):
    dataset = open_dataset(small_dataset)
    names = dataset.clips["clip"].to_pylist()
    written = write_scores(tmp_path, index([names[7], "stranger", names[2]]), TAGS, {}, Scorer())
    clips, rows, in_training = written.of_clips(dataset)
    assert clips.tolist() == [2, 7]
    assert rows.tolist() == [2, 0]
    assert in_training.tolist() == [True, True]


@pytest.mark.parametrize(
    ("tags", "names", "message"),
    [
        (
            ("Click", "Noise", "Tones"),
            ["x"],
            'scores must have the 3 tags of sounds, Tones differ; did you mean "Tone"',
        ),
        (("Noise", "Click", "Tone"), ["x"], "their order differs"),
        (TAGS, ["x"], "must be of clips of sounds, none of them is"),
    ],
)
def test_scores_of_something_else_are_refused(small_dataset, tmp_path, tags, names, message):
    with pytest.raises(InputError, match=message):
        write_scores(tmp_path, index(names), tags, {}, Scorer()).of_clips(open_dataset(small_dataset))


def test_scores_of_parts_of_clips_are_refused(small_dataset, tmp_path):
    table = index(["x"]).set_column(1, "onset", pa.array([0.5]))
    with pytest.raises(InputError, match="must be of whole clips"):
        write_scores(tmp_path, table, TAGS, {}, Scorer()).of_clips(open_dataset(small_dataset))


def test_files_that_do_not_fit_together(tmp_path):
    write_scores(tmp_path, index(), TAGS, {}, Scorer())
    np.save(tmp_path / "scores.npy", np.zeros((9, 3)))
    with pytest.raises(InputError, match=r"scores must be 10 rows of 3 tags, found \(9, 3\)"):
        open_scores(tmp_path)
    about = json.loads((tmp_path / "about.json").read_text())
    (tmp_path / "about.json").write_text(json.dumps(about | {"format": 2}))
    with pytest.raises(InputError, match="format must be 1, got 2"):
        open_scores(tmp_path)
    (tmp_path / "scores.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read as a score store"):
        open_scores(tmp_path)
