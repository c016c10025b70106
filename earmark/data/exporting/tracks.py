"""Whole recordings with their events, put back together from the clips that were cut from them.

An event that was cut at the edge of a clip is one again where its pieces meet, or, of clips that overlap, where they
share time, see `joining`. Two events of one tag that really meet at an edge become one as well: nothing tells them from
a cut one.
"""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.data.audio.problems import Problem
from earmark.data.exporting.content import Content, SecondsArray, losses
from earmark.data.exporting.file_names import FreeNames, recording_suffix, safe_path
from earmark.data.exporting.joining import SAME_US, Pieces, joined
from earmark.data.exporting.placing import Audio, Files
from earmark.data.exporting.summary import Written
from earmark.data.exporting.text_tables import changed_names
from earmark.data.formats.imported import without_suffix
from earmark.data.statements import BoolArray, IntArray
from earmark.errors import counted


@dataclass(frozen=True, eq=False)
class Tracks:
    """The recordings whose audio is there, each with its events.

    Attributes:
        content: the clips that lie in them.
        paths, names: where each recording is, and where its copy is in the export, without suffix, (recording,).
        annotated: whether annotators were asked about any of it, (recording,).
        events: by recording and time.
        problems: recordings that are left out.
        losses, notes: what of this no table of recordings holds, and what should be known.
    """

    content: Content
    paths: list[str]
    names: list[str]
    annotated: BoolArray
    events: Pieces
    problems: list[Problem]
    losses: list[str]
    notes: list[str]

    def tables(self) -> Iterator[tuple[str, str, Pieces]]:
        """Path, name and events of every annotated recording."""
        ends = np.searchsorted(self.events.recording, np.arange(len(self.paths) + 1))
        for index in np.flatnonzero(self.annotated).tolist():
            yield self.paths[index], self.names[index], self.events.at(np.arange(ends[index], ends[index + 1]))


def tracks_of(content: Content, audio: Audio) -> Tracks:
    """Places the recordings that the clips lie in, and puts together what is said of each."""
    recording, first = _recordings(content)
    paths = content.column("path")[first].tolist()
    suffixes = [recording_suffix(audio.root, path) for path in paths]
    names = _names(content, recording, paths, suffixes)
    nothing = np.full(len(paths), np.nan)
    targets = [name + suffix for name, suffix in zip(names, suffixes, strict=True)]
    placed, problems = audio.place(Files(paths, targets, [""] * len(paths), nothing, nothing))
    content = content.at(np.flatnonzero(np.isin(recording, placed)))
    recording, _ = _recordings(content)
    asked = content.column("labelled") != "none"
    annotated = np.zeros(len(placed), np.bool_)
    annotated[recording[asked]] = True
    pieces = _pieces(content, recording)
    events, num_hidden = joined(pieces)
    return Tracks(
        content=content,
        paths=[paths[index] for index in placed],
        names=[names[index] for index in placed],
        annotated=annotated,
        events=events,
        problems=problems,
        losses=[*_losses(content, recording, annotated, num_hidden), *losses(content, {"group"})],
        notes=list(_notes(content, recording, len(pieces), len(events))),
    )


def write_tables(
    tracks: Tracks,
    audio: Audio,
    ending: str,
    text_of: Callable[[str, Pieces], str],
    tags: Sequence[str],
    unreadable: Sequence[Problem] = (),
) -> Written:
    """Writes a text beside every annotated recording, and says what came of the export.

    Args:
        ending: what follows a recording's name in its text's.
        text_of: a recording's path and events to its text.
        tags: the vocabulary's, as they are written.
        unreadable: recordings that were left out before.
    """
    for path, name, events in tracks.tables():
        table = audio.folder / f"{name}{ending}"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(text_of(path, events), "utf-8", newline="\n")
    return Written(
        clips=tracks.content.num_clips,
        labels=0,
        events=len(tracks.events),
        tables=int(tracks.annotated.sum()),
        files=len(tracks.paths),
        problems=(*unreadable, *tracks.problems),
        losses=(*tracks.losses, *changed_names(tracks.content, tags)),
        notes=tuple(tracks.notes),
    )


def _recordings(content: Content) -> tuple[IntArray, IntArray]:
    """The recording of every clip, numbered in the order of the clips, and the first clip of every recording."""
    coded = content.dataset.clips["path"].combine_chunks().dictionary_encode().indices
    _, first, number = np.unique(np.asarray(coded)[content.rows], return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    return place[number], first[order]


def _names(content: Content, recording: IntArray, paths: list[str], suffixes: list[str]) -> list[str]:
    """A name for every recording: that of the clip that is all of it, else its path (absolute: its last part)."""
    free = FreeNames()
    count = np.bincount(recording, minlength=len(paths))
    only = np.flatnonzero((count[recording] == 1) & np.isnan(content.onset_s))
    clip_of = dict(zip(recording[only].tolist(), content.column("clip")[only].tolist(), strict=True))
    names = []
    for index, (path, suffix) in enumerate(zip(paths, suffixes, strict=True)):
        beneath = posixpath.basename(path) if path.startswith("/") else path
        names.append(free.take(safe_path(clip_of.get(index, without_suffix(beneath))), suffix))
    return names


def _pieces(content: Content, recording: IntArray) -> Pieces:
    """What is said of annotated clips, on the clocks of their recordings; a label without times is as long as its clip.

    Such a label is left out where an event of the clip has its tag, and never joined: it speaks of its own clip.
    """
    asked = content.column("labelled") != "none"
    begin_us = _microseconds(np.nan_to_num(content.onset_s, nan=0.0))
    end_us = begin_us + np.maximum(1, _microseconds(content.duration_s))
    kept = asked[content.statements.clip_index] & ~content.is_implied
    said, is_strong = content.statements.at(kept), content.is_strong[kept]
    clip = said.clip_index
    onset_us = np.where(is_strong, begin_us[clip] + _microseconds(said.onset), begin_us[clip])
    offset_us = np.where(is_strong, begin_us[clip] + _microseconds(said.offset), end_us[clip])
    offset_us = np.maximum(offset_us, onset_us + 1)
    is_part = is_strong & ~np.isnan(content.onset_s)[clip]
    return Pieces(
        recording[clip],
        said.tag_index.astype(np.int64),
        clip,
        onset_us,
        offset_us,
        cut_onset=is_part & (onset_us <= begin_us[clip] + SAME_US),
        cut_offset=is_part & (offset_us >= end_us[clip] - SAME_US),
        is_event=is_strong,
    )


def _microseconds(seconds: SecondsArray) -> IntArray:
    return np.rint(seconds * 1e6).astype(np.int64)


def _losses(content: Content, recording: IntArray, annotated: BoolArray, num_hidden: int) -> Iterator[str]:
    if num_hidden:
        yield (
            f"events that were cut and share time with another of their tag: {num_hidden}; nothing tells which piece "
            "is whose, so they are one"
        )
    labelled = content.column("labelled")
    weak = int((labelled == "weak").sum())
    if weak:
        yield f"that {counted(weak, 'clip', 'are')} labelled weak: a recording with a table is labelled strong"
    unasked = int(((labelled == "none") & annotated[recording]).sum())
    if unasked:
        clips = counted(unasked, "clip", "are")
        yield f"that {clips} labelled none, of recordings with others: nothing seems to be heard there"
    unwritten = int((labelled == "none")[content.statements.clip_index].sum())
    if unwritten:
        yield f"{counted(unwritten, 'label')} of clips labelled none"
    groups = _groups_of_several(content, recording)
    if groups:
        yield f"group of {counted(groups, 'clip')}: groups of several recordings"


def _groups_of_several(content: Content, recording: IntArray) -> int:
    """How many clips are in groups of several recordings."""
    group = content.dataset.groups()[content.rows]
    pairs: npt.NDArray[np.int64] = np.unique(np.stack([group, recording]), axis=1)
    several = np.bincount(pairs[0], minlength=1) > 1
    return int(several[group].sum())


def _notes(content: Content, recording: IntArray, num_pieces: int, num_events: int) -> Iterator[str]:
    said = content.statements
    long = int(
        (~content.is_strong & ~content.is_implied & (content.column("labelled") != "none")[said.clip_index]).sum()
    )
    if long:
        yield f"{counted(long, 'label')} without times, written as long as their clips"
    stretches = ~np.isnan(content.onset_s)
    if stretches.any():
        recordings = len(np.unique(recording[stretches]))
        clips, whole = counted(int(stretches.sum()), "clip", "are"), counted(recordings, "recording")
        yield f"{clips} put together to the {whole} that they were cut from"
    if num_pieces > num_events:
        yield f"{num_pieces} events of clips are {num_events} of recordings: pieces at the edges of clips are joined"
