import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from earmark.data.tables import (
    CLIP_SCHEMA,
    LABEL_SCHEMA,
    columns_or_null,
    read_clips,
    read_labels,
    repeats,
    write_clips,
    write_labels,
)
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError

HEADER = "clip,path,labelled"


def clips_of(tmp_path, text, name="clips.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_clips(path)


def labels_of(tmp_path, text, **known):
    path = tmp_path / "train.csv"
    path.write_text(text)
    return read_labels(path, **known)


def refused(tmp_path, call, *arguments, **known):
    """The message without the folder, which must be one line."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **known)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{tmp_path}/", "")


def test_what_a_file_does_not_say_is_null_and_the_group_is_the_recording(tmp_path):
    table = clips_of(tmp_path, f"{HEADER}\na,x.wav,weak\n-b,x.wav,none\n")
    assert table.schema == CLIP_SCHEMA
    assert table["clip"].to_pylist() == ["a", "-b"]
    assert table["group"].to_pylist() == ["x.wav", "x.wav"]
    for name in ("onset", "offset", "split", "fold", "verified", "duration_s"):
        assert table[name].null_count == 2


def test_every_column_is_read(tmp_path):
    table = clips_of(
        tmp_path,
        "path,clip,onset,offset,split,fold,group,verified,labelled,duration_s\n"
        "x.wav,a,.5,1e1,train,3,g,TRUE,strong,12\nx.wav,b,,,test,1.0,,0,weak,\n",
    )
    assert table.to_pylist()[0] == {
        "clip": "a",
        "path": "x.wav",
        "onset": 0.5,
        "offset": 10.0,
        "split": "train",
        "fold": 3,
        "group": "g",
        "verified": True,
        "labelled": "strong",
        "duration_s": 12.0,
    }
    assert table.to_pylist()[1]["fold"] == 1
    assert table.to_pylist()[1]["verified"] is False
    assert table.to_pylist()[1]["group"] == "x.wav"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_csv_as_programs_write_it(tmp_path, end, mark):
    text = end.join([HEADER, 'a,"x, ""y"".wav",weak', "", '"NA",nan.wav,"none"', ""])
    table = clips_of(tmp_path, mark + text.encode())
    assert table["clip"].to_pylist() == ["a", "NA"]
    assert table["path"].to_pylist() == ['x, "y".wav', "nan.wav"]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_delimiters_are_seen_in_the_header(tmp_path, delimiter):
    rows = [HEADER.split(","), ["a", "x,y.wav", "weak"]]
    table = clips_of(tmp_path, "\n".join(delimiter.join(row) for row in rows), "clips.tsv")
    assert table["path"].to_pylist() == ["x,y.wav"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "clips.csv:1: the first line must name the columns, found none"),
        (b"\na,b\n", "clips.csv:1: the first line must name the columns, found an empty line"),
        (
            f"{HEADER}\na,x,weak\nb,\xe9.wav,weak\n".encode("latin-1"),
            "clips.csv:3: the file must be UTF-8, found byte 0xe9",
        ),
        (b"clip,path,\xe9\n", "clips.csv:1: the file must be UTF-8, found byte 0xe9"),
        (f"{HEADER}\n".encode("utf-16"), "clips.csv: the file must be UTF-8, found UTF-16; save it as UTF-8"),
        (b"clip,path\na,x\n", "clips.csv:1: columns clip, path, labelled are required, labelled not found"),
        (b"clip,path,labelled,splt\n", 'clips.csv:1: unknown column "splt"; did you mean "split"?'),
        (b"clip,path,labelled,clip\n", 'clips.csv:1: a column must be named once, found "clip" 2 times'),
        (
            b"clip,path,labelled\na,x,weak\n\nb,x,weak,1\nc,x\n",
            "clips.csv:4: a row must have 3 cells, as the header has, found 4; quote cells that hold the delimiter"
            "; 2 such rows, the next on line 5",
        ),
        (
            b'clip,path,labelled\na,x,weak\nb,"x,weak\nc,x,weak\n"",weak',
            "clips.csv:3: a row must have 3 cells, as the header has, found 2; quote cells that hold the delimiter",
        ),
        (
            b'clip,path,labelled\na,x,weak\nb,"x\nc",weak\n',
            "clips.csv:3: path must stay on one line, found a line break; is a quote left open?",
        ),
    ],
)
def test_a_file_that_is_no_table_is_answered_with_one_line(tmp_path, content, said):
    assert said in refused(tmp_path, clips_of, tmp_path, content)


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ("", "a,x,", "labelled must not be empty"),
        ("", ",x,weak", "clip must not be empty"),
        ("", "a,,weak", "path must not be empty"),
        ("", "a,x,wek", 'labelled must be one of strong, weak, none, got "wek"'),
        (",split", "a,x,weak,dev", 'split must be one of train, validation, test, teacher or empty, got "dev"'),
        (",fold", "a,x,weak,1.5", 'fold must be a whole number, got "1.5"'),
        (",fold", "a,x,weak,-1", "fold must be 0 or more, got -1"),
        (",verified", "a,x,weak,yes", 'verified must be true, false or empty, got "yes"'),
        (",onset,offset", "a,x,weak,0,1_0", 'offset must be a number, got "1_0"'),
        (",onset,offset", "a,x,weak,nan,1", 'onset must be a number, got "nan"'),
        (",onset,offset", "a,x,weak,0,1e999", "offset must be finite, got inf"),
        (",onset,offset", "a,x,weak,-1,1", "onset must be 0 or later, got -1.00"),
        (",onset,offset", "a,x,weak,1,", "onset and offset must both be given or both be empty, got onset only"),
        (",onset,offset", "a,x,weak,3.2,3.125", "offset must be after onset, got onset 3.20, offset 3.125"),
        (",duration_s", "a,x,weak,-5", "duration_s must be 0 or more, got -5.0"),
    ],
)
def test_every_cell_is_checked_and_its_line_named(tmp_path, columns, row, said):
    message = refused(tmp_path, clips_of, tmp_path, f"{HEADER}{columns}\nok,x,weak{',' * columns.count(',')}\n{row}\n")
    naming = ' (clip "a")' if row.startswith("a,") else ""
    assert message == f"clips.csv:3: {said}{naming}"


def test_a_clip_that_stands_twice_is_named_with_both_lines(tmp_path):
    message = refused(tmp_path, clips_of, tmp_path, f"{HEADER}\nb,x,weak\na,x,weak\n\nc,x,weak\na,y,weak\n")
    assert message == 'clips.csv:6: clip must be unique, got "a" again, first at line 3'


def test_at_most_five_offenders_and_the_count(tmp_path):
    rows = "".join(f"c{row},x,weak,-1\n" for row in range(9))
    message = refused(tmp_path, clips_of, tmp_path, f"{HEADER},fold\n{rows}")
    assert message.startswith('clips.csv:2: fold must be 0 or more, got -1 (clip "c0")')
    assert message.endswith("; 9 such rows, the next on line 3, 4, 5, 6 and 4 more")


def test_the_message_of_the_style_guide(tmp_path):
    rows = "".join(f"c{row},Dog,0,1\n" for row in range(1040))
    text = f"clip,tag,onset,offset\n{rows}a1b2,Dog,3.20,3.20\n"
    assert refused(tmp_path, labels_of, tmp_path, text) == (
        'train.csv:1042: offset must be after onset, got onset 3.20, offset 3.20 (clip "a1b2", tag "Dog")'
    )


CLIPS = columns_or_null(
    2, CLIP_SCHEMA, clip=pa.array(["a", "b"]), path=pa.array(["a.wav", "b.wav"]), labelled=pa.array(["weak", "weak"])
)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("c,Dog,,,", 'clip must be one of the clip table\'s 2, got "c" (clip "c", tag "Dog")'),
        ("a,Dgo,,,", 'tag must be in the vocabulary of 2, got "Dgo"; did you mean "Dog"? (clip "a", tag "Dgo")'),
        ("a,,,,1", 'tag must not be empty (clip "a")'),
        ("a,Dog,,,1.5", 'value must lie in [0, 1], got 1.5 (clip "a", tag "Dog")'),
        ("a,Dog,,,-.5", 'value must lie in [0, 1], got -0.5 (clip "a", tag "Dog")'),
        ("a,Dog,,,", 'value must not be empty (clip "a", tag "Dog")'),
        ("a,Dog,,2,1", 'onset and offset must both be given or both be empty, got offset only (clip "a", tag "Dog")'),
        ("b,Rain,,,.5", 'a statement must stand once, got it again, first at line 2 (clip "b", tag "Rain")'),
        ("b,Rain,1,2,.5", 'a statement must stand once, got it again, first at line 3 (clip "b", tag "Rain")'),
    ],
)
def test_every_label_is_checked(tmp_path, row, said):
    text = f"clip,tag,onset,offset,value\nb,Rain,,,1\nb,Rain,1,2,1\n{row}\n"
    vocabulary = Vocabulary(("Dog", "Rain"))
    assert refused(tmp_path, labels_of, tmp_path, text, clips=CLIPS, vocabulary=vocabulary) == f"train.csv:4: {said}"


def test_labels_have_the_value_1_unless_said(tmp_path):
    table = labels_of(tmp_path, "clip,tag\na,Dog\na,NA\n")
    assert table.schema == LABEL_SCHEMA
    assert table["value"].to_pylist() == [1.0, 1.0]
    assert table["source"].to_pylist() == ["", ""]
    assert table["tag"].to_pylist() == ["Dog", "NA"]


def test_one_tag_of_one_clip_may_be_weak_and_at_several_times(tmp_path):
    assert labels_of(tmp_path, "clip,tag,onset,offset\na,Dog,,\na,Dog,0,1\na,Dog,0,2\na,Dog,1,2\n").num_rows == 4


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    clips = columns_or_null(
        3,
        CLIP_SCHEMA,
        clip=pa.array(["-a", 'b "q", c', "NA"]),
        path=pa.array(["x.wav", "é/y.wav", "true"]),
        onset=pa.array([0.1, None, 1 / 3]),
        offset=pa.array([0.30000000000000004, None, 1e6]),
        split=pa.array(["test", None, "train"]),
        fold=pa.array([1, None, 0]),
        group=pa.array(["1", "2", "2"]),
        verified=pa.array([True, False, None]),
        labelled=pa.array(["strong", "weak", "none"]),
        duration_s=pa.array([1.5, None, 2e6]),
    )
    write_clips(clips, tmp_path / f"clips{suffix}")
    assert read_clips(tmp_path / f"clips{suffix}").equals(clips)
    labels = columns_or_null(
        2,
        LABEL_SCHEMA,
        clip=pa.array(["NA", "-a"]),
        tag=pa.array(["Dog", "Rain, hard"]),
        onset=pa.array([None, 0.1]),
        offset=pa.array([None, 0.7]),
        value=pa.array([0.1, 0.0], pa.float32()),
        source=pa.array(["given", ""]),
    )
    write_labels(labels, tmp_path / f"labels{suffix}", clips)
    assert read_labels(tmp_path / f"labels{suffix}", clips).equals(labels)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_without_rows_are_tables(tmp_path, suffix):
    write_clips(CLIP_SCHEMA.empty_table(), tmp_path / f"clips{suffix}")
    write_labels(LABEL_SCHEMA.empty_table(), tmp_path / f"labels{suffix}")
    assert read_clips(tmp_path / f"clips{suffix}").num_rows == 0
    assert read_labels(tmp_path / f"labels{suffix}").num_rows == 0


def test_a_table_that_does_not_hold_is_not_written(tmp_path):
    table = pa.table({"clip": ["a", "a"], "path": ["x", "y"], "labelled": ["weak", "weak"]})
    message = refused(tmp_path, write_clips, table, tmp_path / "clips.parquet")
    assert message == 'clips.parquet: row 2: clip must be unique, got "a" again, first at row 1'
    assert not list(tmp_path.iterdir())


def test_parquet_of_other_programs_is_brought_to_the_types(tmp_path):
    table = pa.table(
        {
            "clip": pa.array(["a", "b"], pa.large_string()),
            "path": pa.array(["x", "y"]).dictionary_encode(),
            "labelled": pa.array(["weak", "none"], pa.string_view()),
            "fold": pa.array([1.0, None]),
            "verified": pa.array([1, None], pa.int8()),
            "onset": pa.array([0, None], pa.int32()),
            "offset": pa.array([2, None], pa.float32()),
            "split": pa.nulls(2),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "clips.parquet")
    read = read_clips(tmp_path / "clips.parquet")
    assert read.schema == CLIP_SCHEMA
    assert read["fold"].to_pylist() == [1, None]
    assert read["verified"].to_pylist() == [True, None]
    assert read["offset"].to_pylist() == [2.0, None]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"clip": [1, 2]}, "clips.parquet: column clip must hold text, holds int64"),
        ({"onset": ["x", "y"]}, 'clips.parquet: row 1: onset must be a number, got "x" (clip "a")'),
        ({"onset": [[1], [2]]}, "clips.parquet: column onset must hold numbers, holds list"),
        ({"fold": [1.0, float("nan")]}, 'clips.parquet: row 2: fold must be a whole number, got nan (clip "b")'),
        ({"duration_s": [1.0, float("nan")]}, 'clips.parquet: row 2: duration_s must be finite, got nan (clip "b")'),
    ],
)
def test_parquet_of_other_types_is_refused(tmp_path, column, said):
    columns = {"clip": ["a", "b"], "path": ["x", "y"], "labelled": ["weak", "weak"], **column}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "clips.parquet")
    assert refused(tmp_path, read_clips, tmp_path / "clips.parquet").startswith(said)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("clips.xlsx", b"", 'clips.xlsx: a table must be a .csv, .tsv or .parquet file, got ".xlsx"'),
        ("clips.parquet", b"clip,path", "clips.parquet: not a Parquet file"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in refused(tmp_path, read_clips, tmp_path / name)


@pytest.mark.parametrize("name", ["clips.csv", "clips.parquet"])
def test_a_missing_table_is_named(tmp_path, name):
    assert re.match(rf"{name}: cannot be read, .*no such file", refused(tmp_path, read_clips, tmp_path / name).lower())


def test_repeats_against_a_plain_loop():
    keys = np.random.default_rng(0).integers(0, 4, (3, 200))
    again, first = repeats(list(keys))
    seen = {}
    for row, key in enumerate(zip(*keys.tolist(), strict=True)):
        assert again[row] == (key in seen)
        assert first[row] == seen.setdefault(key, row)


@pytest.mark.slow
def test_two_million_rows_are_read_and_checked_in_little_time(tmp_path):
    import time

    count = 2_000_000
    number = pa.array(np.arange(count)).cast(pa.string())
    table = pa.table({"clip": number, "path": number, "labelled": pa.array(["weak"] * count), "fold": number})
    pyarrow.csv.write_csv(table, tmp_path / "clips.csv")
    started = time.process_time()
    assert read_clips(tmp_path / "clips.csv").num_rows == count
    # About 1.5 s where this was written; a loop over rows takes minutes.
    assert time.process_time() - started < 30
