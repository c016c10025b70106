"""Tags as a table, as JSON lines, or as CSV."""

import csv
import io
import json
from collections.abc import Iterator, Sequence

import numpy as np

from earmark.tagging import Tagged


class Printer:
    """Turns what a model says of a recording into lines.

    Args:
        top_k: at most so many tags, best first.
        threshold: only scores of at least this.
    """

    header: str | None = None

    def __init__(self, top_k: int, threshold: float) -> None:
        self.top_k = top_k
        self.threshold = threshold

    def best(self, tagged: Tagged, tags: Sequence[str]) -> list[tuple[str, float]]:
        """The tags to print with their scores, best first."""
        order = np.argsort(-tagged.scores, kind="stable")[: self.top_k]
        return [(tags[k], float(tagged.scores[k])) for k in order if tagged.scores[k] >= self.threshold]

    def lines(self, tagged: Tagged, tags: Sequence[str]) -> Iterator[str]:
        """The lines of a recording, or of a window in it."""
        raise NotImplementedError


class Table(Printer):
    """For people: a line a recording or window, tags beside each other."""

    def lines(self, tagged: Tagged, tags: Sequence[str]) -> Iterator[str]:
        """`PATH  [ONSET-OFFSET s]  Tag .98  Other tag .12`."""
        span = "" if tagged.onset is None else f"  {tagged.onset:.1f}-{tagged.offset:.1f} s"
        shown = "  ".join(f"{tag} {score:.3f}" for tag, score in self.best(tagged, tags)) or "(no tag)"
        yield f"{tagged.path}{span}  {shown}"


class JsonLines(Printer):
    """For programs: an object a recording or window; onset and offset are null for the whole recording."""

    def lines(self, tagged: Tagged, tags: Sequence[str]) -> Iterator[str]:
        """`{"path", "onset", "offset", "tags": [{"tag", "score"}, ...]}`."""
        best = [{"tag": tag, "score": round(score, 6)} for tag, score in self.best(tagged, tags)]
        yield json.dumps(
            {"path": tagged.path, "onset": tagged.onset, "offset": tagged.offset, "tags": best}, ensure_ascii=False
        )


class Csv(Printer):
    """For spreadsheets: a row a tag; onset and offset are empty for the whole recording."""

    header = "path,onset,offset,tag,score"

    def lines(self, tagged: Tagged, tags: Sequence[str]) -> Iterator[str]:
        """`path,onset,offset,tag,score`."""
        for tag, score in self.best(tagged, tags):
            yield csv_line([tagged.path, tagged.onset, tagged.offset, tag, f"{score:.6f}"])


def csv_line(values: Sequence[object]) -> str:
    """A row of CSV without the end of its line; None is empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


PRINTERS: dict[str, type[Printer]] = {"table": Table, "jsonl": JsonLines, "csv": Csv}
"""Printers by `--format`."""
