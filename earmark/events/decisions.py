"""How framewise scores become events: of each tag a median filter and a threshold, kept beside the model they are for.

`EVENTS_FILE` of a model folder holds those that were tuned. A filter's length is kept in seconds, so that it means the
same to models with other score frames, and is the nearest odd number of frames.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field, ValidationError, model_validator

from earmark.config import Settings, what_must_hold
from earmark.errors import InputError, first_few
from earmark.events.reference import metric_scores
from earmark.files import write_json
from earmark.metrics.events import Events
from earmark.metrics.framewise import events_from_scores
from earmark.models.tagger import model_folder
from earmark.scores.framewise import ScoredFrames
from earmark.timing import samples_at

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

EVENTS_FILE = "events.json"
LONGEST_FILTER_S = 60.0
# Scores sorted at once: 16 MiB.
_CELLS_AT_ONCE = 1 << 22

Threshold = Annotated[float, Field(ge=0, le=1)]
FilterLength = Annotated[float, Field(ge=0, le=LONGEST_FILTER_S)]


class EventDecisions(Settings):
    """How a model's framewise scores become events, one value a tag."""

    tags: tuple[str, ...] = Field(min_length=1, description="in the order of the model's scores")
    thresholds: tuple[Threshold, ...] = Field(description="filtered scores of at least this are in an event")
    median_filter_s: tuple[FilterLength, ...] = Field(description="length of the median filter; 0: none")
    about: dict[str, Any] = Field(
        default_factory=dict, description="how they were tuned: criterion, data set, date ..."
    )

    @model_validator(mode="after")
    def _one_of_each_a_tag(self) -> Self:
        for name, values in (("thresholds", self.thresholds), ("median_filter_s", self.median_filter_s)):
            if len(values) != len(self.tags):
                raise ValueError(f"{name} must be one a tag ({len(self.tags)}), found {len(values)}")
        return self


def plain_decisions(tags: Sequence[str], threshold: float = 0.5, median_filter_s: float = 0.0) -> EventDecisions:
    """One threshold and one median filter for every tag; by default .5 and none."""
    alike = {"thresholds": (threshold,) * len(tags), "median_filter_s": (median_filter_s,) * len(tags)}
    return EventDecisions.model_validate({"tags": tuple(tags), **alike})


def read_decisions(model_path: Path, tags: Sequence[str]) -> EventDecisions | None:
    """Those tuned for the model of a model or run folder; None where none were.

    Args:
        tags: the model's, in their order.

    Raises:
        InputError: the file is damaged, or is of other tags.
    """
    path = model_folder(model_path) / EVENTS_FILE
    if not path.is_file():
        return None
    try:
        found = EventDecisions.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where and f'{where} '}{what_must_hold(first)}; tune the model again") from error
    if found.tags != tuple(tags):
        strange = [tag for tag in (*found.tags, *tags) if (tag in found.tags) != (tag in tags)]
        what = f"only one of them has {first_few(strange)}" if strange else "their order differs"
        raise InputError(f"{path}: must be of the model's tags: {what}; tune the model again")
    return found


def write_decisions(model_path: Path, decisions: EventDecisions) -> Path:
    """Keeps decisions beside the model of a model or run folder; the file's path."""
    path = model_folder(model_path) / EVENTS_FILE
    write_json(path, decisions.model_dump(mode="json"))
    return path


def widths_in_frames(median_filter_s: npt.ArrayLike, hop_samples: int, rate_hz: int) -> IntArray:
    """The nearest odd number of score frames to a filter's length, in the shape that the lengths have; 1: no filter.

    >>> widths_in_frames([0, 0.1, 0.45], hop_samples=320, rate_hz=16000)
    array([ 1,  5, 23])
    """
    return samples_at(np.asarray(median_filter_s, np.float64), rate_hz) // (2 * hop_samples) * 2 + 1


def median_filtered(scores: FloatArray, width_frames: npt.ArrayLike) -> FloatArray:
    """One clip's scores, each the median of those around it; what lacks at the ends is mirrored at them.

    The ends are as in scipy.ndimage.median_filter's mode "reflect": the first frame stands before itself once more.

    Args:
        scores: (frame, tag), at least one frame.
        width_frames: odd numbers, one for all tags or one a tag; 1 leaves a tag as it is.

    Returns:
        float32 (frame, tag).

    >>> median_filtered(np.array([[0.9], [0.1], [0.8], [0.7]], np.float32), 3)[:, 0]
    array([0.9, 0.8, 0.7, 0.7], dtype=float32)
    """
    widths = np.broadcast_to(np.asarray(width_frames), scores.shape[1])
    if ((widths < 1) | (widths % 2 == 0)).any():
        raise ValueError(f"a median filter must be an odd number of frames, got {first_few(widths)}")
    made = scores.astype(np.float32)
    for width in np.unique(widths[widths > 1]).tolist():
        tags, half = np.flatnonzero(widths == width), width // 2
        padded = np.pad(made[:, tags], ((half, half), (0, 0)), mode="symmetric")
        at_once = max(1, _CELLS_AT_ONCE // (width * len(tags)))
        for first in range(0, len(scores), at_once):
            around = sliding_window_view(padded[first : first + at_once + 2 * half], width, axis=0)
            made[first : first + at_once, tags] = np.partition(around, half, axis=-1)[..., half]
    return made


def filtered(scored: ScoredFrames, decisions: EventDecisions) -> FloatArray:
    """The scores of all clips, each clip filtered by itself, float32 (frame, tag)."""
    widths = widths_in_frames(decisions.median_filter_s, scored.hop_samples, scored.rate_hz)
    if not len(scored.num_frames) or (widths == 1).all():
        return scored.scores
    clips = np.split(scored.scores, np.cumsum(scored.num_frames)[:-1])
    return np.concatenate([median_filtered(clip, widths) for clip in clips])


def decided_events(scored: ScoredFrames, decisions: EventDecisions) -> Events:
    """The runs of frames whose filtered scores reach their tag's threshold; clips by their places in `scored`."""
    return events_from_scores(metric_scores(scored, filtered(scored, decisions)), decisions.thresholds)
