"""What is planted is exactly what the truth layer says, and exactly as much as was asked for."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from earmark.config import settings_from
from earmark.data.audio.problems import problem_of
from earmark.data.dataset import Dataset, open_dataset, write_dataset, write_layer
from earmark.data.info import describe_dataset
from earmark.data.layer_diff import diff_layers
from earmark.data.ontology import Ontology, read_ontology
from earmark.data.statements import WEAK, Statements, in_force
from earmark.data.synthesis import CorruptSettings, corrupt, draws
from earmark.data.synthesis.draws import draws_for, share_of
from earmark.data.synthesis.faults import given_statements, labels_of, truth_statements
from earmark.data.synthesis.planting import plant
from earmark.data.synthesis.true_labels import TrueLabels, long_tail
from earmark.data.table_files import read_table_file
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, columns_or_null, read_clips
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe

TAGS = ("Animal", "Cat", "Dog", "Horn", "Rain")


def clip_table(num_clips, **columns):
    names = [f"c{number}" for number in range(num_clips)]
    columns.setdefault("labelled", ["weak"] * num_clips)
    return columns_or_null(
        num_clips,
        CLIP_SCHEMA,
        clip=pa.array(names, pa.string()),
        path=pa.array([f"{name}.wav" for name in names], pa.string()),
        group=pa.array(names, pa.string()),
        **{name: pa.array(column, CLIP_SCHEMA.field(name).type) for name, column in columns.items()},
    )


def label_table(rows):
    """Rows of clip number, tag and, where strong, onset, offset and value."""
    whole = [(f"c{clip}", tag, *(times or (None, None, 1.0)), "people") for clip, tag, *times in rows]
    columns = list(zip(*whole, strict=True)) or [[]] * 6
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, LABEL_SCHEMA, strict=True)],
                    schema=LABEL_SCHEMA)  # fmt: skip


def make(folder, clips, rows, tags=TAGS, **more) -> Dataset:
    return write_dataset(
        folder, name=folder.name, clips=clips, labels=label_table(rows), vocabulary=Vocabulary(tags),
        audio_root=folder.parent / "audio", **more
    )  # fmt: skip


def single_tags(folder, per_tag=20, **columns) -> Dataset:
    """A data set of clips with one tag each."""
    rows = [(number, TAGS[number % len(TAGS)]) for number in range(per_tag * len(TAGS))]
    return make(folder, clip_table(len(rows), **columns), rows)


def said(dataset, layer):
    """Statements in force as a set."""
    found = dataset.statements(layer)
    clips, tags = dataset.column("clip"), dataset.vocabulary.tags
    return {
        (clips[clip], tags[tag], onset, offset, value)
        for clip, tag, onset, offset, value in zip(
            found.clip_index, found.tag_index, found.onset, found.offset, found.value, strict=True
        )
    }  # fmt: skip


def with_source(dataset, source):
    """The labels (clip, tag) that the truth layer's rows of one source are about, by whether they place or retract."""
    table = read_table_file(next((dataset.folder / "labels").glob("truth.[pc]*"))).table
    rows = [row for row in table.to_pylist() if row["source"] == source]
    return tuple(
        {(row["clip"], row["tag"]) for row in rows if (float(row["value"]) > 0) == placed} for placed in (1, 0)
    )


TIMES = st.sampled_from([(None, None), (0.0, 1.0), (0.5, 2.0), (2.0, 2.5)])
STATEMENT = st.tuples(st.integers(0, 7), st.sampled_from(TAGS), TIMES)
RATE = st.sampled_from([0.5, 0.25, 0.1, 0.0])
CLIP = st.tuples(
    st.sampled_from(["strong", "weak", "strong", "none"]),
    st.sampled_from([None, None, False, True]),
    st.sampled_from([None, None, 2, 1]),
)


@st.composite
def data(draw):
    """A clip table of 8 clips and rows of labels, some strong, some soft."""
    statements = draw(st.dictionaries(STATEMENT, st.sampled_from([0.4, 1.0]), min_size=12, max_size=30))
    rows = [(clip, tag, *times, value) for (clip, tag, times), value in statements.items()]
    labelled, verified, fold = zip(*draw(st.lists(CLIP, min_size=8, max_size=8)), strict=True)
    return clip_table(8, labelled=labelled, verified=verified, fold=fold), rows


@st.composite
def corruptions(draw):
    values = {
        "missing_rate": draw(RATE),
        "wrong_rate": draw(st.sampled_from([0.25, 0.1, 0.0])),
        "missing_by_tag": draw(st.dictionaries(st.sampled_from(TAGS), RATE, max_size=2)),
        "verified_share": draw(st.sampled_from([None, 0.25, 0.1])),
        "weak": draw(st.booleans()),
    }
    if values["wrong_rate"] and draw(st.booleans()):
        values["wrong_pairs"] = {"Dog": ["Cat"], "Cat": ["Dog", "Horn"]}
    return CorruptSettings(**values)


def true_labels(clips, rows, keep_fold=None):
    vocabulary = Vocabulary(TAGS)
    table = label_table(rows)
    times = [np.asarray(pc.fill_null(table[name], WEAK)) for name in ("onset", "offset")]
    statements = Statements(
        np.asarray(pc.index_in(table["clip"], clips["clip"].combine_chunks()), dtype=np.int64),
        np.asarray(pc.index_in(table["tag"], vocabulary.array()), dtype=np.int32),
        *times,
        np.asarray(table["value"]),
    )
    fold = np.asarray(pc.fill_null(clips["fold"], -1))
    touchable = (clips["labelled"].to_numpy() != "none") & (fold != (keep_fold or -2))
    return TrueLabels(clips, in_force([statements], 5), vocabulary, np.ones(5, np.bool_), touchable)


def planted_or_refused(true, chosen, seed=0):
    """What is planted, or None where the labels are too few for the rates."""
    try:
        return plant(true, chosen, draws_for(seed, true.clips["clip"].to_pylist(), TAGS))
    except InputError as error:
        assert "must find" in str(error)  # noqa: PT017 - only the two refusals of too few labels are expected
        return None


def as_set(statements):
    columns = (statements.clip_index, statements.tag_index, statements.onset, statements.offset, statements.value)
    return set(zip(*(column.tolist() for column in columns), strict=True))


@settings(max_examples=100)
@given(data(), corruptions(), st.integers(0, 3))
def test_what_is_planted_is_what_the_truth_undoes(drawn, chosen, seed):
    true = true_labels(*drawn, keep_fold=1)
    made = planted_or_refused(true, chosen, seed)
    if made is None:
        return
    labels, faults = made.labels, made.faults
    told = given_statements(true.statements, labels, faults)
    truth, _ = truth_statements(true.statements, labels, faults)
    assert as_set(in_force([told, truth], 5)) == as_set(true.statements)

    # The planted record against what the two say, a label at a time.
    given_labels = {(clip, tag) for clip, tag, *_ in as_set(told)}
    true_pairs = {(clip, tag) for clip, tag, *_ in as_set(true.statements)}
    places = list(zip(labels.clip_index.tolist(), labels.tag_index.tolist(), strict=True))
    missing = {place for place, is_missing in zip(places, faults.missing, strict=True) if is_missing}
    wrong = {
        place: (place[0], tag) for place, tag in zip(places, faults.mistaken_for.tolist(), strict=True) if tag >= 0
    }
    assert not missing & set(wrong)
    assert len(set(wrong.values())) == len(wrong)
    assert true_pairs - given_labels == missing | set(wrong)
    assert given_labels - true_pairs == set(wrong.values())

    # Clips without faults.
    verified = made.clips["verified"].to_pylist()
    safe = {clip for clip in range(8) if verified[clip] or not true.touchable[clip]}
    assert not {clip for clip, _ in missing | set(wrong)} & safe
    labelled, before = made.clips["labelled"].to_pylist(), true.clips["labelled"].to_pylist()
    assert labelled == ["weak" if kind == "strong" and chosen.weak else kind for kind in before]
    timed = [clip for clip, _, onset, _, _ in as_set(told) if onset != WEAK]
    assert not any(chosen.weak and before[clip] == "strong" for clip in timed)
    for clip in range(8):
        if clip in safe and labelled[clip] == before[clip]:
            assert {row for row in as_set(told) if row[0] == clip} == {
                row for row in as_set(true.statements) if row[0] == clip
            }


@settings(max_examples=100)
@given(data(), corruptions())
@example((clip_table(8, fold=[None] * 8), [(clip, "Dog") for clip in range(7)]), CorruptSettings(missing_rate=0.5))
def test_rates_are_exact(drawn, chosen):
    true = true_labels(*drawn)
    made = planted_or_refused(true, chosen)
    if made is None:
        return
    labels = made.labels
    verified = made.clips["verified"].to_pylist()
    if chosen.verified_share is not None:
        touchable = np.flatnonzero(true.touchable)
        assert sum(verified[clip] for clip in touchable) == share_of(len(touchable), chosen.verified_share)
        kept = np.flatnonzero(~true.touchable)
        assert [verified[clip] for clip in kept] == [true.clips["verified"][int(clip)].as_py() for clip in kept]
    can = [
        (clip, TAGS[tag])
        for clip, tag in zip(labels.clip_index.tolist(), labels.tag_index.tolist(), strict=True)
        if true.touchable[clip] and not verified[clip]
    ]
    missing = Counter(TAGS[tag] for tag in labels.tag_index[made.faults.missing])
    for tag, rate in chosen.missing_by_tag.items():
        assert missing[tag] == share_of(sum(of == tag for _, of in can), rate)
    rest = sum(of not in chosen.missing_by_tag for _, of in can)
    assert sum(missing[tag] for tag in TAGS if tag not in chosen.missing_by_tag) == share_of(rest, chosen.missing_rate)
    assert made.faults.wrong.sum() == share_of(int(made.can_be_wrong.sum()), chosen.wrong_rate)
    of_clip = {clip: {tag for other, tag in can if other == clip} for clip, _ in can}
    mistakable = [
        tag for clip, tag in can if set(chosen.wrong_pairs.get(tag, () if chosen.wrong_pairs else TAGS)) - of_clip[clip]
    ]
    if chosen.wrong_rate:
        assert made.can_be_wrong.sum() == len(mistakable)
    for tag, other in zip(labels.tag_index, made.faults.mistaken_for, strict=True):
        if other >= 0 and chosen.wrong_pairs:
            assert TAGS[other] in chosen.wrong_pairs[TAGS[tag]]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=data(), chosen=corruptions())
def test_the_data_set_made_says_what_is_true_in_its_truth_layer_alone(drawn, chosen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    source = make(folder / "source", *drawn, tables="csv")
    try:
        summary = corrupt(source, folder / "out", chosen, seed=5)
    except InputError as error:
        assert "must find" in str(error) or chosen.plants_nothing  # noqa: PT017
        return
    made = open_dataset(folder / "out")
    assert made.layers() == ["given", "truth"]
    assert said(made, "truth") == said(source, "given")
    assert made.audio_root == source.audio_root
    table = read_table_file(made.folder / "labels" / "given.csv").table
    assert set(table["source"].to_pylist()) <= {"given"}
    order = [(int(row["clip"][1:]), TAGS.index(row["tag"]), float(row["onset"] or -1)) for row in table.to_pylist()]
    assert order == sorted(order)

    difference = diff_layers(made, "given", "truth").rows.to_pylist()
    appears = {(row["clip"], row["tag"]) for row in difference if row["change"] == "added"}
    goes = {(row["clip"], row["tag"]) for row in difference if row["change"] == "removed"}
    missing, nothing = with_source(made, "planted missing")
    right, wrong = with_source(made, "planted wrong")
    timed, untimed = with_source(made, "planted weak")
    assert not nothing
    assert appears - timed == missing | right
    assert goes - untimed == wrong
    assert (len(missing), len(wrong)) == (summary.missing, summary.wrong)
    assert len(right) == len(wrong)


def names_of(made, mask):
    """The labels under a mask, by name."""
    clips = made.clips["clip"].to_pylist()
    rows = zip(made.labels.clip_index[mask], made.labels.tag_index[mask], strict=True)
    return {(clips[clip], TAGS[tag]) for clip, tag in rows}


def mistaken(made):
    clips = made.clips["clip"].to_pylist()
    rows = zip(made.labels.clip_index, made.labels.tag_index, made.faults.mistaken_for, strict=True)
    return {(clips[clip], TAGS[tag]): TAGS[other] for clip, tag, other in rows if other >= 0}


MANY = [(clip, tag) for clip in range(60) for tag in TAGS[: 1 + clip % 3]]


def planted(seed=0, rows=MANY, order=range(60), **chosen):
    clips = clip_table(60).take(pa.array(list(order)))
    true = true_labels(clips, rows)
    return plant(true, CorruptSettings(**chosen), draws_for(seed, clips["clip"].to_pylist(), TAGS))


def test_no_rate_disturbs_another_draw_and_greater_rates_plant_more():
    some = planted(missing_rate=0.2, wrong_rate=0.3)
    for missing_rate in (0.0, 0.05, 0.6):
        other = planted(missing_rate=missing_rate, wrong_rate=0.3)
        assert mistaken(other) == mistaken(some)
    assert 0 < len(mistaken(some)) == share_of(len(MANY), 0.3)
    for wrong_rate in (0.0, 0.1, 0.6):
        other = planted(missing_rate=0.2, wrong_rate=wrong_rate)
        assert names_of(other, other.faults.missing) == names_of(some, some.faults.missing)
    more = planted(missing_rate=0.4, wrong_rate=0.5)
    assert names_of(some, some.faults.missing) < names_of(more, more.faults.missing)
    assert mistaken(some).items() < mistaken(more).items()
    fewer = planted(verified_share=0.25)
    verified = planted(verified_share=0.5)
    assert pc.sum(fewer.clips["verified"]).as_py() == 15
    assert not np.any(np.asarray(fewer.clips["verified"]) & ~np.asarray(verified.clips["verified"]))


def test_draws_belong_to_names_and_seeds():
    some = planted(missing_rate=0.2, wrong_rate=0.3)
    turned = planted(order=reversed(range(60)), missing_rate=0.2, wrong_rate=0.3)
    assert mistaken(turned) == mistaken(some)
    assert names_of(turned, turned.faults.missing) == names_of(some, some.faults.missing)
    assert mistaken(planted(seed=1, wrong_rate=0.3)) != mistaken(some)


def test_mistakes_do_not_depend_on_blocks_of_clips(monkeypatch):
    expected = mistaken(planted(wrong_rate=0.6))
    for size in (1, 7, 60):
        monkeypatch.setattr(draws, "CLIPS_A_BLOCK", size)
        assert mistaken(planted(wrong_rate=0.6)) == expected


def test_clips_that_are_dropped_change_no_other_draw(tmp_path):
    source = single_tags(tmp_path / "source")
    corrupt(source, tmp_path / "all", CorruptSettings(wrong_rate=1))
    summary = corrupt(source, tmp_path / "some", CorruptSettings(wrong_rate=1, imbalance=4))
    everyone, some = (with_source(open_dataset(tmp_path / name), "planted wrong")[1] for name in ("all", "some"))
    assert some < everyone
    assert len(some) == summary.clips < len(everyone) == 100


def test_draws_are_uniform_and_unrelated():
    drawn = draws_for(0, [f"c{number}" for number in range(2000)], TAGS)
    clip, tag = np.repeat(np.arange(2000), 5), np.tile(np.arange(5), 2000)
    one, other = (drawn.of_labels(purpose, clip, tag) for purpose in ("one", "other"))
    assert (one >= 0).all()
    assert (one < 1).all()
    # Ten bins of 1000 with a deviation of 30; correlations of 10,000 with one of .01.
    assert np.abs(np.histogram(one, 10, (0, 1))[0] - 1000).max() < 150
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    by_clip = one.reshape(2000, 5)
    assert np.abs(np.corrcoef(by_clip.T) - np.eye(5)).max() < 0.12
    assert abs(np.corrcoef(by_clip[:-1, 0], by_clip[1:, 0])[0, 1]) < 0.12


def test_wrong_tags_are_uniform_over_those_that_the_clip_lacks():
    rows = [(clip, "Dog") for clip in range(60)]
    made = [planted(seed, rows, wrong_rate=1.0) for seed in range(10)]
    counts = Counter(tag for one in made for tag in mistaken(one).values())
    assert set(counts) == set(TAGS) - {"Dog"}
    # 600 draws of four tags: 150 each, with a deviation of 11.
    assert all(abs(count - 150) < 50 for count in counts.values())


def test_tags_that_nobody_was_asked_about_are_not_given(tmp_path):
    source = make(
        tmp_path / "source", clip_table(40), [(clip, "Dog") for clip in range(40)], not_annotated=["Rain", "Horn"]
    )
    corrupt(source, tmp_path / "out", CorruptSettings(wrong_rate=1.0))
    made = open_dataset(tmp_path / "out")
    assert {tag for _, tag, *_ in said(made, "given")} == {"Animal", "Cat"}
    assert made.about["not_annotated"] == ["Rain", "Horn"]


def test_missing_and_wrong_labels_share_what_there_is():
    rows = [(clip, "Dog") for clip in range(60)]
    made = planted(rows=rows, missing_rate=0.5, wrong_rate=0.5)
    assert (made.faults.missing | made.faults.wrong).all()
    assert not (made.faults.missing & made.faults.wrong).any()
    with pytest.raises(InputError, match=r"wrong_rate=0.6 must find 36 labels that are not missing .* found 30; lower"):
        planted(rows=rows, missing_rate=0.5, wrong_rate=0.6)


def test_parents_and_children_miss(tmp_path):
    (tmp_path / "kinds.csv").write_text("parent,child\nAnimal,Dog\nAnimal,Cat\n")
    ontology = read_ontology(tmp_path / "kinds.csv")
    rows = [(0, "Animal"), (0, "Dog"), (1, "Animal"), (2, "Cat"), (2, "Rain"), (3, "Animal"), (3, "Cat"), (3, "Dog")]
    source = make(tmp_path / "source", clip_table(4), rows)
    for missing_from, expected in (
        ("parents", {("c0", "Animal"), ("c3", "Animal")}),
        ("children", {("c0", "Dog"), ("c3", "Cat"), ("c3", "Dog")}),
    ):
        chosen = CorruptSettings(missing_rate=1.0, missing_from=missing_from)
        summary = corrupt(source, tmp_path / missing_from, chosen, ontology=ontology)
        made = open_dataset(tmp_path / missing_from)
        assert with_source(made, "planted missing") == (expected, set())
        assert (summary.missing, summary.could_miss) == (len(expected), len(expected))


def test_ancestors_are_true_and_given(tmp_path):
    (tmp_path / "kinds.csv").write_text("parent,child\nAnimal,Dog\nAnimal,Cat\nSound,Animal\n")
    source = make(tmp_path / "source", clip_table(3), [(0, "Dog"), (1, "Rain"), (2, "Cat")], ("Cat", "Dog", "Rain"))
    ontology = read_ontology(tmp_path / "kinds.csv")
    summary = corrupt(
        source, tmp_path / "out", CorruptSettings(add_ancestors=True, missing_by_tag={"Sound": 1}), ontology=ontology
    )
    made = open_dataset(tmp_path / "out")
    assert made.vocabulary.tags == ("Cat", "Dog", "Rain", "Animal", "Sound")
    true = {("c0", "Dog"), ("c0", "Animal"), ("c1", "Rain"), ("c2", "Cat"), ("c2", "Animal")}
    assert {row[:2] for row in said(made, "given")} == true
    assert {row[:2] for row in said(made, "truth")} == true | {("c0", "Sound"), ("c2", "Sound")}
    assert (summary.labels_added, summary.tags_added, summary.missing) == (4, 2, 2)


def test_added_ancestors_can_be_given_wrongly(tmp_path):
    (tmp_path / "kinds.csv").write_text("parent,child\nAnimal,Dog\n")
    source = make(tmp_path / "source", clip_table(3), [(clip, "Rain") for clip in range(3)], ("Dog", "Rain"),
                  not_annotated=["Dog"])  # fmt: skip
    chosen = CorruptSettings(add_ancestors=True, wrong_rate=1)
    corrupt(source, tmp_path / "out", chosen, ontology=read_ontology(tmp_path / "kinds.csv"))
    assert {row[1] for row in said(open_dataset(tmp_path / "out"), "given")} == {"Animal"}


def test_events_lose_their_times_to_the_truth(tmp_path):
    rows = [(0, "Dog", 0.0, 1.0, 0.5), (0, "Dog", 2.0, 3.0, 0.75), (0, "Cat", 0.0, 1.0, 1.0), (0, "Cat"), (0, "Rain")]
    rows += [(1, "Dog", 1.0, 2.0, 1.0), (2, "Horn")]
    clips = clip_table(4, labelled=["strong", "none", "weak", "strong"], split=["test", None, None, None])
    source = make(tmp_path / "source", clips, rows)
    summary = corrupt(source, tmp_path / "out", CorruptSettings(weak=True, keep_splits=["test"]))
    made = open_dataset(tmp_path / "out")
    assert made.column("labelled").tolist() == ["weak", "none", "weak", "weak"]
    weak = {("c0", "Dog", -1, -1, 0.75), ("c0", "Cat", -1, -1, 1), ("c0", "Rain", -1, -1, 1), ("c2", "Horn", -1, -1, 1)}
    assert said(made, "given") == weak | {("c1", "Dog", 1.0, 2.0, 1.0)}
    assert said(made, "truth") == said(source, "given")
    # A label that had no times lost none: Rain is not planted.
    assert with_source(made, "planted weak") == ({("c0", "Dog"), ("c0", "Cat")}, {("c0", "Dog")})
    assert (summary.weakened, summary.untimed) == (2, 2)


def test_a_wrong_label_of_a_strong_clip_keeps_its_times_and_value(tmp_path):
    rows = [(0, "Dog", 0.0, 1.0, 0.5), (0, "Dog", 2.0, 3.0, 1.0)]
    source = make(tmp_path / "source", clip_table(1, labelled=["strong"]), rows)
    corrupt(source, tmp_path / "out", CorruptSettings(wrong_rate=1, wrong_pairs={"Dog": ["Horn"]}))
    made = open_dataset(tmp_path / "out")
    assert said(made, "given") == {("c0", "Horn", 0.0, 1.0, 0.5), ("c0", "Horn", 2.0, 3.0, 1.0)}
    assert with_source(made, "planted wrong") == ({("c0", "Dog")}, {("c0", "Horn")})
    assert said(made, "truth") == said(source, "given")


def test_verified_and_kept_clips_stay_right(tmp_path):
    fold = [1 + number % 4 for number in range(100)]
    split = ["test" if number < 10 else "train" for number in range(100)]
    source = single_tags(tmp_path / "source", fold=fold, split=split)
    chosen = CorruptSettings(
        missing_rate=0.5, wrong_rate=0.5, verified_share=0.25, keep_folds=[4], keep_splits=["test"]
    )
    summary = corrupt(source, tmp_path / "out", chosen)
    made = open_dataset(tmp_path / "out")
    verified = made.column("verified")
    kept = (np.array(fold) == 4) | (np.array(split) == "test")
    assert (verified[kept] == -1).all()
    assert (verified == 1).sum() == share_of(int((~kept).sum()), 0.25) == summary.verified
    right = {f"c{number}" for number in np.flatnonzero(kept | (verified == 1))}
    changed = {row[0] for row in said(made, "given") ^ said(source, "given")}
    assert changed == {f"c{number}" for number in range(100)} - right
    assert summary.left_alone == kept.sum() == 33


def test_a_source_s_verified_clips_stay_right_unless_a_share_is_drawn(tmp_path):
    source = single_tags(tmp_path / "source", verified=[True, False] * 50)
    summary = corrupt(source, tmp_path / "out", CorruptSettings(missing_rate=1))
    assert {row[0] for row in said(open_dataset(tmp_path / "out"), "given")} == {f"c{n}" for n in range(0, 100, 2)}
    assert (summary.missing, summary.could_miss, summary.verified, summary.left_alone) == (50, 50, 50, 0)
    summary = corrupt(source, tmp_path / "none", CorruptSettings(missing_rate=1, verified_share=0))
    assert summary.missing == 100


def test_a_long_tail_of_single_tags_is_exact(tmp_path):
    source = single_tags(tmp_path / "source", per_tag=81, fold=[1] * 400 + [2] * 5)
    summary = corrupt(source, tmp_path / "out", CorruptSettings(imbalance=81, keep_folds=[2]), seed=3)
    made = open_dataset(tmp_path / "out")
    # 80 clips of each tag may be dropped: 80, 27, 9, 3, 1 by powers of 3, rounded; five are kept.
    assert sorted(made.labels().counts().tolist()) == [2, 4, 10, 28, 81]
    dropped = read_clips(made.folder / "dropped.csv")
    assert summary.dropped == dropped.num_rows == 405 - made.num_clips
    assert set(dropped["clip"].to_pylist()) == set(source.column("clip")) - set(made.column("clip"))
    assert (
        said(made, "given")
        == said(made, "truth")
        == {row for row in said(source, "given") if row[0] in made.column("clip")}
    )
    tail = made.about["import"]["tail"]
    assert {tuple(counts.values()) for counts in tail.values()} == {(count, count) for count in (80, 27, 9, 3, 1)}
    # As all tags are as frequent, the seed says which becomes rare.
    made = [corrupt(source, tmp_path / f"with{seed}", CorruptSettings(imbalance=9), seed=seed) for seed in range(3)]
    orders = {tuple(summary.tail[tag]["reached"] for tag in TAGS) for summary in made}
    assert len(orders) > 1


def test_what_has_a_long_tail_already_is_thinned_little(tmp_path):
    counts = {"Rain": 80, "Dog": 28, "Animal": 9, "Horn": 3, "Cat": 1}
    tags = [tag for tag, count in counts.items() for _ in range(count)]
    source = make(tmp_path / "source", clip_table(len(tags)), list(enumerate(tags)))
    for seed in range(5):
        summary = corrupt(source, tmp_path / f"out{seed}", CorruptSettings(imbalance=81), seed=seed)
        # 80, 27, 9, 3, 1 by powers of 3, rounded.
        assert summary.dropped == 1
        assert {tag: numbers["reached"] for tag, numbers in summary.tail.items()} == counts | {"Dog": 27}
    made = corrupt(source, tmp_path / "steeper", CorruptSettings(imbalance=1000))
    reached = [made.tail[tag]["reached"] for tag in counts]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] == 80


@settings(max_examples=100)
@given(st.lists(st.sets(st.integers(0, 4), max_size=3), min_size=1, max_size=40), st.sampled_from([2.0, 10.0]))
def test_no_single_clip_s_drop_brings_a_long_tail_nearer(tags_of_clips, ratio):
    pair = np.array([[clip, tag] for clip, tags in enumerate(tags_of_clips) for tag in sorted(tags)], np.int64)
    clip, tag = pair.reshape(-1, 2).T
    weak = np.full(len(clip), WEAK)
    labels = labels_of(Statements(clip, tag.astype(np.int32), weak, weak, np.ones(len(clip), np.float32)), 5)
    draw = np.random.default_rng(0).random(len(tags_of_clips))
    droppable = np.arange(len(tags_of_clips)) % 5 > 0
    tail = long_tail(labels, droppable, ratio, draw, draw[:5] if len(draw) >= 5 else np.arange(5) / 5)
    assert not tail.dropped[~droppable].any()
    present = tail.asked > 0
    counts = np.zeros(5, np.int64)
    for number in np.flatnonzero(droppable & ~tail.dropped):
        counts[list(tags_of_clips[number])] += 1
    assert counts.tolist() == tail.reached.tolist()
    if not present.any():
        assert not tail.dropped.any()
        return
    assert (counts[present] >= tail.asked[present].min()).all()

    def distance(of):
        return (np.abs(of - tail.asked)[present] / tail.asked[present]).sum()

    for number in np.flatnonzero(droppable):
        tags = list(tags_of_clips[number])
        if tail.dropped[number]:
            assert tags
        elif tags:
            without = counts.copy()
            without[tags] -= 1
            assert distance(without) > distance(counts) - 1e-9 or without[tags].min() < tail.asked[present].min()


def test_a_long_tail_drops_clips_of_the_rare_tag_alone_first():
    tags_of_clips = [[0]] * 5 + [[0, 1]] * 5 + [[1]] * 5
    clip, tag = np.array([(clip, tag) for clip, tags in enumerate(tags_of_clips) for tag in tags]).T
    weak = np.full(len(clip), WEAK)
    labels = labels_of(Statements(clip, tag.astype(np.int32), weak, weak, np.ones(len(clip), np.float32)), 2)
    tail = long_tail(labels, np.ones(15, np.bool_), 2, np.arange(15) / 15, np.array([0.1, 0.2]))
    assert tail.asked.tolist() == tail.reached.tolist() == [10, 5]
    assert np.flatnonzero(tail.dropped).tolist() == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("tables", ["parquet", "csv"])
def test_same_seed_same_bytes(tmp_path, tables):
    source = make(tmp_path / "source", clip_table(60), MANY, tables=tables)
    chosen = CorruptSettings(missing_rate=0.2, wrong_rate=0.2, verified_share=0.2, imbalance=2)
    for name, seed in (("one", 4), ("same", 4), ("other", 5)):
        corrupt(source, tmp_path / name, chosen, seed=seed)
    files = ["dropped.csv", "vocabulary.json", f"clips.{tables}", f"labels/given.{tables}", f"labels/truth.{tables}"]

    def content(name):
        return [(tmp_path / name / file).read_bytes() for file in files]

    assert content("one") == content("same")
    assert [a == b for a, b in zip(content("one"), content("other"), strict=True)] == [False, True, False, False, False]
    abouts = [json.loads((tmp_path / name / "dataset.json").read_text()) for name in ("one", "same")]
    for about in abouts:
        del about["created"], about["name"]
    assert abouts[0] == abouts[1]


def test_the_data_set_made_says_how_it_was_made(tmp_path):
    problems = [problem_of("missing", "x.wav", "x"), problem_of("clipped", "c1.wav", "c1")]
    source = make(tmp_path / "source", clip_table(60), MANY, problems=problems)
    summary = corrupt(source, tmp_path / "out", CorruptSettings(missing_rate=0.25), seed=7)
    made = open_dataset(tmp_path / "out")
    about = made.about["import"]
    assert (about["made_by"], about["seed"], about["settings"]["missing_rate"]) == ("corrupt", 7, 0.25)
    assert about["source"]["digest"] == source.digest
    assert about["source"]["labels_digest"] == source.labels().digest
    assert about["missing"] == 30
    assert about["notes"] == ["missing: 30 of 120 labels that can be"]
    assert sum(counts["given"] for counts in about["by_tag"].values()) == 90 == made.labels().counts().sum()
    assert made.problems() == [problems[1]]
    assert not (made.folder / "dropped.csv").exists()
    assert "missing: 30 of 120 labels that can be" in summary.lines()
    assert f"{tmp_path / 'out'}: 60 clips of source, 5 tags" in summary.lines()
    assert any(line.startswith("truth: layer truth") for line in describe_dataset(made))


def test_what_was_asked_for_and_came_to_nothing_is_told(tmp_path):
    source = single_tags(tmp_path / "source", per_tag=4)
    chosen = CorruptSettings(missing_rate=0.01, wrong_rate=0.02, verified_share=0.01)
    lines = corrupt(source, tmp_path / "out", chosen).lines()
    assert "missing: 0 of 20 labels that can be" in lines
    assert "wrong: 0 of 20 labels that can be" in lines
    assert "verified: 0 of 20 clips, without missing or wrong labels" in lines
    lines = corrupt(source, tmp_path / "dogs", CorruptSettings(missing_by_tag={"Dog": 0.1, "Cat": 0})).lines()
    assert "missing: 0 of 4 labels that can be" in lines
    assert not any(line.startswith(("wrong: ", "verified: ", "weak: ", "ancestors: ", "no node: ")) for line in lines)


def test_tags_without_a_node_are_named(tmp_path):
    (tmp_path / "kinds.csv").write_text("parent,child\nAnimal,Dog\nAnimal,Cat\n")
    ontology = read_ontology(tmp_path / "kinds.csv")
    source = make(tmp_path / "source", clip_table(2), [(0, "Dog"), (0, "Animal"), (1, "Rain")])
    for name, asked in (
        ("ancestors", {"add_ancestors": True}),
        ("parents", {"missing_rate": 1, "missing_from": "parents"}),
    ):
        summary = corrupt(source, tmp_path / name, CorruptSettings(**asked), ontology=ontology)
        assert "no node: 2 tags: Horn, Rain" in summary.lines()
        about = open_dataset(tmp_path / name).about["import"]
        assert about["no_node"] == ["Horn", "Rain"]
        assert "no node: 2 tags: Horn, Rain" in about["notes"]
    summary = corrupt(source, tmp_path / "plain", CorruptSettings(missing_rate=1))
    assert not any(line.startswith("no node") for line in summary.lines())


def test_an_ontology_that_knows_no_tag_or_that_nobody_reads_is_refused(tmp_path):
    (tmp_path / "kinds.csv").write_text("parent,child\nTool,Saw\n")
    ontology = read_ontology(tmp_path / "kinds.csv")
    source = make(tmp_path / "source", clip_table(1), [(0, "Dog")])
    for asked in ({"add_ancestors": True}, {"missing_rate": 1, "missing_from": "children"}):
        with pytest.raises(InputError) as caught:
            corrupt(source, tmp_path / "out", CorruptSettings(**asked), ontology=ontology)
        assert str(caught.value) == (
            f"{source.folder}: the ontology must have a node for one of 5 tags, found none (first: Animal, Cat, Dog, "
            "Horn, Rain); give another ontology"
        )
    # One without nodes is not taken for none given.
    with pytest.raises(InputError, match="must have a node for one of 5 tags"):
        corrupt(source, tmp_path / "out", CorruptSettings(add_ancestors=True), ontology=Ontology((), (), ()))
    with pytest.raises(
        InputError, match=r"^an ontology is read with add_ancestors or missing_from only; leave it out$"
    ):
        corrupt(source, tmp_path / "out", CorruptSettings(missing_rate=1), ontology=ontology)
    assert not (tmp_path / "out").exists()


def test_a_truth_layer_that_is_taken_as_true_is_told(tmp_path):
    source = make(tmp_path / "source", clip_table(2), [(0, "Dog"), (1, "Cat")])
    corrupt(source, tmp_path / "one", CorruptSettings(missing_rate=1))
    line = "taken as true: layer truth, itself the truth about planted faults"
    for layer, told in (("truth", True), ("given", False)):
        summary = corrupt(
            open_dataset(tmp_path / "one"), tmp_path / layer, CorruptSettings(add_ancestors=True), layer=layer
        )
        assert (line in summary.lines()) == told
        about = open_dataset(tmp_path / layer).about["import"]
        assert (line in about["notes"]) == about["source"]["is_truth"] == told


def test_a_layer_s_truth_may_be_any_layer(tmp_path):
    source = make(tmp_path / "source", clip_table(2), [(0, "Dog"), (1, "Cat")])
    write_layer(source, "corrected", label_table([(1, "Rain")]))
    corrupt(source, tmp_path / "out", CorruptSettings(missing_rate=1), layer="corrected")
    made = open_dataset(tmp_path / "out")
    assert said(made, "given") == set()
    assert {row[:2] for row in said(made, "truth")} == {("c0", "Dog"), ("c1", "Cat"), ("c1", "Rain")}


def test_recipes_refuse_the_truth(tmp_path):
    corrupt(single_tags(tmp_path / "source"), tmp_path / "out", CorruptSettings(wrong_rate=0.5))
    request = Request(open_dataset(tmp_path / "out"), tmp_path / "run", layer="truth")
    with pytest.raises(InputError, match="is the truth about planted faults and nothing learns from it") as caught:
        run_recipe(find_recipe("baseline"), request, {})
    assert "earmark evaluate --labels truth" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"missing_by_tag": {"Dgo": 0.5}}, 'missing_by_tag: tag must be in the vocabulary of 5, got "Dgo"'),
        ({"wrong_rate": 0.5, "wrong_pairs": {"Dog": ["Fog"]}}, 'wrong_pairs: tag must be in the vocabulary of 5'),
        ({"wrong_rate": 1, "keep_folds": [3]}, "keep_folds must name folds of the data set (1, 2), got 3"),
        ({"wrong_rate": 1, "keep_splits": ["test"]}, "keep_splits must name splits of the data set (none), got test"),
        ({"missing_rate": 0.5, "keep_folds": [1, 2]}, "must find labels that can get the fault, found none of 20"),
        ({"wrong_rate": 0.5, "verified_share": 1}, "wrong_rate must find labels that can get the fault"),
        ({"imbalance": 5, "keep_folds": [1, 2]}, "imbalance=5 must find two tags or more"),
        ({"weak": True}, "weak must find clips labelled strong, found none of 20; leave it out"),
        (
            {"wrong_rate": 0.5, "keep_folds": [1, 2], "verified_share": 0.5},
            "verified_share must find clips that can be verified, found none of 20",
        ),
        *(
            (nothing, "corrupt must be asked for at least one fault, got none; see earmark corrupt --show")
            for nothing in (
                {},
                {"verified_share": 0.5},
                {"keep_folds": [1]},
                {"missing_rate": 0},
                {"missing_by_tag": {"Dog": 0}},
                {"imbalance": 1, "weak": False},
            )
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_planted_is_refused_and_leaves_nothing(tmp_path, chosen, message):
    source = single_tags(tmp_path / "source", per_tag=4, fold=[1, 2] * 10)
    with pytest.raises(InputError) as caught:
        corrupt(source, tmp_path / "out", CorruptSettings(**chosen))
    assert message in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_folder_that_is_taken_is_refused(tmp_path):
    source = single_tags(tmp_path / "source", per_tag=1)
    corrupt(source, tmp_path / "out", CorruptSettings(wrong_rate=1))
    before = (tmp_path / "out" / "dataset.json").read_bytes()
    with pytest.raises(InputError, match="must be a folder that is not there yet"):
        corrupt(source, tmp_path / "out", CorruptSettings(wrong_rate=1))
    assert (tmp_path / "out" / "dataset.json").read_bytes() == before


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"missing_from": "parents"}, "missing_from is read with missing_rate or missing_by_tag only"),
        ({"wrong_pairs": {"Dog": ["Cat"]}}, "wrong_pairs is read with wrong_rate only"),
        ({"wrong_rate": 0.5, "wrong_pairs": {"Dog": ["Dog"]}}, 'wrong_pairs must give "Dog" other tags, each once'),
        ({"wrong_rate": 1.5}, '"wrong_rate" in corrupt'),
        ({"missing_by_tag": {"Dog": 2}}, '"missing_by_tag" in corrupt'),
        ({"imbalance": 0.5}, '"imbalance" in corrupt'),
    ],
)
def test_settings_that_are_refused(chosen, message):
    with pytest.raises(InputError) as caught:
        settings_from(CorruptSettings, chosen, where="corrupt")
    assert message in str(caught.value)


def test_an_empty_data_set_stays_empty(tmp_path):
    source = make(tmp_path / "source", clip_table(2, labelled=["strong"] * 2), [])
    summary = corrupt(source, tmp_path / "out", CorruptSettings(weak=True))
    assert said(open_dataset(tmp_path / "out"), "truth") == set()
    assert summary.missing == summary.wrong == 0


def test_a_half_is_rounded_up_as_it_is_written():
    assert [share_of(number, rate) for number, rate in ((3, 0.5), (10, 0.15), (100, 0.285), (7, 0), (7, 1))] == [
        2, 2, 29, 0, 7
    ]  # fmt: skip
