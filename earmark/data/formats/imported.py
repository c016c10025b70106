"""What every reader of a layout gives, and the steps that several of them share."""

import posixpath
from collections import Counter
from collections.abc import Sequence
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


@dataclass(frozen=True, eq=False)
class Imported:
    """What a reader found, before any audio is looked at.

    Attributes:
        clips: a row for every clip that the source names; durations are not known yet.
        labels: the given labels, of value 1.
        audio_root: the folder that relative paths start from.
        notes: what a user should know about the reading.
        problems: files that the reader itself could not use; clips named in them are left out.
    """

    clips: pa.Table
    labels: pa.Table
    vocabulary: Vocabulary
    audio_root: Path
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


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


def weak_labels(
    clips: pa.Array, vocabulary: Vocabulary, rows: npt.NDArray[np.integer], tags: npt.NDArray[np.integer]
) -> pa.Table:
    """The label table that says tag `tags[i]` of clip `rows[i]`, each pair once, by clip."""
    pair = np.unique(rows.astype(np.int64) * max(1, len(vocabulary)) + tags)
    row, tag = np.divmod(pair, max(1, len(vocabulary)))
    nothing = pa.nulls(len(pair), pa.float64())
    columns: dict[str, Any] = {
        "clip": pc.take(clips, pa.array(row)),
        "tag": pc.take(vocabulary.array(), pa.array(tag)),
        "onset": nothing,
        "offset": nothing,
        "value": pa.array(np.ones(len(pair), np.float32)),
        "source": pa.array([SOURCE] * len(pair), pa.string()),
    }
    return pa.table(columns, schema=LABEL_SCHEMA)
