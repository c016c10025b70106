"""Audacity's label tracks: beside every recording `NAME.txt`, lines of onset, offset and tag with tabs between.

A recording that annotators were asked about has a track, empty if nothing is heard; one labelled none has no track.
"""

from earmark.data.exporting.content import Content
from earmark.data.exporting.joining import Pieces
from earmark.data.exporting.placing import Audio
from earmark.data.exporting.summary import Written
from earmark.data.exporting.text_tables import plain_names
from earmark.data.exporting.tracks import tracks_of, write_tables


def write(content: Content, audio: Audio) -> Written:
    """Places the recordings and writes their label tracks."""
    tags = plain_names(content.dataset.vocabulary.tags, r"\t", " ")
    return write_tables(tracks_of(content, audio), audio, ".txt", lambda _, events: "".join(_lines(events, tags)), tags)


def _lines(events: Pieces, tags: list[str]) -> list[str]:
    times_s = zip((events.onset_us / 1e6).tolist(), (events.offset_us / 1e6).tolist(), strict=True)
    return [
        f"{onset_s:.6f}\t{offset_s:.6f}\t{tags[index]}\n"
        for (onset_s, offset_s), index in zip(times_s, events.tag_index.tolist(), strict=True)
    ]
