"""What one set of labels makes of another, against loops over clips, tags and milliseconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.statements import WEAK, Statements, events_of, in_force
from earmark.labels.changes import (
    KINDS,
    beyond_us,
    cut_to_clips,
    event_changes,
    tag_changes,
    taken_us,
    time_changes,
)

NUM_CLIPS, NUM_TAGS = 3, 2
STEPS = 6
"""Times are whole steps of a quarter of a second, so that a loop over steps is exact."""

TIMES = st.one_of(
    st.just((WEAK, WEAK)),
    st.tuples(st.integers(0, STEPS - 1), st.integers(1, STEPS)).filter(lambda times: times[0] < times[1]),
)
SAID = st.dictionaries(
    st.tuples(st.integers(0, NUM_CLIPS - 1), st.integers(0, NUM_TAGS - 1), TIMES),
    st.sampled_from([0.25, 0.5, 1.0]),
    max_size=14,
)
PAIRS = [(clip, tag) for clip in range(NUM_CLIPS) for tag in range(NUM_TAGS)]


def statements(said) -> Statements:
    """Statements in force, of {(clip, tag, (onset, offset) in steps): value}."""
    rows = [(clip, tag, *times, value) for (clip, tag, times), value in said.items()]
    clip, tag, onset, offset, value = np.array(rows, np.float64).reshape(-1, 5).T
    onset, offset = (np.where(times == WEAK, WEAK, times / 4) for times in (onset, offset))
    some = Statements(clip.astype(np.int64), tag.astype(np.int32), onset, offset, value.astype(np.float32))
    return in_force([some], NUM_TAGS)


def of_pair(said, clip, tag):
    return {times: value for (its_clip, its_tag, times), value in said.items() if (its_clip, its_tag) == (clip, tag)}


def steps_of(said, clip, tag) -> set[int]:
    """The steps in which a tag's events sound."""
    events = [times for times, value in of_pair(said, clip, tag).items() if times[0] != WEAK and value >= 0.5]
    return {step for onset, offset in events for step in range(onset, offset)}


def plain_kind(before, after, clip, tag) -> str | None:
    had, has = of_pair(before, clip, tag), of_pair(after, clip, tag)
    was, is_there = (any(value >= 0.5 for value in one.values()) for one in (had, has))
    if was and is_there:
        return "left" if had == has else "changed"
    return "removed" if was else "added" if is_there else None


@given(SAID, SAID)
def test_tags_of_clips_against_a_loop(before, after):
    found = tag_changes(statements(before), statements(after), NUM_TAGS)
    said = {
        (clip, tag): KINDS[kind] for clip, tag, kind in zip(found.clip_index, found.tag_index, found.kind, strict=True)
    }
    assert said == {pair: kind for pair in PAIRS if (kind := plain_kind(before, after, *pair))}
    for kind, counts in found.by_tag(NUM_TAGS).items():
        assert counts.tolist() == [
            [said.get((c, tag)) for c in range(NUM_CLIPS)].count(kind) for tag in range(NUM_TAGS)
        ]


@given(SAID, SAID)
def test_events_against_a_loop(before, after):
    found = event_changes(statements(before), statements(after), NUM_TAGS)
    events = [
        {key: value for key, value in one.items() if key[2][0] != WEAK and value >= 0.5} for one in (before, after)
    ]
    for tag in range(NUM_TAGS):
        had, has = ({key: value for key, value in one.items() if key[1] == tag} for one in events)
        both = had.keys() & has.keys()
        assert found["added"][tag] == len(has.keys() - had.keys())
        assert found["removed"][tag] == len(had.keys() - has.keys())
        assert found["changed"][tag] == sum(had[key] != has[key] for key in both)
        assert found["left"][tag] == sum(had[key] == has[key] for key in both)


@given(SAID, SAID)
def test_time_against_a_loop_over_steps(before, after):
    one, other = (events_of(statements(said)) for said in (before, after))
    found = time_changes(one, other, NUM_TAGS)
    for tag in range(NUM_TAGS):
        had, has = ({(clip, step) for clip in range(NUM_CLIPS) for step in steps_of(said, clip, tag)}
                    for said in (before, after))  # fmt: skip
        assert {kind: time[tag] / 250_000 for kind, time in found.items()} == {
            "added": len(has - had), "removed": len(had - has), "left": len(had & has),
        }  # fmt: skip
        assert taken_us(one, NUM_TAGS)[tag] == 250_000 * len(had)
        assert beyond_us(one, other, NUM_TAGS)[tag] == found["removed"][tag]


def test_events_end_with_their_clips():
    rows = np.array([[0, 0, 0.5, 2.25], [0, 0, 2.0, 3.0], [1, 1, 4.0, 9.0], [0, 1, 1.0, 1.5]])
    events = Statements(
        rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int32), rows[:, 2], rows[:, 3], np.ones(4, np.float32)
    )
    # The first clip lasts 2 s, nobody knows how long the second does.
    cut = cut_to_clips(events, np.array([2.0, np.nan]))
    assert (cut.onset.tolist(), cut.offset.tolist()) == ([0.5, 4.0, 1.0], [2.0, 9.0, 1.5])
    assert taken_us(cut, 2).tolist() == [1_500_000, 5_500_000]


@pytest.mark.parametrize("what", [events_of, lambda none: cut_to_clips(none, np.zeros(0))])
def test_of_nothing_there_is_nothing(what):
    nothing = what(statements({}))
    assert taken_us(nothing, NUM_TAGS).tolist() == [0, 0]
    assert not len(tag_changes(nothing, nothing, NUM_TAGS).kind)
