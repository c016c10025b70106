"""What an evaluation was made of, clip by clip, and what its resamples gave: `evaluation/SPLIT-scores.npz` of a run.

A page draws histograms from it, and two runs that were evaluated on the same clips are compared resample by resample,
with no model and no data set at hand.
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
Bools = npt.NDArray[np.bool_]

_MEMBERS = ("clips", "groups", "tags", "truth", "annotated", "scores", "metrics", "drawn", "drawn_by_tag", "draws")


@dataclass(frozen=True, eq=False)
class EvaluatedScores:
    """The clips of an evaluation with their labels and scores, and its resamples.

    Attributes:
        clips: their names, (clip,).
        groups: a number for the group of every clip, (clip,), which resamples draw as one.
        tags: in the order of all columns, (tag,).
        truth: the labels that scores were held against, (clip, tag).
        annotated: the cells that count, (clip, tag).
        scores: (clip, tag).
        drawn: each metric in each resample, (resample,).
        drawn_average_precision: by tag, (resample, tag), NaN where a resample has no positives.
        draws: a name for the resamples: equal where they hold the same clips.
    """

    clips: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]
    tags: tuple[str, ...]
    truth: Bools
    annotated: Bools
    scores: npt.NDArray[np.float32]
    drawn: Mapping[str, Floats]
    drawn_average_precision: npt.NDArray[np.floating[Any]]
    draws: str


def evaluation_name(split: str, layer: str) -> str:
    """What files about a split and a label layer are called: other labels' stand beside, not over, the given ones'.

    >>> evaluation_name("test", "given"), evaluation_name("test", "truth")
    ('test', 'test-truth')
    """
    return split if layer == GIVEN else f"{split}-{layer}"


def evaluated_scores_path(run: Path, split: str, layer: str) -> Path:
    """Where a run keeps what its evaluation on a split against a label layer was made of."""
    return run / "evaluation" / f"{evaluation_name(split, layer)}-scores.npz"


def write_evaluated_scores(path: Path, kept: EvaluatedScores) -> None:
    """Writes it, whole or not at all; by tag, the resamples' values are rounded to float32."""
    arrays: dict[str, Any] = {
        "clips": np.asarray(kept.clips, np.str_),
        "groups": kept.groups,
        "tags": np.array(kept.tags, np.str_),
        "truth": kept.truth,
        "annotated": kept.annotated,
        "scores": kept.scores.astype(np.float32),
        "metrics": np.array(list(kept.drawn), np.str_),
        "drawn": np.array(list(kept.drawn.values()), np.float64),
        "drawn_by_tag": kept.drawn_average_precision.astype(np.float32),
        "draws": np.array(kept.draws),
    }
    # To an open file: given a name without .npz, numpy would write beside it.
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_evaluated_scores(path: Path) -> EvaluatedScores:
    """Reads it.

    Raises:
        InputError: the file cannot be read as one.
        FileNotFoundError: there is none.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            read = {name: file[name] for name in _MEMBERS}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as the scores of an evaluation, {error}; evaluate again") from error
    return EvaluatedScores(
        clips=read["clips"],
        groups=read["groups"],
        tags=tuple(read["tags"].tolist()),
        truth=read["truth"],
        annotated=read["annotated"],
        scores=read["scores"],
        drawn=dict(zip(read["metrics"].tolist(), read["drawn"], strict=True)),
        drawn_average_precision=read["drawn_by_tag"],
        draws=str(read["draws"]),
    )
