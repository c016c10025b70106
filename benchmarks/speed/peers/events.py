"""Metrics of detected events as people compute them: sed_eval, sed_scores_eval, psds_eval.

Each is given its own kind of tables ready made, and sed_eval and psds_eval the decided events as well, which ours makes
of the scores itself.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.speed.event_inputs import (
    DURATION_S,
    NUM_TAGS,
    THRESHOLD,
    EventTable,
    decided_events,
    frame_edges_s,
    reference_and_scores,
)

Found = npt.NDArray[np.float64]
TAGS = [f"tag{tag}" for tag in range(NUM_TAGS)]
COLLARS = {"onset_collar": 0.2, "offset_collar": 0.2, "offset_collar_rate": 0.2}
HALF = {"dtc_threshold": 0.5, "gtc_threshold": 0.5}
PSDS_1 = {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0}
PSDS_2 = {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0}
E_MAX = 100.0
THRESHOLDS = np.linspace(0.01, 0.99, 50)
SOME = 5
"""Of what takes long, so many a call: thresholds of psds_eval, resamples."""


def sed_eval_segment_based(work: Path) -> Callable[[], Found]:
    """sed_eval, file by file."""
    from sed_eval.sound_event import SegmentBasedMetrics

    truth, decided = _sed_eval_lists()
    lengths = {"evaluated_length_seconds": DURATION_S}
    return lambda: _by_file(SegmentBasedMetrics(TAGS, time_resolution=1.0), truth, decided, lengths)


def sed_eval_collar_based(work: Path) -> Callable[[], Found]:
    """sed_eval, file by file."""
    from sed_eval.sound_event import EventBasedMetrics

    truth, decided = _sed_eval_lists()
    return lambda: _by_file(EventBasedMetrics(TAGS, t_collar=0.2, percentage_of_length=0.2), truth, decided, {})


def sed_scores_eval_segment_based(work: Path) -> Callable[[], Found]:
    """sed_scores_eval at one threshold."""
    from sed_scores_eval import segment_based

    scores, truth, durations = _sed_scores_eval_tables()
    return lambda: _in_order(segment_based.fscore(scores, truth, durations, THRESHOLD, segment_length=1.0)[0])


def sed_scores_eval_collar_based(work: Path) -> Callable[[], Found]:
    """sed_scores_eval at one threshold."""
    from sed_scores_eval import collar_based

    scores, truth, _ = _sed_scores_eval_tables()
    return lambda: _in_order(collar_based.fscore(scores, truth, THRESHOLD, **COLLARS)[0])


def sed_scores_eval_intersection_based(work: Path) -> Callable[[], Found]:
    """sed_scores_eval at one threshold."""
    from sed_scores_eval import intersection_based

    scores, truth, _ = _sed_scores_eval_tables()
    return lambda: _in_order(intersection_based.fscore(scores, truth, THRESHOLD, **HALF)[0])


def sed_scores_eval_best_collar_based(work: Path) -> Callable[[], Found]:
    """sed_scores_eval over all thresholds."""
    from sed_scores_eval import collar_based

    scores, truth, _ = _sed_scores_eval_tables()
    return lambda: _in_order(collar_based.best_fscore(scores, truth, **COLLARS)[0])


def sed_scores_eval_psds_1(work: Path) -> Callable[[], Found]:
    """sed_scores_eval over all thresholds."""
    return _sed_scores_eval_psds(PSDS_1)


def sed_scores_eval_psds_2(work: Path) -> Callable[[], Found]:
    """sed_scores_eval over all thresholds."""
    return _sed_scores_eval_psds(PSDS_2)


def psds_eval_intersection_based(work: Path) -> Callable[[], Found]:
    """psds_eval's F1 at one threshold."""
    evaluator, scores = _psds_eval(HALF)
    decided = _table(decided_events(scores))
    return lambda: _in_order(evaluator.compute_macro_f_score(decided)[1])


def psds_eval_psds_1(work: Path) -> Callable[[], None]:
    """psds_eval at some of 50 thresholds, whose curves are not the exact ones."""
    return _psds_eval_psds(PSDS_1)


def psds_eval_psds_2(work: Path) -> Callable[[], None]:
    """psds_eval at some of 50 thresholds, whose curves are not the exact ones."""
    return _psds_eval_psds(PSDS_2)


def sed_scores_eval_collar_based_bootstrap(work: Path) -> Callable[[], Found]:
    """sed_scores_eval's F1 of resampled files, from what it made of each file once, which is not measured."""
    from sed_scores_eval import collar_based
    from sed_scores_eval.collar_based import intermediate_statistics

    scores, truth, _ = _sed_scores_eval_tables()
    deltas = intermediate_statistics.intermediate_statistics_deltas(scores, truth, **COLLARS)

    def f1(draw: npt.NDArray[np.int64]) -> float:
        there = {"ground_truth": _drawn(truth, draw), "deltas": _drawn(deltas, draw)}
        return float(collar_based.fscore(None, threshold=THRESHOLD, **there, **COLLARS)[0]["macro_average"])

    return lambda: np.array([f1(draw) for draw in _draws(len(truth))][:1])


def sed_scores_eval_psds_bootstrap(work: Path) -> Callable[[], Found]:
    """sed_scores_eval's PSDS 1 of resampled files, from what it made of each file once, which is not measured."""
    from sed_scores_eval import intersection_based
    from sed_scores_eval.intersection_based import intermediate_statistics

    scores, truth, durations = _sed_scores_eval_tables()
    shares = {name: PSDS_1[name] for name in ("dtc_threshold", "gtc_threshold")}
    deltas = intermediate_statistics.intermediate_statistics_deltas(scores, truth, **shares)

    def psds(draw: npt.NDArray[np.int64]) -> float:
        there = {"ground_truth": _drawn(truth, draw), "deltas": _drawn(deltas, draw)}
        drawn_durations = _drawn(durations, draw)
        found = intersection_based.psds(None, audio_durations=drawn_durations, max_efpr=E_MAX, **there, **PSDS_1)
        return float(found[0])

    return lambda: np.array([psds(draw) for draw in _draws(len(truth))][:1])


def _name(clip: int) -> str:
    return f"{clip:04d}.wav"


def _draws(num_clips: int) -> list[npt.NDArray[np.int64]]:
    """The clips of some resamples, with replacement; the first one is all clips, whose value is compared."""
    draw = np.random.default_rng(0)
    return [np.arange(num_clips), *(draw.integers(num_clips, size=num_clips) for _ in range(SOME - 1))]


def _drawn(table: dict[str, Any], draw: npt.NDArray[np.int64]) -> dict[str, Any]:
    """A table of files with those drawn, each time under another name."""
    return {f"{place}_{_name(clip)}": table[_name(clip)] for place, clip in enumerate(draw.tolist())}


def _in_order(by_tag: dict[str, float]) -> Found:
    return np.array([by_tag[tag] for tag in TAGS], np.float64)


def _sed_eval_lists() -> tuple[list[Any], list[Any]]:
    """Reference and decided events by file, as sed_eval has them."""
    import dcase_util

    truth, scores = reference_and_scores()

    def by_file(table: EventTable) -> list[Any]:
        listed: list[list[dict[str, Any]]] = [[] for _ in range(len(scores))]
        for clip, tag, onset, offset in zip(*(column.tolist() for column in table), strict=True):
            row = {"file": _name(clip), "event_label": TAGS[tag], "event_onset": onset, "event_offset": offset}
            listed[clip].append(row)
        return [dcase_util.containers.MetaDataContainer(rows) for rows in listed]

    return by_file(truth), by_file(decided_events(scores))


def _by_file(metric: Any, truth: list[Any], decided: list[Any], named: dict[str, float]) -> Found:
    for reference, estimated in zip(truth, decided, strict=True):
        metric.evaluate(reference, estimated, **named)
    found = metric.results_class_wise_metrics()
    return _in_order({tag: found[tag]["f_measure"]["f_measure"] for tag in TAGS})


def _sed_scores_eval_tables() -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
    """Scores, events and durations by file, as sed_scores_eval has them."""
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    events, scores = reference_and_scores()
    truth: dict[str, list[tuple[float, float, str]]] = {_name(clip): [] for clip in range(len(scores))}
    for clip, tag, onset, offset in zip(*(column.tolist() for column in events), strict=True):
        truth[_name(clip)].append((onset, offset, TAGS[tag]))
    edges = frame_edges_s()
    tables = {_name(clip): create_score_dataframe(of_clip, edges, TAGS) for clip, of_clip in enumerate(scores)}
    return tables, truth, dict.fromkeys(truth, DURATION_S)


def _sed_scores_eval_psds(settings: dict[str, float]) -> Callable[[], Found]:
    from sed_scores_eval import intersection_based

    scores, truth, durations = _sed_scores_eval_tables()

    def psds() -> Found:
        value, by_tag, *_ = intersection_based.psds(scores, truth, durations, max_efpr=E_MAX, **settings)
        return np.append(value, _in_order(by_tag))

    return psds


def _table(events: EventTable) -> Any:
    """Events as psds_eval has them."""
    import pandas

    names = np.array([_name(clip) for clip in range(int(events.clip.max()) + 1)])
    columns = {"filename": names[events.clip], "onset": events.onset_s, "offset": events.offset_s}
    return pandas.DataFrame({**columns, "event_label": np.array(TAGS)[events.tag]})


def _psds_eval(shares: dict[str, float]) -> tuple[Any, npt.NDArray[np.float32]]:
    """psds_eval with the reference, and the scores to decide by."""
    import pandas
    from psds_eval import PSDSEval

    warnings.simplefilter("ignore", FutureWarning)  # of pandas, hundreds
    truth, scores = reference_and_scores()
    names = [_name(clip) for clip in range(len(scores))]
    metadata = pandas.DataFrame({"filename": names, "duration": DURATION_S})
    known = {name: shares[name] for name in ("dtc_threshold", "gtc_threshold", "cttc_threshold") if name in shares}
    return PSDSEval(ground_truth=_table(truth), metadata=metadata, **known), scores


def _psds_eval_psds(settings: dict[str, float]) -> Callable[[], None]:
    evaluator, scores = _psds_eval(settings)
    some = THRESHOLDS[len(THRESHOLDS) // (2 * SOME) :: len(THRESHOLDS) // SOME]
    decided = [_table(decided_events(scores, threshold)) for threshold in some]

    def psds() -> None:
        evaluator.clear_all_operating_points()
        for table in decided:
            evaluator.add_operating_point(table)
        # Its area under the curves needs an older numpy, and next to no time.
        evaluator.psd_roc_curves(settings["alpha_ct"])

    return psds
