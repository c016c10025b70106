"""How a pack's shards are made: threads decode ahead, one writes in the table's order."""

import contextlib
import logging
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa

from earmark.data.audio.problems import AudioError, Problem, problem_of
from earmark.data.audio.reading import read_parts
from earmark.data.audio.stretches import LENGTH_TOLERANCE_S
from earmark.data.shards import FORMAT, Clips, Shard
from earmark.errors import InputError
from earmark.files import read_json, write_json, written_aside
from earmark.prefetch import mapped

log = logging.getLogger(__name__)

Stamp = list[int] | None


class PackedDataset(Protocol):
    """What packing asks of a data set."""

    @property
    def folder(self) -> Path:
        """Where `packs/` lies."""

    @property
    def clips(self) -> pa.Table:
        """The clip table."""

    def audio_path(self, row: int) -> Path:
        """The recording of a clip."""


@dataclass(frozen=True)
class ShardRecord:
    """What lies beside a shard's waveforms.

    Attributes:
        num_samples: of each of its clips; 0 where it was left out.
        crc32: of each clip's bytes.
        left_out: position in the shard and modification time and size of each file that was left out (None: no file).
    """

    format: int
    digest: str
    num_samples: list[int] = field(default_factory=list)
    crc32: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[tuple[int, Stamp]] = field(default_factory=list)


@dataclass(frozen=True)
class DecodedClip:
    """A clip ready to be written.

    Attributes:
        parts: of the waveform, as bytes; none if the clip is left out.
    """

    parts: list[memoryview]
    crc32: int
    problems: list[Problem]

    @property
    def num_samples(self) -> int:
        """The waveform's length."""
        return sum(len(part) for part in self.parts) // 2


def read_record(folder: Path, shard: Shard) -> ShardRecord | None:
    """The record of a shard as planned, None if it is not there or of another plan."""
    try:
        values = read_json(folder / f"{shard.name}.json")
    except FileNotFoundError:
        return None
    except ValueError:
        log.warning("%s/%s.json is damaged; the shard is made anew", folder, shard.name)
        return None
    if values.get("format") != FORMAT or values.get("digest") != shard.digest:
        return None
    values["problems"] = [Problem(**problem) for problem in values["problems"]]
    values["left_out"] = [(position, stamp) for position, stamp in values["left_out"]]
    return ShardRecord(**values)


def is_whole(folder: Path, shard: Shard, record: ShardRecord | None, dataset: PackedDataset, verify: bool) -> bool:
    """Whether a shard is there as planned: right size, nothing left out in vain, checksum if asked."""
    path = folder / f"{shard.name}.i16"
    if record is None or not path.is_file():
        return False
    if path.stat().st_size != 2 * sum(record.num_samples):
        log.warning("%s has the wrong size; it is made anew", path)
        return False
    if not is_still_left_out([(shard.first + position, stamp) for position, stamp in record.left_out], dataset):
        return False
    if verify and (damaged := _first_damaged(path, record)) is not None:
        log.warning("%s has a wrong checksum at clip %d; it is made anew", path, shard.first + damaged)
        return False
    return True


def is_still_left_out(left_out: Sequence[tuple[int, Stamp]], dataset: PackedDataset) -> bool:
    """Whether the files that were left out are what they were."""
    return all(_stamp(dataset.audio_path(row)) == stamp for row, stamp in left_out)


def pack_shards(
    dataset: PackedDataset,
    clips: Clips,
    rate_hz: int,
    folder: Path,
    shards: Sequence[Shard],
    workers: int,
    clip_done: Callable[[], object],
) -> None:
    """Makes shards; the folder should be locked.

    Raises:
        InputError: the disk has too little room.
    """
    _check_room(folder, clips, shards, rate_hz)
    rows = (row for shard in shards for row in range(shard.first, shard.stop))
    decoded = mapped(partial(_decode, dataset, clips, rate_hz), rows, workers)
    finisher = ThreadPoolExecutor(1, thread_name_prefix="finish")
    with contextlib.closing(decoded), finisher:
        last: Future[None] | None = None
        for shard in shards:
            # The record goes first: it must never vouch for waveforms of another table.
            (folder / f"{shard.name}.json").unlink(missing_ok=True)
            finish = _written(folder, shard, decoded, dataset, clip_done)
            if last is not None:
                last.result()
            # Syncing to disk takes long, and the next shard need not wait.
            last = finisher.submit(finish)
        if last is not None:
            last.result()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from packing into a folder, where the file system can; clears what killed ones left."""
    try:
        import fcntl
    except ImportError:
        # Without it two processes do the same work, each under its own names.
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process packs into %s; waiting for it", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            log.info("%s cannot be locked (%s); packing all the same", folder, error)
            yield
            return
        for left_behind in folder.glob(".*.part*"):
            left_behind.unlink(missing_ok=True)
        yield


def _decode(dataset: PackedDataset, clips: Clips, rate_hz: int, row: int) -> DecodedClip:
    name, shown = str(clips.clip[row]), str(clips.path[row])
    onset, offset, duration_s = (float(column[row]) for column in (clips.onset, clips.offset, clips.duration_s))
    try:
        waveforms, problems = read_parts(
            dataset.audio_path(row), rate_hz, None if isnan(onset) else onset, None if isnan(offset) else offset
        )
    except AudioError as error:
        return DecodedClip([], 0, [error.problem(shown, name)])
    parts = [waveform.astype("<i2", copy=False).view(np.uint8).data for waveform in waveforms]
    crc32 = 0
    for part in parts:
        crc32 = zlib.crc32(part, crc32)
    problems = [replace(problem, path=shown, clip=name) for problem in problems]
    if isnan(offset) and not isnan(duration_s):
        expected_s = duration_s - (0.0 if isnan(onset) else onset)
        found_s = sum(len(waveform) for waveform in waveforms) / rate_hz
        if abs(found_s - expected_s) > LENGTH_TOLERANCE_S:
            kind = "shorter than said" if found_s < expected_s else "longer than said"
            problems.append(problem_of(kind, shown, name, f"{found_s:.2f} s, the table says {expected_s:.2f} s"))
    return DecodedClip(parts, crc32, problems)


def _written(
    folder: Path,
    shard: Shard,
    decoded: Iterator[DecodedClip],
    dataset: PackedDataset,
    clip_done: Callable[[], object],
) -> Callable[[], None]:
    """Writes a shard's waveforms aside; what is returned gives it its name and its record."""
    record = ShardRecord(FORMAT, shard.digest)
    with contextlib.ExitStack() as stack:
        aside = stack.enter_context(written_aside(folder / f"{shard.name}.i16"))
        with aside.open("wb", buffering=0) as file:
            for position in range(shard.stop - shard.first):
                clip = next(decoded)
                for part in clip.parts:
                    _write_all(file, part)
                record.num_samples.append(clip.num_samples)
                record.crc32.append(clip.crc32)
                record.problems.extend(clip.problems)
                if not clip.parts:
                    record.left_out.append((position, _stamp(dataset.audio_path(shard.first + position))))
                clip_done()
        finishing = stack.pop_all()

    def finish() -> None:
        finishing.close()
        write_json(folder / f"{shard.name}.json", asdict(record))

    return finish


def _write_all(file: BinaryIO, content: memoryview) -> None:
    # Unbuffered writes may stop early, at 2 GB for one.
    while content:
        content = content[file.write(content) :]


def _first_damaged(path: Path, record: ShardRecord) -> int | None:
    with path.open("rb") as file:
        for position, (num_samples, crc32) in enumerate(zip(record.num_samples, record.crc32, strict=True)):
            if zlib.crc32(file.read(2 * num_samples)) != crc32:
                return position
    return None


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size]


def _check_room(folder: Path, clips: Clips, shards: Sequence[Shard], rate_hz: int) -> None:
    planned_s = clips.planned_s()
    needed = sum(float(planned_s[shard.first : shard.stop].sum()) for shard in shards) * rate_hz * 2
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder}: packing needs about {needed / 1e9:.1f} GB of disk, found {free / 1e9:.1f} GB free")
