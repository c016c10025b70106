"""The audio of an export: recordings linked or copied to their new names, and stretches cut from them."""

import os
import posixpath
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from earmark.data.audio.decoders import check_status
from earmark.data.audio.problems import AudioError, Problem
from earmark.data.audio.reading import inspect_audio, read_audio
from earmark.data.exporting.content import Content, SecondsArray
from earmark.data.inspection import FILES_A_TASK, in_tasks
from earmark.data.statements import IntArray
from earmark.errors import InputError, counted
from earmark.prefetch import mapped
from earmark.progress import progress_bar


@dataclass(frozen=True, eq=False)
class Files:
    """Files to be made: where the audio is, beneath the audio root or absolute, and what each is called.

    Attributes:
        clips: named where a file cannot be made, (file,).
        onset_s, offset_s: of the stretch of the recording, NaN for all of it, (file,).
    """

    paths: Sequence[str]
    targets: Sequence[str]
    clips: Sequence[str]
    onset_s: SecondsArray
    offset_s: SecondsArray


def clip_files(content: Content, targets: Sequence[str]) -> Files:
    """A file a clip."""
    return Files(
        content.column("path").tolist(),
        targets,
        content.column("clip").tolist(),
        content.onset_s,
        content.column("offset").astype(np.float64),
    )


@dataclass(frozen=True)
class Audio:
    """Where audio goes and how.

    Attributes:
        how: "link", "copy" or "none".
        root: the folder that the paths of recordings start from.
        folder: the folder that the export is written in, without links in its path; it may be renamed afterwards.
    """

    how: str
    root: Path
    folder: Path

    def place(self, files: Files) -> tuple[IntArray, list[Problem]]:
        """Which of the files are there now, and why others are not; with "none" nothing is looked at.

        Raises:
            InputError: the place does not take links.
        """
        if self.how == "none":
            return np.arange(len(files.paths)), []
        for folder in {posixpath.dirname(target) for target in files.targets}:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        found: list[Problem | None] = []
        tasks = in_tasks(np.arange(len(files.paths)), FILES_A_TASK)
        with progress_bar(len(files.paths), "placing audio", "file") as bar:
            for done in mapped(lambda task: [self._place_one(files, index) for index in task], tasks):
                found.extend(done)
                bar.update(len(done))
        placed = np.flatnonzero([problem is None for problem in found])
        return placed, [problem for problem in found if problem is not None]

    def _place_one(self, files: Files, index: int) -> Problem | None:
        path, target = self.root / files.paths[index], self.folder / files.targets[index]
        onset_s, offset_s = float(files.onset_s[index]), float(files.offset_s[index])
        try:
            if not np.isnan(onset_s):
                _cut(path, target, onset_s, offset_s)
            else:
                _check_file(path)
                _WAYS[self.how](path, target, self.folder.parent)
        except AudioError as error:
            return replace(error.problem(files.paths[index]), clip=files.clips[index])
        return None


def _link(path: Path, target: Path, near: Path) -> None:
    """Links to a recording: relatively where it lies beneath `near`, the folder that the export goes into."""
    absolute = os.path.abspath(path)
    is_near = Path(absolute).is_relative_to(near)
    try:
        target.symlink_to(os.path.relpath(absolute, target.parent) if is_near else absolute)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{near}: must be a place for symbolic links, {reason}; use --audio copy") from error


def _copy(path: Path, target: Path, near: Path) -> None:
    try:
        shutil.copyfile(path, target)
    except PermissionError as error:
        raise AudioError("permission denied") from error


_WAYS: dict[str, Callable[[Path, Path, Path], None]] = {"link": _link, "copy": _copy}
AUDIO_WORDS = (*_WAYS, "none")


def _cut(path: Path, target: Path, onset_s: float, offset_s: float) -> None:
    """Writes a stretch of a recording as mono WAV of 16 bit at the recording's own rate."""
    facts, _ = inspect_audio(path)
    waveform, _ = read_audio(path, facts.rate_hz, onset_s, offset_s)
    soundfile.write(target, waveform, facts.rate_hz, subtype="PCM_16", format="WAV")


def _check_file(path: Path) -> None:
    """Raises AudioError unless there is a file with something in it."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("dangling link" if path.is_symlink() else "missing") from error
    except PermissionError as error:
        raise AudioError("permission denied") from error
    check_status(status)


def cut_note(content: Content, audio: Audio) -> Iterator[str]:
    """Which clips' audio is new, if any's is."""
    if content.num_stretches and audio.how != "none":
        yield f"stretches of recordings: {counted(content.num_stretches, 'clip')}, cut from them as mono WAV of 16 bit"
