import json
import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from earmark.data import importing, inspection
from earmark.data.audio.problems import problem_of
from earmark.data.dataset import open_dataset, write_layer
from earmark.data.formats.imported import Imported, given_labels
from earmark.data.importing import import_dataset
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
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
    assert summary.kept == {"wrong extension": 1, "duplicate": 1}
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
    assert problems["Rain/named.wav"].detail == "the same bytes as Dog/-b.FLAC"
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
    assert any("no table names (first: Dog/-b.FLAC)" in note for note in summary.notes)
    dataset = open_dataset(tmp_path / "set")
    assert (tmp_path / "set" / "clips.csv").is_file()
    assert dataset.audio_root == source
    assert dataset.column("clip").tolist() == ["Dog/a", "Rain/a"]


def test_a_name_that_fits_two_files_is_one_problem(source, tmp_path):
    (source / "Dog" / "a.ogg").write_bytes((source / "Rain" / "c.ogg").read_bytes())
    (source / "list.csv").write_text("path,tags\nDog/a,Dog\nRain/a,Rain\n")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert (summary.named, summary.found, summary.left_out) == (2, 1, {"unclear": 1})
    assert [problem.clip for problem in open_dataset(tmp_path / "set").problems()] == ["Dog/a"]


def test_the_summary_is_a_table(source, tmp_path):
    (source / "Dog" / "bad.wav").write_bytes(b"")
    rows = "Dog/a.wav,Dog;Rain,train,x\nRain/a,Rain,test,x\nDog/bad.wav,Dog,train,y\n"
    (source / "list.csv").write_text(f"path,tags,split,group\n{rows}")
    lines = import_dataset(source / "list.csv", tmp_path / "set").lines()
    assert lines[0] == f"{tmp_path / 'set'}: csv {source / 'list.csv'}"
    assert lines[1:] == [
        "named     3",
        "found     3",
        "left out  1  empty: no bytes, or a header without a single sample",
        "usable    2  0.00 h",
        "groups    1",
        "crossing  1  groups in train and test",
        "split     1  train",
        "split     1  test",
        "labelled  2  weak",
        "tags      2  1.50 a clip (1 with 1, 1 with 2)",
        "  Dog        1",
        "  Rain       2",
        "note: left out: 2 audio files that no table names (first: Dog/-b.FLAC)",
    ]


def test_groups_that_train_and_teacher_share_are_no_crossing(source, tmp_path):
    rows = "Dog/a.wav,Dog,x,train\nRain/a,Rain,x,teacher\nRain/c,Rain,x,test\n"
    (source / "list.csv").write_text(f"path,tags,group,split\n{rows}")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert summary.crossings == {"train and test": 1, "test and teacher": 1}


def test_groups_in_several_folds_are_counted(source, tmp_path):
    rows = "Dog/a.wav,Dog,x,1\nRain/a,Rain,x,2\nRain/c,Rain,x,2\nDog/-b,Dog,y,1\n"
    (source / "list.csv").write_text(f"path,tags,group,fold\n{rows}")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert summary.crossings == {"several folds": 1}
    assert summary.groups == 2


def test_nothing_usable_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "list.csv").write_text("path,tags\na.wav,Dog\n")
    with pytest.raises(InputError, match=r"of 1 file none is usable: a\.wav \(missing\)"):
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
    inspect = inspection.inspect_audio

    def watched(path):
        threads.add(threading.get_ident())
        return inspect(path)

    monkeypatch.setattr(inspection, "inspect_audio", watched)
    monkeypatch.setattr(inspection, "FILES_A_TASK", 8)
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


def imported_as(monkeypatch, root, clips, events, **more):
    """Makes every source one that names clips, (clip, path, onset, offset), and events, (row, tag, onset, offset)."""
    columns = {name: [clip[place] for clip in clips] for place, name in enumerate(("clip", "path", "onset", "offset"))}
    columns = {name: pa.array(values, CLIP_SCHEMA.field(name).type) for name, values in columns.items()}
    columns["labelled"] = pa.array(["strong"] * len(clips))
    vocabulary = Vocabulary(("Cat", "Dog", "Rain"))
    row, tag, onset, offset = zip(*events, strict=True)
    tags = np.array([vocabulary.index(name) for name in tag])
    times = (np.array(onset, np.float64), np.array(offset, np.float64))
    labels = given_labels(columns["clip"], vocabulary, np.array(row), tags, *times)
    made = Imported(columns_or_null(len(clips), CLIP_SCHEMA, **columns), labels, vocabulary, root, **more)
    monkeypatch.setattr(importing, "read_source", lambda *_: ("planted", made))


def events_of(dataset):
    said = dataset.statements()
    clips, tags = dataset.column("clip"), dataset.vocabulary.tags
    return [
        (clips[clip], tags[tag], onset, offset)
        for clip, tag, onset, offset in zip(said.clip_index, said.tag_index, said.onset, said.offset, strict=True)
    ]


def test_long_recordings_are_cut_and_their_events_end_with_them(source, tmp_path, monkeypatch):
    sound(source / "long.wav", 5.25)
    clips = [("long", "long.wav", None, None), ("a", "Dog/a.wav", None, None)]
    events = [
        (0, "Dog", 1.5, 2.5),
        (0, "Rain", 4.5, 9.0),
        (0, "Rain", 5.25, 6.0),
        (1, "Dog", 0.25, 0.54),
        (1, "Rain", np.nan, np.nan),
    ]
    imported_as(monkeypatch, source, clips, events)
    summary = import_dataset(source, tmp_path / "set", clip_s=2)
    dataset = open_dataset(tmp_path / "set")
    assert dataset.column("clip").tolist() == ["long_0", "long_2000", "long_4000", "a"]
    assert events_of(dataset) == [
        ("long_0", "Dog", 1.5, 2.0),
        ("long_2000", "Dog", 0.0, 0.5),
        ("long_4000", "Rain", 0.5, 1.25),
        ("a", "Dog", 0.25, 0.5),
        ("a", "Rain", -1.0, -1.0),
    ]
    assert summary.notes == (
        'left out: 1 event at or after the end of the clip (first: "Rain" at 5.25 s in "long", which lasts 5.25 s)',
        'cut to the clip: 1 event with an end more than 0.05 s after it (first: "Rain" at 9.00 s in "long", '
        "which lasts 5.25 s)",
        "cut: 1 of 2 clips into 3 of 2 s",
        "events crossing an edge: 1 cut",
    )
    assert (summary.named, summary.usable, summary.clips, summary.events) == (2, 2, 4, 4)
    assert (summary.recordings, summary.recording_hours * 3600) == (2, pytest.approx(5.75))
    assert summary.hours == pytest.approx(5.75 / 3600)
    assert summary.cardinality == 5 / 4
    assert (dataset.about["import"]["clip_s"], dataset.about["import"]["hop_s"]) == (2, None)
    lines = summary.lines()
    assert "recordings  2  0.00 h" in lines
    assert "clips       4  0.00 h, cut to 2 s" in lines
    assert "events      4" in lines


def test_another_length_of_clips_is_another_clip_table(source, tmp_path):
    out = tmp_path / "set"
    assert import_dataset(source, out, clip_s=1).clips == 6
    assert open_dataset(out).column("clip").tolist()[-2:] == ["Rain/c_0", "Rain/c_1000"]
    assert import_dataset(source, out, clip_s=1, hop_s=0.5).clips == 7
    write_layer(open_dataset(out), "mine", layer_of("Dog/a"))
    with pytest.raises(InputError, match="changed since label layers were made"):
        import_dataset(source, out, clip_s=1)
    assert import_dataset(source, out, clip_s=1, hop_s=0.5).clips == 7


def test_a_hop_without_a_length_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="give --clip-s too"):
        import_dataset(tmp_path / "nowhere", tmp_path / "set", hop_s=1)


def test_tags_that_were_not_annotated_have_no_weight(source, tmp_path, monkeypatch):
    clips = [("a", "Dog/a.wav", None, None)]
    imported_as(monkeypatch, source, clips, [(0, "Dog", 0.1, 0.2)], not_annotated=("Cat", "Rain"))
    summary = import_dataset(source, tmp_path / "set")
    assert open_dataset(tmp_path / "set").labels().tag_weight.tolist() == [0, 1, 0]
    assert summary.not_annotated == ("Cat", "Rain")
    assert "not annotated  2  tags: Cat, Rain" in summary.lines()


def test_a_clip_that_begins_after_its_recording_is_left_out(source, tmp_path, monkeypatch):
    clips = [("in", "Rain/c.ogg", 1.0, 3.0), ("near", "Rain/c.ogg", 2.05, 3.0), ("out", "Rain/c.ogg", 7.0, 9.0)]
    imported_as(monkeypatch, source, clips, [(0, "Dog", 0.5, 1.5), (2, "Dog", 0.5, 1.5)])
    summary = import_dataset(source, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    assert (summary.found, summary.usable, summary.left_out) == (3, 2, {"outside recording": 1})
    assert dataset.column("clip").tolist() == ["in", "near"]
    assert events_of(dataset) == [("in", "Dog", 0.5, 1.0)]
    assert [(problem.clip, problem.detail) for problem in dataset.problems()] == [
        ("out", "onset 7.00 s, the recording lasts 2.00 s")
    ]


def test_a_problem_of_a_recording_is_one_of_each_of_its_clips(source, tmp_path, monkeypatch):
    for name in ("two.wav", "two.wav.wav"):
        soundfile.write(source / name, np.full((32000, 2), 0.1 * len(name)), 16000)
    (source / "Dog" / "d.wav").write_bytes((source / "Dog" / "a.wav").read_bytes())
    clips = [
        ("b", "two.wav", 0.0, 1.0),
        ("x", "gone.wav", 0.0, 1.0),
        ("a", "Dog/a.wav", None, None),
        ("d", "Dog/d.wav", None, None),
        ("e", "two.wav.wav", None, None),
        ("c", "two.wav", 1.0, 2.0),
        ("y", "gone.wav", 1.0, 2.0),
    ]
    folder = problem_of("unreadable", "locked", detail="folder: permission denied")
    imported_as(monkeypatch, source, clips, [(0, "Dog", 0.1, 0.2)], problems=(folder,))
    summary = import_dataset(source, tmp_path / "set")
    assert [(problem.clip, problem.path, problem.kind) for problem in open_dataset(tmp_path / "set").problems()] == [
        ("", "locked", "unreadable"),
        ("b", "two.wav", "downmixed"),
        ("x", "gone.wav", "missing"),
        ("d", "Dog/d.wav", "duplicate"),
        ("e", "two.wav.wav", "downmixed"),
        ("c", "two.wav", "downmixed"),
        ("y", "gone.wav", "missing"),
    ]
    assert (summary.named, summary.found, summary.usable) == (8, 6, 5)


def test_duplicates_are_kept_named_and_compared(source, tmp_path):
    for name in ("Rain/d.wav", "Dog/e.wav", "Rain/f.wav"):
        (source / name).write_bytes((source / "Dog/a.wav").read_bytes())
    (source / "Rain" / "g.ogg").write_bytes((source / "Rain" / "c.ogg").read_bytes())
    (source / "Rain" / "h.wav").write_bytes((source / "Rain" / "a.wav").read_bytes())
    rows = "Dog/a,Dog,train,1\nRain/d,Dog;Rain,train,1\nDog/e,Dog,test,1\nRain/c,Rain,test,1\nRain/g,Rain,test,2\n"
    (source / "list.csv").write_text(f"path,tags,split,fold\n{rows}Rain/a,Rain,,\nRain/h,Rain,test,2\n")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    found = summary.duplicates
    assert (found.recordings, found.sets, found.different_tags) == (4, 3, 1)
    assert (found.several_splits, found.several_folds) == (1, 1)
    assert (summary.usable, summary.kept) == (7, {"duplicate": 4})
    assert [(problem.path, problem.clip, problem.detail) for problem in open_dataset(tmp_path / "set").problems()] == [
        ("Rain/d.wav", "Rain/d", "the same bytes as Dog/a.wav"),
        ("Dog/e.wav", "Dog/e", "the same bytes as Dog/a.wav"),
        ("Rain/g.ogg", "Rain/g", "the same bytes as Rain/c.ogg"),
        ("Rain/h.wav", "Rain/h", "the same bytes as Rain/a.wav"),
    ]
    assert (
        "kept      4  duplicate: recordings with the bytes of an earlier one; 3 sets (1 with different tags, "
        "1 in several splits, 1 in several folds)"
    ) in summary.lines()


def test_unlabelled_duplicates_have_no_different_tags(source, tmp_path):
    (source / "Dog" / "b.wav").write_bytes((source / "Dog" / "a.wav").read_bytes())
    (source / "list.csv").write_text("path,tags,labelled\nDog/a,Dog,weak\nDog/b,,none\n")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert (summary.duplicates.recordings, summary.duplicates.different_tags) == (1, 0)
    assert summary.labelled == {"weak": 1, "none": 1}


def test_other_labels_are_refused_where_layers_were_made(source, tmp_path):
    """A layer is a difference: on other labels it would say something else."""
    (source / "list.csv").write_text("path,tags\nDog/a.wav,Dog\nRain/a.wav,Rain\n")
    out = tmp_path / "set"
    import_dataset(source / "list.csv", out)
    dataset = open_dataset(out)
    write_layer(dataset, "mine", layer_of("Dog/a"))
    (source / "list.csv").write_text("path,tags\nDog/a.wav,Rain\nRain/a.wav,Dog\n")
    message = r"the source's labels have changed since label layers were made for them \(mine\); import into another"
    with pytest.raises(InputError, match=message):
        import_dataset(source / "list.csv", out)
    assert open_dataset(out).labels().counts().tolist() == [1, 1]
    assert open_dataset(out).statements("mine").clip_index.tolist() == [1]


def test_labels_in_another_order_are_the_same(source, tmp_path, monkeypatch):
    (source / "list.csv").write_text("path,tags\nDog/a.wav,Dog;Rain\nRain/a.wav,Rain\n")
    out = tmp_path / "set"
    import_dataset(source / "list.csv", out)
    write_layer(open_dataset(out), "mine", layer_of("Dog/a"))
    write = importing.write_dataset

    def backwards(*args, labels, **how):
        return write(*args, labels=labels.take(list(range(labels.num_rows))[::-1]), **how)

    monkeypatch.setattr(importing, "write_dataset", backwards)
    import_dataset(source / "list.csv", out, tables="csv")
    assert open_dataset(out).layers() == ["given", "mine"]


def test_nothing_usable_names_the_layout_and_what_else_it_may_be(source, tmp_path):
    table = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\nabc_0\t0\t1\t/m/0bt9lr\n"
    (source / "audioset_eval_strong.tsv").write_text(table)
    (source / "eval_segments.csv").write_text('# YTID\nabc, 0.000, 10.000, "/m/0bt9lr"\n')
    with pytest.raises(InputError) as caught:
        import_dataset(source, tmp_path / "set")
    assert str(caught.value).endswith(
        "of 1 file none is usable: abc (missing); the layout audioset-strong was found by looking; it may also be read "
        "with --format audioset or --format folder"
    )
    with pytest.raises(InputError, match=r"none is usable: abc \(missing\)$"):
        import_dataset(source, tmp_path / "set", "audioset")


@pytest.mark.parametrize(
    ("name", "header"), [("list.csv", "path,tags"), ("weak.tsv", "filename\tevent_labels"), ("esc50.csv", None)]
)
def test_a_source_without_rows_names_no_clips(tmp_path, name, header):
    (tmp_path / name).write_text(f"{header or 'filename,fold,target,category'}\n")
    with pytest.raises(InputError, match=rf"{name}: names no clips \(read as "):
        import_dataset(tmp_path / name, tmp_path / "set")


def test_tags_per_clip_are_those_of_annotated_clips(source, tmp_path):
    rows = "Dog/a.wav,Dog;Rain,weak\nRain/a.wav,,weak\nRain/c.ogg,,none\nDog/-b.FLAC,,none\n"
    (source / "list.csv").write_text(f"path,tags,labelled\n{rows}")
    summary = import_dataset(source / "list.csv", tmp_path / "set")
    assert summary.tags_per_clip == {"0": 1, "2": 1}
    assert summary.cardinality == 1
    assert "tags      2  1.00 a clip that is not labelled none (1 with 0, 1 with 2)" in summary.lines()
