"""Which clips soundscapes are made from, and in which split: a recording is heard in one split only."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.packs import Pack
from earmark.data.splits import TEST, TRAIN, VALIDATION, resolve_splits
from earmark.data.synthesis.activity import active_parts
from earmark.data.vocabulary import Vocabulary
from earmark.progress import progress_bar
from earmark.timing import seconds_from_samples

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
SplitArray = npt.NDArray[np.int8]

NO_SPLIT = -1
CERTAIN = 0.5


@dataclass(frozen=True, eq=False)
class Usable:
    """Which clips of a data set may be used.

    Attributes:
        is_usable: bool (clip,).
        passed_over: clips that may not, by the first reason that holds.
        tag_index: the tag that a clip is used for, (clip,); any number where it is not used for a tag.
        parts: active parts of every clip that is used for a tag, by row.
    """

    is_usable: BoolArray
    passed_over: Mapping[str, int]
    tag_index: IntArray
    parts: Mapping[int, IntArray]


@dataclass(frozen=True, eq=False)
class Sources:
    """The usable clips by split.

    Attributes:
        split: of every clip, int8 (clip,), the place in train, validation, test; -1 where it is passed over.
        tag_index, parts, passed_over: as in `Usable`.
    """

    split: SplitArray
    passed_over: Mapping[str, int]
    tag_index: IntArray
    parts: Mapping[int, IntArray]

    def rows(self, split: int) -> IntArray:
        """The rows of a split, ascending."""
        return np.flatnonzero(self.split == split)

    def by_tag(self, split: int) -> list[tuple[int, IntArray]]:
        """For every tag that the split has clips of, its place in the vocabulary and their rows."""
        rows = self.rows(split)
        tags = self.tag_index[rows]
        return [(int(tag), rows[tags == tag]) for tag in np.unique(tags)]


def find_sounds(dataset: Dataset, pack: Pack, min_event_s: float, workers: int) -> Usable:
    """The clips labelled weak with one tag only, of value .5 or more, that are active for `min_event_s` or more.

    Args:
        workers: threads that look at the waveforms.
    """
    labels = dataset.labels()
    num_tags = np.diff(labels.indptr)
    first = labels.indptr[:-1][num_tags > 0]
    tag_index, value = np.full(dataset.num_clips, -1), np.zeros(dataset.num_clips)
    tag_index[num_tags > 0], value[num_tags > 0] = labels.tag_index[first], labels.value[first]
    reasons = {
        "not labelled weak": dataset.column("labelled") != "weak",
        "without a tag": num_tags == 0,
        "with several tags": num_tags > 1,
        f"whose tag has a value under {CERTAIN:g}": value < CERTAIN,
        "left out of the pack": pack.num_samples == 0,
    }
    rows = np.flatnonzero(~np.any(list(reasons.values()), axis=0))
    parts = dict(zip(rows.tolist(), _parts_of(pack, rows, workers), strict=True))
    active_s = np.full(dataset.num_clips, np.inf)
    active_s[rows] = [seconds_from_samples(int(np.diff(parts[row]).sum()), pack.rate_hz) for row in rows.tolist()]
    reasons |= {"silent": active_s == 0, f"active for less than {min_event_s:g} s": active_s < min_event_s}
    return _usable(reasons, tag_index, parts)


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
    return _usable(reasons, np.zeros(backgrounds.num_clips, np.int64), {})


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

    Folds that are named and splits that the data set gives are kept. Where they divide a group, its clips in the
    earlier split are passed over: test keeps what it has, then validation. Without either, groups are drawn by a hash
    of seed and name, tag by tag, so that every split has each tag of three usable groups or more.

    Raises:
        InputError: a fold that is not there, see `resolve_splits`.
    """
    groups = dataset.groups()
    has_splits = dataset.clips["split"].null_count < dataset.num_clips
    if has_splits or test_fold is not None or validation_fold is not None:
        given = resolve_splits(dataset, test_fold, validation_fold, seed)
        split = np.full(dataset.num_clips, TRAIN, np.int8)
        split[given.validation], split[given.test] = VALIDATION, TEST
        owner = np.zeros(int(groups.max(initial=-1)) + 1, np.int8)
        np.maximum.at(owner, groups, split)
        crosses = usable.is_usable & (split != owner[groups])
    else:
        split = _drawn_groups(dataset, usable, seed, validation_share, test_share)[groups]
        crosses = np.zeros(dataset.num_clips, np.bool_)
    sources = Sources(
        np.where(usable.is_usable, split, NO_SPLIT).astype(np.int8), usable.passed_over, usable.tag_index, usable.parts
    )
    return _without(sources, crosses)


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
    dataset: Dataset, usable: Usable, seed: int, validation_share: float, test_share: float
) -> SplitArray:
    """The split of every group, int8 (group,)."""
    groups = dataset.groups()
    rows = np.flatnonzero(usable.is_usable)
    drawn, first = np.unique(groups[rows], return_index=True)
    tags = usable.tag_index[rows[first]]
    names = dataset.clips["group"].take(pa.array(rows[first])).to_pylist()
    keys = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in names]
    order = np.argsort(np.array(keys, "V8").view(">u8"), kind="stable")
    split = np.full(int(groups.max(initial=-1)) + 1, TRAIN, np.int8)
    for tag in np.unique(tags):
        of_tag = drawn[order[tags[order] == tag]]
        num_test = _share_of(test_share, len(of_tag))
        num_validation = _share_of(validation_share, len(of_tag))
        split[of_tag[:num_test]] = TEST
        split[of_tag[num_test : num_test + num_validation]] = VALIDATION
    return split


def _share_of(share: float, count: int) -> int:
    """The share of a count, rounded; at least one of three or more, if anything."""
    least = 1 if share > 0 and count >= 3 else 0
    return max(least, int(share * count + 0.5))


def _parts_of(pack: Pack, rows: IntArray, workers: int) -> list[IntArray]:
    """The active parts of clips, looked for in threads."""
    with progress_bar(len(rows), "looking for active parts", "clips") as bar, ThreadPoolExecutor(workers) as pool:
        parts = []
        for found in pool.map(lambda row: active_parts(pack.clip(row), pack.rate_hz), rows.tolist()):
            parts.append(found)
            bar.update(1)
    return parts


def _usable(reasons: Mapping[str, BoolArray], tag_index: IntArray, parts: Mapping[int, IntArray]) -> Usable:
    """The clips for which no reason against them holds, and how many clips each reason is the first for."""
    which = np.select(list(reasons.values()), list(range(len(reasons))), -1)
    counts = {reason: int((which == number).sum()) for number, reason in enumerate(reasons)}
    return Usable(which < 0, {reason: count for reason, count in counts.items() if count}, tag_index, parts)


def _without(sources: Sources, crosses: BoolArray) -> Sources:
    """The sources without some clips, whose recording another split has."""
    if not crosses.any():
        return sources
    reason = "of a recording that another split has"
    counts = {**sources.passed_over, reason: sources.passed_over.get(reason, 0) + int(crosses.sum())}
    return replace(sources, split=np.where(crosses, NO_SPLIT, sources.split).astype(np.int8), passed_over=counts)
