"""Scores on disk: what a model says of excerpts, in a folder that is read a part at a time.

`scores.npy` ((row, tag), float32, or float16 where they are soft targets; memory-mapped), `index.parquet` (a line an
excerpt: `clip`, `onset`, `offset` in seconds of the clip, null = all of it, `first_row`, `rows`: one, or one a frame,
`in_training`: whether the clip is of the training split) and, last, `about.json` (tags, digests, who scored, in which
precision, how clips were cut into chunks): a folder without it is no store. `writing` makes them.
"""

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import torch

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset
from earmark.errors import InputError, did_you_mean, first_few
from earmark.files import ORDER, kind_of_folder, read_json
from earmark.scores.index import index_file, is_last_of_clip, lines_among
from earmark.timing import samples_at

log = logging.getLogger(__name__)

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

FORMAT = 1
MOST_OFF_S = 0.005
"""How far a clip's end may lie from that of its last chunk: decoded or resampled otherwise, not another recording."""


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
        # torch widens float16 in a tenth of numpy's time.
        return torch.from_numpy(found).float().numpy()

    def chunks_of(self, dataset: Dataset, clips: Excerpts, rate_hz: int) -> tuple[Excerpts, IntArray]:
        """The chunks of whole clips that have scores, clip by clip, by onset; and the row of each one's scores.

        Clips are known by name, chunks by their seconds: at another rate than the scores' they are cut at the same
        times, and a clip's last chunk ends with the clip. A clip without scores has no chunk, nor has one of another
        length than its scores (by more than 5 ms), which is warned of.

        Args:
            clips: rows of `dataset`, whole and at `rate_hz`, each once.

        Raises:
            InputError: the scores are of whole clips, of none of these, or all of these are of another length.
        """
        line, place = self.lines_of(dataset, clips.clip_index)
        fits = self._fit(dataset, line, place, clips.num_samples / rate_hz)
        if not fits.all():
            line, place = line[fits], place[fits]
        onset = samples_at(self.column("onset")[line], rate_hz)
        # A sliver of a sample or two may be none at a lower rate.
        inside = onset < clips.num_samples[place]
        line, place, onset = line[inside], place[inside], onset[inside]
        offset = np.minimum(samples_at(self.column("offset")[line], rate_hz), clips.num_samples[place])
        end = np.where(is_last_of_clip(place), clips.num_samples[place], offset)
        return Excerpts(clips.clip_index[place], onset, end - onset), self.column("first_row")[line]

    def lines_of(self, dataset: Dataset, rows: IntArray) -> tuple[IntArray, IntArray]:
        """The index's lines of the chunks of clips, clip by clip, by onset; each one's clip by its place in `rows`.

        Args:
            rows: of the clip table of `dataset`, each once. A clip without scores has no line.

        Raises:
            InputError: the scores are of whole clips, or of none of these.
        """
        if self.chunking is None:
            raise InputError(
                f"{self.folder}: scores must be of chunks, these are of whole clips; make such a store with "
                f"`earmark score MODEL {dataset.folder} --chunk-s 2 -o SCORES`"
            )
        line, place = lines_among(self.folder, dataset.clips["clip"].take(pa.array(rows)))
        if not len(line):
            raise InputError(f"{self.folder}: scores must be of clips of {dataset.name}, of those asked for none is")
        return line, place

    def _fit(self, dataset: Dataset, line: IntArray, place: IntArray, length_s: FloatArray) -> npt.NDArray[np.bool_]:
        """Which of the lines are of clips that end where their last chunk does, (line,)."""
        last = is_last_of_clip(place)
        ends_s, scored = self.column("offset")[line[last]], place[last]
        fits = np.zeros(len(length_s), bool)
        fits[scored] = np.abs(ends_s - length_s[scored]) <= MOST_OFF_S
        others = len(scored) - int(fits.sum())
        if others == len(scored):
            raise InputError(
                f"{self.folder}: scores must be of these clips of {dataset.name}, all {others} with scores are of "
                "another length than was scored; score them again"
            )
        if others:
            left_out = "%s: left out %d of %d clips with scores, of another length than was scored"
            log.warning(left_out, self.folder, others, len(scored))
        return fits[place]

    def warn_of_another_clip_table(self, dataset: Dataset) -> None:
        """Warns where the scores were made for other clips than the data set's, which share their names at most."""
        if self.about.get("dataset", dataset.digest) != dataset.digest:
            log.warning(
                "%s was made for another clip table than that of %s; its clips are taken for those of the same names",
                self.folder,
                dataset.name,
            )

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
        kind = kind_of_folder(folder)
        if kind is not None and kind != "a score store":
            raise InputError(f"{folder}: must be a score store, this is {kind}; {ORDER}")
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
