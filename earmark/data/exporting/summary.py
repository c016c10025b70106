"""What came of an export: counts, what was left out, and what the layout cannot hold."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from earmark.data.audio.problems import Problem
from earmark.errors import first_few


@dataclass(frozen=True)
class Written:
    """What a layout wrote.

    Attributes:
        clips: those that are in its tables; `labels` of them without times, `events` with times.
        files: audio files, or with audio "none" the names of such; `cut` of them stretches of recordings.
        problems: clips or recordings that are left out.
        losses: what the layout cannot hold of what is written, counted.
        notes: what should be known of what is written.
    """

    clips: int
    labels: int
    events: int
    tables: int
    files: int
    cut: int = 0
    problems: Sequence[Problem] = ()
    losses: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class ExportSummary:
    """What came of an export.

    Attributes:
        folder, layout, dataset, layer: what was written where, of which labels.
        audio: how recordings were placed: link, copy or none.
        clips, labels, events, tables, files, cut: as in `Written`.
        left_out: clips (or recordings) whose audio cannot be used, by kind; nothing if all is well.
        losses: what the layout cannot hold, counted.
        notes: what should be known.
    """

    folder: str
    layout: str
    dataset: str
    layer: str
    audio: str
    clips: int
    labels: int
    events: int
    tables: int
    files: int
    cut: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first_left_out: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """A table of name and number, then what is lost and what should be known."""
        rows = list(self._rows())
        width = max(len(name) for name, _, _ in rows)
        figures = max(len(str(number)) for _, number, _ in rows)
        return [
            f'{self.folder}: {self.layout}, from {self.dataset}, labels "{self.layer}"',
            *(f"{name:<{width}}  {number:>{figures}}  {remark}".rstrip() for name, number, remark in rows),
            *(f"{self.layout} cannot hold: {loss}" for loss in self.losses),
            *(f"note: {note}" for note in self.notes),
        ]

    def _rows(self) -> Iterator[tuple[str, int, str]]:
        yield "clips", self.clips, ""
        yield "labels", self.labels, "of whole clips"
        yield "events", self.events, ""
        yield "tables", self.tables, ""
        placed = {"link": "links to whole recordings", "copy": "copied", "none": "named in tables, none placed"}
        whole = self.files if self.audio == "none" else self.files - self.cut
        if whole or not self.files:
            yield "audio files", whole, placed[self.audio]
        if whole < self.files:
            yield "audio files", self.files - whole, "cut from recordings"
        for kind, count in self.left_out.items():
            yield "left out", count, f"{kind} ({self.first_left_out[kind]})"


def by_kind(problems: Sequence[Problem]) -> tuple[dict[str, int], dict[str, str]]:
    """How many problems there are of each kind, the most frequent first, and the first few paths of each."""
    counts = dict(Counter(problem.kind for problem in problems).most_common())
    paths: dict[str, dict[str, None]] = {kind: {} for kind in counts}
    for problem in problems:
        paths[problem.kind].setdefault(problem.path)
    return counts, {kind: first_few(of_kind) for kind, of_kind in paths.items()}
