from pathlib import Path

import pytest

from earmark.data.formats import esc50
from earmark.errors import InputError
from tests.data.formats.trees import refused, write

TABLE = """filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
1-100210-A-36.wav,1,36,vacuum_cleaner,False,100210,A
1-100210-B-36.wav,1,36,vacuum_cleaner,False,100210,B
5-9032-A-0.wav,5,0,dog,True,9032,A
5-250258-A-49.wav,5,49,chirping_birds,False,250258,A
"""


def published(root, text=TABLE, place="meta/esc50.csv"):
    return write(
        root, {place: text}, ["audio/1-100032-A-0.wav", "audio/1-100210-A-36.wav", "audio/5-9032-A-0.wav", "copy.wav"]
    )


def test_the_published_tree(tmp_path):
    imported = esc50.read(published(tmp_path))
    assert imported.clips.select(["clip", "path", "fold", "group"]).to_pydict() == {
        "clip": ["1-100032-A-0", "1-100210-A-36", "1-100210-B-36", "5-9032-A-0", "5-250258-A-49"],
        "path": [
            "audio/1-100032-A-0.wav",
            "audio/1-100210-A-36.wav",
            "1-100210-B-36.wav",
            "audio/5-9032-A-0.wav",
            "5-250258-A-49.wav",
        ],
        "fold": [1, 1, 1, 5, 5],
        "group": ["100032", "100210", "100210", "9032", "250258"],
    }
    assert imported.clips["split"].null_count == imported.clips["verified"].null_count == 5
    assert imported.clips["labelled"].to_pylist() == ["weak"] * 5
    assert imported.labels["tag"].to_pylist() == ["dog", "vacuum_cleaner", "vacuum_cleaner", "dog", "chirping_birds"]
    assert imported.vocabulary.tags == ("dog", "vacuum_cleaner", "chirping_birds")
    assert imported.audio_root == tmp_path
    assert imported.notes == (
        "read: meta/esc50.csv (5 clips)",
        "folds are the official ones; groups are source recordings (src_file)",
        "tags are in the order of the column target",
        "left out: 1 audio file that no table names (first: copy.wav)",
    )
    assert imported.problems == imported.not_annotated == ()


@pytest.mark.parametrize("place", ["esc50.csv", "meta/esc50.csv", "ESC-50-master/meta/esc50.csv"])
def test_the_table_is_found_and_is_a_source_itself(tmp_path, place):
    published(tmp_path, place=place)
    assert esc50.is_at(tmp_path)
    assert esc50.is_at(tmp_path / place)
    assert esc50.read(tmp_path).clips["path"].to_pylist()[0] == "audio/1-100032-A-0.wav"


def test_audio_lies_beside_the_folder_of_the_table(tmp_path):
    imported = esc50.read(published(tmp_path) / "meta" / "esc50.csv")
    assert imported.audio_root == tmp_path
    assert imported.clips["path"].to_pylist()[0] == "audio/1-100032-A-0.wav"


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace("5-9032-A-0.wav,5,0,", "5-9032-A-0.wav,5,1,"),
        TABLE.replace(",49,", ",36,"),
        TABLE.replace(",49,", ",,"),
        TABLE.replace("target", "number"),
    ],
    ids=["two targets", "shared target", "empty target", "no targets"],
)
def test_tags_are_sorted_where_targets_do_not_number_them(tmp_path, text):
    imported = esc50.read(published(tmp_path, text))
    assert imported.vocabulary.tags == ("chirping_birds", "dog", "vacuum_cleaner")
    assert "targets do not number the categories one by one: tags are sorted" in imported.notes


def test_groups_are_paths_where_the_table_has_no_sources(tmp_path):
    clips = esc50.read(published(tmp_path, TABLE.replace("src_file", "other"))).clips
    assert clips["group"].to_pylist() == clips["path"].to_pylist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE.replace("wav,5,49", "wav,x,49"), 'esc50.csv:6: fold must be a whole number, got "x"'),
        (TABLE.replace("chirping_birds", ""), "esc50.csv:6: category must not be empty"),
        (TABLE.replace("100210-B", "100210-A"), 'got "1-100210-A-36.wav" again, first on line 3'),
        ("filename,category\na.wav,dog\n", "columns filename, fold, category are required, fold not found"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, said):
    assert said in refused(esc50.read, published(tmp_path, text))


def test_other_sources_are_not_this_layout(tmp_path):
    published(tmp_path, "path,tags\na,b\n")
    assert not esc50.is_at(tmp_path)
    assert not esc50.is_at(tmp_path / "audio")
    with pytest.raises(InputError, match=r"layout esc50 must hold esc50.csv, found none of these tables"):
        esc50.read(tmp_path / "audio")


def test_a_category_is_one_tag_whatever_it_holds(tmp_path):
    published(tmp_path, TABLE.replace(",dog,", ',"dog, big",'))
    tags = esc50.read(tmp_path).labels["tag"].to_pylist()
    assert tags == ["dog, big", "vacuum_cleaner", "vacuum_cleaner", "dog, big", "chirping_birds"]


def test_the_folder_of_the_table_as_the_source_finds_the_audio_beside_it(tmp_path, monkeypatch):
    published(tmp_path)
    imported = esc50.read(tmp_path / "meta")
    assert imported.audio_root == tmp_path
    assert imported.clips["path"][0].as_py() == "audio/1-100032-A-0.wav"
    monkeypatch.chdir(tmp_path / "meta")
    assert esc50.read(Path()).audio_root == tmp_path
    (tmp_path / "meta" / "audio").mkdir()
    assert esc50.read(tmp_path / "meta").audio_root == tmp_path / "meta"
