"""FSDKaggle2018 and FSDKaggle2019, with the tables of the competitions or those published after them.

Verified in 2018 is what `manually_verified` says, in 2019 the curated set; the test sets are verified. A clip's group
is the Freesound sound, or Flickr video, that it was cut from, where the table has that column.

Source: the READMEs of the two data sets.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.formats.file_lists import FileList, file_names, imported_lists, vocabulary_beside
from earmark.data.formats.imported import Imported, without_suffix
from earmark.data.formats.layout_tables import ListKind, ListLayout, find_lists, holds_list
from earmark.data.table_files import TableFile
from earmark.errors import first_few

_TRAIN_2018 = ListKind(
    "train",
    ("train_post_competition.csv", "train.csv"),
    ("fname", "label", "manually_verified"),
    ("FSDKaggle2018.audio_train", "audio_train"),
)
_TEST_2018 = ListKind(
    "test",
    ("test_post_competition_scoring_clips.csv", "test_post_competition.csv"),
    ("fname", "label"),
    ("FSDKaggle2018.audio_test", "audio_test"),
)
_LAYOUT_2018 = ListLayout("fsdkaggle2018", (_TRAIN_2018, _TEST_2018), ("FSDKaggle2018.meta", "meta"))

_CURATED = ListKind(
    "train_curated",
    ("train_curated_post_competition.csv", "train_curated.csv"),
    ("fname", "labels"),
    ("FSDKaggle2019.audio_train_curated", "audio_train_curated", "train_curated"),
)
_NOISY = ListKind(
    "train_noisy",
    ("train_noisy_post_competition.csv", "train_noisy.csv"),
    ("fname", "labels"),
    ("FSDKaggle2019.audio_train_noisy", "audio_train_noisy", "train_noisy"),
)
_TEST_2019 = ListKind(
    "test", ("test_post_competition.csv",), ("fname", "labels"), ("FSDKaggle2019.audio_test", "audio_test", "test")
)
_LAYOUT_2019 = ListLayout("fsdkaggle2019", (_CURATED, _NOISY, _TEST_2019), ("FSDKaggle2019.meta", "meta"))

# Files of the curated set that have another's label, as the README of FSDKaggle2019 says.
_MISLABELLED = ("f76181c4", "77b925c2", "6a1f682a", "c7db12aa", "7752cc8a")


def is_at_2018(source: Path) -> bool:
    """Whether the source is, or holds, a table of FSDKaggle2018, with the columns fname and label."""
    return holds_list(source, _LAYOUT_2018)


def is_at_2019(source: Path) -> bool:
    """Whether the source is, or holds, a table of FSDKaggle2019, with the columns fname and labels."""
    return holds_list(source, _LAYOUT_2019)


def read_2018(source: Path) -> Imported:
    """The clips of FSDKaggle2018, each with one tag; clips that only padded the competition's test set are left out.

    Raises:
        InputError: no table of the layout is there, or a cell does not hold; with file and line.
    """
    tables = find_lists(source, _LAYOUT_2018)
    lists, notes, padding = [], [], []
    if _TRAIN_2018 in tables:
        file = tables[_TRAIN_2018]
        rows = _rows(file, {"tag": "label"}, "train", file.flags("manually_verified"))
        lists.append(FileList(_TRAIN_2018, file.path, rows))
        notes.append("verified: clips of train as the column manually_verified says")
    if _TEST_2018 in tables:
        file = tables[_TEST_2018]
        rows = _rows(file, {"tag": "label"}, "test", pa.repeat(True, file.table.num_rows))
        is_padding = pc.or_(_equal(file.text("usage"), "Ignored"), _equal(rows["tag"], "None"))
        lists.append(FileList(_TEST_2018, file.path, rows.filter(pc.invert(is_padding))))
        notes.append("verified: all clips of test")
        padding = rows["name"].filter(is_padding).to_pylist()
    if padding:
        padded = "clips that only padded the test set (usage Ignored, label None"
        notes.append(f"left out: {len(padding)} {padded}; first: {padding[0]})")
    return imported_lists(source, _LAYOUT_2018, lists, None, notes, padding)


def read_2019(source: Path) -> Imported:
    """The clips of FSDKaggle2019: the curated and the noisy training set, and the test set.

    Raises:
        InputError: no table of the layout is there, or a cell does not hold; with file and line.
    """
    lists, notes = [], ["verified: the curated and the test set; the noisy set is not"]
    for kind, file in find_lists(source, _LAYOUT_2019).items():
        split = "test" if kind is _TEST_2019 else "train"
        rows = _rows(file, {"tags": "labels"}, split, pa.repeat(kind is not _NOISY, file.table.num_rows))
        if kind is _CURATED:
            stems = pa.array([without_suffix(name) for name in rows["name"].to_pylist()], pa.string())
            is_wrong = pc.is_in(stems, pa.array(_MISLABELLED))
            rows = rows.set_column(rows.column_names.index("verified"), "verified", pc.invert(is_wrong))
            notes += _mislabelled(stems.filter(is_wrong))
        lists.append(FileList(kind, file.path, rows))
    vocabulary, note = vocabulary_beside(lists[0].path, "index,tag")
    return imported_lists(source, _LAYOUT_2019, lists, vocabulary, [note, *notes])


def _rows(file: TableFile, tags: Mapping[str, str], split: str, verified: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows of a table as `FileList` holds them; `tags` says which of its columns is `tag` or `tags`."""
    names = file_names(file, "fname")
    columns = {
        "name": names,
        **{name: file.text(column) for name, column in tags.items()},
        "split": pa.repeat(split, len(names)),
        "group": pc.coalesce(file.text("freesound_id"), file.text("flickr_video_URL")),
        "verified": verified,
    }
    return pa.table(columns)


def _equal(column: pa.ChunkedArray, word: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(column, word), False)


def _mislabelled(stems: pa.Array) -> Iterator[str]:
    if len(stems):
        yield (
            f"not verified: {len(stems)} curated clips that FSDKaggle2019's README says have a wrong label: "
            f"{first_few(stems.to_pylist())}"
        )
