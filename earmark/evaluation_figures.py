"""An evaluation as figures: how scores lie at positives and at negatives, how reliable they are, tags and pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.errors import counted
from earmark.evaluation_summary import (
    average_precision_by_count,
    of_what,
    section_of,
    sorted_average_precision,
)
from earmark.figures import Cell, ChartFigure, Number, Series, TableFigure, write_figure
from earmark.metrics.calibration import ScoreHistograms, reliability, score_histograms
from earmark.metrics.tag_pairs import tag_pairs
from earmark.scores.evaluated import EvaluatedScores, evaluation_name
from earmark.tag_pair_figures import confusions, cooccurrence

BINS = 20
RELIABILITY_BINS = 10
MOST_DRAWN = 5
"""Tags with a histogram of their own; all have a line of the table."""

_BLOCKS = "▁▂▃▄▅▆▇█"
Evaluation = Mapping[str, Any]


def write_evaluation_figures(run: Path, evaluation: Evaluation, kept: EvaluatedScores) -> None:
    """Writes an evaluation's figures into its run, in place of those of an earlier evaluation of its name."""
    folder, name = run / "figures", evaluation_name(evaluation["split"], evaluation["labels"])
    for number in range(1, MOST_DRAWN + 1):
        (folder / f"scores-of-tag-{number}-{name}.json").unlink(missing_ok=True)
    for kind, figure in evaluation_figures(evaluation, kept).items():
        write_figure(folder, f"{kind}-{name}", figure)


def evaluation_figures(evaluation: Evaluation, kept: EvaluatedScores) -> dict[str, ChartFigure | TableFigure]:
    """The figures by the names of their files; those of pairs only where there are two tags.

    Args:
        evaluation: as it is written; its tags' thresholds say what is found.
        kept: what it was made of.
    """
    thresholds = np.array([row["threshold"] for row in evaluation["per_tag"]], kept.scores.dtype)
    decided = kept.scores >= thresholds
    fine = score_histograms(kept.truth, kept.scores, kept.annotated, bins=BINS)
    coarse = score_histograms(kept.truth, kept.scores, kept.annotated, bins=RELIABILITY_BINS)
    suspects = (decided & kept.annotated & ~kept.truth).sum(axis=0)
    figures: dict[str, ChartFigure | TableFigure] = {
        "average-precision": sorted_average_precision(evaluation),
        "average-precision-by-count": average_precision_by_count(evaluation),
    }
    if len(kept.tags) > 1:
        pairs = tag_pairs(kept.truth, decided, kept.annotated)
        figures |= {
            "confusions": confusions(evaluation, pairs, suspects),
            "cooccurrence": cooccurrence(evaluation, pairs),
        }
    figures["scores"] = all_scores(evaluation, fine)
    # Of tags with equally many the one with the higher-scored negative.
    highest = np.where(kept.annotated & ~kept.truth, kept.scores, -np.inf).max(axis=0, initial=-np.inf)
    for number, tag in enumerate(np.lexsort((-highest, -suspects))[:MOST_DRAWN].tolist(), start=1):
        figures[f"scores-of-tag-{number}"] = tag_scores(evaluation, fine, tag, int(suspects[tag]), number)
    figures["scores-by-tag"] = scores_by_tag(evaluation, kept, fine, decided)
    figures["reliability"] = reliability_curve(evaluation, coarse)
    figures["reliability-in-numbers"] = reliability_table(evaluation, coarse)
    return figures


def all_scores(evaluation: Evaluation, histograms: ScoreHistograms) -> ChartFigure:
    """The scores of all tags, at positives and at negatives."""
    positives, negatives = histograms.positives.sum(axis=0), histograms.negatives.sum(axis=0)
    high = BINS - BINS // 10
    return _histogram(
        "Scores of all tags",
        f"{of_what(evaluation)}, all tags. Positives: {positives.sum():,}; negatives: {negatives.sum():,}, of which "
        f"{negatives[high:].sum():,} score .9 or more. Negatives that score high are the model's mistakes, or labels "
        "that are missing.",
        positives,
        negatives,
        section=section_of("Scores", evaluation),
        place=20,
    )


def tag_scores(
    evaluation: Evaluation, histograms: ScoreHistograms, tag: int, suspects: int, number: int
) -> ChartFigure:
    """The scores of one tag.

    Args:
        suspects: clips without the tag that score its threshold or more.
        number: which of the tags with a histogram of their own it is.
    """
    row, positives, negatives = evaluation["per_tag"][tag], histograms.positives[tag], histograms.negatives[tag]
    return _histogram(
        f"Scores of {row['tag']}",
        f"Positives: {positives.sum():,}; negatives: {negatives.sum():,}, of which {suspects:,} score the threshold, "
        f"{row['threshold']:.3f}, or more{', the most of all tags' if number == 1 else ''}.",
        positives,
        negatives,
        section=section_of("Scores", evaluation),
        place=20 + number,
    )


def _histogram(
    title: str, caption: str, positives: npt.NDArray[np.int64], negatives: npt.NDArray[np.int64], **where: Any
) -> ChartFigure:
    middle = ((np.arange(BINS) + 0.5) / BINS).round(4).tolist()
    highest = [f"most {word} between {k / BINS:g} and {(k + 1) / BINS:g}" for word, k in _modes(positives, negatives)]
    return ChartFigure(
        kind="bar",
        title=title,
        caption=caption,
        alt=f"Bars of how many positives and negatives have which score: {', '.join(highest) or 'none'}.",
        x_label=f"Score, in steps of {1 / BINS:g}",
        y_label="Clips",
        y_log=True,
        series=[
            Series(label="positives", x=middle, y=positives.tolist()),
            Series(label="negatives", x=middle, y=negatives.tolist()),
        ],
        **where,
    )


def _modes(positives: npt.NDArray[np.int64], negatives: npt.NDArray[np.int64]) -> list[tuple[str, int]]:
    both = (("positives", positives), ("negatives", negatives))
    return [(word, int(counts.argmax())) for word, counts in both if counts.any()]


def scores_by_tag(
    evaluation: Evaluation, kept: EvaluatedScores, histograms: ScoreHistograms, decided: npt.NDArray[np.bool_]
) -> TableFigure:
    """Every tag's scores in a line, the tags with most high-scored negatives first."""
    rows: list[list[Cell]] = []
    for tag, name in enumerate(kept.tags):
        known, has = kept.annotated[:, tag], kept.truth[:, tag]
        positive, negative = known & has, known & ~has
        scores, found = kept.scores[:, tag], decided[:, tag]
        rows.append(
            [
                name,
                _in_blocks(histograms.positives[tag]),
                _in_blocks(histograms.negatives[tag]),
                int((negative & found).sum()),
                int(negative.sum()),
                int((positive & found).sum()),
                int(positive.sum()),
                evaluation["per_tag"][tag]["threshold"],
                _quantile(scores[positive], 0.5),
                _quantile(scores[negative], 0.99),
            ]
        )
    rows.sort(key=lambda row: -int(row[3] or 0))
    return TableFigure(
        title="Scores by tag",
        caption=f"{of_what(evaluation)}. Found is at the tag's threshold or more. Where much is found without the "
        "label and scores as high as positives do, labels may be missing. The small bars are histograms from a score "
        "of 0 (left) to 1, their heights the logarithms of counts.",
        alt=f"A table of positives, negatives and how many of them are found, of {counted(len(rows), 'tag')}.",
        columns=["Tag", "Positives, 0 to 1", "Negatives, 0 to 1", "Negatives found", "Negatives", "Positives found",
                 "Positives", "Threshold", "Median positive", "99 % of negatives under"],
        rows=rows,
        section=section_of("Scores", evaluation),
        place=28,
    )  # fmt: skip


def _quantile(scores: npt.NDArray[np.float32], share: float) -> Number:
    return float(np.quantile(scores, share)) if len(scores) else None


def _in_blocks(counts: npt.NDArray[np.int64]) -> str:
    """A histogram as ten characters, of heights by the logarithm of counts; only no clip at all is the lowest.

    >>> _in_blocks(np.array([0, 900, 30, 0, 1] + [0] * 15))
    '█▅▂▁▁▁▁▁▁▁'
    """
    pairs = counts.reshape(10, -1).sum(axis=1)
    of_highest = np.log1p(pairs) / np.log1p(max(pairs.max(), 1))
    heights = np.ceil((len(_BLOCKS) - 1) * of_highest).astype(int)
    return "".join(_BLOCKS[height] for height in heights)


def reliability_curve(evaluation: Evaluation, histograms: ScoreHistograms) -> ChartFigure:
    """The share of positives among pairs of clip and tag by score, with Wilson's intervals, beside the diagonal."""
    found = reliability(histograms)
    there = np.flatnonzero(found.cells)
    low, high = wilson_interval(found.positives[there], found.cells[there])
    total = int(found.cells.sum())
    error = f"{found.expected_error:.3f}" if total else "not defined"
    lowest = f" {found.cells[0] / total:.1%} of them score under {1 / RELIABILITY_BINS:g}." if total else ""
    return ChartFigure(
        kind="line",
        title="Reliability of scores",
        caption=f"{of_what(evaluation)}, all tags. Pairs of clip and tag: {total:,}.{lowest} Expected "
        f"calibration error {error}. Under the diagonal scores promise more than the labels hold, as they do where "
        "labels are missing; the band is the 95 % interval of the share.",
        alt=f"The share of positives by score beside the diagonal; expected calibration error {error}.",
        x_label="Mean score of the bin",
        y_label="Share of positives",
        series=[
            Series(
                label="share of positives",
                x=found.mean_score[there].tolist(),
                y=found.positive_share[there].tolist(),
                low=low.tolist(),
                high=high.tolist(),
            ),
            Series(label="as promised", x=[0.0, 1.0], y=[0.0, 1.0], reference=True),
        ],
        section=section_of("Scores", evaluation),
        place=29,
    )


def wilson_interval(
    hits: npt.NDArray[np.int64], of: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The 95 % interval of a share by Wilson's score, low and high; `of` is never 0.

    >>> [ends.round(3).tolist() for ends in wilson_interval(np.array([0, 5]), np.array([10, 10]))]
    [[0.0, 0.237], [0.278, 0.763]]
    """
    z = 1.959964
    share, spread = hits / of, z * z / of
    middle, half = (
        (share + spread / 2) / (1 + spread),
        np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread),
    )
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def reliability_table(evaluation: Evaluation, histograms: ScoreHistograms) -> TableFigure:
    """The counts behind the curve of reliability."""
    found = reliability(histograms)
    edges = np.arange(RELIABILITY_BINS + 1) / RELIABILITY_BINS
    rows: list[list[Cell]] = [
        [
            f"{edges[k]:g} to {edges[k + 1]:g}",
            int(found.cells[k]),
            int(found.positives[k]),
            float(found.positive_share[k]) if found.cells[k] else None,
        ]
        for k in range(RELIABILITY_BINS)
    ]
    return TableFigure(
        title="Reliability in numbers",
        caption=f"{of_what(evaluation)}, all tags: pairs of clip and tag by their score.",
        alt=f"A table of {RELIABILITY_BINS} ranges of scores: pairs, positives, share of positives.",
        columns=["Score", "Pairs", "Positives", "Share of positives"],
        rows=rows,
        section=section_of("Scores", evaluation),
        place=30,
    )
