"""Scores on disk: what a model says of excerpts, in a folder that is read a part at a time.

`scores.npy` ((row, tag), float32, or float16 where they are soft targets; memory-mapped), `index.parquet` (a line an
excerpt: `clip`, `onset`, `offset` in seconds of the clip, null = all of it, `first_row`, `rows`: one, or one a frame,
`in_training`: whether the clip is of the training split) and, last, `about.json` (tags, digests, who scored, how clips
were cut into chunks): a folder without it is no store. A store that was being written when the process died is gone on
with.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset
from earmark.errors import InputError, did_you_mean, first_few
from earmark.files import read_json, write_json, written_aside
from earmark.progress import progress_bar
from earmark.scores.index import index_file, places_among
from earmark.timing import samples_at

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

BLOCK = 1024
FORMAT = 1


@dataclass(frozen=True, eq=False)
class ScoreStore:
    """An opened store.

    Attributes:
        scores: (row, tag), memory-mapped, for who reads them one after another; see `read`.
        tags: the tags of the scores, in their order.
        chunking: how clips were cut into the chunks that the scores are of; None where they are of whole clips.
        about: what `about.json` holds beside.
    """

    folder: Path
    scores: "np.memmap[Any, np.dtype[np.floating[Any]]]"
    tags: tuple[str, ...]
    chunking: Chunking | None
    about: Mapping[str, Any]

    @cached_property
    def index(self) -> pa.Table:
        """The table of excerpts, all of it."""
        with index_file(self.folder) as file:
            return file.read()

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column of numbers of the index, (excerpt,); the others are not read."""
        with index_file(self.folder) as file:
            return file.read(columns=[name])[name].to_numpy()  # type: ignore[no-any-return]

    def read(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """The scores of some rows, float32 (row, tag), in their order; the memory taken is theirs alone.

        Raises:
            IndexError: there is no such row.
        """
        # Not by the memory map: each page of it that was touched would stay with the process.
        rows = np.asarray(rows, np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self.scores)):
            raise IndexError(f"rows must be 0 to {len(self.scores) - 1}, got {rows.min()} to {rows.max()}")
        found = np.empty((len(rows), len(self.tags)), self.scores.dtype)
        bytes_a_row = found.itemsize * len(self.tags)
        begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()
        with (self.folder / "scores.npy").open("rb") as file:
            for begin, end in itertools.pairwise([*begins, len(rows)]):
                file.seek(self.scores.offset + int(rows[begin]) * bytes_a_row)
                if file.readinto(found[begin:end].data) != (end - begin) * bytes_a_row:
                    raise OSError(f"{self.folder / 'scores.npy'} was cut short while it was open")
        return found.astype(np.float32)

    def chunks_of(self, dataset: Dataset, clips: Excerpts, rate_hz: int) -> tuple[Excerpts, IntArray]:
        """The chunks of whole clips that have scores, clip by clip, by onset; and the row of each one's scores.

        Clips are known by name, chunks by their seconds: at another rate than the scores' they are cut at the same
        times, and a clip's last chunk ends with the clip. A clip without scores has no chunk.

        Args:
            clips: rows of `dataset`, whole and at `rate_hz`, each once.

        Raises:
            InputError: the scores are of whole clips, or of none of these.
        """
        if self.chunking is None:
            raise InputError(
                f"{self.folder}: scores must be of chunks, these are of whole clips; make such a store with "
                f"`earmark score MODEL {dataset.folder} --chunk-s 2 -o SCORES`"
            )
        place = places_among(self.folder, dataset.clips["clip"].take(pa.array(clips.clip_index)))
        found = np.flatnonzero(place >= 0)
        if not len(found):
            raise InputError(f"{self.folder}: scores must be of clips of {dataset.name}, of those asked for none is")
        onset_s = self.column("onset")[found]
        order = np.lexsort((onset_s, place[found]))
        found, onset = found[order], samples_at(onset_s[order], rate_hz)
        # A sliver of a sample or two may be none at a lower rate.
        inside = onset < clips.num_samples[place[found]]
        found, onset = found[inside], onset[inside]
        place = place[found]
        offset = np.minimum(samples_at(self.column("offset")[found], rate_hz), clips.num_samples[place])
        end = np.where(np.diff(place, append=-1) != 0, clips.num_samples[place], offset)
        return Excerpts(clips.clip_index[place], onset, end - onset), self.column("first_row")[found]

    def check_tags(self, dataset: Dataset) -> None:
        """Raises InputError unless the scores are of the data set's tags, in their order."""
        ours = dataset.vocabulary.tags
        if self.tags == ours:
            return
        strange = [tag for tag in self.tags if tag not in ours] or [tag for tag in ours if tag not in self.tags]
        what = f"{first_few(strange)} differ{did_you_mean(strange[0], ours)}" if strange else "their order differs"
        raise InputError(f"{self.folder}: scores must have the {len(ours)} tags of {dataset.name}, {what}")

    def of_clips(self, dataset: Dataset) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
        """The clips of a data set that have scores, by their row; the row of each one's scores; which are trained on.

        Raises:
            InputError: the scores have other tags than the data set, are of parts of clips, or of none of its clips.
        """
        self.check_tags(dataset)
        whole = self.index["onset"].null_count == len(self.index) and pc.all(pc.equal(self.index["rows"], 1)).as_py()
        if not whole:
            raise InputError(f"{self.folder}: scores must be of whole clips, one row each; these are of parts of clips")
        row = np.asarray(pc.fill_null(pc.index_in(self.index["clip"], dataset.clips["clip"].combine_chunks()), -1))
        if not (row >= 0).any():
            raise InputError(f"{self.folder}: scores must be of clips of {dataset.name}, none of them is")
        known = np.flatnonzero(row >= 0)
        order = known[np.argsort(row[known], kind="stable")]
        first_row = np.asarray(self.index["first_row"], dtype=np.int64)
        return row[order].astype(np.int64), first_row[order], np.asarray(self.index["in_training"])[order]


def is_score_store(folder: Path | str) -> bool:
    """Whether a folder holds a score store, or one that was begun."""
    return any((Path(folder) / name).is_file() for name in ("about.json", "begun.json"))


def open_scores(folder: Path | str) -> ScoreStore:
    """The store in a folder; scores are read when indexed.

    Raises:
        InputError: there is none, it was not finished, or its files do not fit together.
    """
    folder = Path(folder)
    path = folder / "about.json"
    if not path.is_file():
        raise InputError(
            f"{folder}: must be a score store, there is no {path.name}; make one with `earmark score MODEL DATASET -o "
            f"{folder}`, which goes on where it was stopped"
        )
    try:
        about = read_json(path)
        tags, version = tuple(about["tags"]), about["format"]
        scores = np.load(folder / "scores.npy", mmap_mode="r", allow_pickle=False)
        cut = {name: about[name] for name in ("chunk_s", "min_chunk_s") if name in about}
        chunking = Chunking.model_validate(cut) if cut else None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder}: cannot be read as a score store, {error}") from error
    if version != FORMAT:
        raise InputError(f"{path}: format must be {FORMAT}, got {version}; another version of earmark wrote it")
    with index_file(folder) as file:
        rows = sum(int(pc.sum(part["rows"]).as_py() or 0) for part in file.iter_batches(columns=["rows"]))
    if scores.shape != (rows, len(tags)):
        raise InputError(f"{folder}: scores must be {rows} rows of {len(tags)} tags, found {scores.shape}")
    return ScoreStore(folder, scores, tags, chunking, about)


def write_scores(
    folder: Path,
    index: pa.Table,
    tags: Sequence[str],
    about: Mapping[str, Any],
    score: Callable[[IntArray], FloatArray],
    dtype: Literal["float16", "float32"] = "float32",
) -> ScoreStore:
    """Scores every excerpt of an index, block by block, and opens the store; a half-written one is gone on with.

    Memory does not grow with the index. What was scored before is kept if it was of the same index and `about`.

    Args:
        index: clip, onset, offset, first_row, rows; rows follow one another in the order of the index.
        about: whatever says which scores these are; must hold JSON.
        score: the scores (row, tag) of some excerpts by their place in the index, in [0, 1].

    Raises:
        InputError: the folder holds something else, or other scores.
    """
    request = {"format": FORMAT, "tags": list(tags), "dtype": dtype, "excerpts": index.num_rows, **about}
    done = _begun(folder, request)
    if done is None:
        return open_scores(folder)
    # The row that each excerpt's scores begin at, and the row after all.
    begins = np.append(0, np.cumsum(np.asarray(index["rows"], dtype=np.int64)))
    path = folder / "scores.npy"
    if done == 0:
        with written_aside(folder / "index.parquet") as aside:
            pa.parquet.write_table(index, aside, compression="zstd")
        np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(int(begins[-1]), len(tags)))
    # By the file: pages written through a memory map would stay with the process.
    offset = np.load(path, mmap_mode="r").offset
    with path.open("r+b") as file, progress_bar(index.num_rows, "stored", "excerpt", done) as bar:
        for first in range(done, index.num_rows, BLOCK):
            end = min(first + BLOCK, index.num_rows)
            block = np.ascontiguousarray(score(np.arange(first, end)), dtype)
            assert block.shape == (begins[end] - begins[first], len(tags)), block.shape
            file.seek(offset + int(begins[first]) * len(tags) * block.itemsize)
            file.write(block.data)
            file.flush()
            os.fsync(file.fileno())
            write_json(folder / "begun.json", {"request": request, "done": end})
            bar.update(end - first)
    write_json(folder / "about.json", request)
    (folder / "begun.json").unlink(missing_ok=True)
    return open_scores(folder)


def _begun(folder: Path, request: Mapping[str, Any]) -> int | None:
    """How many excerpts are scored already; None where all are."""
    written = {name: folder / name for name in ("about.json", "begun.json")}
    for name, path in written.items():
        if not path.is_file():
            continue
        held = read_json(path)
        if (held if name == "about.json" else held.get("request")) != request:
            raise InputError(
                f"{folder}: holds other scores (of another model, data set or setting); name another folder"
            )
        return None if name == "about.json" else int(held["done"])
    inside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    strange = sorted(name for name in inside if name != "folds" and ".part" not in name)
    if strange and not {"index.parquet", "scores.npy"}.issuperset(strange):
        raise InputError(f"{folder}: must be a new or an empty folder, it holds {first_few(strange)}; name another")
    folder.mkdir(parents=True, exist_ok=True)
    return 0
