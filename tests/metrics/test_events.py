import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.metrics.events import check_same_clips, events_from_arrays, events_from_rows

DURATIONS = {"a1b2": 10.0, "c3d4": 4.5}
TAGS = ("Cat", "Dog")


def rows_of(events):
    columns = (events.clip, events.tag, events.onset_us, events.offset_us)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_events_are_sorted_by_tag_clip_and_onset():
    rows = [("c3d4", "Dog", 1.0, 2.0), ("a1b2", "Dog", 5.0, 6.5), ("a1b2", "Dog", 0.25, 1.0), ("c3d4", "Cat", 0, 4.5)]
    events = events_from_rows(rows, duration_s=DURATIONS, tags=TAGS)
    assert rows_of(events) == [
        (1, 0, 0, 4_500_000),
        (0, 1, 250_000, 1_000_000),
        (0, 1, 5_000_000, 6_500_000),
        (1, 1, 1_000_000, 2_000_000),
    ]
    assert (len(events), events.num_clips, events.num_tags, events.num_merged) == (4, 2, 2, 0)
    assert events.counts().tolist() == [[0, 2], [1, 1]]
    # One clock: the second clip starts where the first one ends.
    assert events.intervals(1).onset_us.tolist() == [250_000, 5_000_000, 11_000_000]


def test_overlapping_events_of_one_tag_become_one_and_touching_ones_stay_two():
    rows = [
        ("a1b2", "Dog", 1, 5), ("a1b2", "Dog", 2, 3), ("a1b2", "Dog", 4, 6),  # within, and across the end
        ("a1b2", "Dog", 6, 7), ("a1b2", "Cat", 5, 8), ("c3d4", "Dog", 1, 2), ("c3d4", "Dog", 1, 2),
    ]  # fmt: skip
    events = events_from_rows(rows, duration_s=DURATIONS, tags=TAGS)
    seconds = [(clip, tag, on / 1e6, off / 1e6) for clip, tag, on, off in rows_of(events)]
    assert seconds == [(0, 0, 5, 8), (0, 1, 1, 6), (0, 1, 6, 7), (1, 1, 1, 2)]
    assert events.num_merged == 3


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 20), st.integers(1, 8)), max_size=12))
def test_merging_keeps_the_time_that_is_covered(rows):
    columns = np.array(rows, dtype=int).reshape(-1, 4).T
    clip, tag, onset, length = columns
    events = events_from_arrays(clip, tag, onset / 4, (onset + length) / 4, duration_s=[7, 7], num_tags=2)
    assert len(events) + events.num_merged == len(rows)
    given_time = {(c, t, at) for c, t, on, many in rows for at in range(on, on + many)}
    merged = [(c, t, at) for c, t, on, off in rows_of(events) for at in range(on // 250_000, off // 250_000)]
    assert sorted(merged) == sorted(given_time)  # each once: none overlap
    again = events_from_arrays(
        events.clip, events.tag, events.onset_us / 1e6, events.offset_us / 1e6, duration_s=[7, 7], num_tags=2
    )
    assert rows_of(again) == rows_of(events)


def test_an_end_within_a_millisecond_behind_the_clip_is_cut_to_it():
    events = events_from_arrays([0], [0], [1.0], [2.001], duration_s=[2.0], num_tags=1)
    assert events.offset_us.tolist() == [2_000_000]


def test_no_events_and_no_clips():
    none = events_from_arrays([], [], [], [], duration_s=[3.0], num_tags=2)
    assert (len(none), none.counts().tolist()) == (0, [[0, 0]])
    assert len(none.intervals(1).clip) == 0
    nothing = events_from_rows([], duration_s={}, tags=[])
    assert (len(nothing), nothing.num_clips, nothing.counts().shape) == (0, 0, (0, 0))


def one_row(onset, offset, clip="a1b2", tag="Dog"):
    good = ("c3d4", "Cat", 1.0, 2.0)
    return lambda: events_from_rows([good, (clip, tag, onset, offset)], duration_s=DURATIONS, tags=TAGS)


def from_arrays(**changed):
    arguments = {"clip": [0, 0], "tag": [0, 1], "onset_s": [0.5, 3.2], "offset_s": [1.0, 4.0], "duration_s": [10.0]}
    return lambda: events_from_arrays(**{**arguments, "num_tags": 2, **changed})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            one_row(3.2, 3.2),
            'offset must be after onset, got onset 3.2, offset 3.2 at event 1 (clip "a1b2", tag "Dog")',
        ),
        (one_row(-0.1, 1), 'onset must be 0 or later, got -0.1 at event 1 (clip "a1b2", tag "Dog")'),
        (
            one_row(1, np.inf),
            'times must be finite, got onset 1.0, offset inf at event 1 (clip "a1b2", tag "Dog")',
        ),
        (
            one_row(1, 10.5),
            'events must lie in their clip, got onset 1.0, offset 10.5 in 10.0 s at event 1 (clip "a1b2", tag "Dog")',
        ),
        (
            one_row(10.0, 10.0005),
            'events must lie in their clip, got onset 10.0, offset 10.0005 in 10.0 s at event 1 (clip "a1b2", '
            'tag "Dog")',
        ),
        (one_row(1, 2, tag="dog"), 'unknown tag "dog" at event 1; did you mean "Dog"?'),
        (one_row(1, 2, clip="a1b"), 'unknown clip "a1b" at event 1; did you mean "a1b2"?'),
        (
            from_arrays(offset_s=[0.5, 3.0]),
            "offset must be after onset, got onset 0.5, offset 0.5 at event 0 (clip 0, tag 0) (2 such events)",
        ),
        (from_arrays(tag=[0, 2]), "tag must be 0 or more and below 2, got 2 at event 1"),
        (from_arrays(clip=[-1, 0]), "clip must be 0 or more and below 1, got -1 at event 0"),
        (from_arrays(clip=[0.0, 0.0]), "clip must be whole numbers, places in its list, got dtype float64"),
        (
            from_arrays(onset_s=[0.5]),
            "clip, tag, onset_s and offset_s must be arrays of one length, got onset_s of shape (1,)",
        ),
        (from_arrays(duration_s=[0.0]), "a clip's duration must be finite and positive, got 0.0 s at clip 0"),
        (from_arrays(duration_s=10.0), "duration_s must be an array (clip,), got shape ()"),
    ],
)
def test_refuses_by_name(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message


def test_refuses_other_clips_or_tags():
    reference = events_from_rows([], duration_s=DURATIONS, tags=TAGS)
    check_same_clips(reference, reference.duration_us, 2, "scores")
    with pytest.raises(InputError) as caught:
        check_same_clips(reference, reference.duration_us[:1], 2, "scores")
    assert str(caught.value) == (
        "reference and scores must be of the same clips in one order, got 2 and 1 clips, of 14.5 s and 10.0 s"
    )
    with pytest.raises(InputError, match="reference and scores must have the same tags, got 2 and 3"):
        check_same_clips(reference, reference.duration_us, 3, "scores")
