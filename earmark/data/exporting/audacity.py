"""Audacity's label tracks: beside every recording `NAME.txt`, lines of onset, offset and tag with tabs between.

A recording that annotators were asked about has a track, empty if nothing is heard; one labelled none has no track.
"""

from earmark.data.exporting.content import Content
from earmark.data.exporting.joining import Pieces
from earmark.data.exporting.placing import Audio
from earmark.data.exporting.summary import Written
from earmark.data.exporting.text_tables import changed_names, plain_names
from earmark.data.exporting.tracks import tracks_of


def write(content: Content, audio: Audio) -> Written:
    """Places the recordings and writes their label tracks."""
    tracks = tracks_of(content, audio)
    tags = plain_names(content.dataset.vocabulary.tags, r"\t", " ")
    for _, name, events in tracks.tables():
        path = audio.folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_lines(events, tags)), "utf-8", newline="\n")
    return Written(
        clips=tracks.content.num_clips,
        labels=0,
        events=len(tracks.events),
        tables=int(tracks.annotated.sum()),
        files=len(tracks.paths),
        problems=tracks.problems,
        losses=(*tracks.losses, *changed_names(tracks.content, tags)),
        notes=tuple(tracks.notes),
    )


def _lines(events: Pieces, tags: list[str]) -> list[str]:
    times_s = zip((events.onset_us / 1e6).tolist(), (events.offset_us / 1e6).tolist(), strict=True)
    return [
        f"{onset_s:.6f}\t{offset_s:.6f}\t{tags[index]}\n"
        for (onset_s, offset_s), index in zip(times_s, events.tag_index.tolist(), strict=True)
    ]
