import os
import subprocess
import sys

import pytest

from earmark.errors import InputError
from earmark.files import folder_aside, new_folder, read_json, write_json, written_aside


def test_a_broken_write_leaves_the_old_file_and_no_other(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError), written_aside(path) as aside:
        aside.write_text("half \ud800", "utf-8")
    assert read_json(path) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]


def test_a_new_folder_is_whole_or_not_there(tmp_path) -> None:
    with new_folder(tmp_path / "deep" / "out") as aside:
        (aside / "a.txt").write_text("a")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "a.txt").read_text() == "a"
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as aside:
        (aside / "a.txt").write_text("a")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["a.txt"]
    with pytest.raises(UnicodeEncodeError), new_folder(tmp_path / "broken") as aside:
        (aside / "a.txt").write_text("half \ud800", "utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty"]


def test_a_folder_that_is_taken_is_refused_and_left(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "full" / "inside").mkdir(parents=True)
    for name, was in (("file", "a file"), ("link", "a link"), ("full", "a folder with something in it")):
        with pytest.raises(InputError) as caught, new_folder(tmp_path / name):
            pass
        assert str(caught.value) == (
            f"{tmp_path / name}: must be a folder that is not there yet, or empty, found {was}; choose another folder"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "link"]


def test_a_folder_made_through_a_link_lies_where_its_relative_links_hold(tmp_path) -> None:
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "short").symlink_to(tmp_path / "real" / "below")
    with new_folder(tmp_path / "short" / "out") as aside:
        assert aside.parent == (tmp_path / "real" / "below").resolve()
    assert (tmp_path / "real" / "below" / "out").is_dir()


def test_what_killed_processes_left_is_cleared_away(tmp_path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, os.getpid(), os.getppid()):
        (tmp_path / f".out.{process}.part" / "audio").mkdir(parents=True)
    (tmp_path / ".out.mine.part").mkdir()
    with folder_aside(tmp_path / "out") as aside:
        assert list(aside.iterdir()) == []
        aside.rename(tmp_path / "out")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"out", ".out.mine.part", f".out.{os.getppid()}.part"}


def test_what_the_system_refuses_is_said_of_the_name_that_people_gave(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "out"
    with pytest.raises(NotADirectoryError) as caught, new_folder(out):
        pass
    assert caught.value.filename == str(out)
    with pytest.raises(FileNotFoundError) as gone, new_folder(tmp_path / "new") as aside:
        (aside / "nowhere" / "a.txt").write_text("a")
    assert gone.value.filename == str(tmp_path / "new" / "nowhere" / "a.txt")
    with pytest.raises(OSError, match="too long") as long, written_aside(tmp_path / ("a" * 250 + ".txt")):
        pass
    assert ".part" not in str(long.value)
    # Of other files it says what the system says.
    with pytest.raises(FileNotFoundError) as other, new_folder(tmp_path / "new"):
        (tmp_path / "elsewhere").read_text()
    assert other.value.filename == str(tmp_path / "elsewhere")
