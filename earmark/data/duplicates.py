"""Recordings with the same bytes, found without reading more than is needed.

Only files of one size can be the same; of these the two ends are compared, and only files with the same ends are read
whole. Links to one file are the same without a look. Bytes are compared by their 128-bit hash.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.inspection import FILES_A_TASK, Inspection, in_tasks
from earmark.data.tables import repeats
from earmark.prefetch import mapped
from earmark.progress import progress_bar

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
HashArray = npt.NDArray[np.uint64]

# Read at each end of a file: together 64 KB.
END_BYTES = 1 << 15
BLOCK_BYTES = 1 << 20
READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


def first_of_same(root: Path, paths: Sequence[str], found: Inspection, workers: int | None = None) -> IntArray:
    """The place of the first recording with the same bytes, for every recording; its own where it is the first.

    Recordings that are left out, or cannot be read any more, are like no other.

    Args:
        paths: of the recordings, beneath `root` or absolute.
        found: what was found of them, in their order.
    """
    first = np.arange(len(paths))
    usable = np.flatnonzero(found.num_bytes >= 0)
    # Where a file system numbers no files, each is its own.
    unnumbered = np.where(found.inode[usable] == 0, usable, -1)
    is_link, file = repeats([found.device[usable], found.inode[usable], found.num_bytes[usable], unnumbered])
    first[usable] = usable[file]
    files = usable[~is_link]
    files = files[_not_alone([found.num_bytes[files]])]
    content = _Contents(str(root), paths, found.num_bytes, workers)
    ends, was_read = content.hashes(files, _ends_hash, FILES_A_TASK, "comparing files of one size")
    files, key = files[was_read], ends[was_read]
    size = found.num_bytes[files]
    is_open = _not_alone([size, *key.T]) & (size > 2 * END_BYTES)
    key[is_open], was_read = content.hashes(files[is_open], _whole_hash, 1, "comparing long files")
    lost = np.zeros(len(files), np.bool_)
    lost[is_open] = ~was_read
    files, key, size = files[~lost], key[~lost], size[~lost]
    _, same = repeats([size, *key.T])
    first[files] = files[same]
    # A link leads to its file, and that to the first with the same content.
    return first[first]


def _not_alone(keys: list[npt.NDArray[Any]]) -> BoolArray:
    """Which rows share their keys with another."""
    _, first = repeats(keys)
    return np.bincount(first, minlength=len(first))[first] > 1


@dataclass(frozen=True)
class _Contents:
    """Recordings to be read in threads; a path is joined as text, because there may be millions."""

    root: str
    paths: Sequence[str]
    num_bytes: IntArray
    workers: int | None

    def hashes(
        self, files: IntArray, hash_of: Callable[[str, int], bytes], num_a_task: int, what: str
    ) -> tuple[HashArray, BoolArray]:
        """The hash of every file, uint64 (file, 2), and whether it could be read, (file,); with a progress bar."""
        parts: list[bytes] = []
        with progress_bar(len(files), what, "file") as bar:
            tasks = in_tasks(files, num_a_task)
            for some in mapped(lambda task: [self._hash(hash_of, index) for index in task], tasks, self.workers):
                parts.extend(some)
                bar.update(len(some))
        was_read = np.fromiter((bool(part) for part in parts), np.bool_, len(parts))
        key = np.zeros((len(files), 2), np.uint64)
        key[was_read] = np.frombuffer(b"".join(parts), np.uint64).reshape(-1, 2)
        return key, was_read

    def _hash(self, hash_of: Callable[[str, int], bytes], index: int) -> bytes:
        """Nothing if the file cannot be read any more."""
        try:
            return hash_of(os.path.join(self.root, self.paths[index]), int(self.num_bytes[index]))
        except OSError:
            return b""


def _ends_hash(path: str, num_bytes: int) -> bytes:
    descriptor = os.open(path, READ)
    try:
        content = hashlib.blake2b(os.read(descriptor, END_BYTES), digest_size=16)
        if num_bytes > END_BYTES:
            os.lseek(descriptor, max(END_BYTES, num_bytes - END_BYTES), os.SEEK_SET)
            content.update(os.read(descriptor, END_BYTES))
    finally:
        os.close(descriptor)
    return content.digest()


def _whole_hash(path: str, num_bytes: int) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            content.update(block)
    return content.digest()
