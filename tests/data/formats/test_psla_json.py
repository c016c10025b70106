import json

import pytest

from earmark.data.formats import psla_json
from tests.data.formats.trees import paths_of, refused, tags_by_clip, write

CLASSES = (
    "index,mid,display_name\n"
    "0,/m/09x0r,Speech\n"
    '1,/m/05zppz,"Male speech, man speaking"\n'
    "2,/m/0bt9lr,Dog\n"
    "3,/m/028v0c,Silence\n"
)


def list_of(root, *entries, name="train_data.json", classes=None, audio=()):
    data = [{"wav": str(wav), "labels": labels} for wav, labels in entries]
    tables = {name: json.dumps({"data": data}, indent=1)}
    if classes is not None:
        tables["class_labels_indices.csv"] = classes
    return write(root, tables, audio) / name


def test_a_list_from_another_machine(tmp_path):
    source = list_of(
        tmp_path,
        ("/data/sls/audioset/bal/Y-a_b_30.000.wav", "/m/0bt9lr,/m/09x0r"),
        ("/data/sls/audioset/bal/b.wav", "/m/05zppz"),
        ("/data/sls/audioset/gone.wav", "/m/0bt9lr,/m/zzz"),
        ("/data/sls/audioset/none.wav", ""),
        classes=CLASSES,
        audio=["wavs/Y-a_b_30.000.wav", "wavs/b.flac", "none.wav", "other.wav"],
    )
    imported = psla_json.read(source)
    assert imported.clips.select(["clip", "path", "split", "labelled"]).to_pydict() == {
        "clip": ["bal/Y-a_b_30.000", "bal/b", "gone", "none"],
        "path": ["wavs/Y-a_b_30.000.wav", "wavs/b.flac", "/data/sls/audioset/gone.wav", "none.wav"],
        "split": ["train"] * 4,
        "labelled": ["weak"] * 4,
    }
    assert imported.clips["group"] == imported.clips["path"]
    assert tags_by_clip(imported) == {
        "bal/Y-a_b_30.000": ["Speech", "Dog"],
        "bal/b": ["Male speech, man speaking"],
        "gone": ["Dog"],
        "none": [],
    }
    assert imported.vocabulary.tags == ("Speech", "Male speech, man speaking", "Dog", "Silence")
    assert imported.vocabulary.ids == ("/m/09x0r", "/m/05zppz", "/m/0bt9lr", "/m/028v0c")
    assert imported.audio_root == tmp_path
    assert imported.problems == ()
    assert imported.not_annotated == ()
    assert imported.notes == (
        "split train, which the list's name tells",
        "tags are the display names in class_labels_indices.csv",
        "left out: 1 label whose tags are not in the vocabulary (first: /m/zzz)",
        "1 entries name no tag: their clips count as having none of the tags",
        "3 files are not where the list says and found by name",
        "left out: 1 audio file that no table names (first: other.wav)",
    )


def test_files_that_are_where_the_list_says(tmp_path):
    audio = ["lists/a/x.wav", "lists/b/x.wav", "y.wav", "far/z.wav"]
    list_of(tmp_path, audio=audio)
    source = list_of(
        tmp_path / "lists",
        ("a/x.wav", "/m/0bt9lr"),
        (tmp_path / "lists/b/x.wav", "/m/0bt9lr"),
        ("../y.wav", "/m/0bt9lr"),
        (tmp_path / "far/z.wav", "/m/0bt9lr"),
        name="list.json",
    )
    imported = psla_json.read(source)
    assert imported.clips["path"].to_pylist() == ["a/x.wav", "b/x.wav", "../y.wav", str(tmp_path / "far/z.wav")]
    assert len(set(imported.clips["clip"].to_pylist())) == 4
    assert imported.clips["split"].null_count == 4
    assert imported.notes == (
        "no split: the list's name tells none",
        "tags are the display names in the ontology of AudioSet",
    )


def test_of_several_files_of_a_name_the_most_alike_folder_counts(tmp_path):
    source = list_of(
        tmp_path,
        ("/old/set/train/x.wav", "/m/0bt9lr"),
        ("/old/set/eval/x.wav", "/m/0bt9lr"),
        ("/old/set/more/x.wav", "/m/0bt9lr"),
        audio=["here/train/x.wav", "here/eval/x.wav"],
    )
    imported = psla_json.read(source)
    assert paths_of(imported) == {
        "train/x": "here/train/x.wav",
        "eval/x": "here/eval/x.wav",
        "more/x": "/old/set/more/x.wav",
    }
    assert [(found.path, found.clip, found.kind, found.detail) for found in imported.problems] == [
        ("/old/set/more/x.wav", "more/x", "unclear", "2 files are called so: here/eval/x.wav, here/train/x.wav")
    ]


def test_two_entries_never_share_a_file_that_was_found_by_its_name(tmp_path):
    source = list_of(tmp_path, ("/old/a/x.wav", "/m/0bt9lr"), ("/old/b/x.wav", "/m/09x0r"), audio=["x.wav"])
    imported = psla_json.read(source)
    assert imported.clips["path"].to_pylist() == ["/old/a/x.wav", "/old/b/x.wav"]
    assert [found.detail for found in imported.problems] == ["2 entries fit x.wav"] * 2
    source = list_of(tmp_path, ("/old/a/x.wav", "/m/0bt9lr"), ("x.wav", "/m/09x0r"))
    imported = psla_json.read(source)
    assert imported.clips["path"].to_pylist() == ["/old/a/x.wav", "x.wav"]
    assert [(found.path, found.detail) for found in imported.problems] == [("/old/a/x.wav", "2 entries fit x.wav")]


def test_a_file_named_twice_has_the_tags_of_both(tmp_path):
    source = list_of(tmp_path, ("x.wav", "/m/0bt9lr"), ("y.wav", "/m/0bt9lr"), ("./x.wav", "/m/09x0r"), audio=["x.wav"])
    imported = psla_json.read(source)
    assert tags_by_clip(imported) == {"x": ["Dog", "Speech"], "y": ["Dog"]}
    assert "1 entries name a file again; its tags are joined" in imported.notes


def test_names_for_mids_and_commas_in_names(tmp_path):
    source = list_of(
        tmp_path,
        ("x.wav", "Dog,Male speech, man speaking,/m/09x0r"),
        ("y.wav", "Male speech, man speaking, Nobody ,Dog"),
        ("z.wav", "Male speech"),
        classes=CLASSES,
    )
    imported = psla_json.read(source)
    assert tags_by_clip(imported) == {
        "x": ["Speech", "Male speech, man speaking", "Dog"],
        "y": ["Male speech, man speaking", "Dog"],
        "z": [],
    }
    assert "left out: 2 labels whose tags are not in the vocabulary (first: Nobody, Male speech)" in imported.notes


def test_of_names_that_begin_alike_the_longest_is_meant(tmp_path):
    classes = 'index,mid,display_name\n0,/m/1,Speech\n1,/m/2,"Speech, far"\n2,/m/3,"far, near"\n'
    imported = psla_json.read(
        list_of(tmp_path, ("x.wav", "Speech,far, near"), ("y.wav", "Speech, far, near"), classes=classes)
    )
    assert tags_by_clip(imported) == {"x": ["Speech", "far, near"], "y": ["Speech, far"]}


def test_names_without_a_class_list(tmp_path):
    imported = psla_json.read(list_of(tmp_path, ("x.wav", "rain, dog"), ("y.wav", "dog")))
    assert imported.vocabulary.tags == ("dog", "rain")
    assert imported.vocabulary.ids is None
    assert tags_by_clip(imported) == {"x": ["dog", "rain"], "y": ["dog"]}
    assert imported.notes[1] == (
        "no class_labels_indices.csv beside the list: labels are taken as names of tags, separated by commas"
    )


def test_the_class_list_may_lie_in_the_folder_above(tmp_path):
    list_of(tmp_path, classes=CLASSES)
    imported = psla_json.read(list_of(tmp_path / "datafiles", ("x.wav", "/m/0bt9lr")))
    assert imported.vocabulary.tags[-1] == "Silence"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("balanced_train_data.json", "train"),
        ("fsd50k_tr_full.json", "train"),
        ("fsd50k_val_full.json", "validation"),
        ("speechcommand_valid_data.json", "validation"),
        ("esc_eval_data_1.json", "test"),
        ("Test.JSON", "test"),
        ("constrained_data.json", None),
        ("train_and_eval.json", None),
        ("data.json", None),
    ],
)
def test_the_split_is_read_from_the_name(tmp_path, name, split):
    assert psla_json.read(list_of(tmp_path, ("x.wav", "a"), name=name)).clips["split"].to_pylist() == [split]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"data": [\n{"wav": "a" "labels": "b"}]}',
            ":2: must be JSON, found something else (expecting ',' delimiter)",
        ),
        ('["data", "wav"]', ': must be like {"data": [{"wav": PATH, "labels": "mid,mid"}]}, found no list "data"'),
        (
            '{"data": [{"wav": "a", "labels": "b"}, {"wav": "a"}, {"wav": " ", "labels": "b"}, "wav"]}',
            ': every entry of "data" must have a path "wav" and a text "labels", found {"wav": "a"}; '
            "so in 3 of 4 entries (number 2, 3, 4, counted from 1)",
        ),
        (
            '{"data": [{"wav": "a", "labels": ["b"]}]}',
            ': every entry of "data" must have a path "wav" and a text "labels", found {"wav": "a", "labels": ["b"]}; '
            "so in 1 of 1 entries (number 1, counted from 1)",
        ),
    ],
)
def test_a_list_that_does_not_hold_is_refused(tmp_path, text, said):
    (tmp_path / "list.json").write_text(text)
    assert refused(psla_json.read, tmp_path / "list.json") == f"{tmp_path}/list.json{said}"


def test_what_else_entries_tell_is_said(tmp_path):
    (tmp_path / "list.json").write_text('{"data": [{"wav": "a", "labels": "b", "id": 3, "text": ""}]}')
    assert "keys not read: id, text" in psla_json.read(tmp_path / "list.json").notes
    (tmp_path / "list.json").write_text('{"data": []}')
    assert psla_json.read(tmp_path / "list.json").clips.num_rows == 0


def test_where_the_layout_is_found(tmp_path):
    assert psla_json.is_at(list_of(tmp_path, ("a.wav", "b")))
    (tmp_path / "other.json").write_text('{"data": [{"file": 1}]}')
    (tmp_path / "odd.json").mkdir()
    (tmp_path / "list.csv").write_text('"data","wav"')
    assert not any(psla_json.is_at(tmp_path / name) for name in ("other.json", "odd.json", "list.csv", "none.json", ""))
    assert refused(psla_json.read, tmp_path) == f"{tmp_path}: layout psla-json is a file, found a folder"
