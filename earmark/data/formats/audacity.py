"""Audacity's label tracks: beside `NAME.wav` a file `NAME.txt` (or `NAME.wav.txt`), exported from Audacity.

A line is onset, offset and label with tabs between, without a header, in seconds with a decimal point or comma. A line
that begins with a backslash gives the frequencies of the label before it and is passed over. A point label (onset =
offset) has no duration and is left out. An empty track says that nothing is heard; a recording without a track says
nothing.

Source: Audacity manual, Importing and Exporting Labels.
"""

import math
import posixpath
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from earmark.data.formats.beside import (
    SUFFIX,
    EventRows,
    Events,
    Recordings,
    Tally,
    first_line,
    is_text_file,
    tables_beside_recordings,
    text_files,
)
from earmark.data.formats.files import AudioByName
from earmark.data.formats.imported import Imported
from earmark.errors import InputError, counted

# Enough to find a label track among readmes; a folder of many thousand transcripts is not opened file by file.
LOOKED_AT = 100


def is_at(source: Path) -> bool:
    """Whether the source is a label track, or a folder with a recording that has one beside it."""
    if source.is_file():
        return is_text_file(source.name) and is_label_track(source)
    return any(is_label_track(source / table) for table in islice(tables_beside_recordings(source), LOOKED_AT))


def is_label_track(path: Path) -> bool:
    """Whether a text file begins with a label."""
    return _label(first_line(path)) is not None


def read(source: Path) -> Imported:
    """The recordings of a folder, or the one that a label track lies beside, with the events of their tracks.

    Raises:
        InputError: no recording has a track, or a line of one does not hold; with file and line.
    """
    folder = source if source.is_dir() else source.parent
    audio = AudioByName(folder)
    recordings = Recordings(audio, audio.found.audio if source.is_dir() else ())
    rows, tally, tracks = EventRows(), Tally(folder), 0
    for table in text_files(folder) if source.is_dir() else [source.name]:
        path, names = folder / table, [posixpath.basename(table)[: -len(SUFFIX)]]
        inside = posixpath.dirname(table)
        # A text without a recording is a track whose recording is gone, or a readme.
        if not recordings.fitting(names, inside) and not is_label_track(path):
            continue
        events = read_track(path, tally)
        row = recordings.annotated_row(names, inside, posixpath.join(inside, names[0]))
        rows.add(np.full(len(events.tags), row), events)
        tracks += 1
    if not tracks:
        raise InputError(
            f"{source}: must hold recordings with label tracks beside them (NAME.wav and NAME.txt), "
            f"found {counted(len(audio.found.audio), 'recording')} and no track"
        )
    return recordings.imported(folder, rows, [f"label tracks read: {tracks}", *tally.notes()])


def read_track(path: Path, tally: Tally) -> Events:
    """The events of a label track; what is left out, or cut, goes into the tally.

    Raises:
        InputError: the file cannot be read, or a line is no label.
    """
    tags, onsets, offsets, lines = [], [], [], []
    for line, onset_s, offset_s, tag in _labels(path):
        place = tally.place(path, line)
        if onset_s == offset_s:
            tally.add("left out: point labels, which have no duration", place)
        elif offset_s < onset_s or offset_s <= 0:
            tally.add("left out: labels that end before they begin, or before the recording", place)
        elif not tag:
            tally.add("left out: labels without text", place)
        else:
            if onset_s < 0:
                tally.add("labels that begin before the recording, cut at 0", place)
            tags.append(tag)
            onsets.append(max(0.0, onset_s))
            offsets.append(offset_s)
            lines.append(line)
    times_s = (np.array(onsets, np.float64), np.array(offsets, np.float64))
    return Events(tags, *times_s, lambda event: f"{path}:{lines[event]}")


def _labels(path: Path) -> Iterator[tuple[int, float, float, str]]:
    """Line, onset, offset and text of every label."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{number}: the file must be UTF-8, found byte 0x{error.object[error.start]:02x}; save it as UTF-8"
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        label = _label(line)
        if label is None:
            raise InputError(
                f"{path}:{number}: a line must hold onset, offset and label with tabs between, "
                f'got "{line.strip()[:60]}"{_hint(line)}'
            )
        yield number, *label


def _label(line: str) -> tuple[float, float, str] | None:
    """Onset, offset and text of a line, tabs within the text as a space; None if it is no label.

    >>> _label("1,5\\t2.25\\t Dog\\tbig "), _label("1.5\\tDog")
    ((1.5, 2.25, 'Dog big'), (1.5, 1.5, 'Dog'))
    """
    cells = line.rstrip("\r").split("\t", 2)
    onset_s = _seconds(cells[0])
    if onset_s is None or len(cells) < 2:
        return None
    offset_s = _seconds(cells[1])
    if offset_s is not None:
        return onset_s, offset_s, re.sub(r"\t+", " ", cells[2]).strip() if len(cells) == 3 else ""
    # Audacity 1.2 had points only, without an offset.
    return (onset_s, onset_s, cells[1].strip()) if len(cells) == 2 else None


def _seconds(cell: str) -> float | None:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _hint(line: str) -> str:
    return "; this is a Raven table (--format raven)" if "begin time" in line.lower() else ""
