import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.data.dataset import Dataset
from earmark.data.splits import cross_validation, fold_splits, resolve_splits, union_of
from earmark.data.tables import CLIP_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError


def dataset_of(tmp_path, groups, **columns):
    names = [f"c{row}" for row in range(len(groups))]
    columns = {name: pa.array(column, CLIP_SCHEMA.field(name).type) for name, column in columns.items()}
    columns.setdefault("labelled", pa.array(["weak"] * len(groups)))
    clips = columns_or_null(
        len(groups), CLIP_SCHEMA, clip=pa.array(names), path=pa.array(names), group=pa.array(groups), **columns
    )
    return Dataset(tmp_path, "set", clips, Vocabulary(("Dog",)), tmp_path, {})


def everyone_once(splits, count):
    return sorted(np.concatenate([splits.train, splits.validation, splits.test]).tolist()) == list(range(count))


def test_folds_become_splits(tmp_path):
    dataset = dataset_of(tmp_path, list("abcdef"), fold=[1, 2, 3, 1, 2, None])
    splits = resolve_splits(dataset, test_fold=2, validation_fold=3)
    assert splits.test.tolist() == [1, 4]
    assert splits.validation.tolist() == [2]
    assert splits.train.tolist() == [0, 3, 5]
    assert splits.train.dtype == np.int64
    assert splits.notes == (
        "test: fold 2, 2 clips",
        "validation: fold 3, 1 clips",
        "train: 1 clips without a fold are trained on",
    )
    assert list(splits.by_name()) == ["train", "validation", "test"]


def test_official_splits_are_used_as_they_are(tmp_path):
    given = ["train", "test", "validation", "train", None]
    splits = resolve_splits(dataset_of(tmp_path, list("abcde"), split=given))
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == ([0, 3, 4], [2], [1])
    assert splits.notes == ("train: 1 clips without a split are trained on",)


def test_a_fold_can_validate_beside_an_official_test_split(tmp_path):
    dataset = dataset_of(tmp_path, list("abcd"), split=["train", "train", "test", "test"], fold=[1, 2, None, None])
    splits = resolve_splits(dataset, validation_fold=2)
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == ([0], [1], [2, 3])
    assert splits.notes == ("validation: fold 2, 1 clips",)


def test_without_splits_and_folds_there_is_no_test(tmp_path):
    splits = resolve_splits(dataset_of(tmp_path, [str(row) for row in range(100)]))
    assert len(splits.test) == 0
    assert len(splits.validation) == 10
    assert everyone_once(splits, 100)
    assert "validation: 10 of 100 training clips, 10 whole groups drawn with seed 0" in splits.notes[0]
    assert splits.notes[1].startswith("test: none")


@pytest.mark.parametrize(
    ("columns", "folds", "said"),
    [
        ({}, {"test_fold": 1}, "set has no folds, got test fold 1; leave it out"),
        ({"fold": [1, 2, 3]}, {"test_fold": 4}, "test fold must be one of 1, 2, 3, got 4"),
        ({"fold": [1, 2, 3]}, {"validation_fold": 0}, "validation fold must be one of 1, 2, 3, got 0"),
        ({"fold": [1, 2, 3]}, {"test_fold": 2, "validation_fold": 2}, "must differ, got 2 for both"),
        (
            {"fold": [1, 2, 3], "split": ["train", "test", "train"]},
            {"test_fold": 1},
            "set gives a test split of its own, got test fold 1 too; leave it out",
        ),
    ],
)
def test_folds_that_are_refused(tmp_path, columns, folds, said):
    with pytest.raises(InputError) as caught:
        resolve_splits(dataset_of(tmp_path, list("abc"), **columns), **folds)
    assert said in str(caught.value)


def test_crossings_of_given_splits_are_kept_and_reported(tmp_path):
    groups = ["x", "y", "x", "y", "z", "z"]
    splits = resolve_splits(dataset_of(tmp_path, groups, fold=[1, 1, 2, 2, 3, 2]), test_fold=2, validation_fold=3)
    assert splits.test.tolist() == [2, 3, 5]
    assert any(note.startswith('test shares 2 groups with train (first: "x"); kept') for note in splits.notes)
    assert any(note.startswith('test shares 1 groups with validation (first: "z"); kept') for note in splits.notes)


def test_a_validation_draw_does_not_depend_on_the_order_of_rows(tmp_path):
    groups = [f"g{row // 3}" for row in range(300)]
    order = np.random.default_rng(0).permutation(300)
    splits = resolve_splits(dataset_of(tmp_path, groups), seed=3)
    assert len(splits.validation) == 30
    shuffled = resolve_splits(dataset_of(tmp_path, [groups[row] for row in order]), seed=3)
    assert sorted(order[shuffled.validation].tolist()) == splits.validation.tolist()
    other = resolve_splits(dataset_of(tmp_path, groups), seed=4)
    assert other.validation.tolist() != splits.validation.tolist()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=200), st.integers(0, 5))
def test_a_validation_draw_never_divides_a_group(tmp_path_factory, groups, seed):
    names = [f"g{group}" for group in groups]
    splits = resolve_splits(dataset_of(tmp_path_factory.getbasetemp(), names), seed=seed)
    assert everyone_once(splits, len(names))
    assert not {names[row] for row in splits.train} & {names[row] for row in splits.validation}
    sizes = [names.count(name) for name in set(names)]
    if len(sizes) > 1:
        assert 1 <= len(splits.validation) <= max(1, round(len(names) / 10), min(sizes))
        assert len(splits.train)
    else:
        assert not len(splits.validation)


def test_validation_is_drawn_from_labelled_training_clips_only(tmp_path):
    groups = [str(row) for row in range(200)]
    labelled = ["weak" if row < 100 else "none" for row in range(200)]
    split = ["test" if 50 <= row < 100 else "train" for row in range(200)]
    splits = resolve_splits(dataset_of(tmp_path, groups, labelled=labelled, split=split))
    assert len(splits.validation) == 5
    assert splits.validation.max() < 50
    assert splits.test.tolist() == list(range(50, 100))


def test_one_group_cannot_be_divided_and_that_is_said(tmp_path):
    splits = resolve_splits(dataset_of(tmp_path, ["x"] * 20))
    assert len(splits.validation) == 0
    assert splits.notes[0] == "validation: none; 1 groups of labelled training clips cannot be divided"


def test_clips_for_a_teacher_are_in_no_other_split(tmp_path):
    given = ["train", "teacher", "test", "validation", "teacher", "train"]
    splits = resolve_splits(dataset_of(tmp_path, list("abcbef"), split=given))
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == ([0, 5], [3], [2])
    assert splits.teacher.tolist() == [1, 4]
    assert "teacher: 2 clips are for a teacher alone and not trained on otherwise" in splits.notes
    assert any(note.startswith('validation shares 1 groups with teacher (first: "b")') for note in splits.notes)
    teachers = splits.of_teacher()
    assert (teachers.train.tolist(), teachers.teacher.tolist()) == ([0, 1, 4, 5], [])
    assert len({splits.digest, teachers.digest}) == 2


def groups_at(groups, rows):
    return {groups[row] for row in rows}


def test_validation_is_drawn_from_groups_without_a_teachers_clip(tmp_path):
    # Recordings 0 to 9 have a clip for the teacher each, 10 to 29 have none.
    groups = [f"g{row // 2}" for row in range(60)]
    given = ["teacher" if row < 20 and row % 2 else "train" for row in range(60)]
    dataset = dataset_of(tmp_path, groups, split=given)
    for seed in range(5):
        splits = resolve_splits(dataset, seed=seed)
        assert 4 <= len(splits.validation) <= 5
        assert not groups_at(groups, splits.validation) & groups_at(groups, [*splits.teacher, *splits.train])
        assert len(splits.teacher) == 10
        assert "are left out" not in splits.notes[0]


def test_a_validation_draw_takes_its_groups_from_the_teacher_where_all_have_clips_of_it(tmp_path):
    groups = [f"g{row // 2}" for row in range(60)]
    splits = resolve_splits(dataset_of(tmp_path, groups, split=["train", "teacher"] * 30))
    assert len(splits.validation) == 3
    assert not groups_at(groups, splits.validation) & groups_at(groups, [*splits.teacher, *splits.train])
    assert (len(splits.train), len(splits.teacher)) == (27, 27)
    assert splits.notes[0].endswith("; 3 clips for a teacher are of these groups and are left out")
    assert "teacher: 27 clips are for a teacher alone and not trained on otherwise" in splits.notes


def test_folds_keep_the_teachers_clips_that_are_of_no_clip_to_score(tmp_path):
    # A recording in three has a clip for the teacher.
    groups = [f"g{row // 2}" for row in range(60)]
    given = ["teacher" if row % 6 == 1 else "train" for row in range(60)]
    dataset = dataset_of(tmp_path, groups, split=given, fold=[1] * 6 + [2] * 54)
    splits = resolve_splits(dataset, test_fold=1)
    parts = fold_splits(dataset, splits, 3)
    for part in parts:
        held_out = groups_at(groups, [*part.test, *part.validation])
        assert not held_out & groups_at(groups, part.teacher)
        expected = [row for row in splits.teacher if groups[row] not in held_out]
        assert part.teacher.tolist() == expected
        assert len(expected)
    assert sorted(np.concatenate([part.test for part in parts]).tolist()) == splits.train.tolist()


def test_folds_say_that_each_draws_its_validation(tmp_path):
    dataset = dataset_of(tmp_path, [f"g{row}" for row in range(40)], split=["train"] * 20 + ["validation"] * 20)
    (_, note), *_ = [part.notes for part in fold_splits(dataset, resolve_splits(dataset), 2)]
    assert note.endswith("drawn with seed 0, each fold draws its own from its training clips")


def dealt_out(groups, sizes, num_folds):
    """Groups in an order, each to the fold that has the fewest clips so far; of equals the first."""
    folds = [[] for _ in range(num_folds)]
    for group in groups:
        min(folds, key=lambda fold: sum(sizes[one] for one in fold)).append(group)
    return folds


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=6, max_size=80), st.integers(2, 4), st.integers(0, 3))
def test_cross_validation_validates_on_every_training_clip_once(tmp_path_factory, groups, num_folds, seed):
    names = [f"g{group}" for group in groups]
    if len(set(names)) < num_folds:
        return
    parts = cross_validation(dataset_of(tmp_path_factory.getbasetemp(), names), num_folds, seed=seed)
    validated = np.concatenate([part.validation for part in parts])
    assert sorted(validated.tolist()) == list(range(len(names)))
    for part in parts:
        assert sorted([*part.train, *part.validation]) == list(range(len(names)))
        assert not groups_at(names, part.train) & groups_at(names, part.validation)
        assert len(part.validation)
    largest = max(names.count(name) for name in names)
    assert max(len(part.validation) for part in parts) - min(len(part.validation) for part in parts) <= largest


def test_folds_to_validate_on_and_to_score_are_divided_alike(tmp_path):
    groups = [f"g{row % 17}" for row in range(60)]
    dataset = dataset_of(tmp_path, groups)
    everyone = resolve_splits(dataset, seed=5)
    everyone = union_of([everyone, replace(everyone, train=everyone.validation)])
    held_out = [part.test.tolist() for part in fold_splits(dataset, everyone, 4, 5)]
    assert [part.validation.tolist() for part in cross_validation(dataset, 4, seed=5)] == held_out
    sizes = {name: groups.count(name) for name in groups}
    by_hash = sorted(sizes, key=lambda name: hashlib.blake2b(f"5:{name}".encode(), digest_size=8).digest())
    expected = [[row for row in range(60) if groups[row] in fold] for fold in dealt_out(by_hash, sizes, 4)]
    assert held_out == expected


def test_cross_validation_keeps_the_data_sets_own_splits(tmp_path):
    groups = [f"g{row // 2}" for row in range(40)]
    split = ["test"] * 6 + ["validation"] * 4 + ["train"] * 30
    labelled = ["weak"] * 30 + ["none"] * 10
    dataset = dataset_of(tmp_path, groups, split=split, labelled=labelled)
    parts = cross_validation(dataset, 3)
    for part in parts:
        assert part.test.tolist() == list(range(6))
        assert not set(range(6, 10)) & {*part.train, *part.validation}
        assert set(range(30, 40)) <= set(part.train.tolist())
    assert sorted(np.concatenate([part.validation for part in parts]).tolist()) == list(range(10, 30))
    assert "validation: the 4 clips that the data set gives for it are in no fold" in parts[0].notes
    assert "train: 10 clips of groups without labels are trained on in every fold" in parts[0].notes
    together = union_of(parts)
    assert (together.train.tolist(), together.test.tolist()) == (list(range(10, 40)), list(range(6)))
    assert not len(together.validation)
    assert [note for note in together.notes if " of 3, " in note] == [part.notes[0] for part in parts]


def test_cross_validation_beside_a_test_fold(tmp_path):
    dataset = dataset_of(tmp_path, [str(row) for row in range(30)], fold=[1 + row % 3 for row in range(30)])
    for part in cross_validation(dataset, 4, test_fold=2):
        assert part.test.tolist() == list(range(1, 30, 3))
        assert "test: fold 2, 10 clips" in part.notes
    with pytest.raises(InputError, match="test fold must be one of 1, 2, 3, got 7"):
        cross_validation(dataset, 4, test_fold=7)
    for num_folds in (1, 31):
        with pytest.raises(
            InputError, match=f"folds must be from 2 to the 30 groups of training clips, got {num_folds}"
        ):
            cross_validation(dataset, num_folds)


def test_folds_are_even_in_their_verified_clips(tmp_path):
    draw = np.random.default_rng(0)
    verified = draw.random(200) < 0.1
    dataset = dataset_of(tmp_path, [f"g{row}" for row in range(200)], verified=verified.tolist())
    for seed in range(5):
        counts = [int(verified[part.validation].sum()) for part in cross_validation(dataset, 4, seed=seed)]
        assert max(counts) - min(counts) <= 1
        assert {len(part.validation) for part in cross_validation(dataset, 4, seed=seed)} == {50}


def test_a_fold_does_not_depend_on_the_order_of_rows(tmp_path):
    groups = [f"g{row // 3}" for row in range(90)]
    verified = [row % 5 == 0 for row in range(90)]
    order = np.random.default_rng(0).permutation(90)
    dataset = dataset_of(tmp_path, groups, verified=verified)
    moved = dataset_of(tmp_path, [groups[row] for row in order], verified=[verified[row] for row in order])
    parts, others = (cross_validation(one, 3, seed=2) for one in (dataset, moved))
    assert [part.validation.tolist() for part in parts] == [sorted(order[part.validation]) for part in others]
    assert parts[0].digest != cross_validation(dataset, 3, seed=3)[0].digest


def test_a_teacher_does_not_learn_from_the_groups_of_a_fold(tmp_path):
    groups = [f"g{row // 2}" for row in range(60)]
    dataset = dataset_of(tmp_path, groups, split=["train", "teacher"] * 30)
    for part in cross_validation(dataset, 3):
        assert not groups_at(groups, part.validation) & groups_at(groups, [*part.train, *part.teacher])
        assert (len(part.validation), len(part.train), len(part.teacher)) == (10, 20, 20)
        assert "teacher: 20 clips are for a teacher alone and not trained on otherwise" in part.notes
    assert len(union_of(cross_validation(dataset, 3)).teacher) == 30
