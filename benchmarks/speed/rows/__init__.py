"""The rows, by what they measure."""

from benchmarks.speed.contest import Row
from benchmarks.speed.rows import commands, events, features, metrics, reading, relabelling, scoring, training

ALL: tuple[Row, ...] = (
    *features.ROWS,
    *reading.ROWS,
    *metrics.ROWS,
    *events.ROWS,
    *relabelling.ROWS,
    *training.ROWS,
    *scoring.ROWS,
    *commands.ROWS,
)
