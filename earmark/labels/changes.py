"""What one layer of labels makes of another: tags of clips, events, and the time that events take.

Labels with a value of at least .5 count, as they do wherever labels are counted.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from earmark.data.layer_diff import CHANGES, LEFT, differing
from earmark.data.statements import COUNTED, IntArray, Statements, events_of, joined, pairs
from earmark.metrics.events import microseconds

KINDS = (*CHANGES, LEFT)
"""What became of something: added, removed, changed, left."""


@dataclass(frozen=True, eq=False)
class TagChanges:
    """The tags that clips have before or after, by clip and tag.

    Attributes:
        clip_index, tag_index: (clip's tag,).
        kind: place in `KINDS`; changed is what a clip has before and after with other times or another value,
            (clip's tag,).
    """

    clip_index: IntArray
    tag_index: IntArray
    kind: IntArray

    def by_tag(self, num_tags: int) -> dict[str, IntArray]:
        """The number of clips with each tag by what became of it, (tag,) each."""
        return {
            name: np.bincount(self.tag_index[self.kind == place], minlength=num_tags)
            for place, name in enumerate(KINDS)
        }


def tag_pairs(statements: Statements, num_tags: int) -> IntArray:
    """The tags that clips have, ascending, each as the number of `earmark.data.statements.pairs`."""
    return np.unique(pairs(statements.at(statements.value >= COUNTED), num_tags))


def tag_changes(before: Statements, after: Statements, num_tags: int) -> TagChanges:
    """What becomes of the tags of clips.

    Args:
        before, after: in force, in the order of `in_force`.
    """
    had, has = tag_pairs(before, num_tags), tag_pairs(after, num_tags)
    either = np.union1d(had, has)
    differs = np.isin(either, pairs(differing(before, after, num_tags).said, num_tags))
    kind = np.where(~np.isin(either, had), 0, np.where(~np.isin(either, has), 1, np.where(differs, 2, 3)))
    return TagChanges(*np.divmod(either, num_tags), kind)


def cut_to_clips(events: Statements, length_s: npt.NDArray[np.float64]) -> Statements:
    """The part of events that lies in their clips.

    Args:
        length_s: of every clip, NaN where that is not known, (clip,).
    """
    own_s = length_s[events.clip_index]
    begun = ~(events.onset >= own_s)
    return replace(events, offset=np.fmin(events.offset, own_s)).at(begun)


def event_changes(before: Statements, after: Statements, num_tags: int) -> dict[str, IntArray]:
    """The number of events by tag and by what became of them, (tag,) each.

    An event whose onset or offset moves is one removed and one added; changed is one with another value.
    """
    earlier, later = events_of(before), events_of(after)
    return differing(earlier, later, num_tags).by_tag(earlier, num_tags)


def time_changes(before: Statements, after: Statements, num_tags: int) -> dict[str, IntArray]:
    """The time that events take before and after: added, removed and left, microseconds, (tag,) each.

    Args:
        before, after: events, cut to their clips.
    """
    removed = beyond_us(before, after, num_tags)
    return {
        "added": beyond_us(after, before, num_tags),
        "removed": removed,
        LEFT: taken_us(before, num_tags) - removed,
    }


def beyond_us(events: Statements, others: Statements, num_tags: int) -> IntArray:
    """The time in which events of each tag sound and no other of that tag does, microseconds (tag,)."""
    return taken_us(joined([events, others]), num_tags) - taken_us(others, num_tags)


def taken_us(events: Statements, num_tags: int) -> IntArray:
    """The time in which events of each tag sound, microseconds (tag,); where events of a clip overlap, it counts once.

    >>> rows = (np.array([0, 0]), np.array([1, 1]), np.array([0.0, 1.0]), np.array([2.0, 3.5]), np.ones(2))
    >>> taken_us(Statements(*rows), num_tags=2)
    array([      0, 3500000])
    """
    onset, offset = microseconds(events.onset), microseconds(events.offset)
    # Tags of clips played one after another on one clock: what went before has ended when the next begins.
    begins = pairs(events, num_tags) * int(offset.max(initial=0))
    order = np.argsort(begins + onset, kind="stable")
    onset, offset = (begins + onset)[order], (begins + offset)[order]
    reached = np.maximum.accumulate(np.append(0, offset))[:-1]
    new = np.maximum(offset - np.maximum(onset, reached), 0)
    time = np.zeros(num_tags, np.int64)
    np.add.at(time, events.tag_index[order], new)
    return time
