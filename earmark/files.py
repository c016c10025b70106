"""Files and folders that are whole or not there: written aside, then renamed."""

import contextlib
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark.errors import InputError


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and is removed when it does not.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with written_aside(target) as aside:
    ...     _ = aside.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last, because writers choose their format by it.
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with _told_of(path, aside):
            # Made here, so that it has the permissions the user's umask gives: some writers give a file to its owner
            # alone.
            aside.touch()
            permissions = aside.stat().st_mode
            yield aside
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.chmod(permissions)
            aside.replace(path)
    finally:
        # Where it cannot be there, it need not go.
        with contextlib.suppress(OSError):
            aside.unlink()


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when the block ends well, and is removed when it does not.

    Raises:
        InputError: something is there already, other than an empty folder.
    """
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        was = "a link" if out.is_symlink() else "a folder with something in it" if out.is_dir() else "a file"
        raise InputError(f"{out}: must be a folder that is not there yet, or empty, found {was}; choose another folder")
    with folder_aside(out) as aside:
        yield aside
        # Over an empty folder too, where the system can.
        if out.is_dir():
            out.rmdir()
        aside.replace(out)


@contextlib.contextmanager
def folder_aside(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, to be renamed within the block; what is left of it then is removed.

    What processes that are gone left behind beside the same folder is removed first.
    """
    place = Path(os.path.abspath(out))
    # Relative links in the folder are the same under its name only if no link leads to it.
    place = place.parent.resolve() / place.name
    _clear_left_behind(place)
    aside = _aside(place, os.getpid())
    try:
        with _told_of(out, aside):
            aside.mkdir(parents=True)
            yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _told_of(path: Path, aside: Path) -> Iterator[None]:
    """What the system refuses within the block is said of `path`: nobody knows the name that it has till then."""
    try:
        yield
    except OSError as error:
        if error.errno is None or not str(error.filename).startswith(str(aside)):
            raise
        inside = str(error.filename).removeprefix(str(aside))
        raise OSError(error.errno, error.strerror, f"{path}{inside}") from error


def _aside(out: Path, process: int | str) -> Path:
    return out.with_name(f".{out.name}.{process}.part")


def _clear_left_behind(out: Path) -> None:
    """Removes the folders of killed processes; one with this process's number is such a one too."""
    for found in glob.glob(str(_aside(Path(glob.escape(str(out))), "*"))):
        number = found.rsplit(".", 2)[1]
        if number.isdecimal() and (int(number) == os.getpid() or not _is_running(int(number))):
            shutil.rmtree(found, ignore_errors=True)


def _is_running(process: int) -> bool:
    """Whether there is such a process; taken for granted where asking might end it."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def kind_of_folder(folder: Path) -> str | None:
    """What kind of folder of ours one is, in words, for messages where another kind was wanted; None for any other."""
    kinds = {
        "dataset.json": "a data set",
        "settings.json": "a run folder",
        "config.json": "a model folder",
        "scores.npy": "a score store",
    }
    return next((kind for name, kind in kinds.items() if (folder / name).is_file()), None)


ORDER = "the order is MODEL DATASET (evaluate, score, tune, map), RECIPE DATASET (train), DATASET SCORES (coverage)"
"""For messages about one kind of folder in the place of another."""


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, "utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people to read: indented, keys in the order given, NaN refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON."""
    return json.loads(path.read_text("utf-8"))


def digest_of(*parts: bytes) -> str:
    """A short stable name for content: the first 16 hex digits of its SHA-256.

    >>> digest_of(b"a")
    'ca978112ca1bbdca'
    """
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()[:16]
