"""Events that cannot be as they stand, or overlap: named, cut or taken as one, wherever they come in."""

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from earmark.data.dataset import open_dataset
from earmark.data.frames import framewise
from earmark.data.importing import import_dataset
from earmark.data.statements import statements_from
from earmark.data.tables import CLIP_SCHEMA, columns_or_null, read_labels
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.events.reference import reference_events
from earmark.scores.framewise import ScoredFrames

RATE_HZ = 8000
# Of a clip of 5 s: a good one; backwards; over the end, by more and by less than 0.05 s; beyond the end; twice; one
# that overlaps it, one that only touches that one; and one of a tag that a list of tags may lack.
ROWS = [
    ("Dog", 0.5, 1.0),
    ("Dog", 2.0, 1.0),
    ("Dog", 3.0, 9.0),
    ("Cat", 4.5, 5.04),
    ("Dog", 6.0, 7.0),
    ("Cat", 1.0, 2.0),
    ("Cat", 1.0, 2.0),
    ("Cat", 1.5, 3.0),
    ("Cat", 3.0, 3.5),
    ("Dgo", 1.0, 2.0),
]
KEPT = [
    ("Cat", 1.0, 2.0),
    ("Cat", 1.5, 3.0),
    ("Cat", 3.0, 3.5),
    ("Cat", 4.5, 5.0),
    ("Dog", 0.5, 1.0),
    ("Dog", 3.0, 5.0),
]
LATE = 'left out: 1 event at or after the end of the clip (first: "Dog" at 6.00 s in "{clip}", which lasts 5.00 s)'
LONG = (
    'cut to the clip: 1 event with an end more than 0.05 s after it (first: "Dog" at 9.00 s in "{clip}", which lasts '
    "5.00 s)"
)
OVERLAPPING = (
    'events that begin before another of their tag has ended: 1 (first: "Cat" at 1.50 s in "{clip}"); the table keeps '
    "each, frames and metrics take them as one"
)


def five_seconds(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 5 * RATE_HZ), RATE_HZ)


def events_of(dataset):
    said = dataset.statements()
    tags = [dataset.vocabulary.tags[tag] for tag in said.tag_index]
    return sorted(zip(tags, said.onset.tolist(), said.offset.tolist(), strict=True))


def test_desed_names_what_it_leaves_out_and_every_tag_of_a_table_is_one(tmp_path):
    source = tmp_path / "source"
    five_seconds(source / "a.wav")
    table = "filename\tonset\toffset\tevent_label\n" + "".join(f"a.wav\t{on}\t{off}\t{tag}\n" for tag, on, off in ROWS)
    (source / "real.tsv").write_text(table)
    summary = import_dataset(source, tmp_path / "set")
    # There is no list of tags: a misspelt one is a tag of its own, and stands in the counts.
    assert events_of(open_dataset(tmp_path / "set")) == sorted([*KEPT, ("Dgo", 1.0, 2.0)])
    assert summary.tags == {"Cat": 1, "Dgo": 1, "Dog": 1}
    assert summary.notes[2:] == (
        "left out: events whose offset is not after their onset: 1 (first: real.tsv:3)",
        LATE.format(clip="a"),
        LONG.format(clip="a"),
        OVERLAPPING.format(clip="a"),
    )


def test_audioset_strong_names_them_and_the_tags_that_its_class_list_lacks(tmp_path):
    source, clip = tmp_path / "source", "aaaaaaaaaaa_0"
    five_seconds(source / "eval" / "aaaaaaaaaaa.wav")
    mids = {"Dog": "/m/0bt9lr", "Cat": "/m/01yrx", "Dgo": "/m/zzz"}
    rows = "".join(f"{clip}\t{on}\t{off}\t{mids[tag]}\n" for tag, on, off in ROWS)
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    (source / "audioset_eval_strong.tsv").write_text(header + rows)
    (source / "class_labels_indices.csv").write_text("index,mid,display_name\n0,/m/01yrx,Cat\n1,/m/0bt9lr,Dog\n")
    summary = import_dataset(source, tmp_path / "set")
    assert events_of(open_dataset(tmp_path / "set")) == KEPT
    for note in (
        "left out: 1 label whose tags are not in the vocabulary (first: /m/zzz)",
        f"left out: 1 label without an end after the start (first: in clip {clip})",
        LATE.format(clip=clip),
        LONG.format(clip=clip),
        OVERLAPPING.format(clip=clip),
    ):
        assert note in summary.notes


def test_events_that_touch_or_are_of_other_tags_or_clips_do_not_overlap(tmp_path):
    source = tmp_path / "source"
    for name in ("a", "b"):
        five_seconds(source / f"{name}.wav")
    rows = ("a.wav\t1\t2\tDog", "a.wav\t2\t3\tDog", "a.wav\t1\t5\tCat", "b.wav\t0\t5\tDog")
    (source / "real.tsv").write_text("\n".join(("filename\tonset\toffset\tevent_label", *rows)) + "\n")
    assert not any("another of their tag" in note for note in import_dataset(source, tmp_path / "set").notes)


def test_a_list_with_times_is_sent_to_the_layout_that_keeps_them(tmp_path):
    (tmp_path / "list.csv").write_text("path,tags,onset,offset\na.wav,Dog,2,1\n")
    with pytest.raises(InputError, match="the layout csv has no times, found onset and offset; to keep them name"):
        import_dataset(tmp_path / "list.csv", tmp_path / "set")


VOCABULARY = Vocabulary(("Cat", "Dog"))
CLIPS = columns_or_null(
    2,
    CLIP_SCHEMA,
    clip=pa.array(["a", "b"]),
    path=pa.array(["a.wav", "a.wav"]),
    labelled=pa.array(["strong", "strong"]),
    onset=pa.array([None, 3.0], pa.float64()),
    offset=pa.array([None, 8.0], pa.float64()),
    duration_s=pa.array([5.0, 5.0]),
)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,Dog,2,1", 'offset must be after onset, got onset 2.00, offset 1.00 (clip "a", tag "Dog")'),
        ("a,Dgo,1,2", 'tag must be in the vocabulary of 2, got "Dgo"; did you mean "Dog"? (clip "a", tag "Dgo")'),
        ("a,Cat,1,2", 'a statement must stand once, got it again, first at line 2 (clip "a", tag "Cat")'),
        (
            "a,Dog,5.2,6",
            'onset must lie in the clip, which lasts 5.00 s, got 5.20 (clip "a", tag "Dog"); times count from the '
            "clip's onset",
        ),
        (
            # A stretch of a recording of 5 s, from 3 s on: as much as there is.
            "b,Dog,3.5,4",
            'onset must lie in the clip, which lasts 2.00 s, got 3.50 (clip "b", tag "Dog"); times count from the '
            "clip's onset",
        ),
    ],
)
def test_a_label_table_of_ones_own_is_refused_by_its_line(tmp_path, row, said):
    (tmp_path / "given.csv").write_text(f"clip,tag,onset,offset\na,Cat,1,2\n{row}\n")
    with pytest.raises(InputError) as caught:
        read_labels(tmp_path / "given.csv", CLIPS, VOCABULARY)
    assert str(caught.value) == f"{tmp_path}/given.csv:3: {said}"


def test_where_the_length_of_a_clip_is_not_known_its_events_may_be_anywhere(tmp_path):
    (tmp_path / "given.csv").write_text("clip,tag,onset,offset\na,Cat,100,200\nb,Dog,4.9,200\na,Dog,,\n")
    unknown = CLIPS.set_column(CLIPS.column_names.index("duration_s"), "duration_s", pa.nulls(2, pa.float64()))
    assert read_labels(tmp_path / "given.csv", unknown, VOCABULARY).num_rows == 3


def test_events_that_overlap_are_one_in_frames_and_in_metrics_and_end_with_the_clip(tmp_path):
    (tmp_path / "given.csv").write_text("clip,tag,onset,offset\na,Cat,1,2\na,Cat,1.5,3\na,Dog,4,9\na,Dog,5.05,6\n")
    table = read_labels(tmp_path / "given.csv", CLIPS, VOCABULARY)
    said = statements_from(table, CLIPS, VOCABULARY)
    grid = {"num_samples": 5 * RATE_HZ, "hop_samples": RATE_HZ // 2, "rate_hz": RATE_HZ}
    frames = framewise(said, num_tags=2, **grid)
    assert [np.flatnonzero(column).tolist() for column in frames.T] == [[2, 3, 4, 5], [8, 9]]
    scored = ScoredFrames(
        np.array([0]), np.array([5 * RATE_HZ]), np.array([10]), frames, hop_samples=RATE_HZ // 2, rate_hz=RATE_HZ
    )

    class Labelled:
        num_clips, vocabulary = 2, VOCABULARY

        def statements(self, layer):
            return said

    events = reference_events(Labelled(), "given", scored)
    assert (events.onset_us / 1e6).tolist() == [1.0, 4.0]
    assert (events.offset_us / 1e6).tolist() == [3.0, 5.0]
    assert events.num_merged == 1
