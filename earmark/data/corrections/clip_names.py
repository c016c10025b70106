"""Clips found again by what people call them: the clip, its recording, or a file name of either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.containers import AUDIO_SUFFIXES
from earmark.data.dataset import Dataset
from earmark.data.formats.imported import without_suffix
from earmark.errors import counted, did_you_mean, first_few

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_SUFFIX = rf"(?i)({'|'.join(sorted(suffix.replace('.', '[.]') for suffix in AUDIO_SUFFIXES))})$"
# Enough to find a name with a slip of the pen, few enough to compare at once.
_COMPARED = 1000


@dataclass(frozen=True, eq=False)
class Pieces:
    """What some names mean: clips, each with the seconds at which it lies on the clock of its name.

    A clip that is named itself begins at 0; the clips of a recording lie where they were cut from it.

    Attributes:
        indptr: name i means the pieces from `indptr[i]` to `indptr[i + 1]`, (name + 1,).
        row: row in the clip table, (piece,).
        begin_s, end_s: where the piece lies, its end inf if the duration is not known, (piece,).
    """

    indptr: IntArray
    row: IntArray
    begin_s: FloatArray
    end_s: FloatArray

    @property
    def counts(self) -> IntArray:
        """How many pieces each name has, 0 where it means nothing, (name,)."""
        return np.diff(self.indptr)


class ClipNames:
    """The names of a data set's clips and recordings.

    Attributes:
        several: how many clips or recordings are called so, of names that were looked up and mean more than one.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.several: dict[str, str] = {}
        self._clips = dataset.clips
        self._root = f"{dataset.audio_root}/"
        self._onset_s, self._offset_s = dataset.column("onset"), dataset.column("offset")
        self._duration_s = dataset.column("duration_s")

    def of_clips(self, names: Sequence[str]) -> dict[str, IntArray]:
        """The row of every name that is a clip's, or that of an audio file called like a clip.

        Exports that know no folders write `_` for `/`, so that is looked for last.
        """
        clip = self._clips["clip"].combine_chunks()
        found = _places(names, names, clip)
        for keys in (clip, pc.replace_substring(clip, "/", "_")):
            rest = [name for name in names if name not in found]
            found |= _places(rest, [without_suffix(name) for name in rest], keys)
        self.several |= {name: counted(len(rows), "clip") for name, rows in found.items() if len(rows) > 1}
        return {name: np.array(rows, np.int64) for name, rows in found.items() if len(rows) == 1}

    def of_recordings(self, names: Sequence[str]) -> dict[str, IntArray]:
        """The rows of the clips of every recording named: by path, or file name if only one has it; suffixes aside."""
        found: dict[str, IntArray] = {}
        if not names:
            return found
        unknown = {name: name.removeprefix(self._root) for name in names}
        for keys in self._spellings:
            for name, recordings in _places(list(unknown), list(unknown.values()), keys).items():
                if len(recordings) == 1:
                    found[name] = self._rows_of(recordings[0])
                    del unknown[name]
                else:
                    self.several[name] = counted(len(recordings), "recording")
        return found

    def pieces(self, names: Sequence[str], clips: Mapping[str, IntArray], recordings: Mapping[str, IntArray]) -> Pieces:
        """What names mean, where each is a clip's, a recording's or nothing; a name that is in both is the clip's."""
        nothing = np.zeros(0, np.int64)
        rows = [clips.get(name, recordings.get(name, nothing)) for name in names]
        counts = np.array([len(part) for part in rows], np.int64)
        row = np.concatenate([nothing, *rows])
        begin_s = np.nan_to_num(self._onset_s[row], nan=0.0)
        end_s = np.where(np.isnan(self._offset_s[row]), self._duration_s[row], self._offset_s[row])
        is_clip = np.repeat(np.array([name in clips for name in names], np.bool_), counts)
        end_s = np.where(is_clip, end_s - begin_s, end_s)
        return Pieces(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            row,
            np.where(is_clip, 0.0, begin_s),
            np.nan_to_num(end_s, nan=np.inf),
        )

    def unclear(self, unknown: Sequence[str]) -> list[str]:
        """What should be said of names that mean nothing because they mean several."""
        several = [f"{name} ({self.several[name]} are called so)" for name in unknown if name in self.several]
        return [f"names that are not clear: {first_few(several)}"] if several else []

    def nearest(self, name: str) -> str:
        """The end of a message about an unknown name: how many are called so, or the nearest clip."""
        if name in self.several:
            return f": {self.several[name]} are called so"
        known = self._clips["clip"]
        alike = known.filter(pc.starts_with(known, name[:3]))
        return did_you_mean(name, (alike if len(alike) else known).slice(0, _COMPARED).to_pylist())

    def _rows_of(self, recording: int) -> IntArray:
        return self._by_recording[self._first[recording] : self._first[recording + 1]]

    @cached_property
    def _coded(self) -> pa.DictionaryArray:
        return self._clips["path"].combine_chunks().dictionary_encode()

    @cached_property
    def _recording(self) -> IntArray:
        return np.asarray(self._coded.indices, dtype=np.int64)

    @cached_property
    def _first(self) -> IntArray:
        """Where each recording's clips begin in `_by_recording`, (recording + 1,)."""
        return np.concatenate([[0], np.cumsum(np.bincount(self._recording))])

    @cached_property
    def _by_recording(self) -> IntArray:
        return np.argsort(self._recording, kind="stable")

    @cached_property
    def _spellings(self) -> list[pa.Array]:
        """How each recording may be called, the most exact first."""
        path = self._coded.dictionary
        bare = pc.replace_substring_regex(path, _SUFFIX, "")
        return [path, bare, *(pc.replace_substring_regex(names, "^.*/", "") for names in (path, bare))]


def _places(names: Sequence[str], spelled: Sequence[str], keys: pa.Array) -> dict[str, list[int]]:
    """Where each name, as it is spelled here, stands among keys; names that do not are left out."""
    at: dict[str, list[int]] = {}
    hits = np.flatnonzero(pc.is_in(keys, pa.array(list(set(spelled)), pa.string())))
    for key, place in zip(keys.take(pa.array(hits)).to_pylist(), hits.tolist(), strict=True):
        at.setdefault(key, []).append(place)
    return {name: at[key] for name, key in zip(names, spelled, strict=True) if key in at}
