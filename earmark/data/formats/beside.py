"""Recordings with text tables beside them, which say when each tag is heard: what their readers share."""

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.audio.containers import AUDIO_SUFFIXES
from earmark.data.audio.problems import Problem, problem_of
from earmark.data.formats.files import AudioByName
from earmark.data.formats.imported import Imported, clip_ids, given_labels
from earmark.data.tables import CLIP_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import first_few

FloatArray = npt.NDArray[np.float64]

SUFFIX = ".txt"
# What Raven and BirdNET put behind the name of a recording.
_TABLE_ENDING = re.compile(r"(\.Table\.\d+|\.BirdNET)?(\.selections?|\.results)?(\.table)?$", re.IGNORECASE)


class Tally:
    """Remarks with how often each was made and where it was made first, paths as they are in a source's folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._remarks: dict[str, tuple[int, str]] = {}

    def place(self, path: Path, line: object = "") -> str:
        """A table, or a line of it, as it is called in notes."""
        is_beneath = self._folder is not None and path.is_relative_to(self._folder)
        name = path.relative_to(self._folder or "").as_posix() if is_beneath else path.name
        return f"{name}:{line}" if line else name

    def add(self, remark: str, first: str, count: int = 1) -> None:
        """Counts a remark; `first` says where, a count of 0 says nothing."""
        if count:
            before, place = self._remarks.get(remark, (0, first))
            self._remarks[remark] = (before + count, place)

    def notes(self) -> list[str]:
        """A line a remark, in the order in which they came up."""
        return [f"{remark}: {count} (first: {place})" for remark, (count, place) in self._remarks.items()]


@dataclass(frozen=True, eq=False)
class Events:
    """What a table says: events of the recording that it lies beside, or of recordings that it names.

    Attributes:
        tags: (event,).
        onset_s, offset_s: seconds in the recording, onset < offset, (event,).
        place: where an event stands, given its number: file and line.
        recordings: names of recordings, (event,); None if all are of the table's own.
        named: every recording that the table names, also where all it says of one is left out.
    """

    tags: Sequence[str]
    onset_s: FloatArray
    offset_s: FloatArray
    place: Callable[[int], str]
    recordings: Sequence[str] | None = None
    named: Sequence[str] = ()


def text_files(folder: Path) -> Iterator[str]:
    """The `.txt` files beneath a folder, relative, with `/`; links are followed, hidden names left out."""
    for inside, names in _folders_beneath(folder):
        yield from ((inside / name).as_posix() for name in names if is_text_file(name))


def tables_beside_recordings(folder: Path) -> Iterator[str]:
    """Those of the `.txt` files that are called like an audio file in their folder, with or without its suffix."""
    for inside, names in _folders_beneath(folder):
        audio = [name for name in names if posixpath.splitext(name)[1].lower() in AUDIO_SUFFIXES]
        called = {*audio, *(posixpath.splitext(name)[0] for name in audio)}
        texts = (name for name in names if is_text_file(name))
        yield from ((inside / name).as_posix() for name in texts if name[: -len(SUFFIX)] in called)


def _folders_beneath(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all beneath it, relative, each with the names of its files in order."""
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(here).relative_to(folder), sorted(names)


def is_text_file(name: str) -> bool:
    """Whether a name is that of a text table that is not hidden."""
    return name.lower().endswith(SUFFIX) and not name.startswith(".")


def first_line(path: Path) -> str:
    """The first line of a text file that is not blank, of its first few thousand bytes; "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return ""
    lines = start.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").splitlines()
    return next((line for line in lines if line.strip()), "")


def is_blank(path: Path) -> bool:
    """Whether a text file can be read and has nothing but blanks in its first few thousand bytes."""
    try:
        with path.open("rb") as file:
            return not file.read(4096).removeprefix(b"\xef\xbb\xbf").strip()
    except OSError:
        return False


def names_meant(table: str) -> list[str]:
    """The recordings that a table may be named after, the likeliest first.

    Only where a name has none of the endings that programs give is it cut at any dot: "rec.2" is not "rec".

    >>> names_meant("site/rec.2.Table.1.selections.txt"), names_meant("rec.2.ann.txt")
    (['rec.2', 'rec.2.Table.1.selections'], ['rec.2.ann', 'rec.2', 'rec'])
    """
    stem = posixpath.basename(table)[: -len(SUFFIX)]
    bare = _TABLE_ENDING.sub("", stem)
    if bare != stem:
        return [bare, stem]
    parts = stem.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1) if any(parts[:end])]


class Recordings:
    """The recordings of a source, a row each; one that a table names gets a row even if it is not there.

    Attributes:
        paths: relative to the source, or the name that a table gives a recording that is not there.
        problems: what was found wrong with files, and names that several recordings have.
    """

    def __init__(self, audio: AudioByName, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        self.problems: list[Problem] = list(audio.found.problems)
        self._audio = audio
        self._row = {path: row for row, path in enumerate(paths)}
        self._annotated: set[int] = set()
        self._several: set[int] = set()
        self._unclear: dict[int, str] = {}

    def fitting(self, names: Sequence[str], folder: str) -> list[str]:
        """The recordings that have the first of some names that any has, those in the folder before all others."""
        for name in names:
            found = self._audio.paths(name)
            if found:
                return [path for path in found if posixpath.dirname(path) == folder] or found
        return []

    def annotated_row(self, names: Sequence[str], folder: str, missing: str) -> int:
        """The row of the recording that is meant by some names; from now on it counts as annotated.

        Args:
            folder: of the table, relative to the source.
            missing: what the recording is called if it is not there, or not clear.
        """
        found = self.fitting(names, folder)
        path = found[0] if len(found) == 1 else missing
        row = self._row.setdefault(path, len(self.paths))
        if row == len(self.paths):
            self.paths.append(path)
        if len(found) > 1:
            self._unclear[row] = f"{len(found)} files are called so: {first_few(found)}"
        (self._several if row in self._annotated else self._annotated).add(row)
        return row

    def imported(self, folder: Path, events: "EventRows", notes: Sequence[str]) -> Imported:
        """A clip a recording, labelled strong where annotated, else none; tags are sorted."""
        clip = pa.array(clip_ids(self.paths), pa.string())
        vocabulary = Vocabulary(tuple(sorted(set(events.tags))))
        unclear = [
            problem_of("unclear", self.paths[row], str(clip[row]), detail) for row, detail in self._unclear.items()
        ]
        labelled = ["strong" if row in self._annotated else "none" for row in range(len(self.paths))]
        path = pa.array(self.paths, pa.string())
        return Imported(
            clips=columns_or_null(
                len(path), CLIP_SCHEMA, clip=clip, path=path, group=path, labelled=pa.array(labelled, pa.string())
            ),
            labels=given_labels(clip, vocabulary, *events.arrays(vocabulary)),
            vocabulary=vocabulary,
            audio_root=folder,
            notes=(*notes, *self._notes()),
            problems=(*self.problems, *unclear),
        )

    def _notes(self) -> Iterator[str]:
        several = [self.paths[row] for row in sorted(self._several)]
        if several:
            yield f"recordings with several tables, whose events are joined: {len(several)} (first: {several[0]})"
        bare = [path for row, path in enumerate(self.paths) if row not in self._annotated]
        if bare:
            yield f"recordings without a table: {len(bare)}, labelled none (first: {bare[0]})"


@dataclass(eq=False)
class EventRows:
    """The events of many tables, one after another, with the rows of their recordings."""

    tags: list[str] = field(default_factory=list)
    _rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _times_s: list[FloatArray] = field(default_factory=list)

    def add(self, rows: npt.NDArray[np.int64], events: Events) -> None:
        """Adds a table's events, each of the recording in its row."""
        self.tags.extend(events.tags)
        self._rows.append(rows)
        self._times_s.append(np.stack([events.onset_s, events.offset_s]))

    def arrays(
        self, vocabulary: Vocabulary
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray, FloatArray]:
        """Rows, tags by number, onsets and offsets in seconds, (event,) each."""
        place = {tag: index for index, tag in enumerate(vocabulary)}
        tags = np.array([place[tag] for tag in self.tags], np.int64)
        onset_s, offset_s = np.concatenate([np.zeros((2, 0)), *self._times_s], axis=1)
        return np.concatenate([np.zeros(0, np.int64), *self._rows]), tags, onset_s, offset_s
