"""Figures of how right two label layers are, where a layer holds the truth."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.statements import Statements, joined
from earmark.errors import counted
from earmark.figures import Cell, ChartFigure, Figure, Series, TableFigure
from earmark.labels.changes import KINDS, beyond_us
from earmark.labels.compared import ComparedLayers
from earmark.labels.figures import of_what
from earmark.labels.quality import LabelQuality
from earmark.metrics.events import US_PER_S

Qualities = Mapping[str, LabelQuality]
"""By layer; clips, or seconds."""


def truth_figures(compared: ComparedLayers) -> dict[str, Figure]:
    """`quality` and `quality-by-tag`, tables, and `precision-recall`, a chart, of tags of clips.

    Where events can be judged, also the tables `time-quality` and `time-quality-by-tag`. Nothing where no layer is the
    truth about planted faults, or where both layers are that one.
    """
    truth = compared.truth
    if truth is None or not compared.judged:
        return {}
    clipwise = {layer: compared.clipwise(layer) for layer in compared.judged}
    figures: dict[str, Figure] = {
        "quality": _of_tags(compared, truth, clipwise),
        "precision-recall": _precision_recall(compared, truth, clipwise),
        "quality-by-tag": _by_tag(compared, "Precision and recall by tag", "Clips", clipwise),
    }
    if compared.has_events(*compared.judged) and compared.knows_times.any():
        timewise = {layer: compared.timewise(layer) for layer in compared.judged}
        figures["time-quality"] = _of_time(compared, truth, timewise)
        figures["time-quality-by-tag"] = _by_tag(compared, "Precision and recall of time by tag", "Seconds", timewise)
    return figures


def _of_tags(compared: ComparedLayers, truth: str, clipwise: Qualities) -> TableFigure:
    """A row a layer, and one each for what was added and removed."""
    return TableFigure(
        title="How right the tags of clips are",
        caption=f"{of_what(compared)} Beside layer {truth}, over all tags of labelled clips, so that a frequent tag "
        f"weighs more.{_about_changes(compared)}",
        alt=f"A table of precision and recall. {_in_words(clipwise)}.",
        columns=["Layer or change", "Clips with a tag", "Right", "True", "Precision", "Recall"],
        rows=[*_rows(clipwise), *_changed_tags(compared, truth)],
    )


def _of_time(compared: ComparedLayers, truth: str, timewise: Qualities) -> TableFigure:
    clips = counted(int(compared.knows_times.sum()), "clip")
    return TableFigure(
        title="How right the times of events are",
        caption=f"{of_what(compared)} How long tags sound by a layer and by layer {truth}, over all tags of {clips} "
        "whose events are known with times. It is what framewise precision and recall become as frames grow short. "
        f"Labels without times say nothing of when.{_about_changes(compared)}",
        alt=f"A table of precision and recall of time. {_in_words(timewise)}.",
        columns=["Layer or change", "Seconds with events", "Right", "True", "Precision", "Recall"],
        rows=[*_rows(timewise), *_changed_times(compared, truth)],
    )


def _about_changes(compared: ComparedLayers) -> str:
    return " What was removed is right where it is not true." if len(compared.judged) == 2 else ""


def _rows(qualities: Qualities) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for layer, quality in qualities.items():
        whole = quality.total()
        amounts = [part.item() for part in (whole.said, whole.right, whole.true)]
        rows.append([layer, *amounts, _number(whole.precision), _number(whole.recall)])
    return rows


def _changed_tags(compared: ComparedLayers, truth: str) -> list[list[Cell]]:
    """How many tags of clips were added, and how many of these are true; how many removed, and how many are not."""
    if len(compared.judged) < 2:
        return []
    tags, true = compared.tags, compared.pairs(truth)
    pairs = tags.clip_index * compared.num_tags + tags.tag_index
    added, removed = (compared.known(pairs[tags.kind == KINDS.index(kind)]) for kind in ("added", "removed"))
    not_true = len(removed) - int(np.isin(removed, true).sum())
    return [_row("added", len(added), int(np.isin(added, true).sum())), _row("removed", len(removed), not_true)]


def _changed_times(compared: ComparedLayers, truth: str) -> list[list[Cell]]:
    """For how many seconds events were added and removed, and how many of these are true and are not."""
    if len(compared.judged) < 2:
        return []
    before, after, true = (compared.known_events(layer) for layer in (compared.before, compared.after, truth))

    def seconds(events: Statements, *others: Statements) -> float:
        return float(beyond_us(events, joined(others), compared.num_tags).sum() / US_PER_S)

    added = seconds(after, before)
    return [
        _row("added", added, added - seconds(after, before, true)),
        _row("removed", seconds(before, after), seconds(before, after, true)),
    ]


def _row(change: str, amount: float, right: float) -> list[Cell]:
    return [change, amount, right, None, right / amount if amount else None, None]


def _by_tag(compared: ComparedLayers, title: str, unit: str, qualities: Qualities) -> TableFigure:
    """A row a tag, those with most truth first."""
    true = next(iter(qualities.values())).true
    order = np.argsort(-true, kind="stable").tolist()
    names = compared.dataset.vocabulary.tags
    values = [quality.precision for quality in qualities.values()] + [quality.recall for quality in qualities.values()]
    return TableFigure(
        title=title,
        caption=f"{of_what(compared)} Beside layer {compared.truth}. No number: nothing is said, or nothing is true.",
        alt=f"A table of precision and recall of {counted(len(order), 'tag')}.",
        columns=["Tag", f"{unit} in truth", *(f"{name}, {of}" for name in ("Precision", "Recall") for of in qualities)],
        rows=[[names[tag], true[tag].item(), *(_number(value[tag]) for value in values)] for tag in order],
    )


def _precision_recall(compared: ComparedLayers, truth: str, clipwise: Qualities) -> ChartFigure:
    return ChartFigure(
        kind="scatter",
        title="Precision and recall of each tag",
        caption=f"{of_what(compared)} A point is a tag that clips have by the layer and by layer {truth}. Over all "
        f"tags: {_in_words(clipwise)}.",
        alt=f"Points of precision over recall, one a tag. Over all tags: {_in_words(clipwise)}.",
        x_label="Recall",
        y_label="Precision",
        series=[_points(layer, quality.recall, quality.precision) for layer, quality in clipwise.items()],
    )


def _points(layer: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Series:
    there = ~np.isnan(x) & ~np.isnan(y)
    return Series(label=layer, x=x[there].tolist(), y=y[there].tolist())


def _in_words(qualities: Qualities) -> str:
    whole = {layer: quality.total() for layer, quality in qualities.items()}
    said = [f"{layer} precision {one.precision:.3f}, recall {one.recall:.3f}" for layer, one in whole.items()]
    return "; ".join(said).replace("nan", "none")


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
