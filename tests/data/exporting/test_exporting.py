import dataclasses
import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from earmark.data import exporting
from earmark.data.exporting import EXPORTS, export_dataset
from earmark.errors import InputError
from tests.data.exporting.small_sets import RATE_HZ, dataset_of, files_of

LAYOUTS = list(EXPORTS)


def refused(*args, **kwargs):
    with pytest.raises(InputError) as caught:
        export_dataset(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def dataset(tmp_path):
    return dataset_of(tmp_path, [{"clip": "Dog/a"}, {"clip": "-b"}], [("Dog/a", "Dog"), ("-b", "Cat")])


def test_what_cannot_be_asked_for_is_refused_in_one_line(dataset, tmp_path):
    assert refused(dataset, "dcas", tmp_path / "out") == 'unknown layout "dcas"; did you mean "dcase"?'
    assert refused(dataset, "hf", tmp_path / "out", audio="lnk") == 'audio must be one of link, copy, none, got "lnk"'
    assert 'there is no label layer "gven"' in refused(dataset, "hf", tmp_path / "out", "gven")
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_taken_is_refused(dataset, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "full" / "inside").mkdir(parents=True)
    must = "must be a folder that is not there yet, or empty, found"
    for name, was in (("file", "a file"), ("link", "a link"), ("full", "a folder with something in it")):
        out = tmp_path / name
        assert refused(dataset, "hf", out) == f"{out}: {must} {was}; choose another folder"
    (tmp_path / "full" / "inside").rmdir()
    assert export_dataset(dataset, "hf", tmp_path / "full").clips == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_killed_export_leaves_nothing(dataset, tmp_path, monkeypatch, layout):
    before = sorted(tmp_path.iterdir())

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting.Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        export_dataset(dataset, layout, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_links_are_relative_near_the_recordings_and_absolute_elsewhere(dataset, tmp_path, layout):
    export_dataset(dataset, layout, tmp_path / "out")
    export_dataset(dataset, layout, tmp_path / "deep" / "out")
    for place, is_absolute in ((tmp_path / "out", False), (tmp_path / "deep" / "out", True)):
        links = [path for path in place.rglob("*.wav") if path.is_symlink()]
        assert sorted(path.resolve() for path in links) == sorted((tmp_path / "audio").rglob("*.wav"))
        assert {os.readlink(path).startswith("/") for path in links} == {is_absolute}
    # Relative links last when all is moved together.
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(tmp_path / "audio", moved / "audio")
    shutil.move(tmp_path / "out", moved / "out")
    assert all(path.is_file() for path in (moved / "out").rglob("*.wav"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_have_the_same_bytes_and_none_places_nothing(dataset, tmp_path, layout):
    linked = export_dataset(dataset, layout, tmp_path / "linked")
    export_dataset(dataset, layout, tmp_path / "copied", audio="copy")
    tables = export_dataset(dataset, layout, tmp_path / "tables", audio="none")
    assert linked.files == tables.files == 2
    assert files_of(tmp_path / "copied") == files_of(tmp_path / "linked")
    for name in files_of(tmp_path / "copied"):
        path = tmp_path / "copied" / name
        assert not path.is_symlink()
        assert path.read_bytes() == (tmp_path / "linked" / name).read_bytes()
    kept = [name for name in files_of(tmp_path / "linked") if not name.endswith(".wav")]
    assert files_of(tmp_path / "tables") == kept


@pytest.mark.parametrize("layout", LAYOUTS)
def test_clips_without_usable_audio_are_named_counted_and_left_out(dataset, tmp_path, layout):
    (tmp_path / "audio" / "-b.wav").unlink()
    summary = export_dataset(dataset, layout, tmp_path / "out")
    assert summary.left_out == {"missing": 1}
    assert (summary.clips, summary.labels + summary.events, summary.files) == (1, 1, 1)
    assert any(line.split(maxsplit=3) == ["left", "out", "1", "missing (-b.wav)"] for line in summary.lines())
    assert not any("-b" in name for name in files_of(tmp_path / "out"))
    for path in (tmp_path / "out").rglob("*.[tcj]s*"):
        assert "-b" not in path.read_text()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_export_of_nothing_is_refused(dataset, tmp_path, layout):
    shutil.rmtree(tmp_path / "audio")
    assert "missing (Dog/a.wav, -b.wav)" in refused(dataset, layout, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("how", "kind"), [("folder", "directory"), ("link", "dangling link"), ("empty", "empty")])
def test_what_is_no_recording_is_not_linked(dataset, tmp_path, how, kind):
    path = tmp_path / "audio" / "-b.wav"
    path.unlink()
    {"folder": path.mkdir, "link": lambda: path.symlink_to("gone"), "empty": path.touch}[how]()
    assert export_dataset(dataset, "dcase", tmp_path / "out").left_out == {kind: 1}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_file_lies_outside_and_no_two_are_one(tmp_path, layout):
    clips = ["../out", "/etc/x", "a/b", "a_b", "a\\b", "..", "-", "n.wav", "n", 'q"u,o te', "#h", "YTID", "ü" * 300]
    paths = [f"{number}.wav" for number in range(len(clips))]
    dataset = dataset_of(tmp_path, [{"clip": clip, "path": path} for clip, path in zip(clips, paths, strict=True)])
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    summary = export_dataset(dataset, layout, tmp_path / "out")
    assert summary.clips == len(clips)
    audio = list((tmp_path / "out").rglob("*.wav"))
    assert sorted(path.resolve().name for path in audio) == sorted(paths)
    assert {path for path in tmp_path.rglob("*") if "out" not in path.parts} == before


@pytest.mark.parametrize("layout", ["dcase", "audioset", "hf"])
def test_stretches_are_cut_at_the_rate_of_their_recording(tmp_path, layout):
    clips = [
        {"clip": "r_0", "path": "r.wav", "onset": 0.0, "offset": 0.5},
        {"clip": "r_500", "path": "r.wav", "onset": 0.5, "offset": 1.25},
        {"clip": "late", "path": "r.wav", "onset": 3.0, "offset": 4.0},
    ]
    dataset = dataset_of(tmp_path, clips)
    summary = export_dataset(dataset, layout, tmp_path / "out")
    assert summary.left_out == {"outside recording": 1}
    assert "stretches of recordings: 2 clips, cut from them as mono WAV of 16 bit" in summary.notes
    whole = np.arange(RATE_HZ, dtype=np.int16)
    files = sorted((tmp_path / "out").rglob("*.wav"))
    assert [path.is_symlink() for path in files] == [False, False]
    for path, expected in zip(files, (whole[: RATE_HZ // 2], whole[RATE_HZ // 2 :]), strict=True):
        assert soundfile.info(path).subtype == "PCM_16"
        waveform, rate_hz = soundfile.read(path, dtype="int16")
        assert rate_hz == RATE_HZ
        np.testing.assert_array_equal(waveform, expected)


def test_only_labels_of_a_half_and_more_are_written(tmp_path):
    labels = [("a", "Dog", None, None, 0.4), ("a", "Cat", None, None, 0.5), ("b", "Dog", None, None, 1.0)]
    summary = export_dataset(dataset_of(tmp_path, [{"clip": "a"}, {"clip": "b"}], labels), "dcase", tmp_path / "out")
    assert (tmp_path / "out/metadata/train/weak.tsv").read_text() == "filename\tevent_labels\na.wav\tCat\nb.wav\tDog\n"
    assert summary.losses == (
        "1 label of a value below 0.5",
        "the value of 1 label, of 0.5 to 1: written as plain labels",
    )


def test_what_no_layout_holds_is_counted(tmp_path):
    clips = [{"clip": clip, "fold": 1, "group": "g", "verified": True} for clip in "ab"] + [{"clip": "c"}]
    dataset = dataset_of(tmp_path, clips, [("a", "Dog")], ids=("/m/1", "/m/2"), not_annotated=["Cat"])
    assert export_dataset(dataset, "dcase", tmp_path / "out").losses == (
        "fold of 2 clips",
        "group of 2 clips",
        "verified of 2 clips",
        "that 1 tag was not annotated",
        "1 tag of the vocabulary that no clip has",
        "ids of 2 tags",
    )
    assert export_dataset(dataset, "hf", tmp_path / "hf").losses == (
        "that 1 tag was not annotated",
        "1 tag of the vocabulary that no clip has",
        "ids of 2 tags",
    )


def test_a_summary_in_lines(dataset, tmp_path):
    lines = export_dataset(dataset, "dcase", tmp_path / "out").lines()
    assert lines == [
        f'{tmp_path}/out: dcase, from {tmp_path}/set, labels "given"',
        "clips        2",
        "labels       2  of whole clips",
        "events       0",
        "tables       2",
        "audio files  2  links to whole recordings",
        "note: 1 clip is called otherwise than here: Dog/a is Dog_a.wav",
        "note: 2 clips without a split: among train",
    ]


def test_durations_that_the_table_lacks_are_looked_up(tmp_path):
    dataset = dataset_of(tmp_path, [{"clip": "a"}, {"clip": "b"}])
    place = dataset.clips.column_names.index("duration_s")
    bare = dataset.clips.set_column(place, "duration_s", pa.nulls(2, pa.float64()))
    (tmp_path / "audio" / "b.wav").write_text("no audio")
    summary = export_dataset(dataclasses.replace(dataset, clips=bare), "dcase", tmp_path / "out")
    assert (tmp_path / "out/metadata/train/durations.tsv").read_text() == "filename\tduration\na.wav\t1.000\n"
    assert summary.left_out == {"unreadable": 1}


def test_links_and_files_that_were_cut_are_counted_apart(tmp_path):
    clips = [
        {"clip": "a"},
        {"clip": "r_0", "path": "r.wav", "onset": 0.0, "offset": 0.5},
        {"clip": "r_1", "path": "r.wav", "onset": 0.5, "offset": 1.0},
    ]
    dataset = dataset_of(tmp_path, clips, [("a", "Dog")])
    summary = export_dataset(dataset, "dcase", tmp_path / "out")
    assert (summary.files, summary.cut) == (3, 2)
    assert "audio files  1  links to whole recordings" in summary.lines()
    assert "audio files  2  cut from recordings" in summary.lines()
    lines = export_dataset(dataset, "dcase", tmp_path / "tables", audio="none").lines()
    assert "audio files  3  named in tables, none placed" in lines
    assert not any("cut from recordings" in line for line in lines if line.startswith("audio files"))
