"""How right soft labels of chunks are, beside what truly sounds in them: pure functions of arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.clips import Excerpts
from earmark.data.statements import Statements
from earmark.labels.quality import LabelQuality

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

THRESHOLD = 0.5
NUM_BINS = 10
MIN_SOUND_S = 0.05
"""A tag is a chunk's if its events sound in it for so long in all: a clock's tick takes .06 s."""


def sounding_s(events: Statements, chunks: Excerpts, rate_hz: int, num_tags: int) -> npt.NDArray[np.float64]:
    """For how many seconds the events of a tag, which never overlap, sound in each chunk, (chunk, tag).

    Args:
        events: with times.
        chunks: in the order of their clips.
    """
    first = np.searchsorted(chunks.clip_index, events.clip_index, side="left")
    count = np.searchsorted(chunks.clip_index, events.clip_index, side="right") - first
    # Every event beside every chunk of its clip.
    event = np.repeat(np.arange(len(events)), count)
    chunk = np.arange(len(event)) + np.repeat(first - (np.cumsum(count) - count), count)
    onset_s = chunks.onset_samples / rate_hz
    end_s = (chunks.onset_samples + chunks.num_samples) / rate_hz
    both_s = np.minimum(events.offset[event], end_s[chunk]) - np.maximum(events.onset[event], onset_s[chunk])
    seconds = np.zeros((len(chunks), num_tags))
    np.add.at(seconds, (chunk, events.tag_index[event]), np.maximum(both_s, 0))
    return seconds


def precision(decided: BoolArray, truth: BoolArray) -> float:
    """The share of decisions that are right, over all cells; NaN without any."""
    counts = (np.asarray(np.count_nonzero(cells)) for cells in (decided & truth, decided, truth))
    return float(LabelQuality(*counts).precision)


def recall(decided: BoolArray, truth: BoolArray) -> float:
    """The share of true labels that are decided, over all cells; NaN without any."""
    return precision(truth, decided)


def percent(part: float, whole: float) -> float:
    """A share in per cent; NaN of nothing."""
    return 100 * float(part) / float(whole) if whole else float("nan")


def calibration_error(scores: FloatArray, truth: BoolArray, num_bins: int = NUM_BINS) -> float:
    """The expected calibration error: |mean score - share that is true| of bins of equal width, weighted by cells.

    Source: Naeini, Cooper and Hauskrecht 2015 (AAAI).

    >>> float(calibration_error(np.array([[0.25], [0.75]]), np.array([[False], [True]])))
    0.25
    """
    which = np.minimum((scores * num_bins).astype(np.int64), num_bins - 1).ravel()
    difference = np.bincount(which, scores.ravel() - truth.ravel(), num_bins)
    return float(np.abs(difference).sum() / scores.size)
