"""What an export is made of: clips and the statements in force of them, and what every layout must leave behind."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earmark.data.audio.problems import Problem, problem_of
from earmark.data.dataset import Dataset
from earmark.data.inspection import inspect_recordings
from earmark.data.statements import WEAK, BoolArray, IntArray, Statements, pairs
from earmark.errors import counted

SecondsArray = npt.NDArray[np.float64]

# A layout says yes or no; a statement of less is a no.
DECIDED = 0.5


@dataclass(frozen=True, eq=False)
class Content:
    """Some clips of a data set and what is said of them.

    Attributes:
        rows: the clips, as rows of the clip table, ascending, (clip,).
        statements: those of value .5 and more, by clip, tag and times; `clip_index` counts in `rows`.
        onset_s: where the clip begins in its recording, NaN if it is all of it, (clip,).
        duration_s: of the clip, (clip,).
    """

    dataset: Dataset
    rows: IntArray
    statements: Statements
    onset_s: SecondsArray
    duration_s: SecondsArray

    @property
    def num_clips(self) -> int:
        """The clips."""
        return len(self.rows)

    @property
    def num_stretches(self) -> int:
        """The clips that are not all of their recording."""
        return int((~np.isnan(self.onset_s)).sum())

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """A column of the clip table, see `Dataset.column`, (clip,)."""
        values: npt.NDArray[np.object_] = self.dataset.column(name)[self.rows]
        return values

    @property
    def is_strong(self) -> BoolArray:
        """Which statements have times, (statement,)."""
        strong: BoolArray = self.statements.onset != WEAK
        return strong

    @property
    def is_implied(self) -> BoolArray:
        """Which statements without times are about a tag that an event of the same clip has, (statement,)."""
        pair = pairs(self.statements, len(self.dataset.vocabulary))
        implied: BoolArray = ~self.is_strong & np.isin(pair, pair[self.is_strong])
        return implied

    def at(self, places: IntArray) -> "Content":
        """Some of the clips, their places ascending, with their statements."""
        new_place = np.full(self.num_clips, -1, np.int64)
        new_place[places] = np.arange(len(places))
        clip = new_place[self.statements.clip_index]
        kept = self.statements.at(clip >= 0)
        return replace(
            self,
            rows=self.rows[places],
            statements=replace(kept, clip_index=clip[clip >= 0]),
            onset_s=self.onset_s[places],
            duration_s=self.duration_s[places],
        )

    def tags_of_clips(self) -> tuple[IntArray, npt.NDArray[np.int32]]:
        """Every clip with every tag that it has anywhere in it, each pair once, by both: (pair,), (pair,)."""
        said = self.statements
        is_new = np.ones(len(said), np.bool_)
        is_new[1:] = (np.diff(said.clip_index) != 0) | (np.diff(said.tag_index) != 0)
        return said.clip_index[is_new], said.tag_index[is_new]


def content_of(dataset: Dataset, layer: str) -> tuple[Content, list[Problem], list[str]]:
    """What there is to export, why some clips cannot be, and what of their labels no layout holds.

    Raises:
        InputError: there is no such layer, or it does not hold.
    """
    statements = dataset.statements(layer)
    decided = statements.at(statements.value >= DECIDED)
    recording_s, problems = _recording_durations(dataset)
    onset_s, offset_s = dataset.column("onset"), dataset.column("offset")
    is_whole = np.isnan(onset_s)
    duration_s = np.where(is_whole, recording_s, np.minimum(offset_s, recording_s) - onset_s)
    for row in np.flatnonzero(~is_whole & (duration_s <= 0)).tolist():
        duration_s[row] = np.nan
        detail = f"the clip begins at {onset_s[row]:.3f} s, the recording lasts {recording_s[row]:.3f} s"
        path, clip = str(dataset.clips["path"][row]), str(dataset.clips["clip"][row])
        problems.append(problem_of("outside recording", path, clip, detail))
    everything = Content(dataset, np.arange(dataset.num_clips), decided, onset_s, duration_s)
    below, soft = len(statements) - len(decided), int((decided.value < 1).sum())
    lost = [f"{counted(below, 'label')} of a value below {DECIDED:g}"] if below else []
    lost += [f"the value of {counted(soft, 'label')}, of {DECIDED:g} to 1: written as plain labels"] if soft else []
    return everything.at(np.flatnonzero(~np.isnan(duration_s))), problems, lost


def _recording_durations(dataset: Dataset) -> tuple[SecondsArray, list[Problem]]:
    """Seconds of every clip's recording, NaN where neither the table nor the file tells; and why, by clip."""
    duration_s: SecondsArray = dataset.column("duration_s").copy()
    unknown = np.flatnonzero(np.isnan(duration_s))
    paths = dataset.clips["path"].take(pa.array(unknown)).combine_chunks().dictionary_encode()
    if not len(unknown):
        return duration_s, []
    looked = inspect_recordings(dataset.audio_root, paths.dictionary.to_pylist())
    recording = np.asarray(paths.indices, dtype=np.int64)
    duration_s[unknown] = looked.duration_s[recording]
    why = dict(zip(looked.place.tolist(), looked.problems, strict=True))
    clip = dataset.column("clip")
    left_out = [(row, place) for row, place in zip(unknown, recording, strict=True) if np.isnan(duration_s[row])]
    return duration_s, [replace(why[place], clip=clip[row]) for row, place in left_out]


def losses(content: Content, holds: Collection[str]) -> Iterator[str]:
    """What a layout leaves behind of the clip table and the vocabulary, counted.

    Args:
        holds: of "split", "fold", "group", "verified", "tags" (those without a label too) and "ids" those that the
            layout holds.
    """
    dataset = content.dataset
    columns = {
        "split": content.column("split") != None,  # noqa: E711 - element by element
        "fold": content.column("fold") >= 0,
        "group": in_shared_groups(content),
        "verified": content.column("verified") >= 0,
    }
    for name, is_given in columns.items():
        if name not in holds and is_given.any():
            yield f"{name} of {counted(int(is_given.sum()), 'clip')}"
    not_annotated = dataset.about.get("not_annotated", ())
    if not_annotated:
        yield f"that {counted(len(not_annotated), 'tag', 'were')} not annotated"
    unused = len(dataset.vocabulary) - len(np.unique(content.statements.tag_index))
    if "tags" not in holds and unused:
        yield f"{counted(unused, 'tag')} of the vocabulary that no clip has"
    if "ids" not in holds and dataset.vocabulary.ids is not None:
        yield f"ids of {counted(len(dataset.vocabulary), 'tag')}"


def in_shared_groups(content: Content) -> BoolArray:
    """Which clips have a group in common with another clip, (clip,): of these a lost group is missed."""
    group = content.dataset.groups()[content.rows]
    shared: BoolArray = np.bincount(group, minlength=1)[group] > 1
    return shared
