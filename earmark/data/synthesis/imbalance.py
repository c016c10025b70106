"""A long tail: clips are dropped until the counts of the tags fall exponentially."""

from dataclasses import dataclass

import numpy as np

from earmark.data.statements import BoolArray, IntArray
from earmark.data.synthesis.draws import FloatArray, rank_within
from earmark.data.synthesis.planting import Labels

# Gains that differ by less are the same but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class LongTail:
    """What is dropped, and how near the counts come.

    Attributes:
        dropped: (clip,).
        asked, reached: clips of every tag among those that could be dropped, (tag,).
    """

    dropped: BoolArray
    asked: IntArray
    reached: IntArray


def long_tail(
    labels: Labels, droppable: BoolArray, ratio: float, of_clips: FloatArray, of_tags: FloatArray
) -> LongTail:
    """The clips to drop so that the most frequent tag has `ratio` times the clips of the rarest, as near as can be.

    The counts asked for fall by the same factor from tag to tag, in the order of `of_tags`, and are as great as they
    can be while none is above what there is. Clips of one tag reach them exactly. A clip of several tags is dropped if
    that brings the counts nearer: the distance is the sum over tags of the deviation as a share of the count asked for,
    and in the end no single clip's drop would lessen it. Clips without tags stay.

    Args:
        droppable: the clips that count and may be dropped, (clip,).
        of_clips, of_tags: a number for every clip and every tag; of clips that help as much the least goes first.
    """
    rows = np.flatnonzero(droppable[labels.clip_index])
    clip, tag = labels.clip_index[rows], labels.tag_index[rows]
    asked = _asked(np.bincount(tag, minlength=labels.num_tags), ratio, of_tags)
    dropped = np.zeros(len(droppable), np.bool_)
    while True:
        more = _next_dropped(clip, tag, asked, of_clips)
        if not more.any():
            return LongTail(dropped, asked, np.bincount(tag, minlength=labels.num_tags))
        dropped |= more
        stays = ~more[clip]
        clip, tag = clip[stays], tag[stays]


def _asked(counts: IntArray, ratio: float, of_tags: FloatArray) -> IntArray:
    """The counts asked for, (tag,); 0 for a tag that no clip has."""
    asked = np.zeros(len(counts), np.int64)
    present = np.flatnonzero(counts)
    order = present[np.argsort(of_tags[present], kind="stable")]
    share = ratio ** -np.linspace(0, 1, len(order))
    most = np.min(counts[order] / share, initial=np.inf)
    # Rounded first, so that a count that is a half but for the last bit is one.
    asked[order] = np.maximum(1, np.floor(np.round(most * share, 6) + 0.5)) if len(order) else 0
    return asked


def _next_dropped(clip: IntArray, tag: IntArray, asked: IntArray, of_clips: FloatArray) -> BoolArray:
    """Clips that can all be dropped at once, each bringing the counts nearer, (clip,); none when no clip does.

    At most so many clips of a tag as it has too many, so that none that is dropped spoils another's gain. The best clip
    that may be dropped is always among them.
    """
    num_clips = len(of_clips)
    counts = np.bincount(tag, minlength=len(asked))
    too_many = counts - asked
    spare = np.where(too_many > 0, too_many, counts - np.min(asked, where=asked > 0, initial=counts.max(initial=0)))
    gain = np.bincount(clip, np.where(too_many[tag] > 0, 1, -1) / asked[tag], minlength=num_clips)
    helps = gain > _ROUNDING
    helps[clip[spare[tag] == 0]] = False
    place = np.empty(num_clips, np.int64)
    place[np.lexsort((of_clips, -gain))] = np.arange(num_clips)
    counted = np.flatnonzero(helps[clip])
    late = rank_within(tag[counted], place[clip[counted]]) >= spare[tag[counted]]
    helps[clip[counted[late]]] = False
    return helps
