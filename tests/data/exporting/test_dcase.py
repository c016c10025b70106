from earmark.data.exporting import export_dataset
from tests.data.exporting.small_sets import dataset_of, files_of

TAGS = ("Cat", "Dog", "Speech", "Speech, male", 'the "Who"')


def written(folder):
    return {name: (folder / name).read_text() for name in files_of(folder) if name.endswith(".tsv")}


def test_every_kind_of_table_in_every_split(tmp_path):
    clips = [
        {"clip": "w", "split": "train"},
        {"clip": "-s", "split": "train", "labelled": "strong"},
        {"clip": "u", "split": "train", "labelled": "none"},
        {"clip": "v", "split": "validation", "labelled": "strong", "duration_s": 0.25},
        {"clip": "t", "split": "test", "labelled": "strong"},
    ]
    labels = [
        ("w", "Speech"),
        ("w", "Dog"),
        ("-s", "Dog", 0.5, 0.75),
        ("-s", "Cat", 0.25, 1.0),
        ("-s", "Dog", 0.0, 0.125),
        ("v", "Cat", 0.0, 0.25),
    ]
    summary = export_dataset(dataset_of(tmp_path, clips, labels, TAGS), "dcase", tmp_path / "out")
    assert written(tmp_path / "out") == {
        "metadata/train/weak.tsv": "filename\tevent_labels\nw.wav\tDog,Speech\n",
        "metadata/train/strong.tsv": (
            "filename\tonset\toffset\tevent_label\n"
            "-s.wav\t0.000\t0.125\tDog\n"
            "-s.wav\t0.250\t1.000\tCat\n"
            "-s.wav\t0.500\t0.750\tDog\n"
        ),
        "metadata/train/unlabelled.tsv": "filename\nu.wav\n",
        "metadata/train/durations.tsv": "filename\tduration\nw.wav\t1.000\n-s.wav\t1.000\nu.wav\t1.000\n",
        "metadata/validation/strong.tsv": "filename\tonset\toffset\tevent_label\nv.wav\t0.000\t0.250\tCat\n",
        "metadata/validation/durations.tsv": "filename\tduration\nv.wav\t0.250\n",
        "metadata/test/strong.tsv": "filename\tonset\toffset\tevent_label\nt.wav\t\t\t\n",
        "metadata/test/durations.tsv": "filename\tduration\nt.wav\t1.000\n",
    }
    assert [name for name in files_of(tmp_path / "out") if name.startswith("audio")] == [
        "audio/test/strong/t.wav",
        "audio/train/strong/-s.wav",
        "audio/train/unlabelled/u.wav",
        "audio/train/weak/w.wav",
        "audio/validation/strong/v.wav",
    ]
    assert (summary.clips, summary.labels, summary.events, summary.tables, summary.files) == (5, 2, 4, 8, 5)
    assert summary.losses == ("2 tags of the vocabulary that no clip has",)
    assert summary.notes == ()


def test_names_with_delimiters_and_quotes_are_quoted_or_replaced(tmp_path):
    clips = [{"clip": "a,b"}, {"clip": 'q"uote'}, {"clip": "n,o", "labelled": "none"}]
    labels = [("a,b", "Speech, male"), ("a,b", "Cat"), ('q"uote', 'the "Who"')]
    dataset = dataset_of(tmp_path, clips, labels, (*TAGS, "Speech; male"))
    summary = export_dataset(dataset, "dcase", tmp_path / "out")
    tables = written(tmp_path / "out")
    assert tables["metadata/train/weak.tsv"] == (
        'filename\tevent_labels\na,b.wav\tCat,Speech; male_2\n"q""uote.wav"\t"the ""Who"""\n'
    )
    assert tables["metadata/train/unlabelled.tsv"] == 'filename\n"n,o.wav"\n'
    assert 'the names of 1 tag as they are: "Speech, male" is "Speech; male_2"' in summary.losses


def test_what_a_table_of_its_kind_cannot_hold_is_counted(tmp_path):
    clips = [{"clip": "w"}, {"clip": "s", "labelled": "strong"}, {"clip": "n", "labelled": "none"}]
    labels = [
        ("w", "Cat", 0.1, 0.2),
        ("w", "Cat", 0.3, 0.4),
        ("s", "Cat"),
        ("s", "Dog"),
        ("s", "Dog", 0.1, 0.20049),
        ("s", "Dog", 0.3001, 0.3002),
        ("n", "Dog"),
    ]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "dcase", tmp_path / "out")
    tables = written(tmp_path / "out")
    assert tables["metadata/train/weak.tsv"] == "filename\tevent_labels\nw.wav\tCat\n"
    assert tables["metadata/train/strong.tsv"] == (
        "filename\tonset\toffset\tevent_label\ns.wav\t0.100\t0.200\tDog\ns.wav\t0.300\t0.301\tDog\n"
    )
    assert summary.losses == (
        "times of 2 events in clips labelled weak",
        "1 label without times in clips labelled strong",
        "1 label of clips labelled none",
        "times finer than a millisecond, of 2 events: rounded",
    )
