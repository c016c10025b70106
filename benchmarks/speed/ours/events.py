"""Metrics of detected events, ours: from arrays of events and scores to what is reported."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.speed.event_inputs import DURATION_S, HOP_S, NUM_TAGS, THRESHOLD, EventTable, reference_and_scores
from earmark.metrics.criteria import CRITERIA
from earmark.metrics.detection import detection_scores
from earmark.metrics.event_bootstrap import bootstrap_detection
from earmark.metrics.events import Events, events_from_arrays
from earmark.metrics.framewise import FramewiseScores, events_from_scores, framewise_scores
from earmark.metrics.psds import PSDS_1, PSDS_2, PsdsSettings, psds
from earmark.metrics.psds_bootstrap import bootstrap_psds

Found = npt.NDArray[np.float64]
RESAMPLES = 1_000


def segment_based(work: Path) -> Callable[[], Found]:
    """F1 by tag at one threshold, (tag,)."""
    return _f1("segment")


def collar_based(work: Path) -> Callable[[], Found]:
    """F1 by tag at one threshold, (tag,)."""
    return _f1("collar")


def intersection_based(work: Path) -> Callable[[], Found]:
    """F1 by tag at one threshold, (tag,)."""
    return _f1("intersection")


def best_collar_based(work: Path) -> Callable[[], Found]:
    """Each tag's best F1 over all thresholds, (tag,)."""
    table, scores = reference_and_scores()

    def best() -> Found:
        curves = CRITERIA["collar"].curves(*_checked(table, scores))
        return np.array([curve.best_threshold()[1] for curve in curves])

    return best


def psds_1(work: Path) -> Callable[[], Found]:
    """The score, and the area under each tag's curve, (1 + tag,)."""
    return _psds(PSDS_1)


def psds_2(work: Path) -> Callable[[], Found]:
    """The score, and the area under each tag's curve, (1 + tag,)."""
    return _psds(PSDS_2)


def collar_based_bootstrap(work: Path) -> Callable[[], Found]:
    """Macro F1 with its interval; what is compared is its value."""
    table, scores = reference_and_scores()

    def intervals() -> Found:
        reference, grid = _checked(table, scores)
        counts = CRITERIA["collar"].counts(reference, events_from_scores(grid, THRESHOLD))
        found = bootstrap_detection(counts, resamples=RESAMPLES).macro_f1
        return np.array([found.value])

    return intervals


def psds_bootstrap(work: Path) -> Callable[[], Found]:
    """PSDS 1 with its interval; what is compared is its value."""
    table, scores = reference_and_scores()
    return lambda: np.array([bootstrap_psds(*_checked(table, scores), PSDS_1, resamples=RESAMPLES).value.value])


def _f1(criterion: str) -> Callable[[], Found]:
    table, scores = reference_and_scores()

    def f1() -> Found:
        reference, grid = _checked(table, scores)
        return detection_scores(CRITERIA[criterion].counts(reference, events_from_scores(grid, THRESHOLD))).f1

    return f1


def _psds(settings: PsdsSettings) -> Callable[[], Found]:
    table, scores = reference_and_scores()

    def score() -> Found:
        found = psds(*_checked(table, scores), settings)
        return np.append(found.value, found.by_tag)

    return score


def _checked(table: EventTable, scores: npt.NDArray[np.float32]) -> tuple[Events, FramewiseScores]:
    num_clips, num_frames = scores.shape[:2]
    duration_s = np.full(num_clips, DURATION_S)
    return (
        events_from_arrays(*table, duration_s=duration_s, num_tags=NUM_TAGS),
        framewise_scores(
            scores.reshape(-1, NUM_TAGS), np.full(num_clips, num_frames), hop_s=HOP_S, duration_s=duration_s
        ),
    )
