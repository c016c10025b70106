"""Packs: every clip of a data set decoded once, as 16-bit mono at one rate, to be read in any order at memory speed.

`packs/RATE/` in the data set holds shards, `shard-00000.i16` (waveforms one after another) with `shard-00000.json`
(its clips' lengths, checksum and problems), `num_samples.npy` and `index.json`. It is a cache: made when first needed,
completed after an interruption, made anew where the clip table changed, and free to be deleted.
"""

import itertools
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.audio.problems import Problem, count_problems
from earmark.data.packing import PackedDataset, Stamp, is_still_left_out, is_whole, locked, pack_shards, read_record
from earmark.data.shards import FORMAT, Clips, Shard, columns_of, digest_of_plan, plan_shards
from earmark.files import read_json, write_json, written_aside
from earmark.progress import progress_bar

log = logging.getLogger(__name__)

Int16Array = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int64]
# Clips done, clips in all.
Progress = Callable[[int, int], object]

# Each map holds a file open, also for the waveforms on its pages, and a process may hold about a thousand.
MAX_MAPS = 256


class Pack:
    """The waveforms of a data set's clips at one rate. Threads may read at the same time.

    Attributes:
        num_samples: of each clip, int64 (clip,); 0 where the clip was left out.
        problems: what was found while packing, left out or kept, in the table's order.
    """

    def __init__(
        self, folder: Path, rate_hz: int, shards: list[Shard], num_samples: IntArray, problems: list[Problem]
    ) -> None:
        self.folder = folder
        self.rate_hz = rate_hz
        self.num_samples = num_samples
        self.problems = problems
        self._names = [shard.name for shard in shards]
        self._shard = np.repeat(
            np.arange(len(shards)), np.array([shard.stop - shard.first for shard in shards], np.int64)
        )
        begins = np.cumsum(num_samples) - num_samples
        firsts = np.array([shard.first for shard in shards], np.int64)
        self._begin = begins - begins[firsts][self._shard] if len(shards) else begins
        self._maps: OrderedDict[int, Int16Array] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def num_clips(self) -> int:
        """The rows of the clip table."""
        return len(self.num_samples)

    def clip(self, row: int) -> Int16Array:
        """A clip's waveform, int16 (sample,), read-only, on the file's own pages; empty if it was left out."""
        begin = int(self._begin[row])
        return self._map(int(self._shard[row]))[begin : begin + int(self.num_samples[row])]

    def excerpts(self, clip_index: IntArray, onset_samples: IntArray, num_samples: IntArray) -> Iterator[Int16Array]:
        """Stretches of clips, int16 (sample,) each, read-only, on the files' own pages.

        Whoever keeps one keeps its file open.

        Args:
            clip_index: rows of the clip table, (excerpt,).
            onset_samples: first sample within the clip, (excerpt,).
            num_samples: how many, (excerpt,).

        Raises:
            ValueError: an excerpt reaches past its clip.
        """
        clip_index, onsets, counts = (np.asarray(array) for array in (clip_index, onset_samples, num_samples))
        is_inside = (onsets >= 0) & (counts >= 0) & (onsets + counts <= self.num_samples[clip_index])
        if not is_inside.all():
            row = int(np.flatnonzero(~is_inside)[0])
            raise ValueError(
                f"an excerpt must lie in its clip, got samples {onsets[row]} to {onsets[row] + counts[row]} "
                f"of clip {clip_index[row]}, which has {self.num_samples[clip_index[row]]}"
            )
        begins = self._begin[clip_index] + onsets
        placed = zip(self._shard[clip_index].tolist(), begins.tolist(), counts.tolist(), strict=True)
        return (self._map(shard)[begin : begin + count] for shard, begin, count in placed)

    def _map(self, shard: int) -> Int16Array:
        with self._lock:
            mapped = self._maps.get(shard)
            if mapped is not None:
                self._maps.move_to_end(shard)
                return mapped
            path = self.folder / f"{self._names[shard]}.i16"
            # numpy cannot map a file without bytes. A plain array view spares memmap's cost at every slice.
            is_empty = path.stat().st_size == 0
            mapped = np.empty(0, np.int16) if is_empty else np.memmap(path, np.int16, mode="r").view(np.ndarray)
            self._maps[shard] = mapped
            if len(self._maps) > MAX_MAPS:
                self._maps.popitem(last=False)
            return mapped


def open_pack(
    dataset: PackedDataset,
    rate_hz: int,
    workers: int | None = None,
    progress: Progress | None = None,
    verify: bool = False,
) -> Pack:
    """The pack of a data set at a rate, made or completed first where it is not whole.

    Made anew are the shards whose rows of the clip table changed, whose files are missing or of the wrong size, or
    that left out a clip whose file has changed since; a recording replaced by another under the same name goes
    unnoticed otherwise.

    Args:
        workers: threads that decode; None is one a core.
        progress: called with clips done and clips in all; None draws a bar on stderr, on a terminal.
        verify: reads all shards, and makes anew those whose checksum is wrong.
    """
    folder = dataset.folder / "packs" / str(rate_hz)
    clips = columns_of(dataset.clips)
    shards = plan_shards(clips, rate_hz)
    digest = digest_of_plan(shards)
    if not shards:
        return Pack(folder, rate_hz, [], np.empty(0, np.int64), [])
    if not verify and (pack := _indexed(folder, rate_hz, shards, digest, dataset)):
        return pack
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        # Another process may have made it while this one waited.
        if not verify and (pack := _indexed(folder, rate_hz, shards, digest, dataset)):
            return pack
        missing = [
            shard for shard in shards if not is_whole(folder, shard, read_record(folder, shard), dataset, verify=verify)
        ]
        if missing:
            _make(dataset, clips, rate_hz, folder, shards, missing, workers, progress)
        pack = _index_shards(folder, rate_hz, shards, digest)
    if missing:
        found = count_problems(pack.problems)
        log.info("packed %d of %d clips%s", int((pack.num_samples > 0).sum()), len(clips), found and f": {found}")
    return pack


def _make(
    dataset: PackedDataset,
    clips: Clips,
    rate_hz: int,
    folder: Path,
    shards: list[Shard],
    missing: list[Shard],
    workers: int | None,
    progress: Progress | None,
) -> None:
    num_missing = sum(shard.stop - shard.first for shard in missing)
    log.info(
        "packing %d clips at %d Hz into %s (%d of %d shards are there)",
        num_missing,
        rate_hz,
        folder,
        len(shards) - len(missing),
        len(shards),
    )
    with _counted(len(clips), len(clips) - num_missing, progress) as clip_done:
        pack_shards(dataset, clips, rate_hz, folder, missing, workers or _num_cores(), clip_done)


def _indexed(folder: Path, rate_hz: int, shards: list[Shard], digest: str, dataset: PackedDataset) -> Pack | None:
    """The pack by its index, without a look at every shard's record; None where it is not whole or not this plan."""
    try:
        index = read_json(folder / "index.json")
        num_samples = np.load(folder / "num_samples.npy")
    except (FileNotFoundError, ValueError):
        return None
    if index.get("format") != FORMAT or index.get("digest") != digest or len(num_samples) != shards[-1].stop:
        return None
    sizes = 2 * np.add.reduceat(num_samples, [shard.first for shard in shards])
    for shard, size in zip(shards, sizes.tolist(), strict=True):
        try:
            if os.stat(folder / f"{shard.name}.i16").st_size != size:
                return None
        except FileNotFoundError:
            return None
    if not is_still_left_out([(row, stamp) for row, stamp in index["left_out"]], dataset):
        return None
    return Pack(folder, rate_hz, shards, num_samples, [Problem(**problem) for problem in index["problems"]])


def _index_shards(folder: Path, rate_hz: int, shards: list[Shard], digest: str) -> Pack:
    """Gathers the shards' records, writes the index, removes what belongs to no shard."""
    num_samples: list[int] = []
    problems: list[Problem] = []
    left_out: list[tuple[int, Stamp]] = []
    for shard in shards:
        record = read_record(folder, shard)
        if record is None:
            raise RuntimeError(f"{folder}/{shard.name} was removed while the pack was made")
        num_samples += record.num_samples
        problems += record.problems
        left_out += [(shard.first + position, stamp) for position, stamp in record.left_out]
    counts = np.array(num_samples, np.int64)
    with written_aside(folder / "num_samples.npy") as aside:
        np.save(aside, counts)
    about = {"format": FORMAT, "rate_hz": rate_hz, "digest": digest, "num_shards": len(shards)}
    listed = {"problems": [asdict(problem) for problem in problems], "left_out": left_out}
    write_json(folder / "index.json", {**about, **listed})
    names = {shard.name for shard in shards}
    for path in folder.glob("shard-*"):
        if path.stem not in names:
            path.unlink(missing_ok=True)
    return Pack(folder, rate_hz, shards, counts, problems)


@contextmanager
def _counted(total: int, done: int, progress: Progress | None) -> Iterator[Callable[[], object]]:
    """What is to be called after each clip."""
    if progress is None:
        with progress_bar(total, "packing", "clips", done) as bar:
            yield bar.update
        return
    counter = itertools.count(done + 1)
    yield lambda: progress(next(counter), total)


def _num_cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
