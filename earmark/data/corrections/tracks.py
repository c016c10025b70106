"""Corrected labels as Audacity's label tracks or Raven's selection tables, called like recordings or clips."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earmark.data.corrections.clip_names import ClipNames, IntArray, Pieces
from earmark.data.corrections.corrected import TOLERANCE_S, Corrected, Named, in_clips, unknown_names
from earmark.data.dataset import Dataset
from earmark.data.formats.audacity import is_label_track, read_track
from earmark.data.formats.beside import SUFFIX, Events, Tally, first_line, names_meant, text_files
from earmark.data.formats.raven import is_selection_table, read_selections
from earmark.data.statements import WEAK, Statements
from earmark.data.tables import repeats
from earmark.errors import InputError, did_you_mean


@dataclass(frozen=True, eq=False)
class _Track:
    """Events of one recording or clip, by the names that it may have, the most exact first."""

    names: Sequence[str]
    events: Events


def read_tracks(dataset: Dataset, source: Path) -> Corrected:
    """What a label track, a selection table, or all those in a folder say of the data set's clips.

    They say all that is heard in each recording or clip that they are called like, or that a selection table names.
    Times are those of the recording where the name is one, else of the clip.

    Raises:
        InputError: none is of a clip that is known, a tag is not in the vocabulary, or a line does not hold.
    """
    lookup, tally = ClipNames(dataset), Tally()
    tracks = list(_tracks(source, tally))
    spelled = list(dict.fromkeys(name for track in tracks for name in track.names))
    recordings = lookup.of_recordings(spelled)
    clips = lookup.of_clips([name for name in spelled if name not in recordings])
    names = [
        next((name for name in track.names if name in recordings or name in clips), track.names[0]) for track in tracks
    ]
    pieces = lookup.pieces(names, clips, recordings)
    unknown = unknown_names(source, names, pieces.counts, lookup)
    known = [index for index, count in enumerate(pieces.counts) if count]
    events = Named(
        names,
        np.repeat(np.array(known, np.int64), [len(tracks[index].events.tags) for index in known]),
        _tags(dataset, source, [tracks[index] for index in known]),
        np.concatenate([np.stack([part.onset_s, part.offset_s]) for part in (tracks[i].events for i in known)], axis=1),
    )
    _, piece, said = in_clips(events, pieces, tally)
    said = _weak_where_whole(dataset, said, piece, pieces, tally)
    again, _ = repeats([said.clip_index, said.tag_index, said.onset, said.offset])
    return Corrected(
        said.at(~again),
        np.unique(pieces.row),
        is_complete=True,
        has_times=True,
        unknown=unknown,
        notes=tuple(tally.notes()),
    )


def _tracks(source: Path, tally: Tally) -> Iterator[_Track]:
    """Every track of the source, a selection table of several recordings as one for each."""
    folder = source if source.is_dir() else source.parent
    for table in text_files(source) if source.is_dir() else [source.name]:
        path, inside = folder / table, posixpath.dirname(table)
        if is_selection_table(path):
            events = read_selections(path, tally)
            if events.recordings is None:
                yield _Track(_spelled(inside, names_meant(table)), events)
            else:
                yield from _by_recording(inside, events)
        elif is_label_track(path) or not first_line(path):
            yield _Track(_spelled(inside, [posixpath.basename(table)[: -len(SUFFIX)]]), read_track(path, tally))
        elif path == source:
            read_track(path, tally)


def _by_recording(inside: str, events: Events) -> Iterator[_Track]:
    place = {name: index for index, name in enumerate(events.named)}
    code = np.array([place[name] for name in events.recordings or ()], np.int64)
    tags, order = np.array(events.tags, dtype=object), np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=len(place)))
    for name, rows in zip(events.named, np.split(order, ends[:-1]), strict=True):
        yield _Track(_spelled(inside, [name]), Events(tags[rows].tolist(), events.onset_s[rows], events.offset_s[rows]))


def _spelled(inside: str, names: Sequence[str]) -> list[str]:
    """The names within their folder, and alone."""
    return list(dict.fromkeys(spelled for name in names for spelled in (posixpath.join(inside, name), name)))


def _tags(dataset: Dataset, source: Path, tracks: Sequence[_Track]) -> IntArray:
    """The place of every event's tag in the vocabulary."""
    vocabulary = dataset.vocabulary
    for track in tracks:
        for tag in dict.fromkeys(track.events.tags):
            if tag not in vocabulary:
                raise InputError(
                    f'{source}: tag must be in the vocabulary of {len(vocabulary)}, got "{tag}" '
                    f'(of "{track.names[0]}"){did_you_mean(tag, vocabulary)}'
                )
    place = {tag: index for index, tag in enumerate(vocabulary)}
    return np.array([place[tag] for track in tracks for tag in track.events.tags], np.int64)


def _weak_where_whole(dataset: Dataset, said: Statements, piece: IntArray, pieces: Pieces, tally: Tally) -> Statements:
    """The statements, an event over all of a clip labelled weak as a weak label: a track has no other form for it."""
    length_s = (pieces.end_s - pieces.begin_s)[piece]
    is_whole = (said.onset <= TOLERANCE_S) & (said.offset >= length_s - TOLERANCE_S)
    is_whole &= dataset.column("labelled")[said.clip_index] == "weak"
    if is_whole.any():
        first = dataset.clips["clip"][int(said.clip_index[is_whole.argmax()])].as_py()
        tally.add("events over the whole of a clip labelled weak, taken as weak labels", first, int(is_whole.sum()))
    return replace(said, onset=np.where(is_whole, WEAK, said.onset), offset=np.where(is_whole, WEAK, said.offset))
