import pytest

from earmark.data.formats import raven
from earmark.data.formats.beside import names_meant
from tests.data.formats.trees import clips, labels, refused, write

HEADER = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"


def table(*rows, columns=("Annotation",)):
    """Rows of selection, view, begin, end and the cells of the further columns."""
    lines = ["\t".join([HEADER, *columns])]
    lines += [
        "\t".join([number, view, "1", begin, end, "0", "8000", *more]) for number, view, begin, end, *more in rows
    ]
    return "\n".join(lines) + "\n"


def test_a_selection_counts_once_for_all_its_views(tmp_path):
    rows = [("1", "Waveform 1", "1.5", "2.25", "Wren"), ("1", "Spectrogram 1", "1.5", "2.25", "Wren")]
    text = table(*rows, ("2", "Spectrogram 1", "4", "4.5", "Tit"), ("3", "Spectrogram 1", "4", "4.5", ""))
    write(
        tmp_path,
        {"site/rec.2020.Table.1.selections.txt": text, "b.txt": HEADER + "\n", "readme.txt": "hello"},
        ["site/rec.2020.WAV", "b.flac", "c.wav"],
    )
    assert raven.is_at(tmp_path)
    imported = raven.read(tmp_path)
    assert clips(imported) == [
        ("b", "b.flac", "strong"),
        ("c", "c.wav", "none"),
        ("site/rec.2020", "site/rec.2020.WAV", "strong"),
    ]
    assert labels(imported) == [("site/rec.2020", "Tit", 4.0, 4.5), ("site/rec.2020", "Wren", 1.5, 2.25)]
    assert imported.vocabulary.tags == ("Tit", "Wren")
    name = "site/rec.2020.Table.1.selections.txt"
    assert imported.notes == (
        "selection tables read: 2",
        f"rows that show a selection in another view, not counted again: 1 (first: {name})",
        f"left out: selections without a tag: 1 (first: {name}:5)",
        "recordings without a table: 1, labelled none (first: c.wav)",
    )


@pytest.mark.parametrize(
    "name", ["a.selections.txt", "a.Table.1.selections.txt", "a.txt", "a.wav.txt", "a.BirdNET.selection.table.txt"]
)
def test_names_of_tables(tmp_path, name):
    write(tmp_path, {name: table(("1", "Spectrogram 1", "0", "1", "Wren"))}, ["a.wav", "b.wav"])
    assert labels(raven.read(tmp_path)) == [("a", "Wren", 0.0, 1.0)]


def test_a_table_of_a_recording_that_is_gone_is_not_given_to_one_with_a_shorter_name(tmp_path):
    assert names_meant(".txt") == []
    write(tmp_path, {"rec.2.selections.txt": table(("1", "v", "0", "1", "Wren"))}, ["rec.wav", "rec.1.wav"])
    assert labels(raven.read(tmp_path)) == [("rec.2", "Wren", 0.0, 1.0)]
    (tmp_path / "rec.2.selections.txt").rename(tmp_path / "rec.1.by hand.txt")
    assert labels(raven.read(tmp_path)) == [("rec.1", "Wren", 0.0, 1.0)]


def test_a_table_whose_recording_is_gone_is_a_missing_clip(tmp_path):
    write(tmp_path, {"x/gone.Table.12.selections.txt": table(("1", "Spectrogram 1", "0", "1", "Wren"))}, ["a.wav"])
    assert clips(raven.read(tmp_path)) == [("a", "a.wav", "none"), ("x/gone", "x/gone", "strong")]


@pytest.mark.parametrize(
    ("columns", "cells", "tag"),
    [
        (("SPECIES",), ("Wren",), "Wren"),
        (("Notes", "type"), ("x", "song"), "song"),
        (("Type", "Species"), ("song", "Wren"), "Wren"),
        (("Annotation", "Species"), ("", "Wren"), "Wren"),  # Raven adds an empty Annotation of its own
        (("Common Name", "Species Code"), ("House Wren", "houwre"), "House Wren"),
    ],
)
def test_the_column_with_the_tag(tmp_path, columns, cells, tag):
    write(tmp_path, {"a.txt": table(("1", "Spectrogram 1", "0", "1", *cells), columns=columns)}, ["a.wav"])
    assert labels(raven.read(tmp_path)) == [("a", tag, 0.0, 1.0)]


def test_a_table_of_several_recordings(tmp_path):
    columns = ("Begin File", "End File", "File Offset (s)", "Annotation")
    rows = [
        ("1", "Spectrogram 1", "1.5", "2", "r1.wav", "r1.wav", "1.5", "Wren"),
        ("2", "Spectrogram 1", "61.5", "62", "r2.wav", "r2.wav", "1.5", "Wren"),
        ("3", "Spectrogram 1", "119", "121", "r2.wav", "r3.wav", "59", "Tit"),
        ("4", "Spectrogram 1", "190", "191", "r4.wav", "r4.wav", "10", ""),
    ]
    write(tmp_path, {"all.selections.txt": table(*rows, columns=columns)}, ["day/r1.wav", "day/r2.wav", "day/r3.wav"])
    imported = raven.read(tmp_path)
    assert clips(imported) == [
        ("day/r1", "day/r1.wav", "strong"),
        ("day/r2", "day/r2.wav", "strong"),
        ("day/r3", "day/r3.wav", "none"),
        ("r4", "r4.wav", "strong"),
    ]
    assert labels(imported) == [
        ("day/r1", "Wren", 1.5, 2.0),
        ("day/r2", "Tit", 59.0, 61.0),
        ("day/r2", "Wren", 1.5, 2.0),
    ]
    note = "selections that run on into the next recording, where they are not counted: 1 (first: all.selections.txt:4)"
    assert note in imported.notes


def test_a_path_of_another_machine_names_the_recording(tmp_path):
    columns = ("Begin Path", "File Offset (s)", "Common Name")
    rows = [("1", "Spectrogram 1", "3", "6", r"C:\birds\r1.wav", "3", "Wren")]
    write(tmp_path, {"BirdNET_SelectionTable.txt": table(*rows, columns=columns)}, ["r1.wav"])
    assert labels(raven.read(tmp_path)) == [("r1", "Wren", 3.0, 6.0)]


def test_several_recordings_without_their_offsets_are_refused(tmp_path):
    columns = ("Begin File", "Annotation")
    rows = [("1", "Spectrogram 1", "1", "2", "r1.wav", "Wren"), ("2", "Spectrogram 1", "61", "62", "r2.wav", "Wren")]
    write(tmp_path, {"all.txt": table(*rows, columns=columns)}, ["r1.wav", "r2.wav"])
    assert "all.txt:1: a table of 2 recordings must have the column File Offset (s)" in refused(raven.read, tmp_path)
    write(tmp_path, {"all.txt": table(rows[0], columns=columns)})
    assert labels(raven.read(tmp_path)) == [("r1", "Wren", 1.0, 2.0)]


def test_decimal_commas_and_selections_without_duration(tmp_path):
    rows = [("1", "Spectrogram 1", "1,5", "2,25", "Wren"), ("2", "Spectrogram 1", "3", "3", "Wren")]
    imported = raven.read(write(tmp_path, {"a.txt": table(*rows)}, ["a.wav"]))
    assert labels(imported) == [("a", "Wren", 1.5, 2.25)]
    assert "left out: selections without duration: 1 (first: a.txt:3)" in imported.notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table(("1", "v", "0", "1", "x"), columns=("Notes",)), "a.txt:1: a column with the tag must be called one of"),
        (table(("1", "v", "x", "1", "Wren")), 'a.txt:2: begin time (s) must be a number, got "x"'),
        (table(("1", "v", "0", "", "Wren")), "a.txt:2: end time (s) must not be empty"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, said):
    assert said in refused(raven.read, write(tmp_path, {"a.txt": text}, ["a.wav"]))


def test_one_table_as_the_source(tmp_path):
    write(tmp_path, {"a.selections.txt": table(("1", "v", "0", "1", "Wren"))}, ["a.wav", "b.wav"])
    assert raven.is_at(tmp_path / "a.selections.txt")
    assert clips(raven.read(tmp_path / "a.selections.txt")) == [("a", "a.wav", "strong")]


def test_what_does_not_look_like_it(tmp_path):
    write(tmp_path, {"a.txt": "0\t1\tDog\n", "b.txt": "Begin Time (s),End Time (s)\n"}, ["a.wav"])
    assert not raven.is_at(tmp_path)
    assert not raven.is_at(tmp_path / "a.txt")
    assert not raven.is_at(tmp_path / "a.wav")
    assert "must hold Raven selection tables (columns Begin Time (s), End Time (s)), found none among 2" in refused(
        raven.read, tmp_path
    )


def test_of_several_columns_with_tags_the_first_with_text_counts_in_each_row(tmp_path):
    rows = [
        ("1", "Waveform 1", "1", "2", "Wren", "bird"),
        ("2", "Waveform 1", "3", "4", " ", "Tit"),
        ("3", "Waveform 1", "5", "6", "Owl", ""),
    ]
    write(tmp_path, {"sub/a.txt": table(*rows, columns=("Species", "Annotation"))}, ["sub/a.wav"])
    imported = raven.read(tmp_path)
    assert [row[1:3] for row in labels(imported)] == [("Owl", 5.0), ("Tit", 3.0), ("bird", 1.0)]
    note = "tables whose tags are from the columns annotation, species: 1 (first: sub/a.txt)"
    assert note in imported.notes


def test_a_table_without_a_byte_says_that_nothing_is_heard(tmp_path):
    tables = {"a.txt": table(("1", "Waveform 1", "1", "2", "Wren")), "b.Table.1.selections.txt": "", "blank.txt": ""}
    imported = raven.read(write(tmp_path, tables, ["a.wav", "b.wav", "c.wav"]))
    assert [(clip, labelled) for clip, _, labelled in clips(imported)] == [
        ("a", "strong"),
        ("b", "strong"),
        ("c", "none"),
    ]
    assert "tables without a line, taken to say that nothing is heard: 1 (first: b.Table.1.selections.txt)" in (
        imported.notes
    )
