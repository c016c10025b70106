"""Events of recordings as a table, as JSON lines, or as CSV, each as soon as it is known."""

import json
from collections.abc import Iterator

from earmark.events.stream import Event
from earmark.events.tagging import EndOfRecording
from earmark.tagging_output import csv_line


class EventPrinter:
    """Turns events into lines; times to the millisecond, which score frames are longer than."""

    header: str | None = None

    def lines(self, item: Event | EndOfRecording) -> Iterator[str]:
        """The line of an event; what there is to say at a recording's end."""
        raise NotImplementedError


class EventTable(EventPrinter):
    """For people: a line an event, and one for a recording without any."""

    def lines(self, item: Event | EndOfRecording) -> Iterator[str]:
        """`PATH  ONSET-OFFSET s  Tag .98`."""
        if isinstance(item, Event):
            yield f"{item.path}  {item.onset:.2f}-{item.offset:.2f} s  {item.tag} {item.score:.2f}"
        elif not item.num_events:
            yield f"{item.path}  (no event)"


class EventJsonLines(EventPrinter):
    """For programs: an object an event."""

    def lines(self, item: Event | EndOfRecording) -> Iterator[str]:
        """`{"path", "onset", "offset", "tag", "score"}`."""
        if isinstance(item, Event):
            times = {"onset": round(item.onset, 3), "offset": round(item.offset, 3)}
            about = {"path": item.path, **times, "tag": item.tag, "score": round(item.score, 6)}
            yield json.dumps(about, ensure_ascii=False)


class EventCsv(EventPrinter):
    """For spreadsheets: a row an event."""

    header = "path,onset,offset,tag,score"

    def lines(self, item: Event | EndOfRecording) -> Iterator[str]:
        """`path,onset,offset,tag,score`."""
        if isinstance(item, Event):
            yield csv_line([item.path, f"{item.onset:.3f}", f"{item.offset:.3f}", item.tag, f"{item.score:.6f}"])


EVENT_PRINTERS: dict[str, type[EventPrinter]] = {"table": EventTable, "jsonl": EventJsonLines, "csv": EventCsv}
"""Printers of events by `--format`."""
