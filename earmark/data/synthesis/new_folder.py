"""A data set folder that is whole or not there: filled aside, then renamed."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earmark.errors import InputError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name when the block ends well, and is removed when it does not.

    What processes that are gone left behind of the same folder is removed first.

    Raises:
        InputError: something is there already.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise InputError(f"{out}: must be a new folder, something is there already; choose another or remove it")
    out = out.absolute()
    _clear_left_behind(out)
    aside = _aside(out, os.getpid())
    aside.mkdir(parents=True)
    try:
        yield aside
        # Over an empty folder too, where the system can.
        if out.is_dir():
            out.rmdir()
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


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
