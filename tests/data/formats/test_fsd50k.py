import pytest

from earmark.data.formats import fsd50k
from tests.data.formats.trees import refused, tags_by_clip, write

DEV = """fname,labels,mids,split
64760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train
16399,"Fill_(with_liquid),Liquid","/m/07rv9rh,/m/04k94",train
100,Music,/m/04rlf,val
"""
EVAL = """fname,labels,mids
37199,"Guitar,Music","/m/0342h,/m/04rlf"
1,"Liquid,Owl","/m/04k94,/m/09d5_"
"""
VOCABULARY = """0,Electric_guitar,/m/02sgy
1,Fill_(with_liquid),/m/07rv9rh
2,Guitar,/m/0342h
3,Liquid,/m/04k94
4,Music,/m/04rlf
"""
TABLES = {"dev.csv": DEV, "eval.csv": EVAL, "vocabulary.csv": VOCABULARY}
AUDIO = ("dev_audio/64760.wav", "dev_audio/16399.wav", "dev_audio/100.wav", "eval_audio/37199.wav", "eval_audio/1.wav")


def published(root, tables=TABLES, audio=AUDIO, folder="FSD50K.ground_truth"):
    texts = {f"{folder}/{name}".removeprefix("/"): text for name, text in tables.items()}
    return write(root, texts, [f"FSD50K.{name}" for name in audio])


def test_the_published_archives(tmp_path):
    imported = fsd50k.read(published(tmp_path))
    assert imported.clips.select(["clip", "path", "split", "group"]).to_pydict() == {
        "clip": ["64760", "16399", "100", "37199", "1"],
        "path": [f"FSD50K.{name}" for name in AUDIO],
        "split": ["train", "train", "validation", "test", "test"],
        "group": ["64760", "16399", "100", "37199", "1"],
    }
    assert imported.clips["verified"].to_pylist() == [True] * 5
    assert imported.clips["labelled"].to_pylist() == ["weak"] * 5
    assert imported.clips["fold"].null_count == imported.clips["duration_s"].null_count == 5
    assert tags_by_clip(imported) == {
        "64760": ["Electric_guitar", "Guitar", "Music"],
        "16399": ["Fill_(with_liquid)", "Liquid"],
        "100": ["Music"],
        "37199": ["Guitar", "Music"],
        "1": ["Liquid"],
    }
    assert imported.labels["onset"].null_count == imported.labels.num_rows == 9
    assert imported.audio_root == tmp_path
    assert imported.problems == imported.not_annotated == ()


def test_the_vocabulary_has_no_header_and_gives_order_and_ids(tmp_path):
    vocabulary = fsd50k.read(published(tmp_path)).vocabulary
    assert vocabulary.tags == ("Electric_guitar", "Fill_(with_liquid)", "Guitar", "Liquid", "Music")
    assert vocabulary.ids == ("/m/02sgy", "/m/07rv9rh", "/m/0342h", "/m/04k94", "/m/04rlf")


def test_notes(tmp_path):
    published(tmp_path, audio=(*AUDIO, "dev_audio/7.wav", "dev_audio/8.wav"))
    (tmp_path / "FSD50K.metadata").mkdir()
    (tmp_path / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").write_text("{}")
    assert fsd50k.read(tmp_path).notes == (
        "read: FSD50K.ground_truth/dev.csv (3 clips), FSD50K.ground_truth/eval.csv (2 clips)",
        "tags and their order are those of vocabulary.csv",
        "splits are the official ones: of dev.csv train and validation (val), of eval.csv test",
        "verified: all labels were confirmed by people; those of dev.csv are correct but may lack a tag",
        "groups are Freesound ids; the uploaders in FSD50K.metadata are not read",
        "left out: 1 label whose tags are not in the vocabulary (first: Owl)",
        "left out: 2 audio files that no table names (first: FSD50K.dev_audio/7.wav)",
    )


def test_without_a_vocabulary_tags_are_sorted(tmp_path):
    imported = fsd50k.read(published(tmp_path, {"eval.csv": EVAL}))
    assert imported.vocabulary.tags == ("Guitar", "Liquid", "Music", "Owl")
    assert imported.vocabulary.ids is None
    assert imported.notes[1:3] == (
        "not there: dev.csv",
        "not there: vocabulary.csv; tags are sorted and have no ids",
    )


@pytest.mark.parametrize("folder", ["", "labels", "FSD50K.ground_truth", "here", "here/FSD50K.ground_truth"])
def test_tables_lie_flat_or_in_a_folder(tmp_path, folder):
    published(tmp_path, folder=folder)
    assert fsd50k.is_at(tmp_path)
    assert fsd50k.read(tmp_path).clips["path"].to_pylist() == [f"FSD50K.{name}" for name in AUDIO]


def test_one_table_as_the_source_has_its_audio_beside_its_folder(tmp_path):
    source = published(tmp_path) / "FSD50K.ground_truth" / "eval.csv"
    assert fsd50k.is_at(source)
    imported = fsd50k.read(source)
    assert imported.audio_root == tmp_path
    assert imported.clips["path"].to_pylist() == ["FSD50K.eval_audio/37199.wav", "FSD50K.eval_audio/1.wav"]
    assert imported.clips["split"].to_pylist() == ["test", "test"]
    assert imported.notes[0] == "read: eval.csv (2 clips)"
    assert len(imported.vocabulary) == 5


def test_a_name_in_both_tables_is_two_clips_each_with_its_own_file(tmp_path):
    published(tmp_path, {**TABLES, "eval.csv": EVAL.replace("37199", "100")}, (*AUDIO, "eval_audio/100.wav"))
    clips = fsd50k.read(tmp_path).clips
    assert clips["clip"].to_pylist() == ["64760", "16399", "dev/100", "eval/100", "1"]
    assert clips["path"].to_pylist()[2:4] == ["FSD50K.dev_audio/100.wav", "FSD50K.eval_audio/100.wav"]


def test_another_tables_file_of_the_same_name_is_not_taken(tmp_path):
    published(tmp_path, {**TABLES, "eval.csv": EVAL.replace("37199", "100")}, ["eval_audio/100.wav"])
    assert fsd50k.read(tmp_path).clips["path"].to_pylist()[2:4] == ["100", "FSD50K.eval_audio/100.wav"]


def test_names_have_a_suffix_or_not_and_copies_may_have_another(tmp_path):
    published(tmp_path, {**TABLES, "eval.csv": EVAL.replace("37199", "37199.wav").replace("1,", "1.wav,")}, AUDIO[:4])
    (tmp_path / "FSD50K.eval_audio" / "37199.wav").rename(tmp_path / "FSD50K.eval_audio" / "37199.flac")
    clips = fsd50k.read(tmp_path).clips
    assert clips["clip"].to_pylist()[3:] == ["37199", "1"]
    assert clips["path"].to_pylist()[3:] == ["FSD50K.eval_audio/37199.flac", "1.wav"]


def test_a_name_that_two_files_have_is_a_problem_of_its_clip(tmp_path):
    imported = fsd50k.read(published(tmp_path, audio=(*AUDIO, "dev_audio/again/100.wav")))
    (problem,) = imported.problems
    assert (problem.clip, problem.kind, problem.outcome) == ("100", "unclear", "left out")
    assert imported.clips["path"].to_pylist()[2] == "100"


def test_a_clip_without_a_tag_is_said(tmp_path):
    imported = fsd50k.read(published(tmp_path, {**TABLES, "eval.csv": "fname,labels,mids\n1,,\n2,Music,/m/04rlf\n"}))
    assert tags_by_clip(imported)["1"] == []
    assert "1 clip has no tag in the table: counted as having none of the tags" in imported.notes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("dev.csv", DEV.replace("val", "test"), 'dev.csv:4: split must be one of train, val, got "test"'),
        ("dev.csv", DEV + "64760.wav,Music,,val\n", 'fname must name every file once, got "64760.wav" again, first on'),
        ("eval.csv", "fname,labels,mids\n,Music,\n", "eval.csv:2: fname must not be empty"),
        ("eval.csv", "fname,labels\n1,Music\n", "columns fname, labels, mids are required, mids not found"),
        ("vocabulary.csv", "index,tag,mid\n", "vocabulary.csv:1: a line must be index,tag,mid, without a header"),
        (
            "vocabulary.csv",
            "0,Dog\n",
            'vocabulary.csv:1: a line must be index,tag,mid, without a header, found "0,Dog"',
        ),
        ("vocabulary.csv", "0,Dog,/a\n1,Dog,/b\n", 'must name every tag once, found "Dog" 2 times'),
    ],
)
def test_tables_that_are_refused(tmp_path, name, text, said):
    assert said in refused(fsd50k.read, published(tmp_path, {**TABLES, name: text}))


def test_two_tables_side_by_side_are_refused(tmp_path):
    published(tmp_path, folder="a")
    published(tmp_path, folder="b")
    assert "must hold one dev.csv, found 2: a/dev.csv, b/dev.csv; give the folder of one data set" in refused(
        fsd50k.read, tmp_path
    )


def test_other_sources_are_not_this_layout(tmp_path):
    published(tmp_path, {"dev.csv": "path,tags\na,b\n", "eval.csv": "\x00"}, folder="")
    (tmp_path / "Dog" / "dev.csv").mkdir(parents=True)
    (tmp_path / "train.csv").write_text(EVAL)
    assert not fsd50k.is_at(tmp_path)
    assert not fsd50k.is_at(tmp_path / "train.csv")
    assert not fsd50k.is_at(tmp_path / "FSD50K.dev_audio")
    assert "layout fsd50k must be dev.csv or eval.csv, found another file" in refused(
        fsd50k.read, tmp_path / "train.csv"
    )
    assert "must hold dev.csv or eval.csv, found none of these" in refused(fsd50k.read, tmp_path / "FSD50K.dev_audio")


def test_tables_without_rows(tmp_path):
    tables = {name: text.split("\n")[0] + "\n" for name, text in TABLES.items() if name != "vocabulary.csv"}
    imported = fsd50k.read(published(tmp_path, tables, audio=()))
    assert imported.clips.num_rows == imported.labels.num_rows == len(imported.vocabulary) == 0
