"""The layer that an ontology and scores add, on a data set of three clips."""

import json

import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import Dataset, write_dataset
from earmark.data.ontology import Ontology
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.relabel.enhanced_layer import add_enhanced_layer, enhancement_lines
from earmark.scores.index import index_of_clips
from earmark.scores.store import ScoreStore
from earmark.scores.writing import write_scores

# Sound > Music (abstract) > Song; Owl stands nowhere.
NODES = Ontology(("sound", "music", "song"), ("Sound", "Music", "Song"), ((1,), (2,), ()), abstract=frozenset({1}))
TAGS = ("Sound", "Music", "Song", "Owl")


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    names = ["a", "b", "c"]
    clips = columns_or_null(
        3, CLIP_SCHEMA, clip=pa.array(names), path=pa.array(names), labelled=pa.array(["weak"] * 3),
        group=pa.array(names),
    )  # fmt: skip
    said = [("a", "Song"), ("b", "Sound"), ("b", "Song"), ("b", "Music"), ("c", "Sound")]
    labels = columns_or_null(
        len(said), LABEL_SCHEMA, clip=pa.array([clip for clip, _ in said]), tag=pa.array([tag for _, tag in said]),
        value=pa.array(np.ones(len(said), np.float32)), source=pa.array(["given"] * len(said)),
    )  # fmt: skip
    return write_dataset(
        tmp_path / "set", name="set", clips=clips, labels=labels, vocabulary=Vocabulary(TAGS), audio_root=tmp_path
    )


def stored(dataset: Dataset, folder, scores) -> ScoreStore:
    index = index_of_clips(dataset, np.arange(3), np.arange(3))
    about = {"out_of_fold": True}
    return write_scores(folder, index, TAGS, about, lambda places: np.array(scores, np.float32)[places])


def test_abstract_nodes_are_never_added_in_either_direction(dataset, tmp_path):
    scores = [[0.9, 0.9, 0.5, 0.9], [0.2, 0.2, 0.5, 0.9], [0.2, 0.9, 0.9, 0.9]]
    found, unknown = add_enhanced_layer(dataset, stored(dataset, tmp_path / "s", scores), NODES, "more")
    # a is a song, so a sound (type 2, past the abstract node); c is a sound, but music is abstract.
    assert [TAGS[tag] for tag in found.tag_index] == ["Sound"]
    assert found.clip_index.tolist() == [0]
    assert unknown == ("Owl",)
    assert json.loads((dataset.folder / "labels" / "more.json").read_text())["changes"]["type_2"] == 1
    lines = "\n".join(enhancement_lines(dataset, "more", found, unknown))
    assert "1 tags that no training clip has are never added: Owl" in lines
    assert "1 tags have no node of the ontology and take no part: Owl" in lines


def test_what_cannot_be_written_leaves_nothing(dataset, tmp_path):
    store = stored(dataset, tmp_path / "s", np.zeros((3, 4)))
    with pytest.raises(InputError, match="no label is to be added"):
        add_enhanced_layer(dataset, store, NODES, "more")
    with pytest.raises(InputError, match="must be nodes of the ontology, none of 4 is: Sound, Music, Song, Owl"):
        add_enhanced_layer(dataset, store, Ontology(("x",), ("X",), ((),)), "more")
    with pytest.raises(InputError, match="the name of a layer must be letters"):
        add_enhanced_layer(dataset, store, NODES, "my run")
    assert dataset.layers() == ["given"]
