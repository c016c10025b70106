"""Scores on disk: what a model says of excerpts, in a folder that is read a part at a time.

`scores.npy` ((row, tag), float32, or float16 where they are soft targets; memory-mapped), `index.parquet` (a line an
excerpt: `clip`, `onset`, `offset` in seconds of the clip, null = all of it, `first_row`, `rows`: one, or one a frame,
`in_training`: whether the clip is of the training split) and, last, `about.json` (tags, digests, who scored): a folder
without it is no store. A store that was being written
when the process died is gone on with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from earmark.data.dataset import Dataset
from earmark.data.table_files import read_table_file
from earmark.errors import InputError, did_you_mean, first_few
from earmark.files import read_json, write_json, written_aside

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

BLOCK = 1024
FORMAT = 1


@dataclass(frozen=True, eq=False)
class ScoreStore:
    """An opened store.

    Attributes:
        scores: (row, tag), memory-mapped.
        index: the table of excerpts.
        tags: the tags of the scores, in their order.
        about: what `about.json` holds beside.
    """

    folder: Path
    scores: FloatArray
    index: pa.Table
    tags: tuple[str, ...]
    about: Mapping[str, Any]

    def of_clips(self, dataset: Dataset) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
        """The clips of a data set that have scores, by their row; the row of each one's scores; which are trained on.

        Raises:
            InputError: the scores have other tags than the data set, are of parts of clips, or of none of its clips.
        """
        if self.tags != dataset.vocabulary.tags:
            strange = [tag for tag in self.tags if tag not in dataset.vocabulary] or [
                tag for tag in dataset.vocabulary.tags if tag not in self.tags
            ]
            what = f"{first_few(strange)} differ" if strange else "their order differs"
            raise InputError(
                f"{self.folder}: scores must have the {len(dataset.vocabulary)} tags of {dataset.name}, {what}"
                f"{did_you_mean(strange[0], dataset.vocabulary.tags) if strange else ''}"
            )
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
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder}: cannot be read as a score store, {error}") from error
    if version != FORMAT:
        raise InputError(f"{path}: format must be {FORMAT}, got {version}; another version of earmark wrote it")
    index = read_table_file(folder / "index.parquet").table
    rows = int(pc.sum(index["rows"]).as_py() or 0)
    if scores.shape != (rows, len(tags)):
        raise InputError(f"{folder}: scores must be {rows} rows of {len(tags)} tags, found {scores.shape}")
    return ScoreStore(folder, scores, index, tags, about)


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
    first_row = np.asarray(index["first_row"], dtype=np.int64)
    ends = first_row + np.asarray(index["rows"], dtype=np.int64)
    shape = (int(ends[-1]) if len(ends) else 0, len(tags))
    path = folder / "scores.npy"
    if done == 0:
        with written_aside(folder / "index.parquet") as aside:
            pa.parquet.write_table(index, aside, compression="zstd")
    mode: Literal["r+", "w+"] = "r+" if done else "w+"
    scores = np.lib.format.open_memmap(path, mode=mode, dtype=np.dtype(dtype), shape=shape)
    for first in range(done, index.num_rows, BLOCK):
        places = np.arange(first, min(first + BLOCK, index.num_rows))
        scores[first_row[places[0]] : ends[places[-1]]] = score(places)
        scores.flush()
        write_json(folder / "begun.json", {"request": request, "done": int(places[-1]) + 1})
    del scores
    write_json(folder / "about.json", request)
    (folder / "begun.json").unlink(missing_ok=True)
    return open_scores(folder)


def index_of_clips(dataset: Dataset, rows: IntArray, training: IntArray) -> pa.Table:
    """The index of whole clips by their row, a row of scores each.

    Args:
        training: the rows of the training split.
    """
    nothing = pa.nulls(len(rows), pa.float64())
    return pa.table(
        {
            "clip": dataset.clips["clip"].take(pa.array(rows)),
            "onset": nothing,
            "offset": nothing,
            "first_row": np.arange(len(rows)),
            "rows": np.ones(len(rows), np.int64),
            "in_training": np.isin(rows, training),
        }
    )


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
