"""Figures of pseudo strong labels, by hand on four clips."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import Dataset, write_layer
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.errors import InputError
from earmark.figures import read_figure
from earmark.relabel.chunk_figures import coverage_figures, coverage_lines, write_coverage_figures
from earmark.scores.index import index_of_clips
from earmark.scores.writing import write_scores
from tests.relabel.scenes import BY_SECOND, TAGS, WHOLE, write_chunk_scores, write_scenes


@pytest.fixture
def scenes(tmp_path) -> Dataset:
    return write_scenes(tmp_path)


@pytest.fixture
def stores(scenes, tmp_path):
    # Unions of a clip's seconds: Bark; Hum and Tick; nothing; all. Whole clips: Bark and Tick; nothing; Hum; nothing.
    return [
        write_chunk_scores(tmp_path / "whole", scenes, 10, WHOLE),
        write_chunk_scores(tmp_path / "seconds", scenes, 1, BY_SECOND),
    ]


def test_numbers_by_hand(scenes, stores, tmp_path):
    written = write_coverage_figures(tmp_path / "figures", scenes, stores)
    assert {path.stem: read_figure(path) for path in (tmp_path / "figures").iterdir()} == written
    table = written["coverage"]
    # Tags a clip, given tags a clip (of 3 that were listened to), without a tag, and of 2 clips with given tags: mean
    # coverage, and the share that has none of them.
    assert table.rows == [
        ["10 s", 3 / 4, 1, 2 / 4, (1 + 0) / 2, 1 / 2],
        ["1 s", 6 / 4, 1, 1 / 4, (0.5 + 1) / 2, 0],
    ]
    tags = written["tags-per-clip"]
    assert [series.label for series in tags.series] == ["10 s", "1 s", "given labels"]
    assert all(series.x == ["0", "1", "2", "3"] for series in tags.series)
    assert [series.y for series in tags.series[:2]] == [[0.5, 0.25, 0.25, 0], [0.25, 0.25, 0.25, 0.25]]
    assert tags.series[2].y == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert "Without a tag: 10 s 50.0%, 1 s 25.0%, given labels 33.3%." in tags.caption
    histogram = written["label-coverage"]
    assert histogram.series[0].x == ["0", "to .25", "to .5", "to .75", "below 1", "1"]
    assert [series.y for series in histogram.series] == [[0.5, 0, 0, 0, 0, 0.5], [0, 0, 0.5, 0, 0, 0.5]]
    assert histogram.caption.startswith("2 clips of scenes with tags by the given labels:")
    assert "Coverage 0: 10 s 50.0%, 1 s 0.0%." in histogram.caption


def test_the_threshold_decides(scenes, stores):
    def rows(threshold):
        return coverage_figures(scenes, stores[1:], threshold=threshold)["coverage"].rows[0][1:]

    assert rows(0.7) == [(1 + 1 + 0 + 3) / 4, 1, 1 / 4, (0.5 + 0) / 2, 1 / 2]
    assert rows(0.05)[0] == 3


def test_labels_of_a_layer_are_looked_beside(scenes, stores):
    said = columns_or_null(
        1, LABEL_SCHEMA, clip=pa.array(["yard"]), tag=pa.array(["Hum"]), value=pa.array([1.0], pa.float32()),
        source=pa.array(["me"]),
    )  # fmt: skip
    write_layer(scenes, "Mended", said)
    figures = coverage_figures(scenes, stores, "Mended")
    assert figures["coverage"].rows[0][4:] == [2 / 3, 1 / 3]
    assert figures["tags-per-clip"].series[-1].label == "layer Mended"
    assert "with tags by layer Mended" in figures["label-coverage"].caption
    with pytest.raises(InputError, match='no label layer "mended"; did you mean "Mended"'):
        coverage_figures(scenes, stores, "mended")


def test_only_clips_that_all_stores_have_are_compared(scenes, stores, tmp_path):
    few = write_chunk_scores(tmp_path / "few", scenes, 1, BY_SECOND[3:9], rows=(1, 2))
    figures = coverage_figures(scenes, [stores[0], few])
    assert figures["coverage"].caption.startswith("2 clips of scenes:")
    assert [row[:2] for row in figures["coverage"].rows] == [["10 s", 1 / 2], ["1 s", 2 / 2]]
    # Two of one length are told apart by their folders.
    names = [row[0] for row in coverage_figures(scenes, [stores[1], few])["coverage"].rows]
    assert names == [f"1 s, {tmp_path / 'seconds'}", f"1 s, {tmp_path / 'few'}"]
    other = write_chunk_scores(tmp_path / "other", scenes, 1, BY_SECOND[:3], rows=(0,))
    with pytest.raises(InputError, match="stores must have clips in common"):
        coverage_figures(scenes, [few, other])


def test_some_clips_only_in_any_order(scenes, stores):
    table = coverage_figures(scenes, stores, rows=np.array([1, 0]))["coverage"]
    assert table.caption.startswith("2 clips of scenes:")
    assert [row[1] for row in table.rows] == [2 / 2, 3 / 2]


def test_without_given_tags_there_is_no_coverage(scenes, tmp_path):
    unheard = write_chunk_scores(tmp_path / "s", scenes, 10, WHOLE[3:], rows=(3,))
    figures = coverage_figures(scenes, [unheard])
    assert set(figures) == {"coverage", "tags-per-clip"}
    assert figures["coverage"].rows == [["10 s", 0, None, 1, None, None]]
    assert [series.label for series in figures["tags-per-clip"].series] == ["10 s"]
    assert coverage_lines(figures["coverage"])[-1].split() == ["10", "s", "0.000", "-", "1.000", "-", "-"]


def test_many_tags_are_one_bar(scenes, stores, monkeypatch):
    monkeypatch.setattr("earmark.relabel.chunk_figures.MOST_COUNTED", 2)
    series = coverage_figures(scenes, stores[1:])["tags-per-clip"].series[0]
    assert (series.x, series.y) == (["0", "1", "2+"], [0.25, 0.25, 0.5])


def test_lines_for_a_terminal_stand_in_columns(scenes, stores):
    lines = coverage_lines(coverage_figures(scenes, stores)["coverage"])
    assert lines[0].startswith("4 clips of scenes: tags that score at least 0.5")
    assert lines[3].split() == ["Chunks", "clip", "per", "clip", "tag", "coverage", "given", "tags"]
    assert len({len(line) for line in lines[1:]}) == 1
    assert len(lines[1]) <= 80
    assert lines[5].split()[:4] == ["1", "s", "1.500", "1.000"]


def test_it_is_said_which_scores_are_out_of_fold(scenes, stores, tmp_path):
    assert coverage_figures(scenes, stores)["coverage"].caption.endswith(
        "Scored by models that never saw the clip: none."
    )
    folds = write_chunk_scores(tmp_path / "folds", scenes, 1, BY_SECOND, out_of_fold=True)
    assert coverage_figures(scenes, [folds])["coverage"].caption.endswith("never saw the clip: all.")
    assert coverage_figures(scenes, [stores[0], folds])["coverage"].caption.endswith("never saw the clip: 1 s.")


def test_given_labels_have_a_colour_of_their_own(scenes, stores):
    tags = coverage_figures(scenes, stores)["tags-per-clip"]
    assert [series.reference for series in tags.series] == [False, False, True]


def test_scores_of_something_else_are_refused(scenes, stores, tmp_path):
    whole = write_scores(
        tmp_path / "clips", index_of_clips(scenes, np.arange(4), np.arange(4)), TAGS, {}, np.array(WHOLE).__getitem__
    )
    with pytest.raises(InputError, match=r"clips: scores must be of chunks, these are of whole clips; make such"):
        coverage_figures(scenes, [stores[0], whole])
    strange = replace(stores[0], tags=("Bark", "Hum", "Ticks"))
    with pytest.raises(InputError, match=r'must have the 3 tags of scenes, Ticks differ; did you mean "Tick"'):
        coverage_figures(scenes, [strange])
    with pytest.raises(InputError, match="their order differs"):
        coverage_figures(scenes, [replace(stores[0], tags=TAGS[::-1])])
    renamed = scenes.clips.set_column(0, "clip", pa.array(["p", "q", "r", "s"]))
    with pytest.raises(InputError, match="scores must be of clips of scenes"):
        coverage_figures(replace(scenes, clips=renamed), stores)
