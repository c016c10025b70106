"""Which clips soundscapes are made from, and in which split: a recording is heard in one split only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import ClipLabels, Dataset
from earmark.data.layers import GIVEN
from earmark.data.ontology import audioset_ontology, tag_nodes
from earmark.data.packs import Pack
from earmark.data.sampling import keys_of_names
from earmark.data.splits import TEACHER, TEST, TRAIN, VALIDATION, named_splits
from earmark.data.synthesis.stretches import SILENCE_DB, active_parts
from earmark.data.tables import SPLITS
from earmark.data.vocabulary import Vocabulary
from earmark.prefetch import mapped
from earmark.progress import progress_bar
from earmark.timing import seconds_from_samples

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
SplitArray = npt.NDArray[np.int8]

NO_SPLIT = -1
CERTAIN = 0.5
ELSEWHERE = "of a recording that another split has"


@dataclass(frozen=True, eq=False)
class Usable:
    """Which clips of a data set may be used.

    Attributes:
        is_usable: bool (clip,).
        passed_over: clips that may not, by the first reason that holds.
        tag_index: the tag that a clip is used for, (clip,); any number where it is not used for a tag.
        parts: active parts of every clip that is used for a tag, by row.
        tags_above: the other tags of every clip that has several, ancestors of the one it is used for, by row.
    """

    is_usable: BoolArray
    passed_over: Mapping[str, int]
    tag_index: IntArray
    parts: Mapping[int, IntArray] = field(default_factory=dict)
    tags_above: Mapping[int, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sources:
    """The usable clips by split.

    Attributes:
        usable: the clips that may be used.
        split: of every clip, int8 (clip,), the place in train, validation, test; -1 where it is passed over.
        passed_over: clips that are not used, by reason.
        notes: where the splits are from.
    """

    usable: Usable
    split: SplitArray
    passed_over: Mapping[str, int]
    notes: Sequence[str]

    def rows(self, split: int) -> IntArray:
        """The rows of a split, ascending."""
        return np.flatnonzero(self.split == split)

    def by_tag(self, split: int) -> list[tuple[int, IntArray]]:
        """For every tag that the split has clips of, its place in the vocabulary and their rows."""
        rows = self.rows(split)
        tags = self.usable.tag_index[rows]
        return [(int(tag), rows[tags == tag]) for tag in np.unique(tags)]

    def tags(self, split: int) -> set[int]:
        """The tags that the split has clips with, as their only tag or above it."""
        rows = self.rows(split)
        above = {tag for row in rows.tolist() for tag in self.usable.tags_above.get(row, ())}
        return above | set(self.usable.tag_index[rows].tolist())


def find_sounds(dataset: Dataset, pack: Pack, min_active_s: float, workers: int, layer: str = GIVEN) -> Usable:
    """The clips labelled weak with one tag only, of value .5 or more, that are active for `min_active_s` or more.

    A clip that also has ancestors of its tag, and no other tags, is of one sound too.

    Args:
        workers: threads that look at the waveforms.
        layer: the labels.
    """
    labels = dataset.labels(layer)
    num_tags = np.diff(labels.indptr)
    place = _places_of_sounds(labels, dataset.vocabulary)
    tag_index, value = np.full(dataset.num_clips, -1), np.zeros(dataset.num_clips)
    tag_index[place >= 0], value[place >= 0] = labels.tag_index[place[place >= 0]], labels.value[place[place >= 0]]
    reasons = {
        "not labelled weak": dataset.column("labelled") != "weak",
        "without a tag": num_tags == 0,
        "with several tags": place < 0,
        f"whose tag has a value under {CERTAIN:g}": value < CERTAIN,
        "left out of the pack": pack.num_samples == 0,
    }
    rows = np.flatnonzero(~np.any(list(reasons.values()), axis=0))
    parts = dict(zip(rows.tolist(), _parts_of(pack, rows, workers), strict=True))
    active_s = np.full(dataset.num_clips, np.inf)
    active_s[rows] = [seconds_from_samples(int(np.diff(parts[row]).sum()), pack.rate_hz) for row in rows.tolist()]
    reasons |= {
        f"silent (under {SILENCE_DB:g} dB of full scale)": active_s == 0,
        f"active for less than {min_active_s:g} s": active_s < min_active_s,
    }
    tags_of = {row: labels.tag_index[labels.indptr[row] : labels.indptr[row + 1]] for row in rows[num_tags[rows] > 1]}
    above = {int(row): tags[tags != tag_index[row]].tolist() for row, tags in tags_of.items()}
    return Usable(*_without_reasons(reasons), tag_index, parts, above)


def _places_of_sounds(labels: ClipLabels, vocabulary: Vocabulary) -> IntArray:
    """The label that says what sounds in a clip: the only one, or the one below all others; -1 for several, (clip,)."""
    count = np.diff(labels.indptr)
    clip = np.repeat(np.arange(len(count)), count)
    num_above = np.zeros(len(clip), np.int64)
    if count.max(initial=0) > 1:
        ancestors = tag_nodes(vocabulary, audioset_ontology()).ancestors
    for distance in range(1, int(count.max(initial=0))):
        # The labels of a clip stand together: each beside the one so far behind it.
        first = np.flatnonzero(clip[:-distance] == clip[distance:])
        one, other = labels.tag_index[first], labels.tag_index[first + distance]
        num_above[first] += ancestors[one, other]
        num_above[first + distance] += ancestors[other, one]
    lowest = np.flatnonzero(num_above == count[clip] - 1)
    place = np.full(len(count), -1)
    place[clip[lowest]] = lowest
    return place


def find_backgrounds(backgrounds: Dataset, pack: Pack, num_samples: int, sounds: Vocabulary) -> Usable:
    """The clips of a data set of backgrounds that have `num_samples` or more and no tag of the sounds."""
    labels = backgrounds.labels()
    is_sound = np.isin(backgrounds.vocabulary.tags, sounds.tags)
    clip_of_label = np.repeat(np.arange(backgrounds.num_clips), np.diff(labels.indptr))
    reasons = {
        "shorter than a soundscape": pack.num_samples < num_samples,
        "with a tag of the sounds": np.isin(
            np.arange(backgrounds.num_clips), clip_of_label[is_sound[labels.tag_index]]
        ),
    }
    return Usable(*_without_reasons(reasons), np.zeros(backgrounds.num_clips, np.int64))


def split_sources(
    dataset: Dataset,
    usable: Usable,
    seed: int,
    validation_share: float,
    test_share: float,
    test_fold: int | None = None,
    validation_fold: int | None = None,
) -> Sources:
    """The usable clips in splits that no group crosses.

    Folds that are named and splits that the data set gives are kept; the clips for a teacher are trained on. Where they
    divide a group, its clips in the earlier split are passed over: test keeps what it has, then validation. A split
    that neither names is drawn from the groups left to train, by a hash of seed and name, tag by tag, so that every
    split has each tag of three such groups or more; with a share of 0 nothing is drawn.

    Raises:
        InputError: a fold that is not there, the same fold for both, or a fold for a split that the data set has.
    """
    split, notes = named_splits(dataset, test_fold, validation_fold)
    split[split == TEACHER] = TRAIN
    groups = dataset.groups()
    owner = np.zeros(int(groups.max(initial=-1)) + 1, np.int8)
    np.maximum.at(owner, groups, split)
    crosses = usable.is_usable & (split != owner[groups])
    shares = {
        which: share
        for which, share in ((TEST, test_share), (VALIDATION, validation_share))
        if share and not (split == which).any()
    }
    free = np.flatnonzero(usable.is_usable & (owner[groups] == TRAIN))
    for which, drawn in _drawn_groups(dataset, usable, free, seed, shares).items():
        owner[drawn] = which
        notes.append(f"{SPLITS[which]}: {len(drawn)} recordings drawn with seed {seed} by {SPLITS[which]}_share")
    kept = usable.is_usable & ~crosses
    split = np.where(kept, owner[groups], NO_SPLIT).astype(np.int8)
    return _without(Sources(usable, split, usable.passed_over, tuple(notes)), crosses)


def without_sounds_elsewhere(backgrounds: Dataset, behind: Sources, dataset: Dataset, sources: Sources) -> Sources:
    """The backgrounds without those of a recording that sounds in another split.

    Args:
        backgrounds, behind: the data set of backgrounds, and its clips by split.
        dataset, sources: the same of the sounds.
    """
    used = np.flatnonzero(sources.split != NO_SPLIT)
    names = dataset.clips["group"].take(pa.array(used)).combine_chunks()
    place = np.asarray(pc.fill_null(pc.index_in(backgrounds.clips["group"], names), -1), dtype=np.int64)
    # A group's usable clips have one split, so the first tells it; -1 reads the element appended.
    elsewhere = (place >= 0) & (np.append(sources.split[used], NO_SPLIT)[place] != behind.split)
    return _without(behind, elsewhere & (behind.split != NO_SPLIT))


def _drawn_groups(
    dataset: Dataset, usable: Usable, free: IntArray, seed: int, shares: Mapping[int, float]
) -> dict[int, IntArray]:
    """The groups drawn for each split, among those of some clips: a share of the groups of every tag.

    Args:
        free: rows of clips, whose groups are in no split yet.
        shares: by split, in the order of drawing.
    """
    drawn, first = np.unique(dataset.groups()[free], return_index=True)
    tags = usable.tag_index[free[first]]
    names = dataset.clips["group"].take(pa.array(free[first])).to_pylist()
    order = np.argsort(keys_of_names(f"{seed}:{name}" for name in names), kind="stable")
    groups: dict[int, list[IntArray]] = {which: [drawn[:0]] for which in shares}
    for tag in np.unique(tags):
        of_tag = drawn[order[tags[order] == tag]]
        left = of_tag
        for which, share in shares.items():
            number = _share_of(share, len(of_tag))
            groups[which].append(left[:number])
            left = left[number:]
    return {which: np.concatenate(found) for which, found in groups.items()}


def _share_of(share: float, count: int) -> int:
    """The share of a count, rounded; at least one of three or more, if anything."""
    least = 1 if share > 0 and count >= 3 else 0
    return max(least, int(share * count + 0.5))


def _parts_of(pack: Pack, rows: IntArray, workers: int) -> list[IntArray]:
    """The active parts of clips, looked for in threads."""
    with progress_bar(len(rows), "looking for active parts", "clips") as bar:
        parts = []
        for found in mapped(lambda row: active_parts(pack.clip(row), pack.rate_hz), rows.tolist(), workers):
            parts.append(found)
            bar.update(1)
    return parts


def _without_reasons(reasons: Mapping[str, BoolArray]) -> tuple[BoolArray, dict[str, int]]:
    """The clips for which no reason against them holds, and how many clips each reason is the first for."""
    which = np.select(list(reasons.values()), list(range(len(reasons))), -1)
    counts = {reason: int((which == number).sum()) for number, reason in enumerate(reasons)}
    return which < 0, {reason: count for reason, count in counts.items() if count}


def _without(sources: Sources, crosses: BoolArray) -> Sources:
    """The sources without some clips, whose recording another split has."""
    if not crosses.any():
        return sources
    counts = {**sources.passed_over, ELSEWHERE: sources.passed_over.get(ELSEWHERE, 0) + int(crosses.sum())}
    return replace(sources, split=np.where(crosses, NO_SPLIT, sources.split).astype(np.int8), passed_over=counts)
