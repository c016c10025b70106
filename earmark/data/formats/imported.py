"""What every reader of a layout gives, and the steps that several of them share."""

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.containers import AUDIO_SUFFIXES
from earmark.data.audio.problems import Problem
from earmark.data.tables import LABEL_SCHEMA
from earmark.data.vocabulary import Vocabulary

SOURCE = "given"

_SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("eval", "evaluation", "test", "public"), "test"),
}


@dataclass(frozen=True, eq=False)
class Imported:
    """What a reader found, before any audio is looked at.

    Attributes:
        clips: a row for every clip that the source names; durations are not known yet.
        labels: the given labels, of value 1.
        audio_root: the folder that relative paths start from.
        notes: what a user should know about the reading.
        problems: files that the reader itself could not use; clips named in them are left out.
        not_annotated: tags of the vocabulary that nobody was asked about: no row of them means nothing.
    """

    clips: pa.Table
    labels: pa.Table
    vocabulary: Vocabulary
    audio_root: Path
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    not_annotated: tuple[str, ...] = ()


def clip_ids(paths: Sequence[str]) -> list[str]:
    """A name for every path: the path without its audio suffix, or with it where two would have one name.

    >>> clip_ids(["Dog/a.wav", "Dog/b.wav", "Dog/b.ogg"])
    ['Dog/a', 'Dog/b.wav', 'Dog/b.ogg']
    """
    ids = [without_suffix(path) for path in paths]
    while len(set(ids)) < len(ids):
        # A suffix put back can meet another file's name ("a.wav" and "a.wav.ogg"), so once is not always enough.
        count = Counter(ids)
        ids = [path if count[clip] > 1 else clip for clip, path in zip(ids, paths, strict=True)]
    return ids


def without_suffix(path: str) -> str:
    """The path without its suffix, if that is one of audio files."""
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in AUDIO_SUFFIXES else path


def without_common_folder(paths: Sequence[str]) -> list[str]:
    """The paths from the deepest folder that all lie beneath, so that clips are called alike on every machine."""
    folders = {posixpath.dirname(path) for path in paths}
    if len({folder.startswith("/") for folder in folders}) != 1:
        return list(paths)
    common = posixpath.commonpath(folders).rstrip("/")
    return [path.removeprefix(f"{common}/") if common or path.startswith("/") else path for path in paths]


def split_of_name(name: str) -> str | None:
    """The split that a name tells in its words, None if it tells none or several.

    >>> split_of_name("balanced_train_segments"), split_of_name("Validation2"), split_of_name("retrained")
    ('train', 'validation', None)
    """
    words = re.findall("[a-z]+", name.lower())
    splits = {_SPLIT_OF_WORD[word] for word in words if word in _SPLIT_OF_WORD}
    return splits.pop() if len(splits) == 1 else None


def names_in_cell(cell: str, separators: str, known: Collection[str]) -> list[str]:
    """The names in a cell, where a name may hold a separator itself: each the longest that is known, else one piece.

    >>> names_in_cell("Male speech, man speaking;Dog, x", ",;", {"Male speech, man speaking", "Dog"})
    ['Male speech, man speaking', 'Dog', 'x']
    """
    ends = [match.start() for match in re.finditer(f"[{re.escape(separators)}]", cell)] + [len(cell)]
    names, start, first = [], 0, 0
    while first < len(ends):
        fitting = (last for last in range(len(ends) - 1, first, -1) if cell[start : ends[last]].strip() in known)
        last = next(fitting, first)
        names.append(cell[start : ends[last]].strip())
        start, first = ends[last] + 1, last + 1
    return [name for name in names if name]


def shown(column: pa.ChunkedArray, row: int) -> str:
    """What stands in a cell, for messages."""
    return str(column[row]) if column[row].is_valid else "empty"


def weak_labels(
    clips: pa.Array, vocabulary: Vocabulary, rows: npt.NDArray[np.integer], tags: npt.NDArray[np.integer]
) -> pa.Table:
    """The label table that says tag `tags[i]` of clip `rows[i]`, each pair once, by clip."""
    return given_labels(clips, vocabulary, rows, tags, *np.full((2, len(rows)), np.nan))


def given_labels(
    clips: pa.Array,
    vocabulary: Vocabulary,
    rows: npt.NDArray[np.integer],
    tags: npt.NDArray[np.integer],
    onset_s: npt.NDArray[np.float64],
    offset_s: npt.NDArray[np.float64],
) -> pa.Table:
    """The label table that says tag `tags[i]` of clip `rows[i]` at its times (NaN: weak), each statement once, by clip.

    Args:
        clips: names of the clips, in the order of the clip table.
        rows, tags: row of the clip, place in the vocabulary, (statement,).
        onset_s, offset_s: seconds in the clip, or both NaN, (statement,).
    """
    keys = np.stack([offset_s, onset_s, tags.astype(np.float64), rows.astype(np.float64)])
    order = np.lexsort(keys)
    ordered = np.nan_to_num(keys[:, order], nan=-1.0)
    order = order[np.append(np.ones(min(1, len(order)), np.bool_), (ordered[:, 1:] != ordered[:, :-1]).any(0))]
    columns: dict[str, Any] = {
        "clip": pc.take(clips, pa.array(rows[order])),
        "tag": pc.take(vocabulary.array(), pa.array(tags[order])),
        "onset": pa.array(onset_s[order], from_pandas=True),
        "offset": pa.array(offset_s[order], from_pandas=True),
        "value": pa.array(np.ones(len(order), np.float32)),
        "source": pa.repeat(SOURCE, len(order)),
    }
    return pa.table(columns, schema=LABEL_SCHEMA)
