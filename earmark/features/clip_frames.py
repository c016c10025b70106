"""A clip's feature frames fitted to one number: silent ends dropped, the rest repeated or evenly reduced."""

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator

from earmark.config import Settings
from earmark.features.front_end import FrontEnd


class ClipFrames(Settings):
    """How every clip is brought to the same number of feature frames."""

    num_frames: int = Field(ge=1, description="frames that every clip is repeated or evenly reduced to")
    window_frames: int | None = Field(
        default=None, ge=1, description="frames of the window of these that is learned from; null: all"
    )
    silence_db: float | None = Field(
        default=None, gt=0, description="frames at either end this far under the clip's loudest are dropped; null: none"
    )

    @model_validator(mode="after")
    def _window_is_inside(self) -> Self:
        if self.window_frames is not None and self.window_frames > self.num_frames:
            raise ValueError(f"window_frames must be at most num_frames, {self.num_frames}, got {self.window_frames}")
        return self


def fit_frames(
    features: torch.Tensor,
    num_valid_frames: torch.Tensor,
    clip_frames: ClipFrames,
    front_end: FrontEnd,
    place: torch.Tensor | npt.NDArray[np.floating[Any]] | None = None,
) -> torch.Tensor:
    """Features of the same number of frames for every clip, all of them its own: (clip, num_frames, mel).

    Of a clip's n frames without its silent ends, frame i of the result is i mod n where they are repeated
    (n <= num_frames), and floor(i n / num_frames) where they are reduced. Silent are the frames at either end that are
    more than `silence_db` under the clip's loudest, in the total of their mel values: 10 log10 of powers, 20 log10 of
    magnitudes. Digital silence is its own loudest, and all of it is kept.

    Args:
        features: (clip, frame, mel) as `LogMel` gives them.
        num_valid_frames: how many of each clip are its own, from 1 on, whole numbers (clip,).
        front_end: what made the features; says how their logarithm is undone.
        place: where each clip's window of `window_frames` begins, (clip,) in [0, 1), from the first place to the last;
            the result is (clip, window_frames, mel). None for all frames.

    Raises:
        ValueError: the places are not one a clip, or not in [0, 1).

    Source: He et al. 2020, section 2.1, which states no level of silence and no way to choose the frames of a longer
    clip.

    >>> from earmark.features import PRESETS
    >>> features = torch.arange(6.0).view(2, 3, 1)
    >>> fit_frames(features, torch.tensor([2, 3]), ClipFrames(num_frames=5), PRESETS["staged"])[..., 0].tolist()
    [[0.0, 1.0, 0.0, 1.0, 0.0], [3.0, 4.0, 5.0, 3.0, 4.0]]
    """
    num_frames = clip_frames.num_frames
    wanted = torch.arange(num_frames, device=features.device)[None]
    if place is not None:
        window = clip_frames.window_frames or num_frames
        begin = _begins(place, len(features), num_frames - window + 1).to(features.device)
        wanted = begin[:, None] + wanted[:, :window]
    first, count = _sounding(features, num_valid_frames, clip_frames.silence_db, front_end)
    chosen = torch.where(count <= num_frames, wanted % count, wanted * count // num_frames)
    return features[torch.arange(len(features), device=features.device)[:, None], first + chosen]


def _begins(place: torch.Tensor | npt.NDArray[np.floating[Any]], num_clips: int, num_places: int) -> torch.Tensor:
    """The place, 0 to `num_places` - 1, that each number in [0, 1) stands for, int64 (clip,) on the CPU."""
    places = torch.as_tensor(place, dtype=torch.float64, device="cpu")
    if places.shape != (num_clips,) or not bool(((places >= 0) & (places < 1)).all()):
        raise ValueError(f"place must be {num_clips} numbers in [0, 1), got {places.tolist()}")
    return (places * num_places).long()


def _sounding(
    features: torch.Tensor, num_valid_frames: torch.Tensor, silence_db: float | None, front_end: FrontEnd
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first frame that is kept of each clip and how many are, both int64 (clip, 1)."""
    count = num_valid_frames.to(features.device, torch.int64)[:, None]
    if silence_db is None:
        return torch.zeros_like(count), count
    # Logarithms of the totals, but for what is the same in all frames: the features' mean, which falls out below.
    level = (features * (front_end.std / front_end.log_unit)).logsumexp(2)
    at = torch.arange(features.shape[1], device=features.device)[None]
    is_own = at < count
    loudest = level.masked_fill(~is_own, -math.inf).amax(1, keepdim=True)
    # A frame is kept unless it is known to be silent: what is not a number stays.
    is_heard = is_own & ~(level < loudest - silence_db * math.log(10) / front_end.tenfold_db)
    first = at.where(is_heard, count - 1).amin(1, keepdim=True)
    last = at.where(is_heard, 0).amax(1, keepdim=True)
    return first, last - first + 1
