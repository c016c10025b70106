"""What an evaluation was made of, clip by clip, and what its resamples gave.

`evaluation/SPLIT-scores.npz` of a run, and of its events `evaluation/events/SPLIT-resamples.npz`. A page draws
histograms from the first, and two runs that were evaluated on the same clips are compared resample by resample, with no
model and no data set at hand.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.layers import GIVEN
from earmark.errors import InputError
from earmark.files import written_aside

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_OF_EVENTS = ("clip", "tag", "onset_us", "offset_us")

SAME_TIME_US = 1000
"""Onsets and offsets that differ by no more are the same: models round a clip's end to their own rates."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluated:
    """The clips of an evaluation and its resamples.

    Attributes:
        clips: their names, (clip,).
        tags: in the order of all columns, (tag,).
        drawn: each metric in each resample, (resample,).
        draws: a name for the resamples: equal where they hold clips at the same places.
    """

    clips: npt.NDArray[np.str_]
    tags: tuple[str, ...]
    drawn: Mapping[str, Floats]
    draws: str


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluatedScores(Evaluated):
    """The same with labels and scores of clips.

    Attributes:
        groups: a number for the group of every clip, (clip,), which resamples draw as one.
        truth: the labels that scores were held against, (clip, tag).
        annotated: the cells that count, (clip, tag).
        scores: (clip, tag).
        drawn_average_precision: by tag, (resample, tag), NaN where a resample has no positives.
    """

    groups: npt.NDArray[np.int64]
    truth: Bools
    annotated: Bools
    scores: npt.NDArray[np.float32]
    drawn_average_precision: npt.NDArray[np.floating[Any]]

    def other_labels(self, other: "EvaluatedScores") -> list[tuple[str, str]]:
        """The clips and tags whose labels differ from those of another evaluation of the same clips and tags."""
        order = np.argsort(self.clips)[np.argsort(np.argsort(other.clips))]
        unlike = (self.truth[order] != other.truth) | (self.annotated[order] != other.annotated)
        return [(str(other.clips[clip]), other.tags[tag]) for clip, tag in np.argwhere(unlike).tolist()]


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluatedEvents(Evaluated):
    """The same with the events that clips really have.

    Attributes:
        clip, tag: of each event, places among `clips` and `tags`, (event,).
        onset_us, offset_us: microseconds from the clip's start, (event,).
    """

    clip: Ints
    tag: Ints
    onset_us: Ints
    offset_us: Ints

    def other_labels(self, other: "EvaluatedEvents") -> list[tuple[str, str]]:
        """The clips and tags whose events differ from those of another evaluation of the same clips and tags."""
        (cell, times_us), (other_cell, other_us) = self._by_cell(), other._by_cell()
        counts, others = (
            np.bincount(cells, minlength=len(self.clips) * len(self.tags)) for cells in (cell, other_cell)
        )
        unlike = counts != others
        # The events of all other cells stand side by side.
        same = ~unlike[cell]
        apart_us = np.abs(times_us[same] - other_us[~unlike[other_cell]]).max(axis=1, initial=0)
        unlike[cell[same][apart_us > SAME_TIME_US]] = True
        names = np.sort(self.clips)
        places = (divmod(place, len(self.tags)) for place in np.flatnonzero(unlike).tolist())
        return [(str(names[clip]), self.tags[tag]) for clip, tag in places]

    def _by_cell(self) -> tuple[Ints, Ints]:
        """A number for the clip, by its name's rank, and tag of each event, (event,), rising; its times, (event, 2)."""
        cell = np.argsort(np.argsort(self.clips))[self.clip] * len(self.tags) + self.tag
        order = np.lexsort((self.onset_us, cell))
        return cell[order], np.stack([self.onset_us, self.offset_us], axis=1)[order]


def evaluation_name(split: str, layer: str) -> str:
    """What files about a split and a label layer are called: other labels' stand beside, not over, the given ones'.

    >>> evaluation_name("test", "given"), evaluation_name("test", "truth")
    ('test', 'test-truth')
    """
    return split if layer == GIVEN else f"{split}-{layer}"


def evaluated_scores_path(run: Path, split: str, layer: str) -> Path:
    """Where a run keeps what its evaluation on a split against a label layer was made of."""
    return run / "evaluation" / f"{evaluation_name(split, layer)}-scores.npz"


def evaluated_events_path(run: Path, split: str, layer: str) -> Path:
    """Where it keeps the same of its events."""
    return run / "evaluation" / "events" / f"{evaluation_name(split, layer)}-resamples.npz"


def write_evaluated_scores(path: Path, kept: EvaluatedScores) -> None:
    """Writes it, whole or not at all; by tag, the resamples' values are rounded to float32."""
    arrays = {
        "groups": kept.groups,
        "truth": kept.truth,
        "annotated": kept.annotated,
        "scores": kept.scores.astype(np.float32),
        "drawn_by_tag": kept.drawn_average_precision.astype(np.float32),
    }
    _write(path, kept, arrays)


def write_evaluated_events(path: Path, kept: EvaluatedEvents) -> None:
    """Writes it, whole or not at all."""
    _write(path, kept, {name: getattr(kept, name) for name in _OF_EVENTS})


def read_evaluated_scores(path: Path) -> EvaluatedScores:
    """Reads it.

    Raises:
        InputError: the file cannot be read as one.
        FileNotFoundError: there is none.
    """
    read = _read(path, ("groups", "truth", "annotated", "scores", "drawn_by_tag"))
    return EvaluatedScores(drawn_average_precision=read.pop("drawn_by_tag"), **read)


def read_evaluated_events(path: Path) -> EvaluatedEvents:
    """Reads it; raises as `read_evaluated_scores` does."""
    return EvaluatedEvents(**_read(path, _OF_EVENTS))


def _write(path: Path, kept: Evaluated, others: Mapping[str, npt.NDArray[Any]]) -> None:
    arrays: dict[str, Any] = {
        "clips": np.asarray(kept.clips, np.str_),
        "tags": np.array(kept.tags, np.str_),
        "metrics": np.array(list(kept.drawn), np.str_),
        "drawn": np.array(list(kept.drawn.values()), np.float64),
        "draws": np.array(kept.draws),
        **others,
    }
    # To an open file: given a name without .npz, numpy would write beside it.
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _read(path: Path, others: tuple[str, ...]) -> dict[str, Any]:
    """What every kind has, by the names of its attributes, and the other arrays that a kind has."""
    try:
        with np.load(path, allow_pickle=False) as file:
            read = {name: file[name] for name in ("clips", "tags", "metrics", "drawn", "draws", *others)}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as the scores of an evaluation, {error}; evaluate again") from error
    drawn = dict(zip(read.pop("metrics").tolist(), read["drawn"], strict=True))
    return {**read, "tags": tuple(read["tags"].tolist()), "drawn": drawn, "draws": str(read["draws"])}
