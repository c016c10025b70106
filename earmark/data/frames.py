"""Events and frames: labels with times as values on a grid of score frames, and decisions on it as events.

Both ways share the grid of `earmark.timing`, so frames become events and the same frames again, also when a table has
kept the events' times in whole milliseconds (hops over 2 ms).
"""

import numpy as np
import numpy.typing as npt

from earmark.data.statements import WEAK, BoolArray, FloatArray, Statements
from earmark.timing import frames_covering, frames_of_events

IntArray = npt.NDArray[np.int64]
SecondsArray = npt.NDArray[np.float64]


def framewise(statements: Statements, *, num_tags: int, num_samples: int, hop_samples: int, rate_hz: int) -> FloatArray:
    """The greatest value of the events in each frame, 0 where there is none, float32 (frame, tag).

    Args:
        statements: of one clip. Weak ones say nothing of when and are left out.
        num_samples: length of the clip.
        hop_samples: length of a frame.
        rate_hz: of both.
    """
    values = np.zeros((frames_covering(num_samples, hop_samples, rate_hz), num_tags), np.float32)
    strong = np.flatnonzero(statements.onset != WEAK)
    first, end = frames_of_events(
        statements.onset[strong], statements.offset[strong], num_samples, hop_samples, rate_hz
    )
    count = np.maximum(end - first, 0)
    frame = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    which = np.repeat(strong, count)
    np.maximum.at(values, (frame, statements.tag_index[which]), statements.value[which])
    return values


def events_from_frames(
    decisions: BoolArray, *, num_samples: int, hop_samples: int, rate_hz: int
) -> tuple[IntArray, SecondsArray, SecondsArray]:
    """The runs of true frames of every tag: tag, onset and offset in seconds, by tag and onset.

    Args:
        decisions: bool (frame, tag), with the frames of a clip of `num_samples`.

    >>> events_from_frames(np.array([[True], [True], [False]]), num_samples=900, hop_samples=320, rate_hz=16000)
    (array([0]), array([0.]), array([0.04]))
    """
    num_frames = frames_covering(num_samples, hop_samples, rate_hz)
    if len(decisions) != num_frames:
        raise ValueError(f"{num_samples} samples have {num_frames} frames of {hop_samples}, got {len(decisions)}")
    tag, first, end = runs_of_frames(decisions)
    offset = np.where(end == num_frames, num_samples, end * hop_samples) / rate_hz
    return tag, first * hop_samples / rate_hz, offset


def runs_of_frames(decisions: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """The runs of true frames of every tag: tag, first frame and the one after the last, by tag and frame.

    >>> runs_of_frames(np.array([[True], [True], [False]]))
    (array([0]), array([0]), array([2]))
    """
    padded = np.zeros((decisions.shape[1], len(decisions) + 2), np.bool_)
    padded[:, 1:-1] = decisions.T
    # Runs begin and end where neighbours differ, in turn.
    tag, edge = np.nonzero(padded[:, 1:] != padded[:, :-1])
    return tag[::2], edge[::2], edge[1::2]
