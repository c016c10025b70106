"""What per-tag average precision goes with: other models', the number of clips, the quality of the annotation."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from earmark.errors import InputError, first_few
from earmark.figures import ChartFigure, TableFigure
from earmark.reports.over_runs import EvaluatedRun, Floats, positives, scored_tags, where_evaluated

LEAST_TAGS = 3
COUNTS = "tag-counts"
"""The figure of a run that holds its training clips by tag."""


def average_precision_correlations(
    found: Sequence[EvaluatedRun], quality: Mapping[str, float] | None = None
) -> TableFigure:
    """The table of Pearson correlations of per-tag average precision, a row for each run.

    With the other runs' (section VII-B), with the number of clips that have the tag, and with annotation quality
    (Table VII). Counts are those of the training clips (the run's figure `tag-counts`); positives of the evaluated
    clips where a run has none. Fewer than 3 tags, or values that do not vary, give null.

    Args:
        found: as `evaluated_runs` gives them.
        quality: a number by tag; None for the share of a tag's clips that people verified, as the evaluations have it,
            and no column where none has.

    Raises:
        InputError: the runs were evaluated on different clips.

    Source: Gong et al. 2021, section VII-B and Table VII.
    """
    _refuse_other_clips(found)
    tags, values = scored_tags(found)
    counts = [_training_counts(run) for run in found]
    qualities = [_verified_shares(run) if quality is None else quality for run in found]
    with_quality = quality is not None or any(qualities)
    rows: list[list[str | float | int | None]] = []
    for run, own, counted, shares in zip(found, values, counts, qualities, strict=True):
        cells = [pearson(own, other) for other in values]
        cells.append(pearson(own, _of_tags(tags, positives(run) if counted is None else counted)))
        rows.append([run.name, *cells, *[pearson(own, _of_tags(tags, shares))] * with_quality])
    told = [_about_counts(found, counts), *[_about_quality(tags, qualities, quality)] * with_quality]
    if any(cell is None for row in rows for cell in row):
        told.append(f"Null: fewer than {LEAST_TAGS} tags, or values that do not vary.")
    return TableFigure(
        title="What average precision goes with",
        caption=f"{where_evaluated(found)}: Pearson correlations of average precision over {len(tags)} tags, between "
        f"runs and with what is known of the tags. {' '.join(told)}",
        alt=f"A table of correlations of per-tag average precision for {len(found)} runs.",
        columns=["run", *(run.name for run in found), "clips with the tag", *["annotation quality"] * with_quality],
        rows=rows,
    )


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> float | None:
    """The correlation over the places where both are known (not NaN); None for fewer than 3, or without variance.

    >>> pearson([1, 2, 3], [2, 4, 6]), pearson([1, 2], [2, 4]), pearson([1, 2, 3], [5, 5, 5])
    (1.0, None, None)
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < LEAST_TAGS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def _refuse_other_clips(found: Sequence[EvaluatedRun]) -> None:
    """Raises InputError where evaluations show that they are on other clips, whose metrics differ for that reason."""
    first = found[0]
    for other in found[1:]:
        ours, theirs = first.evaluation, other.evaluation
        if (ours.dataset, ours.num_clips) != (theirs.dataset, theirs.num_clips):
            raise InputError(
                f"runs must be evaluated on the same clips: {first.name} was on {ours.num_clips} clips of "
                f"{ours.dataset}, {other.name} on {theirs.num_clips} of {theirs.dataset}; leave one of them out"
            )
        counted, others = positives(first), positives(other)
        differing = [f"{tag} {counted[tag]} and {others[tag]}" for tag in counted if counted[tag] != others[tag]]
        if differing:
            raise InputError(
                f"runs must be evaluated on the same clips: {first.name} and {other.name} have different numbers of "
                f"positives: {first_few(differing)}; leave one of them out"
            )


def _training_counts(run: EvaluatedRun) -> Mapping[str, float] | None:
    """The run's training clips by tag; None where it does not hold them."""
    figure = dict(run.files.figures).get(COUNTS)
    if figure is None:
        return None
    if not isinstance(figure, ChartFigure) or len(figure.series) != 1:
        why = figure if isinstance(figure, str) else f"figures/{COUNTS}.json is no chart with one series"
        raise InputError(f"{run.files.folder}: {why}; remove it to use the evaluated clips' positives")
    series = figure.series[0]
    counts = {str(tag): float(count) for tag, count in zip(series.x, series.y, strict=True) if count is not None}
    missing = [tag for tag in run.by_tag if tag not in counts]
    if missing:
        raise InputError(
            f"{run.files.folder}: figures/{COUNTS}.json must count all evaluated tags, it lacks {first_few(missing)}; "
            "remove it to use the evaluated clips' positives"
        )
    return counts


def _verified_shares(run: EvaluatedRun) -> dict[str, float]:
    shares = {tag: (row.model_extra or {}).get("verified_share") for tag, row in run.by_tag.items()}
    return {tag: float(share) for tag, share in shares.items() if isinstance(share, int | float)}


def _of_tags(tags: Sequence[str], numbers: Mapping[str, float]) -> Floats:
    return np.array([numbers.get(tag, np.nan) for tag in tags], np.float64)


def _about_counts(found: Sequence[EvaluatedRun], counts: Sequence[object]) -> str:
    without = [run.name for run, counted in zip(found, counts, strict=True) if counted is None]
    if not without:
        return "Clips with the tag are training clips."
    if len(without) == len(found):
        return f"Clips with the tag are the evaluated ones: no run holds figures/{COUNTS}.json."
    return (
        f"Clips with the tag are training clips, but the evaluated ones for {first_few(without)}: no "
        f"figures/{COUNTS}.json."
    )


def _about_quality(
    tags: Sequence[str], qualities: Sequence[Mapping[str, float]], given: Mapping[str, float] | None
) -> str:
    known = min(sum(tag in shares for tag in tags) for shares in qualities)
    what = "as given" if given is not None else "the share of a tag's clips that people verified"
    return f"Annotation quality is {what}" + ("." if known == len(tags) else f", known for {known} of the tags.")
