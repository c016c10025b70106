"""Imported, exported, imported again: the same on all that the layout holds."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.data.dataset import write_dataset
from earmark.data.exporting import export_dataset
from earmark.data.formats import audacity, audioset, desed, raven
from tests.data.exporting.small_sets import sound

READERS = {"dcase": desed, "audioset": audioset, "audacity": audacity, "raven": raven}
TAGS = ("Cat", "Dog, big", "Speech (male)", 'the "Who"')
MS = 1000


def imported(layout, source):
    """What the reader says of a source, and the rows as plain values."""
    assert READERS[layout].is_at(source)
    found = READERS[layout].read(source)
    assert not found.problems
    columns = ["clip", "split", "labelled"]
    clips = {tuple(row[name] for name in columns) for row in found.clips.select(columns).to_pylist()}
    labels = {
        (
            row["clip"],
            row["tag"],
            *(None if row[name] is None else round(row[name] * MS) for name in ("onset", "offset")),
        )
        for row in found.labels.to_pylist()
    }
    assert len(labels) == found.labels.num_rows
    for path in found.clips["path"].to_pylist():
        assert (found.audio_root / path).is_file()
    return found, clips, labels


def there_and_back(layout, first, work):
    """Writes what was imported as a data set, exports it, imports it again."""
    found, clips, labels = imported(layout, first)
    durations = found.clips.set_column(found.clips.column_names.index("duration_s"), "duration_s", [[2.0] * len(clips)])
    dataset = write_dataset(
        work / "set",
        name="set",
        clips=durations,
        labels=found.labels,
        vocabulary=found.vocabulary,
        audio_root=found.audio_root,
    )
    summary = export_dataset(dataset, layout, work / "out")
    assert summary.left_out == {}
    again, clips_again, labels_again = imported(layout, work / "out")
    assert clips_again == clips
    assert labels_again == labels
    return found, again, summary


@pytest.fixture
def work(tmp_path):
    """A folder with one recording to copy, emptied by `fresh` before every example."""
    sound(tmp_path / "one.wav", 2.0)
    return tmp_path


def fresh(work: Path) -> Path:
    shutil.rmtree(work / "example", ignore_errors=True)
    (work / "example").mkdir()
    return work / "example"


def put(work, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(work / "one.wav")


few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
names = st.text(st.sampled_from("ab-_0 'é,"), min_size=1, max_size=6).filter(lambda name: name == name.strip())
events = st.lists(
    st.tuples(st.sampled_from(TAGS), st.integers(0, 1999), st.integers(1, 2000)).map(
        lambda event: (event[0], event[1], min(2000, event[1] + event[2]))
    ),
    max_size=4,
    unique=True,
)
annotated = st.one_of(st.none(), events)


@few
@given(st.dictionaries(names, annotated, min_size=1, max_size=5).filter(lambda said: any(said.values())))
def test_audacity(work, recordings):
    here = fresh(work)
    for name, said in recordings.items():
        put(work, here / "in" / "sub" / f"{name}.wav")
        if said is not None:
            text = "".join(f"{onset / MS}\t{offset / MS}\t{tag}\n" for tag, onset, offset in said)
            (here / "in" / "sub" / f"{name}.txt").write_text(text)
    found, again, _ = there_and_back("audacity", here / "in", here)
    assert again.vocabulary == found.vocabulary
    assert again.clips["path"].to_pylist() == found.clips["path"].to_pylist()


@few
@given(st.dictionaries(names, annotated, min_size=1, max_size=5).filter(lambda said: any(said.values())))
def test_raven(work, recordings):
    here = fresh(work)
    for name, said in recordings.items():
        put(work, here / "in" / f"{name}.wav")
        if said is not None:
            rows = [f"{n}\t{onset / MS}\t{offset / MS}\t{tag}\n" for n, (tag, onset, offset) in enumerate(said)]
            text = "Selection\tBegin Time (s)\tEnd Time (s)\tTag\n" + "".join(rows)
            (here / "in" / f"{name}.selections.txt").write_text(text)
    found, again, _ = there_and_back("raven", here / "in", here)
    assert again.vocabulary == found.vocabulary


splits = st.sampled_from(["train", "validation", "test"])


@few
@given(st.dictionaries(names, st.tuples(splits, st.sampled_from(["strong", "weak", "none"]), events), min_size=1))
def test_dcase(work, clips):
    here = fresh(work)
    tables = {}
    for name, (split, labelled, said) in clips.items():
        stem = {"strong": "strong", "weak": "weak", "none": "unlabelled"}[labelled]
        put(work, here / "in" / "audio" / split / stem / f"{name}.wav")
        # A list of tags has commas between them.
        said = [(tag.replace(",", ""), onset, offset) for tag, onset, offset in said]
        cells = [(f"{name}.wav", onset / MS, offset / MS, tag) for tag, onset, offset in said]
        rows = {
            "strong": cells or [(f"{name}.wav", "", "", "")],
            "weak": [(f"{name}.wav", ",".join(sorted({tag for tag, _, _ in said})))],
            "none": [(f'"{name}.wav"',)],
        }[labelled]
        tables.setdefault((split, labelled, stem), []).extend(rows)
    columns = {
        "strong": "filename\tonset\toffset\tevent_label",
        "weak": "filename\tevent_labels",
        "none": "filename",
    }
    for (split, labelled, stem), rows in tables.items():
        path = here / "in" / "metadata" / split / f"{stem}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([columns[labelled], *("\t".join(map(str, row)) for row in rows)]) + "\n")
    if not any(labelled != "none" for _, labelled, _ in clips.values()):
        return
    _, _, summary = there_and_back("dcase", here / "in", here)
    assert not any("tags as they are" in loss for loss in summary.losses)


ids = st.text(st.sampled_from("aZ9-_"), min_size=1, max_size=5)
segments = st.dictionaries(
    st.tuples(ids, st.integers(0, 99_999)),
    st.tuples(st.sampled_from(["unbalanced_train", "eval"]), st.sets(st.integers(0, 3))),
    min_size=1,
    max_size=6,
)


@few
@given(segments)
def test_audioset(work, said):
    here = fresh(work)
    (here / "in").mkdir()
    quoted = ['"' + tag.replace('"', '""') + '"' for tag in TAGS]
    rows = [f"{index},/m/{index},{tag}\n" for index, tag in enumerate(quoted)]
    (here / "in" / "class_labels_indices.csv").write_text("index,mid,display_name\n" + "".join(rows))
    lists = {}
    for (id_, start_ms), (name, tags) in said.items():
        put(work, here / "in" / f"{name}_segments" / f"{id_}_{start_ms / MS:.3f}.wav")
        mids = ",".join(f"/m/{index}" for index in sorted(tags))
        lists.setdefault(name, []).append(f'{id_}, {start_ms / MS:.3f}, {start_ms / MS + 2:.3f}, "{mids}"\n')
    for name, lines in lists.items():
        (here / "in" / f"{name}_segments.csv").write_text("#\n#\n# YTID, start\n" + "".join(lines))
    found, again, summary = there_and_back("audioset", here / "in", here)
    assert again.vocabulary == found.vocabulary
    assert sorted(again.clips["group"].to_pylist()) == sorted(found.clips["group"].to_pylist())
    assert summary.losses == ()
