import pytest

from earmark.data.formats import fsdkaggle
from earmark.errors import InputError
from tests.data.formats.trees import tags_by_clip, write

TRAIN_2018 = """fname,label,manually_verified,freesound_id,license
00044347.wav,Hi-hat,0,28739,Attribution
001ca53d.wav,Saxophone,1,358827,Attribution
0048fd00.wav,Gunshot_or_gunfire,1,28739,Creative Commons 0
"""
TEST_2018 = """fname,label,usage,freesound_id,license
00326aa9.wav,Saxophone,Private,355125,Attribution
0038a046.wav,Bass_drum,Public,90621,Creative Commons 0
"""
PADDING_2018 = """fname,label,usage,freesound_id,license
00063640.wav,None,Ignored,,
00326aa9.wav,Saxophone,Private,355125,Attribution
0013a1db.wav,None,Ignored,,
"""
CURATED = """fname,labels,freesound_id,license
0006ae4e.wav,Bark,65579,CC-BY
f76181c4.wav,"Walk_and_footsteps,Slam",28739,CC0
"""
NOISY = """fname,labels,flickr_video_URL,license
00097e21.wav,Bathtub_(filling_or_washing),http://www.flickr.com/videos/8566600@N07/4372020310/,CC BY 2.0
"""
TEST_2019 = """fname,labels,usage,freesound_id,license
d527f12d.wav,"Slam,Bathtub_(filling_or_washing)",Private,327681,CC-BY-NC
4030a4f2.wav,Bark,Public,180226,CC-BY
"""
VOCABULARY = "0,Walk_and_footsteps\n1,Bark\n2,Bathtub_(filling_or_washing)\n3,Slam\n"
TABLES_2018 = {
    "FSDKaggle2018.meta/train_post_competition.csv": TRAIN_2018,
    "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv": TEST_2018,
}
TABLES_2019 = {
    "FSDKaggle2019.meta/train_curated_post_competition.csv": CURATED,
    "FSDKaggle2019.meta/train_noisy_post_competition.csv": NOISY,
    "FSDKaggle2019.meta/test_post_competition.csv": TEST_2019,
    "FSDKaggle2019.meta/vocabulary.csv": VOCABULARY,
}


def test_2018_as_published(tmp_path):
    write(
        tmp_path,
        TABLES_2018,
        [
            "FSDKaggle2018.audio_train/00044347.wav",
            "FSDKaggle2018.audio_train/001ca53d.wav",
            "FSDKaggle2018.audio_test/00326aa9.wav",
            "FSDKaggle2018.audio_test/0038a046.wav",
        ],
    )
    imported = fsdkaggle.read_2018(tmp_path)
    assert imported.clips.select(["clip", "path", "split", "group", "verified", "labelled"]).to_pydict() == {
        "clip": ["00044347", "001ca53d", "0048fd00", "00326aa9", "0038a046"],
        "path": [
            "FSDKaggle2018.audio_train/00044347.wav",
            "FSDKaggle2018.audio_train/001ca53d.wav",
            "0048fd00.wav",
            "FSDKaggle2018.audio_test/00326aa9.wav",
            "FSDKaggle2018.audio_test/0038a046.wav",
        ],
        "split": ["train", "train", "train", "test", "test"],
        "group": ["28739", "358827", "28739", "355125", "90621"],
        "verified": [False, True, True, True, True],
        "labelled": ["weak"] * 5,
    }
    assert imported.vocabulary.tags == ("Bass_drum", "Gunshot_or_gunfire", "Hi-hat", "Saxophone")
    assert imported.vocabulary.ids is None
    assert tags_by_clip(imported) == {
        "00044347": ["Hi-hat"],
        "001ca53d": ["Saxophone"],
        "0048fd00": ["Gunshot_or_gunfire"],
        "00326aa9": ["Saxophone"],
        "0038a046": ["Bass_drum"],
    }
    assert imported.notes == (
        "read: FSDKaggle2018.meta/train_post_competition.csv (3 clips), "
        "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv (2 clips)",
        "verified: clips of train as the column manually_verified says",
        "verified: all clips of test",
    )
    assert imported.problems == imported.not_annotated == ()


def test_2018_of_the_competition_names_no_recordings_and_pads_its_test_set(tmp_path):
    train = "fname,label,manually_verified\n00044347.wav,Hi-hat,0\n"
    tables = {"train.csv": train, "test_post_competition.csv": PADDING_2018}
    write(tmp_path, tables, ["audio_train/00044347.wav", "audio_test/00063640.wav", "audio_test/stray.wav"])
    imported = fsdkaggle.read_2018(tmp_path)
    assert imported.clips["clip"].to_pylist() == ["00044347", "00326aa9"]
    assert imported.clips["group"].to_pylist() == ["audio_train/00044347.wav", "355125"]
    assert imported.vocabulary.tags == ("Hi-hat", "Saxophone")
    assert imported.notes[0] == "read: train.csv (1 clip), test_post_competition.csv (1 clip)"
    assert imported.notes[-2:] == (
        "left out: 2 clips that only padded the test set (usage Ignored, label None; first: 00063640.wav)",
        "left out: 1 audio file that no table names (first: audio_test/stray.wav)",
    )


def test_the_table_published_last_is_read(tmp_path):
    write(tmp_path, {**TABLES_2018, "train.csv": "fname,label,manually_verified\nold.wav,Hi-hat,0\n"})
    assert fsdkaggle.read_2018(tmp_path).clips["clip"].to_pylist()[0] == "00044347"


def test_2018_refuses_what_is_no_flag(tmp_path):
    write(tmp_path, {"train.csv": "fname,label,manually_verified\na.wav,Hi-hat,yes\n"})
    with pytest.raises(InputError, match=r'train.csv:2: manually_verified must be true, false or empty, got "yes"'):
        fsdkaggle.read_2018(tmp_path)


def test_2019_as_published(tmp_path):
    write(
        tmp_path,
        TABLES_2019,
        [
            "FSDKaggle2019.audio_train_curated/0006ae4e.wav",
            "FSDKaggle2019.audio_train_curated/f76181c4.wav",
            "FSDKaggle2019.audio_train_noisy/00097e21.wav",
            "FSDKaggle2019.audio_test/d527f12d.wav",
        ],
    )
    imported = fsdkaggle.read_2019(tmp_path)
    assert imported.clips.select(["clip", "path", "split", "group", "verified", "labelled"]).to_pydict() == {
        "clip": ["0006ae4e", "f76181c4", "00097e21", "d527f12d", "4030a4f2"],
        "path": [
            "FSDKaggle2019.audio_train_curated/0006ae4e.wav",
            "FSDKaggle2019.audio_train_curated/f76181c4.wav",
            "FSDKaggle2019.audio_train_noisy/00097e21.wav",
            "FSDKaggle2019.audio_test/d527f12d.wav",
            "4030a4f2.wav",
        ],
        "split": ["train", "train", "train", "test", "test"],
        "group": ["65579", "28739", "http://www.flickr.com/videos/8566600@N07/4372020310/", "327681", "180226"],
        "verified": [True, False, False, True, True],
        "labelled": ["weak"] * 5,
    }
    assert imported.vocabulary.tags == ("Walk_and_footsteps", "Bark", "Bathtub_(filling_or_washing)", "Slam")
    assert tags_by_clip(imported) == {
        "0006ae4e": ["Bark"],
        "f76181c4": ["Walk_and_footsteps", "Slam"],
        "00097e21": ["Bathtub_(filling_or_washing)"],
        "d527f12d": ["Bathtub_(filling_or_washing)", "Slam"],
        "4030a4f2": ["Bark"],
    }
    assert imported.notes[1:] == (
        "tags and their order are those of vocabulary.csv",
        "verified: the curated and the test set; the noisy set is not",
        "not verified: 1 curated clips that FSDKaggle2019's README says have a wrong label: f76181c4",
    )


def test_2019_of_the_competition(tmp_path):
    tables = {
        "train_curated.csv": 'fname,labels\n0006ae4e.wav,"Bark,Slam"\n',
        "train_noisy.csv": "fname,labels\n00097e21,Bark\n",
    }
    write(tmp_path, tables, ["train_curated/0006ae4e.wav", "train_noisy/00097e21.wav", "test/4260ebea.wav"])
    imported = fsdkaggle.read_2019(tmp_path)
    paths = ["train_curated/0006ae4e.wav", "train_noisy/00097e21.wav"]
    assert imported.clips["path"].to_pylist() == imported.clips["group"].to_pylist() == paths
    assert imported.clips["verified"].to_pylist() == [True, False]
    assert imported.vocabulary.tags == ("Bark", "Slam")
    assert imported.notes == (
        "read: train_curated.csv (1 clip), train_noisy.csv (1 clip)",
        "not there: test_post_competition.csv",
        "not there: vocabulary.csv; tags are sorted and have no ids",
        "verified: the curated and the test set; the noisy set is not",
        "left out: 1 audio file that no table names (first: test/4260ebea.wav)",
    )


def test_one_table_as_the_source(tmp_path):
    write(tmp_path, TABLES_2019, ["FSDKaggle2019.audio_train_noisy/00097e21.wav"])
    imported = fsdkaggle.read_2019(tmp_path / "FSDKaggle2019.meta" / "train_noisy_post_competition.csv")
    assert imported.clips["path"].to_pylist() == ["FSDKaggle2019.audio_train_noisy/00097e21.wav"]
    assert len(imported.vocabulary) == 4
    assert imported.audio_root == tmp_path


def test_the_years_are_told_apart_by_their_columns(tmp_path):
    old, new = write(tmp_path / "2018", TABLES_2018), write(tmp_path / "2019", TABLES_2019)
    assert [fsdkaggle.is_at_2018(old), fsdkaggle.is_at_2019(old)] == [True, False]
    assert [fsdkaggle.is_at_2018(new), fsdkaggle.is_at_2019(new)] == [False, True]
    old = write(tmp_path / "a", {"test_post_competition.csv": PADDING_2018}) / "test_post_competition.csv"
    new = write(tmp_path / "b", {"test_post_competition.csv": TEST_2019}) / "test_post_competition.csv"
    assert [fsdkaggle.is_at_2018(old), fsdkaggle.is_at_2019(old)] == [True, False]
    assert [fsdkaggle.is_at_2018(new), fsdkaggle.is_at_2019(new)] == [False, True]
    with pytest.raises(InputError, match="columns fname, labels are required, labels not found"):
        fsdkaggle.read_2019(write(tmp_path / "c", {"train_noisy.csv": TRAIN_2018}))


def test_a_list_of_ones_own_is_not_this_layout(tmp_path):
    write(tmp_path, {"train.csv": "fname,label\na.wav,Dog\n", "list.csv": TEST_2019})
    assert not fsdkaggle.is_at_2018(tmp_path)
    assert not fsdkaggle.is_at_2019(tmp_path / "list.csv")


def test_a_label_of_2018_is_one_tag_whatever_it_holds(tmp_path):
    table = TRAIN_2018.replace("Hi-hat", '"Hi-hat, open"')
    write(tmp_path, {"FSDKaggle2018.meta/train_post_competition.csv": table})
    assert "Hi-hat, open" in fsdkaggle.read_2018(tmp_path).vocabulary
