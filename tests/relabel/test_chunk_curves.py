"""A clip under its chunks' scores."""

import numpy as np
import pytest

from earmark.errors import InputError
from earmark.relabel import chunk_curves
from earmark.relabel.chunk_curves import chunk_clip_figures
from tests.relabel.scenes import BY_SECOND, WHOLE, write_chunk_scores, write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def stores(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return [
        write_chunk_scores(folder / "whole", scenes, 10, WHOLE),
        write_chunk_scores(folder / "seconds", scenes, 1, BY_SECOND),
    ]


def test_scores_are_steps_from_chunk_to_chunk(scenes, stores):
    whole, seconds = chunk_clip_figures(scenes, stores, "dogs")
    assert (whole.title, seconds.title) == ("dogs in chunks of 10 s", "dogs in chunks of 1 s")
    # The same tags in the same order, the one with the highest score of all first.
    labels = [[curve.label for curve in figure.curves] for figure in (whole, seconds)]
    assert labels == [["Bark", "Tick", "Hum"]] * 2
    assert whole.curves[0].x == [0, 2.5]
    bark = seconds.curves[0]
    assert bark.x == [0, 1, 1, 2, 2, 2.5]
    assert bark.y == pytest.approx(np.array([0.9, 0.9, 0.1, 0.1, 0.8, 0.8]), abs=1e-3)
    assert [event.tag for event in seconds.reference] == ["Bark", "Tick"]
    assert seconds.threshold == 0.5
    assert seconds.caption == "Scores of 3 chunks. At least 0.5 in any: Bark; given labels: Bark, Tick."
    assert whole.caption == "Scores of 1 chunk. At least 0.5 in any: Bark, Tick; given labels: Bark, Tick."


def test_given_tags_are_drawn_however_low(scenes, stores, monkeypatch):
    monkeypatch.setattr(chunk_curves, "BEST_TAGS", 1)
    (figure,) = chunk_clip_figures(scenes, stores[1:], "dogs", threshold=0.95)
    assert [curve.label for curve in figure.curves] == ["Bark", "Tick"]
    assert "in any: none; given labels: Bark, Tick. Drawn: the tags that score highest" in figure.caption
    monkeypatch.setattr(chunk_curves, "MOST_TAGS", 1)
    assert len(chunk_clip_figures(scenes, stores[1:], "dogs")[0].curves) == 1


def test_a_clip_without_labels_or_scores(scenes, stores, tmp_path):
    (figure,) = chunk_clip_figures(scenes, stores[1:], "yard")
    assert figure.reference == []
    assert figure.caption == "Scores of 3 chunks. At least 0.5 in any: none; given labels: none."
    with pytest.raises(InputError, match='there is no clip "yarn"; did you mean "yard"'):
        chunk_clip_figures(scenes, stores, "yarn")
    few = write_chunk_scores(tmp_path / "few", scenes, 1, BY_SECOND[:3], rows=(0,))
    with pytest.raises(InputError, match="scores must be of clips of scenes, of those asked for none is"):
        chunk_clip_figures(scenes, [few], "yard")
