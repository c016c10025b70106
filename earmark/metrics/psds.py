"""PSDS, the polyphonic sound detection score: the area under found events against false positives an hour.

Each tag has a curve of its share of events found (TPR) against its effective rate of false positives (eFPR), the
greatest share at that rate or a lower one. The curves' mean less `alpha_st` standard deviations, never below 0, is
averaged over the rates up to `e_max`. Criteria: `earmark.metrics.intersection_based`.

From framewise scores every threshold is taken, as in sed_scores_eval. A set of decisions, psds_eval's way, knows some
of them only: each tag's curve lies on or below the exact one, and so does their mean (with alpha_st > 0 the difference
may have either sign).

A tag without reference events takes no part: not among the curves, and not among the tags that can be triggered.
(sed_scores_eval refuses such tags.)

Source: Bilen et al. 2020, A framework for the robust evaluation of sound event detection (arXiv 1910.08440); Ebbers,
Serizel and Haeb-Umbach 2022, Threshold-independent evaluation of sound event detection scores (arXiv 2201.13148).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.errors import InputError
from earmark.metrics.events import US_PER_S, Events, Intervals, Ints, check_same_clips
from earmark.metrics.framewise import FramewiseScores
from earmark.metrics.intersection_based import Shares, coverage, found_events, is_relevant
from earmark.metrics.psds_steps import Draws, needed_above, steps_of_tag
from earmark.metrics.tagging import Floats


@dataclass(frozen=True)
class PsdsSettings:
    """What PSDS asks for.

    Attributes:
        shares: the criteria; `cttc` is needed where `alpha_ct` is not 0.
        alpha_ct: weight of triggering other tags in the effective rate of false positives.
        alpha_st: how many standard deviations between tags are taken off their mean.
        e_max: the effective rate up to which is averaged, per unit of time.
        unit_s: the unit of time, seconds.

    Raises:
        InputError: a number is negative (`e_max`, `unit_s`: or 0), or `cttc` is missing.
    """

    shares: Shares
    alpha_ct: float = 0.0
    alpha_st: float = 1.0
    e_max: float = 100.0
    unit_s: float = 3600.0

    def __post_init__(self) -> None:
        for name in ("alpha_ct", "alpha_st"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("e_max", "unit_s"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} must be positive and finite, got {getattr(self, name)}")
        if self.alpha_ct and self.shares.cttc is None:
            raise InputError(f"alpha_ct {self.alpha_ct} needs a cttc, got none")


PSDS_1 = PsdsSettings(Shares(0.7, 0.7))
"""DCASE task 4's first: reacts to when."""
PSDS_2 = PsdsSettings(Shares(0.1, 0.1, 0.3), alpha_ct=0.5)
"""DCASE task 4's second: reacts to which tag."""


@dataclass(frozen=True, eq=False)
class RateCurve:
    """A staircase: each share holds at its rate and up to the next.

    Attributes:
        rate: effective rate of false positives per unit of time, rising from 0, at most e_max, (step,).
        found: share of events, (step,).
    """

    rate: Floats
    found: Floats

    def at(self, rate: Floats) -> Floats:
        """The share at some rates, in their shape."""
        return self.found[np.searchsorted(self.rate, rate, "right") - 1]

    def mean(self, up_to: float) -> float:
        """The average share over the rates from 0 up to some rate."""
        return float(np.diff(self.rate, append=up_to) @ self.found / up_to)


@dataclass(frozen=True, eq=False)
class Psds:
    """A score and what it is made of.

    Attributes:
        value: in [0, 1]; NaN without any reference.
        by_tag: the area under each tag's curve, NaN without reference events, (tag,).
        curve: mean less deviations; None without any reference.
        tag_curves: of each tag, None without reference events.
    """

    value: float
    by_tag: Floats
    curve: RateCurve | None
    tag_curves: list[RateCurve | None]

    @property
    def left_out_tags(self) -> Ints:
        """The tags without reference events, which take no part."""
        return np.flatnonzero(np.isnan(self.by_tag))


def psds(reference: Events, scores: FramewiseScores, settings: PsdsSettings) -> Psds:
    """PSDS over all thresholds, exact.

    Rates count time by the clips' durations, those of clips without events or frames too.

    Raises:
        InputError: reference and scores are not of the same clips and tags.

    >>> from earmark.metrics.events import events_from_arrays
    >>> from earmark.metrics.framewise import framewise_scores
    >>> truth = events_from_arrays([0], [0], [1], [3], duration_s=[4.0], num_tags=1)
    >>> scores = framewise_scores([[0.1], [0.9], [0.8], [0.4]], [4], hop_s=1.0, duration_s=[4.0])
    >>> psds(truth, scores, PSDS_1).value
    1.0
    """
    return next(psds_of_draws(reference, scores, settings, np.ones((reference.num_clips, 1), np.uint8)))


def psds_of_draws(reference: Events, scores: FramewiseScores, settings: PsdsSettings, draws: Draws) -> Iterator[Psds]:
    """PSDS with each clip as often as it is drawn, as if it stood there so often; one for each draw.

    Every change of a count belongs to one clip. So thresholds are sorted once, and a draw only weighs the changes.

    Args:
        draws: how often each clip is in each draw, (clip, draw).

    Raises:
        InputError: reference and scores are not of the same clips and tags.
    """
    check_same_clips(reference, scores.duration_us, scores.num_tags, "scores")
    truth = [reference.intervals(tag) for tag in range(reference.num_tags)]
    count, there_us = reference.counts(), _there_us(reference)
    tags = [tag for tag, events in enumerate(truth) if len(events.clip)]
    total_us = draws.T.astype(np.int64) @ reference.duration_us
    false_rates = settings.unit_s * US_PER_S / np.maximum(total_us, 1)
    most_false, triggered = settings.e_max / false_rates, tags if settings.alpha_ct else []
    steps = {}
    for tag in tags:
        above = needed_above(tag, scores, truth[tag].clip, draws, most_false)
        steps[tag] = steps_of_tag(tag, above, scores, truth, triggered, settings.shares)
    for draw, false_rate in zip(draws.T.astype(np.int64), false_rates.tolist(), strict=True):
        rates, num_events = np.append(false_rate, _trigger_rates(settings, draw @ there_us)), draw @ count
        curves: list[RateCurve | None] = [None] * reference.num_tags
        for tag in np.flatnonzero(num_events).tolist():
            found, rate = steps[tag].points(draw, rates)
            curves[tag] = _staircase(found / num_events[tag], rate, settings.e_max)
        yield _psds(curves, settings)


def psds_from_decisions(reference: Events, decisions: Sequence[Events], settings: PsdsSettings) -> Psds:
    """PSDS over some operating points, each the decided events of all clips; deciding nothing is always one.

    Raises:
        InputError: reference and decisions are not of the same clips and tags.
    """
    for decided in decisions:
        check_same_clips(reference, decided.duration_us, decided.num_tags, "decided events")
    truth = [reference.intervals(tag) for tag in range(reference.num_tags)]
    false_rate = settings.unit_s * US_PER_S / max(int(reference.duration_us.sum()), 1)
    rates = np.append(false_rate, _trigger_rates(settings, _there_us(reference).sum(axis=0)))
    curves = []
    for tag, events in enumerate(truth):
        points = [_point(tag, decided.intervals(tag), truth, rates, settings.shares) for decided in decisions]
        found, rate = (np.array([0.0, *column]) for column in zip(*points, strict=True)) if points else np.zeros((2, 1))
        curves.append(_staircase(found, rate, settings.e_max) if len(events.clip) else None)
    return _psds(curves, settings)


def _there_us(reference: Events) -> Ints:
    """How long each tag is there in each clip, (clip, tag)."""
    there_us = np.zeros((reference.num_clips, reference.num_tags), np.int64)
    np.add.at(there_us, (reference.clip, reference.tag), reference.offset_us - reference.onset_us)
    return there_us


def _trigger_rates(settings: PsdsSettings, there_us: Ints) -> Floats:
    """What a trigger of each tag adds to another's rate; 0 without reference events, (tag,)."""
    rates, others = np.zeros(len(there_us)), np.count_nonzero(there_us) - 1
    if others > 0:
        unit_us = settings.unit_s * US_PER_S
        np.divide(settings.alpha_ct * unit_us / others, there_us, out=rates, where=there_us > 0)
    return rates


def _point(
    tag: int, detections: Intervals, truth: Sequence[Intervals], rates: Floats, shares: Shares
) -> tuple[float, float]:
    """A tag's share of events found and its effective rate, at one decision; `rates` are as for `TagSteps.points`."""
    events = truth[tag]
    relevant = is_relevant(detections, events, shares.dtc)
    found = found_events(coverage(detections, events, relevant), events, shares.gtc)
    rate = np.count_nonzero(~relevant) * rates[0]
    for other in np.flatnonzero(rates[1:]).tolist():
        if other != tag:
            triggering = ~relevant & is_relevant(detections, truth[other], shares.cttc or 1.0)
            rate += np.count_nonzero(triggering) * rates[1 + other]
    return len(found) / max(len(events.clip), 1), rate


def _staircase(found: Floats, rate: Floats, e_max: float) -> RateCurve:
    """The points that find more than all of lower or equal rate."""
    kept = rate <= e_max
    found, rate = found[kept], rate[kept]
    order = np.lexsort((-found, rate))
    found, rate = found[order], rate[order]
    best_before = np.append(-1.0, np.maximum.accumulate(found)[:-1])
    higher = found > best_before
    return RateCurve(rate[higher], found[higher])


def _psds(curves: list[RateCurve | None], settings: PsdsSettings) -> Psds:
    """The score of the tags' curves."""
    by_tag = np.array([np.nan if curve is None else curve.mean(settings.e_max) for curve in curves])
    there = [curve for curve in curves if curve is not None]
    if not there:
        return Psds(float("nan"), by_tag, None, curves)
    rate = np.unique(np.concatenate([curve.rate for curve in there]))
    found = np.stack([curve.at(rate) for curve in there])
    effective = np.maximum(found.mean(axis=0) - settings.alpha_st * found.std(axis=0), 0.0)
    curve = RateCurve(rate, effective)
    return Psds(curve.mean(settings.e_max), by_tag, curve, curves)
