import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.exporting import export_dataset
from earmark.data.exporting.tracks import Pieces, joined
from tests.data.exporting.small_sets import RATE_HZ, dataset_of, files_of, sound

TAGS = ("Cat", "Dog", 'the "Who"', '"Who"')
HEADER = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"


def stretch(clip, path, onset, offset, **more):
    return {
        "clip": clip,
        "path": path,
        "onset": onset,
        "offset": offset,
        "duration_s": 3.0,
        "labelled": "strong",
    } | more


def track(folder, name):
    return [tuple(line.split("\t")) for line in (folder / f"{name}.txt").read_text().splitlines()]


@pytest.fixture
def dataset(tmp_path):
    clips = [
        {"clip": "site/a", "labelled": "strong"},
        {"clip": "-b", "labelled": "strong"},
        {"clip": "n", "labelled": "none"},
        {"clip": "w", "labelled": "weak", "path": "other.ogg.wav"},
    ]
    labels = [("site/a", "Dog", 0.5, 0.75), ("site/a", "Cat", 0.125, 1.0), ("w", "Dog"), ("n", "Cat")]
    return dataset_of(tmp_path, clips, labels, TAGS)


def test_label_tracks_to_the_byte(dataset, tmp_path):
    summary = export_dataset(dataset, "audacity", tmp_path / "out")
    assert files_of(tmp_path / "out") == ["-b.txt", "-b.wav", "n.wav", "site/a.txt", "site/a.wav", "w.txt", "w.wav"]
    assert (tmp_path / "out/site/a.txt").read_text() == "0.125000\t1.000000\tCat\n0.500000\t0.750000\tDog\n"
    assert (tmp_path / "out/-b.txt").read_text() == ""
    assert (tmp_path / "out/w.txt").read_text() == "0.000000\t1.000000\tDog\n"
    assert (summary.clips, summary.labels, summary.events, summary.tables, summary.files) == (4, 0, 3, 3, 4)
    assert summary.losses == (
        "that 1 clip is labelled weak: a recording with a table is labelled strong",
        "1 label of clips labelled none",
        "2 tags of the vocabulary that no clip has",
    )
    assert summary.notes == ("1 label without times, written as long as their clips",)


def test_selection_tables_to_the_byte(dataset, tmp_path):
    summary = export_dataset(dataset, "raven", tmp_path / "out")
    end = ".Table.1.selections.txt"
    assert files_of(tmp_path / "out") == sorted(
        ["-b.wav", "n.wav", "site/a.wav", "w.wav", f"-b{end}", f"site/a{end}", f"w{end}"]
    )
    assert (tmp_path / f"out/site/a{end}").read_text() == (
        f"{HEADER}1\tSpectrogram 1\t1\t0.125000\t1.000000\t0.0\t{RATE_HZ / 2}\tCat\n"
        f"2\tSpectrogram 1\t1\t0.500000\t0.750000\t0.0\t{RATE_HZ / 2}\tDog\n"
    )
    assert (tmp_path / f"out/-b{end}").read_text() == HEADER
    assert (summary.clips, summary.events, summary.tables, summary.files) == (4, 3, 3, 4)


def test_a_table_needs_a_recording_that_can_be_read(dataset, tmp_path):
    (tmp_path / "audio/site/a.wav").write_text("no audio")
    summary = export_dataset(dataset, "raven", tmp_path / "out", audio="none")
    assert summary.left_out == {"unreadable": 1}
    assert not (tmp_path / "out/site").exists()
    assert export_dataset(dataset, "audacity", tmp_path / "audacity", audio="none").left_out == {}


def test_quotes_that_a_table_would_take_for_its_own_are_left_away(tmp_path):
    labels = [("a", 'the "Who"', 0.0, 0.5), ("a", '"Who"', 0.5, 1.0)]
    dataset = dataset_of(tmp_path, [{"clip": "a", "labelled": "strong"}], labels, TAGS)
    summary = export_dataset(dataset, "raven", tmp_path / "raven")
    rows = (tmp_path / "raven/a.Table.1.selections.txt").read_text().splitlines()[1:]
    assert [row.split("\t")[-1] for row in rows] == ['the "Who"', 'Who"']
    assert 'the names of 1 tag as they are: ""Who"" is "Who""' in summary.losses
    export_dataset(dataset, "audacity", tmp_path / "audacity")
    assert [tag for _, _, tag in track(tmp_path / "audacity", "a")] == ['the "Who"', '"Who"']


def test_clips_are_put_back_together(tmp_path):
    clips = [
        stretch("r_0", "x/r.wav", 0.0, 1.0),
        stretch("r_1", "x/r.wav", 1.0, 2.0),
        stretch("r_2", "x/r.wav", 2.0, 3.0),
    ]
    labels = [
        *[("r_0", "Dog", 0.5, 1.0), ("r_1", "Dog", 0.0, 1.0), ("r_2", "Dog", 0.0, 0.25)],
        *[("r_0", "Cat", 0.25, 0.75), ("r_1", "Cat", 0.0, 0.125), ("r_2", "Cat", 0.5, 0.75)],
    ]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "audacity", tmp_path / "out")
    assert files_of(tmp_path / "out") == ["x/r.txt", "x/r.wav"]
    assert track(tmp_path / "out", "x/r") == [
        ("0.250000", "0.750000", "Cat"),
        ("0.500000", "2.250000", "Dog"),
        ("1.000000", "1.125000", "Cat"),
        ("2.500000", "2.750000", "Cat"),
    ]
    assert summary.notes == (
        "3 clips are put together to the 1 recording that they were cut from",
        "6 events of clips are 4 of recordings: pieces at the edges of clips are joined",
    )


def test_of_clips_that_overlap_what_both_have_stands_once(tmp_path):
    clips = [stretch("r_0", "r.wav", 0.0, 2.0), stretch("r_1", "r.wav", 1.0, 3.0)]
    labels = [
        *[("r_0", "Dog", 1.25, 1.5), ("r_1", "Dog", 0.25, 0.5)],
        *[("r_0", "Cat", 0.5, 2.0), ("r_1", "Cat", 0.0, 1.5)],
    ]
    export_dataset(dataset_of(tmp_path, clips, labels), "audacity", tmp_path / "out")
    assert track(tmp_path / "out", "r") == [("0.500000", "2.500000", "Cat"), ("1.250000", "1.500000", "Dog")]


def test_labels_without_times_are_not_joined_and_give_way_to_events(tmp_path):
    clips = [stretch(f"r_{place}", "r.wav", place, place + 1.0, labelled="weak") for place in range(3)]
    labels = [("r_0", "Dog"), ("r_1", "Dog"), ("r_2", "Dog"), ("r_2", "Dog", 0.5, 0.75)]
    export_dataset(dataset_of(tmp_path, clips, labels), "audacity", tmp_path / "out")
    assert track(tmp_path / "out", "r") == [
        ("0.000000", "1.000000", "Dog"),
        ("1.000000", "2.000000", "Dog"),
        ("2.500000", "2.750000", "Dog"),
    ]


def test_losses_of_recordings(tmp_path):
    clips = [
        stretch("r_0", "r.wav", 0.0, 1.0, group="g", split="train"),
        stretch("r_1", "r.wav", 1.0, 2.0, group="g", labelled="none"),
        stretch("q_1", "q.wav", 1.0, 2.0, group="g"),
        stretch("p_1", "p.wav", 1.0, 2.0, group="p"),
    ]
    summary = export_dataset(dataset_of(tmp_path, clips, tags=("Dog",)), "audacity", tmp_path / "out")
    assert summary.losses == (
        "that 1 clip is labelled none, of recordings with others: nothing seems to be heard there",
        "group of 3 clips: groups of several recordings",
        "split of 1 clip",
        "1 tag of the vocabulary that no clip has",
    )


def test_recordings_outside_the_audio_root_keep_their_last_name(tmp_path):
    sound(tmp_path / "far" / "r.wav", 3.0)
    clips = [stretch(f"r_{place}", str(tmp_path / "far" / "r.wav"), place, place + 1.0) for place in range(2)]
    export_dataset(dataset_of(tmp_path, clips), "audacity", tmp_path / "out")
    assert files_of(tmp_path / "out") == ["r.txt", "r.wav"]


def test_separate_events_of_clips_that_overlap_stay_separate(tmp_path):
    """Whole in a clip each, although a cut piece of one reaches into the other."""
    clips = [stretch("r_0", "r.wav", 0.0, 2.0), stretch("r_1", "r.wav", 1.0, 3.0)]
    labels = [
        *[("r_0", "Dog", 0.25, 1.5), ("r_0", "Dog", 1.375, 2.0)],
        *[("r_1", "Dog", 0.0, 0.5), ("r_1", "Dog", 0.375, 1.5)],
    ]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "audacity", tmp_path / "out")
    assert track(tmp_path / "out", "r") == [("0.250000", "1.500000", "Dog"), ("1.375000", "2.500000", "Dog")]
    assert not any("share time" in loss for loss in summary.losses)


def test_events_that_cannot_be_told_apart_are_counted(tmp_path):
    clips = [stretch("r_0", "r.wav", 0.0, 1.0), stretch("r_1", "r.wav", 1.0, 2.0)]
    labels = [("r_0", "Dog", 0.5, 1.0), ("r_1", "Dog", 0.0, 0.25), ("r_1", "Dog", 0.0, 0.75)]
    summary = export_dataset(dataset_of(tmp_path, clips, labels), "audacity", tmp_path / "out")
    assert track(tmp_path / "out", "r") == [("0.500000", "1.750000", "Dog")]
    assert summary.losses[0].startswith("events that were cut and share time with another of their tag: 1; nothing")


def test_a_clip_that_is_the_whole_recording_cuts_nothing(tmp_path):
    clips = [{"clip": "r", "labelled": "strong", "duration_s": 3.0}, stretch("r_1", "r.wav", 1.0, 2.0)]
    labels = [("r", "Dog", 0.0, 3.0), ("r", "Dog", 0.5, 1.5), ("r_1", "Dog", 0.0, 1.0), ("r_1", "Dog", 0.0, 0.5)]
    export_dataset(dataset_of(tmp_path, clips, labels), "audacity", tmp_path / "out")
    assert track(tmp_path / "out", "r") == [("0.000000", "3.000000", "Dog"), ("0.500000", "1.500000", "Dog")]


END = 30
edges = st.lists(st.integers(1, END - 1), min_size=0, max_size=6, unique=True).map(sorted)
whole = st.lists(st.tuples(st.integers(0, 1), st.integers(0, END - 1), st.integers(1, END)), max_size=8)
overlapping = st.tuples(st.integers(2, 12), st.integers(1, 12)).map(
    lambda cut: [(begin, min(begin + cut[0], END)) for begin in range(0, END, min(cut))]
)


def joined_again(clips, events):
    """Events cut to clips (begin, end) and joined: (tag, onset, offset), and how many could not be told apart."""
    second = 10**6
    rows = {
        (tag, clip, max(onset, begin), min(offset, end), onset <= begin, offset >= end)
        for clip, (begin, end) in enumerate(clips)
        for tag, onset, offset in events
        if onset < end and offset > begin
    }
    tag, clip, onset, offset, cut_onset, cut_offset = np.array(sorted(rows), np.int64).reshape(-1, 6).T
    times = (onset * second, offset * second)
    flags = (cut_onset.astype(bool), cut_offset.astype(bool), np.ones(len(tag), bool))
    result, num_hidden = joined(Pieces(np.zeros(len(tag), np.int64), tag, clip, *times, *flags))
    found = zip(result.tag_index.tolist(), result.onset_us / second, result.offset_us / second, strict=True)
    return sorted(found), num_hidden


def kept_apart(events):
    apart, last = [], {}
    for tag, onset, length in sorted(events, key=lambda event: event[1]):
        if onset > last.get(tag, -1) and onset + length <= END:
            apart.append((tag, onset, onset + length))
            last[tag] = onset + length
    return apart


@given(edges, whole)
def test_events_cut_at_edges_are_whole_again(cuts, events):
    """Cut at the edges of clips, then joined: the events that were, if those of a tag stay apart."""
    apart = kept_apart(events)
    assert joined_again(list(itertools.pairwise([0, *cuts, END])), apart) == (sorted(apart), 0)


@given(overlapping, whole)
def test_events_of_clips_that_overlap_are_whole_again(clips, events):
    apart = kept_apart(events)
    assert joined_again(clips, apart) == (sorted(apart), 0)


@given(overlapping, whole)
def test_events_whole_in_some_clip_survive_as_they_are(clips, events):
    """However many others of their tag share time with them."""
    said = {(tag, onset, onset + length) for tag, onset, length in events if onset + length <= END}
    safe = {event for event in said if any(begin < event[1] and event[2] < end for begin, end in clips)}
    assert safe <= set(joined_again(clips, said)[0])
