import pytest

from earmark.data.formats import desed
from earmark.errors import InputError
from tests.data.formats.trees import clips, labels, refused, write

YOUTUBE = "Y-2kt5gv42qI_150.000_160.000.wav"
OTHER = "Y0_WMZB4Xc5o_30.000_40.000.wav"
WEAK = f"filename\tevent_labels\n{YOUTUBE}\tSpeech,Dishes\n{OTHER}\t\n"
EVENTS = "filename\tonset\toffset\tevent_label\n"
STRONG = f"{EVENTS}{YOUTUBE}\t0.000\t9.971\tVacuum_cleaner\n{YOUTUBE}\t1.5\t2\tCat\n"


def test_the_published_tree(tmp_path):
    write(
        tmp_path,
        {
            "metadata/train/weak.tsv": WEAK,
            "metadata/train/unlabel_in_domain.tsv": "filename\nY00pbt6aJV8Y_350.000_360.000.wav\n",
            "metadata/train/synthetic20/soundscapes.tsv": f"{EVENTS}10.wav\t1\t2.25\tDog\n",
            "metadata/validation/validation.tsv": STRONG.replace("-2kt5gv42qI", "zzzzzzzzzzz"),
            "metadata/eval/public.tsv": f"{EVENTS}{OTHER}\t\t\t\n",
        },
        [
            f"audio/train/weak/{YOUTUBE}",
            f"audio/train/weak/{OTHER}",
            "audio/train/unlabel_in_domain/Y00pbt6aJV8Y_350.000_360.000.wav",
            "audio/train/synthetic20/soundscapes/10.wav",
            "audio/train/synthetic20/soundscapes/10.jams",
            "audio/validation/Yzzzzzzzzzzz_150.000_160.000.wav",
            f"audio/eval/public/{OTHER}",
            "audio/eval/public/stranger.wav",
        ],
    )
    assert desed.is_at(tmp_path)
    imported = desed.read(tmp_path)
    assert sorted(clips(imported, "clip", "path", "split", "group", "labelled")) == [
        ("10", "audio/train/synthetic20/soundscapes/10.wav", "train", "10", "strong"),
        ("Y-2kt5gv42qI_150.000_160.000", f"audio/train/weak/{YOUTUBE}", "train", "-2kt5gv42qI", "weak"),
        (
            "Y00pbt6aJV8Y_350.000_360.000",
            "audio/train/unlabel_in_domain/Y00pbt6aJV8Y_350.000_360.000.wav",
            "train",
            "00pbt6aJV8Y",
            "none",
        ),
        (
            "Yzzzzzzzzzzz_150.000_160.000",
            "audio/validation/Yzzzzzzzzzzz_150.000_160.000.wav",
            "validation",
            "zzzzzzzzzzz",
            "strong",
        ),
        ("eval/public/Y0_WMZB4Xc5o_30.000_40.000", f"audio/eval/public/{OTHER}", "test", "0_WMZB4Xc5o", "strong"),
        ("train/weak/Y0_WMZB4Xc5o_30.000_40.000", f"audio/train/weak/{OTHER}", "train", "0_WMZB4Xc5o", "weak"),
    ]
    assert sorted(labels(imported), key=str) == [
        ("10", "Dog", 1.0, 2.25),
        ("Y-2kt5gv42qI_150.000_160.000", "Dishes", None, None),
        ("Y-2kt5gv42qI_150.000_160.000", "Speech", None, None),
        ("Yzzzzzzzzzzz_150.000_160.000", "Cat", 1.5, 2.0),
        ("Yzzzzzzzzzzz_150.000_160.000", "Vacuum_cleaner", 0.0, 9.971),
    ]
    assert imported.vocabulary.tags == ("Cat", "Dishes", "Dog", "Speech", "Vacuum_cleaner")
    assert imported.problems == ()
    assert imported.notes == (
        "read eval/public: strong, split test, 1 file",
        "read train/synthetic20/soundscapes: strong, split train, 1 file",
        "read train/unlabel_in_domain: none, split train, 1 file",
        "read train/weak: weak, split train, 2 files",
        "read validation/validation: strong, split validation, 1 file",
        "split: from the folder or the name of a table (eval, test and public are test)",
        "left out: 1 audio file that no table names (first: audio/eval/public/stranger.wav)",
    )


def test_tabs_in_files_called_csv_and_tables_without_folders(tmp_path):
    write(tmp_path, {"weak.csv": WEAK, "validation.csv": STRONG, "test_dcase2018.csv": f"filename\n{OTHER}\n"})
    assert desed.is_at(tmp_path)
    rows = clips(desed.read(tmp_path), "clip", "split", "labelled")
    assert sorted(rows) == [
        ("test_dcase2018/Y0_WMZB4Xc5o_30.000_40.000", "test", "none"),
        ("validation/Y-2kt5gv42qI_150.000_160.000", "validation", "strong"),
        ("weak/Y-2kt5gv42qI_150.000_160.000", "train", "weak"),
        ("weak/Y0_WMZB4Xc5o_30.000_40.000", "train", "weak"),
    ]


def test_strong_wins_over_weak_over_none_in_one_split(tmp_path):
    write(
        tmp_path,
        {
            "metadata/train/weak.tsv": WEAK,
            "metadata/train/audioset_strong.tsv": STRONG,
            "metadata/train/unlabel_in_domain.tsv": f"filename\n{OTHER}\n",
        },
        [f"audio/train/weak/{YOUTUBE}", f"audio/train/strong_label_real/{YOUTUBE}", f"audio/train/weak_16k/{OTHER}"],
    )
    imported = desed.read(tmp_path)
    assert clips(imported, "path", "labelled") == [
        (f"audio/train/strong_label_real/{YOUTUBE}", "strong"),
        (f"audio/train/weak_16k/{OTHER}", "weak"),
    ]
    assert [row[1] for row in labels(imported)] == ["Cat", "Vacuum_cleaner"]
    note = f"clips in a weak and in a strong table of one split: the strong labels count: 1 (first: {YOUTUBE})"
    assert note in imported.notes
    assert "tags that stand in such rows of weak tables only, left out: 2 (first: Dishes)" in imported.notes
    # The file in the folder of the weak table is named by it, although another one is the clip's.
    assert not any("no table names" in note for note in imported.notes)


def test_tables_of_one_split_that_repeat_each_other_are_one(tmp_path):
    write(
        tmp_path,
        {"metadata/validation/validation.tsv": STRONG, "metadata/validation/test_dcase2018.tsv": STRONG},
        [f"audio/validation/{YOUTUBE}", f"audio/validation_16k/{YOUTUBE}"],
    )
    imported = desed.read(tmp_path)
    assert clips(imported, "path", "split") == [(f"audio/validation/{YOUTUBE}", "validation")]
    assert imported.labels.num_rows == 2


@pytest.mark.parametrize(
    ("durations", "named"), [("durations", "soundscapes"), ("soundscapes_durations", "soundscapes")]
)
def test_a_durations_table_names_the_silent(tmp_path, durations, named):
    write(
        tmp_path,
        {
            f"metadata/validation/synthetic21/{named}.tsv": EVENTS + "1.wav\t0\t1\tDog\n",
            f"metadata/validation/synthetic21/{durations}.tsv": "filename\tduration\n1.wav\t10.0\n2.wav\t9.5\n",
        },
        ["audio/validation/synthetic21/soundscapes/1.wav", "audio/validation/synthetic21/soundscapes/2.wav"],
    )
    imported = desed.read(tmp_path)
    assert clips(imported, "clip", "path", "labelled", "duration_s") == [
        ("1", "audio/validation/synthetic21/soundscapes/1.wav", "strong", None),
        ("2", "audio/validation/synthetic21/soundscapes/2.wav", "strong", None),
    ]
    assert labels(imported) == [("1", "Dog", 0.0, 1.0)]


def test_a_soundscape_is_not_taken_from_the_folder_of_another_table(tmp_path):
    table = EVENTS + "10.wav\t0\t1\tDog\n"
    tables = {f"metadata/{split}/synthetic21_{split}/soundscapes.tsv": table for split in ("train", "validation")}
    write(tmp_path, tables, ["audio/validation/synthetic21_validation/soundscapes/10.wav"])
    rows = clips(desed.read(tmp_path), "clip", "path", "split", "group")
    assert rows == [
        ("train/synthetic21_train/soundscapes/10", "10.wav", "train", "train/synthetic21_train/soundscapes/10"),
        (
            "validation/synthetic21_validation/soundscapes/10",
            "audio/validation/synthetic21_validation/soundscapes/10.wav",
            "validation",
            "validation/synthetic21_validation/soundscapes/10",
        ),
    ]


def test_sets_of_distorted_soundscapes_share_names_but_not_clips(tmp_path):
    table = EVENTS + "1.wav\t0\t1\tDog\n"
    tables = {"metadata/eval/500ms.tsv": table, "metadata/eval/5500ms.tsv": table.replace("Dog", "Cat")}
    write(tmp_path, tables, ["audio/eval/500ms/1.wav", "audio/eval/5500ms/1.wav"])
    assert labels(desed.read(tmp_path)) == [("eval/500ms/1", "Dog", 0.0, 1.0), ("eval/5500ms/1", "Cat", 0.0, 1.0)]
    (tmp_path / "audio/eval/5500ms/1.wav").unlink()
    assert clips(desed.read(tmp_path), "path") == [("audio/eval/500ms/1.wav",), ("1.wav",)]


def test_other_names_that_several_files_have_are_a_problem(tmp_path):
    write(tmp_path, {"weak.tsv": "filename\tevent_labels\na.wav\tDog\n"}, ["x/a.wav", "y/a.wav"])
    (problem,) = desed.read(tmp_path).problems
    assert (problem.path, problem.clip, problem.kind) == ("a.wav", "a", "unclear")
    assert problem.detail == "2 files are called so: x/a.wav, y/a.wav"


def test_converted_audio_and_names_with_folders_are_found(tmp_path):
    table = "filename\tevent_labels\nsub/a.wav\tDog\nother/a.wav\tCat\nb.wav\tDog\n"
    write(tmp_path, {"metadata/train/weak.tsv": table})
    write(tmp_path, {}, [f"audio/train/weak/{name}" for name in ("sub/a.wav", "other/a.wav", "b.flac")])
    rows = clips(desed.read(tmp_path), "clip", "path")
    assert rows == [
        ("sub/a", "audio/train/weak/sub/a.wav"),
        ("other/a", "audio/train/weak/other/a.wav"),
        ("b", "audio/train/weak/b.flac"),
    ]


def test_one_table_as_the_source_finds_the_audio_beside_its_metadata(tmp_path):
    write(tmp_path, {"metadata/validation/validation.tsv": STRONG}, [f"audio/validation/{YOUTUBE}"])
    source = tmp_path / "metadata" / "validation" / "validation.tsv"
    assert desed.is_at(source)
    imported = desed.read(source)
    assert imported.audio_root == tmp_path
    assert clips(imported, "path", "split") == [(f"audio/validation/{YOUTUBE}", "validation")]
    assert clips(desed.read(tmp_path / "metadata"), "path") == [(f"audio/validation/{YOUTUBE}",)]


def test_events_without_duration_are_left_out_and_the_clip_stays(tmp_path):
    table = EVENTS + "a.wav\t2\t2\tDog\na.wav\t3\t2.5\tCat\na.wav\t3\t4\tCat\nb.wav\t\t\t\n"
    imported = desed.read(write(tmp_path, {"x.tsv": table}, ["a.wav", "b.wav"]))
    assert labels(imported) == [("a", "Cat", 3.0, 4.0)]
    assert clips(imported, "clip", "split", "labelled") == [("a", None, "strong"), ("b", None, "strong")]
    assert "left out: events whose offset is not after their onset: 2 (first: x.tsv:2)" in imported.notes
    assert "read x: strong, no split, 2 files" in imported.notes


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.wav\t1\t\tDog", "x.tsv:3: onset, offset and event_label must all be given or all be empty"),
        ("a.wav\t1\t2\t", "x.tsv:3: onset, offset and event_label must all be given or all be empty"),
        ("a.wav\t-1\t2\tDog", "x.tsv:3: onset must be 0 or later, got -1"),
        ("a.wav\tx\t2\tDog", 'x.tsv:3: onset must be a number, got "x"'),
        ("\t1\t2\tDog", "x.tsv:3: filename must not be empty"),
    ],
)
def test_rows_that_are_refused(tmp_path, row, said):
    write(tmp_path, {"x.tsv": f"{EVENTS}b.wav\t\t\t\n{row}\n"})
    assert said in refused(desed.read, tmp_path)


def test_tables_of_other_columns_are_named_and_not_read(tmp_path):
    write(tmp_path, {"metadata/train/weak.tsv": WEAK, "metadata/missing.tsv": "filename\terror\na\tb\n", "x.tsv": WEAK})
    notes = desed.read(tmp_path).notes
    assert "tables not read, because their columns are not of this layout: 1 (metadata/missing.tsv)" in notes
    assert not any("read x" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "filename,labels\na.wav,Dog\n"),
        ("list.csv", "filename\na.wav\n"),
        ("list.csv", "filename,duration\na.wav,1\n"),
        ("list.csv", ""),
        ("list.tsv", "\xff\xfe"),
        ("notes.txt", "filename,event_labels\n"),
    ],
)
def test_what_does_not_look_like_it(tmp_path, name, text):
    write(tmp_path, {name: text})
    assert not desed.is_at(tmp_path)
    assert not desed.is_at(tmp_path / name)


def test_a_folder_without_tables_says_what_is_expected(tmp_path):
    write(tmp_path, {"x.csv": "a,b\n1,2\n"})
    with pytest.raises(
        InputError, match=r"must hold tables with the columns filename,onset,offset,event_label or .* x.csv"
    ):
        desed.read(tmp_path)
