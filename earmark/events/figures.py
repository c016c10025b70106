"""Events as figures: PSD-ROC curves, F1 by threshold, metrics by tag, and a clip with what was found in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from earmark.clip_figure import clip_figure, clip_waveform, steps
from earmark.data.dataset import Dataset
from earmark.data.statements import COUNTED
from earmark.errors import counted
from earmark.evaluation_summary import section_of, split_in_words
from earmark.events.decisions import EventDecisions, decided_events, filtered
from earmark.events.reference import strong_clips
from earmark.figures import ChartFigure, ClipFigure, Event, Number, Series, TableFigure
from earmark.metrics.criteria import CRITERIA
from earmark.metrics.curves import macro_f1_curve
from earmark.metrics.events import US_PER_S, Events
from earmark.metrics.framewise import FramewiseScores
from earmark.metrics.psds import Psds, PsdsSettings, RateCurve
from earmark.scores.framewise import ScoredFrames

FIRST_PLACE = 60
"""Of the figures here among those of a page; behind the tags', the scores' and the clips' of an evaluation."""
MOST_TAG_LINES = 10

BEST_TAGS = 3
MOST_TAGS = 6
"""Of a clip's curves: the tags of its events, and the three that score highest."""


def psd_roc(number: int, score: Psds, settings: PsdsSettings, evaluation: Mapping[str, Any]) -> ChartFigure:
    """PSDS as an area: the effective share of events found over the effective rate of false positives.

    Args:
        number: which PSDS it is, 1 or 2.
        evaluation: of events, as it is written.
    """
    tags = [row["tag"] for row in evaluation["per_tag"]]
    there = [(tag, curve) for tag, curve in zip(tags, score.tag_curves, strict=True) if curve is not None]
    thin = there if len(there) <= MOST_TAG_LINES else []
    lines = [] if score.curve is None else [_staircase(f"PSDS {number}", score.curve, settings.e_max)]
    lines += [_staircase(tag, curve, settings.e_max, thin=True) for tag, curve in thin]
    false = "false positives and triggers" if settings.alpha_ct else "false positives"
    return ChartFigure(
        kind="line",
        title=f"PSD-ROC of PSDS {number} on {split_in_words(evaluation)}",
        caption=f"{_of_what(evaluation)} Bold: the mean of {counted(len(there), 'tag')} less "
        f"{settings.alpha_st:g} standard deviation; the area under it is PSDS {number}, {score.value:.3f}."
        f"{' Thin: each tag.' if thin else ''} One false positive is {settings.unit_s / evaluation['audio_s']:.3g} an "
        "hour.",
        alt=f"The share of events found by {false} an hour, over all thresholds; PSDS {number} is {score.value:.3f}.",
        x_label=f"Effective {false} an hour",
        y_label="Share of events found",
        series=lines,
        section=section_of("Events", evaluation),
        place=FIRST_PLACE + 1 + number,
    )


def _staircase(label: str, curve: RateCurve, up_to: float, *, thin: bool = False) -> Series:
    rate = np.linspace(0, up_to, 201)
    return Series(label=label, x=rate.tolist(), y=curve.at(rate).tolist(), thin=thin)


def f1_by_threshold(reference: Events, scores: FramewiseScores, evaluation: Mapping[str, Any]) -> ChartFigure:
    """The macro F1 of each criterion if all tags shared one threshold, beside those of the decisions.

    Args:
        scores: filtered as for the decisions.
        evaluation: of events, as it is written.
    """
    at = np.linspace(0, 1, 101)
    used = sorted({row["threshold"] for row in evaluation["per_tag"]})
    lines, highest = [], []
    # Each decision as a mark, from the lowest threshold to the highest; nothing joins one criterion's to the next.
    marks_x: list[float] = []
    marks_y: list[Number] = []
    for name, criterion in CRITERIA.items():
        thresholds, f1 = macro_f1_curve(criterion.curves(reference, scores))
        label, decided = f"{name}-based", evaluation["metrics"][f"{name}_based_f1"]["value"]
        y = f1[np.searchsorted(-thresholds, -at, "right") - 1]
        lines.append(Series(label=label, x=at.tolist(), y=[None if np.isnan(value) else float(value) for value in y]))
        highest.append(f"{label} {y.max():.3f} at {at[int(y.argmax())]:.2f}, {decided:.3f} as decided")
        marks_x += [used[0], used[-1], used[-1]]
        marks_y += [decided, decided, None]
    one = len(used) == 1
    how = f"at {used[0]:g} for all tags" if one else f"at thresholds by tag, from {used[0]:.3g} to {used[-1]:.3g}"
    return ChartFigure(
        kind="line",
        title=f"F1 by threshold on {split_in_words(evaluation)}",
        caption=f"{_of_what(evaluation)} Macro F1 if all tags share one threshold; grey: as decided, {how}. "
        f"Highest: {'; '.join(highest)}.",
        alt=f"Three lines of macro F1 by threshold. Highest: {'; '.join(highest)}.",
        x_label="Threshold",
        y_label="Macro F1",
        series=[*lines, Series(label="as decided", x=marks_x, y=marks_y, reference=True)],
        section=section_of("Events", evaluation),
        place=FIRST_PLACE + 1,
    )


def events_by_tag(evaluation: Mapping[str, Any]) -> TableFigure:
    """The metrics of each tag, the highest collar-based F1 first."""

    def key(row: Mapping[str, Any]) -> tuple[bool, float]:
        value = row["collar_based"]["f1"]
        return value is None, -(value or 0.0)

    of_criteria = [f"{name.capitalize()}-based F1" for name in CRITERIA]
    rows = [
        [
            *(row[name] for name in ("tag", "reference_events", "decided_events", "threshold", "median_filter_s")),
            *(row[f"{name}_based"]["f1"] for name in CRITERIA),
            *(row[name]["value"] for name in ("psds_1", "psds_2")),
        ]
        for row in sorted(evaluation["per_tag"], key=key)
    ]
    return TableFigure(
        title=f"Events by tag on {split_in_words(evaluation)}",
        caption=f"{_of_what(evaluation)} Tags without events have no F1; all that was found of them is false.",
        alt=f"A table of event metrics of {counted(len(rows), 'tag')}.",
        columns=["Tag", "Events", "Found", "Threshold", "Filter (s)", *of_criteria, "Area of PSDS 1", "Area of PSDS 2"],
        rows=rows,
        section=section_of("Events", evaluation),
        place=FIRST_PLACE,
    )


def _of_what(evaluation: Mapping[str, Any]) -> str:
    clips, hours = counted(evaluation["num_clips"], "clip"), evaluation["audio_s"] / 3600
    return f"{clips} ({hours:.3g} h) of the {evaluation['split']} split of {evaluation['dataset']}."


def events_of_clip(
    dataset: Dataset, row: int, scored: ScoredFrames, decisions: EventDecisions, layer: str
) -> ClipFigure:
    """A clip's log-mel and sound, its events beside those that a model finds, and the scores that these come from.

    Args:
        row: of the clip table.
        scored: of this clip alone.

    Raises:
        InputError: its recording cannot be read.
    """
    tags, scores = decisions.tags, filtered(scored, decisions)
    found = decided_events(scored, decisions)
    estimated = [
        Event(tag=tags[tag], onset=onset / US_PER_S, offset=offset / US_PER_S)
        for tag, onset, offset in zip(found.tag, found.onset_us, found.offset_us, strict=True)
    ]
    said = dataset.statements(layer).of_clip(row)
    given = said.tag_index[said.value >= COUNTED]
    best = np.argsort(-scores.max(axis=0), kind="stable")[:BEST_TAGS]
    shown = list(dict.fromkeys([*given.tolist(), *found.tag.tolist(), *best.tolist()]))[:MOST_TAGS]
    thresholds = {decisions.thresholds[tag] for tag in shown}
    name = str(dataset.clips["clip"][row])
    without = "" if strong_clips(dataset, layer)[row] else " Nobody says when its sounds begin and end."
    edges_s = scored.edges_s(0)
    by = _listed([f"{tags[tag]} from {decisions.thresholds[tag]:.3g}" for tag in shown])
    figure = clip_figure(
        dataset,
        row,
        clip_waveform(dataset, row),
        title=f"Events in {name}",
        caption=f"{counted(len(estimated), 'event')} found: where a tag's scores reach its threshold ({by}).{without}",
        alt=f"Framewise scores of {_listed([tags[tag] for tag in shown])} above the log-mel; {len(estimated)} events "
        "found, drawn under the reference.",
        curves=[steps(tags[tag], edges_s[:-1], edges_s[1:], scores[:, tag]) for tag in shown],
        threshold=thresholds.pop() if len(thresholds) == 1 else None,
        estimated=estimated,
        layer=layer,
    )
    return figure.model_copy(update={"section": "Events in clips", "place": FIRST_PLACE + 4})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
