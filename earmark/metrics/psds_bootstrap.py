"""Intervals of PSDS: clips, or groups of clips, resampled.

Each resample is a set of clips of its own: their time, their events, and the tags that have any. The intervals are
those of `earmark.metrics.bootstrap`, which says why they are moved.
"""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.metrics.bootstrap import Interval, TagIntervals, check_settings, ends, groups_of_clips, interval
from earmark.metrics.events import Events
from earmark.metrics.framewise import FramewiseScores
from earmark.metrics.psds import Psds, PsdsSettings, psds, psds_of_draws
from earmark.metrics.resampling import draw_resamples
from earmark.metrics.tagging import Floats

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PsdsBootstrap:
    """The score on the clips as they are, intervals of it and of the area under each tag's curve, how they were made.

    A tag's interval comes from the resamples that have events of it.

    Attributes:
        drawn: the score in each resample, (resample,); see `earmark.metrics.paired`.
    """

    score: Psds
    value: Interval
    by_tag: TagIntervals
    drawn: Floats
    num_groups: int
    resamples: int
    confidence: float


def bootstrap_psds(
    reference: Events,
    scores: FramewiseScores,
    settings: PsdsSettings,
    *,
    groups: npt.ArrayLike | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PsdsBootstrap:
    """PSDS over all thresholds with intervals; the last arguments are those of `earmark.metrics.bootstrap.bootstrap`.

    Exact: every drawn value is what `psds` gives on the clips repeated so often. With a single group the ends are NaN,
    and a warning is logged.

    Raises:
        InputError: a setting out of range, no clips, groups that are not one a clip, or what `psds` refuses.

    >>> from earmark.metrics.events import events_from_arrays
    >>> from earmark.metrics.framewise import framewise_scores
    >>> from earmark.metrics.psds import PSDS_1
    >>> truth = events_from_arrays([0, 1], [0, 0], [1, 0], [2, 2], duration_s=[2.0, 2.0], num_tags=1)
    >>> scores = framewise_scores([[0.1], [0.9], [0.8], [0.8]], [2, 2], hop_s=1.0, duration_s=[2.0, 2.0])
    >>> bootstrap_psds(truth, scores, PSDS_1, resamples=20).value
    Interval(value=1.0, low=1.0, high=1.0)
    """
    check_settings((), resamples, confidence)
    group_of_clip, num_groups = groups_of_clips(groups, reference.num_clips)
    score = psds(reference, scores, settings)
    drawn, drawn_by_tag = np.full(1, np.nan), np.full((1, reference.num_tags), np.nan)
    if num_groups > 1:
        blocks = draw_resamples(group_of_clip, resamples, seed)
        each = (one for draws in blocks for one in psds_of_draws(reference, scores, settings, draws))
        found = np.array([[one.value, *one.by_tag] for one in each])
        drawn, drawn_by_tag = found[:, 0], found[:, 1:]
    else:
        _logger.warning("no intervals: all clips (%d) are of one group", reference.num_clips)
    by_tag = TagIntervals(score.by_tag, *ends(drawn_by_tag, score.by_tag, confidence))
    value = interval(drawn, score.value, confidence)
    return PsdsBootstrap(score, value, by_tag, drawn, num_groups, resamples, confidence)
