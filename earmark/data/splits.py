"""Which clips are trained on, validated on and tested on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, zip_longest

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
    return _splits_of(split, notes)


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
    rows, groups = splits.train, dataset.groups()
    fold = _divided(dataset, rows, num_folds, seed)
    made = []
    for number in range(num_folds):
        split = np.full(dataset.num_clips, TEST, np.int8)
        split[rows[fold != number]] = TRAIN
        held_out = rows[fold == number]
        split[splits.teacher[~np.isin(groups[splits.teacher], groups[held_out])]] = TEACHER
        note = _draw_validation(dataset, split, seed, "each fold draws its own from its training clips")
        said = f"fold {number + 1} of {num_folds}: {len(held_out)} clips held out"
        made.append(replace(_splits_of(split, (said, note)), test=held_out))
    return made


def cross_validation(dataset: Dataset, num_folds: int, test_fold: int | None = None, seed: int = 0) -> list[Splits]:
    """Splits that validate on one fold after another of the training split, by whole groups, and train on the others.

    All have the same `test`. Divided are the groups that have a labelled clip; others validate nothing, and are trained
    on in every fold. Folds are even in their clips, and where the data set says which are verified, in these too, as
    far as whole groups allow. A validation split that the data set gives is in none. A teacher's clips stay its own
    where their group is not validated on. The folds are a pure function of the seed, the groups' names and what they
    hold.

    Raises:
        InputError: as for `resolve_splits`; or fewer than two folds, or fewer groups than folds.
    """
    given, notes = named_splits(dataset, test_fold)
    notes.extend(_crossings(dataset, given))
    groups, training = dataset.groups(), given == TRAIN
    labelled = np.asarray(pc.not_equal(dataset.clips["labelled"], "none"), dtype=np.bool_)
    rows = np.flatnonzero(training & np.isin(groups, groups[training & labelled]))
    fold = _divided(dataset, rows, num_folds, seed, first=dataset.column("verified") == 1)
    undivided, unused = int(training.sum()) - len(rows), int((given == VALIDATION).sum())
    if undivided:
        notes.append(f"train: {undivided} clips of groups without labels are trained on in every fold")
    if unused:
        notes.append(f"validation: the {unused} clips that the data set gives for it are in no fold")
    made = []
    for number in range(num_folds):
        own = rows[fold == number]
        split = np.where(given == VALIDATION, NOBODY, given)
        split[own] = VALIDATION
        split[(given == TEACHER) & np.isin(groups, groups[own])] = NOBODY
        said = f"validation: fold {number + 1} of {num_folds}, {len(own)} clips, whole groups drawn with seed {seed}"
        made.append(_splits_of(split, (said, *notes)))
    return made


def union_of(parts: Sequence[Splits]) -> Splits:
    """What models of different folds learn from together, which leaves nothing to validate on; they share `test`."""
    train = np.unique(np.concatenate([part.train for part in parts]))
    teacher = np.setdiff1d(np.concatenate([part.teacher for part in parts]), train)
    notes = dict.fromkeys(note for place in zip_longest(*(part.notes for part in parts)) for note in place if note)
    return Splits(train, train[:0], parts[0].test, tuple(notes), teacher)


def _divided(dataset: Dataset, rows: IntArray, num_folds: int, seed: int, first: BoolArray | None = None) -> IntArray:
    """The fold of some clips, from 0, int64 (row,), by whole groups and as even as these allow.

    Args:
        first: of every clip of the data set, (clip,): groups with such a clip are dealt out before the others, so that
            they are even by themselves too.
    """
    groups = dataset.groups()[rows]
    found, place, sizes = np.unique(groups, return_index=True, return_counts=True)
    if not 2 <= num_folds <= len(found):
        raise InputError(f"folds must be from 2 to the {len(found)} groups of training clips, got {num_folds}")
    order = _hashed_order(dataset.clips["group"].take(pa.array(rows[place])).to_pylist(), seed)
    if first is not None:
        order = order[np.argsort(~np.isin(found[order], groups[first[rows]]), kind="stable")]
    filled, fold_of_group = np.zeros(num_folds, np.int64), np.zeros(len(found), np.int64)
    for group in order:
        fold_of_group[group] = np.argmin(filled)
        filled[fold_of_group[group]] += sizes[group]
    return fold_of_group[np.searchsorted(found, groups)]


def _splits_of(split: npt.NDArray[np.integer], notes: Sequence[str]) -> Splits:
    """The rows of each split, given the split of every clip (clip,)."""
    train, validation, test, teacher = (np.flatnonzero(split == which) for which in range(len(CLIP_SPLITS)))
    notes = [*notes]
    if not len(test):
        notes.append("test: none; the data set gives no test split and no test fold was named")
    if len(teacher):
        notes.append(f"teacher: {len(teacher)} clips are for a teacher alone and not trained on otherwise")
    return Splits(train, validation, test, tuple(notes), teacher)


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
