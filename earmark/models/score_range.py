"""Scores scaled tag by tag, from the range that they have on some clips to 0 to 1."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from earmark.errors import InputError
from earmark.models.settings import ScoreRange

FloatArray = npt.NDArray[np.floating[Any]]


def score_range(scores: FloatArray, on: Literal["validation", "test"]) -> ScoreRange:
    """The lowest and the highest score of each tag.

    Args:
        scores: (clip, tag) in [0, 1], not scaled.
        on: the split that the clips are of.

    Raises:
        InputError: there are fewer than two clips.

    >>> score_range(np.array([[0.5, 0.25], [0.75, 0.25]]), "validation").high
    (0.75, 0.25)
    """
    refuse_few(len(scores), on)
    return ScoreRange(on=on, low=tuple(scores.min(axis=0).tolist()), high=tuple(scores.max(axis=0).tolist()))


def refuse_few(num_clips: int, on: str) -> None:
    """Raises InputError unless a split has clips enough to scale scores by."""
    if num_clips < 2:
        raise InputError(
            f"the {on} split must hold at least 2 clips to scale scores by, found {num_clips}; add clips to it, or "
            "train with --set postprocess_on=none"
        )


def scaled(scores: torch.Tensor, to_unit: ScoreRange | None) -> torch.Tensor:
    """Scores (..., tag) with each tag's range stretched to [0, 1] and what is beyond it clipped; None scales nothing.

    A tag whose lowest and highest score are equal stays as it is.

    >>> scaled(torch.tensor([0.5, 0.625, 1.0]), ScoreRange(on="test", low=(0.5,) * 3, high=(0.75, 0.75, 0.5))).tolist()
    [0.0, 0.5, 1.0]
    """
    if to_unit is None:
        return scores
    low = torch.tensor(to_unit.low, dtype=scores.dtype, device=scores.device)
    width = torch.tensor(to_unit.high, dtype=scores.dtype, device=scores.device) - low
    return torch.where(width > 0, ((scores - low) / torch.where(width > 0, width, 1)).clamp(0, 1), scores)
