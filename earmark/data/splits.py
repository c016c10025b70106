"""Which clips are trained on, validated on and tested on."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.sampling import keys_of_names
from earmark.data.tables import CLIP_SPLITS, SPLITS
from earmark.errors import InputError, first_few
from earmark.files import digest_of

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

VALIDATION_SHARE = 0.1
TRAIN, VALIDATION, TEST, TEACHER = range(len(CLIP_SPLITS))
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of each split, ascending, int64, and what should be known about them.

    Attributes:
        teacher: the clips that only a teacher learns from.
    """

    train: IntArray
    validation: IntArray
    test: IntArray
    notes: tuple[str, ...]
    teacher: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def digest(self) -> str:
        """A short name of which clips are where."""
        parts = [*self.by_name().values(), *([self.teacher] if len(self.teacher) else [])]
        return digest_of(*(part for rows in parts for part in (rows.tobytes(), b"|")))

    def of_teacher(self) -> "Splits":
        """The same with the teacher's clips among those to train on."""
        train = np.union1d(self.train, self.teacher)
        return replace(self, train=train, teacher=self.teacher[:0])

    def by_name(self) -> dict[str, IntArray]:
        """The rows under the names train, validation and test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def resolve_splits(
    dataset: Dataset, test_fold: int | None = None, validation_fold: int | None = None, seed: int = 0
) -> Splits:
    """The splits that the data set gives, with folds made into splits where asked for.

    Clips that no split or fold claims are trained on. Where nothing says what to validate on, about 10 % of the
    labelled training clips are drawn by whole groups: a pure function of the seed and the groups' names. No group that
    is drawn has a clip for a teacher: drawn are those without one, or where there are none such, the drawn groups'
    clips are the teacher's no more. Splits that the data set gives are kept even where they divide a group; the notes
    say so.

    Raises:
        InputError: a fold that is not there, the same fold for both, or a fold for a split that the data set has.
    """
    split, notes = named_splits(dataset, test_fold, validation_fold)
    notes.extend(_crossings(dataset, split))
    if not (split == VALIDATION).any():
        notes.append(_draw_validation(dataset, split, seed, "because the data set gives no validation split"))
    if not (split == TEST).any():
        notes.append("test: none; the data set gives no test split and no test fold was named")
    train, validation, test, teacher = (np.flatnonzero(split == which) for which in range(len(CLIP_SPLITS)))
    if len(teacher):
        notes.append(f"teacher: {len(teacher)} clips are for a teacher alone and not trained on otherwise")
    return Splits(train, validation, test, tuple(notes), teacher)


def named_splits(
    dataset: Dataset, test_fold: int | None = None, validation_fold: int | None = None
) -> tuple[npt.NDArray[np.int8], list[str]]:
    """The split of every clip by the data set's splits and the folds alone, (clip,), and what should be known.

    Clips that neither claims are in train.

    Raises:
        InputError: as for `resolve_splits`.
    """
    split, has_splits = _given_splits(dataset)
    _apply_folds(dataset, split, test_fold, validation_fold)
    names = {TEST: test_fold, VALIDATION: validation_fold}
    notes = [
        f"{SPLITS[which]}: fold {fold}, {(split == which).sum()} clips"
        for which, fold in names.items()
        if fold is not None
    ]
    notes.extend(_unassigned(dataset, has_splits, test_fold is not None or validation_fold is not None))
    return split, notes


def fold_splits(dataset: Dataset, splits: Splits, num_folds: int, seed: int = 0) -> list[Splits]:
    """Splits that leave out one fold after another of the training split, by whole groups.

    Each has its fold as `test`; the other folds are trained on, but for about a tenth of them, drawn to validate on. A
    teacher's clips stay its own where their group has no clip in either. The folds are a pure function of the seed and
    the groups' names, and as even as whole groups allow.

    Raises:
        InputError: fewer than two folds, or fewer groups than folds.
    """
    rows = splits.train
    groups, names = dataset.groups(), dataset.clips["group"]
    found, first, sizes = np.unique(groups[rows], return_index=True, return_counts=True)
    if not 2 <= num_folds <= len(found):
        raise InputError(f"folds must be from 2 to the {len(found)} groups of training clips, got {num_folds}")
    filled = np.zeros(num_folds, np.int64)
    fold_of_group = np.zeros(len(found), np.int64)
    for group in _hashed_order(names.take(pa.array(rows[first])).to_pylist(), seed):
        fold_of_group[group] = np.argmin(filled)
        filled[fold_of_group[group]] += sizes[group]
    fold = fold_of_group[np.searchsorted(found, groups[rows])]
    made = []
    for number in range(num_folds):
        split = np.full(dataset.num_clips, TEST, np.int8)
        split[rows[fold != number]] = TRAIN
        held_out = rows[fold == number]
        split[splits.teacher[~np.isin(groups[splits.teacher], groups[held_out])]] = TEACHER
        note = _draw_validation(dataset, split, seed, "each fold draws its own from its training clips")
        said = f"fold {number + 1} of {num_folds}: {len(held_out)} clips held out"
        train, validation, teacher = (np.flatnonzero(split == which) for which in (TRAIN, VALIDATION, TEACHER))
        made.append(Splits(train, validation, held_out, (said, note), teacher))
    return made


def group_crossings(groups: IntArray, split: npt.NDArray[np.integer], left: int, right: int) -> IntArray:
    """The groups that have clips both in one split and in another, ascending."""
    return np.intersect1d(groups[split == left], groups[split == right])


def _given_splits(dataset: Dataset) -> tuple[npt.NDArray[np.int8], bool]:
    """The split of every clip by the clip table alone, and whether it names any."""
    column = dataset.clips["split"]
    index = pc.index_in(column, pa.array(CLIP_SPLITS))
    return np.asarray(pc.fill_null(index, TRAIN), dtype=np.int8), column.null_count < len(column)


def _apply_folds(
    dataset: Dataset, split: npt.NDArray[np.int8], test_fold: int | None, validation_fold: int | None
) -> None:
    """Moves the clips of the folds asked for into their splits."""
    fold = dataset.column("fold")
    known = [int(number) for number in np.unique(fold[fold >= 0])]
    for which, number in ((TEST, test_fold), (VALIDATION, validation_fold)):
        if number is None:
            continue
        name = SPLITS[which]
        if not known:
            raise InputError(f"{dataset.name} has no folds, got {name} fold {number}; leave it out")
        if number not in known:
            raise InputError(f"{name} fold must be one of {first_few(known, 12)}, got {number}")
        if test_fold == validation_fold:
            raise InputError(f"test fold and validation fold must differ, got {number} for both")
        if (split == which).any():
            raise InputError(
                f"{dataset.name} gives a {name} split of its own, got {name} fold {number} too; leave it out"
            )
    if test_fold is not None:
        split[fold == test_fold] = TEST
    if validation_fold is not None:
        split[fold == validation_fold] = VALIDATION


def _unassigned(dataset: Dataset, has_splits: bool, by_fold: bool) -> Iterator[str]:
    """Says how many clips nobody assigned."""
    unsaid = dataset.column("fold") < 0 if by_fold else np.ones(dataset.num_clips, np.bool_)
    if has_splits:
        unsaid &= np.asarray(dataset.clips["split"].is_null(), dtype=np.bool_)
    count = int(unsaid.sum())
    if count and (has_splits or by_fold):
        yield f"train: {count} clips without a {'fold' if by_fold else 'split'} are trained on"


def _crossings(dataset: Dataset, split: npt.NDArray[np.int8]) -> Iterator[str]:
    """Says which of the given splits share groups."""
    groups = dataset.groups()
    for left, right in combinations((TEACHER, TRAIN, VALIDATION, TEST), 2):
        if (left, right) == (TEACHER, TRAIN):
            continue
        shared = group_crossings(groups, split, left, right)
        if len(shared):
            row = int(np.argmax(groups == shared[0]))
            yield (
                f"{CLIP_SPLITS[right]} shares {len(shared)} groups with {CLIP_SPLITS[left]} "
                f'(first: "{dataset.clips["group"][row]}"); kept, because the data set gives these splits'
            )


def _draw_validation(dataset: Dataset, split: npt.NDArray[np.int8], seed: int, why: str) -> str:
    """Moves whole groups of training clips into the validation split; says what was done."""
    labelled = np.asarray(pc.not_equal(dataset.clips["labelled"], "none"), dtype=np.bool_)
    groups = dataset.groups()
    training = split == TRAIN
    sizes = np.bincount(groups[training & labelled], minlength=int(groups.max(initial=-1)) + 1)
    candidates = np.flatnonzero(sizes)
    if len(candidates) < 2:
        return f"validation: none; {len(candidates)} groups of labelled training clips cannot be divided"
    wanted = max(1, round(VALIDATION_SHARE * int(sizes.sum())))
    # A group that a teacher learns from would make it look as if it knew what it has only heard.
    free = np.setdiff1d(candidates, groups[split == TEACHER])
    candidates = free if len(free) else candidates
    rows = np.zeros(len(sizes), np.int64)
    rows[groups[::-1]] = np.arange(len(groups))[::-1]
    names = dataset.clips["group"].take(pa.array(rows[candidates])).to_pylist()
    candidates = candidates[_drawn(names, sizes[candidates], wanted, seed)]
    in_drawn = np.isin(groups, candidates)
    taken = (split == TEACHER) & in_drawn
    drawn = training & in_drawn
    split[drawn], split[taken] = VALIDATION, NOBODY
    left_out = f"; {int(taken.sum())} clips for a teacher are of these groups and are left out" if taken.any() else ""
    return (
        f"validation: {int(drawn.sum())} of {int(training.sum())} training clips, {len(candidates)} whole groups drawn "
        f"with seed {seed}, {why}{left_out}"
    )


def _drawn(names: list[str], sizes: IntArray, wanted: int, seed: int) -> IntArray:
    """Places of the groups drawn: by their hash, as many as fit into the clips wanted, at least one."""
    order = _hashed_order(names, seed)
    fitting = order[sizes[order] <= wanted]
    if not len(fitting):
        return order[np.argsort(sizes[order], kind="stable")][:1]
    return fitting[np.cumsum(sizes[fitting]) <= wanted]


def _hashed_order(names: list[str], seed: int) -> IntArray:
    """The places of names in an order that depends on the seed and the names alone."""
    return np.argsort(keys_of_names(f"{seed}:{name}" for name in names), kind="stable")
