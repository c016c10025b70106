"""Figures of label layers: a small data set whose every number is counted by hand."""

import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import open_dataset, write_dataset, write_layer
from earmark.data.layers import parent_of
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.labels.compared import compare_layers
from earmark.labels.examples import CLIPS_A_KIND, drawn_places, examples
from earmark.labels.figures import MOST_BARS, change_figures, clip_figures
from earmark.labels.truth_figures import truth_figures
from earmark.reports.figures_page import Section, write_figures_page
from tests.relabel.scenes import write_scenes


def label_table(*rows):
    """Rows of clip, tag, onset, offset, value."""
    clip, tag, onset, offset, value = zip(*rows, strict=True)
    return columns_or_null(
        len(rows), LABEL_SCHEMA, clip=pa.array(clip), tag=pa.array(tag), onset=pa.array(onset, pa.float64()),
        offset=pa.array(offset, pa.float64()), value=pa.array(value, pa.float32()), source=pa.repeat("x", len(rows)),
    )  # fmt: skip


def write_one_clip(folder, tags, labelled):
    """A data set of a clip without a recording, which has the first tag."""
    clips = columns_or_null(1, CLIP_SCHEMA, clip=pa.array(["a"]), path=pa.array(["a.wav"]), group=pa.array(["a"]),
                            labelled=pa.array([labelled]))  # fmt: skip
    labels = label_table(("a", tags[0], None, None, 1.0))
    return write_dataset(folder, name="set", clips=clips, labels=labels, vocabulary=Vocabulary(tags), audio_root=folder)


# Beside tests.relabel.scenes.LABELS: an event goes, one is cut short, a weak tag gets an event, two clips get a tag.
FIRST = [
    ("dogs", "Bark", 0.5, 1.0, 0.0),
    ("dogs", "Tick", 1.5, 2.5, 0.0),
    ("dogs", "Tick", 1.75, 2.25, 1.0),
    ("hall", "Hum", 0.0, 1.0, 1.0),
    ("yard", "Bark", None, None, 1.0),
    ("unheard", "Tick", None, None, 1.0),
]
TRUTH = [
    ("dogs", "Tick", 1.5, 2.5, 0.0),
    ("dogs", "Tick", 1.5, 2.25, 1.0),
    ("hall", "Hum", None, None, 0.0),
    ("hall", "Hum", 0.5, 2.0, 1.0),
    ("yard", "Bark", 0.0, 1.0, 1.0),
    ("yard", "Tick", 1.0, 2.0, 1.0),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Without truth."""
    made = write_scenes(tmp_path_factory.mktemp("alone"))
    write_layer(made, "first", label_table(*FIRST))
    return open_dataset(made.folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    made = write_scenes(tmp_path_factory.mktemp("scenes"))
    write_layer(made, "first", label_table(*FIRST))
    write_layer(made, "truth", label_table(*TRUTH), role="truth")
    return open_dataset(made.folder)


@pytest.fixture(scope="module")
def compared(dataset):
    return compare_layers(dataset, "given", "first")


def test_changes_in_total(compared):
    table = change_figures(compared)["changes"]
    assert table.columns == ["What", "Before", "Added", "Removed", "Changed", "Left", "After"]
    assert table.rows == [
        ["Labels", 4, 4, 2, 0, 2, 6],
        ["Tags of clips", 3, 2, 1, 2, 0, 4],
        ["Events", 2, 2, 2, 0, 0, 2],
        ["Seconds with events", 1.5, 1.0, 1.0, None, 0.5, 1.5],
    ]
    assert "given → first, 4 clips of scenes, 3 tags" in table.caption
    assert "2 added, 1 removed, 2 changed, 0 left" in table.alt


def test_changes_by_tag(compared):
    figures = change_figures(compared)
    assert figures["tags"].rows == [
        ["Bark", 1, 1, 1, 0, 0, 1], ["Tick", 1, 1, 0, 1, 0, 2], ["Hum", 1, 0, 0, 1, 0, 1],
    ]  # fmt: skip
    assert figures["events"].rows == [
        ["Tick", 1, 1, 1, 0, 0, 1], ["Bark", 1, 0, 1, 0, 0, 0], ["Hum", 0, 1, 0, 0, 0, 1],
    ]  # fmt: skip
    assert figures["event-times"].columns == ["Tag", "Before", "Added", "Removed", "Left", "After"]
    assert figures["event-times"].rows == [
        ["Hum", 0.0, 1.0, 0.0, 0.0, 1.0], ["Bark", 0.5, 0.0, 0.5, 0.0, 0.0], ["Tick", 1.0, 0.0, 0.5, 0.5, 0.5],
    ]  # fmt: skip
    chart = figures["changes-by-tag"]
    assert {series.label: dict(zip(series.x, series.y, strict=True)) for series in chart.series} == {
        "added": {"Bark": 1, "Tick": 1, "Hum": 0},
        "removed": {"Bark": 1, "Tick": 0, "Hum": 0},
        "changed": {"Bark": 0, "Tick": 1, "Hum": 1},
    }


def test_a_layer_beside_itself(dataset):
    figures = change_figures(compare_layers(dataset, "first", "first"))
    assert "changes-by-tag" not in figures
    assert figures["changes"].rows[1] == ["Tags of clips", 4, 0, 0, 0, 4, 4]
    assert not examples(compare_layers(dataset, "first", "first"), seed=0)


def test_how_right_tags_of_clips_are(compared):
    figures = truth_figures(compared)
    # The clip that nobody was asked about is in none of these.
    assert figures["quality"].rows == [
        ["given", 3, 3, 5, 1.0, 0.6],
        ["first", 3, 3, 5, 1.0, 0.6],
        ["added", 1, 1, None, 1.0, None],
        ["removed", 1, 0, None, 0.0, None],
    ]
    by_tag = figures["quality-by-tag"]
    assert by_tag.columns[1:4] == ["Clips in truth", "Precision, given", "Precision, first"]
    assert by_tag.rows == [
        ["Bark", 2, 1.0, 1.0, 0.5, 0.5], ["Tick", 2, 1.0, 1.0, 0.5, 0.5], ["Hum", 1, 1.0, 1.0, 1.0, 1.0],
    ]  # fmt: skip
    assert [sorted(zip(series.x, series.y, strict=True)) for series in figures["precision-recall"].series] == [
        [(0.5, 1), (0.5, 1), (1, 1)]
    ] * 2


def test_how_right_times_are(compared):
    figures = truth_figures(compared)
    assert figures["time-quality"].rows == [
        ["given", 1.5, 1.25, 4.75, 1.25 / 1.5, 1.25 / 4.75],
        ["first", 1.5, 1.0, 4.75, 1.0 / 1.5, 1.0 / 4.75],
        ["added", 1.0, 0.5, None, 0.5, None],
        ["removed", 1.0, 0.25, None, 0.25, None],
    ]
    rows = {row[0]: row[1:] for row in figures["time-quality-by-tag"].rows}
    assert rows["Bark"] == [1.5, 1.0, None, pytest.approx(1 / 3), 0.0]
    assert rows["Hum"] == [1.5, None, 0.5, 0.0, pytest.approx(1 / 3)]


def test_the_truth_is_not_held_against_itself(dataset):
    figures = truth_figures(compare_layers(dataset, "given", "truth"))
    assert [row[0] for row in figures["quality"].rows] == ["given"]
    assert not truth_figures(compare_layers(dataset, "truth", "truth"))


def test_without_times_in_the_labels_there_is_nothing_of_time(tmp_path):
    made = write_scenes(tmp_path)
    weak = [("dogs", tag, None, None, 0.0) for tag in ("Bark", "Tick")]
    write_layer(made, "weak", label_table(*weak, ("dogs", "Hum", None, None, 1.0)))
    write_layer(made, "other", label_table(("yard", "Bark", None, None, 1.0)), parent="weak")
    write_layer(made, "truth", label_table(*TRUTH), role="truth")
    compared = compare_layers(made, "weak", "other")
    assert not any(
        "time" in name or name == "events" for name in {**change_figures(compared), **truth_figures(compared)}
    )
    # Right in hall and yard, wrong in dogs.
    assert truth_figures(compared)["quality"].rows[1] == ["other", 3, 2, 5, 2 / 3, 0.4]


def test_tags_per_clip_and_coverage_of_the_truth(compared):
    figures = clip_figures(compared)
    assert figures["clips"].rows == [
        ["given", 1.0, pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(1 / 3)],
        ["first", 1.0, 0.0, pytest.approx(2 / 3), 0.0],
        ["truth", pytest.approx(5 / 3), 0.0, None, None],
    ]
    chart = figures["tags-per-clip"]
    assert [series.y for series in chart.series] == [pytest.approx(y) for y in
                                                     ([1 / 3] * 3, [0, 1, 0], [0, 1 / 3, 2 / 3])]  # fmt: skip
    assert [series.reference for series in chart.series] == [False, False, True]
    assert "given 33.3%, first 0.0%, truth 0.0%" in chart.caption
    shares = figures["label-coverage"].series
    assert [series.y for series in shares] == [pytest.approx(y) for y in
                                               ([1 / 3, 0, 0, 0, 0, 2 / 3], [0, 0, 2 / 3, 0, 0, 1 / 3])]  # fmt: skip


def test_without_truth_coverage_is_of_the_tags_before(alone):
    compared = compare_layers(alone, "given", "first")
    assert not truth_figures(compared)
    figures = clip_figures(compared)
    # dogs keeps one of two, hall its one; yard had none.
    assert figures["clips"].rows[1] == ["first", 1.0, 0.0, 0.75, 0.0]
    assert figures["label-coverage"].title == "Coverage of the tags before"


def test_where_no_clip_is_labelled_there_is_nothing_by_clip(tmp_path):
    made = write_one_clip(tmp_path / "set", ("Dog",), labelled="none")
    compared = compare_layers(made, "given", "given")
    assert not clip_figures(compared)
    assert change_figures(compared)["tags"].rows == [["Dog", 1, 0, 0, 0, 1, 1]]


def test_examples_show_events_before_and_after(compared):
    found = {one.kind: one for one in examples(compared, seed=0)}
    assert list(found) == ["added", "removed", "changed"]
    assert {figure.clip for _, figure in found["added"].figures} == {"yard", "unheard"}
    (name, dogs), = found["removed"].figures  # fmt: skip
    assert (name, dogs.clip, dogs.title) == ("removed-1", "dogs", "Bark removed in dogs")
    assert [(event.tag, event.onset, event.offset) for event in dogs.reference] == [
        ("Bark", 0.5, 1),
        ("Tick", 1.5, 2.5),
    ]
    assert [(event.tag, event.onset, event.offset) for event in dogs.estimated] == [("Tick", 1.75, 2.25)]
    assert "Bark: 1 event → none. Changed: Tick. By layer truth: Bark, Tick." in dogs.caption
    assert dogs.audio is not None
    # A clip stands once: Tick in dogs changed, too.
    (_, hall), = found["changed"].figures  # fmt: skip
    assert hall.caption.startswith("Hum: without times → without times and 1 event. By layer truth: Hum.")
    assert "with the seed 0 from 2 tags of clips that were changed" in found["changed"].words


def test_a_clip_stands_where_its_kind_is_rarest(tmp_path):
    made = write_scenes(tmp_path)
    changes = [("dogs", "Tick", 1.5, 2.5, 0.0), ("dogs", "Hum", None, None, 1.0), ("yard", "Bark", None, None, 1.0)]
    write_layer(made, "first", label_table(*changes))
    added, removed = examples(compare_layers(made, "given", "first"), seed=0)
    assert [[figure.clip for _, figure in one.figures] for one in (added, removed)] == [["yard"], ["dogs"]]
    write_layer(made, "second", label_table(*changes[:2]))
    added, removed = examples(compare_layers(made, "given", "second"), seed=0)
    assert [len(added.figures), len(removed.figures)] == [1, 0]
    assert removed.lines == ["The clips with such a tag stand among those of the other kinds."]


def test_examples_are_drawn_by_the_seed_and_the_first_of_each_tag_come_first():
    tag = np.repeat([0, 1, 2], [50, 30, 2])
    places = np.flatnonzero(tag != 1)
    drawn = drawn_places(tag, places, seed=1)
    assert sorted(drawn.tolist()) == places.tolist()
    assert sorted(tag[drawn[:2]]) == sorted(tag[drawn[2:4]]) == [0, 2]
    assert set(tag[drawn[4:]]) == {0}
    assert drawn.tolist() == drawn_places(tag, places, seed=1).tolist() != drawn_places(tag, places, seed=2).tolist()


def test_a_recording_that_is_gone_is_named_and_counted(tmp_path):
    made = write_scenes(tmp_path)
    write_layer(made, "first", label_table(*[(clip, "Bark", None, None, 1.0) for clip in ("hall", "yard", "unheard")]))
    for name in ("hall", "yard"):
        (made.audio_root / f"{name}.wav").unlink()
    (found,) = examples(compare_layers(made, "given", "first"), seed=0)
    assert [figure.clip for _, figure in found.figures] == ["unheard"]
    assert "the clip cannot be shown" in found.lines[0]
    assert found.lines[1:] == ["and 1 other clip of those drawn"]
    assert found.words.startswith("1 clip, drawn")


def test_pages_stay_small(tmp_path, monkeypatch):
    made = write_scenes(tmp_path)
    many = [(clip, tag, None, None, 1.0) for clip in ("hall", "yard", "unheard") for tag in ("Bark", "Tick")]
    write_layer(made, "first", label_table(*many))
    compared = compare_layers(made, "given", "first")
    # Two clips of 2.5 s fit.
    monkeypatch.setattr("earmark.labels.examples.MOST_SOUND_S", 6.0)
    assert len(examples(compared, seed=0)[0].figures) == 2
    monkeypatch.setattr("earmark.labels.examples.CLIPS_A_KIND", 1)
    assert len(examples(compared, seed=0)[0].figures) == 1
    assert 3 * CLIPS_A_KIND <= 40


def test_a_value_below_a_half_is_said(tmp_path):
    made = write_scenes(tmp_path)
    write_layer(made, "first", label_table(("yard", "Hum", None, None, 0.25)))
    write_layer(made, "second", label_table(("yard", "Hum", None, None, 0.75)), parent="first")
    (found,) = examples(compare_layers(made, "first", "second"), seed=0)
    assert (
        "Hum: without times with a value of 0.25 → without times with a value of 0.75." in found.figures[0][1].caption
    )
    labels, tags = change_figures(compare_layers(made, "first", "second"))["changes"].rows[:2]
    assert labels[1:] == [5, 0, 0, 1, 4, 5]
    assert tags[1:] == [3, 1, 0, 0, 3, 4]


def test_the_chart_has_the_most_changed_tags_and_the_table_all(tmp_path):
    tags = tuple(f"tag {k:02d}" for k in range(MOST_BARS + 5))
    made = write_one_clip(tmp_path / "set", tags, labelled="weak")
    write_layer(made, "all", label_table(*[("a", tag, None, None, 1.0) for tag in tags[1:]]))
    figures = change_figures(compare_layers(made, "given", "all"))
    assert len(figures["changes-by-tag"].series[0].x) == MOST_BARS
    assert f"Shown are the 20 most changed of {len(tags) - 1} tags that changed" in figures["changes-by-tag"].caption
    assert len(figures["tags"].rows) == len(tags)


def test_many_clips_and_tags_make_a_page_that_opens(tmp_path):
    num_clips, tags = 20_000, tuple(f"tag number {k}" for k in range(527))
    rng, names = np.random.default_rng(0), np.array([f"clip-{k}" for k in range(num_clips)], object)

    def weak_table(pairs, value):
        clip, tag = np.divmod(pairs, len(tags))
        return columns_or_null(
            len(pairs), LABEL_SCHEMA, clip=pa.array(names[clip]), tag=pa.array(np.array(tags, object)[tag]),
            value=pa.array(np.full(len(pairs), value, np.float32)), source=pa.repeat("x", len(pairs)),
        )  # fmt: skip

    clips = columns_or_null(num_clips, CLIP_SCHEMA, clip=pa.array(names), path=pa.array(names), group=pa.array(names),
                            labelled=pa.repeat("weak", num_clips))  # fmt: skip
    given, added, wrong = np.split(rng.permutation(num_clips * len(tags))[:90_000], [60_000, 80_000])
    made = write_dataset(tmp_path / "set", name="set", clips=clips, labels=weak_table(np.append(given, wrong), 1),
                         vocabulary=Vocabulary(tags), audio_root=tmp_path)  # fmt: skip
    write_layer(made, "added", weak_table(added, 1))
    write_layer(made, "truth", pa.concat_tables([weak_table(added, 1), weak_table(wrong, 0)]), role="truth")
    compared = compare_layers(made, "given", "added")
    sections = [Section(heading, list(make(compared).items())) for heading, make in
                (("a", change_figures), ("b", truth_figures), ("c", clip_figures))]  # fmt: skip
    page = tmp_path / "page.html"
    write_figures_page(page, kicker="k", title="t", lede="l", sections=sections)
    assert page.stat().st_size < 5e6
    assert sections[1].figures[0][1].rows[:2] == [
        ["given", 70_000, 60_000, 80_000, 6 / 7, 0.75], ["added", 90_000, 80_000, 80_000, 8 / 9, 1.0],
    ]  # fmt: skip


def test_a_layer_has_a_parent_or_must_be_given_one(dataset):
    assert parent_of(dataset.folder, "first") == "given"
    with pytest.raises(InputError, match='"given" builds on no other one; name the layer to compare it with'):
        parent_of(dataset.folder, "given")
    with pytest.raises(InputError, match='there is no label layer "frist"; did you mean "first"'):
        parent_of(dataset.folder, "frist")
