"""The median filter and the threshold of each tag that find its events best on clips kept apart for such choices.

Of a few filters and of all thresholds: each filter's curve is exact. What is chosen on some clips flatters on these, so
figures for others to believe are of the test split, which is refused here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.packs import open_pack
from earmark.environment import today
from earmark.errors import InputError, counted, did_you_mean, first_few
from earmark.evaluation import check_vocabulary, finite_or_none
from earmark.events.decisions import (
    EVENTS_FILE,
    EventDecisions,
    decided_events,
    filtered,
    plain_decisions,
    widths_in_frames,
    write_decisions,
)
from earmark.events.reference import metric_scores, reference_events, strong_clips
from earmark.metrics.criteria import CRITERIA, Criterion
from earmark.metrics.detection import DetectionScores, detection_scores
from earmark.metrics.events import Events
from earmark.models.ensemble import open_model
from earmark.models.tagger import model_folder
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores, step_samples
from earmark.scores.split_rows import split_rows

FILTERS_S = (0.0, 0.2, 0.5, 1.0, 2.0)
"""The median filters that are tried; 0 is none."""
SPLITS = ("validation", "train")


def tune_model(
    model: Path,
    dataset: Dataset,
    *,
    split: str = "validation",
    layer: str = GIVEN,
    criterion: str = "collar",
    device: torch.device,
    workers: int | None = None,
) -> dict[str, Any]:
    """Tunes a model or run folder on the strongly labelled clips of a split, and keeps the result in the model folder.

    The splits are those that the model was trained with, as its folder records them.

    Returns:
        What was chosen for each tag, and the macro F1 before (threshold .5, no filter) and after, as plain values.

    Raises:
        InputError: the split is the test split, is empty or has no events with times; the labels are planted faults'
            truth; model and data set have different tags; or the model keeps no time axis.
    """
    _check_request(dataset, split, layer, criterion)
    tagger = open_model(model)
    check_vocabulary(tagger, dataset)
    step_samples(tagger)  # before anything is decoded
    rows = split_rows(tagger.trained_on(), dataset, split)
    strong = rows[strong_clips(dataset, layer)[rows]]
    nothing_there = f"the {split} split of {dataset.name} must hold events with onset and offset to tune on, found none"
    if not len(strong):
        raise InputError(f"{nothing_there}: of its {counted(len(rows), 'clip')} none is labelled strong")
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    scored = framewise_clip_scores(tagger, pack, strong, device=device)
    reference = reference_events(dataset, layer, scored)
    if not len(reference):
        raise InputError(f"{nothing_there} in {counted(len(scored.clip_index), 'clip')} labelled strong")
    tags = dataset.vocabulary.tags
    tuned, is_tuned = best_decisions(scored, reference, tags, CRITERIA[criterion])
    about = {
        "dataset": dataset.name,
        "dataset_digest": dataset.digest,
        "split": split,
        "labels": layer,
        "criterion": criterion,
        "num_clips": len(scored.clip_index),
        "not_tuned": [tag for tag, is_known in zip(tags, is_tuned, strict=True) if not is_known],
        "date": today(),
    }
    result = _result(scored, reference, tuned, is_tuned, CRITERIA[criterion])
    replaced = (model_folder(model) / EVENTS_FILE).is_file()
    path = write_decisions(model, tuned.model_copy(update={"about": about}))
    left_out = {"num_not_strong": len(rows) - len(strong), "num_not_scored": len(strong) - len(scored.clip_index)}
    return {**about, **left_out, **result, "file": str(path), "replaced": replaced}


def _check_request(dataset: Dataset, split: str, layer: str, criterion: str) -> None:
    if split in ("test", "all"):
        raise InputError(
            f"--split {split}: what is tuned on the clips that a model is tested on flatters it there; use --split "
            "validation, or train"
        )
    for name, value, known in (("split", split, SPLITS), ("criterion", criterion, CRITERIA)):
        if value not in known:
            raise InputError(f'--{name} must be one of {", ".join(known)}, got "{value}"{did_you_mean(value, known)}')
    if dataset.is_truth(layer):
        raise InputError(
            f'{dataset.folder}: label layer "{layer}" is the truth about planted faults and nothing learns from it; '
            f"tune on another layer and score with `earmark evaluate --events --labels {layer}`"
        )


def best_decisions(
    scored: ScoredFrames,
    reference: Events,
    tags: Sequence[str],
    criterion: Criterion,
    filters_s: Sequence[float] = FILTERS_S,
) -> tuple[EventDecisions, npt.NDArray[np.bool_]]:
    """Each tag's median filter and threshold with the greatest F1.

    Of equal ones the shortest filter is taken, and of its thresholds the highest (see `best_threshold`). A tag without
    reference events, or of which no filter and no threshold finds any, keeps the threshold .5 and no filter.

    Args:
        reference: of the scored clips.
        tags: the model's, in their order.
        filters_s: rising lengths to try; those of as many score frames as an earlier one are left out.

    Returns:
        The decisions, and whether each tag has its own, (tag,).
    """
    widths = widths_in_frames(filters_s, scored.hop_samples, scored.rate_hz)
    plain = plain_decisions(tags)
    thresholds, filter_s = list(plain.thresholds), list(plain.median_filter_s)
    best_f1 = np.zeros(len(tags))
    for place in np.unique(widths, return_index=True)[1].tolist():
        scores = filtered(scored, plain_decisions(tags, median_filter_s=filters_s[place]))
        for tag, curve in enumerate(criterion.curves(reference, metric_scores(scored, scores))):
            threshold, f1 = curve.best_threshold()
            if f1 > best_f1[tag]:
                best_f1[tag], thresholds[tag], filter_s[tag] = f1, threshold, filters_s[place]
    found = plain.model_copy(update={"thresholds": tuple(thresholds), "median_filter_s": tuple(filter_s)})
    return found, best_f1 > 0


def _result(
    scored: ScoredFrames, reference: Events, tuned: EventDecisions, is_tuned: npt.NDArray[np.bool_], by: Criterion
) -> dict[str, Any]:
    """The figures before and after, found by deciding events as anyone who uses the decisions will."""

    def scores_of(decisions: EventDecisions) -> DetectionScores:
        return detection_scores(by.counts(reference, decided_events(scored, decisions)))

    before, after = scores_of(plain_decisions(tuned.tags)), scores_of(tuned)
    num_events = reference.counts().sum(axis=0)
    per_tag = [
        {
            "tag": name,
            "reference_events": int(num_events[tag]),
            "median_filter_s": tuned.median_filter_s[tag],
            "threshold": tuned.thresholds[tag],
            "f1_before": finite_or_none(before.f1[tag]),
            "f1": finite_or_none(after.f1[tag]),
            "is_tuned": bool(is_tuned[tag]),
        }
        for tag, name in enumerate(tuned.tags)
    ]
    return {"macro_f1_before": before.macro_f1, "macro_f1": after.macro_f1, "per_tag": per_tag}


def tuning_lines(result: Mapping[str, Any]) -> list[str]:
    """What came of tuning, for a terminal: a line a tag, what was not tuned and why, the macro F1 before and after."""
    left_out = [
        f"{counted(result[key], 'other')} {why}"
        for key, why in (("num_not_strong", "not labelled strong"), ("num_not_scored", "could not be read"))
        if result[key]
    ]
    rows = result["per_tag"]
    width = max(len("tag"), *(len(row["tag"]) for row in rows))
    lines = [
        f"{result['dataset']}, {result['split']} split, labels {result['labels']}: "
        f"{counted(result['num_clips'], 'clip')} labelled strong{''.join(f'; {said}' for said in left_out)}",
        f"  {'tag':<{width}}  events  filter  threshold  {result['criterion']}-based F1 before, after",
        *(_tag_line(row, width) for row in rows if row["is_tuned"]),
    ]
    for why, without in (("without events there", True), ("never found there", False)):
        kept = [row["tag"] for row in rows if not row["is_tuned"] and (row["reference_events"] == 0) is without]
        if kept:
            lines.append(f"  {why}, kept at threshold 0.5 without a filter: {first_few(kept)}")
    lines.append(
        f"  macro F1: {result['macro_f1_before']:.4f} at threshold 0.5 without a filter, {result['macro_f1']:.4f} "
        "tuned, on the very clips that it was tuned on: the latter flatters"
    )
    again = " (instead of those that were there)" if result["replaced"] else ""
    return [*lines, f"{result['file']}: thresholds and filters of {len(rows)} tags{again}"]


def _tag_line(row: Mapping[str, Any], width: int) -> str:
    length = f"{row['median_filter_s']:g} s" if row["median_filter_s"] else "none"
    return (
        f"  {row['tag']:<{width}}  {row['reference_events']:>6}  {length:>6}  {row['threshold']:>9.4f}  "
        f"{row['f1_before']:.4f}, {row['f1']:.4f}"
    )
