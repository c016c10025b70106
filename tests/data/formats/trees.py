"""Sources made file by file, and what the readers of formats say of them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from earmark.data.formats.imported import Imported
from earmark.errors import InputError


def write(root: Path, tables: Mapping[str, str | bytes], audio: Iterable[str] = ()) -> Path:
    """The root, with tables by their paths in it and audio files of one byte: readers do not look into those."""
    for name, content in {**tables, **dict.fromkeys(audio, ".")}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def tree(root: Path, *audio: str) -> Path:
    """The root, with audio files of one byte in it."""
    return write(root, {}, audio)


def clips(imported: Imported, *columns: str) -> list[tuple[object, ...]]:
    """The clips' rows: these columns of them, or their names, paths and what annotators were asked for."""
    return [tuple(row[name] for name in columns or ("clip", "path", "labelled")) for row in imported.clips.to_pylist()]


def paths_of(imported: Imported) -> dict[str, str]:
    """The path of every clip."""
    return dict(clips(imported, "clip", "path"))


def labels(imported: Imported) -> list[tuple[str, str, float | None, float | None]]:
    """(clip, tag, onset, offset) of every label."""
    return [(row["clip"], row["tag"], row["onset"], row["offset"]) for row in imported.labels.to_pylist()]


def tags_by_clip(imported: Imported) -> dict[str, list[str]]:
    """The tags of every clip, in their order."""
    said = {clip: [] for clip in imported.clips["clip"].to_pylist()}
    for row in imported.labels.to_pylist():
        said[row["clip"]].append(row["tag"])
    return said


def refused(read: Callable[[Path], object], source: Path) -> str:
    """The one line with which a reader refuses a source."""
    with pytest.raises(InputError) as caught:
        read(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)
