import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.dataset import Dataset
from earmark.data.ontology import audioset_ontology, tag_nodes
from earmark.data.statements import ClipLabels
from earmark.data.synthesis.sources import Usable, _places_of_sounds, split_sources
from earmark.data.tables import CLIP_SCHEMA, SPLITS, columns_or_null
from earmark.data.vocabulary import Vocabulary


def dataset_in_memory(groups, split=None, fold=None):
    """A data set without files or labels: a clip for every group given."""
    names = [f"c{k}" for k in range(len(groups))]
    clips = columns_or_null(
        len(names),
        CLIP_SCHEMA,
        clip=pa.array(names),
        path=pa.array(names),
        group=pa.array([f"g{group}" for group in groups]),
        split=pa.array(split or [None] * len(names), pa.string()),
        fold=pa.array(fold or [None] * len(names), pa.int64()),
        labelled=pa.repeat("weak", len(names)),
    )
    return Dataset(None, "made up", clips, Vocabulary(("a", "b", "c")), None, {})


def split_of(dataset, tags, seed, *shares, is_usable=None, **folds):
    everything = np.ones(dataset.num_clips, bool) if is_usable is None else np.array(is_usable)
    return split_sources(dataset, Usable(everything, {}, np.array(tags)), seed, *shares, **folds)


made_up_clips = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 2), st.sampled_from([None, *SPLITS]), st.booleans()),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150)
@given(clips=made_up_clips, seed=st.integers(0, 2**40), has_splits=st.booleans())
def test_groups_never_cross_splits(clips, seed, has_splits):
    groups, tags, splits, usable = zip(*clips, strict=True)
    dataset = dataset_in_memory(groups, list(splits) if has_splits else None)
    found = split_of(dataset, tags, seed, 0.2, 0.3, is_usable=usable)
    for group in set(groups):
        of_group = {int(split) for split, name in zip(found.split, groups, strict=True) if name == group}
        assert len(of_group - {-1}) <= 1
    given_split = np.array([SPLITS.index(split) if split else 0 for split in splits])
    assert (found.split[~np.array(usable)] == -1).all()
    if has_splits and any(splits):
        # Only splits that the data set does not give are drawn, and only from what it gives to train.
        drawn = {which for which in (1, 2) if which not in given_split}
        kept = (found.split == given_split) | (found.split == -1)
        assert (kept | ((given_split == 0) & np.isin(found.split, list(drawn)))).all()
        assert (found.split[(given_split == 2) & usable] == 2).all()
    else:
        assert (found.split[np.array(usable)] >= 0).all()
    assert sum(found.passed_over.values()) == (found.split[np.array(usable)] == -1).sum()


def test_groups_are_drawn_by_tag_seed_and_name():
    dataset, tags = dataset_in_memory(range(30)), [0] * 20 + [1] * 6 + [2] * 4
    split = split_of(dataset, tags, 0, 0.2, 0.1).split
    counts = [np.bincount(split[rows], minlength=3).tolist() for rows in (slice(20), slice(20, 26), slice(26, 30))]
    assert counts == [[14, 4, 2], [4, 1, 1], [2, 1, 1]]
    assert (split_of(dataset, tags, 0, 0.2, 0.1).split == split).all()
    assert (split_of(dataset, tags, 1, 0.2, 0.1).split != split).any()
    assert (split_of(dataset, tags, 0, 0.0, 0.0).split == 0).all()
    # The order of the clips says nothing.
    turned = split_of(dataset_in_memory(range(29, -1, -1)), tags[::-1], 0, 0.2, 0.1).split
    assert (turned[::-1] == split).all()


def test_every_split_has_usable_clips_of_a_tag():
    usable = [False] * 27 + [True] * 3
    for seed in range(20):
        assert sorted(split_of(dataset_in_memory(range(30)), [0] * 30, seed, 0.1, 0.1, is_usable=usable).split) == [
            *[-1] * 27, 0, 1, 2
        ]  # fmt: skip


def test_a_group_that_splits_divide_belongs_to_the_later_one():
    given_splits = ["train", "test", "train", "validation", "validation", "test"]
    found = split_of(dataset_in_memory([0, 0, 1, 1, 2, 2], given_splits), [0] * 6, 0, 0.2, 0.2)
    assert found.split.tolist() == [-1, 2, -1, 1, -1, 2]
    assert found.passed_over == {"of a recording that another split has": 3}
    folded = dataset_in_memory([0, 0, 1, 2], fold=[0, 1, 2, 0])
    found = split_of(folded, [0] * 4, 0, 0.2, 0.2, test_fold=1, validation_fold=2)
    assert found.split.tolist() == [-1, 2, 1, 0]


@pytest.mark.parametrize("by_fold", [True, False])
def test_what_no_split_or_fold_gives_is_drawn_tag_by_tag_by_its_share(by_fold):
    # Ten groups of each of two tags; the first two of each are given to test.
    tags, is_test = [0] * 10 + [1] * 10, [k % 10 < 2 for k in range(20)]
    splits = None if by_fold else ["test" if test else "train" for test in is_test]
    dataset = dataset_in_memory(range(20), splits, [1 if test else 2 for test in is_test])
    folds = {"test_fold": 1} if by_fold else {}
    found = split_of(dataset, tags, 0, 0.25, 0.5, **folds)
    assert (found.split == 2).tolist() == is_test
    # A quarter of the eight that are left, of each tag.
    assert [(found.split[rows] == 1).sum() for rows in (slice(10), slice(10, 20))] == [2, 2]
    assert found.notes[-1] == "validation: 4 recordings drawn with seed 0 by validation_share"
    assert not (split_of(dataset, tags, 0, 0.0, 0.5, **folds).split == 1).any()
    # The other way round, test is drawn.
    if by_fold:
        found = split_of(dataset, tags, 0, 0.25, 0.5, validation_fold=1)
        assert (found.split == 1).tolist() == is_test
        assert [(found.split[rows] == 2).sum() for rows in (slice(10), slice(10, 20))] == [4, 4]


def test_a_drawn_split_takes_no_group_that_another_split_has():
    # The training half of a divided group is passed over, not drawn.
    splits = ["test", *["train"] * 5]
    for seed in range(20):
        found = split_of(dataset_in_memory([0, 0, 1, 2, 3, 4], splits), [0] * 6, seed, 0.4, 0.2)
        assert found.split[:2].tolist() == [2, -1]
        assert sorted(found.split[2:]) == [0, 0, 1, 1]


DOGS = ("Animal", "Bark", "Car", "Dog", "Bicycle bell", "Bell", "Alarm", "Unheard of")


@pytest.mark.parametrize(
    ("tags", "sound"),
    [
        (["Dog"], "Dog"),
        (["Unheard of"], "Unheard of"),
        (["Animal", "Dog"], "Dog"),
        (["Animal", "Bark", "Dog"], "Bark"),
        (["Animal", "Bark"], "Bark"),
        # A bicycle bell is an alarm by one path and a bell by another.
        (["Bicycle bell", "Bell", "Alarm"], "Bicycle bell"),
        (["Animal", "Car"], None),
        (["Animal", "Dog", "Car"], None),
        (["Dog", "Unheard of"], None),
        ([], None),
    ],
)
def test_a_clip_of_a_tag_and_its_ancestors_is_of_one_sound(tags, sound):
    index = sorted(DOGS.index(tag) for tag in tags)
    # Beside clips of one, four and no tags.
    sets = [[2], index, [0, 1, 2, 3], []]
    flat = np.array([tag for tags in sets for tag in tags], np.int32)
    indptr = np.cumsum([0, *map(len, sets)])
    labels = ClipLabels(indptr, flat, np.ones(len(flat)), np.ones(4), np.ones(len(DOGS)))
    place = _places_of_sounds(labels, Vocabulary(DOGS))
    assert [None if at < 0 else DOGS[flat[at]] for at in place] == ["Car", sound, None, None]
    assert tag_nodes(Vocabulary(DOGS), audioset_ontology()).unknown == ("Unheard of",)


def test_nothing_usable_is_no_trouble_yet():
    assert split_of(dataset_in_memory([0, 1]), [0, 0], 0, 0.2, 0.2, is_usable=[False, False]).split.tolist() == [-1, -1]
