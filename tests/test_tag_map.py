"""Maps between vocabularies."""

import numpy as np
import pytest

from earmark.data.ontology import audioset_ontology
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.tag_map import propose_tag_map, read_tag_map, write_tag_map

ESC10 = Vocabulary(("Dog bark", "Rain", "Rooster", "Office"))
AUDIOSET = Vocabulary(
    ("Rain", "Bark", "Crowing, cock-a-doodle-doo", "Speech"), ("/m/06mb1", "/m/05tny_", "/m/07qn5dc", "/m/09x0r")
)


def test_the_ontology_proposes_and_the_file_gives_it_back(tmp_path):
    proposed = propose_tag_map(ESC10, AUDIOSET, audioset_ontology())
    assert dict(proposed.model_tags) == {"Dog bark": (1,), "Rain": (0,), "Rooster": (2,)}
    write_tag_map(proposed, tmp_path / "map.csv")
    assert read_tag_map(tmp_path / "map.csv", ESC10, AUDIOSET).model_tags == proposed.model_tags


def test_tags_without_nodes_map_by_name():
    proposed = propose_tag_map(Vocabulary(("x1", "x2")), Vocabulary(("x2", "x3")), audioset_ontology())
    assert dict(proposed.model_tags) == {"x2": (0,)}
    with pytest.raises(InputError, match="must share at least one tag, found none"):
        propose_tag_map(Vocabulary(("x1",)), Vocabulary(("x2",)), audioset_ontology())


def test_a_tag_scores_the_greatest_of_its_tags(tmp_path):
    (tmp_path / "map.csv").write_text("dataset_tag,model_tag\nRooster,Rain\nDog bark,Bark\nDog bark,Speech\n")
    read = read_tag_map(tmp_path / "map.csv", ESC10, AUDIOSET)
    assert read.places.tolist() == [0, 2]
    scores = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.1]])
    assert read.scores(scores).tolist() == [[0.4, 0.1], [0.6, 0.5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dataset_tag,model_tag\nRain,Rain\nRan,Rain\n",
            r'map.csv:3: dataset_tag must be one of 4, got "Ran"; did .* "Rain"',
        ),
        (
            "dataset_tag,model_tag\nRain,Brak\n",
            r'map.csv:2: model_tag must be one of 4, got "Brak"; did you mean "Bark"',
        ),
        ("dataset_tag,model_tag\n", "must share at least one tag"),
        ("tag,model_tag\nRain,Rain\n", "map.csv:1: columns dataset_tag, model_tag are required"),
    ],
)
def test_maps_that_are_refused(tmp_path, text, message):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_tag_map(tmp_path / "map.csv", ESC10, AUDIOSET)


def test_a_map_that_was_mended_is_not_written_over(tmp_path):
    proposed = propose_tag_map(ESC10, AUDIOSET, audioset_ontology())
    path = tmp_path / "map.csv"
    write_tag_map(proposed, path)
    write_tag_map(proposed, path)
    mended = path.read_text() + '"Office","Speech"\n'
    path.write_text(mended)
    with pytest.raises(InputError, match=r"map\.csv: is there with other lines than are proposed, perhaps mended"):
        write_tag_map(proposed, path)
    assert path.read_text() == mended
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_map(tmp_path):
    with pytest.raises(InputError, match="must be a CSV as `earmark map` makes it, this is a folder"):
        read_tag_map(tmp_path, ESC10, AUDIOSET)
