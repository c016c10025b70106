import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.dataset import Dataset
from earmark.data.synthesis.sources import Usable, split_sources
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
    return split_sources(dataset, Usable(everything, {}, np.array(tags), {}), seed, *shares, **folds)


made_up_clips = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 2), st.sampled_from([None, *SPLITS]), st.booleans()),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
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
        # Only validation is drawn where the data set gives none.
        kept = (found.split == given_split) | (found.split == -1) | (found.split == 1)
        assert kept.all()
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


def test_nothing_usable_is_no_trouble_yet():
    assert split_of(dataset_in_memory([0, 1]), [0, 0], 0, 0.2, 0.2, is_usable=[False, False]).split.tolist() == [-1, -1]
