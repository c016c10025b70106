"""What came of an import, as numbers for `dataset.json` and as lines for people."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import KINDS, Problem
from earmark.data.dataset import Dataset
from earmark.data.splits import group_crossings
from earmark.data.statements import WEAK, pairs
from earmark.data.tables import CLIP_SPLITS, LABELLED, TEACHER, seconds
from earmark.errors import counted, first_few

NOT_FOUND = ("missing", "unclear", "dangling link")


@dataclass(frozen=True)
class Named:
    """What the data set itself does not tell of its import.

    Attributes:
        clips: that the source names; `usable` of them have a recording that can be used.
        clip_s, hop_s: how they were cut, None where they were not.
        events: labels with times.
    """

    source: str
    layout: str
    folder: str
    clips: int
    usable: int
    clip_s: float | None
    hop_s: float | None
    events: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Duplicates:
    """Recordings with the same bytes as an earlier one.

    Attributes:
        sets: of recordings with the same bytes.
        different_tags: sets whose labelled recordings do not all have the same tags.
        several_splits, several_folds: sets that lie in more than one.
    """

    recordings: int = 0
    sets: int = 0
    different_tags: int = 0
    several_splits: int = 0
    several_folds: int = 0


@dataclass(frozen=True)
class ImportSummary:
    """What was named, found and kept.

    Attributes:
        named: clips that the source names; `found` of them have a file, `usable` can be used.
        clips: rows of the clip table: the usable ones, or what they were cut into.
        clip_s, hop_s: how they were cut, None where they were not.
        left_out, kept: problems by kind; a kept file may have several.
        hours: audio in the clips; in the recordings that they lie in, `recording_hours`.
        labelled: clips by what annotators were asked for.
        events: labels with times.
        tags: clips that have each tag, in the order of the vocabulary.
        tags_per_clip: how many of the clips that annotators were asked about have 0, 1, 2 ... tags.
        not_annotated: tags that nobody was asked about.
        splits, folds: clips in each, as the source gives them.
        groups: original recordings that the clips come from.
        crossings: groups that lie in both of two splits ("train and test"; but train and teacher, which may share
            them), or in several folds ("several folds").
    """

    source: str
    layout: str
    folder: str
    named: int
    found: int
    usable: int
    clips: int
    clip_s: float | None
    hop_s: float | None
    left_out: dict[str, int]
    kept: dict[str, int]
    hours: float
    recordings: int
    recording_hours: float
    labelled: dict[str, int]
    events: int
    tags: dict[str, int]
    tags_per_clip: dict[str, int]
    not_annotated: tuple[str, ...]
    splits: dict[str, int]
    folds: dict[str, int]
    groups: int
    crossings: dict[str, int]
    duplicates: Duplicates
    notes: tuple[str, ...]

    @property
    def cardinality(self) -> float:
        """Tags per clip, the mean over those that annotators were asked about."""
        annotated = sum(self.tags_per_clip.values())
        return sum(int(number) * count for number, count in self.tags_per_clip.items()) / max(1, annotated)

    def as_dict(self) -> dict[str, Any]:
        """The numbers for `dataset.json`."""
        return {**asdict(self), "not_annotated": list(self.not_annotated), "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """A table of name and number, then what should be known."""
        rows = [*self._rows_of_files(), *self._rows_of_clips()]
        width = max(len(name) for name, _, _ in rows)
        figures = max(len(str(number)) for _, number, _ in rows)
        table = [f"{name:<{width}}  {number:>{figures}}  {remark}".rstrip() for name, number, remark in rows]
        tags = max((len(tag) for tag in self.tags), default=0)
        counts = [f"  {tag:<{tags}}  {count:>6}" for tag, count in self._tags_shown()]
        more = len(self.tags) - len(counts)
        counts += [f"  and {counted(more, 'tag')} with no more"] if more else []
        return [
            f"{self.folder}: {self.layout} {self.source}",
            *table,
            *counts,
            *(f"note: {note}" for note in self.notes),
        ]

    def _rows_of_files(self) -> Iterator[tuple[str, int, str]]:
        yield "named", self.named, ""
        yield "found", self.found, ""
        for kind, count in self.left_out.items():
            yield "left out", count, f"{kind}: {KINDS[kind][1]}"
        yield "usable", self.usable, "" if self.clip_s else f"{self.hours:.2f} h"
        for kind, count in self.kept.items():
            if kind != "duplicate":
                yield "kept", count, f"{kind}: {KINDS[kind][1]}"
        if self.duplicates.recordings:
            yield "kept", self.duplicates.recordings, f"duplicate: {self._duplicates()}"

    def _rows_of_clips(self) -> Iterator[tuple[str, int, str]]:
        if self.recordings != self.clips:
            yield "recordings", self.recordings, f"{self.recording_hours:.2f} h"
        if self.clip_s:
            every = "" if self.hop_s in (None, self.clip_s) else f" every {self.hop_s:g} s"
            yield "clips", self.clips, f"{self.hours:.2f} h, cut to {self.clip_s:g} s{every}"
        yield "groups", self.groups, ""
        for where, count in self.crossings.items():
            yield "crossing", count, f"groups in {where}"
        for name, count in self.splits.items():
            yield "split", count, name
        for name, count in self.folds.items():
            yield "fold", count, name
        for name, count in self.labelled.items():
            yield "labelled", count, name
        if self.events:
            yield "events", self.events, ""
        spread = [f"{count} with {number}" for number, count in self.tags_per_clip.items()]
        annotated = sum(self.tags_per_clip.values())
        clip = "clip" if annotated == self.clips else "clip that is not labelled none"
        said = f"{self.cardinality:.2f} a {clip} ({first_few(spread, 10)})" if annotated else "no clip is annotated"
        yield "tags", len(self.tags), said
        if self.not_annotated:
            yield "not annotated", len(self.not_annotated), f"tags: {first_few(self.not_annotated)}"

    def _duplicates(self) -> str:
        found = self.duplicates
        words = [(found.different_tags, "with different tags"), (found.several_splits, "in several splits")]
        words.append((found.several_folds, "in several folds"))
        said = ", ".join(f"{count} {word}" for count, word in words if count)
        sets = "1 set" if found.sets == 1 else f"{found.sets} sets"
        return f"recordings with the bytes of an earlier one; {sets}{f' ({said})' if said else ''}"

    def _tags_shown(self) -> list[tuple[str, int]]:
        """All tags in their order where they are few, else the 15 with most clips."""
        if len(self.tags) <= 20:
            return list(self.tags.items())
        return Counter(self.tags).most_common(15)


def summarise(
    dataset: Dataset, named: Named, problems: Sequence[Problem], duplicate_of: Mapping[str, str]
) -> ImportSummary:
    """The summary of an imported data set.

    Args:
        duplicate_of: for every recording with the bytes of an earlier one, the first of these.
    """
    labels, split, fold, groups = dataset.labels(), dataset.column("split"), dataset.column("fold"), dataset.groups()
    per_clip = np.unique(np.diff(labels.indptr)[labels.clip_weight > 0], return_counts=True)
    left_out = Counter(problem.kind for problem in problems if problem.outcome == "left out")
    kept = Counter(problem.kind for problem in problems if problem.outcome == "kept")
    labelled = Counter(dataset.column("labelled").tolist())
    durations = _recording_durations(dataset)
    return ImportSummary(
        source=named.source,
        layout=named.layout,
        folder=named.folder,
        named=named.clips,
        found=named.clips - sum(left_out[kind] for kind in NOT_FOUND),
        usable=named.usable,
        clips=dataset.num_clips,
        clip_s=named.clip_s,
        hop_s=named.hop_s,
        left_out=dict(left_out.most_common()),
        kept=dict(kept.most_common()),
        hours=_seconds(dataset) / 3600,
        recordings=len(durations),
        recording_hours=float(durations.sum()) / 3600,
        labelled={word: labelled[word] for word in LABELLED if labelled[word]},
        events=named.events,
        tags=dict(zip(dataset.vocabulary.tags, labels.counts().tolist(), strict=True)),
        tags_per_clip={str(number): int(count) for number, count in zip(*per_clip, strict=True)},
        not_annotated=tuple(dataset.about["not_annotated"]),
        splits={name: int(count) for name in CLIP_SPLITS if (count := (split == name).sum())},
        folds={str(number): int((fold == number).sum()) for number in np.unique(fold[fold >= 0])},
        groups=len(np.unique(groups)),
        crossings=dict(_crossings(split, fold, groups)),
        duplicates=_duplicates(dataset, duplicate_of),
        notes=(*named.notes, *(_overlap_note(dataset) if named.events else ())),
    )


def _overlap_note(dataset: Dataset) -> Iterator[str]:
    """How many events begin before an earlier one of their clip and tag has ended, if any do."""
    said = dataset.statements()
    # In the order of their onsets, clip by clip and tag by tag.
    events = said.at(said.onset != WEAK)
    pair = pairs(events, len(dataset.vocabulary))
    onset_us, offset_us = (np.rint(times * 1e6).astype(np.int64) for times in (events.onset, events.offset))
    # Played one after another: whatever is of another clip or tag has ended.
    begins_us = np.unique(pair, return_inverse=True)[1] * int(offset_us.max(initial=0))
    ended_us = np.append(-1, np.maximum.accumulate(begins_us + offset_us))[:-1]
    overlapping = np.flatnonzero(begins_us + onset_us < ended_us)
    if len(overlapping):
        first = int(overlapping[0])
        tag, clip = dataset.vocabulary.tags[events.tag_index[first]], dataset.clips["clip"][events.clip_index[first]]
        yield (
            f'events that begin before another of their tag has ended: {len(overlapping)} (first: "{tag}" at '
            f'{seconds(events.onset[first])} s in "{clip}"); the table keeps each, frames and metrics take them as one'
        )


def _crossings(split: np.ndarray[Any, Any], fold: np.ndarray[Any, Any], groups: Any) -> Iterator[tuple[str, int]]:
    number = np.select([split == name for name in CLIP_SPLITS], range(len(CLIP_SPLITS)), -1)
    for left, right in combinations(range(len(CLIP_SPLITS)), 2):
        # A teacher may learn from recordings that are trained on.
        if {CLIP_SPLITS[left], CLIP_SPLITS[right]} == {"train", TEACHER}:
            continue
        if shared := len(group_crossings(groups, number, left, right)):
            yield f"{CLIP_SPLITS[left]} and {CLIP_SPLITS[right]}", shared
    pairs = np.unique(np.stack([groups[fold >= 0], fold[fold >= 0]]), axis=1)
    if several := int((np.bincount(pairs[0]) > 1).sum()):
        yield "several folds", several


def _duplicates(dataset: Dataset, duplicate_of: Mapping[str, str]) -> Duplicates:
    """How many there are, and what their clips say differently."""
    if not duplicate_of:
        return Duplicates()
    firsts = set(duplicate_of.values())
    among = pc.is_in(dataset.clips["path"], pa.array([*duplicate_of, *firsts], pa.string()))
    labels, split, fold = dataset.labels(), dataset.column("split"), dataset.column("fold")
    tags: dict[str, dict[str, set[int]]] = {first: {} for first in firsts}
    splits: dict[str, set[Any]] = {first: set() for first in firsts}
    folds: dict[str, set[Any]] = {first: set() for first in firsts}
    rows = np.flatnonzero(np.asarray(among))
    for row, path in zip(rows, dataset.clips["path"].take(pa.array(rows)).to_pylist(), strict=True):
        first = duplicate_of.get(path, path)
        splits[first].add(split[row])
        folds[first].add(fold[row])
        if labels.clip_weight[row]:
            said = labels.tag_index[labels.indptr[row] : labels.indptr[row + 1]]
            tags[first].setdefault(path, set()).update(said.tolist())
    return Duplicates(
        recordings=len(duplicate_of),
        sets=len(firsts),
        different_tags=sum(len({frozenset(each) for each in of_set.values()}) > 1 for of_set in tags.values()),
        several_splits=sum(len(of_set - {None}) > 1 for of_set in splits.values()),
        several_folds=sum(len(of_set - {-1}) > 1 for of_set in folds.values()),
    )


def _seconds(dataset: Dataset) -> float:
    clips = dataset.clips
    return float(pc.sum(pc.coalesce(pc.subtract(clips["offset"], clips["onset"]), clips["duration_s"])).as_py() or 0)


def _recording_durations(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds of every recording that a clip lies in, (recording,)."""
    path = np.asarray(dataset.clips["path"].combine_chunks().dictionary_encode().indices)
    return np.asarray(dataset.column("duration_s")[np.unique(path, return_index=True)[1]], dtype=np.float64)
