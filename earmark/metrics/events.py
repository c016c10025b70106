"""What event metrics take and give: events of clips; counts by clip and tag; precision, recall and F1.

Inside, times are whole microseconds. What is equal in decimals is equal then, and a deviation of exactly a collar lies
within it; sed_eval compares floats, where 1.1 - 0.9 is more than 0.2. All clips of an evaluation stand one after
another on one clock, so that a tag's events in all of them are one sorted list of intervals.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError, did_you_mean
from earmark.metrics.tagging import Floats

Ints = npt.NDArray[np.int64]
US_PER_S = 1_000_000
_END_TOLERANCE_US = 1000


class Intervals(NamedTuple):
    """A tag's events in all clips on the clock of `Events.clock_us`, none overlapping, by onset; each is (event,)."""

    clip: Ints
    onset_us: Ints
    offset_us: Ints


@dataclass(frozen=True, eq=False)
class Events:
    """Events of some clips, by tag, clip and onset; of one clip and tag no two overlap.

    Attributes:
        clip, tag: places in the lists of clips and tags, int64 (event,).
        onset_us, offset_us: microseconds from the clip's start, half open, int64 (event,).
        duration_us: of every clip, those without events too, int64 (clip,).
        num_tags: length of the vocabulary.
        num_merged: how many of the events given were merged into another one.
    """

    clip: Ints
    tag: Ints
    onset_us: Ints
    offset_us: Ints
    duration_us: Ints
    num_tags: int
    num_merged: int = 0

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def num_clips(self) -> int:
        """How many clips there are, with and without events."""
        return len(self.duration_us)

    @property
    def clock_us(self) -> Ints:
        """When each clip starts if they are played one after another, int64 (clip,)."""
        return starts(self.duration_us)

    def intervals(self, tag: int) -> Intervals:
        """A tag's events in all clips."""
        first, end = np.searchsorted(self.tag, [tag, tag + 1])
        clip = self.clip[first:end]
        clock_us = self.clock_us[clip]
        return Intervals(clip, clock_us + self.onset_us[first:end], clock_us + self.offset_us[first:end])

    def counts(self) -> Ints:
        """How many events each clip has of each tag, int64 (clip, tag)."""
        cells = np.bincount(self.clip * self.num_tags + self.tag, minlength=self.num_clips * self.num_tags)
        return cells.reshape(self.num_clips, self.num_tags).astype(np.int64)


def starts(lengths: Ints) -> Ints:
    """Where each of some lengths begins when they follow one another, (length,)."""
    return np.cumsum(lengths) - lengths


def microseconds(seconds: npt.ArrayLike) -> Ints:
    """The nearest whole microseconds."""
    return np.rint(np.asarray(seconds, np.float64) * US_PER_S).astype(np.int64)


def durations_us(duration_s: npt.ArrayLike) -> Ints:
    """Durations of clips as microseconds, checked, (clip,).

    Raises:
        InputError: they are not one array of finite, positive numbers.
    """
    duration = np.asarray(duration_s, np.float64)
    if duration.ndim != 1:
        raise InputError(f"duration_s must be an array (clip,), got shape {duration.shape}")
    bad = ~(np.isfinite(duration) & (duration * US_PER_S >= 1))
    if bad.any():
        clip = int(bad.argmax())
        raise InputError(f"a clip's duration must be finite and positive, got {duration[clip]} s at clip {clip}")
    return microseconds(duration)


def events_from_arrays(
    clip: npt.ArrayLike,
    tag: npt.ArrayLike,
    onset_s: npt.ArrayLike,
    offset_s: npt.ArrayLike,
    *,
    duration_s: npt.ArrayLike,
    num_tags: int,
) -> Events:
    """Checked and sorted events, with those of one clip and tag that overlap merged into one.

    That one lasts from the first onset to the last offset; events that only touch stay two. So a sound counts once
    however often it was annotated. (sed_eval counts each row; psds_eval refuses overlaps, sed_scores_eval those that
    touch too.) An end up to 1 ms after its clip's, which rounding gives, is cut to it.

    Args:
        clip, tag: places in the lists of clips and tags, whole numbers (event,).
        onset_s, offset_s: seconds from the clip's start, (event,).
        duration_s: of every clip, those without events too, seconds (clip,).
        num_tags: length of the vocabulary.

    Raises:
        InputError: lengths differ; a duration is not positive; a clip or tag is not in its list; a time is not finite,
            an onset is negative, an offset not after its onset or after the clip's end.

    >>> events = events_from_arrays([0, 0, 1], [2, 2, 0], [0, 0.5, 1], [1, 2, 3], duration_s=[10, 10], num_tags=3)
    >>> events.onset_us, events.offset_us, events.num_merged
    (array([1000000,       0]), array([3000000, 2000000]), 1)
    """
    arrays = {"clip": np.asarray(clip), "tag": np.asarray(tag)}
    arrays |= {"onset_s": np.asarray(onset_s, np.float64), "offset_s": np.asarray(offset_s, np.float64)}
    for name, values in arrays.items():
        if values.ndim != 1 or len(values) != len(arrays["clip"]):
            raise InputError(
                f"clip, tag, onset_s and offset_s must be arrays of one length, got {name} of shape {values.shape}"
            )
    duration = durations_us(duration_s)
    clips, tags = _places(arrays["clip"], "clip", len(duration)), _places(arrays["tag"], "tag", num_tags)
    times = (arrays["onset_s"], arrays["offset_s"], duration)
    return _checked(clips, tags, *times, num_tags, lambda row: f"clip {clips[row]}, tag {tags[row]}")


def _places(values: npt.NDArray[Any], name: str, length: int) -> Ints:
    """Places in a list of some length, checked."""
    if values.dtype.kind not in "iu" and values.size:
        raise InputError(f"{name} must be whole numbers, places in its list, got dtype {values.dtype}")
    places = values.astype(np.int64)
    _refuse(
        (places < 0) | (places >= length), lambda row: f"{name} must be 0 or more and below {length}, got {places[row]}"
    )
    return places


def events_from_rows(
    rows: Iterable[tuple[str, str, float, float]], *, duration_s: Mapping[str, float], tags: Sequence[str]
) -> Events:
    """`events_from_arrays` of rows (clip, tag, onset, offset) that name clips and tags; its messages name them too.

    Args:
        rows: seconds from the clip's start.
        duration_s: seconds by clip, of those without events too; gives the order of the clips.
        tags: the vocabulary in its order.

    Raises:
        InputError: an unknown clip or tag, and what `events_from_arrays` refuses.

    >>> events_from_rows([("a", "Dog", 0.5, 2)], duration_s={"a": 10.0, "b": 10.0}, tags=["Cat", "Dog"]).counts()
    array([[0, 1],
           [0, 0]])
    """
    table = list(rows)
    clip = _places_of([row[0] for row in table], "clip", duration_s)
    tag = _places_of([row[1] for row in table], "tag", tags)
    onset, offset = np.array([row[2:] for row in table], np.float64).reshape(-1, 2).T
    duration = durations_us(list(duration_s.values()))
    return _checked(
        clip, tag, onset, offset, duration, len(tags), lambda row: f'clip "{table[row][0]}", tag "{table[row][1]}"'
    )


def _places_of(names: Sequence[str], kind: str, known: Iterable[str]) -> Ints:
    """The places of names in a list."""
    place_of = {name: place for place, name in enumerate(known)}
    for number, name in enumerate(names):
        if name not in place_of:
            raise InputError(f'unknown {kind} "{name}" at event {number}{did_you_mean(name, place_of)}')
    return np.array([place_of[name] for name in names], np.int64)


def _checked(
    clip: Ints,
    tag: Ints,
    onset_s: Floats,
    offset_s: Floats,
    duration_us: Ints,
    num_tags: int,
    called: Callable[[int], str],
) -> Events:
    """The events in their order and merged, their clips and tags being known."""
    finite = np.isfinite(onset_s) & np.isfinite(offset_s)
    _refuse(~finite, lambda row: f"times must be finite, got onset {onset_s[row]}, offset {offset_s[row]}", called)
    _refuse(onset_s < 0, lambda row: f"onset must be 0 or later, got {onset_s[row]}", called)
    onset, offset = microseconds(onset_s), microseconds(offset_s)
    _refuse(
        offset <= onset,
        lambda row: f"offset must be after onset, got onset {onset_s[row]}, offset {offset_s[row]}",
        called,
    )
    end = duration_us[clip]
    _refuse(
        (onset >= end) | (offset > end + _END_TOLERANCE_US),
        lambda row: (
            f"events must lie in their clip, got onset {onset_s[row]}, offset {offset_s[row]} "
            f"in {end[row] / US_PER_S} s"
        ),
        called,
    )
    return _merged(clip, tag, onset, np.minimum(offset, end), duration_us, num_tags)


def _refuse(
    bad: npt.NDArray[np.bool_], message: Callable[[int], str], called: Callable[[int], str] | None = None
) -> None:
    if bad.any():
        row, count = int(bad.argmax()), int(np.count_nonzero(bad))
        more = f" ({count} such events)" if count > 1 else ""
        raise InputError(f"{message(row)} at event {row}{f' ({called(row)})' if called else ''}{more}")


def _merged(clip: Ints, tag: Ints, onset: Ints, offset: Ints, duration: Ints, num_tags: int) -> Events:
    order = np.lexsort((onset, clip, tag))
    clip, tag, onset, offset = clip[order], tag[order], onset[order], offset[order]
    # Played one after another, tag by tag: whatever went before has ended when a clip begins.
    begins = tag * int(duration.sum()) + starts(duration)[clip]
    ended = np.maximum.accumulate(begins + offset)
    first = np.flatnonzero(np.append(np.ones(min(1, len(order)), np.bool_), (begins + onset)[1:] >= ended[:-1]))
    last_offset = np.maximum.reduceat(offset, first) if len(first) else offset
    return Events(
        clip[first], tag[first], onset[first], last_offset, duration, num_tags, num_merged=len(order) - len(first)
    )


def check_same_clips(reference: Events, duration_us: Ints, num_tags: int, what: str) -> None:
    """Raises InputError unless something has the reference's clips and tags.

    Args:
        what: the other thing, in the plural.
    """
    if not np.array_equal(reference.duration_us, duration_us):
        raise InputError(
            f"reference and {what} must be of the same clips in one order, got {reference.num_clips} and "
            f"{len(duration_us)} clips, of {reference.duration_us.sum() / US_PER_S} s and "
            f"{duration_us.sum() / US_PER_S} s"
        )
    if reference.num_tags != num_tags:
        raise InputError(f"reference and {what} must have the same tags, got {reference.num_tags} and {num_tags}")
