"""Which clips lie in which shard of a pack: decided by the clip table alone, so that bytes never depend on workers."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

SHARD_BYTES = 64_000_000
# A clip of unknown length is planned with as much.
GUESSED_S = 10.0
# Counted up when the same table gives other bytes.
FORMAT = 1


@dataclass(frozen=True)
class Clips:
    """The columns of a clip table that decide a pack, read once.

    Attributes:
        onset, offset, duration_s: seconds, NaN where not given.
    """

    clip: pa.LargeStringArray
    path: pa.LargeStringArray
    onset: FloatArray
    offset: FloatArray
    duration_s: FloatArray

    def __len__(self) -> int:
        return len(self.clip)

    def planned_s(self) -> FloatArray:
        """How long each clip should be, (clip,), as far as the table tells."""
        end = np.where(np.isnan(self.offset), self.duration_s, self.offset)
        seconds = end - np.nan_to_num(self.onset)
        return np.where(np.isnan(seconds) | (seconds <= 0), GUESSED_S, seconds)


@dataclass(frozen=True)
class Shard:
    """A run of rows of the clip table whose waveforms lie in one file.

    Attributes:
        digest: a name for all that decides its bytes, beside the recordings themselves.
    """

    number: int
    first: int
    stop: int
    digest: str

    @property
    def name(self) -> str:
        """The files' name without suffix."""
        return f"shard-{self.number:05d}"


def columns_of(table: pa.Table) -> Clips:
    """The columns of a clip table that decide a pack; onset, offset and duration_s may be absent."""

    def text(name: str) -> pa.LargeStringArray:
        # Large, so that more than 2 GB of text are still one array.
        chunks = table[name].cast(pa.large_string()).chunks
        return cast(pa.LargeStringArray, pa.concat_arrays(chunks or [pa.array([], pa.large_string())]))

    def seconds(name: str) -> FloatArray:
        if name not in table.column_names:
            return np.full(table.num_rows, np.nan)
        return np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)

    return Clips(text("clip"), text("path"), seconds("onset"), seconds("offset"), seconds("duration_s"))


def plan_shards(clips: Clips, rate_hz: int) -> list[Shard]:
    """The shards, about 64 MB each, at least a clip each.

    A clip belongs to the shard in which its first byte would lie if all were as long as the table says, so that a
    change touches the shard of that clip, and those after it only where lengths change.
    """
    if not len(clips):
        return []
    planned = np.floor(clips.planned_s() * rate_hz + 0.5).astype(np.int64) * 2
    begins = np.cumsum(planned) - planned
    cell = begins // SHARD_BYTES
    firsts = np.flatnonzero(np.diff(cell, prepend=-1))
    stops = np.append(firsts[1:], len(clips))
    texts = [_text(column) for column in (clips.clip, clips.path)]
    times = np.ascontiguousarray(np.stack([clips.onset, clips.offset, clips.duration_s], axis=1))
    # One NaN stands for all of them.
    times[np.isnan(times)] = np.nan
    return [
        Shard(number, int(first), int(stop), _digest(texts, times, int(first), int(stop), rate_hz))
        for number, (first, stop) in enumerate(zip(firsts, stops, strict=True))
    ]


def digest_of_plan(shards: list[Shard]) -> str:
    """A name for a whole pack."""
    return hashlib.sha256("".join(shard.digest for shard in shards).encode()).hexdigest()


def _text(column: pa.LargeStringArray) -> tuple[IntArray, memoryview]:
    _, ends, data = column.buffers()
    offsets = np.frombuffer(memoryview(ends or b""), np.int64)[column.offset : column.offset + len(column) + 1]
    return offsets, memoryview(data if data is not None else b"")


def _digest(
    texts: list[tuple[IntArray, memoryview]], times: npt.NDArray[Any], first: int, stop: int, rate_hz: int
) -> str:
    sha = hashlib.sha256(f"{FORMAT} {rate_hz} {stop - first}".encode())
    for offsets, data in texts:
        sha.update(np.diff(offsets[first : stop + 1]).tobytes())
        sha.update(data[offsets[first] : offsets[stop]])
    sha.update(times[first:stop].tobytes())
    return sha.hexdigest()
