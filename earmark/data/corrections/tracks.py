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
from earmark.data.formats.beside import SUFFIX, Events, Tally, is_blank, names_meant, text_files
from earmark.data.formats.raven import is_selection_table, read_selections
from earmark.data.statements import WEAK, Statements
from earmark.data.table_files import CSV_SUFFIXES
from earmark.data.tables import repeats
from earmark.errors import InputError, did_you_mean

TABLE_SUFFIXES = (*CSV_SUFFIXES, ".parquet")


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
        InputError: there is none, or none of a clip that is known, a tag is not in the vocabulary, or a line does not
            hold.
    """
    folder = source if source.is_dir() else source.parent
    lookup, tally = ClipNames(dataset), Tally(folder)
    tracks = list(_tracks(source, lookup, tally))
    if not tracks:
        raise InputError(f"{source}: must hold label tracks or selection tables (.txt), found none{_tables(folder)}")
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
        _tags(dataset, [tracks[index] for index in known]),
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
        notes=(*lookup.unclear(unknown), *tally.notes()),
    )


def _tracks(source: Path, lookup: ClipNames, tally: Tally) -> Iterator[_Track]:
    """Every track of the source, a selection table of several recordings as one for each."""
    if not source.is_dir():
        yield from _tracks_of_file(source, "", tally)
        return
    others = []
    for table in text_files(source):
        path, inside = source / table, posixpath.dirname(table)
        if is_selection_table(path) or is_label_track(path) or is_blank(path):
            yield from _tracks_of_file(path, inside, tally)
        else:
            others.append(table)
    names = {table: _spelled(posixpath.dirname(table), names_meant(table)) for table in others}
    known = _known(lookup, [name for spelled in names.values() for name in spelled])
    for table in others:
        # A text that is called like a recording is a track, and a broken one must not be passed over.
        if known.isdisjoint(names[table]):
            tally.add("texts that are no tracks and called like no recording, passed over", table)
        else:
            yield _Track(names[table], read_track(source / table, tally))


def _tracks_of_file(path: Path, inside: str, tally: Tally) -> Iterator[_Track]:
    """The tracks in a file that lies in a folder of the source."""
    own_name = path.name[: -len(SUFFIX)]
    if is_selection_table(path):
        events = read_selections(path, tally)
        if events.recordings is None:
            yield _Track(_spelled(inside, names_meant(path.name)), events)
        else:
            yield from _by_recording(inside, events)
    elif is_blank(path):
        # Of either kind.
        yield _Track(_spelled(inside, [own_name, *names_meant(path.name)]), read_track(path, tally))
    else:
        yield _Track(_spelled(inside, [own_name]), read_track(path, tally))


def _known(lookup: ClipNames, names: Sequence[str]) -> set[str]:
    return {*lookup.of_recordings(names), *lookup.of_clips(names)}


def _tables(folder: Path) -> str:
    """The end of a message about a folder without tracks: that a table is given itself."""
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    return f"; give a table itself, such as {tables[0]}" if tables else ""


def _by_recording(inside: str, events: Events) -> Iterator[_Track]:
    place = {name: index for index, name in enumerate(events.named)}
    code = np.array([place[name] for name in events.recordings or ()], np.int64)
    tags, order = np.array(events.tags, dtype=object), np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=len(place)))
    for name, rows in zip(events.named, np.split(order, ends[:-1]), strict=True):
        some = Events(
            tags[rows].tolist(),
            events.onset_s[rows],
            events.offset_s[rows],
            lambda event, rows=rows: events.place(int(rows[event])),  # type: ignore[misc]
        )
        yield _Track(_spelled(inside, [name]), some)


def _spelled(inside: str, names: Sequence[str]) -> list[str]:
    """The names within their folder, and alone."""
    return list(dict.fromkeys(spelled for name in names for spelled in (posixpath.join(inside, name), name)))


def _tags(dataset: Dataset, tracks: Sequence[_Track]) -> IntArray:
    """The place of every event's tag in the vocabulary."""
    vocabulary = dataset.vocabulary
    for track in tracks:
        for tag in dict.fromkeys(track.events.tags):
            if tag not in vocabulary:
                raise InputError(
                    f"{track.events.place(track.events.tags.index(tag))}: tag must be in the vocabulary of "
                    f'{len(vocabulary)}, got "{tag}"{did_you_mean(tag, vocabulary)}'
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
