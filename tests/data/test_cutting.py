import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.cutting import cut_clips, end_events
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, TableFile, checked_clips, checked_labels, columns_or_null
from earmark.errors import InputError, counted


def clip_table(*rows):
    """Clips from (clip, duration) or (clip, duration, onset, offset)."""
    wide = [(*row, None, None)[:4] for row in rows]
    columns = {
        "clip": [row[0] for row in wide],
        "path": [f"{row[0]}.wav" for row in wide],
        "group": [f"of {row[0]}" for row in wide],
        "labelled": ["strong"] * len(wide),
        "duration_s": [row[1] for row in wide],
        "onset": [row[2] for row in wide],
        "offset": [row[3] for row in wide],
    }
    arrays = {name: pa.array(values, CLIP_SCHEMA.field(name).type) for name, values in columns.items()}
    return columns_or_null(len(wide), CLIP_SCHEMA, **arrays)


def label_table(*rows):
    """Labels from (clip, tag) or (clip, tag, onset, offset)."""
    wide = [(*row, None, None)[:4] for row in rows]
    arrays = {
        name: pa.array([row[place] for row in wide], LABEL_SCHEMA.field(name).type)
        for place, name in enumerate(("clip", "tag", "onset", "offset"))
    }
    ones = pa.array(np.ones(len(wide), np.float32))
    return columns_or_null(len(wide), LABEL_SCHEMA, **arrays, value=ones, source=pa.repeat("given", len(wide)))


def clip_rows(table):
    return [tuple(row[name] for name in ("clip", "onset", "offset")) for row in table.to_pylist()]


def label_rows(table):
    return [tuple(row[name] for name in ("clip", "tag", "onset", "offset")) for row in table.to_pylist()]


def test_a_long_clip_becomes_stretches_with_the_events_in_them():
    clips = clip_table(("short", 4.0), ("long", 23.0))
    labels = label_table(
        ("short", "Dog", 1.0, 2.0), ("long", "Dog", 1.0, 2.5), ("long", "Dog", 8.0, 12.25), ("long", "Rain", 20.0, 23.0)
    )
    cut = cut_clips(clips, labels, 10)
    assert clip_rows(cut.clips) == [
        ("short", None, None),
        ("long_0", 0.0, 10.0),
        ("long_10000", 10.0, 20.0),
        ("long_20000", 20.0, 23.0),
    ]
    assert cut.clips["group"].to_pylist() == ["of short", *["of long"] * 3]
    assert cut.clips["path"].to_pylist() == ["short.wav", *["long.wav"] * 3]
    assert cut.clips["duration_s"].to_pylist() == [4.0, 23.0, 23.0, 23.0]
    assert label_rows(cut.labels) == [
        ("short", "Dog", 1.0, 2.0),
        ("long_0", "Dog", 1.0, 2.5),
        ("long_0", "Dog", 8.0, 10.0),
        ("long_10000", "Dog", 0.0, 2.25),
        ("long_20000", "Rain", 0.0, 3.0),
    ]
    assert cut.notes == ("cut: 1 of 2 clips into 3 of 10 s", "events crossing an edge: 1 cut")
    assert cut.clips.schema == CLIP_SCHEMA
    assert cut.labels.schema == LABEL_SCHEMA


@pytest.mark.parametrize(
    ("duration_s", "edges"),
    [
        (10.0, []),
        (10.499999, []),
        (10.5, [(0, 10), (10, 10.5)]),
        (20.0, [(0, 10), (10, 20)]),
        (20.49, [(0, 10), (10, 20.49)]),
        (20.5, [(0, 10), (10, 20), (20, 20.5)]),
    ],
)
def test_an_end_under_half_a_second_joins_the_clip_before(duration_s, edges):
    cut = cut_clips(clip_table(("a", duration_s)), label_table(), 10)
    names = [(f"a_{1000 * onset}", onset, offset) for onset, offset in edges]
    assert clip_rows(cut.clips) == (names or [("a", None, None)])


def test_with_overlap_an_event_stands_in_every_clip_that_it_lies_in():
    cut = cut_clips(clip_table(("a", 9.0)), label_table(("a", "Dog", 3.0, 4.5)), 4, 2)
    assert clip_rows(cut.clips) == [("a_0", 0, 4), ("a_2000", 2, 6), ("a_4000", 4, 8), ("a_6000", 6, 9)]
    assert label_rows(cut.labels) == [
        ("a_0", "Dog", 3.0, 4.0),
        ("a_2000", "Dog", 1.0, 2.5),
        ("a_4000", "Dog", 0.0, 0.5),
    ]
    assert cut.notes == ("cut: 1 of 1 clip into 4 of 4 s every 2 s", "events crossing an edge: 1 cut")


def test_an_end_that_overlap_covers_already_is_no_clip_again():
    assert clip_rows(cut_clips(clip_table(("a", 8.0)), label_table(), 4, 2).clips)[-1] == ("a_4000", 4, 8)
    assert clip_rows(cut_clips(clip_table(("a", 8.4)), label_table(), 4, 2).clips)[-1] == ("a_4000", 4, 8.4)
    assert clip_rows(cut_clips(clip_table(("a", 8.5)), label_table(), 4, 2).clips)[-1] == ("a_6000", 6, 8.5)


def test_events_in_gaps_are_left_out_and_counted():
    labels = label_table(
        ("a", "Cat", 4.0, 5.0), ("a", "Dog", 2.5, 4.5), ("a", "Rain", 1.5, 6.0), ("a", "Rain", 11.9, 12.3)
    )
    cut = cut_clips(clip_table(("a", 12.3)), labels, 2, 5)
    assert clip_rows(cut.clips) == [("a_0", 0, 2), ("a_5000", 5, 7), ("a_10000", 10, 12)]
    assert label_rows(cut.labels) == [
        ("a_0", "Rain", 1.5, 2.0),
        ("a_5000", "Rain", 0.0, 1.0),
        ("a_10000", "Rain", 1.9, 2.0),
    ]
    assert cut.notes[1:] == ("events crossing an edge: 2 cut", "left out: 2 events in no clip")
    assert clip_rows(cut_clips(clip_table(("a", 10.4)), label_table(), 2, 5).clips)[-1] == ("a_5000", 5, 7)
    assert clip_rows(cut_clips(clip_table(("a", 10.5)), label_table(), 2, 5).clips)[-1] == ("a_10000", 10, 10.5)


def test_a_stretch_keeps_its_place_in_the_recording():
    clips = clip_table(("b", 100.0, 30.1, 36.1), ("c", 33.0, 30.0, 40.0), ("d", 100.0, 5.0, 8.0))
    cut = cut_clips(clips, label_table(("b", "Dog", 3.5, 4.5), ("d", "Dog", 1.0, 2.0)), 4)
    assert clip_rows(cut.clips) == [("b_30100", 30.1, 34.1), ("b_34100", 34.1, 36.1), ("c", 30, 40), ("d", 5, 8)]
    assert label_rows(cut.labels) == [
        ("b_30100", "Dog", 3.5, 4.0),
        ("b_34100", "Dog", 0.0, 0.5),
        ("d", "Dog", 1.0, 2.0),
    ]


def test_weak_labels_are_repeated_counted_and_called_a_guess():
    labels = label_table(("a", "Dog"), ("a", "Rain"), ("b", "Dog"))
    cut = cut_clips(clip_table(("a", 3.0), ("b", 1.0)), labels, 1)
    assert label_rows(cut.labels) == [
        *((f"a_{onset}", tag, None, None) for onset in (0, 1000, 2000) for tag in ("Dog", "Rain")),
        ("b", "Dog", None, None),
    ]
    assert cut.notes[1:] == (
        "weak labels of clips that are cut: 2, repeated on every part (6 in all); which parts hold the tag is a guess",
    )


def test_a_name_that_is_taken_is_changed():
    clips = clip_table(("a", 2.0), ("a_0", 1.0), ("a_0-2", 1.0))
    cut = cut_clips(clips, label_table(("a", "Dog", 0.0, 1.0), ("a_0", "Rain", 0.0, 1.0)), 1)
    assert cut.clips["clip"].to_pylist() == ["a_0-3", "a_1000", "a_0", "a_0-2"]
    assert label_rows(cut.labels) == [("a_0-3", "Dog", 0, 1), ("a_0", "Rain", 0, 1)]
    assert cut.notes[-1] == '1 stretches would be called like another clip and have "-2" behind their names'


def test_labels_that_become_the_same_stand_once():
    labels = label_table(("a", "Dog", 0.5, 2.5), ("a", "Dog", 0.6, 2.5), ("a", "Rain", 0.5, 2.5))
    cut = cut_clips(clip_table(("a", 3.0)), labels, 1)
    assert [row for row in label_rows(cut.labels) if row[0] == "a_1000"] == [
        ("a_1000", "Dog", 0, 1),
        ("a_1000", "Rain", 0, 1),
    ]
    assert cut.notes[-1] == "left out: 2 labels, the same as another one that ends with the clip"


def test_nothing_to_cut_changes_nothing_and_says_so():
    clips, labels = clip_table(("a", 1.0), ("b", None)), label_table(("a", "Dog", 0.1234567, 0.5))
    cut = cut_clips(clips, labels, 10)
    assert cut.clips.equals(clips)
    assert cut.labels.equals(labels)
    assert cut.notes == ("cut: none; no clip is longer than 10 s by half a second",)


def test_what_stays_stays_bit_for_bit_and_a_clip_of_unknown_length_stays():
    clips, labels = clip_table(("a", 2.0), ("b", None)), label_table(("b", "Dog", 0.12345678, 1e4))
    cut = cut_clips(clips, labels, 1)
    assert label_rows(cut.labels) == label_rows(labels)
    assert clip_rows(cut.clips)[-1] == ("b", None, None)


def test_a_thousand_hops_land_where_they_should():
    cut = cut_clips(clip_table(("a", 360.0)), label_table(("a", "Dog", 300.1, 300.4)), 0.3)
    assert cut.clips.num_rows == 1200
    assert clip_rows(cut.clips)[1000] == ("a_300000", 300.0, 300.3)
    assert label_rows(cut.labels) == [("a_300000", "Dog", 0.1, 0.3), ("a_300300", "Dog", 0.0, 0.1)]


@pytest.mark.parametrize(
    ("clip_s", "hop_s", "message"),
    [
        (0.05, None, r"clip_s must be at least 0\.1 s, got 0\.05"),
        (float("inf"), None, "clip_s must be at least"),
        (1.0, -1.0, "hop_s must be at least"),
        (float("nan"), None, "clip_s must be"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(clip_s, hop_s, message):
    with pytest.raises(InputError, match=message):
        cut_clips(clip_table(("a", 1.0)), label_table(), clip_s, hop_s)


def windows_of(length_us, clip_us, hop_us):
    """One after another: whole stretches, then what is left."""
    if length_us < clip_us + 500_000:
        return None
    found, start = [], 0
    while start + clip_us <= length_us:
        found.append([start, start + clip_us])
        start += hop_us
    covered = max(found[-1][1], start) if hop_us > clip_us else found[-1][1]
    if length_us - covered >= 500_000:
        found.append([start, length_us])
    elif hop_us <= clip_us:
        found[-1][1] = length_us
    return found


def cut_slowly(clips, labels, clip_us, hop_us):
    new_clips, new_labels, crossing, lost = [], [], 0, 0
    by_clip = {name: [row for row in labels if row[0] == name] for name, *_ in clips}
    for name, length_us, base_us in clips:
        windows = windows_of(length_us, clip_us, hop_us)
        if windows is None:
            new_clips.append(name)
            new_labels += [(name, tag, onset / 1e6, offset / 1e6) for _, tag, onset, offset in by_clip[name]]
            continue
        parts = {row: [] for row in by_clip[name]}
        for start, end in windows:
            new_name = f"{name}_{(base_us + start) // 1000}"
            new_clips.append((new_name, (base_us + start) / 1e6, (base_us + end) / 1e6))
            for row in by_clip[name]:
                onset, offset = max(row[2], start), min(row[3], end)
                if onset < offset:
                    parts[row].append((onset, offset))
                    new_labels.append((new_name, row[1], (onset - start) / 1e6, (offset - start) / 1e6))
        crossing += sum(any(part != row[2:] for part in parts[row]) for row in parts)
        lost += sum(not parts[row] for row in parts)
    return new_clips, list(dict.fromkeys(new_labels)), crossing, lost


@st.composite
def sources(draw):
    tenth = 100_000
    clips, labels = [], {}
    for number in range(draw(st.integers(1, 3))):
        length = draw(st.integers(1, 120)) * tenth + draw(st.integers(0, 3))
        clips.append((f"c{number}", length, draw(st.sampled_from([None, 0, 7 * tenth]))))
        for _ in range(draw(st.integers(0, 5))):
            onset = draw(st.integers(0, length - 1))
            offset = draw(st.integers(onset + 1, length))
            labels[f"c{number}", draw(st.sampled_from(["Dog", "Rain"])), onset, offset] = None
    lengths = st.integers(1, 40).map(lambda count: count * tenth)
    return clips, sorted(labels), draw(lengths), draw(st.one_of(st.none(), lengths))


@settings(max_examples=80)
@given(sources())
def test_a_cut_is_what_a_plain_loop_makes(source):
    clips, labels, clip_us, hop_us = source
    rows = []
    for name, length, base in clips:
        stretch = (None, None) if base is None else (base / 1e6, (base + length) / 1e6)
        rows.append((name, (length + (base or 0)) / 1e6, *stretch))
    table = label_table(*((clip, tag, onset / 1e6, offset / 1e6) for clip, tag, onset, offset in labels))
    cut = cut_clips(clip_table(*rows), table, clip_us / 1e6, None if hop_us is None else hop_us / 1e6)
    slow_clips, slow_labels, crossing, lost = cut_slowly(
        [(name, length, base or 0) for name, length, base in clips], labels, clip_us, hop_us or clip_us
    )
    is_cut = [row[0] not in {name for name, *_ in clips} for row in clip_rows(cut.clips)]
    assert [row if new else row[0] for row, new in zip(clip_rows(cut.clips), is_cut, strict=True)] == slow_clips
    assert sorted(label_rows(cut.labels)) == sorted(slow_labels)
    notes = " ".join(cut.notes)
    assert (f"crossing an edge: {crossing} cut" in notes) or crossing == 0
    assert (f"left out: {counted(lost, 'event')} in no clip" in notes) == (lost > 0)
    checked_clips(TableFile("clips", cut.clips, has_lines=False))
    checked_labels(TableFile("labels", cut.labels, has_lines=False), cut.clips, None)


def test_events_end_with_their_clip():
    clips = clip_table(("a", 5.0), ("b", 20.0, 10.0, 12.0), ("c", 11.0, 10.0, 12.0), ("d", None))
    labels = label_table(
        ("a", "Dog", 1.0, 5.0),
        ("a", "Dog", 4.0, 5.04),
        ("a", "Rain", 4.0, 6.5),
        ("a", "Rain", 5.0, 6.5),
        ("a", "Rain"),
        ("b", "Dog", 1.5, 3.0),
        ("b", "Dog", 7.0, 8.0),
        ("c", "Dog", 0.5, 2.0),
        ("d", "Dog", 1e3, 1e4),
    )
    ended, notes = end_events(clips, labels)
    assert label_rows(ended) == [
        ("a", "Dog", 1.0, 5.0),
        ("a", "Dog", 4.0, 5.0),
        ("a", "Rain", 4.0, 5.0),
        ("a", "Rain", None, None),
        ("b", "Dog", 1.5, 2.0),
        ("c", "Dog", 0.5, 1.0),
        ("d", "Dog", 1e3, 1e4),
    ]
    assert notes == [
        'left out: 2 events at or after the end of the clip (first: "Rain" at 5.00 s in "a", which lasts 5.00 s)',
        'cut to the clip: 3 events with an end more than 0.05 s after it (first: "Rain" at 6.50 s in "a", '
        "which lasts 5.00 s)",
    ]
    assert ended.schema == LABEL_SCHEMA


def test_a_clip_past_the_end_of_its_recording_lasts_nothing():
    ended, notes = end_events(clip_table(("a", 10.0, 10.05, 12.0)), label_table(("a", "Dog", 0.0, 1.0)))
    assert ended.num_rows == 0
    assert notes == [
        'left out: 1 event at or after the end of the clip (first: "Dog" at 0.00 s in "a", which lasts 0.00 s)'
    ]


def test_events_within_their_clips_are_left_alone_and_equals_stand_once():
    clips = clip_table(("a", 5.0))
    labels = label_table(("a", "Dog", 1.0, 5.0), ("a", "Rain"))
    assert end_events(clips, labels) == (labels, [])
    ended, notes = end_events(clips, label_table(("a", "Dog", 1.0, 6.0), ("a", "Dog", 1.0, 7.0)))
    assert label_rows(ended) == [("a", "Dog", 1.0, 5.0)]
    assert notes[-1] == "left out: 1 label, the same as another one that ends with the clip"
