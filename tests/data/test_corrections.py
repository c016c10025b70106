from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.corrections import corrected, import_labels
from earmark.data.corrections.clip_names import ClipNames
from earmark.data.corrections.corrected import Named, in_clips
from earmark.data.dataset import open_dataset, write_dataset, write_layer
from earmark.data.formats.beside import Tally
from earmark.data.layer_diff import diff_layers
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null, read_labels
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError

TAGS = Vocabulary(("Cat", "Dog", "Speech, child"))


def label_table(*rows):
    """Rows of clip, tag, value, and onset and offset where strong."""
    columns = list(zip(*[(*row, None, None)[:5] for row in rows], strict=True)) or [[]] * 5
    names = ("clip", "tag", "value", "onset", "offset")
    columns = {
        name: pa.array(column, LABEL_SCHEMA.field(name).type) for name, column in zip(names, columns, strict=True)
    }
    return columns_or_null(len(rows), LABEL_SCHEMA, source=pa.array(["given"] * len(rows), pa.string()), **columns)


def made(folder, clips, labels, vocabulary=TAGS):
    """A data set; `clips` maps a clip to its columns."""
    columns = {"path": [], "labelled": [], "onset": [], "offset": [], "duration_s": []}
    for clip, given_columns in clips.items():
        row = {"path": f"{clip}.wav", "labelled": "weak", **given_columns}
        for name, column in columns.items():
            column.append(row.get(name))
    arrays = {name: pa.array(column, CLIP_SCHEMA.field(name).type) for name, column in columns.items()}
    return write_dataset(
        folder,
        name="set",
        clips=columns_or_null(len(clips), CLIP_SCHEMA, clip=pa.array(list(clips), pa.string()), **arrays),
        labels=label_table(*labels),
        vocabulary=vocabulary,
        audio_root=folder.parent / "audio",
    )


@pytest.fixture
def weak(tmp_path):
    """Clips a, b and sub/c, weakly labelled."""
    labels = [("a", "Dog", 1), ("a", "Cat", 1), ("b", "Dog", 0.4), ("sub/c", "Speech, child", 1)]
    return made(tmp_path / "set", {"a": {}, "b": {}, "sub/c": {}, "d": {"labelled": "none"}}, labels)


@pytest.fixture
def strong(tmp_path):
    """Two clips cut from the recording `day/r.flac`, and one that is a recording by itself."""
    cut = {"path": "day/r.flac", "labelled": "strong", "duration_s": 20}
    clips = {
        "r_0": {**cut, "onset": 0, "offset": 10},
        "r_10000": {**cut, "onset": 10, "offset": 20},
        "x": {"labelled": "strong", "duration_s": 5.0},
    }
    labels = [("r_0", "Dog", 1, 1, 2), ("r_0", "Dog", 1, 4, 5), ("r_10000", "Cat", 1, 0, 3.5), ("x", "Dog", 1, 0.5, 1)]
    return made(tmp_path / "set", clips, labels)


def read_back(dataset, tmp_path, text, name="human", file="corrected.csv", parent="given"):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    return import_labels(dataset, tmp_path / file, name, parent)


def in_force(dataset, layer="human"):
    said = open_dataset(dataset.folder).statements(layer)
    clips, rounded = dataset.column("clip"), np.round([said.onset, said.offset, said.value], 6)
    return [
        (clips[clip], dataset.vocabulary.tags[tag], *((value,) if onset < 0 else (value, onset, offset)))
        for clip, tag, onset, offset, value in zip(said.clip_index, said.tag_index, *rounded.tolist(), strict=True)
    ]


def layer_rows(dataset, name="human"):
    return [tuple(row.values()) for row in read_labels(dataset.folder / "labels" / f"{name}.parquet").to_pylist()]


def refused(dataset, tmp_path, text, file="corrected.csv"):
    with pytest.raises(InputError) as caught:
        read_back(dataset, tmp_path, text, file=file)
    assert "\n" not in str(caught.value)
    assert open_dataset(dataset.folder).layers() == ["given"]
    return str(caught.value).removeprefix(f"{tmp_path}/")


def test_a_table_says_all_labels_of_the_clips_that_it_names(weak, tmp_path):
    summary = read_back(weak, tmp_path, 'clip,tag\na,Dog\na,"Speech, child"\nb,Dog\nsub/c,\n')
    assert in_force(weak) == [("a", "Dog", 1), ("a", "Speech, child", 1), ("b", "Dog", 1)]
    assert layer_rows(weak) == [
        ("a", "Cat", None, None, 0, "human"),
        ("sub/c", "Speech, child", None, None, 0, "human"),
        ("b", "Dog", None, None, 1, "human"),
        ("a", "Speech, child", None, None, 1, "human"),
    ]
    assert (summary.named, summary.added, summary.removed, summary.changed, summary.unchanged) == (3, 1, 2, 1, 1)
    assert summary.lines() == [
        f'label layer "human" on "given": {tmp_path}/corrected.csv',
        "named      3  clips of 4",
        "added      1  labels",
        "removed    2",
        "changed    1  to value 1",
        "unchanged  1",
        "note: the source says all labels of each clip that it names: others in force of those clips are removed",
        "note: the source has no times: events in force of a tag that it names stay as they are",
    ]
    assert open_dataset(weak.folder).layers() == ["given", "human"]


def test_with_a_value_each_row_is_one_correction(weak, tmp_path):
    summary = read_back(
        weak, tmp_path, "filename,label,value\na.wav,Cat,0\nb.wav,Cat,1\nb.wav,Dog,1\nsub/c.wav,Dog,0\n"
    )
    assert in_force(weak) == [("a", "Dog", 1), ("b", "Cat", 1), ("b", "Dog", 1), ("sub/c", "Speech, child", 1)]
    assert (summary.added, summary.removed, summary.changed) == (1, 1, 1)
    assert summary.notes[0].startswith("each row is one correction")
    assert "corrections of value 0 that nothing in force fits: 1" in summary.notes


def test_cells_may_hold_several_tags_and_tags_may_hold_commas(weak, tmp_path):
    read_back(weak, tmp_path, 'path,tags\na.wav,"Cat,Dog"\nb.wav,"Dog; Speech, child"\nsub/c.wav,"Speech, child"\n')
    assert in_force(weak)[2:] == [("b", "Dog", 1), ("b", "Speech, child", 1), ("sub/c", "Speech, child", 1)]


def test_a_layer_on_a_layer(weak, tmp_path):
    read_back(weak, tmp_path, "clip,tag\na,Dog\n", name="first")
    read_back(weak, tmp_path, "clip,tag\na,Cat\n", name="second", parent="first")
    assert in_force(weak, "second")[0] == ("a", "Cat", 1)
    assert diff_layers(weak, "first", "second").counts == {"added": 1, "removed": 1, "changed": 0, "left": 2}


def test_clips_are_known_by_path_and_file_name(weak, tmp_path):
    text = f"path,tag\n{tmp_path}/audio/a.wav,Cat\nb,Cat\nc.wav,Cat\n"
    assert read_back(weak, tmp_path, text.replace("c.wav", "sub_c.flac"), name="flat").named == 3
    assert read_back(weak, tmp_path, text).named == 3
    assert in_force(weak) == [("a", "Cat", 1), ("b", "Cat", 1), ("sub/c", "Cat", 1)]


def test_unknown_clips_are_named_and_passed_over(weak, tmp_path):
    summary = read_back(weak, tmp_path, "clip,tag\na,Dog\nz,Bird\nzz,Dog\n")
    assert summary.unknown == ("z", "zz")
    assert "unknown    2  names: z, zz" in summary.lines()
    assert in_force(weak)[0] == ("a", "Dog", 1)


def test_clips_that_nobody_was_asked_about_are_remarked_on(weak, tmp_path):
    note = "1 of the clips are labelled none in the clip table, so that no layer counts for them"
    assert note in read_back(weak, tmp_path, "clip,tag\nd,Dog\n").notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "clip,tag\na,Dog\nb,Dgo\n",
            'corrected.csv:3: tag must be in the vocabulary of 3, got "Dgo"; did you mean "Dog"?',
        ),
        ("clip,tag\nsub/d,Dog\n", 'none of 1 is one, first "sub/d"; did you mean "sub/c"?'),
        ("clip,tag\n", "must name clips or recordings of the data set; names none"),
        ("clip,tag\nb,\na,Dog\na,Cat\nb,Dog\n", None),
        (
            "clip,tag\na,Dog\na,Cat\n",
            'says nothing of 1 clip that is not in force in "given"; no layer is written (in force already: 2 labels)',
        ),
        ("clip,tag,value\nb,Cat,0\n", "no layer is written (corrections of value 0 that nothing in force fits: 1)"),
        (
            "clip,tag,value\na,Dog,0.5\n",
            "corrected.csv:2: value must be 1 (the label holds) or 0 (it does not), got 0.5",
        ),
        ("clip,tag,value\na,Dog,\n", "corrected.csv:2: value must be 1"),
        ("clip,tag,value\na,,1\n", "corrected.csv:2: tag must not be empty beside onset, offset or value"),
        ("clip,tag,value\na,Dog,1\nb,Dog,0\na,Dog,0\n", "corrected.csv:4: a label must not be both added and removed"),
        ("clip,tag,onset,offset\na,Dog,2,1\n", "corrected.csv:2: onset must be 0 or later and offset after it"),
        ("clip,tag,onset,offset\na,Dog,2,\n", "corrected.csv:2: onset and offset must both be given or both be empty"),
        ("clip,tag,onset,offset\na,,1,2\n", "corrected.csv:2: tag must not be empty beside onset, offset or value"),
        ("clip,verdict\na,yes\n", "corrected.csv:1: a column must be called one of tag, tags, label"),
        ("name,tag\na,Dog\n", "corrected.csv:1: a column must be called one of clip, path, filename"),
    ],
)
def test_tables_that_are_refused(weak, tmp_path, text, said):
    if said is None:
        assert read_back(weak, tmp_path, text).changed == 1
    else:
        assert said in refused(weak, tmp_path, text)


def test_a_source_that_is_not_there_and_a_name_that_is_taken(weak, tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        import_labels(weak, tmp_path / "gone.csv", "human")
    with pytest.raises(InputError, match='there is no label layer "girven"; did you mean "given"'):
        read_back(weak, tmp_path, "clip,tag\na,Dog\n", parent="girven")
    read_back(weak, tmp_path, "clip,tag\na,Dog\n")
    with pytest.raises(InputError, match='label layer "human" is there already'):
        read_back(weak, tmp_path, "clip,tag\na,Cat\n")


def test_times_that_a_table_rounded_are_no_difference(tmp_path):
    labels = [("a", "Dog", 1, 1.23456, 2.34567), ("a", "Dog", 1, 3.0005, 4.0005), ("a", "Cat", 1, 0, 9.9996)]
    dataset = made(tmp_path / "set", {"a": {"labelled": "strong"}}, labels)
    rounded = "filename\tonset\toffset\tevent_label\na.wav\t1.235\t2.346\tDog\na.wav\t3.000\t4.001\tDog\n"
    message = refused(dataset, tmp_path, rounded + "a.wav\t0.000\t10.000\tCat\n", file="corrected.tsv")
    assert "says nothing of 1 clip " in message
    summary = read_back(dataset, tmp_path, rounded + "a.wav\t0.001\t10.000\tCat\n")
    assert (summary.added, summary.removed, summary.unchanged) == (1, 1, 2)
    assert in_force(dataset)[0] == ("a", "Cat", 1, 0.001, 10)


def test_a_table_without_times_leaves_the_times_of_its_tags(strong, tmp_path):
    summary = read_back(strong, tmp_path, "clip,tag\nr_0,Dog\nr_0,Cat\nx,\n")
    assert in_force(strong) == [
        ("r_0", "Cat", 1),
        ("r_0", "Dog", 1, 1, 2),
        ("r_0", "Dog", 1, 4, 5),
        ("r_10000", "Cat", 1, 0, 3.5),
    ]
    assert (summary.added, summary.removed, summary.unchanged) == (1, 1, 2)


def test_a_weak_0_retracts_all_of_a_tag_but_what_stands_beside_it(strong, tmp_path):
    read_back(strong, tmp_path, "clip,tag,onset,offset,value\nr_0,Dog,,,0\nr_0,Dog,4.0004,5,1\nr_0,Dog,7,8,1\n")
    assert in_force(strong)[:2] == [("r_0", "Dog", 1, 4, 5), ("r_0", "Dog", 1, 7, 8)]


def test_a_0_with_times_removes_that_event(strong, tmp_path):
    assert read_back(strong, tmp_path, "clip,tag,onset,offset,value\nr_0,Dog,0.9996,2.0004,0\n").removed == 1
    assert in_force(strong)[0] == ("r_0", "Dog", 1, 4, 5)


def test_what_stays_of_a_tag_is_said_again_when_its_weak_label_goes(tmp_path):
    labels = [("a", "Dog", 1), ("a", "Dog", 0.5, 1, 2), ("a", "Dog", 1, 3, 4)]
    dataset = made(tmp_path / "set", {"a": {"labelled": "strong"}}, labels)
    summary = read_back(dataset, tmp_path, "clip,tag,onset,offset\na,Dog,3,4\na,Dog,1,2\n")
    assert in_force(dataset) == [("a", "Dog", 1, 1, 2), ("a", "Dog", 1, 3, 4)]
    assert (summary.added, summary.removed, summary.changed, summary.unchanged) == (0, 1, 1, 1)


def test_a_label_track_of_a_recording_is_cut_to_its_clips(strong, tmp_path):
    text = "1\t2\tDog\n9\t12.5\tDog\n11\t11\tCat\n9.9997\t13.5\tCat\n25\t26\tDog\n"
    summary = read_back(strong, tmp_path, text, file="r.txt")
    assert in_force(strong) == [
        ("r_0", "Dog", 1, 1, 2),
        ("r_0", "Dog", 1, 9, 10),
        ("r_10000", "Cat", 1, 0, 3.5),
        ("r_10000", "Dog", 1, 0, 2.5),
        ("x", "Dog", 1, 0.5, 1),
    ]
    assert (summary.named, summary.added, summary.removed, summary.unchanged) == (2, 2, 1, 2)
    assert summary.notes[1:] == (
        "left out: point labels, which have no duration: 1 (first: r.txt:3)",
        'events cut at the edge of a clip: 1 (first: "r")',
        'left out: events outside every clip: 1 (first: "r")',
    )


def test_a_recording_named_in_a_table_has_times_of_its_own(strong, tmp_path):
    read_back(strong, tmp_path, "filename,onset,offset,event_label\nr.flac,14,15,Dog\nr_0.wav,4,5,Dog\n")
    assert in_force(strong)[:2] == [("r_0", "Dog", 1, 4, 5), ("r_10000", "Dog", 1, 4, 5)]
    message = refused_again(strong, tmp_path, "filename,label\nr.flac,Dog\n")
    assert (
        "corrected.csv:2: a label without times must name a clip, got a recording that 2 clips were cut from" in message
    )


def refused_again(dataset, tmp_path, text):
    with pytest.raises(InputError) as caught:
        read_back(dataset, tmp_path, text, name="again")
    return str(caught.value)


def test_a_folder_of_tracks_and_selection_tables(strong, tmp_path):
    header = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"
    rows = "1\tWaveform 1\t0.5\t1\tCat\n1\tSpectrogram 1\t0.5\t1\tCat\n"
    (tmp_path / "back" / "day").mkdir(parents=True)
    (tmp_path / "back" / "README.txt").write_text("Labels by hand.\n")
    (tmp_path / "back" / "x.Table.1.selections.txt").write_text(header + rows)
    (tmp_path / "back" / "day" / "r.txt").write_text("")
    (tmp_path / "back" / "day" / "q.txt").write_text("0\t1\tBird\n")
    summary = import_labels(strong, tmp_path / "back", "human")
    assert in_force(strong) == [("x", "Cat", 1, 0.5, 1)]
    assert summary.unknown == ("day/q",)
    assert (summary.added, summary.removed) == (1, 4)


def test_a_selection_table_of_several_recordings(strong, tmp_path):
    text = "Begin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tTag\n"
    text += "0\t1\tx.wav\t0.5\tCat\n12\t13\tr.flac\t11\tDog\n14\t15\tq.flac\t11\tDog\n"
    summary = read_back(strong, tmp_path, text, file="all.txt")
    assert in_force(strong) == [("r_10000", "Dog", 1, 1, 2), ("x", "Cat", 1, 0.5, 1.5)]
    assert summary.unknown == ("q.flac",)


def test_a_label_over_all_of_a_weakly_labelled_clip_is_weak(tmp_path):
    clips = {"a": {"duration_s": 9.98765}, "b": {"duration_s": 5.0}}
    dataset = made(tmp_path / "set", clips, [("a", "Dog", 1), ("a", "Cat", 1), ("b", "Cat", 1)])
    summary = read_back(dataset, tmp_path, "0.000\t9.988\tDog\n2\t3\tCat\n", file="a.txt")
    assert in_force(dataset) == [("a", "Cat", 1, 2, 3), ("a", "Dog", 1), ("b", "Cat", 1)]
    note = "events over the whole of a clip labelled weak, taken as weak labels: 1 (first: a)"
    assert note in summary.notes


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("x.txt", "\n0\t1\tDgo\n", 'x.txt:2: tag must be in the vocabulary of 3, got "Dgo"; did you mean "Dog"?'),
        ("x.txt", "hello\n", "x.txt:1: a line must hold onset, offset and label"),
        ("y.txt", "0\t1\tDog\n", 'none of 1 is one, first "y"'),
        ("x.txt", "0.5\t1\tDog\n", "says nothing of 1 clip "),
    ],
)
def test_tracks_that_are_refused(strong, tmp_path, file, text, said):
    assert said in refused(strong, tmp_path, text, file=file)


def test_a_folder_without_tracks_is_refused(strong, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: must hold label tracks or selection tables \(\.txt\), found none$"):
        import_labels(strong, tmp_path / "empty", "human")


def test_a_folder_of_tables_says_that_one_is_given_itself(strong, tmp_path):
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "weak.tsv").write_text("filename\tevent_labels\n")
    with pytest.raises(InputError, match=r"found none; give a table itself, such as .*back/weak\.tsv$"):
        import_labels(strong, tmp_path / "back", "human")


def test_a_broken_track_of_a_known_recording_is_refused(strong, tmp_path):
    """Passed over, all the labels of its recording would silently stay as they were."""
    (tmp_path / "back" / "day").mkdir(parents=True)
    (tmp_path / "back" / "x.txt").write_text("0.25\t0.5\tDog\n")
    (tmp_path / "back" / "day" / "r.txt").write_text("onset\toffset\tlabel\n1\t2\tDog\n")
    with pytest.raises(InputError, match=r"day/r\.txt:1: a line must hold onset, offset and label"):
        import_labels(strong, tmp_path / "back", "human")
    (tmp_path / "back" / "day" / "r.txt").rename(tmp_path / "back" / "day" / "r.selections.txt")
    with pytest.raises(InputError, match=r"day/r\.selections\.txt:1: a line must hold"):
        import_labels(strong, tmp_path / "back", "human")
    (tmp_path / "back" / "day" / "r.selections.txt").rename(tmp_path / "back" / "day" / "about.txt")
    note = "texts that are no tracks and called like no recording, passed over: 1 (first: day/about.txt)"
    assert note in import_labels(strong, tmp_path / "back", "human").notes


def test_a_selection_table_without_a_line_says_that_nothing_is_heard(strong, tmp_path):
    assert read_back(strong, tmp_path, "", file="back/x.Table.1.selections.txt").removed == 1


def test_a_tag_of_a_selection_table_that_is_not_known_is_named_by_its_line(strong, tmp_path):
    text = "Begin Time (s)\tEnd Time (s)\tTag\tBegin File\tFile Offset (s)\n"
    text += "0\t1\tDog\tx.wav\t0\n\n3\t4\tDgo\tr.flac\t3\n"
    message = refused(strong, tmp_path, text, file="all.txt")
    assert message.startswith('all.txt:4: tag must be in the vocabulary of 3, got "Dgo"')


def test_why_no_layer_is_written(strong, tmp_path):
    message = refused(strong, tmp_path, "filename,onset,offset,label,value\nr.flac,25,26,Dog,1\n")
    assert message.endswith('no layer is written (left out: events outside every clip: 1 (first: "r.flac"))')


COMMAS = Vocabulary(("Dog", "Dog, big", "Dog; big", "Speech, child", "child"))


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("Speech, child,Dog", {"Speech, child", "Dog"}),
        ("Dog,Dog, big;child", {"Dog", "Dog, big", "child"}),
        # As the export for DCASE spells them.
        ("Speech; child,Dog", {"Speech, child", "Dog"}),
        ("Dog; big_2,child", {"Dog, big", "child"}),
        ("Dog; big,child", {"Dog; big", "child"}),
    ],
)
def test_tags_with_commas_beside_others_in_a_cell(tmp_path, cell, tags):
    dataset = made(tmp_path / "set", {"a": {}}, [], COMMAS)
    read_back(dataset, tmp_path, f'clip,tags\na,"{cell}"\n')
    assert {tag for _, tag, _ in in_force(dataset)} == tags


def test_the_name_of_the_layer_is_checked_before_anything_is_read(weak, tmp_path):
    with pytest.raises(InputError, match="the name of a layer must be letters"):
        read_back(weak, tmp_path, "clip\nno table\n", name="a/b")


# A grid coarser than the tolerance, so that a jitter within it never makes two times one.
times = st.integers(0, 8).flatmap(lambda onset: st.tuples(st.just(onset), st.integers(onset + 1, 9)))
statements = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from(TAGS.tags), st.none() | times),
    st.sampled_from([1.0, 0.5]),
    max_size=12,
)
jitters = st.integers(-500, 500).map(lambda steps: steps / 1e6)


def spelled(key):
    clip, tag, interval = key
    return (clip, tag) if interval is None else (clip, tag, *(second / 4 + 0.25 for second in interval))


def made_of(said, folder):
    rows = [
        (clip, tag, value, *rest) for (clip, tag, *rest), value in zip(map(spelled, said), said.values(), strict=True)
    ]
    return made(folder, {clip: {"labelled": "strong"} for clip in "abc"}, rows)


@settings(max_examples=30)
@given(before=statements, after=statements, named=st.sets(st.sampled_from("abc"), min_size=1), data=st.data())
def test_what_a_table_says_is_in_force_afterwards(tmp_path_factory, before, after, named, data):
    folder = tmp_path_factory.mktemp("set")
    dataset = made_of(before, folder / "set")
    lines = ["clip,tag,onset,offset", *(f"{clip},,," for clip in sorted(named))]
    for key in after:
        clip, tag, *seconds = spelled(key)
        if clip in named:
            onset, offset = [f"{second + data.draw(jitters):.6f}" for second in seconds] or ["", ""]
            lines.append(f'{clip},"{tag}",{onset},{offset}')
    (folder / "corrected.csv").write_text("\n".join(lines))
    wanted = {key: 1.0 for key in after if key[0] in named} | {k: v for k, v in before.items() if k[0] not in named}
    if wanted == before:
        with pytest.raises(InputError, match="says nothing"):
            import_labels(dataset, folder / "corrected.csv", "human")
        return
    import_labels(dataset, folder / "corrected.csv", "human")
    said = {(*row[:2], *np.round(np.array(row[3:]) * 4) / 4): row[2] for row in in_force(dataset)}
    assert said == {spelled(key): value for key, value in wanted.items()}
    # What was in force already keeps its own times.
    exact = {(row[0], row[1], *row[3:]) for row in in_force(dataset)}
    assert {spelled(key) for key in wanted if key in before} <= exact


@settings(max_examples=30)
@given(
    before=statements,
    rows=st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from(TAGS.tags), st.none() | times), st.booleans()
    ),
)
def test_corrections_change_what_they_name_and_nothing_else(tmp_path_factory, before, rows):
    folder = tmp_path_factory.mktemp("set")
    dataset = made_of(before, folder / "set")
    lines = ["clip,tag,onset,offset,value"]
    for key, holds in rows.items():
        clip, tag, *seconds = spelled(key)
        lines.append(f'{clip},"{tag}",{",".join(map(str, seconds or ["", ""]))},{int(holds)}')
    (folder / "corrected.csv").write_text("\n".join(lines))
    retracted = {key[:2] for key, holds in rows.items() if not holds and key[2] is None}
    wanted = {k: v for k, v in before.items() if rows.get(k, True) and k[:2] not in retracted}
    wanted |= {key: 1.0 for key, holds in rows.items() if holds}
    if wanted == before:
        with pytest.raises(InputError):
            import_labels(dataset, folder / "corrected.csv", "human")
        return
    import_labels(dataset, folder / "corrected.csv", "human")
    assert {(*row[:2], *row[3:]): row[2] for row in in_force(dataset)} == {spelled(key): v for key, v in wanted.items()}


@settings(max_examples=30)
@given(
    clips=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12)), min_size=1, max_size=6, unique=True),
    events=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=8),
)
def test_events_in_clips_against_a_plain_loop(tmp_path_factory, clips, events):
    columns = {
        f"c{index}": {"path": "r.wav", "onset": onset, "offset": onset + length, "labelled": "strong"}
        for index, (onset, length) in enumerate(clips)
    }
    dataset = made(tmp_path_factory.mktemp("set") / "set", columns, [])
    names = ClipNames(dataset)
    pieces = names.pieces(["r"], {}, names.of_recordings(["r"]))
    times_s = np.array([[onset for onset, _ in events], [onset + length for onset, length in events]], np.float64)
    named = Named(["r"], np.zeros(len(events), np.int64), np.zeros(len(events), np.int64), times_s.reshape(2, -1))
    with patch.object(corrected, "_BLOCK_PAIRS", 5):
        event, _, said = in_clips(named, pieces, Tally())
    expected = []
    for index, (onset, length) in enumerate(events):
        for row, (begin, lasts) in enumerate(clips):
            first, last = max(onset, begin), min(onset + length, begin + lasts)
            if last > first:
                expected.append((index, row, first - begin, last - begin))
    found = zip(event.tolist(), said.clip_index.tolist(), said.onset.tolist(), said.offset.tolist(), strict=True)
    assert sorted(found) == expected


def test_a_name_of_two_recordings_means_neither(tmp_path):
    dataset = made(tmp_path / "set", {"one": {"path": "x/r.wav"}, "two": {"path": "y/r.wav"}}, [("one", "Dog", 1)])
    message = refused(dataset, tmp_path, "filename,tag\nr.wav,Cat\n")
    assert message.endswith('none of 1 is one, first "r.wav": 2 recordings are called so')
    summary = read_back(dataset, tmp_path, "filename,tag\nr.wav,Cat\nx/r,Dog\nx/r,Cat\n", name="first")
    assert (summary.unknown, summary.added) == (("r.wav",), 1)
    assert "names that are not clear: r.wav (2 recordings are called so)" in summary.notes
    read_back(dataset, tmp_path, "filename,tag\ny/r,Cat\n")
    assert in_force(dataset) == [("one", "Dog", 1), ("two", "Cat", 1)]


def test_layers_of_people_can_be_diffed(weak, tmp_path):
    read_back(weak, tmp_path, "clip,tag\na,Dog\n")
    write_layer(weak, "other", label_table(("a", "Cat", 0)), "given")
    assert diff_layers(weak, "human", "other").rows.num_rows == 0
