"""How much better one model is than another on the same clips: their differences in resamples that both went through.

A clip that is hard for one model is mostly hard for the other. Two intervals may therefore overlap by much, and one
model still be the better one in nearly every resample: what the draw of clips adds to both drops out of the difference.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError
from earmark.metrics.bootstrap import moved_percentiles
from earmark.metrics.resampling import mean_by_row
from earmark.metrics.tagging import Floats


@dataclass(frozen=True)
class Differences:
    """One model's metrics minus another's; each array is (column,), NaN where there is nothing to say.

    Attributes:
        value: on the clips as they are.
        low, high: the ends of its interval.
        below, above: the shares of resamples whose difference, moved as the interval is, lies below and above 0.
    """

    value: Floats
    low: Floats
    high: Floats
    below: Floats
    above: Floats


def paired_differences(
    value: npt.ArrayLike,
    drawn: npt.ArrayLike,
    other_value: npt.ArrayLike,
    other_drawn: npt.ArrayLike,
    confidence: float = 0.95,
    most: npt.ArrayLike = 1.0,
) -> Differences:
    """The differences of two models' metrics, or of one metric by tag, with intervals from resamples of the same clips.

    The intervals are those of `earmark.metrics.bootstrap`: percentiles, moved so that the resamples' mean falls on the
    value. A resample in which a metric is not defined (NaN for both models: no clip has the tag) is left out. A metric
    that is infinite, as d' can be, has a NaN interval where a resample is.

    Args:
        value, other_value: on the clips as they are, (column,).
        drawn, other_drawn: in each resample, (resample, column), as `bootstrap` gives them; row r of both is of the
            same resample, which the same clips, groups and seed make sure of.
        confidence: the share of resamples inside the ends, half of the others on either side.
        most: how far apart two models can be, where the intervals end too: 1 for metrics from 0 to 1, infinite for d';
            one number, or an array (column,).

    Raises:
        InputError: the shapes do not fit together, or the confidence is out of range.

    Source: Efron and Tibshirani 1993, chapters 10 (bias), 13 (percentiles) and 16 (tests).

    >>> found = paired_differences([0.75], [[0.5], [0.75], [1.0]], [0.5], [[0.5], [0.5], [0.5]])
    >>> found.value, found.low, found.high, found.below, found.above
    (array([0.25]), array([0.]), array([0.5]), array([0.]), array([0.66666667]))
    """
    values = [np.asarray(one, np.float64) for one in (value, other_value)]
    draws = [np.asarray(one, np.float64) for one in (drawn, other_drawn)]
    shapes = [array.shape for array in (*values, *draws)]
    if len(set(shapes[:2])) > 1 or len(set(shapes[2:])) > 1 or shapes[2][1:] != shapes[0] or len(shapes[0]) != 1:
        raise InputError(f"differences must be of (column,) values and (resample, column) draws, got {shapes}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence}")
    with np.errstate(invalid="ignore"):
        difference, drawn_difference = values[0] - values[1], draws[0] - draws[1]
    drawn_difference[:, np.isinf(draws).any(axis=(0, 1)) | ~np.isfinite(difference)] = np.nan
    difference = np.where(np.isfinite(difference), difference, np.nan)
    low, high = moved_percentiles(drawn_difference, difference, confidence)
    moved = drawn_difference + (difference - mean_by_row(drawn_difference.T))
    low, high = np.clip(low, -np.asarray(most), most), np.clip(high, -np.asarray(most), most)
    return Differences(difference, low, high, _share(moved < 0, moved), _share(moved > 0, moved))


def _share(on_side: npt.NDArray[np.bool_], moved: Floats) -> Floats:
    """By column, of the resamples that have a value; NaN where none has."""
    return mean_by_row(np.where(np.isnan(moved), np.nan, on_side).T)
