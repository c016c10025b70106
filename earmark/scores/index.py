"""The index of a score store: of which excerpt which rows are, in `index.parquet`, read a column at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset
from earmark.errors import InputError

IntArray = npt.NDArray[np.int64]


def index_of_clips(dataset: Dataset, rows: IntArray, training: IntArray) -> pa.Table:
    """The index of whole clips by their row, a row of scores each.

    Args:
        training: the rows of the training split.
    """
    nothing = pa.nulls(len(rows), pa.float64())
    return _index(dataset, rows, nothing, nothing, training)


def index_of_chunks(dataset: Dataset, chunks: Excerpts, rate_hz: int, training: IntArray) -> pa.Table:
    """The index of chunks of clips, a row of scores each.

    Args:
        training: the rows of the training split.
    """
    onset, offset = chunks.onset_samples / rate_hz, (chunks.onset_samples + chunks.num_samples) / rate_hz
    return _index(dataset, chunks.clip_index, onset, offset, training)


def _index(dataset: Dataset, rows: IntArray, onset: Any, offset: Any, training: IntArray) -> pa.Table:
    return pa.table(
        {
            "clip": dataset.clips["clip"].take(pa.array(rows)),
            "onset": onset,
            "offset": offset,
            "first_row": np.arange(len(rows)),
            "rows": np.ones(len(rows), np.int64),
            "in_training": np.isin(rows, training),
        }
    )


@contextmanager
def index_file(folder: Path, **options: Any) -> Iterator[Any]:
    """The index as a Parquet file to read columns of."""
    path = folder / "index.parquet"
    try:
        # By its name, see `read_table_file`.
        with pa.parquet.ParquetFile(path, **options) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file, {str(error).splitlines()[0]}") from error


def lines_among(folder: Path, clips: pa.ChunkedArray) -> tuple[IntArray, IntArray]:
    """The index's lines of some clips by name, clip by clip, by onset; and each one's clip by its place among them."""
    # Each name is looked up once, however many chunks the clip has.
    with index_file(folder, read_dictionary=["clip"]) as file:
        table = file.read(columns=["clip", "onset"])
    names = table["clip"].unify_dictionaries().combine_chunks()
    among = pc.fill_null(pc.index_in(names.dictionary, clips.combine_chunks()), -1)
    place = np.asarray(among, dtype=np.int64)[np.asarray(names.indices)]
    line = np.flatnonzero(place >= 0)
    line = line[np.lexsort((table["onset"].to_numpy()[line], place[line]))]
    return line, place[line]


def is_last_of_clip(place: IntArray) -> npt.NDArray[np.bool_]:
    """Which lines are their clip's last, for the places of `lines_among`, (line,)."""
    is_last: npt.NDArray[np.bool_] = np.diff(place, append=-1) != 0
    return is_last
