"""How right labels are beside the truth: precision and recall, clipwise and of the time that events take."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.statements import IntArray, Statements
from earmark.labels.changes import beyond_us, taken_us
from earmark.metrics.detection import share
from earmark.metrics.events import US_PER_S

Floats = npt.NDArray[np.float64]
Amounts = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """What labels say beside what is true, in clips or in seconds; by tag, (tag,) each, or of all tags.

    Attributes:
        right: said and true.
        said: what the labels say.
        true: what they should say.
    """

    right: Amounts
    said: Amounts
    true: Amounts

    @property
    def precision(self) -> Floats:
        """The share of what is said that is true; NaN where nothing is said."""
        return share(self.right, self.said)

    @property
    def recall(self) -> Floats:
        """The share of what is true that is said; NaN where nothing is true."""
        return share(self.right, self.true)

    def total(self) -> "LabelQuality":
        """The same over all tags, each array of no axis: a tag weighs as much as it is said or true."""
        return LabelQuality(*(np.asarray(part.sum()) for part in (self.right, self.said, self.true)))


def clipwise_quality(said: IntArray, true: IntArray, num_tags: int) -> LabelQuality:
    """How right tags of clips are, in clips.

    Args:
        said, true: the tags that clips have, as the numbers of `label_changes.tag_pairs`.

    >>> clipwise_quality(np.array([0, 1, 3]), np.array([1, 2, 3]), num_tags=2).precision
    array([0., 1.])
    """
    right = np.intersect1d(said, true)
    return LabelQuality(*(np.bincount(part % num_tags, minlength=num_tags) for part in (right, said, true)))


def timewise_quality(said: Statements, true: Statements, num_tags: int) -> LabelQuality:
    """How right events are, in seconds: what framewise precision and recall become as frames grow short.

    Args:
        said, true: events, cut to their clips.
    """
    said_us, wrong_us = taken_us(said, num_tags), beyond_us(said, true, num_tags)
    times_us = said_us - wrong_us, said_us, taken_us(true, num_tags)
    return LabelQuality(*(time_us / US_PER_S for time_us in times_us))
