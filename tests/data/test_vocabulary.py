import pytest

from earmark.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from earmark.errors import InputError


def test_order_is_kept_through_a_file(tmp_path):
    vocabulary = Vocabulary(("Zebra", "Äffchen", 'Say "hi", twice'), ("/m/1", "/m/2", "/m/3"))
    write_vocabulary(vocabulary, tmp_path / "v.json")
    assert read_vocabulary(tmp_path / "v.json") == vocabulary
    assert vocabulary.index("Äffchen") == 1
    assert len(vocabulary) == 3
    assert "Zebra" in vocabulary
    assert "zebra" not in vocabulary


def test_an_unknown_tag_names_the_nearest():
    with pytest.raises(InputError, match=r'got "Dogg"; did you mean "Dog"\?'):
        Vocabulary(("Dog", "Rain")).index("Dogg")


@pytest.mark.parametrize(
    ("tags", "ids", "said"),
    [
        (("Dog", "Dog"), None, 'every tag once, found "Dog" 2 times'),
        (("Dog", ""), None, "not empty"),
        (("Dog", "Rain"), ("a",), "1 ids and 2 tags"),
        (("Dog", "Rain"), ("a", "a"), 'every id once, found "a" 2 times'),
    ],
)
def test_what_a_vocabulary_must_be(tags, ids, said):
    with pytest.raises(InputError, match=said):
        Vocabulary(tags, ids)


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"names": []}', '{"tags": 3}', '{"tags": ["a", "a"]}'])
def test_a_file_that_is_no_vocabulary_is_named(tmp_path, text):
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(InputError, match=r"v\.json: "):
        read_vocabulary(tmp_path / "v.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"v\.json: cannot be read, no such file"):
        read_vocabulary(tmp_path / "v.json")
