import pytest

from earmark.data.formats import audioset
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA
from tests.data.formats.trees import paths_of, refused, tags_by_clip, tree, write

HEADER = (
    "# Segments csv created Sun Mar  5 10:54:31 2017\n"
    "# num_ytids=3, num_segs=3, num_unique_labels=4, num_positive_labels=5\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
)
BALANCED = HEADER + (
    '--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/0bt9lr"\n'
    '-0RWZT-miFs, 420.000, 430.000, "/m/05zppz"\n'
    '_b_c-D_12_3, 30.000, 40.000, "/m/0bt9lr"\n'
)
EVAL = HEADER + '0123456789a, 30.500, 36.500, "/m/068hy"\n'
CLASSES = (
    "index,mid,display_name\n"
    '0,/m/05zppz,"Male speech, man speaking"\n'
    "1,/m/0bt9lr,Dog\n"
    '2,/m/068hy,"Domestic animals, pets"\n'
)


def lists(root, **texts):
    """Tables by their paths without `.csv`."""
    return write(root, {f"{name}.csv": text for name, text in texts.items()})


def published(root):
    return lists(root, balanced_train_segments=BALANCED, eval_segments=EVAL, class_labels_indices=CLASSES)


def test_the_published_lists(tmp_path):
    tree(published(tmp_path), "--4gqARaEJE.wav", "Y-0RWZT-miFs.flac", "eval/Y0123456789a.m4a", "more.wav")
    imported = audioset.read(tmp_path)
    assert imported.clips.schema == CLIP_SCHEMA
    assert imported.labels.schema == LABEL_SCHEMA
    assert imported.clips.select(["clip", "path", "split", "group", "labelled"]).to_pylist() == [
        dict(zip(("clip", "path", "split", "group", "labelled"), row, strict=True))
        for row in (
            ("--4gqARaEJE_0", "--4gqARaEJE.wav", "train", "--4gqARaEJE", "weak"),
            ("-0RWZT-miFs_420000", "Y-0RWZT-miFs.flac", "train", "-0RWZT-miFs", "weak"),
            ("_b_c-D_12_3_30000", "_b_c-D_12_3", "train", "_b_c-D_12_3", "weak"),
            ("0123456789a_30500", "eval/Y0123456789a.m4a", "test", "0123456789a", "weak"),
        )
    ]
    for name in ("onset", "offset", "fold", "verified", "duration_s"):
        assert imported.clips[name].null_count == 4
    assert tags_by_clip(imported) == {
        "--4gqARaEJE_0": ["Dog", "Domestic animals, pets"],
        "-0RWZT-miFs_420000": ["Male speech, man speaking"],
        "_b_c-D_12_3_30000": ["Dog"],
        "0123456789a_30500": ["Domestic animals, pets"],
    }
    assert imported.labels["onset"].null_count == 5
    assert imported.vocabulary.tags == ("Male speech, man speaking", "Dog", "Domestic animals, pets")
    assert imported.vocabulary.ids == ("/m/05zppz", "/m/0bt9lr", "/m/068hy")
    assert imported.audio_root == tmp_path
    assert imported.problems == ()
    assert imported.not_annotated == ()
    assert imported.notes == (
        "read: balanced_train_segments.csv, 3 segments, split train",
        "read: eval_segments.csv, 1 segment, split test",
        "tags are the display names in class_labels_indices.csv",
        "audio files are taken to be cut to their segments already: the times in the tables only help to find them",
        "left out: 1 audio file that no table names (first: more.wav)",
    )


@pytest.mark.parametrize("prefix", ["", "Y"])
@pytest.mark.parametrize("rest", ["", "_30.000_40.000", "_30.0_40.0", "_30_40", "_30000_40000", "_30000"])
@pytest.mark.parametrize("suffix", [".wav", ".FLAC"])
def test_what_audio_may_be_called(tmp_path, prefix, rest, suffix):
    lists(tmp_path, balanced_train_segments=BALANCED)
    path = f"audio/train/{prefix}_b_c-D_12_3{rest}{suffix}"
    tree(tmp_path, path)
    assert paths_of(audioset.read(tmp_path))["_b_c-D_12_3_30000"] == path


@pytest.mark.parametrize("rest", ["_30.500_36.500", "_30.5_36.5", "_30500_36500", "_30500"])
def test_starts_between_seconds(tmp_path, rest):
    lists(tmp_path, eval_segments=EVAL)
    tree(tmp_path, f"Y0123456789a{rest}.wav", "Y0123456789a_31_41.wav", "Y0123456789a_30_40.wav")
    assert paths_of(audioset.read(tmp_path)) == {"0123456789a_30500": f"Y0123456789a{rest}.wav"}


def test_the_folder_of_its_own_list_comes_first(tmp_path):
    tree(published(tmp_path), "old/0123456789a.wav", "train/0123456789a.wav", "eval/0123456789a.wav")
    tree(tmp_path, "a/--4gqARaEJE.wav", "b/--4gqARaEJE.flac")
    imported = audioset.read(tmp_path)
    assert paths_of(imported)["0123456789a_30500"] == "eval/0123456789a.wav"
    assert [(found.path, found.clip, found.kind, found.detail) for found in imported.problems] == [
        ("--4gqARaEJE", "--4gqARaEJE_0", "unclear", "2 files are called so: a/--4gqARaEJE.wav, b/--4gqARaEJE.flac")
    ]
    assert "left out: 4 audio files that no table names (first: a/--4gqARaEJE.wav)" in imported.notes


def test_a_file_called_by_id_alone_is_not_guessed_to_be_one_of_two_segments(tmp_path):
    text = HEADER + 'abc, 0.000, 10.000, "/m/068hy"\nabc, 30.000, 40.000, "/m/068hy"\nabd, 0.000, 10.000, "/m/068hy"\n'
    tree(lists(tmp_path, eval_segments=text), "abc.wav", "abc_30000.wav", "abd.wav")
    imported = audioset.read(tmp_path)
    assert paths_of(imported) == {"abc_0": "abc", "abc_30000": "abc_30000.wav", "abd_0": "abd.wav"}
    assert imported.clips["group"].to_pylist() == ["abc", "abc", "abd"]
    assert [(found.clip, found.detail) for found in imported.problems] == [
        ("abc_0", "abc.wav may be any segment of this id; add the start in ms to its name")
    ]


def test_without_a_class_list_tags_are_named_by_the_ontology(tmp_path):
    lists(tmp_path, eval_segments=HEADER + 'abc, 0.000, 10.000, "/m/09x0r,/m/0bt9lr,/m/not_there"\n')
    imported = audioset.read(tmp_path)
    assert imported.vocabulary.tags == ("/m/not_there", "Dog", "Speech")
    assert imported.vocabulary.ids == ("/m/not_there", "/m/0bt9lr", "/m/09x0r")
    assert imported.notes[1:3] == (
        "tags are the display names in the ontology of AudioSet",
        "tags without a display name are their mids: /m/not_there",
    )


def test_the_class_list_is_the_vocabulary_in_its_own_order(tmp_path):
    classes = "index,mid,display_name\n2,/m/c,Bark\n0,/m/a,Bark\n1,/m/b,Howl\n3,/m/d,Yip\n"
    text = HEADER + 'abc, 0.000, 10.000, "/m/c,/m/y,/m/b"\nabd, 0.000, 10.000, "/m/x,/m/y"\n'
    imported = audioset.read(lists(tmp_path, eval_segments=text, **{"deep/er/class_labels_indices": classes}))
    assert imported.vocabulary.tags == ("Bark (/m/a)", "Howl", "Bark (/m/c)", "Yip")
    assert tags_by_clip(imported) == {"abc_0": ["Howl", "Bark (/m/c)"], "abd_0": []}
    assert imported.notes[2:4] == (
        "tags that share a display name carry their mid: Bark (/m/a), Bark (/m/c)",
        "left out: 3 labels whose tags are not in the vocabulary (first: /m/y, /m/x)",
    )


def test_a_list_alone_and_lists_in_folders(tmp_path):
    lists(tmp_path, **{"csv/unbalanced_train_segments": BALANCED, "my_segments": EVAL})
    tree(tmp_path, "--4gqARaEJE.wav", "0123456789a.wav")
    assert audioset.read(tmp_path).notes[0] == "read: csv/unbalanced_train_segments.csv, 3 segments, split train"
    alone = audioset.read(tmp_path / "my_segments.csv")
    assert alone.audio_root == tmp_path
    assert alone.clips["split"].null_count == 1
    assert paths_of(alone) == {"0123456789a_30500": "0123456789a.wav"}
    assert alone.notes[0] == "read: my_segments.csv, 1 segment, no split told by its name"


def test_lines_that_people_write(tmp_path):
    text = (
        "\ufeff# YTID, start_seconds, end_seconds, positive_labels\r\n"
        "YTID, start_seconds, end_seconds, positive_labels\r\n"
        'abc,30,40,"/m/09x0r, /m/0bt9lr"\r\n'
        "\r\n"
        "abd,30.0,40.0,/m/09x0r\r\n"
        'abe, 0.000, 10.000, ""\r\n'
        "abc, 30.000, 40.000, /m/068hy"
    )
    imported = audioset.read(lists(tmp_path, eval_segments=text))
    assert tags_by_clip(imported) == {
        "abc_30000": ["Dog", "Domestic animals, pets", "Speech"],
        "abd_30000": ["Speech"],
        "abe_0": [],
    }
    assert imported.notes[2:4] == (
        "1 line names a segment again; its tags are joined",
        "1 line names no tag: their clips count as having none of the tags",
    )


def test_lists_without_segments(tmp_path):
    imported = audioset.read(lists(tmp_path, eval_segments=HEADER))
    assert (imported.clips.num_rows, imported.labels.num_rows, imported.vocabulary.tags) == (0, 0, ())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "abc, 0, 10, /m/09x0r,/m/068hy",
            'a line must be like `id, 30.000, 40.000, "/m/09x0r,/m/04rlf"`, found `abc, 0, 10, /m/09x0r,/m/068hy`',
        ),
        (
            'abc, 0.000, "/m/09x0r"',
            'a line must be like `id, 30.000, 40.000, "/m/09x0r,/m/04rlf"`, found `abc, 0.000, "/m/09x0r"`',
        ),
        ('abc, zero, 10.000, "/m/09x0r"', 'start must be a number, got "zero"'),
        ('abc, 0.000, 1e999, "/m/09x0r"', "end must be finite, got inf"),
        ('abc, -1.000, 10.000, "/m/09x0r"', "start must be 0 or later, got -1.0"),
        ('abc, 10.000, 10.000, "/m/09x0r"', "end must be after start, got start 10.0, end 10.0"),
    ],
)
def test_a_line_that_does_not_hold_is_refused(tmp_path, line, said):
    lists(tmp_path, eval_segments=f'{EVAL}\n{line}\nabd, 0.000, 10.000, "/m/09x0r"\n{line}\n')
    where = f"{tmp_path}/eval_segments.csv:6"
    assert refused(audioset.read, tmp_path) == f"{where}: {said}; 2 such rows, the next on line 8"


def test_a_segment_is_in_one_split(tmp_path):
    lists(
        tmp_path, balanced_train_segments=BALANCED, eval_segments=EVAL + '-0RWZT-miFs, 420.000, 430.000, "/m/068hy"\n'
    )
    assert refused(audioset.read, tmp_path) == (
        f"{tmp_path}/eval_segments.csv:5: a segment must be in one split, found it in balanced_train_segments.csv too"
        ' (clip "-0RWZT-miFs_420000")'
    )


def test_a_segment_in_both_training_lists_is_one_clip(tmp_path):
    lists(tmp_path, balanced_train_segments=BALANCED, unbalanced_train_segments=HEADER + 'c, 0, 10, "/m/1"\n')
    (tmp_path / "unbalanced_train_segments.csv").write_text(BALANCED.replace("/m/05zppz", "/m/068hy"))
    imported = audioset.read(tmp_path)
    assert imported.clips.num_rows == 3
    assert tags_by_clip(imported)["-0RWZT-miFs_420000"] == ["Domestic animals, pets", "Male speech, man speaking"]
    assert "3 lines name a segment again; its tags are joined" in imported.notes


def test_class_lists_that_do_not_hold_are_refused(tmp_path):
    lists(tmp_path, eval_segments=EVAL)
    path = tmp_path / "class_labels_indices.csv"
    path.write_text("index,mid,display_name\n0,/m/a,A\n1,/m/b,B\n2,/m/a,C\n")
    assert refused(audioset.read, tmp_path) == f'{path}:4: mid must stand once, got "/m/a" again, first at line 2'
    path.write_text("index,mid,name\n0,/m/a,A\n")
    assert refused(audioset.read, tmp_path) == (
        f"{path}:1: columns mid, display_name are required, display_name not found; there are index, mid, name"
    )


def test_files_that_are_no_text_and_folders_without_lists_are_refused(tmp_path):
    assert refused(audioset.read, tmp_path) == (
        f"{tmp_path}: must hold one of balanced_train_segments.csv, unbalanced_train_segments.csv, "
        "validation_segments.csv, eval_segments.csv, found none of them"
    )
    (tmp_path / "eval_segments.csv").write_bytes(HEADER.encode() + b'abc, 0, 10, "\xe9"\n')
    assert (
        refused(audioset.read, tmp_path) == f"{tmp_path}/eval_segments.csv:4: the file must be UTF-8, found byte 0xe9"
    )


def test_where_the_layout_is_found(tmp_path):
    assert not audioset.is_at(tree(tmp_path, "a/eval_segments.csv.wav"))
    lists(tmp_path, **{"deep/in/unbalanced_train_segments": BALANCED, "my": EVAL, "other": "path,tags\na,b\n"})
    assert audioset.is_at(tmp_path)
    assert audioset.is_at(tmp_path / "my.csv")
    assert not audioset.is_at(tmp_path / "other.csv")
    assert not audioset.is_at(tmp_path / "a")


def test_a_split_is_told_by_a_whole_word_of_the_name(tmp_path):
    (tmp_path / "retrained_segments.csv").write_text('# YTID\nabc, 0, 10, "/m/09x0r"\n')
    imported = audioset.read(tmp_path / "retrained_segments.csv")
    assert imported.clips["split"].to_pylist() == [None]
