"""Files that are whole or not there: written aside, synced, renamed."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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
    # Made here, so that it has the permissions the user's umask gives: some writers give a file to its owner alone.
    aside.touch()
    permissions = aside.stat().st_mode
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.chmod(permissions)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


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
