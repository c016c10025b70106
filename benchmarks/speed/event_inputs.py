"""Made-up events of DESED's public evaluation's size, and framewise scores that know of them; needs only numpy."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NUM_CLIPS = 1_168
NUM_FRAMES = 156
NUM_TAGS = 10
HOP_S = 0.064
DURATION_S = 10.0
THRESHOLD = 0.5
EVENTS_A_CLIP = 2.4

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class EventTable(NamedTuple):
    """Events by clip, tag and onset; each array is (event,)."""

    clip: Ints
    tag: Ints
    onset_s: Floats
    offset_s: Floats


def frame_edges_s() -> Floats:
    """When each frame begins; the last one ends with the clip."""
    return np.append(np.arange(NUM_FRAMES) * HOP_S, DURATION_S)


def reference_and_scores(num_clips: int = NUM_CLIPS) -> tuple[EventTable, npt.NDArray[np.float32]]:
    """Events, none of a tag touching another, and scores (clip, frame, tag).

    No time that any criterion compares falls exactly on a limit, where rounding decides: events lie 0.3 ms beside whole
    milliseconds, where frames begin.
    """
    draw = np.random.default_rng(0)
    middle = (np.arange(NUM_FRAMES) + 0.5) * HOP_S
    noise = draw.normal(size=(num_clips, NUM_FRAMES + 6, NUM_TAGS)).astype(np.float32)
    logits = np.stack([noise[:, late : late + NUM_FRAMES] for late in range(7)]).sum(axis=0) / np.sqrt(7) * 1.5 - 4
    rows = []
    for clip in range(num_clips):
        for tag in np.unique(draw.integers(0, NUM_TAGS, draw.poisson(EVENTS_A_CLIP / 1.5))).tolist():
            now = draw.uniform(0, 5)
            while now < DURATION_S - 0.5:
                end = min(now + 0.25 + draw.exponential(1.5), DURATION_S - 0.1)
                onset, offset = (round(time, 3) + 0.0003 for time in (now, end))
                rows.append((clip, tag, onset, offset))
                late, long = draw.normal(scale=0.1, size=2)
                logits[clip, (middle > onset + late) & (middle < offset + late + long), tag] += draw.uniform(2, 7)
                if draw.random() < 0.6:
                    break
                now = end + draw.exponential(2.0) + 0.1
    clip, tag, onset_s, offset_s = (np.array(column) for column in zip(*rows, strict=True))
    return EventTable(clip, tag, onset_s, offset_s), (1 / (1 + np.exp(-logits))).astype(np.float32)


def decided_events(scores: npt.NDArray[np.float32], threshold: float = THRESHOLD) -> EventTable:
    """The runs of frames that score a threshold or more, in the same order."""
    edges = frame_edges_s()
    on = np.zeros((len(scores), NUM_TAGS, NUM_FRAMES + 2), np.int8)
    on[:, :, 1:-1] = (scores >= threshold).transpose(0, 2, 1)
    change = np.diff(on, axis=2)
    clip, tag, first = np.nonzero(change == 1)
    _, _, end = np.nonzero(change == -1)
    return EventTable(clip, tag, edges[first], edges[end])
