"""What can be wrong with a recording: the kinds, what each means, and whether the clip is left out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["left out", "kept"]

# Kind: outcome, meaning. The order is that of what is looked at first.
KINDS: dict[str, tuple[Outcome, str]] = {
    "missing": ("left out", "there is no file of that name"),
    "unclear": ("left out", "several files fit the clip, or several clips fit the file"),
    "dangling link": ("left out", "a link to a file that is not there"),
    "directory": ("left out", "a folder stands where the file should be"),
    "not a file": ("left out", "a pipe, socket or device stands where the file should be"),
    "permission denied": ("left out", "the file is there, but may not be read"),
    "empty": ("left out", "no bytes, or a header without a single sample"),
    "unreadable": ("left out", "no decoder makes sound of the content"),
    "needs PyAV": ("left out", "a format that is read with the media extra: pip install 'earmark[media]'"),
    "truncated": ("left out", "the file ends, or breaks, before the end that its own header or last page tells"),
    "not finite": ("left out", "NaN or infinite values among the samples"),
    "outside recording": ("left out", "the clip's onset lies at or past the end of its recording"),
    "wrong extension": ("kept", "the file name's ending belongs to another format; the content is what counts"),
    "downmixed": ("kept", "more than one channel: the mean of the channels is used"),
    "shorter than said": ("kept", "the recording ends more than 0.05 s before the offset or duration in the table"),
    "longer than said": ("kept", "the recording lasts more than 0.05 s longer than the duration in the table"),
    "silent": ("kept", "no 16-bit sample beyond 1: digital silence, or its dither"),
    "clipped": ("kept", "at least 0.1 % of the samples are the third or later in a run at full scale"),
    "duplicate": ("kept", "the same bytes as another recording"),
}


# Slots, because a table may name millions of files that are not there.
@dataclass(frozen=True, slots=True)
class Problem:
    """What was found with one recording, or with one clip of it.

    Attributes:
        kind: a key of `KINDS`.
        detail: what was found, in words and numbers.
    """

    path: str
    clip: str
    kind: str
    outcome: Outcome
    detail: str


class AudioError(Exception):
    """A recording, or a stretch of it, that cannot be used; its kind is one of those left out."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail or KINDS[kind][1]}")
        self.kind = kind
        self.detail = detail or KINDS[kind][1]

    def problem(self, path: Path | str, clip: str = "") -> Problem:
        """The same as an entry for a list of problems."""
        return problem_of(self.kind, path, clip, self.detail)


def problem_of(kind: str, path: Path | str, clip: str = "", detail: str = "") -> Problem:
    """A problem with the outcome that belongs to its kind.

    >>> problem_of("silent", "a.wav").outcome
    'kept'
    """
    outcome, meaning = KINDS[kind]
    return Problem(str(path), clip, kind, outcome, detail or meaning)


def count_problems(problems: Iterable[Problem]) -> str:
    """How many of each kind, the most frequent first, for a log line; "" when there are none.

    >>> count_problems([problem_of("silent", "a.wav"), problem_of("missing", "b.wav"), problem_of("missing", "c.wav")])
    '2 missing (left out), 1 silent (kept)'
    """
    counts = Counter((problem.kind, problem.outcome) for problem in problems)
    return ", ".join(f"{count} {kind} ({outcome})" for (kind, outcome), count in counts.most_common())
