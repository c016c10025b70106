import posixpath

import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.exporting.file_names import FreeNames, recording_suffix, safe_name, safe_path
from tests.data.exporting.small_sets import sound


def test_names_stay_where_they_are_put():
    assert [safe_name(name) for name in ("Dog/a", "..", ".hidden", "-x", "a\\b", "a\nb", "\0", "")] == [
        *("Dog_a", "_.", "_hidden", "-x", "a_b", "a_b", "_", "_")
    ]
    assert [safe_path(name) for name in ("Dog/a", "/etc/passwd", "../../x", "a//b", "./a", "", "/")] == [
        *("Dog/a", "etc/passwd", "_./_./x", "a/b", "_/a", "_", "_")
    ]


def test_long_names_are_cut_and_still_differ():
    first, second = safe_name("ö" * 300 + "a"), safe_name("ö" * 300 + "b")
    assert first != second
    assert len(first.encode()) <= 200
    assert first.startswith("ööö")


def test_a_name_is_given_once_with_and_without_its_suffix():
    names = FreeNames()
    assert [names.take(stem, ".wav") for stem in ("a", "a", "a", "b.wav", "b")] == ["a", "a_2", "a_3", "b.wav", "b_2"]
    assert names.take("a_3", ".ogg") == "a_3_2"


def test_a_file_and_a_folder_do_not_have_one_name():
    names = FreeNames()
    assert names.take("a", ".wav") == "a"
    assert names.take("a.wav/b", ".wav") == "a.wav_b"
    assert names.take("c.wav/d", ".wav") == "c.wav/d"
    assert names.take("c", ".wav") == "c_2"


text = st.text(st.sampled_from("ab/.\\-_\n "), max_size=6)


@given(st.lists(st.tuples(text, st.sampled_from(["", ".wav", ".ogg"])), max_size=12))
def test_no_two_files_meet_and_none_leaves(wanted):
    names = FreeNames()
    given_names = [names.take(safe_path(stem), suffix) + suffix for stem, suffix in wanted]
    assert len(set(given_names)) == len(given_names)
    for name in given_names:
        assert posixpath.normpath(name) == name
        assert not name.startswith(("/", "../"))
        assert not any(other.startswith(f"{name}/") for other in given_names)


def test_the_suffix_is_that_of_the_content_where_the_name_has_none(tmp_path):
    sound(tmp_path / "a.wav", 0.1)
    (tmp_path / "a.wav").rename(tmp_path / "noise")
    soundfile.write(tmp_path / "b.flac", [0.0, 0.1], 8000)
    (tmp_path / "b.flac").rename(tmp_path / "b.data")
    (tmp_path / "c").write_text("no audio")
    found = [recording_suffix(tmp_path, name) for name in ("noise", "b.data", "c", "gone", "x.OGG")]
    assert found == [".wav", ".flac", "", "", ".OGG"]
