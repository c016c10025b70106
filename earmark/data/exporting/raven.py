"""Raven's selection tables: beside every recording `NAME.Table.1.selections.txt`, a row an event, all frequencies.

A recording that annotators were asked about has a table, without rows if nothing is heard; one labelled none has none.
"""

import numpy as np

from earmark.data.audio.problems import AudioError, Problem
from earmark.data.audio.reading import inspect_audio
from earmark.data.exporting.content import Content
from earmark.data.exporting.joining import Pieces
from earmark.data.exporting.placing import Audio
from earmark.data.exporting.summary import Written
from earmark.data.exporting.text_tables import plain_names
from earmark.data.exporting.tracks import tracks_of, write_tables
from earmark.prefetch import mapped

COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"),
    "Annotation",
)


def write(content: Content, audio: Audio) -> Written:
    """Places the recordings and writes their selection tables."""
    rate_hz, unreadable = _rates(content, audio)
    content = content.at(np.flatnonzero([path in rate_hz for path in content.column("path")]))
    tracks = tracks_of(content, audio)
    # A cell that begins with a quote would be read as a quoted one.
    tags = plain_names(content.dataset.vocabulary.tags, r'\t|^\s*"', " ")

    def text_of(path: str, events: Pieces) -> str:
        return "".join(_lines(events, tags, rate_hz[path]))

    return write_tables(tracks, audio, ".Table.1.selections.txt", text_of, tags, unreadable)


def _lines(events: Pieces, tags: list[str], rate_hz: int) -> list[str]:
    columns = (events.onset_us / 1e6, events.offset_us / 1e6, events.tag_index)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        "\t".join(COLUMNS) + "\n",
        *(
            f"{number}\tSpectrogram 1\t1\t{onset_s:.6f}\t{offset_s:.6f}\t0.0\t{rate_hz / 2:.1f}\t{tags[index]}\n"
            for number, (onset_s, offset_s, index) in enumerate(rows, start=1)
        ),
    ]


def _rates(content: Content, audio: Audio) -> tuple[dict[str, int], list[Problem]]:
    """The sample rate of every recording, for the highest frequency; and those that cannot be read."""
    paths = list(dict.fromkeys(content.column("path").tolist()))
    rate_hz: dict[str, int] = {}
    problems = []
    for path, found in zip(paths, mapped(lambda path: _rate(audio, path), paths), strict=True):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            rate_hz[path] = found
    return rate_hz, problems


def _rate(audio: Audio, path: str) -> int | Problem:
    try:
        return inspect_audio(audio.root / path)[0].rate_hz
    except AudioError as error:
        return error.problem(path)
