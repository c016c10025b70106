import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.audio.problems import problem_of
from earmark.data.dataset import open_dataset, write_dataset, write_layer
from earmark.data.layer_diff import diff_layers
from earmark.data.statements import clip_labels_from, in_force, statements_from
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError

TAGS = Vocabulary(("Cat", "Dog", "Rain"))
NAMES = ("a", "b", "c", "d")


def label_table(*rows):
    """Rows of clip, tag, value, and onset and offset where strong."""
    columns = list(zip(*[(*row, None, None)[:5] for row in rows], strict=True)) or [[]] * 5
    kinds = (pa.string(), pa.string(), pa.float32(), pa.float64(), pa.float64())
    clip, tag, value, onset, offset = (pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True))
    source = pa.array(["test"] * len(rows), pa.string())
    return columns_or_null(
        len(rows), LABEL_SCHEMA, clip=clip, tag=tag, value=value, onset=onset, offset=offset, source=source
    )


def clip_table(names=NAMES, labelled=None, **columns):
    names = list(names)
    columns = {name: pa.array(column, CLIP_SCHEMA.field(name).type) for name, column in columns.items()}
    columns.setdefault("group", pa.array(names))
    return columns_or_null(
        len(names),
        CLIP_SCHEMA,
        clip=pa.array(names),
        path=pa.array([f"{name}.wav" for name in names]),
        labelled=pa.array(labelled or ["weak"] * len(names)),
        **columns,
    )


@pytest.fixture(params=["parquet", "csv"])
def dataset(tmp_path, request):
    return write_dataset(
        tmp_path / "made" / "set",
        name="set",
        clips=clip_table(labelled=["weak", "strong", "weak", "none"]),
        labels=label_table(
            ("a", "Dog", 1), ("a", "Cat", 0.4), ("b", "Dog", 1, 0, 1), ("b", "Dog", 0.7, 2, 3), ("d", "Cat", 1)
        ),
        vocabulary=TAGS,
        audio_root=tmp_path / "made" / "audio",
        not_annotated=["Rain"],
        problems=[problem_of("missing", "x, y.wav", "x, y"), problem_of("clipped", "a.wav", "a", 'a "peak"')],
        tables=request.param,
    )


def test_what_is_written_is_opened(dataset, tmp_path):
    opened = open_dataset(str(dataset.folder))
    assert opened.clips.equals(dataset.clips)
    assert opened.vocabulary == TAGS
    assert opened.digest == dataset.digest
    assert opened.num_clips == 4
    assert opened.audio_path(1) == tmp_path / "made" / "audio" / "b.wav"
    assert opened.layers() == ["given"]
    assert opened.column("clip").tolist() == list(NAMES)
    assert opened.column("fold").tolist() == [-1] * 4
    assert opened.column("verified").tolist() == [-1] * 4
    assert all(math.isnan(onset) for onset in opened.column("onset"))
    assert opened.problems() == [
        problem_of("missing", "x, y.wav", "x, y"),
        problem_of("clipped", "a.wav", "a", 'a "peak"'),
    ]


def test_a_data_set_can_be_moved_with_its_audio(dataset, tmp_path):
    (tmp_path / "made").rename(tmp_path / "moved")
    assert open_dataset(tmp_path / "moved" / "set").audio_path(0) == tmp_path / "moved" / "audio" / "a.wav"


def test_audio_elsewhere_is_kept_by_its_whole_path(tmp_path):
    write_dataset(
        tmp_path / "here" / "set",
        name="set",
        clips=clip_table(),
        labels=label_table(),
        vocabulary=TAGS,
        audio_root=tmp_path / "there",
    )
    assert json.loads((tmp_path / "here" / "set" / "dataset.json").read_text())["audio_root"] == str(tmp_path / "there")


def test_the_digest_tells_every_change_of_the_clips_and_nothing_else(tmp_path):
    def digest(table, folder):
        write_dataset(
            tmp_path / folder, name=folder, clips=table, labels=label_table(), vocabulary=TAGS, audio_root=tmp_path
        )
        return open_dataset(tmp_path / folder).digest

    table = clip_table(split=["test", None, None, None])
    same = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    digests = [digest(table, "0"), digest(clip_table(split=[None, "test", None, None]), "1")]
    digests += [
        digest(table.slice(0, 3), "2"),
        digest(clip_table(fold=[1, None, 0, 0]), "3"),
        digest(clip_table(), "4"),
    ]
    digests += [digest(clip_table(("a", "bc", "d", "e")), "5"), digest(clip_table(("ab", "c", "d", "e")), "7")]
    digests += [digest(clip_table(fold=[1, 0, 0, 0]), "8")]
    assert len(set(digests)) == 8
    assert digest(same, "6") == digests[0]


def test_no_row_means_negative_unless_nobody_looked(dataset):
    labels = dataset.labels()
    everyone = np.arange(4)
    assert labels.rows(everyone).dtype == np.float32
    np.testing.assert_allclose(labels.rows(everyone), [[0.4, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert labels.weights(everyone).tolist() == [[1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert labels.counts().tolist() == [1, 2, 0]
    assert labels.counts(np.array([1, 1, 2])).tolist() == [0, 2, 0]
    np.testing.assert_allclose(labels.rows(np.array([3, 0, 3])), [[1, 0, 0], [0.4, 1, 0], [1, 0, 0]])
    assert labels.rows(np.array([], np.int64)).shape == (0, 3)


def test_layers_change_what_is_in_force_and_other_layers_stay(dataset):
    write_layer(
        dataset, "first", label_table(("a", "Dog", 0), ("c", "Rain", 0.5), ("b", "Dog", 0, 0, 1)), written_by="me"
    )
    write_layer(dataset, "second", label_table(("b", "Dog", 0), ("a", "Dog", 0.25)), parent="first")
    write_layer(dataset, "other", label_table(("b", "Cat", 1)))
    assert dataset.labels("first").counts().tolist() == [1, 1, 1]
    assert dataset.layers() == ["given", "first", "second", "other"]
    np.testing.assert_allclose(
        dataset.labels("first").rows(np.arange(4)), [[0.4, 0, 0], [0, 0.7, 0], [0, 0, 0.5], [1, 0, 0]]
    )
    np.testing.assert_allclose(
        dataset.labels("second").rows(np.arange(4)), [[0.4, 0.25, 0], [0, 0, 0], [0, 0, 0.5], [1, 0, 0]]
    )
    np.testing.assert_allclose(dataset.labels("other").rows(np.arange(2)), [[0.4, 1, 0], [1, 1, 0]])
    np.testing.assert_allclose(dataset.labels("given").rows(np.arange(2)), [[0.4, 1, 0], [0, 1, 0]])
    about = json.loads((dataset.folder / "labels" / "first.json").read_text())
    assert (about["parent"], about["written_by"], about["statements"]) == ("given", "me", 3)


def test_a_layer_can_retract_a_tag_and_place_it_anew(dataset):
    write_layer(dataset, "moved", label_table(("b", "Dog", 0), ("b", "Dog", 0.5, 4, 5)))
    statements = dataset.statements("moved")
    at = (statements.clip_index == 1) & (statements.tag_index == 1)
    assert list(zip(statements.onset[at], statements.offset[at], statements.value[at], strict=True)) == [(4, 5, 0.5)]


@pytest.mark.parametrize(
    ("name", "rows", "parent", "said"),
    [
        ("given", [], "given", 'label layer "given" is there already and layers never change'),
        ("first", [], "given", 'label layer "first" is there already and layers never change'),
        ("a/b", [], "given", 'the name of a layer must be letters, digits, "_", "-" and ".", got "a/b"'),
        ("new", [], "frist", 'there is no label layer "frist"; did you mean "first"?'),
        ("new", [("z", "Dog", 1)], "given", 'new.FORM: row 1: clip must be one of the clip table\'s 4, got "z"'),
        ("new", [("a", "Dgo", 1)], "given", 'tag must be in the vocabulary of 3, got "Dgo"; did you mean "Dog"?'),
    ],
)
def test_layers_that_are_refused(dataset, name, rows, parent, said):
    write_layer(dataset, "first", label_table(("a", "Dog", 0)))
    with pytest.raises(InputError) as caught:
        write_layer(dataset, name, label_table(*rows), parent=parent)
    form = next(dataset.folder.glob("clips.*")).suffix
    assert said.replace(".FORM", form) in str(caught.value)
    assert dataset.layers() == ["given", "first"]


def test_a_truth_layer_is_known_and_no_layer_builds_on_it(dataset):
    write_layer(dataset, "first", label_table(("a", "Dog", 0)))
    write_layer(dataset, "right", label_table(("a", "Cat", 1)), parent="first", role="truth")
    assert [dataset.is_truth(layer) for layer in ("given", "first", "right")] == [False, False, True]
    assert json.loads((dataset.folder / "labels" / "right.json").read_text())["role"] == "truth"
    assert "role" not in json.loads((dataset.folder / "labels" / "first.json").read_text())
    with pytest.raises(InputError, match='"next" must build on labels as they are given, "right" is the truth'):
        write_layer(dataset, "next", label_table(), parent="right")
    assert dataset.layers() == ["given", "first", "right"]
    # Written by hand, it is no less the truth.
    write_layer(dataset, "next", label_table())
    path = dataset.folder / "labels" / "next.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"parent": "right"}))
    assert dataset.is_truth("next")
    assert dataset.layers() == ["given", "first", "right", "next"]
    with pytest.raises(InputError, match='there is no label layer "rihgt"'):
        dataset.is_truth("rihgt")


def test_an_unknown_layer_is_named(dataset):
    with pytest.raises(InputError, match=r'there is no label layer "gven"; did you mean "given"\?'):
        dataset.labels("gven")


def test_a_lost_parent_is_named(dataset):
    write_layer(dataset, "first", label_table())
    write_layer(dataset, "second", label_table(), parent="first")
    (dataset.folder / "labels" / "first.json").unlink()
    with pytest.raises(InputError, match='there is no label layer "first", parent of "second"'):
        dataset.labels("second")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda folder: (folder / "dataset.json").unlink(),
            "must be a data set, got a folder that has no dataset.json",
        ),
        (lambda folder: folder.rename(folder.with_name("x")), "must be a data set, got a folder that does not exist"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "must be JSON with"),
        (lambda folder: (folder / "dataset.json").write_text('{"format": 1}'), "must be JSON with"),
        (
            lambda folder: (folder / "dataset.json").write_text('{"format": 9, "name": "a", "audio_root": "."}'),
            "format must be 1, got 9",
        ),
        (
            lambda folder: next(folder.glob("clips.*")).unlink(),
            "must hold either clips.parquet or clips.csv, holds neither",
        ),
        (lambda folder: (folder / "vocabulary.json").unlink(), "vocabulary.json: cannot be read"),
    ],
)
def test_folders_that_are_no_data_sets(dataset, spoil, said):
    spoil(dataset.folder)
    with pytest.raises(InputError, match="set") as caught:
        open_dataset(dataset.folder)
    assert said in str(caught.value)


def test_a_data_set_is_not_written_over_another(dataset, tmp_path):
    with pytest.raises(InputError, match="a data set is there already"):
        write_dataset(
            dataset.folder, name="x", clips=clip_table(), labels=label_table(), vocabulary=TAGS, audio_root=tmp_path
        )


def test_an_unknown_column_is_named(dataset):
    with pytest.raises(InputError, match=r'unknown column "folds" of the clip table; did you mean "fold"\?'):
        dataset.column("folds")


def test_groups_are_numbered(tmp_path):
    clips = clip_table(group=["x", "y", None, "x"])
    made = write_dataset(
        tmp_path / "set", name="set", clips=clips, labels=label_table(), vocabulary=TAGS, audio_root=tmp_path
    )
    assert made.groups().tolist() == [0, 1, 2, 0]


def test_a_diff_says_what_was_added_removed_and_changed(dataset):
    rows = [("a", "Dog", 0), ("a", "Cat", 0.5), ("c", "Rain", 1), ("b", "Dog", 1, 5, 6), ("b", "Dog", 0, 2, 3)]
    write_layer(dataset, "first", label_table(*rows, ("b", "Dog", 1, 0, 1)))
    diff = diff_layers(dataset, "given", "first")
    said = [tuple(row.values()) for row in diff.rows.to_pylist()]
    assert [(*row[:4], row[6]) for row in said] == [
        ("a", "Cat", None, None, "changed"),
        ("a", "Dog", None, None, "removed"),
        ("b", "Dog", 2.0, 3.0, "removed"),
        ("b", "Dog", 5.0, 6.0, "added"),
        ("c", "Rain", None, None, "added"),
    ]
    assert [row[4] for row in said] == pytest.approx([0.4, 1, 0.7, None, None])
    assert [row[5] for row in said] == pytest.approx([0.5, None, None, 1, 1])
    assert diff.counts == {"added": 2, "removed": 2, "changed": 1, "left": 2}
    assert diff.per_tag.to_pylist()[1] == {"tag": "Dog", "added": 1, "removed": 2, "changed": 0, "left": 1}
    assert diff_layers(dataset, "first", "given").counts == {"added": 2, "removed": 2, "changed": 1, "left": 2}
    assert diff_layers(dataset, "first", "first").rows.num_rows == 0


TIMES = st.sampled_from([(None, None), (0.0, 1.0), (0.0, 2.0), (1.0, 2.0)])
STATEMENT = st.tuples(st.sampled_from(NAMES), st.sampled_from(TAGS.tags), TIMES)
LAYER = st.dictionaries(STATEMENT, st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=12)


def plainly_in_force(layers):
    """What holds after all layers, a statement at a time."""
    holds = {}
    for layer in layers:
        for (clip, tag, times), value in layer.items():
            if value == 0 and times == (None, None):
                holds = {said: held for said, held in holds.items() if said[:2] != (clip, tag)}
        for said, value in layer.items():
            holds[said] = value
    return {said: value for said, value in holds.items() if value > 0}


@settings(max_examples=150)
@given(st.lists(LAYER, min_size=1, max_size=4))
def test_labels_in_force_against_a_plain_loop(layers):
    clips = clip_table()
    tables = [
        label_table(*[(clip, tag, value, *times) for (clip, tag, times), value in layer.items()]) for layer in layers
    ]
    statements = in_force([statements_from(table, clips, TAGS) for table in tables], len(TAGS))
    expected = plainly_in_force(layers)
    found = {}
    for clip, tag, onset, offset, value in zip(
        statements.clip_index, statements.tag_index, statements.onset, statements.offset, statements.value, strict=True
    ):
        times = (None, None) if onset < 0 else (onset, offset)
        found[NAMES[clip], TAGS.tags[tag], times] = value
    assert len(found) == len(statements)
    assert found == expected
    dense = clip_labels_from(statements, np.ones(4, np.float32), np.ones(3, np.float32)).rows(np.arange(4))
    for row, clip in enumerate(NAMES):
        for column, tag in enumerate(TAGS):
            values = [
                value for (said_clip, said_tag, _), value in expected.items() if (said_clip, said_tag) == (clip, tag)
            ]
            assert dense[row, column] == max(values, default=0)
