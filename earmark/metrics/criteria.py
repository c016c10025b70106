"""The three criteria of found events as DCASE task 4 has them, each at one decision and at every threshold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from earmark.metrics.collar_based import collar_based_counts, collar_based_curves
from earmark.metrics.curves import ThresholdCurve
from earmark.metrics.detection import DetectionCounts
from earmark.metrics.events import Events
from earmark.metrics.framewise import FramewiseScores
from earmark.metrics.intersection_based import Shares, intersection_based_counts, intersection_based_curves
from earmark.metrics.segment_based import segment_based_counts, segment_based_curves


@dataclass(frozen=True)
class Criterion:
    """What counts as found: in decided events, and in framewise scores."""

    counts: Callable[[Events, Events], DetectionCounts]
    curves: Callable[[Events, FramewiseScores], list[ThresholdCurve]]


HALF = Shares(0.5, 0.5)
"""Half of a detection in events, half of an event under detections: DCASE task 4's baselines since 2021."""

CRITERIA: Mapping[str, Criterion] = {
    "collar": Criterion(collar_based_counts, collar_based_curves),
    "segment": Criterion(segment_based_counts, segment_based_curves),
    "intersection": Criterion(
        partial(intersection_based_counts, shares=HALF),
        partial(intersection_based_curves, shares=HALF),
    ),
}
"""`DCASE_COLLARS`, segments of a second, and `HALF`."""
