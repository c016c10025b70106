"""Figures of what a label layer made of another one: by tag, and by clip."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.layer_diff import CHANGES, differing
from earmark.errors import counted
from earmark.figures import Cell, ChartFigure, Figure, Series, TableFigure
from earmark.labels.changes import KINDS, event_changes, time_changes
from earmark.labels.compared import ComparedLayers
from earmark.metrics.events import US_PER_S
from earmark.relabel.chunk_figures import count_bars, coverage_bars

MOST_BARS = 20
"""Tags in the chart of changes; the tables have all."""

ByTag = Mapping[str, npt.NDArray[Any]]
ByLayer = Mapping[str, npt.NDArray[Any]]


def change_figures(compared: ComparedLayers) -> dict[str, Figure]:
    """`changes`, a table in total, `tags`, a table, and `changes-by-tag`, a chart where a clip's tag changed at all.

    Where either layer has events, also the tables `events` and `event-times`.
    """
    num_tags, before, after = compared.num_tags, compared.said[compared.before], compared.said[compared.after]
    tags = compared.tags.by_tag(num_tags)
    counts: dict[str, ByTag] = {
        "Labels": differing(before, after, num_tags).by_tag(before, num_tags),
        "Tags of clips": tags,
    }
    tables: dict[str, Figure] = {"tags": _by_tag(compared, "Tags of clips by tag", "How many clips have each.", tags)}
    if compared.has_events(compared.before, compared.after):
        counts["Events"] = event_changes(before, after, num_tags)
        times = time_changes(compared.events(compared.before), compared.events(compared.after), num_tags)
        counts["Seconds with events"] = {change: time / US_PER_S for change, time in times.items()}
        tables["events"] = _by_tag(compared, "Events by tag", "Labels with times.", counts["Events"])
        told = "Seconds of clips in which events of a tag sound; where two overlap they count once."
        tables["event-times"] = _by_tag(compared, "Seconds with events by tag", told, counts["Seconds with events"])
    chart = {"changes-by-tag": _changes_by_tag(compared, tags)} if any(tags[kind].any() for kind in CHANGES) else {}
    return {"changes": _changes(compared, counts), **chart, **tables}


def clip_figures(compared: ComparedLayers) -> dict[str, Figure]:
    """`clips`, a table of tags per clip and coverage, and the charts `tags-per-clip` and `label-coverage`.

    Coverage is the share of a clip's true tags that a layer has; where there is no truth, of those that the clip had
    before. Its chart is missing where no clip has any; all are where no clip is labelled.
    """
    if not compared.is_labelled.any():
        return {}
    beside = compared.truth or compared.before
    layers = list(dict.fromkeys([compared.before, compared.after, beside]))
    counts = {layer: _per_clip(compared, compared.pairs(layer))[compared.is_labelled] for layer in layers}
    shares = {layer: _coverage(compared, layer, beside) for layer in layers if layer != beside}
    figures: dict[str, Figure] = {
        "clips": _clips(compared, counts, shares, beside),
        "tags-per-clip": _tags_per_clip(compared, counts),
    }
    if any(len(some) for some in shares.values()):
        figures["label-coverage"] = _label_coverage(compared, shares, beside)
    return figures


def of_what(compared: ComparedLayers) -> str:
    """What is compared, for a caption."""
    clips, tags = counted(compared.dataset.num_clips, "clip"), counted(compared.num_tags, "tag")
    return f"{compared.before} → {compared.after}, {clips} of {compared.dataset.name}, {tags}."


def _changes(compared: ComparedLayers, counts: Mapping[str, ByTag]) -> TableFigure:
    sums = {what: {kind: values.sum().item() for kind, values in by_tag.items()} for what, by_tag in counts.items()}
    of_tags = ", ".join(f"{sums['Tags of clips'][kind]} {kind}" for kind in KINDS)
    return TableFigure(
        title="What changed",
        caption=f"{of_what(compared)} The first row counts every label, with times or without, as the terminal does. "
        "In the others a value of at least .5 counts: a tag of a clip is changed where its times or its value are "
        "others, and an event that moves is one removed and one added.",
        alt=f"A table of what was there before and after. Of tags of clips {of_tags}.",
        columns=["What", "Before", *map(str.capitalize, KINDS), "After"],
        rows=[[what, *_cells(one, KINDS)] for what, one in sums.items()],
    )


def _cells(counts: Mapping[str, Any], kinds: Iterable[str]) -> list[Cell]:
    """What was there before, what became of it and what is there after; nothing of kinds that were not counted."""
    had = sum(count for kind, count in counts.items() if kind != "added")
    return [had, *(counts.get(kind) for kind in kinds), had - counts["removed"] + counts["added"]]


def _by_tag(compared: ComparedLayers, title: str, what: str, counts: ByTag) -> TableFigure:
    """A row a tag, the most changed first."""
    order = np.argsort(-_num_changed(counts), kind="stable").tolist()
    names, kinds = compared.dataset.vocabulary.tags, [kind for kind in KINDS if kind in counts]
    return TableFigure(
        title=title,
        caption=f"{of_what(compared)} {what} Most changed first.",
        alt=f"A table of what was added, removed and left, of {counted(len(order), 'tag')}.",
        columns=["Tag", "Before", *map(str.capitalize, kinds), "After"],
        rows=[
            [names[tag], *_cells({kind: values[tag].item() for kind, values in counts.items()}, kinds)] for tag in order
        ],
    )


def _num_changed(counts: ByTag) -> npt.NDArray[Any]:
    changed: npt.NDArray[Any] = np.sum([counts[kind] for kind in CHANGES if kind in counts], axis=0)
    return changed


def _changes_by_tag(compared: ComparedLayers, tags: ByTag) -> ChartFigure:
    num_changed = _num_changed(tags)
    order = np.argsort(-num_changed, kind="stable")
    order = order[num_changed[order] > 0]
    shown, names = order[:MOST_BARS], compared.dataset.vocabulary.tags
    kinds = [kind for kind in CHANGES if tags[kind].any()]
    more = (
        f" Shown are the {MOST_BARS} most changed of {len(order)} tags that changed." if len(order) > MOST_BARS else ""
    )
    said = "; ".join(f"{names[tag]} {', '.join(f'{tags[kind][tag]} {kind}' for kind in kinds)}" for tag in shown[:3])
    return ChartFigure(
        kind="bar",
        title="Changed tags of clips by tag",
        caption=f"{of_what(compared)} Clips whose tag was {' or '.join(kinds)}.{more}",
        alt=f"Bars of the number of clips whose tag was {' or '.join(kinds)}. Most changed: {said}.",
        x_label="tag",
        y_label="clips",
        series=[
            Series(label=kind, x=[names[tag] for tag in shown], y=tags[kind][shown].astype(float).tolist())
            for kind in kinds
        ],
    )


def _per_clip(compared: ComparedLayers, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.bincount(pairs // compared.num_tags, minlength=compared.dataset.num_clips)


def _coverage(compared: ComparedLayers, layer: str, beside: str) -> npt.NDArray[np.float64]:
    """The share of a labelled clip's tags by one layer that another has too, of clips that have any."""
    asked = compared.pairs(beside)
    num_asked, num_covered = (
        _per_clip(compared, pairs)[compared.is_labelled]
        for pairs in (asked, np.intersect1d(asked, compared.pairs(layer)))
    )
    shares: npt.NDArray[np.float64] = num_covered[num_asked > 0] / num_asked[num_asked > 0]
    return shares


def _clips(compared: ComparedLayers, counts: ByLayer, shares: ByLayer, beside: str) -> TableFigure:
    rows: list[list[Cell]] = []
    for layer, num in counts.items():
        covered = shares.get(layer, np.zeros(0))
        means = [num, num == 0, covered, covered == 0]
        rows.append([layer, *(float(np.mean(values)) if len(values) else None for values in means)])
    return TableFigure(
        title="Tags per clip and coverage",
        caption=f"{counted(len(counts[beside]), 'labelled clip')} of {compared.dataset.name}. Coverage is the share of "
        f"a clip's tags by layer {beside} that a layer has.",
        alt=f"A table of tags per clip and coverage by {counted(len(rows), 'layer')}.",
        columns=["Layer", "Tags per clip", "Share without a tag", "Mean coverage", "Share with coverage 0"],
        rows=rows,
    )


def _tags_per_clip(compared: ComparedLayers, counts: ByLayer) -> ChartFigure:
    without = ", ".join(f"{layer} {float(np.mean(num == 0)):.1%}" for layer, num in counts.items())
    return ChartFigure(
        kind="bar",
        title="Tags per clip",
        caption=f"Share of {counted(len(counts[compared.before]), 'labelled clip')} of {compared.dataset.name} by "
        f"their number of tags. Without a tag: {without}.",
        alt=f"Bars of the share of clips by number of tags; without a tag: {without}.",
        x_label="tags",
        y_label="share of clips",
        series=count_bars(list(counts.items()), reference=compared.truth),
    )


def _label_coverage(compared: ComparedLayers, shares: ByLayer, beside: str) -> ChartFigure:
    whole = ", ".join(f"{layer} {float(np.mean(some == 1)):.1%}" for layer, some in shares.items())
    num_clips = len(next(iter(shares.values())))
    return ChartFigure(
        kind="bar",
        title="Coverage of the true tags" if beside == compared.truth else "Coverage of the tags before",
        caption=f"{counted(num_clips, 'labelled clip')} of {compared.dataset.name} with tags by layer {beside}: the "
        f"share of these that a layer has. All of them: {whole}.",
        alt=f"Bars of the share of clips by coverage; all tags covered: {whole}.",
        x_label="coverage",
        y_label="share of clips",
        series=coverage_bars(shares.items()),
    )
