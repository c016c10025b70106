"""Metrics of detected events."""

from benchmarks.speed.contest import OURS, Contestant, Row

_OURS = "benchmarks.speed.ours.events"
_PEERS = "benchmarks.speed.peers.events"
TABLE = "Metrics of detected events, 1,168 clips x 156 frames x 10 tags"
_BYTES = 1_168 * 156 * 10 * 4.0
"""Of the scores, read once."""

_EXACT = 1e-9
"""Sums of floats in another order; counts are the same."""


def _row(name: str, title: str, function: str, *peers: Contestant) -> Row:
    return Row(
        name=name,
        title=title,
        unit="evaluation",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:{function}", 1, OURS),
        peers=peers,
        bytes=_BYTES,
        tolerance=_EXACT,
    )


def _bootstrap(name: str, title: str, function: str) -> Row:
    return Row(
        name=name,
        title=title,
        unit="resample",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:{function}", 1_000, OURS),
        peers=(Contestant("sed_scores_eval on drawn files", f"{_PEERS}:sed_scores_eval_{function}", 5),),
        tolerance=_EXACT,
    )


ROWS = (
    _row(
        "events-segment",
        "segment-based F1 at a threshold",
        "segment_based",
        Contestant("sed_eval", f"{_PEERS}:sed_eval_segment_based"),
        Contestant("sed_scores_eval", f"{_PEERS}:sed_scores_eval_segment_based"),
    ),
    _row(
        "events-collar",
        "collar-based F1 at a threshold",
        "collar_based",
        Contestant("sed_eval", f"{_PEERS}:sed_eval_collar_based"),
        Contestant("sed_scores_eval", f"{_PEERS}:sed_scores_eval_collar_based"),
    ),
    _row(
        "events-intersection",
        "intersection-based F1 at a threshold",
        "intersection_based",
        Contestant("psds_eval", f"{_PEERS}:psds_eval_intersection_based"),
        Contestant("sed_scores_eval", f"{_PEERS}:sed_scores_eval_intersection_based"),
    ),
    _row(
        "events-best",
        "best collar-based F1 of all thresholds",
        "best_collar_based",
        Contestant("sed_scores_eval", f"{_PEERS}:sed_scores_eval_best_collar_based"),
    ),
    _row(
        "psds-1",
        "PSDS 1",
        "psds_1",
        Contestant("psds_eval, 50 thresholds, not exact", f"{_PEERS}:psds_eval_psds_1", 5 / 50),
        Contestant("sed_scores_eval", f"{_PEERS}:sed_scores_eval_psds_1"),
    ),
    _row(
        "psds-2",
        "PSDS 2",
        "psds_2",
        Contestant("psds_eval, 50 thresholds, not exact", f"{_PEERS}:psds_eval_psds_2", 5 / 50),
        Contestant("sed_scores_eval", f"{_PEERS}:sed_scores_eval_psds_2"),
    ),
    _bootstrap("events-bootstrap", "collar-based F1 of 1,000 resamples", "collar_based_bootstrap"),
    _bootstrap("psds-bootstrap", "PSDS 1 of 1,000 resamples", "psds_bootstrap"),
)
