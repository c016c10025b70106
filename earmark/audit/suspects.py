"""Labels that are likelier wrong than right, given and lacking ones in one order, and what an ontology says of each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.audit.audited import Audited
from earmark.audit.suspicion import Odds, logit, probability
from earmark.data.statements import BoolArray, FloatArray, IntArray

KINDS = ("wrong", "missing", "implied")
"""A given tag that is not heard; one that is heard and not given; one that is heard and follows from a given tag."""

WRONG, MISSING, IMPLIED = range(len(KINDS))
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Suspects:
    """Suspect labels, the most suspect first, implied ones behind all others.

    Attributes:
        place: of the clip among those audited, int64 (suspect,).
        tag: place in the vocabulary, int64 (suspect,).
        kind: place in KINDS, (suspect,).
        suspicion: probability of an error, (suspect,).
        score, threshold: of the tag; under (wrong) or over (missing) the threshold a label is suspect, (suspect,).
        relative: the tag above or below this one that speaks on it, -1 for none, int64 (suspect,). Of a wrong one: what
            is likely there in its place, and scores highest; of a missing one: what is given and less precise.
    """

    place: IntArray
    tag: IntArray
    kind: IntArray
    suspicion: npt.NDArray[np.float64]
    score: FloatArray
    threshold: npt.NDArray[np.float64]
    relative: IntArray

    def __len__(self) -> int:
        return len(self.place)

    def count(self, kind: int) -> int:
        """How many there are of a kind."""
        return int(np.count_nonzero(self.kind == kind))

    def by_tag(self, kind: int, num_tags: int) -> IntArray:
        """How many there are of a kind, (tag,)."""
        return np.bincount(self.tag[self.kind == kind], minlength=num_tags)


def find_suspects(audited: Audited, odds: Odds, least: float) -> Suspects:
    """The labels whose probability of an error is at least `least`."""
    thresholds = np.stack(odds.thresholds(least))
    found: list[tuple[IntArray, ...]] = []
    values: list[tuple[FloatArray, ...]] = []
    for first in range(0, len(audited.rows), BLOCK):
        part = slice(first, first + BLOCK)
        error = odds.of_error(audited.given[part], audited.scores[part])
        looked_at = audited.judged[part] | audited.implied[part]
        place, tag = np.nonzero((error >= logit(least)) & looked_at & (odds.slope > 0))
        given, implied = audited.given[part][place, tag], audited.implied[part][place, tag]
        kind = np.where(given, WRONG, np.where(implied, IMPLIED, MISSING))
        found.append((place + first, tag, kind))
        values.append((error[place, tag], audited.scores[part][place, tag]))
    place, tag, kind = (np.concatenate(column) for column in zip(*found, strict=True))
    error, score = (np.concatenate(column) for column in zip(*values, strict=True))
    # Stable: of equal ones the first clip and tag come first.
    order = np.lexsort((-error, kind == IMPLIED))
    place, tag, kind = place[order], tag[order], kind[order]
    threshold = thresholds[np.where(kind == WRONG, 0, 1), tag]
    relative = _relatives(audited, odds, place, tag, kind)
    return Suspects(place, tag, kind, probability(error[order]), score[order], threshold, relative)


def remarks(suspects: Suspects, audited: Audited) -> list[str]:
    """What is to be said of each suspect beside its numbers, in words; "" for nothing."""
    names, said = audited.dataset.vocabulary.tags, []
    above = audited.nodes.ancestors
    for place, tag, kind, relative in zip(
        suspects.place.tolist(), suspects.tag.tolist(), suspects.kind.tolist(), suspects.relative.tolist(), strict=True
    ):
        if relative < 0:
            said.append("")
        elif kind == WRONG:
            lies = "above" if above[tag, relative] else "below"
            was = "is given" if audited.given[place, relative] else "is not given"
            score = audited.scores[place, relative]
            said.append(f'"{names[relative]}", {lies} it in the ontology, scores {score:.2f} and {was}')
        else:
            said.append(f'{"follows from" if kind == IMPLIED else "more precise than"} the given "{names[relative]}"')
    return said


def _relatives(audited: Audited, odds: Odds, place: IntArray, tag: IntArray, kind: IntArray) -> IntArray:
    """The tag that `Suspects.relative` holds, (suspect,)."""
    above = audited.nodes.ancestors
    found = np.full(len(place), -1, np.int64)
    for first in range(0, len(place), BLOCK):
        part = slice(first, first + BLOCK)
        clips, tags = place[part], tag[part]
        given, scores = audited.given[clips], audited.scores[clips]
        of_kind = (
            (above | above.T)[tags] & (odds.ratio(scores) > 0),
            above[tags] & given,
            above.T[tags] & given,
        )
        candidates: BoolArray = np.select([(kind[part] == one)[:, None] for one in range(len(KINDS))], of_kind)
        best = np.where(candidates, scores, -1).argmax(axis=1)
        found[part] = np.where(candidates.any(axis=1), best, -1)
    return found
