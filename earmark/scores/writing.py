"""A score store written block by block: one that was being written when the process died is gone on with."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
import torch

from earmark.errors import InputError, OtherWorkError, first_few
from earmark.files import read_json, write_json, written_aside
from earmark.progress import progress_bar
from earmark.scores.store import FORMAT, FloatArray, IntArray, ScoreStore, open_scores

BLOCK = 1024


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
        InputError: the folder holds something else, or other scores, or what is to be stored is not finite or outside
            [0, 1].
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
            scores = np.asarray(score(np.arange(first, end)))
            assert scores.shape == (begins[end] - begins[first], len(tags)), scores.shape
            _check_scores(folder, scores, tags, index["clip"][first:end], begins[first:end] - begins[first])
            block = np.ascontiguousarray(_as(scores, dtype))
            file.seek(offset + int(begins[first]) * len(tags) * block.itemsize)
            file.write(block.data)
            file.flush()
            os.fsync(file.fileno())
            write_json(folder / "begun.json", {"request": request, "done": end})
            bar.update(end - first)
    write_json(folder / "about.json", request)
    (folder / "begun.json").unlink(missing_ok=True)
    return open_scores(folder)


def _as(scores: FloatArray, dtype: str) -> npt.NDArray[np.floating[Any]]:
    """Scores (row, tag) in the store's own type."""
    # torch rounds to float16 as numpy does, to the bit, in a hundredth of the time: 1,024 rows of 527 in .1 ms, not 15.
    if dtype == "float16" and scores.dtype == np.float32:
        return torch.from_numpy(np.ascontiguousarray(scores)).half().numpy()
    return scores.astype(dtype, copy=False)


def _check_scores(
    folder: Path, scores: FloatArray, tags: Sequence[str], clips: pa.ChunkedArray, first_rows: IntArray
) -> None:
    """Raises InputError unless scores (row, tag) are such, naming the first clip that has others.

    Args:
        clips: the excerpts' clips, (excerpt,).
        first_rows: the row that each excerpt's scores begin at, (excerpt,).
    """
    wrong = ~((scores >= 0) & (scores <= 1))
    if wrong.any():
        row, tag = np.argwhere(wrong)[0]
        clip = clips[int(np.searchsorted(first_rows, row, side="right")) - 1]
        raise InputError(
            f'{folder}: scores must be finite and in [0, 1], got {scores[row, tag]:g} for "{tags[tag]}" of clip '
            f'"{clip}"; look at the model'
        )


def _begun(folder: Path, request: Mapping[str, Any]) -> int | None:
    """How many excerpts are scored already; None where all are."""
    written = {name: folder / name for name in ("about.json", "begun.json")}
    for name, path in written.items():
        if not path.is_file():
            continue
        held = read_json(path)
        told = held if name == "about.json" else held.get("request", {})
        # Stores from before there was a choice are in fp32 and do not say it.
        was, now = ({"precision": "fp32", **each} for each in (told, request))
        if was != now:
            other, way_out = "of another model, data set or setting", "name another folder"
            if {**was, "precision": now["precision"]} == now:
                other = f"in {was['precision']}, not {now['precision']}"
                way_out = f"add --precision {was['precision']}, or {way_out}"
            raise OtherWorkError(f"{folder}: holds other scores ({other})", way_out)
        return None if name == "about.json" else int(held["done"])
    inside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    strange = sorted(name for name in inside if name != "folds" and ".part" not in name)
    if strange and not {"index.parquet", "scores.npy"}.issuperset(strange):
        raise InputError(f"{folder}: must be a new or an empty folder, it holds {first_few(strange)}; name another")
    folder.mkdir(parents=True, exist_ok=True)
    return 0
