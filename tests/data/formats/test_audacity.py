import numpy as np
import pytest

from earmark.data.formats import audacity
from earmark.data.formats.beside import Tally
from earmark.errors import InputError
from tests.data.formats.trees import clips, labels, refused, write


def test_recordings_with_their_tracks(tmp_path):
    write(
        tmp_path,
        {
            "site/-a.txt": "1.500000\t2.250000\tDog\n\\\t-1.000000\t6334.588867\n0\t10\tRain, heavy\n",
            "b.wav.txt": "",
            "README.txt": "These are recordings.\n",
        },
        ["site/-a.WAV", "b.wav", "c.flac"],
    )
    assert audacity.is_at(tmp_path)
    imported = audacity.read(tmp_path)
    assert clips(imported) == [
        ("b", "b.wav", "strong"),
        ("c", "c.flac", "none"),
        ("site/-a", "site/-a.WAV", "strong"),
    ]
    assert labels(imported) == [("site/-a", "Dog", 1.5, 2.25), ("site/-a", "Rain, heavy", 0.0, 10.0)]
    assert imported.vocabulary.tags == ("Dog", "Rain, heavy")
    assert imported.clips["group"].to_pylist() == ["b.wav", "c.flac", "site/-a.WAV"]
    assert imported.notes == ("label tracks read: 2", "recordings without a table: 1, labelled none (first: c.flac)")
    assert imported.audio_root == tmp_path


def test_what_a_track_may_hold(tmp_path):
    text = (
        "\ufeff0,5\t1,25\tDog\r\n"  # byte order mark, decimal commas, line ends of Windows
        "2.0\t2.0\tpoint\n"
        "3.0\tpoint of Audacity 1.2\n"
        "\n"
        "4.0\t5.0\t\n"
        "4.0\t5.0\n"
        "7.0\t6.0\tbackwards\n"
        "-0.5\t0.5\tCat \n"
        "-2\t-1\tCat\n"
    )
    tally = Tally()
    events = audacity.read_track(write(tmp_path, {"a.txt": text}) / "a.txt", tally)
    assert list(events.tags) == ["Dog", "Cat"]
    np.testing.assert_array_equal([events.onset_s, events.offset_s], [[0.5, 0.0], [1.25, 0.5]])
    assert tally.notes() == [
        "left out: point labels, which have no duration: 2 (first: a.txt:2)",
        "left out: labels without text: 2 (first: a.txt:5)",
        "left out: labels that end before they begin, or before the recording: 2 (first: a.txt:7)",
        "labels that begin before the recording, cut at 0: 1 (first: a.txt:8)",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0\t1\tDog\nhello\n", 'a.txt:2: a line must hold onset, offset and label with tabs between, got "hello"'),
        ("0\t1\tDog\n1 2 Cat\n", 'a.txt:2: a line must hold onset, offset and label with tabs between, got "1 2 Cat"'),
        ("nan\t1\tDog\n", "a.txt:1: a line must hold"),
        (b"0\t1\tDog\n0\t1\tB\xe4r\n", "a.txt:2: the file must be UTF-8, found byte 0xe4; save it as UTF-8"),
        ("Selection\tView\tBegin Time (s)\tEnd Time (s)\n", "this is a Raven table (--format raven)"),
    ],
)
def test_tracks_that_are_refused(tmp_path, text, said):
    write(tmp_path, {"a.txt": text}, ["a.wav"])
    assert said in refused(audacity.read, tmp_path)


def test_a_track_whose_recording_is_gone_is_a_missing_clip(tmp_path):
    write(tmp_path, {"x/gone.txt": "0\t1\tDog\n", "x/empty.txt": ""}, ["a.wav"])
    imported = audacity.read(tmp_path)
    assert clips(imported) == [("a", "a.wav", "none"), ("x/gone", "x/gone", "strong")]
    assert labels(imported) == [("x/gone", "Dog", 0.0, 1.0)]


def test_a_track_in_another_folder_belongs_to_the_one_recording_of_its_name(tmp_path):
    write(tmp_path, {"labels/a.txt": "0\t1\tDog\n"}, ["audio/a.wav"])
    assert labels(audacity.read(tmp_path)) == [("audio/a", "Dog", 0.0, 1.0)]


def test_a_track_that_two_recordings_fit_is_a_problem(tmp_path):
    write(tmp_path, {"a.txt": "0\t1\tDog\n"}, ["a.wav", "a.ogg"])
    imported = audacity.read(tmp_path)
    (problem,) = imported.problems
    assert (problem.clip, problem.kind) == ("a", "unclear")
    assert problem.detail == "2 files are called so: a.ogg, a.wav"
    (tmp_path / "a.txt").rename(tmp_path / "a.wav.txt")
    assert labels(audacity.read(tmp_path)) == [("a.wav", "Dog", 0.0, 1.0)]


def test_two_tracks_of_one_recording_are_joined(tmp_path):
    write(tmp_path, {"a.txt": "0\t1\tDog\n", "a.wav.txt": "0\t1\tDog\n2\t3\tCat\n"}, ["a.wav"])
    imported = audacity.read(tmp_path)
    assert labels(imported) == [("a", "Cat", 2.0, 3.0), ("a", "Dog", 0.0, 1.0)]
    assert "recordings with several tables, whose events are joined: 1 (first: a.wav)" in imported.notes


def test_one_track_as_the_source(tmp_path):
    write(tmp_path, {"a.txt": "0\t1\tDog\n"}, ["a.wav", "b.wav"])
    assert audacity.is_at(tmp_path / "a.txt")
    assert clips(audacity.read(tmp_path / "a.txt")) == [("a", "a.wav", "strong")]


@pytest.mark.parametrize(
    ("tables", "audio"),
    [
        ({"README.txt": "0 1 Dog\n"}, ["README.wav"]),
        ({"a.txt": "0\t1\tDog\n"}, ["b.wav"]),
        ({"a.txt": ""}, ["a.wav"]),
        ({".a.txt": "0\t1\tDog\n"}, [".a.wav"]),
        ({"a.csv": "0\t1\tDog\n"}, ["a.wav"]),
    ],
)
def test_what_does_not_look_like_it(tmp_path, tables, audio):
    assert not audacity.is_at(write(tmp_path, tables, audio))


def test_a_folder_without_tracks_says_what_is_expected(tmp_path):
    write(tmp_path, {"readme.txt": "hello"}, ["a.wav"])
    with pytest.raises(InputError, match=r"NAME\.wav and NAME\.txt\), found 1 recording and no track"):
        audacity.read(tmp_path)


def test_links_in_a_circle_end(tmp_path):
    write(tmp_path, {"a.txt": "0\t1\tDog\n"}, ["a.wav"])
    (tmp_path / "again").symlink_to(tmp_path)
    assert audacity.is_at(tmp_path)
    assert len(clips(audacity.read(tmp_path))) == 1


def test_tabs_within_a_label_are_a_space(tmp_path):
    write(tmp_path, {"sub/a.txt": "0\t1\tDog\t\tbig\t\n2\t2\tx\n"}, ["sub/a.wav"])
    imported = audacity.read(tmp_path)
    assert imported.vocabulary.tags == ("Dog big",)
    assert "left out: point labels, which have no duration: 1 (first: sub/a.txt:2)" in imported.notes
