"""Which tags a model confuses, and which go together, as tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import counted
from earmark.evaluation_summary import of_what, section_of
from earmark.figures import Cell, TableFigure
from earmark.metrics.tag_pairs import TagPairs

MOST_PAIRS = 40


def confusions(evaluation: Mapping[str, Any], pairs: TagPairs, suspects: npt.NDArray[np.int64]) -> TableFigure:
    """Tags that are found in clips labelled with another one and not with them.

    First are the pairs with most such clips more than there would be at the tag's usual share.

    Args:
        evaluation: as it is written.
        suspects: clips in which a tag is found without its label, whatever else is labelled, (tag,).
    """
    tags = [row["tag"] for row in evaluation["per_tag"]]
    usual_share = suspects / np.maximum(np.diag(pairs.clips) - np.diag(pairs.labelled), 1)
    more = pairs.confused - pairs.without * usual_share
    first, second, total = _most(pairs.confused > 0, more)
    rows: list[list[Cell]] = [
        [
            tags[a],
            tags[b],
            int(pairs.without[a, b]),
            int(pairs.confused[a, b]),
            float(pairs.confused[a, b] / pairs.without[a, b]),
            float(usual_share[b]),
            int(pairs.instead[a, b]),
        ]
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    top = f" First: {rows[0][1]} where {rows[0][0]} is labelled, {rows[0][3]} of {rows[0][2]} clips." if rows else ""
    return TableFigure(
        title="Tags found where another is labelled",
        caption=f"{of_what(evaluation)}; a tag is found at its threshold or more.{_how_many(len(rows), total)} The "
        "usual share is that in all clips without its label; first are those with most clips beyond it. Where the "
        "labelled tag is missed, one was taken for the other; where it is found too, a label may be missing.",
        alt=f"A table of {counted(len(rows), 'pair')} of tags.{top}",
        columns=["Labelled", "Found, not labelled", "Clips", "Found in", "Share", "Usual share", "Labelled missed"],
        rows=rows,
        section=section_of("Tags", evaluation),
        place=12,
    )  # fmt: skip


def cooccurrence(evaluation: Mapping[str, Any], pairs: TagPairs) -> TableFigure:
    """Pairs of tags that clips have together, by their labels and by what is found.

    First are those that are labelled together more often than by chance.
    """
    tags = [row["tag"] for row in evaluation["per_tag"]]
    # Of clips where both were annotated: those with the first tag, and those with the second.
    has = pairs.labelled + pairs.without
    expected = has * has.T / np.maximum(pairs.clips, 1)
    labelled, found = np.triu(pairs.labelled, 1), np.triu(pairs.found, 1)
    more = np.where(labelled > 0, labelled - expected, -np.inf)
    first, second, total = _most((labelled > 0) | (found > 0), more, found)
    rows: list[list[Cell]] = [
        [tags[a], tags[b], int(pairs.labelled[a, b]), float(expected[a, b]), int(pairs.found[a, b])]
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    none = "" if labelled.any() else " No clip is labelled with two tags."
    return TableFigure(
        title="Tags that go together",
        caption=f"{of_what(evaluation)}.{none}{_how_many(len(rows), total)} By chance: if the two tags had nothing to "
        "do with each other. Found far more often than labelled: a label may be missing.",
        alt=f"A table of {counted(len(rows), 'pair')} of tags: clips labelled with both, clips where both are found.",
        columns=["Tag", "With", "Labelled together", "By chance", "Found together"],
        rows=rows,
        section=section_of("Tags", evaluation),
        place=13,
    )


def _most(
    there: npt.NDArray[np.bool_], *values: npt.NDArray[np.number[Any]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Of the pairs that are there those of the greatest values, later ones for ties: both places, and how many are."""
    places = np.flatnonzero(there)
    order = np.lexsort([-value.ravel()[places] for value in reversed(values)])[:MOST_PAIRS]
    first, second = np.divmod(places[order], len(there))
    return first, second, len(places)


def _how_many(shown: int, total: int) -> str:
    if not total:
        return " There are no such pairs."
    return f" The first {shown} of {total:,} pairs." if shown < total else ""
