"""Names for the files of an export: each given once, none hidden, and none that leads out of its folder."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from earmark.data.audio.containers import AUDIO_BY_CONTAINER, AUDIO_SUFFIXES
from earmark.data.audio.problems import AudioError
from earmark.data.audio.reading import inspect_audio
from earmark.data.exporting.content import Content
from earmark.data.formats.imported import without_suffix
from earmark.errors import counted, first_few
from earmark.files import digest_of

# What is cut from a recording is written so.
STRETCH_SUFFIX = ".wav"
# Most file systems allow 255; the rest is for suffixes and numbers.
_MOST_BYTES = 200
# Control characters, and what separates folders here or elsewhere.
_NO_FILE_NAME = re.compile(r"[\x00-\x1f\x7f/\\]")


def safe_name(text: str) -> str:
    """The text as the name of one file that is not hidden: nothing in it leads to another folder.

    >>> safe_name("Dog/a"), safe_name("../x"), safe_name("-b"), safe_name("")
    ('Dog_a', '_._x', '-b', '_')
    """
    name = _NO_FILE_NAME.sub("_", text) or "_"
    name = f"_{name[1:]}" if name.startswith(".") else name
    encoded = name.encode("utf-8")
    if len(encoded) <= _MOST_BYTES:
        return name
    return f"{encoded[: _MOST_BYTES - 17].decode('utf-8', 'ignore')}_{digest_of(encoded)}"


def safe_path(text: str) -> str:
    """The text as a path beneath a folder: `/` leads into folders, never out of it.

    >>> safe_path("Dog/a"), safe_path("/etc/../x"), safe_path("//")
    ('Dog/a', 'etc/_./x', '_')
    """
    return "/".join(safe_name(part) for part in text.split("/") if part) or "_"


def recording_suffix(root: Path, path: str) -> str:
    """The suffix of a recording if it is one of audio files, else that of what the file holds, if it can be told."""
    suffix = posixpath.splitext(path)[1]
    if suffix.lower() in AUDIO_SUFFIXES:
        return suffix
    try:
        return AUDIO_BY_CONTAINER[inspect_audio(root / path)[0].container][0]
    except (AudioError, KeyError):
        return ""


class FreeNames:
    """Names for audio files beneath one folder, each given once.

    No name is another's without its suffix either, because tables name files both ways; and none is a folder's.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._tried: dict[str, int] = {}

    def take(self, stem: str, suffix: str) -> str:
        """The stem, or the stem with a number where that is taken; now it is.

        Where a file has the name of one of its folders, it lies in none of them: `a.wav/b` is `a.wav_b`.
        """
        stem = safe_name(stem) if any(folder in self._files for folder in _above(stem)) else stem
        free, number = stem, self._tried.get(stem, 1)
        while not self._is_free(free, suffix):
            number += 1
            free = f"{stem}_{number}"
        self._tried[stem] = number
        self._taken |= {free, free + suffix}
        self._files.add(free + suffix)
        self._folders.update(_above(free))
        return free

    def _is_free(self, stem: str, suffix: str) -> bool:
        name = stem + suffix
        return not (stem in self._taken or name in self._taken or name in self._folders)


def _above(path: str) -> list[str]:
    """The folders that a path lies in, relative as it is."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def clip_file_names(content: Content) -> list[str]:
    """A file name for every clip, all of one folder: its id with the suffix of its recording.

    A clip that is a stretch of a recording has the suffix `.wav`, because it is cut.
    """
    names = FreeNames()
    suffixes = clip_suffixes(content)
    clips = content.column("clip").tolist()
    return [names.take(safe_name(clip), suffix) + suffix for clip, suffix in zip(clips, suffixes, strict=True)]


def renamed_note(clips: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Which clips' files are not called like the clip, if any are not."""
    changed = [f"{clip} is {name}" for clip, name in zip(clips, names, strict=True) if without_suffix(name) != clip]
    if changed:
        yield f"{counted(len(changed), 'clip', 'are')} called otherwise than here: {first_few(changed, 2)}"


def clip_suffixes(content: Content) -> list[str]:
    """The suffix of every clip's file."""
    root, is_whole, paths = content.dataset.audio_root, np.isnan(content.onset_s), content.column("path")
    return [
        recording_suffix(root, path) if whole else STRETCH_SUFFIX for path, whole in zip(paths, is_whole, strict=True)
    ]
