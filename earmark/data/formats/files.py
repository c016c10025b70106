"""The audio files beneath a folder, and what else lies there."""

import os
import posixpath
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earmark.data.audio.containers import AUDIO_SUFFIXES
from earmark.data.audio.problems import Problem, problem_of
from earmark.errors import counted, first_few


@dataclass
class FoundFiles:
    """What lies beneath a folder.

    Attributes:
        audio: paths of files with an audio suffix (in any case), relative, with `/`, sorted.
        others: how many other files have each suffix.
        hidden: how many files and folders begin with a dot; they are not looked into.
        problems: folders that cannot be listed, names that are not UTF-8.
    """

    audio: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    problems: list[Problem] = field(default_factory=list)

    def notes(self) -> Iterator[str]:
        """What was left out, counted."""
        if self.others:
            kinds = first_few([suffix or "no suffix" for suffix, _ in self.others.most_common()])
            count = self.others.total()
            what = "1 file that is" if count == 1 else f"{count} files that are"
            yield f"left out: {what} not audio ({kinds})"
        if self.hidden:
            yield f"left out: {self.hidden} hidden (names that begin with a dot)"

    def unnamed_note(self, paths: Collection[str]) -> Iterator[str]:
        """How many audio files are not among the paths that tables name, if any are not."""
        named = set(paths)
        strangers = [path for path in self.audio if path not in named]
        if strangers:
            yield f"left out: {counted(len(strangers), 'audio file')} that no table names (first: {strangers[0]})"


class AudioByName:
    """The audio files beneath a folder, found again by the names that tables give them.

    Attributes:
        found: everything that lies there.
    """

    def __init__(self, folder: Path) -> None:
        self.found = find_audio(folder)
        self._by_name: dict[str, list[str]] = {}
        for path in self.found.audio:
            name = posixpath.basename(path)
            stem, suffix = posixpath.splitext(name)
            for key in {name, stem if suffix.lower() in AUDIO_SUFFIXES else name}:
                self._by_name.setdefault(key, []).append(path)

    def paths(self, name: str, *folders: str) -> list[str]:
        """The paths (relative, with `/`) of the files of a name, with or without its suffix, wherever they lie.

        Args:
            folders: if any file of the name lies beneath a folder so called (`train`, `FSD50K.dev_audio`), only those
                in the first such folder count.
        """
        fitting = self._by_name.get(name, [])
        for folder in folders:
            inside = [path for path in fitting if f"/{folder}/" in f"/{path}"]
            if inside:
                return inside
        return fitting

    def locate(self, names: Sequence[str], clips: Sequence[str], *folders: str) -> tuple[list[str], list[Problem]]:
        """The file of every name, and why some clips have none of their own.

        A name without a file is its own path (and found missing when it is looked at); one that several files have is
        a problem of its clip.
        """
        paths, problems = [], []
        for name, clip in zip(names, clips, strict=True):
            fitting = self.paths(name, *folders)
            if len(fitting) > 1:
                detail = f"{len(fitting)} files are called so: {first_few(fitting)}"
                problems.append(problem_of("unclear", name, clip, detail))
            paths.append(fitting[0] if len(fitting) == 1 else name)
        return paths, problems


def find_audio(folder: Path, subfolders: Collection[str] | None = None) -> FoundFiles:
    """The audio files beneath a folder, links followed.

    A folder whose own name has an audio suffix and that holds no audio is listed as if it were a file, because
    someone will miss that file.

    Args:
        subfolders: look into these of the folder's subfolders only; all if left out.
    """
    found = FoundFiles()
    _search(folder, "", subfolders, frozenset(), found)
    found.audio.sort()
    return found


def _search(
    folder: Path, prefix: str, subfolders: Collection[str] | None, above: frozenset[tuple[int, int]], found: FoundFiles
) -> None:
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        detail = (error.strerror or str(error)).lower()
        found.problems.append(problem_of("unreadable", _printable(prefix or str(folder)), detail=f"folder: {detail}"))
        return
    for entry in entries:
        path, suffix = prefix + entry.name, os.path.splitext(entry.name)[1].lower()
        if entry.name.startswith("."):
            found.hidden += 1
        elif entry.is_dir():
            if subfolders is None or entry.name in subfolders:
                before = len(found.audio)
                _search(Path(entry.path), path + "/", None, above | {here}, found)
                if suffix in AUDIO_SUFFIXES and len(found.audio) == before:
                    found.audio.append(path)
        elif suffix not in AUDIO_SUFFIXES:
            found.others[_printable(suffix)] += 1
        elif _printable(path) != path:
            found.problems.append(problem_of("unreadable", _printable(path), detail="the file's name is not UTF-8"))
        else:
            found.audio.append(path)


def _printable(path: str) -> str:
    """The path as text; bytes that are not UTF-8 are shown as such."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
