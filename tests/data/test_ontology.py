"""Ontologies against a plain oracle on random graphs, AudioSet's against what is published of it, and labels."""

import csv
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.ontology import (
    Ontology,
    audioset_ontology,
    ontology_of,
    read_ontology,
    tag_nodes,
    with_ancestors,
)
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from tests.conftest import REPOSITORY

# pet has dog and cat, both growl; "thing" only groups; "hum" was not asked for.
PETS = Ontology(
    ids=("t", "p", "d", "c", "g", "h"),
    names=("Thing", "Pet", "Dog", "Cat", "Growl", "Hum"),
    children=((1,), (2, 3), (4,), (4, 5), (), ()),
    abstract=frozenset({0}),
    blacklisted=frozenset({5}),
)

ESC50 = """
dog rooster pig cow frog cat hen insects sheep crow rain sea_waves crackling_fire crickets chirping_birds
water_drops wind pouring_water toilet_flush thunderstorm crying_baby sneezing clapping breathing coughing footsteps
laughing brushing_teeth snoring drinking_sipping door_wood_knock mouse_click keyboard_typing door_wood_creaks
can_opening washing_machine vacuum_cleaner clock_alarm clock_tick glass_breaking helicopter chainsaw siren car_horn
engine train church_bells airplane fireworks hand_saw
"""

ESC10 = {
    "Dog bark": ("Bark", {"Dog", "Domestic animals, pets", "Animal"}),
    "Rain": ("Rain", {"Water", "Natural sounds"}),
    "Sea waves": ("Waves, surf", {"Ocean", "Water", "Natural sounds"}),
    "Baby cry": ("Baby cry, infant cry", {"Crying, sobbing", "Human voice", "Human sounds"}),
    "Clock tick": ("Tick-tock", {"Clock", "Mechanisms", "Sounds of things"}),
    "Person sneeze": ("Sneeze", {"Respiratory sounds", "Human sounds"}),
    "Helicopter": ("Helicopter", {"Aircraft", "Vehicle", "Sounds of things"}),
    "Chainsaw": ("Chainsaw", {"Light engine (high frequency)", "Engine", "Sounds of things"}),
    "Rooster": (
        "Crowing, cock-a-doodle-doo",
        {"Chicken, rooster", "Fowl", "Livestock, farm animals, working animals", "Animal"},
    ),
    "Fire crackling": ("Crackle", {"Fire", "Natural sounds", "Onomatopoeia", "Source-ambiguous sounds"}),
}


@st.composite
def ontologies(draw: st.DrawFn) -> Ontology:
    """Any graph without loops, its nodes in any order."""
    size = draw(st.integers(1, 9))
    order = draw(st.permutations(range(size)))
    children: list[tuple[int, ...]] = [()] * size
    for place, node in enumerate(order):
        later = order[place + 1 :]
        children[node] = tuple(draw(st.lists(st.sampled_from(later), unique=True, max_size=3))) if later else ()
    nodes = st.frozensets(st.integers(0, size - 1))
    names = tuple(f"n{node}" for node in range(size))
    return Ontology(names, names, tuple(children), draw(nodes), draw(nodes))


def above_by_walking(ontology: Ontology, node: int, pass_abstract: bool) -> set[int]:
    """Every node met on the way up, one path at a time."""
    found = set()
    for parent in range(len(ontology)):
        if node in ontology.children[parent]:
            found.add(parent)
            if pass_abstract or parent not in ontology.abstract:
                found |= above_by_walking(ontology, parent, pass_abstract)
    return found


@given(ontologies())
def test_relations_are_those_found_by_walking_every_path(ontology):
    size = len(ontology)
    above = [above_by_walking(ontology, node, pass_abstract=True) for node in range(size)]
    near = [above_by_walking(ontology, node, pass_abstract=False) for node in range(size)]
    assert [set(nodes) for nodes in ontology.ancestors] == above
    assert [set(nodes) for nodes in ontology.ancestors_up_to_abstract] == near
    assert [set(nodes) for nodes in ontology.descendants] == [
        {b for b in range(size) if n in above[b]} for n in range(size)
    ]
    tags = list(range(size))[::-1][: max(1, size - 2)]
    nodes = tag_nodes(Vocabulary(tuple(ontology.ids[node] for node in tags)), ontology)
    for i, one in enumerate(tags):
        for j, other in enumerate(tags):
            assert nodes.children[i, j] == (other in ontology.children[one])
            assert nodes.ancestors[i, j] == (other in above[one])
            assert nodes.ancestors_up_to_abstract[i, j] == (other in near[one])
            shared = set(ontology.parents[one]) & set(ontology.parents[other])
            related = one == other or one in above[other] or other in above[one]
            assert nodes.siblings[i, j] == (bool(shared) and not related)


def test_a_walk_ends_at_an_abstract_node_but_may_begin_at_one():
    chain = Ontology(tuple("abcd"), tuple("abcd"), ((1,), (2,), (3,), ()), abstract=frozenset({1}))
    assert chain.ancestors[3] == {0, 1, 2}
    assert chain.ancestors_up_to_abstract[3] == {1, 2}
    assert chain.ancestors_up_to_abstract[1] == {0}


def test_audioset_is_what_was_published():
    ontology = audioset_ontology()
    assert audioset_ontology() is ontology
    assert (len(ontology), len(ontology.abstract), len(ontology.blacklisted)) == (632, 23, 67)
    assert [ontology.names[node] for node in sorted(ontology.abstract & ontology.blacklisted)] == ["Musical concepts"]
    roots = {ontology.names[node] for node, parents in enumerate(ontology.parents) if not parents}
    assert roots == {"Human sounds", "Animal", "Music", "Natural sounds", "Sounds of things", "Source-ambiguous sounds",
                     "Channel, environment and background"}  # fmt: skip
    growling = ontology.by_name["Growling"][0]
    assert {ontology.names[node] for node in ontology.parents[growling]} == {
        "Dog", "Cat", "Roaring cats (lions, tigers)", "Canidae, dogs, wolves"}  # fmt: skip
    assert sum(map(len, ontology.children)) == sum(map(len, ontology.parents)) == 670
    with pytest.raises(InputError, match=r'632 nodes must have the id, got "/m/0bt9lx"; did you mean "/m/'):
        ontology.index("/m/0bt9lx")


def test_every_tag_of_esc10_has_its_node():
    ontology, vocabulary = audioset_ontology(), Vocabulary(tuple(ESC10))
    nodes = tag_nodes(vocabulary, ontology)
    assert nodes.unknown == ()
    found = {
        tag: (ontology.names[node], {ontology.names[ancestor] for ancestor in ontology.ancestors[node]})
        for tag, node in zip(vocabulary, nodes.node, strict=True)
    }
    assert found == ESC10
    assert not nodes.ancestors.any()


def test_the_bundled_recordings_have_the_tags_of_esc10():
    folders = {path.name.split(" - ")[1] for path in (REPOSITORY / "data" / "esc10").iterdir() if path.is_dir()}
    assert folders == set(ESC10)


def test_three_categories_of_esc50_have_no_node_and_three_imply_another():
    vocabulary = Vocabulary(tuple(ESC50.split()))
    nodes = tag_nodes(vocabulary, audioset_ontology())
    assert len(vocabulary) == 50
    assert nodes.unknown == ("drinking_sipping", "can_opening", "washing_machine")
    assert len(nodes.tags_of) == 47
    implied = {(vocabulary.tags[i], vocabulary.tags[j]) for i, j in np.argwhere(nodes.ancestors)}
    assert implied == {("crickets", "insects"), ("snoring", "breathing"), ("chainsaw", "engine")}
    assert nodes.siblings[vocabulary.index("rooster"), vocabulary.index("hen")]


def test_the_list_of_names_holds_only_what_no_node_is_called():
    ontology = audioset_ontology()
    path = REPOSITORY / "earmark" / "data" / "ontologies" / "names.csv"
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert [row["name"] for row in rows] == sorted({row["name"] for row in rows})
    alone = Ontology(ontology.names, ontology.names, ((),) * len(ontology))
    assert len(tag_nodes(Vocabulary(tuple(row["name"] for row in rows)), alone).unknown) == len(rows)
    assert all(row["id"] in ontology for row in rows)


def test_tags_are_found_as_other_data_sets_write_them():
    written = {
        "Bark": "Bark",
        "dog": "Dog",
        "Crowing_and_cock-a-doodle-doo": "Crowing, cock-a-doodle-doo",
        "Bee_and_wasp_and_etc.": "Bee, wasp, etc.",
        "Burping_or_eructation": "Burping, eructation",
        "Drawer_open_or_close": "Drawer open or close",
        "Dishes_and_pots_and_pans": "Dishes, pots, and pans",
        "Sink_(filling_or_washing)": "Sink (filling or washing)",
        "/m/06mb1": "Rain",
        "FRYING": "Frying (food)",
    }
    nodes = tag_nodes(Vocabulary((*written, "Alarm_bell_ringing")), audioset_ontology())
    assert [audioset_ontology().names[node] for node in nodes.node[:-1]] == list(written.values())
    assert nodes.node[-1] == -1
    assert nodes.unknown == ("Alarm_bell_ringing",)


def test_every_name_is_found_as_fsd50k_writes_it_and_no_two_become_one():
    ontology = audioset_ontology()
    written = tuple(name.replace(", and ", ", ").replace(", ", "_and_").replace(" ", "_") for name in ontology.names)
    assert tag_nodes(Vocabulary(written), ontology).node.tolist() == list(range(632))


def test_ids_go_before_names_and_names_of_several_nodes_are_not_guessed():
    ontology = Ontology(("1", "2", "3", "4", "5"), ("Bat", "Bat", "Dog", "Car, van", "car_van"), ((),) * 5)
    nodes = tag_nodes(Vocabulary(("Dog", "Bat", "CAR VAN", "Car, van", "Owl"), ("2", "x", "y", "z", "w")), ontology)
    assert nodes.node.tolist() == [1, -1, -1, 3, -1]
    assert nodes.unknown == ("Bat", "CAR VAN", "Owl")


# Reading


def node(node_id: object = "a", name: object = "A", **more: object) -> dict[str, object]:
    return {"id": node_id, "name": name, "child_ids": [], **more}


def test_a_table_of_parents_and_children_is_an_ontology(tmp_path):
    path = tmp_path / "birds.csv"
    path.write_text('parent,child\nBird,"Owl, small"\nNight,"Owl, small"\nBird,Crow\n,Rain\nBird,Crow\n')
    ontology = read_ontology(path)
    assert ontology.ids == ontology.names == ("Bird", "Owl, small", "Night", "Crow", "Rain")
    assert ontology.children == ((1, 3), (), (1,), (), ())
    assert [sorted(nodes) for nodes in ontology.ancestors] == [[], [0, 2], [], [0], []]
    path.with_suffix(".tsv").write_text("parent_id\tchild_id\nBird\tOwl\n")
    assert read_ontology(path.with_suffix(".tsv")).children == ((1,), ())


def test_json_as_audiosets_is_an_ontology(tmp_path):
    path = tmp_path / "o.json"
    path.write_text(
        json.dumps([node(child_ids=["b", "b"], restrictions=["abstract"]), node("b", "B", description="x")])
    )
    assert read_ontology(path) == Ontology(("a", "b"), ("A", "B"), ((1,), ()), abstract=frozenset({0}))
    assert ontology_of(path) == read_ontology(path)
    assert ontology_of(None) is audioset_ontology()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([], "an ontology must be a list of nodes"),
        ({"id": "a"}, "an ontology must be a list of nodes"),
        ([node(), 3], "node 2 has not"),
        ([node(1)], "node 1 has not"),
        ([node(name="")], "node 1 has not"),
        ([{"id": "a", "name": "A"}], "node 1 has not"),
        ([node(child_ids="b")], "node 1 has not"),
        ([node(restrictions=None)], "node 1 has not"),
        ([node(), node()], 'every node once, found "a" 2 times'),
        ([node(child_ids=["b"])], 'child_ids must name nodes, found "b" under "a", which is none$'),
        ([node(child_ids=["b", "c"])], 'found "b" under "a", which is none; 2 such ids: b, c$'),
        ([node(child_ids=["a"])], "no loop, found a -> a; a node cannot be below itself"),
        ([node(child_ids=["b"]), node("b", "B", child_ids=["a"])], "no loop, found a -> b -> a;"),
    ],
)
def test_what_is_no_ontology_is_said_in_one_line(tmp_path, written, said):
    path = tmp_path / "o.json"
    path.write_text(json.dumps(written))
    with pytest.raises(InputError, match=said) as caught:
        read_ontology(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("o.csv", "from,to\na,b\n", "o.csv:1: columns parent, child are required, parent, child not found"),
        ("o.csv", "parent,child,colour\na,b,c\n", 'o.csv:1: unknown column "colour"'),
        ("o.csv", "parent,child\na,\n", "o.csv:2: child must not be empty"),
        ("o.csv", "parent,child\n", "o.csv: an ontology must have at least one node"),
        ("o.csv", "parent,child\nx,a\na,b\nb,c\nc,a\nc,d\n", "o.csv: .* found a -> b -> c -> a;"),
        ("o.txt", "", 'o.txt: an ontology must be a .json, .csv, .tsv or .parquet file, got ".txt"'),
        ("o.json", "{", "o.json: an ontology must be JSON"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_ontology(tmp_path / name)


def test_a_missing_file_is_named_and_a_long_loop_is_cut_short(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read, no such file"):
        read_ontology(tmp_path / "none.json")
    path = tmp_path / "long.csv"
    path.write_text("parent,child\n" + "".join(f"n{i},n{(i + 1) % 2000}\n" for i in range(2000)))
    with pytest.raises(InputError, match=r"found n0 -> n1 -> n2 -> n3 -> n4 -> \.\.\. -> n0;"):
        read_ontology(path)


# Labels


def labels(rows: list[tuple[str, str, float | None, float | None]], values=None, sources=None) -> pa.Table:
    clip, tag, onset, offset = zip(*rows, strict=True)
    return columns_or_null(
        len(rows), LABEL_SCHEMA, clip=pa.array(clip), tag=pa.array(tag), onset=pa.array(onset, pa.float64()),
        offset=pa.array(offset, pa.float64()), value=pa.array(values or [1.0] * len(rows), pa.float32()),
        source=pa.array(sources or ["given"] * len(rows)))  # fmt: skip


def rows_of(table: pa.Table) -> list[tuple]:
    assert table.schema == LABEL_SCHEMA
    return [tuple(row[name] for name in ("clip", "tag", "onset", "offset")) for row in table.to_pylist()]


def test_weak_labels_get_those_of_all_ancestors_once():
    found, vocabulary = with_ancestors(
        labels([("b", "Growl", None, None), ("a", "Hum", None, None), ("b", "Cat", None, None)]),
        Vocabulary(("Hum", "Growl", "Cat")),
        PETS,
    )
    # Thing is abstract; Hum, though blacklisted, is a tag of the vocabulary.
    assert vocabulary == Vocabulary(("Hum", "Growl", "Cat", "Dog", "Pet"), ("h", "g", "c", "d", "p"))
    assert rows_of(found) == [
        ("b", "Growl", None, None), ("b", "Cat", None, None), ("b", "Dog", None, None), ("b", "Pet", None, None),
        ("a", "Hum", None, None), ("a", "Cat", None, None), ("a", "Pet", None, None)]  # fmt: skip
    assert set(found["source"].to_pylist()) == {"given"}


def test_abstract_and_blacklisted_nodes_are_added_where_the_vocabulary_has_them():
    found, vocabulary = with_ancestors(labels([("a", "Dog", None, None)]), Vocabulary(("Thing", "Dog")), PETS)
    assert vocabulary.tags == ("Thing", "Dog", "Pet")
    assert [row[1] for row in rows_of(found)] == ["Thing", "Dog", "Pet"]


def test_esc10_gets_the_ancestors_that_annotators_were_asked_about():
    ontology = audioset_ontology()
    _, wider = with_ancestors(LABEL_SCHEMA.empty_table(), Vocabulary(tuple(ESC10)), ontology)
    left_out = {"Natural sounds", "Sounds of things", "Human sounds", "Human voice", "Respiratory sounds",
                "Onomatopoeia", "Source-ambiguous sounds"}  # fmt: skip
    assert wider.tags == (*ESC10, *sorted(set().union(*(names for _, names in ESC10.values())) - left_out))
    assert wider.ids is not None
    assert [ontology.names[ontology.index(name)] for name in wider.ids[10:]] == list(wider.tags[10:])


def test_added_events_that_overlap_are_one_and_given_ones_of_other_tags_stay():
    found, _ = with_ancestors(
        labels(
            [
                ("a", "Dog", 0.0, 2.0),
                ("a", "Dog", 1.0, 3.0),
                ("a", "Cat", 2.5, 4.0),
                ("a", "Cat", 4.0, 5.0),
                ("a", "Pet", 4.5, 6.0),
                ("a", "Pet", 7.0, 8.0),
                ("a", "Pet", 7.5, 9.0),
                ("a", "Dog", None, None),
            ],
            sources=["one", *["two"] * 7],
        ),
        Vocabulary(("Dog", "Cat", "Pet")),
        PETS,
    )
    assert rows_of(found) == [
        ("a", "Dog", None, None), ("a", "Dog", 0.0, 2.0), ("a", "Dog", 1.0, 3.0),
        ("a", "Cat", 2.5, 4.0), ("a", "Cat", 4.0, 5.0),
        ("a", "Pet", None, None), ("a", "Pet", 0.0, 4.0), ("a", "Pet", 4.0, 6.0),
        ("a", "Pet", 7.0, 8.0), ("a", "Pet", 7.5, 9.0)]  # fmt: skip
    assert found["source"].to_pylist() == ["two", "one", *["two"] * 4, "one", *["two"] * 3]


def test_the_greatest_value_holds_and_0_says_nothing_of_ancestors():
    given_labels = labels(
        [("a", "Dog", None, None), ("a", "Cat", None, None), ("b", "Dog", None, None), ("b", "Pet", None, None)],
        values=[0.25, 0.75, 0.0, 0.5],
    )
    found, _ = with_ancestors(given_labels, Vocabulary(("Dog", "Cat", "Pet")), PETS)
    assert [(row["clip"], row["tag"], row["value"]) for row in found.to_pylist()] == [
        ("a", "Dog", 0.25), ("a", "Cat", 0.75), ("a", "Pet", 0.75), ("b", "Dog", 0.0), ("b", "Pet", 0.5)]  # fmt: skip


def test_new_tags_do_not_take_the_name_of_another_and_ids_are_kept():
    ontology = Ontology(("1", "2", "3", "4"), ("Bell", "Door", "Bell", "Ring"), ((1,), (3,), (), ()))
    vocabulary = Vocabulary(("Ring", "Bell"), ("4", "own"))
    found, wider = with_ancestors(labels([("a", "Ring", None, None)]), vocabulary, ontology)
    assert wider == Vocabulary(("Ring", "Bell", "Bell (1)", "Door"), ("4", "own", "1", "2"))
    assert [row[1] for row in rows_of(found)] == ["Ring", "Bell (1)", "Door"]


def test_without_a_node_for_every_tag_there_are_no_ids():
    found, wider = with_ancestors(labels([("a", "Owl", None, None)]), Vocabulary(("Dog", "Owl")), PETS)
    assert wider == Vocabulary(("Dog", "Owl", "Pet"))
    assert rows_of(found) == [("a", "Owl", None, None)]
    assert with_ancestors(labels([("a", "dog", None, None)]), Vocabulary(("Dog", "dog")), PETS)[1].ids is None


def test_no_labels_give_none_and_an_unknown_tag_is_refused():
    found, wider = with_ancestors(LABEL_SCHEMA.empty_table(), Vocabulary(("Growl",)), PETS)
    assert (found.num_rows, wider.tags) == (0, ("Growl", "Cat", "Dog", "Pet"))
    with pytest.raises(InputError, match=r'vocabulary of 1, got "Growll"; did you mean "Growl"\?'):
        with_ancestors(labels([("a", "Growll", None, None)]), Vocabulary(("Growl",)), PETS)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[pa.Table, Vocabulary, Ontology]:
    ontology = draw(ontologies())
    tags = draw(st.lists(st.sampled_from(ontology.ids), unique=True, min_size=1))
    rows = set()
    for _ in range(draw(st.integers(1, 8))):
        onset = draw(st.one_of(st.none(), st.integers(0, 6)))
        offset = None if onset is None else onset + draw(st.integers(1, 3))
        rows.add((draw(st.sampled_from("ab")), draw(st.sampled_from(tags)), onset, offset))
    values = [draw(st.sampled_from([0.0, 0.5, 1.0])) for _ in rows]
    return labels(list(rows), values), Vocabulary(tuple(tags)), ontology


def at_any_time(table: pa.Table) -> dict[tuple[str, str, int | None], float]:
    """What is said of every clip, tag and second (None: weak): the greatest value above 0."""
    said: dict[tuple[str, str, int | None], float] = {}
    for row in table.to_pylist():
        times = [None] if row["onset"] is None else range(int(row["onset"]), int(row["offset"]))
        for time in times:
            key = (row["clip"], row["tag"], time)
            said[key] = max(said.get(key, 0.0), row["value"])
    return {key: value for key, value in said.items() if value > 0}


@given(labelled())
def test_at_any_time_there_are_the_given_tags_and_their_ancestors(drawn):
    given_labels, vocabulary, ontology = drawn
    found, wider = with_ancestors(given_labels, vocabulary, ontology)
    hidden = {ontology.ids[n] for n in ontology.abstract | ontology.blacklisted} - set(vocabulary)
    expected: dict[tuple[str, str, int | None], float] = {}
    for (clip, tag, time), value in at_any_time(given_labels).items():
        above = above_by_walking(ontology, ontology.index(tag), pass_abstract=True)
        for name in {tag, *(ontology.ids[n] for n in above)} - hidden:
            expected[clip, name, time] = max(expected.get((clip, name, time), 0.0), value)
    assert at_any_time(found) == expected
    assert max(Counter(rows_of(found)).values()) == 1
    again, same = with_ancestors(found, wider, ontology)
    assert same == wider
    assert at_any_time(again) == expected
    if len(set(given_labels["value"].to_pylist()) - {0.0}) == 1:
        assert again.sort_by([("clip", "ascending")]) == found.sort_by([("clip", "ascending")])


def test_a_table_s_header_may_be_in_any_case_and_spaces_around_words_are_none_of_them(tmp_path):
    for header in ("parent,child", "Parent,CHILD", " PARENT_ID , Child_Id "):
        (tmp_path / "kinds.csv").write_text(f"{header}\n Animal , Dog\nAnimal,Cat \n  ,Rain\n")
        ontology = read_ontology(tmp_path / "kinds.csv")
        assert ontology.ids == ("Animal", "Dog", "Cat", "Rain")
        assert ontology.children == ((1, 2), (), (), ())
    (tmp_path / "kinds.csv").write_text("parent,child\nAnimal, \n")
    with pytest.raises(InputError, match=r"kinds.csv:2: child must not be empty"):
        read_ontology(tmp_path / "kinds.csv")
    (tmp_path / "kinds.csv").write_text("parent,Parent,child\nAnimal,Animal,Dog\n")
    with pytest.raises(InputError, match=r'kinds.csv: a column must be named once, found "parent" 2 times'):
        read_ontology(tmp_path / "kinds.csv")


def test_json_that_is_nested_too_deep_is_refused(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(InputError, match=r"deep.json: an ontology must be .* nested too deep$"):
        read_ontology(path)


@pytest.mark.parametrize("child", [-1, 2])
def test_children_that_are_no_nodes_are_refused(child):
    with pytest.raises(InputError) as caught:
        Ontology(("a", "b"), ("A", "B"), ((1,), (child,)))
    assert str(caught.value) == f'children must be numbers of nodes, 0 to 1, found [{child}] under "b"'
