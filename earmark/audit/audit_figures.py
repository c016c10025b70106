"""What an audit found as figures: numbers in short, noise by tag, suspects, near-duplicates."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from earmark.audit.audited import Audited
from earmark.audit.near_duplicates import LEAST_CORRELATION, NearDuplicates
from earmark.audit.noise import Noise, Share
from earmark.audit.suspects import IMPLIED, KINDS, MISSING, WRONG, Suspects
from earmark.audit.suspicion import Odds
from earmark.errors import counted
from earmark.figures import Cell, ChartFigure, Number, Series, TableFigure
from earmark.metrics.tagging import roc_auc

MOST_SUSPECTS = 500
MOST_PAIRS = 200

ASSUMES = (
    "Estimates count labels that scores contradict with confidence (under the mean score of the clips without the tag, "
    "or over that of those with it), so they are too high where the models are bad at a tag: look at its AUC. "
    "Intervals (95 %) are over groups of clips: what other clips would have given, not what other models would."
)


def overview(
    audited: Audited, noise: Noise, odds: Odds, suspects: Suspects, found: NearDuplicates | None
) -> TableFigure:
    """What was audited and found, in numbers."""
    given = audited.given & audited.judged
    rows: list[list[Cell]] = [
        ["clips audited", len(audited.rows), None, None],
        ["tags audited", int((given.any(axis=0)).sum()), None, None],
        ["labels given", audited.num_labels, None, None],
        ["share of labels that are wrong, estimated", *_one(noise.all_wrong)],
        ["share of true labels that are missing, estimated", *_one(noise.all_missing)],
    ]
    rows += [[f"suspects: {kind}", suspects.count(place), None, None] for place, kind in enumerate(KINDS)]
    if found is not None:
        rows.append(["near-duplicates with different labels", len(found.first), None, None])
    untold = [tag for tag, slope in zip(audited.dataset.vocabulary.tags, odds.slope, strict=True) if slope == 0]
    return TableFigure(
        title="Counts and estimates",
        caption=f"Labels of layer {audited.layer}. {ASSUMES}"
        + (f" {counted(len(untold), 'tag')} of which scores say nothing: not judged." if untold else ""),
        alt="Table of how many clips, labels and suspects there are, and of the estimated shares of errors.",
        columns=["What", "Value", "Low", "High"],
        rows=rows,
    )


def noise_table(audited: Audited, noise: Noise, odds: Odds, suspects: Suspects) -> TableFigure:
    """Every tag's counts, how well it is scored, and its estimates."""
    tags = audited.dataset.vocabulary.tags
    auc = roc_auc(audited.given, audited.scores, audited.judged.astype(np.float32))
    wrong, missing, implied = (suspects.by_tag(kind, len(tags)) for kind in (WRONG, MISSING, IMPLIED))
    rows: list[list[Cell]] = [
        [
            tag, int(noise.labels[place]), _number(auc[place]),
            *_ends(noise.wrong, place), int(wrong[place]), *_ends(noise.missing, place), int(missing[place]),
            int(implied[place]),
        ]
        for place, tag in enumerate(tags)
    ]  # fmt: skip
    silent = sum(1 for slope, count in zip(odds.slope, noise.labels, strict=True) if slope == 0 and count)
    return TableFigure(
        title="Noise by tag",
        caption="Labels: clips with the tag. AUC: of the scores against the labels as they are. Wrong: share of its "
        "labels; missing: share of the clips truly with it that lack it; with the ends of their 95 % intervals, and "
        "the suspects listed of each kind."
        + (f" Not judged, as clips with the tag score no higher: {counted(silent, 'tag')}." if silent else ""),
        alt=f"Table of {len(tags)} tags with their labels, AUC, and estimated shares of wrong and missing labels.",
        columns=[
            "Tag", "Labels", "AUC", "Wrong", "Wrong low", "Wrong high", "Wrong suspects",
            "Missing", "Missing low", "Missing high", "Missing suspects", "Implied",
        ],
        rows=rows,
    )  # fmt: skip


def noise_chart(audited: Audited, noise: Noise) -> ChartFigure | None:
    """Both shares by tag with their intervals, the noisiest tag first; None where nothing is told of any."""
    tags = audited.dataset.vocabulary.tags
    worst = np.fmax(noise.wrong.value, noise.missing.value)
    order = [place for place in np.argsort(-np.nan_to_num(worst, nan=-1), kind="stable").tolist() if worst[place] >= 0]
    if not order:
        return None
    names = [tags[place] for place in order]
    series = [
        Series(
            label=label, x=names, y=_numbers(share.value, order), low=_numbers(share.low, order),
            high=_numbers(share.high, order),
        )
        for label, share in (("wrong, of its labels", noise.wrong), ("missing, of the true ones", noise.missing))
    ]  # fmt: skip
    return ChartFigure(
        kind="bar",
        title="Estimated errors by tag",
        caption=f"{counted(len(names), 'tag')}, the noisiest first, with 95 % intervals over groups of clips.",
        alt=f"Bars of the estimated shares of wrong and of missing labels of {len(names)} tags, most of {names[0]}.",
        x_label="Tag",
        y_label="Share",
        series=series,
    )


def suspects_figure(table: pa.Table, name: str) -> TableFigure:
    """The first rows of the CSV of that name, without the columns that are for a person or a program."""
    columns = [column for column in table.column_names if column not in ("verdict", "path")]
    shown = table.slice(0, MOST_SUSPECTS).select(columns)
    some = f"The first {shown.num_rows} of " if table.num_rows > MOST_SUSPECTS else "The "
    return TableFigure(
        title="Suspect labels",
        caption=f"{some}{counted(table.num_rows, 'row')} of {name}. Suspicion: the probability that the label is an "
        "error. A given label is suspect under its threshold, a missing one over it. Implied ones follow from a given "
        "tag and come last.",
        alt=f"Table of the {shown.num_rows} most suspect labels, each with clip, tag, kind, suspicion and score.",
        columns=columns,
        rows=[list(row) for row in zip(*(column.to_pylist() for column in shown.columns), strict=True)],
    )


def duplicates_table(audited: Audited, found: NearDuplicates) -> TableFigure:
    """Pairs of clips that are the same sound, and the labels that only one of both has."""
    clips = audited.dataset.clips["clip"]
    rows: list[list[Cell]] = []
    for one, other, correlation in zip(
        found.first[:MOST_PAIRS].tolist(), found.second[:MOST_PAIRS].tolist(), found.correlation.tolist(), strict=False
    ):
        names = [str(clips[int(audited.rows[place])]) for place in (one, other)]
        tags = [audited.tags_of(place) for place in (one, other)]
        only = [_listed([tag for tag in tags[side] if tag not in tags[1 - side]]) for side in (0, 1)]
        rows.append([names[0], names[1], round(correlation, 4), *only, _listed([t for t in tags[0] if t in tags[1]])])
    more = f" The first {MOST_PAIRS} of {len(found.first)}." if len(found.first) > MOST_PAIRS else ""
    return TableFigure(
        title="The same sound, labelled differently",
        caption=f"Clips of other recordings whose levels in bands rise and fall together, with a correlation of at "
        f"least {LEAST_CORRELATION:g} at the best shift in time, among {counted(found.compared, 'clip')}. Each was "
        f"compared with the clips that are most like it.{more}",
        alt=f"Table of {len(rows)} pairs of clips with their correlation and the labels that differ.",
        columns=["Clip", "Other clip", "Correlation", "Only the first has", "Only the other has", "Both have"],
        rows=rows,
    )


def _listed(tags: Sequence[str]) -> str:
    return ", ".join(tags) or "–"


def _one(share: Share) -> list[Number]:
    return _ends(share, 0)


def _ends(share: Share, place: int) -> list[Number]:
    return [_number(part[place]) for part in (share.value, share.low, share.high)]


def _numbers(values: np.ndarray[tuple[int], np.dtype[np.float64]], order: Sequence[int]) -> list[Number]:
    return [_number(values[place]) for place in order]


def _number(value: float) -> Number:
    return None if math.isnan(value) else round(float(value), 6)
