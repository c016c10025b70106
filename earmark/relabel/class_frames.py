"""Class-frame pseudo labels: a model's frames become labels of weakly labelled clips where it agrees with their tags.

Source: NEC's report on DCASE 2019 task 4, section 3.2 and 3.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.dataset import ClipLabels, Dataset, write_layer
from earmark.data.frames import events_from_frames
from earmark.data.statements import COUNTED, WEAK
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.scores.framewise import ScoredFrames

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

SOURCE = "class_frame"
OUTCOMES = ("accepted", "lacks a tag", "has another tag", "lacks one and has another")
"""What becomes of a clip; those not accepted by what its frames are, beside its tags."""

ACCEPTED = 0
_HIGHEST, _LOWEST = 0.75, 0.25


def round_threshold(number: int, delta: float) -> float:
    """The score from which a frame has a tag in a round of relabelling, counted from 0: max(3/4 - delta i, 1/4).

    Source: eq. 5, where min is printed for max: it would be 1/4 always.

    >>> [round_threshold(i, 1 / 16) for i in (0, 1, 8, 9)]
    [0.75, 0.6875, 0.25, 0.25]
    """
    return max(_HIGHEST - delta * number, _LOWEST)


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """What one round makes of the weakly labelled clips.

    Attributes:
        threshold: theta.
        clip_index: row of each clip in the clip table, (clip,).
        outcome: place in `OUTCOMES`, (clip,).
        frames: frames with each tag in accepted clips, (tag,).
        event_clip: row of each event's clip, (event,).
        event_tag: (event,).
        onset, offset: seconds in the clip, (event,).
    """

    threshold: float
    clip_index: IntArray
    outcome: IntArray
    frames: IntArray
    event_clip: IntArray
    event_tag: IntArray
    onset: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]

    @property
    def accepted(self) -> IntArray:
        """The rows of the clips that were accepted."""
        rows: IntArray = self.clip_index[self.outcome == ACCEPTED]
        return rows

    def changes(self, tags: tuple[str, ...], frame_s: float) -> dict[str, Any]:
        """Counts, as a layer keeps them."""
        counts = np.bincount(self.outcome, minlength=len(OUTCOMES))
        return {
            "threshold": self.threshold,
            "clips": len(self.clip_index),
            **{name: int(count) for name, count in zip(OUTCOMES, counts, strict=True)},
            "events": len(self.event_clip),
            "frame_s": frame_s,
            "frames_by_tag": {tag: int(count) for tag, count in zip(tags, self.frames, strict=True)},
        }


def pseudo_labels(scored: ScoredFrames, labels: ClipLabels, threshold: float) -> PseudoLabels:
    """The frames that score the threshold or more, of those clips whose frames then have exactly their tags.

    Frames are taken as they are, without a median filter; frames past a clip's end are none. Tags that the data set
    did not annotate play no part. (The report compares the clip's scores with its tags. With its own head, the largest
    over time, that is the same; with others, frames may have other tags than the clip, and these are what is learned.)

    Args:
        scored: of weakly labelled clips.
        labels: with their tags.
    """
    decided = (scored.scores >= threshold) & (labels.tag_weight > 0)
    firsts = np.cumsum(scored.num_frames) - scored.num_frames
    found = np.logical_or.reduceat(decided, firsts) if len(firsts) else np.zeros((0, decided.shape[1]), np.bool_)
    given = (labels.rows(scored.clip_index) >= COUNTED) & (labels.tag_weight > 0)
    lacks, has_another = (given & ~found).any(axis=1), (found & ~given).any(axis=1)
    outcome = np.asarray(lacks + 2 * has_another, np.int64)
    accepted = np.flatnonzero(outcome == ACCEPTED)
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))]
    frames = np.zeros(decided.shape[1], np.int64)
    for place in accepted:
        own = decided[firsts[place] : firsts[place] + scored.num_frames[place]]
        frames += own.sum(axis=0)
        tag, onset, offset = events_from_frames(
            own, num_samples=int(scored.num_samples[place]), hop_samples=scored.hop_samples, rate_hz=scored.rate_hz
        )
        parts.append((np.full(len(tag), scored.clip_index[place]), tag, onset, offset))
    clip, tag, onset, offset = (np.concatenate(column) for column in zip(*parts, strict=True))
    return PseudoLabels(threshold, scored.clip_index, outcome, frames, clip, tag, onset, offset)


def write_round_layer(
    dataset: Dataset,
    name: str,
    found: PseudoLabels,
    *,
    parent: str,
    written_by: str,
    frame_s: float,
    about: Mapping[str, Any],
) -> None:
    """Writes a round's pseudo labels as a label layer, with their counts.

    They take the place of times that the parent gives to the clips that are accepted.

    Args:
        parent: the layer that the clips' tags are from.
        frame_s: length of a score frame.
        about: kept beside the counts.

    Raises:
        InputError: the name is taken.
    """
    tags, before = dataset.vocabulary, dataset.statements(parent)
    stale = before.at((before.onset != WEAK) & np.isin(before.clip_index, found.accepted))
    new = set(zip(found.event_clip, found.event_tag, found.onset, found.offset, strict=True))
    old = zip(stale.clip_index, stale.tag_index, stale.onset, stale.offset, strict=True)
    stale = stale.at(np.array([event not in new for event in old], np.bool_))
    count = len(found.event_clip) + len(stale)
    table = columns_or_null(
        count,
        LABEL_SCHEMA,
        clip=dataset.clips["clip"].take(pa.array(np.append(found.event_clip, stale.clip_index))),
        tag=tags.array().take(pa.array(np.append(found.event_tag, stale.tag_index))),
        onset=pa.array(np.append(found.onset, stale.onset)),
        offset=pa.array(np.append(found.offset, stale.offset)),
        value=pa.array((np.arange(count) < len(found.event_clip)).astype(np.float32)),
        source=pa.repeat(SOURCE, count),
    )
    told = {**about, **found.changes(tags.tags, frame_s)}
    write_layer(dataset, name, table, parent, written_by, changes=told)
