"""Figures of pseudo strong labels: tags per clip and coverage of the labels, by the length of chunks.

Source: Dinkel et al. 2022, Figs. 2 and 3.
"""

import functools
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.errors import InputError, first_few
from earmark.figures import Cell, ChartFigure, Figure, Series, TableFigure, write_figure
from earmark.relabel.chunks import Coverage, IntArray, coverage, shares_by_count, shares_by_coverage
from earmark.scores.store import ScoreStore

MOST_COUNTED = 10
"""The chart of tags per clip puts clips with as many, or more, into one bar."""

COVERAGE_EDGES = np.array([0, 0.25, 0.5, 0.75, 1])
COVERAGE_NAMES = ["0", "to .25", "to .5", "to .75", "below 1", "1"]

COLUMNS = (
    "Chunks",
    "Tags per clip",
    "Given tags per clip",
    "Share without a tag",
    "Mean coverage",
    "Share with none of its given tags",
)
HEAD_LETTERS = 12
"""The longest line of a heading in a terminal."""

Named = tuple[str, Coverage]


@dataclass(frozen=True, eq=False)
class ChunkCoverage:
    """What a store's chunks say of clips."""

    store: ScoreStore
    chunk_s: float
    found: Coverage


def write_coverage_figures(
    folder: Path,
    dataset: Dataset,
    stores: Sequence[ScoreStore],
    layer: str = GIVEN,
    threshold: float = 0.5,
    rows: IntArray | None = None,
) -> dict[str, Figure]:
    """Writes what `coverage_figures` gives into a folder of figures, the table last, and returns it."""
    figures = coverage_figures(dataset, stores, layer, threshold, rows)
    # Where the table is, all are: who is killed here and goes on can tell.
    for name, figure in sorted(figures.items(), key=lambda item: item[0] == "coverage"):
        write_figure(folder, name, figure)
    return figures


def coverage_figures(
    dataset: Dataset,
    stores: Sequence[ScoreStore],
    layer: str = GIVEN,
    threshold: float = 0.5,
    rows: IntArray | None = None,
) -> dict[str, Figure]:
    """`coverage` (a table), `tags-per-clip` and `label-coverage`, of the clips that all stores have scores of.

    The last one is missing where no clip has a given tag.

    Args:
        layer: whose labels are the given ones.
        threshold: a score of at least this makes a tag.
        rows: the clips to look at, by their row; None for all.

    Raises:
        InputError: a store is of whole clips, of other tags or of other clips, or there is no such layer.
    """
    asked = np.arange(dataset.num_clips) if rows is None else rows
    shown = _of_shared_clips([_covered(store, dataset, asked, layer, threshold) for store in stores])
    first = shown[0][1]
    where = f"{len(first)} clips of {dataset.name}"
    against = labels_in_words(layer)
    figures: dict[str, Figure] = {
        "coverage": _table(shown, where, against, threshold, _out_of_fold(shown, stores)),
        "tags-per-clip": _tags_per_clip(shown, where, against, threshold),
    }
    if len(first.shares):
        figures["label-coverage"] = _label_coverage(shown, dataset.name, against, threshold)
    return figures


def coverage_lines(table: TableFigure) -> list[str]:
    """The table of `coverage_figures` for a terminal."""
    heads = [textwrap.wrap(column, HEAD_LETTERS) for column in table.columns]
    highest = max(map(len, heads))
    above = zip(*([""] * (highest - len(head)) + head for head in heads), strict=True)
    cells = [*map(list, above), *([_shown(value) for value in row] for row in table.rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(table.columns))]
    lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return [table.caption, *("  ".join([row[0].strip().ljust(widths[0]), *row[1:]]) for row in lines)]


def labels_in_words(layer: str) -> str:
    """What a layer's labels are called in a caption."""
    return "the given labels" if layer == GIVEN else f"layer {layer}"


def check_own_tags(store: ScoreStore, dataset: Dataset) -> None:
    """Raises InputError unless the scores are of the data set's own tags: coverage is not drawn through a map."""
    try:
        store.check_tags(dataset)
    except InputError as error:
        raise InputError(f"{error}; coverage is over the data set's own tags, and takes no map of others") from error


def _out_of_fold(shown: Sequence[Named], stores: Sequence[ScoreStore]) -> str:
    """Which of the scores flatter nobody, in words."""
    names = [name for (name, _), store in zip(shown, stores, strict=True) if store.about.get("out_of_fold")]
    said = "all" if len(names) == len(stores) else first_few(names, 12) or "none"
    return f"Scored by models that never saw the clip: {said}."


def _covered(store: ScoreStore, dataset: Dataset, rows: IntArray, layer: str, threshold: float) -> ChunkCoverage:
    check_own_tags(store, dataset)
    rows = np.sort(rows)
    line, place = store.lines_of(dataset, rows)
    assert store.chunking is not None
    score_row = store.column("first_row")[line]
    found = coverage(dataset.labels(layer), rows[place], lambda part: store.read(score_row[part]), threshold)
    return ChunkCoverage(store, store.chunking.chunk_s, found)


def _of_shared_clips(found: Sequence[ChunkCoverage]) -> list[tuple[str, Coverage]]:
    """Each store's by its name in figures, of the clips that all have."""
    clips = functools.reduce(np.intersect1d, [one.found.clip_index for one in found])
    if not len(clips):
        raise InputError(f"stores must have clips in common, {first_few(one.store.folder for one in found)} have none")
    names = [f"{one.chunk_s:g} s" for one in found]
    return [
        (name if names.count(name) == 1 else f"{name}, {one.store.folder}", one.found.of(clips))
        for name, one in zip(names, found, strict=True)
    ]


def _table(shown: Sequence[Named], where: str, against: str, threshold: float, who: str) -> TableFigure:
    rows: list[list[Cell]] = []
    for name, found in shown:
        shares = found.shares
        rows.append(
            [
                name,
                _mean(found.num_decided),
                _mean(found.num_given[found.is_labelled]),
                _mean(found.num_decided == 0),
                _mean(shares),
                _mean(shares == 0),
            ]
        )
    return TableFigure(
        title="Tags of chunks beside labels",
        caption=f"{where}: tags that score at least {threshold:g} in any of a clip's chunks, beside {against}. "
        f"Coverage is the share of a clip's given tags among them, of {len(shown[0][1].shares)} clips with given "
        f"tags. {who}",
        alt=f"A table of tags per clip and coverage for {len(shown)} chunk lengths.",
        columns=list(COLUMNS),
        rows=rows,
    )


def _tags_per_clip(shown: Sequence[Named], where: str, against: str, threshold: float) -> ChartFigure:
    first = shown[0][1]
    counts, given = [(name, found.num_decided) for name, found in shown], against.removeprefix("the ")
    if first.is_labelled.any():
        counts.append((given, first.num_given[first.is_labelled]))
    without = ", ".join(f"{name} {_percent(some == 0)}" for name, some in counts)
    return ChartFigure(
        kind="bar",
        title="Tags per clip",
        caption=f"Share of {where} by their number of tags: those that score at least {threshold:g} in any chunk, by "
        f"the length of chunks, and {against}. Without a tag: {without}.",
        alt=f"Bars of the share of clips by number of tags for {len(counts)} sets of tags; without a tag: {without}.",
        x_label="tags",
        y_label="share of clips",
        series=count_bars(counts, reference=given),
    )


def _label_coverage(shown: Sequence[Named], dataset_name: str, against: str, threshold: float) -> ChartFigure:
    shares = [(name, found.shares) for name, found in shown]
    at_0 = ", ".join(f"{name} {_percent(some == 0)}" for name, some in shares)
    return ChartFigure(
        kind="bar",
        title="Coverage of the labels",
        caption=f"{len(shares[0][1])} clips of {dataset_name} with tags by {against}: the share of these that score at "
        f"least {threshold:g} in any of the clip's chunks, by the length of chunks. Coverage 0: {at_0}.",
        alt=f"Bars of the share of clips by coverage of their labels for {len(shown)} chunk lengths; at 0: {at_0}.",
        x_label="coverage",
        y_label="share of clips",
        series=coverage_bars(shares),
    )


def count_bars(counts: Sequence[tuple[str, IntArray]], reference: str | None) -> list[Series]:
    """The share of clips by their number of tags, for each of some sets of tags.

    Args:
        counts: by name, (clip,).
        reference: the set that the others are held against.
    """
    highest = max(int(some.max()) for _, some in counts)
    most = min(highest, MOST_COUNTED)
    names = [*map(str, range(most)), f"{most}+" if highest > most else str(most)]
    return [
        Series(label=name, x=names, y=shares_by_count(some, most).tolist(), reference=name == reference)
        for name, some in counts
    ]


def coverage_bars(shares: Iterable[tuple[str, npt.NDArray[np.float64]]]) -> list[Series]:
    """The share of clips by how much of their labels is covered, (clip,), for each of some sets of tags by name."""
    return [
        Series(label=name, x=COVERAGE_NAMES, y=shares_by_coverage(some, COVERAGE_EDGES).tolist())
        for name, some in shares
    ]


def _mean(values: npt.NDArray[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _percent(is_so: npt.NDArray[np.bool_]) -> str:
    return f"{float(np.mean(is_so)):.1%}"


def _shown(value: Cell) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.3f}"
