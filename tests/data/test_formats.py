import os
from pathlib import Path

import pytest

from earmark.data.formats import find_format, read_source
from earmark.data.formats.imported import clip_ids, split_of_name
from earmark.errors import InputError
from tests.data.formats.trees import refused, tags_by_clip, tree


def csv_of(root, text):
    root.mkdir(exist_ok=True)
    (root / "list.csv").write_text(text)
    return root / "list.csv"


def test_class_folders(tmp_path):
    tree(tmp_path, "Dog/a.wav", "Dog/-b.FLAC", "Dog/deep/er/c.ogg", "Cat, big/a.wav", "Cat, big/d.MP3")
    layout, imported = read_source(tmp_path)
    assert layout == "folder"
    assert tags_by_clip(imported) == {
        "Cat, big/a": ["Cat, big"],
        "Cat, big/d": ["Cat, big"],
        "Dog/-b": ["Dog"],
        "Dog/a": ["Dog"],
        "Dog/deep/er/c": ["Dog"],
    }
    assert imported.clips["path"].to_pylist()[1:3] == ["Cat, big/d.MP3", "Dog/-b.FLAC"]
    assert imported.clips["group"].to_pylist() == imported.clips["path"].to_pylist()
    assert imported.clips["fold"].null_count == 5
    assert set(imported.clips["labelled"].to_pylist()) == {"weak"}
    assert imported.vocabulary.tags == ("Cat, big", "Dog")
    assert imported.audio_root == tmp_path
    assert imported.notes == ()
    assert imported.problems == ()


def test_what_is_not_audio_is_counted(tmp_path):
    tree(
        tmp_path, "Dog/a.wav", "Dog/._a.wav", ".DS_Store", "README.txt", "Dog/b.txt", "Dog/c.png", "LICENSE", "lost.wav"
    )
    tree(tmp_path, ".git/x.wav", "texts/x.txt")
    imported = read_source(tmp_path)[1]
    assert imported.clips["path"].to_pylist() == ["Dog/a.wav"]
    assert imported.vocabulary.tags == ("Dog",)
    assert sorted(imported.notes) == [
        "left out: 3 hidden (names that begin with a dot)",
        "left out: 5 files that are not audio (.txt, .png, no suffix)",
        "left out: audio files that lie in no class folder: 1 (first: lost.wav)",
        "there is only one class folder, Dog: every clip has its tag",
    ]


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    tree(tmp_path / "elsewhere", "a.wav", "deep/b.wav")
    tree(tmp_path / "set", "Cat/c.wav")
    (tmp_path / "set" / "Dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "Cat" / "all").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "Cat" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    imported = read_source(tmp_path / "set")[1]
    assert imported.clips["path"].to_pylist() == [
        "Cat/c.wav",
        "Cat/gone.wav",
        "Dog/a.wav",
        "Dog/deep/b.wav",
    ]


def test_a_folder_that_is_called_like_a_file_is_listed_for_inspection(tmp_path):
    tree(tmp_path, "Dog/a.wav/note.txt", "Dog/b.wav", "Dog/c.wav/d.wav")
    assert read_source(tmp_path)[1].clips["path"].to_pylist() == ["Dog/a.wav", "Dog/b.wav", "Dog/c.wav/d.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed_is_a_problem(tmp_path):
    tree(tmp_path, "Dog/a.wav", "Cat/b.wav")
    (tmp_path / "Cat").chmod(0)
    imported = read_source(tmp_path)[1]
    (tmp_path / "Cat").chmod(0o700)
    assert [(problem.path, problem.kind) for problem in imported.problems] == [("Cat/", "unreadable")]


def test_a_name_that_is_not_utf8_is_a_problem(tmp_path):
    tree(tmp_path, "Dog/a.wav")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/Dog/\xe9.wav")).write_bytes(b".")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    imported = read_source(tmp_path)[1]
    assert imported.clips["path"].to_pylist() == ["Dog/a.wav"]
    assert [(problem.path, problem.outcome) for problem in imported.problems] == [(r"Dog/\xe9.wav", "left out")]


def test_esc10_is_recognised(tmp_path):
    tree(
        tmp_path, "001 - Dog bark/1-100032-A.ogg", "001 - Dog bark/2-7-B.ogg", "002 - Rain/1-100032-C.ogg", "README.txt"
    )
    imported = read_source(tmp_path)[1]
    assert imported.vocabulary.tags == ("Dog bark", "Rain")
    assert imported.clips["clip"].to_pylist()[0] == "001 - Dog bark/1-100032-A"
    assert imported.clips["fold"].to_pylist() == [1, 2, 1]
    assert imported.clips["group"].to_pylist() == ["100032", "7", "100032"]
    assert any("folds and groups are read from the file names" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("names", "tags", "has_folds"),
    [
        (["001 - Dog/1-2-A.ogg", "Rain/1-3-A.ogg"], ("001 - Dog", "Rain"), False),
        (["001 - Dog/1-2-A.ogg", "002 - Rain/x.ogg"], ("Dog", "Rain"), False),
        (["001 - Dog/1-2-A.ogg", "002 - Dog/1-3-A.ogg"], ("001 - Dog", "002 - Dog"), False),
        (["001 - Dog/1-2-A.ogg", "002 - Rain/1-3-A.ogg"], ("Dog", "Rain"), True),
    ],
)
def test_esc10_only_where_everything_is_called_like_it(tmp_path, names, tags, has_folds):
    imported = read_source(tree(tmp_path, *names))[1]
    assert imported.vocabulary.tags == tags
    assert (imported.clips["fold"].null_count == 0) == has_folds


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "found no audio file; or give a CSV with the columns path,tags"),
        (["a.wav", "b.wav"], "found 2 audio files in no folder; or give a CSV"),
        (["a.wav", "list.csv"], "path,tags, such as list.csv there"),
        (["Dog/a.txt"], "found no audio file"),
    ],
)
def test_a_folder_without_class_folders_says_what_is_expected(tmp_path, names, said):
    message = refused(read_source, tree(tmp_path, *names))
    assert "must hold a folder for every tag with audio files in it (TAG/NAME.wav)" in message
    assert said in message


def test_clip_ids_are_unique_whatever_the_names():
    assert clip_ids(["a.wav", "a.ogg", "a.wav.flac", "b.c", "d.wav", "d"]) == [
        "a.wav",
        "a.ogg",
        "a.wav.flac",
        "b.c",
        "d.wav",
        "d",
    ]


def test_a_list_of_files_and_tags(tmp_path):
    tree(tmp_path, "a.wav", "sub/-b.flac", "sub/c.OGG")
    source = csv_of(tmp_path, 'path,tags\na.wav,"Dog; Rain"\nsub/-b,Rain\n./sub//c.OGG,\ngone.wav,Dog;Dog\n')
    layout, imported = read_source(source)
    assert layout == "csv"
    assert tags_by_clip(imported) == {"a": ["Dog", "Rain"], "sub/-b": ["Rain"], "sub/c": [], "gone": ["Dog"]}
    assert imported.clips["path"].to_pylist() == ["a.wav", "sub/-b.flac", "sub/c.OGG", "gone.wav"]
    assert imported.clips["labelled"].to_pylist() == ["weak"] * 4
    assert imported.vocabulary.tags == ("Dog", "Rain")
    assert imported.notes == ("1 line names no tag: their clips count as having none of the tags",)
    assert imported.audio_root == tmp_path


@pytest.mark.parametrize("header", ["filename,labels", "fname,tags", "file,label", "Path,Tags", "tag,path"])
def test_names_of_the_columns(tmp_path, header):
    tree(tmp_path, "x.wav")
    cells = "x.wav,x.wav"
    imported = read_source(csv_of(tmp_path, f"{header}\n{cells}\n"))[1]
    assert tags_by_clip(imported) == {"x": ["x.wav"]}


def test_tags_are_separated_by_commas_where_no_cell_has_a_semicolon(tmp_path):
    source = csv_of(tmp_path, 'path,tags\na.wav,"Dog,Rain , Cat"\nb.wav,Dog\n')
    assert tags_by_clip(read_source(source)[1]) == {"a": ["Cat", "Dog", "Rain"], "b": ["Dog"]}


def test_a_comma_belongs_to_the_tag_where_semicolons_separate(tmp_path):
    imported = read_source(csv_of(tmp_path, 'path,tags\na.wav,"Speech, child;Rain"\nb.wav,"Speech, child"\n'))[1]
    assert tags_by_clip(imported) == {"a": ["Rain", "Speech, child"], "b": ["Speech, child"]}
    assert imported.notes == ('tags are separated by ";"; 1 tag holds a comma',)


def test_optional_columns(tmp_path):
    text = "path,tags,split,fold,group,verified,labelled,licence\n"
    text += "a,Dog,VAL,1,g,1,strong,CC0\nb,Dog,train,2,,0,,CC0\nc,,,,,,none,\n"
    imported = read_source(csv_of(tmp_path, text))[1]
    clips = imported.clips
    assert clips["split"].to_pylist() == ["validation", "train", None]
    assert clips["fold"].to_pylist() == [1, 2, None]
    assert clips["group"].to_pylist() == ["g", "b", "c"]
    assert clips["verified"].to_pylist() == [True, False, None]
    assert clips["labelled"].to_pylist() == ["strong", "weak", "none"]
    assert "columns not read: licence" in imported.notes


def test_a_file_on_several_lines_has_all_their_tags(tmp_path):
    tree(tmp_path, "a.wav", "b.wav")
    imported = read_source(csv_of(tmp_path, "path,tag,fold\nb.wav,Cat,1\na.wav,Dog,2\na,Rain,2\na.wav,Dog,2\n"))[1]
    assert tags_by_clip(imported) == {"b": ["Cat"], "a": ["Dog", "Rain"]}
    assert imported.clips["fold"].to_pylist() == [1, 2]
    assert imported.notes == ("2 lines name a file again; its tags are joined",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "path,tag,fold\na,Dog,1\na,Rain,2\n",
            "list.csv:3: fold must be the same on every line of a file, got 2, on line 2 1",
        ),
        (
            "path,tag,split\na,Dog,\na,Rain,test\n",
            "list.csv:3: split must be the same on every line of a file, got test",
        ),
        ("path,tags\n,Dog\n", "list.csv:2: path must not be empty"),
        (
            "path,tags,split\na,Dog,dev\n",
            'list.csv:2: split must be one of train, validation, test, teacher or empty, got "dev"',
        ),
        ("path,tags,fold\na,Dog,x\n", 'list.csv:2: fold must be a whole number, got "x" (path "a")'),
        ("wav,tags\na,Dog\n", "list.csv:1: no known layout has these columns: wav, tags"),
        ("path,mids\na,Dog\n", "list.csv:1: no known layout has these columns: path, mids"),
    ],
)
def test_lists_that_are_refused(tmp_path, text, said):
    assert said in refused(read_source, csv_of(tmp_path, text))


def test_a_list_names_files_anywhere(tmp_path):
    tree(tmp_path, "set/in.wav", "out/side.wav", "out/stranger.wav")
    source = csv_of(
        tmp_path / "set", f"path,tags\n../out/side.wav,Dog\n{tmp_path}/set/in.wav,Dog\n{tmp_path}/out/gone.wav,Dog\n"
    )
    imported = read_source(source)[1]
    assert imported.clips["path"].to_pylist() == ["../out/side.wav", "in.wav", f"{tmp_path}/out/gone.wav"]
    assert imported.notes == ()


def test_files_that_the_list_does_not_name_are_counted_where_it_leads(tmp_path):
    tree(tmp_path, "in/a.wav", "in/b.wav", "in/c.txt", "other/d.wav", "e.wav")
    imported = read_source(csv_of(tmp_path, "path,tags\nin/a.wav,Dog\n"))[1]
    assert imported.notes == ("left out: 2 audio files that no table names (first: e.wav)",)


def test_a_name_that_fits_two_files_is_a_problem_of_its_clip(tmp_path):
    tree(tmp_path, "a.wav", "a.ogg", "b.wav")
    imported = read_source(csv_of(tmp_path, "path,tags\na,Dog\nb,Dog\n"))[1]
    (problem,) = imported.problems
    assert (problem.path, problem.clip, problem.kind, problem.outcome) == ("a", "a", "unclear", "left out")
    assert "2 with a suffix: a.ogg, a.wav" in problem.detail


def test_a_list_in_an_empty_world(tmp_path):
    imported = read_source(csv_of(tmp_path, "path,tags\n"))[1]
    assert imported.clips.num_rows == imported.labels.num_rows == len(imported.vocabulary) == 0


def test_sources_of_no_known_layout(tmp_path):
    tree(tmp_path, "a.json")
    assert "there is no such file or folder" in refused(read_source, tmp_path / "gone")
    message = refused(read_source, tmp_path / "a.json")
    assert "no known layout; known are" in message
    assert "csv: a CSV with the columns path,tags; folder: a folder of class folders" in message
    with pytest.raises(InputError, match=r'unknown layout "foldr"; did you mean "folder"\?'):
        read_source(tmp_path, "foldr")
    with pytest.raises(InputError, match="layout csv is a file, found a folder"):
        read_source(tmp_path, "csv")
    assert find_format(tmp_path) == "folder"


def test_a_list_with_times_is_refused_with_the_ways_out(tmp_path):
    """Else its events would silently become weak labels."""
    message = refused(read_source, csv_of(tmp_path, "path,Onset,offset,label\na.wav,1,2,Dog\n"))
    assert message.endswith(
        "list.csv:1: the layout csv has no times, found Onset and offset; to keep them name the columns "
        "filename,onset,offset,event_label and add --format desed, else take onset and offset out"
    )
    fitting = csv_of(tmp_path / "fits", "filename,onset,offset,event_label\na.wav,1,2,Dog\n")
    assert read_source(fitting, "desed")[1].labels["onset"].to_pylist() == [1.0]


def test_clips_of_absolute_paths_are_called_from_their_common_folder_on(tmp_path):
    imported = read_source(csv_of(tmp_path, "path,tags\n/far/set/Dog/a.wav,Dog\n/far/set/b.wav,Cat\n"))[1]
    assert imported.clips["clip"].to_pylist() == ["Dog/a", "b"]
    assert imported.clips["path"].to_pylist() == ["/far/set/Dog/a.wav", "/far/set/b.wav"]
    mixed = read_source(csv_of(tmp_path, "path,tags\n/far/set/Dog/a.wav,Dog\nset/b.wav,Cat\n"))[1]
    assert mixed.clips["clip"].to_pylist() == ["/far/set/Dog/a", "set/b"]


def test_a_folder_with_a_json_list_says_that_the_list_is_the_source(tmp_path):
    tree(tmp_path, "a.wav")
    (tmp_path / "eval.json").write_text('{"data": [{"wav": "a.wav", "labels": "Dog"}]}')
    assert refused(read_source, tmp_path).endswith("; eval.json is a list of files with labels: give it itself")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("balanced_train_segments", "train"),
        ("Validation-2019", "validation"),
        ("val", "validation"),
        ("valid", "validation"),
        ("dcase.evaluation", "test"),
        ("public", "test"),
        ("eval_2019", "test"),
        ("retrained_evals", None),
        ("train_val", None),
        ("", None),
    ],
)
def test_a_split_is_told_by_whole_words(name, split):
    assert split_of_name(name) == split
