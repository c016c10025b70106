from earmark.data.exporting import export_dataset
from tests.data.exporting.small_sets import dataset_of, files_of


def test_lists_and_class_list_to_the_byte(tmp_path):
    clips = [
        {"clip": "--4gqARaEJE_30000", "split": "train", "group": "--4gqARaEJE"},
        {"clip": "--4gqARaEJE_500", "split": "train", "group": "--4gqARaEJE"},
        {"clip": "plain", "split": "test", "duration_s": 0.25},
        {"clip": "silent_0", "split": "test", "group": "silent"},
    ]
    labels = [("--4gqARaEJE_30000", "Dog"), ("--4gqARaEJE_30000", "Speech, male"), ("plain", "Dog")]
    dataset = dataset_of(tmp_path, clips, labels, ("Dog", "Speech, male", 'the "Who"'), ("/m/0bt9lr", "/m/1", "/t/2"))
    summary = export_dataset(dataset, "audioset", tmp_path / "out")
    assert (tmp_path / "out/unbalanced_train_segments.csv").read_text() == (
        "# Segments csv created by earmark\n"
        "# num_ytids=1, num_segs=2, num_unique_labels=2, num_positive_labels=2\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--4gqARaEJE, 30.000, 31.000, "/m/0bt9lr,/m/1"\n'
        '--4gqARaEJE, 0.500, 1.500, ""\n'
    )
    assert (tmp_path / "out/eval_segments.csv").read_text().splitlines()[3:] == [
        'plain, 0.000, 0.250, "/m/0bt9lr"',
        'silent, 0.000, 1.000, ""',
    ]
    assert (tmp_path / "out/class_labels_indices.csv").read_text() == (
        'index,mid,display_name\n0,/m/0bt9lr,"Dog"\n1,/m/1,"Speech, male"\n2,/t/2,"the ""Who"""\n'
    )
    assert files_of(tmp_path / "out") == [
        "class_labels_indices.csv",
        "eval_segments.csv",
        "eval_segments/plain_0.000.wav",
        "eval_segments/silent_0.000.wav",
        "unbalanced_train_segments.csv",
        "unbalanced_train_segments/--4gqARaEJE_0.500.wav",
        "unbalanced_train_segments/--4gqARaEJE_30.000.wav",
    ]
    assert summary.losses == ()
    assert summary.notes == ("1 clip is called otherwise than here: plain is plain_0",)
    assert (summary.clips, summary.labels, summary.events, summary.tables) == (4, 3, 0, 3)


def test_validation_has_a_list_of_its_own(tmp_path):
    clips = [{"clip": "a_0", "split": "validation"}, {"clip": "b_0"}]
    summary = export_dataset(dataset_of(tmp_path, clips), "audioset", tmp_path / "out")
    assert (tmp_path / "out/validation_segments.csv").read_text().splitlines()[3:] == ['a, 0.000, 1.000, ""']
    assert (tmp_path / "out/unbalanced_train_segments.csv").read_text().splitlines()[3:] == ['b, 0.000, 1.000, ""']
    assert summary.notes == (
        "1 clip without a split: in unbalanced_train_segments.csv",
        "1 clip of validation: in validation_segments.csv, a list that AudioSet does not have",
    )


def test_ids_that_a_line_cannot_hold_are_changed_and_stay_apart(tmp_path):
    names = ["a b", "a,b", 'a"b', "#a", "YTID", "x/y_7", "x", "x_0", "n_07"]
    export_dataset(dataset_of(tmp_path, [{"clip": name} for name in names]), "audioset", tmp_path / "out")
    lines = (tmp_path / "out/unbalanced_train_segments.csv").read_text().splitlines()[3:]
    starts = [tuple(line.split(", ")[:2]) for line in lines]
    assert starts == [
        ("a_b", "0.000"),
        ("a_b_2", "0.000"),
        ("a_b_3", "0.000"),
        ("_a", "0.000"),
        ("_", "0.000"),
        ("x_y", "0.007"),
        ("x", "0.000"),
        ("x_2", "0.000"),
        ("n_07", "0.000"),
    ]


def test_tags_without_ids_have_their_name_for_one(tmp_path):
    dataset = dataset_of(tmp_path, [{"clip": "a_0"}], [("a_0", "Dog, big")], ("Dog", "Dog big", "Dog, big", "Öl"))
    export_dataset(dataset, "audioset", tmp_path / "out")
    assert (tmp_path / "out/class_labels_indices.csv").read_text() == (
        'index,mid,display_name\n0,Dog,"Dog"\n1,Dog_big,"Dog big"\n2,Dog_big_2,"Dog, big"\n3,Öl,"Öl"\n'
    )
    assert (tmp_path / "out/unbalanced_train_segments.csv").read_text().endswith('"Dog_big_2"\n')


def test_what_segments_cannot_hold_is_counted(tmp_path):
    clips = [
        {"clip": "a_0", "labelled": "strong", "group": "g"},
        {"clip": "b_0", "labelled": "strong", "group": "g"},
        {"clip": "c_0", "labelled": "none"},
    ]
    labels = [("a_0", "Dog", 0.1, 0.2), ("a_0", "Dog", 0.3, 0.4), ("a_0", "Cat"), ("c_0", "Cat")]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "audioset", tmp_path / "out")
    assert summary.losses == (
        "times of 2 events",
        "that 2 clips are labelled strong: here all are labelled weak",
        "1 clip labelled none: left out, because a segment without tags counts as having none of them",
        "group of 2 clips: here those of one id are one group",
    )
    assert (summary.clips, summary.labels, summary.files) == (2, 2, 2)
    assert not any("c_" in name for name in files_of(tmp_path / "out"))
