import json
import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from earmark.data import importing
from earmark.data.dataset import open_dataset, write_layer
from earmark.data.importing import import_dataset
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.errors import InputError

ESC10 = Path(__file__).parents[2] / "data" / "esc10"


def sound(path, seconds=0.5, rate_hz=16000, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate_hz))
    soundfile.write(path, waveform, rate_hz, **how)


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "sounds"
    sound(root / "Dog" / "a.wav")
    sound(root / "Dog" / "-b.FLAC", 1.0)
    sound(root / "Rain" / "a.wav", 1.5, 8000)
    sound(root / "Rain" / "c.ogg", 2.0)
    return root


def layer_of(clip):
    return columns_or_null(
        1,
        LABEL_SCHEMA,
        clip=pa.array([clip]),
        tag=pa.array(["Dog"]),
        value=pa.array([0.0], pa.float32()),
    )


def test_esc10_of_the_repository(tmp_path):
    summary = import_dataset(ESC10, tmp_path / "esc10")
    assert (summary.named, summary.found, summary.usable) == (400, 400, 400)
    assert summary.left_out == {}
    assert summary.kept == {}
    assert set(summary.tags.values()) == {40}
    assert summary.folds == {str(fold): 80 for fold in range(1, 6)}
    assert summary.tags_per_clip == {"1": 400}
    assert summary.cardinality == 1
    assert "several folds" not in summary.crossings
    dataset = open_dataset(tmp_path / "esc10")
    assert dataset.vocabulary.tags[0] == "Baby cry"
    assert 3 < dataset.column("duration_s").min() < dataset.column("duration_s").max() < 8
    assert 0.5 < summary.hours < 0.6
    assert dataset.audio_path(0).is_file()


def test_a_folder_is_imported_with_durations(source, tmp_path):
    summary = import_dataset(source, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    assert dataset.name == "set"
    assert dataset.about["audio_root"] == dataset.about["source"] == "../sounds"
    assert dict(zip(dataset.column("clip"), dataset.column("duration_s"), strict=True)) == {
        "Dog/-b": 1.0,
        "Dog/a": 0.5,
        "Rain/a": 1.5,
        "Rain/c": 2.0,
    }
    assert dataset.labels().counts().tolist() == [2, 2]
    assert summary.hours == pytest.approx(5 / 3600)
    assert dataset.about["import"] == json.loads(json.dumps(summary.as_dict()))
    assert dataset.problems() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "sounds"]


def test_files_that_cannot_be_used_are_named_counted_and_left_out(source, tmp_path, caplog):
    (source / "Dog" / "empty.wav").write_bytes(b"")
    (source / "Dog" / "text.flac").write_text("not audio at all")
    (source / "Dog" / "gone.wav").symlink_to(tmp_path / "nowhere")
    (source / "Dog" / "folder.wav").mkdir()
    whole = (source / "Rain" / "c.ogg").read_bytes()
    (source / "Rain" / "cut.ogg").write_bytes(whole[: len(whole) // 2])
    (source / "Rain" / "named.wav").write_bytes((source / "Dog" / "-b.FLAC").read_bytes())
    (source / "notes.txt").write_text("x")
    summary = import_dataset(source, tmp_path / "set")
    assert (summary.named, summary.found, summary.usable) == (10, 9, 5)
    assert summary.left_out == {"empty": 1, "unreadable": 1, "dangling link": 1, "directory": 1, "truncated": 1}
    assert summary.kept == {"wrong extension": 1}
    assert summary.tags == {"Dog": 2, "Rain": 3}
    assert summary.notes == (
        "left out: 1 file that is not audio (.txt)",
        "1 file names begin with a hyphen, and are used like any other: Dog/-b.FLAC",
    )
    dataset = open_dataset(tmp_path / "set")
    assert "Dog/text" not in dataset.column("clip")
    problems = {problem.path: problem for problem in dataset.problems()}
    assert len(problems) == 6
    assert problems["Dog/text.flac"].clip == "Dog/text"
    assert problems["Dog/text.flac"].outcome == "left out"
    assert problems["Rain/named.wav"].outcome == "kept"
    assert "left out: Dog/text.flac: unreadable" in caplog.text
    assert dataset.labels().indptr[-1] == 5


def test_a_list_is_imported(source, tmp_path):
    rows = "Dog/a.wav,Dog;Rain,train,1\nRain/a,Rain,test,2\ngone.wav,Cat,train,1\n"
    (source / "list.csv").write_text(f"path,tags,split,group\n{rows}")
    summary = import_dataset(source / "list.csv", tmp_path / "set", tables="csv")
    assert (summary.layout, summary.named, summary.found, summary.usable) == ("csv", 3, 2, 2)
    assert summary.left_out == {"missing": 1}
    assert summary.splits == {"train": 1, "test": 1}
    assert summary.tags == {"Cat": 0, "Dog": 1, "Rain": 2}
    assert summary.tags_per_clip == {"1": 1, "2": 1}
    assert any("does not name (first: Dog/-b.FLAC)" in note for note in summary.notes)
    dataset = open_dataset(tmp_path / "set")
    assert (tmp_path / "set" / "clips.csv").is_file()
    assert dataset.audio_root == source
    assert dataset.column("clip").tolist() == ["Dog/a", "Rain/a"]


def test_a_name_that_fits_two_files_is_one_problem(source, tmp_path):
    (source / "Dog" / "a.ogg").write_bytes((source / "Rain" / "c.ogg").read_bytes())
    (source / "list.csv").write_text("path,tags\nDog/a,Dog\nRain/a,Rain\n")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert (summary.named, summary.found, summary.left_out) == (2, 1, {"missing": 1})
    assert [problem.clip for problem in open_dataset(tmp_path / "set").problems()] == ["Dog/a"]


def test_the_summary_is_a_table(source, tmp_path):
    (source / "Dog" / "bad.wav").write_bytes(b"")
    rows = "Dog/a.wav,Dog;Rain,train,x\nRain/a,Rain,test,x\nDog/bad.wav,Dog,train,y\n"
    (source / "list.csv").write_text(f"path,tags,split,group\n{rows}")
    lines = import_dataset(source / "list.csv", tmp_path / "set").lines()
    assert lines[0] == f"{tmp_path / 'set'}: csv {source / 'list.csv'}"
    assert lines[1:13] == [
        "named     3",
        "found     3",
        "usable    2  0.00 h",
        "left out  1  empty",
        "groups    1",
        "crossing  1  groups in train and test",
        "split     1  train",
        "split     1  test",
        "tags      2  1.50 a clip (1 with 1, 1 with 2)",
        "  Dog        1",
        "  Rain       2",
        "note: left out: 2 audio files that list.csv does not name (first: Dog/-b.FLAC)",
    ]


def test_groups_in_several_folds_are_counted(source, tmp_path):
    rows = "Dog/a.wav,Dog,x,1\nRain/a,Rain,x,2\nRain/c,Rain,x,2\nDog/-b,Dog,y,1\n"
    (source / "list.csv").write_text(f"path,tags,group,fold\n{rows}")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert summary.crossings == {"several folds": 1}
    assert summary.groups == 2


def test_nothing_usable_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "list.csv").write_text("path,tags\na.wav,Dog\n")
    with pytest.raises(InputError, match=r"none of 1 files is usable: a\.wav \(missing\)"):
        import_dataset(tmp_path / "list.csv", tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_the_same_source_replaces_the_tables_and_keeps_what_fits(source, tmp_path):
    out = tmp_path / "set"
    import_dataset(source, out)
    write_layer(open_dataset(out), "mine", layer_of("Dog/a"))
    (out / "packs" / "16000").mkdir(parents=True)
    (out / "packs" / "16000" / "shard").write_bytes(b"pack")
    import_dataset(source, out, tables="csv")
    dataset = open_dataset(out)
    assert dataset.layers() == ["given", "mine"]
    assert dataset.labels("mine").counts().tolist() == [1, 2]
    assert (out / "packs" / "16000" / "shard").read_bytes() == b"pack"
    assert (out / "clips.csv").is_file()
    assert not (out / "clips.parquet").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "sounds"]


def test_other_clips_are_refused_where_layers_were_made(source, tmp_path):
    out = tmp_path / "set"
    import_dataset(source, out)
    write_layer(open_dataset(out), "mine", layer_of("Dog/a"))
    before = open_dataset(out).digest
    sound(source / "Dog" / "new.wav")
    with pytest.raises(InputError, match=r"changed since label layers were made for them \(mine\)"):
        import_dataset(source, out)
    assert open_dataset(out).digest == before
    assert open_dataset(out).layers() == ["given", "mine"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "sounds"]


def test_other_clips_drop_the_packs(source, tmp_path):
    out = tmp_path / "set"
    import_dataset(source, out)
    (out / "packs").mkdir()
    sound(source / "Dog" / "new.wav")
    assert import_dataset(source, out).usable == 5
    assert not (out / "packs").exists()


def test_another_source_or_another_folder_is_not_overwritten(source, tmp_path):
    out = tmp_path / "set"
    import_dataset(source / "Dog" / "..", out)
    import_dataset(source, out)
    sound(tmp_path / "other" / "Cat" / "a.wav")
    with pytest.raises(InputError, match=r"holds a data set made from \.\./sounds, not from .*other; choose another"):
        import_dataset(tmp_path / "other", out)
    with pytest.raises(InputError, match="something else is there already"):
        import_dataset(source, source)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="something else is there already"):
        import_dataset(source, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert import_dataset(source, tmp_path / "empty").usable == 4


def test_an_import_that_breaks_leaves_what_was_there(source, tmp_path, monkeypatch):
    out = tmp_path / "set"
    import_dataset(source, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr(importing, "summarise", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        import_dataset(source, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "sounds"]


def test_files_are_looked_at_in_threads_and_stay_in_order(source, tmp_path, monkeypatch):
    for number in range(200):
        os.link(source / "Dog" / "a.wav", source / "Dog" / f"x{number:03}.wav")
    threads = set()
    inspect = importing.inspect_audio

    def watched(path):
        threads.add(threading.get_ident())
        return inspect(path)

    monkeypatch.setattr(importing, "inspect_audio", watched)
    monkeypatch.setattr(importing, "FILES_A_TASK", 8)
    import_dataset(source, tmp_path / "many", workers=4)
    assert threading.get_ident() not in threads
    import_dataset(source, tmp_path / "one", workers=1)
    assert open_dataset(tmp_path / "many").digest == open_dataset(tmp_path / "one").digest
    assert open_dataset(tmp_path / "one").num_clips == 204


def test_a_name_that_looks_like_an_option_is_noted_and_used(source, tmp_path):
    summary = import_dataset(source, tmp_path / "set")
    assert summary.notes[-1] == "1 file names begin with a hyphen, and are used like any other: Dog/-b.FLAC"
    assert "Dog/-b" in open_dataset(tmp_path / "set").column("clip")


@pytest.mark.parametrize("renamed", [0, 1])
def test_an_import_killed_while_replacing_loses_nothing(source, tmp_path, monkeypatch, renamed):
    import_dataset(source, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    write_layer(dataset, "mine", layer_of("Dog/a"))
    real = Path.rename
    done = []

    def killed(self, target):
        if len(done) == renamed:
            raise KeyboardInterrupt
        done.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        import_dataset(source, tmp_path / "set")
    monkeypatch.undo()
    import_dataset(source, tmp_path / "set")
    assert open_dataset(tmp_path / "set").layers() == ["given", "mine"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "sounds"]
