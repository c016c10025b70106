"""Every recording of an import looked at once, in threads: how long, how large, and what is wrong with it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from earmark.data.audio.problems import AudioError, Problem
from earmark.data.audio.reading import inspect_audio
from earmark.prefetch import mapped
from earmark.progress import progress_bar

Files = TypeVar("Files", Sequence[str], npt.NDArray[np.int64])

# Looked at by a thread at once: handing over fewer would cost as much as looking at them.
FILES_A_TASK = 64


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found of recordings, in their order.

    Attributes:
        duration_s: float64 (recording,), NaN where the recording is left out.
        num_bytes: int64 (recording,), -1 where it is left out.
        device, inode: what names a file whatever its links are called, uint64 (recording,).
        place: the recording that each problem is of, ascending, int64 (problem,).
        problems: what is wrong, without the names of clips, (problem,).
    """

    duration_s: npt.NDArray[np.float64]
    num_bytes: npt.NDArray[np.int64]
    device: npt.NDArray[np.uint64]
    inode: npt.NDArray[np.uint64]
    place: npt.NDArray[np.int64]
    problems: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class _File:
    """One recording; no duration if it is left out."""

    duration_s: float
    num_bytes: int
    device: int
    inode: int
    problems: Sequence[Problem]


def inspect_recordings(root: Path, paths: Sequence[str], workers: int | None = None) -> Inspection:
    """What is found of the recordings at some paths beneath `root` (or absolute), with a progress bar.

    Args:
        workers: threads; two a core by default.
    """
    duration_s = np.full(len(paths), np.nan)
    num_bytes = np.full(len(paths), -1)
    device, inode = np.zeros((2, len(paths)), np.uint64)
    place: list[int] = []
    problems: list[Problem] = []
    with progress_bar(len(paths), "looking at files", "file") as bar:
        files = mapped(lambda some: [_inspect(root, path) for path in some], in_tasks(paths, FILES_A_TASK), workers)
        for index, file in enumerate(file for some in files for file in some):
            duration_s[index], num_bytes[index] = file.duration_s, file.num_bytes
            device[index], inode[index] = file.device, file.inode
            problems.extend(file.problems)
            place.extend([index] * len(file.problems))
            bar.update(1)
    return Inspection(duration_s, num_bytes, device, inode, np.array(place, np.int64), problems)


def in_tasks(files: Files, num_files: int) -> Iterator[Files]:
    """The files, so many together as a task for a thread, the last ones fewer."""
    return (files[first : first + num_files] for first in range(0, len(files), num_files))


def _inspect(root: Path, path: str) -> _File:
    try:
        facts, problems = inspect_audio(root / path)
        status = os.stat(root / path)
    except AudioError as error:
        return _File(np.nan, -1, 0, 0, [error.problem(path)])
    except OSError:
        # It went away between two looks.
        return _File(np.nan, -1, 0, 0, [AudioError("missing").problem(path)])
    named = [replace(problem, path=path) for problem in problems]
    return _File(facts.duration_s, status.st_size, status.st_dev, status.st_ino, named)
