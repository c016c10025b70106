"""The audio files of AudioSet's segments, which people name by id alone, by id and start, or by id, start and end."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import Problem, problem_of
from earmark.data.formats.audioset_segments import Segments
from earmark.data.formats.files import FoundFiles
from earmark.data.formats.imported import without_suffix
from earmark.data.tables import IntArray
from earmark.errors import first_few

# `ID_START_END`: what stands before the end. An id may hold `_` itself.
_WITH_END = r"^(?P<begin>.+_[0-9]+(?:\.[0-9]+)?)_[0-9]+(?:\.[0-9]+)?$"

CUT_NOTE = "audio files are taken to be cut to their segments already: the times in the tables only help to find them"


def locate_segments(found: FoundFiles, segments: Segments) -> tuple[list[str], list[Problem]]:
    """The audio file of every segment, and why some have none of their own.

    A segment without a file has its id for a path, and is found missing when it is looked at. Where several files fit,
    those in a folder of the segment's own table count; if that leaves more than one, it is a problem of the clip.
    """
    names = _Names.of(found.audio)
    place = np.full(len(segments.clip), -1, np.int64)
    for name in _names_with_start(segments):
        _take_where_none(place, names.places(name))
    by_id = np.full(len(place), -1, np.int64)
    for prefix in ("", "Y"):
        _take_where_none(by_id, names.places(_joined(prefix, segments.id)))
    unclear = (place < 0) & (by_id >= 0) & segments.shares_recording
    _take_where_none(place, np.where(unclear, -1, by_id))

    paths: list[str] = segments.id.to_pylist()
    for row, path in zip(*names.only_files(place), strict=True):
        paths[row] = path
    problems = []
    for row in np.flatnonzero(names.counts(place) > 1).tolist():
        fitting = _in_own_folder(names.paths(place[row]), segments.tables[segments.table[row]].folders)
        if len(fitting) == 1:
            paths[row] = fitting[0]
        else:
            detail = f"{len(fitting)} files are called so: {first_few(fitting)}"
            problems.append(problem_of("unclear", paths[row], segments.clip[row].as_py(), detail))
    for row in np.flatnonzero(unclear).tolist():
        detail = f"{names.paths(by_id[row])[0]} may be any segment of this id; add the start in ms to its name"
        problems.append(problem_of("unclear", paths[row], segments.clip[row].as_py(), detail))
    return paths, problems


@dataclass(frozen=True, eq=False)
class _Names:
    """What audio files are called: their names without suffix, and those without the end time too.

    Attributes:
        audio: paths.
        names: each once.
        files: places in `audio`, by name.
        starts: where the files of each name start in `files`, (name + 1,).
    """

    audio: Sequence[str]
    names: pa.Array
    files: IntArray
    starts: IntArray

    @classmethod
    def of(cls, audio: Sequence[str]) -> "_Names":
        stems = pa.array([without_suffix(posixpath.basename(path)) for path in audio], pa.string())
        begins = pc.struct_field(pc.extract_regex(stems, _WITH_END), "begin")
        with_end = np.flatnonzero(np.asarray(begins.is_valid()))
        coded = pa.concat_arrays([stems, begins.drop_null()]).dictionary_encode()
        code = np.asarray(coded.indices, dtype=np.int64)
        file = np.concatenate([np.arange(len(audio)), with_end])
        order = np.argsort(code, kind="stable")
        starts = np.searchsorted(code[order], np.arange(len(coded.dictionary) + 1))
        return cls(audio, coded.dictionary, file[order], starts)

    def places(self, names: pa.Array) -> IntArray:
        """The place of every name, -1 where no file is called so."""
        return np.asarray(pc.fill_null(pc.index_in(names, self.names), -1), dtype=np.int64)

    def counts(self, places: IntArray) -> IntArray:
        """How many files have each name."""
        # Beneath place -1 there is nothing: both ends are the last start.
        return self.starts[np.where(places < 0, -1, places + 1)] - self.starts[places]

    def only_files(self, places: IntArray) -> tuple[list[int], list[str]]:
        """Those whose name one file has, and its path."""
        rows = np.flatnonzero(self.counts(places) == 1)
        return rows.tolist(), [self.audio[file] for file in self.files[self.starts[places[rows]]]]

    def paths(self, place: int) -> list[str]:
        """The files of one name."""
        return [self.audio[file] for file in self.files[self.starts[place] : self.starts[place + 1]]]


def _names_with_start(segments: Segments) -> Iterator[pa.Array]:
    """What a segment's file may be called, without the end: `ID_30.000`, `ID_30.0`, `ID_30`, `ID_30000`, `YID_...`."""
    second = pa.array(segments.start_ms // 1000).cast(pa.string())
    fraction = pc.utf8_lpad(pa.array(segments.start_ms % 1000).cast(pa.string()), width=3, padding="0")
    full = pc.binary_join_element_wise(second, fraction, ".")
    short = pc.replace_substring_regex(full, r"(\.[0-9]+?)0+$", r"\1")
    shortest = pc.replace_substring_regex(short, r"\.0$", "")
    for start in (full, short, shortest, pa.array(segments.start_ms).cast(pa.string())):
        for prefix in ("", "Y"):
            yield pc.binary_join_element_wise(_joined(prefix, segments.id), start, "_")


def _joined(prefix: str, ids: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(prefix), ids, "")


def _take_where_none(place: IntArray, other: npt.NDArray[np.int64]) -> None:
    np.copyto(place, other, where=place < 0)


def _in_own_folder(paths: list[str], folders: Sequence[str]) -> list[str]:
    """Of several paths those beneath the first of some folders that has any; else all."""
    inside = ([path for path in paths if f"/{folder}/" in f"/{path}"] for folder in folders)
    return next(filter(None, inside), paths)
