import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data import duplicates
from earmark.data.duplicates import first_of_same
from earmark.data.inspection import Inspection


def written(folder, contents):
    """Files 0, 1 ... of some bytes, and their paths."""
    for index, content in enumerate(contents):
        (folder / str(index)).write_bytes(content)
    return [str(index) for index in range(len(contents))]


def inspected(folder, paths, left_out=()):
    status = [os.stat(folder / path) for path in paths]
    usable = np.array([path not in left_out for path in paths])
    return Inspection(
        duration_s=np.where(usable, 1.0, np.nan),
        num_bytes=np.where(usable, [each.st_size for each in status], -1),
        device=np.array([each.st_dev for each in status], np.uint64),
        inode=np.array([each.st_ino for each in status], np.uint64),
        place=np.zeros(0, np.int64),
        problems=[],
    )


def firsts(folder, paths, **how):
    return first_of_same(folder, paths, inspected(folder, paths, **how), workers=2).tolist()


def test_the_same_bytes_are_found_and_the_first_is_named(tmp_path):
    paths = written(tmp_path, [b"aa", b"bb", b"aa", b"c", b"bb", b"aa"])
    assert firsts(tmp_path, paths) == [0, 1, 0, 3, 1, 0]


def test_a_recording_that_is_left_out_is_like_none(tmp_path):
    paths = written(tmp_path, [b"aa", b"aa", b"aa"])
    assert firsts(tmp_path, paths, left_out=["0"]) == [0, 1, 1]


@pytest.mark.parametrize(("size", "differs_at"), [(300, 0), (300, 100), (300, 299), (300, None), (21, 10)])
def test_long_files_are_compared_whole(tmp_path, monkeypatch, size, differs_at):
    monkeypatch.setattr(duplicates, "END_BYTES", 10)
    monkeypatch.setattr(duplicates, "BLOCK_BYTES", 64)
    other = bytearray(size)
    if differs_at is not None:
        other[differs_at] = 1
    paths = written(tmp_path, [bytes(size), bytes(other)])
    assert firsts(tmp_path, paths) == [0, 0 if differs_at is None else 1]


def test_no_more_is_read_than_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "END_BYTES", 10)
    read = {"ends": [], "whole": []}
    for name in read:
        hash_of = getattr(duplicates, f"_{name}_hash")

        def watched(path, num_bytes, name=name, hash_of=hash_of):
            read[name].append(os.path.basename(path))
            return hash_of(path, num_bytes)

        monkeypatch.setattr(duplicates, f"_{name}_hash", watched)
    contents = [bytes(300), bytes(300), bytes(299) + b"1", bytes(20), bytes(20), bytes(7)]
    paths = written(tmp_path, contents)
    os.link(tmp_path / "5", tmp_path / "6")
    (tmp_path / "7").symlink_to(tmp_path / "1")
    assert firsts(tmp_path, [*paths, "6", "7"]) == [0, 0, 2, 3, 3, 5, 5, 0]
    assert sorted(read["ends"]) == ["0", "1", "2", "3", "4"]
    assert sorted(read["whole"]) == ["0", "1"]


def test_files_of_two_sizes_are_never_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "END_BYTES", 10)
    paths = written(tmp_path, [bytes(300), b"1" + bytes(299), bytes(400), b"1" + bytes(399)])
    assert firsts(tmp_path, paths) == [0, 1, 2, 3]


def test_files_without_a_number_of_their_own_are_not_one_file(tmp_path):
    paths = written(tmp_path, [b"aa", b"ab"])
    found = inspected(tmp_path, paths)
    found.inode[:] = 0
    assert first_of_same(tmp_path, paths, found).tolist() == [0, 1]


@pytest.mark.parametrize("size", [2, 300])
def test_a_file_that_went_away_is_like_none(tmp_path, monkeypatch, size):
    monkeypatch.setattr(duplicates, "END_BYTES", 10)
    paths = written(tmp_path, [bytes(size)] * 4)
    found = inspected(tmp_path, paths)
    if size == 2:
        (tmp_path / "0").unlink()
        (tmp_path / "1").unlink()
    else:
        whole_hash = duplicates._whole_hash

        def gone(path, num_bytes):
            if path.endswith(("0", "1")):
                raise FileNotFoundError
            return whole_hash(path, num_bytes)

        monkeypatch.setattr(duplicates, "_whole_hash", gone)
    assert first_of_same(tmp_path, paths, found).tolist() == [0, 1, 2, 2]


@settings(max_examples=20)
@given(contents=st.lists(st.binary(max_size=6).map(lambda ends: ends[:2] + bytes(8) + ends[2:]), max_size=12))
def test_a_plain_comparison_finds_the_same(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("files")
    paths = written(folder, contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "END_BYTES", 2)
        assert firsts(folder, paths) == [contents.index(content) for content in contents]
