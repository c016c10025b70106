import pytest

from earmark.data.formats import audioset, audioset_strong
from tests.data.formats.trees import refused, write

HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
TRAIN = HEADER + (
    "-a_b-C_12_3_30000\t0.000\t2.627\t/m/0bt9lr\n"
    "-a_b-C_12_3_30000\t2.627\t7.237\t/m/053hz1\n"
    "-a_b-C_12_3_30000\t5.000\t5.500\t/m/0bt9lr\n"
    "s9d-2nhuJCQ_0\t0.000\t10.000\t/t/dd00077\n"
)
EVAL = HEADER + "eeeeeeeeeee_470000\t1.500\t1.750\t/m/0bt9lr\n"
NAMES = "/m/0bt9lr\tDog\n/m/053hz1\tCheering\n/t/dd00077\tMechanisms\n/m/09x0r\tSpeech\n"
CLASSES = 'index,mid,display_name\n0,/m/09x0r,Speech\n1,/m/0bt9lr,"Dog, dogs"\n2,/m/053hz1,Cheering\n'


def published(root, train=TRAIN, evaluation=EVAL, names=NAMES, classes=None, audio=()):
    texts = {
        "audioset_train_strong.tsv": train,
        "audioset_eval_strong.tsv": evaluation,
        "mid_to_display_name.tsv": names,
        "class_labels_indices.csv": classes,
    }
    return write(root, {name: text for name, text in texts.items() if text is not None}, audio)


def test_the_published_tables(tmp_path):
    audio = ("train/-a_b-C_12_3.wav", "eval/Yeeeeeeeeeee_470.000_476.000.flac", "eval/Y-a_b-C_12_3.wav")
    imported = audioset_strong.read(published(tmp_path, audio=audio))
    assert imported.clips.select(["clip", "path", "split", "group", "labelled"]).to_pydict() == {
        "clip": ["-a_b-C_12_3_30000", "s9d-2nhuJCQ_0", "eeeeeeeeeee_470000"],
        "path": ["train/-a_b-C_12_3.wav", "s9d-2nhuJCQ", "eval/Yeeeeeeeeeee_470.000_476.000.flac"],
        "split": ["train", "train", "test"],
        "group": ["-a_b-C_12_3", "s9d-2nhuJCQ", "eeeeeeeeeee"],
        "labelled": ["strong", "strong", "strong"],
    }
    assert imported.clips["onset"].null_count == imported.clips["offset"].null_count == 3
    assert imported.labels.select(["clip", "tag", "onset", "offset"]).to_pydict() == {
        "clip": ["-a_b-C_12_3_30000"] * 3 + ["s9d-2nhuJCQ_0", "eeeeeeeeeee_470000"],
        "tag": ["Dog", "Dog", "Cheering", "Mechanisms", "Dog"],
        "onset": [0.0, 5.0, 2.627, 0.0, 1.5],
        "offset": [2.627, 5.5, 7.237, 10.0, 1.75],
    }
    assert imported.vocabulary.tags == ("Dog", "Cheering", "Mechanisms", "Speech")
    assert imported.vocabulary.ids == ("/m/0bt9lr", "/m/053hz1", "/t/dd00077", "/m/09x0r")
    assert imported.not_annotated == ("Speech",)
    assert imported.problems == ()
    assert imported.notes == (
        "read: audioset_train_strong.tsv, 2 segments, split train",
        "read: audioset_eval_strong.tsv, 1 segment, split test",
        "tags are the display names in mid_to_display_name.tsv",
        "not annotated, in no strong table: 1 tag: Speech",
        "audio files are taken to be cut to their segments already: the times in the tables only help to find them",
        "left out: 1 audio file that no table names (first: eval/Y-a_b-C_12_3.wav)",
    )


def test_a_class_list_is_the_vocabulary(tmp_path):
    imported = audioset_strong.read(published(tmp_path, classes=CLASSES))
    assert imported.vocabulary.tags == ("Speech", "Dog, dogs", "Cheering")
    assert imported.labels["tag"].to_pylist() == ["Dog, dogs", "Dog, dogs", "Cheering", "Dog, dogs"]
    # Its only label is outside the vocabulary; it was listened to all the same.
    assert "s9d-2nhuJCQ_0" in imported.clips["clip"].to_pylist()
    assert imported.not_annotated == ("Speech",)
    assert imported.notes[2:5] == (
        "tags are the display names in class_labels_indices.csv",
        "left out: 1 label whose tags are not in the vocabulary (first: /t/dd00077)",
        "not annotated, in no strong table: 1 tag: Speech",
    )


def test_mids_that_the_display_names_lack_follow_by_the_ontology_names(tmp_path):
    names = "\ufeff/m/053hz1\tCheer\r\n\r\n"
    imported = audioset_strong.read(published(tmp_path, evaluation=EVAL.replace("/m/0bt9lr", "/m/zzz"), names=names))
    assert imported.vocabulary.tags == ("Cheer", "/m/zzz", "Dog", "Mechanisms")
    assert imported.not_annotated == ()
    assert "tags without a display name are their mids: /m/zzz" in imported.notes


def test_a_table_alone_without_names(tmp_path):
    published(tmp_path, names=None, audio=["Yeeeeeeeeeee.wav"])
    imported = audioset_strong.read(tmp_path / "audioset_eval_strong.tsv")
    assert imported.clips.select(["clip", "path", "split"]).to_pylist() == [
        {"clip": "eeeeeeeeeee_470000", "path": "Yeeeeeeeeeee.wav", "split": "test"}
    ]
    assert imported.vocabulary.tags == ("Dog",)
    assert imported.notes[1] == "tags are the display names in the ontology of AudioSet"


def test_events_without_length_are_left_out_and_the_framed_table_is_not_read(tmp_path):
    more = "s9d-2nhuJCQ_0\t4.000\t4.000\t/m/0bt9lr\ns9d-2nhuJCQ_0\t5.000\t4.000\t/m/0bt9lr\n"
    published(tmp_path, train=TRAIN + more + "ddddddddddd_0\t1.000\t1.000\t/m/0bt9lr\n")
    framed = tmp_path / "audioset_eval_strong_framed_posneg.tsv"
    framed.write_text(HEADER.replace("label", "label\tpresent") + "s9d-2nhuJCQ_0\t0.960\t1.920\t/m/04rlf\tPRESENT\n")
    imported = audioset_strong.read(tmp_path)
    assert imported.labels.num_rows == 5
    assert imported.clips.num_rows == 4
    assert "left out: 3 labels without an end after the start (first: in clip s9d-2nhuJCQ_0)" in imported.notes
    assert (
        "not read: audioset_eval_strong_framed_posneg.tsv, which labels frames of 0.96 s, not events" in imported.notes
    )
    assert not audioset_strong.is_at(framed)
    assert refused(audioset_strong.read, framed).startswith(f'{framed}:1: unknown column "present"')


def test_the_same_event_twice_is_one_statement(tmp_path):
    imported = audioset_strong.read(published(tmp_path, evaluation=EVAL + EVAL.removeprefix(HEADER)))
    assert imported.labels["clip"].to_pylist().count("eeeeeeeeeee_470000") == 1


def test_clips_are_called_as_in_the_weak_lists(tmp_path):
    published(tmp_path / "strong")
    weak = '# YTID, start_seconds, end_seconds, positive_labels\n-a_b-C_12_3, 30.000, 40.000, "/m/0bt9lr"\n'
    (tmp_path / "balanced_train_segments.csv").write_text(weak)
    of_weak, of_strong = (reader.read(tmp_path).clips.to_pylist()[0] for reader in (audioset, audioset_strong))
    assert of_weak == {**of_strong, "labelled": "weak"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("abc\t0.0\t1.0\t/m/0bt9lr", "segment_id must be like `id_30000` (start in ms), got `abc`"),
        ("abc_1.5\t0.0\t1.0\t/m/0bt9lr", "segment_id must be like `id_30000` (start in ms), got `abc_1.5`"),
        ("\t0.0\t1.0\t/m/0bt9lr", "segment_id must not be empty"),
        ("abc_0\t-0.5\t1.0\t/m/0bt9lr", "start_time_seconds must be 0 or later, got -0.5"),
        ("abc_0\t\t1.0\t/m/0bt9lr", "start_time_seconds must not be empty"),
        ("abc_0\t0.5\t\t/m/0bt9lr", "end_time_seconds must not be empty"),
        ("abc_0\t0.5\t1,5\t/m/0bt9lr", 'end_time_seconds must be a number, got "1,5"'),
        ("abc_0\t0.5\t1.5\t", "label must not be empty"),
    ],
)
def test_a_row_that_does_not_hold_is_refused(tmp_path, row, said):
    published(tmp_path, evaluation=f"{EVAL}{row}\n")
    assert refused(audioset_strong.read, tmp_path) == f"{tmp_path}/audioset_eval_strong.tsv:3: {said}"


def test_a_segment_is_in_one_split(tmp_path):
    published(tmp_path, evaluation=EVAL + "s9d-2nhuJCQ_0\t0.000\t10.000\t/t/dd00077\n")
    assert refused(audioset_strong.read, tmp_path) == (
        f"{tmp_path}/audioset_eval_strong.tsv:3: a segment must be in one split, found it in audioset_train_strong.tsv "
        'too (clip "s9d-2nhuJCQ_0")'
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("/m/0bt9lr\tDog\n/m/1 Cheer\n", 'a line must be a mid, a tab and a display name, found "/m/1 Cheer"'),
        ("/m/0bt9lr\tDog\n/m/0bt9lr\tHound\n", 'mid must stand once, got "/m/0bt9lr" again'),
    ],
)
def test_display_names_that_do_not_hold_are_refused(tmp_path, names, said):
    assert (
        refused(audioset_strong.read, published(tmp_path, names=names))
        == f"{tmp_path}/mid_to_display_name.tsv:2: {said}"
    )


def test_where_the_layout_is_found(tmp_path):
    assert not audioset_strong.is_at(tmp_path)
    assert refused(audioset_strong.read, tmp_path) == (
        f"{tmp_path}: must hold one of audioset_train_strong.tsv, audioset_eval_strong.tsv, found none of them"
    )
    published(tmp_path / "deep" / "in")
    assert audioset_strong.is_at(tmp_path)
    table = tmp_path / "some.tsv"
    table.write_text(EVAL)
    assert audioset_strong.is_at(table)
    table.write_text("filename\tonset\toffset\tevent_label\n")
    assert not audioset_strong.is_at(table)
