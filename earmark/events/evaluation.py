"""What a model is worth at finding events on a split: event metrics with intervals, macro and per tag."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.clip_figure import clip_row
from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.packs import open_pack
from earmark.environment import machine_name, today
from earmark.errors import InputError, counted
from earmark.evaluation import check_vocabulary, draws_digest, finite_or_none, interval_values, is_run
from earmark.events.decisions import EventDecisions, filtered, plain_decisions, read_decisions
from earmark.events.figures import events_by_tag, events_of_clip, f1_by_threshold, psd_roc
from earmark.events.reference import metric_scores, reference_events, strong_clips
from earmark.figures import ChartFigure, TableFigure, write_figure
from earmark.files import write_json
from earmark.metrics.bootstrap import TagIntervals
from earmark.metrics.criteria import CRITERIA
from earmark.metrics.detection import DetectionScores, detection_scores
from earmark.metrics.event_bootstrap import DetectionBootstrap, bootstrap_detection
from earmark.metrics.events import Events
from earmark.metrics.framewise import FramewiseScores, events_from_scores
from earmark.metrics.psds import PSDS_1, PSDS_2
from earmark.metrics.psds_bootstrap import PsdsBootstrap, bootstrap_psds
from earmark.models.ensemble import Model, open_model
from earmark.scores.evaluated import (
    EvaluatedEvents,
    evaluated_events_path,
    evaluation_name,
    write_evaluated_events,
)
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores, step_samples
from earmark.scores.split_rows import split_rows

log = logging.getLogger(__name__)

PSDS = {"psds_1": PSDS_1, "psds_2": PSDS_2}
PARTS = ("f1", "precision", "recall")
"""Of each criterion, in the order of `DetectionBootstrap.drawn`."""


@dataclass(frozen=True, eq=False)
class EventResults:
    """Event metrics of some clips, and what they are of.

    Attributes:
        reference, decided: events of the clips.
        scores: what was decided by, filtered; PSDS is of them too.
        counted, intervals: by name of `CRITERIA`.
        psds: by name of `PSDS`.
    """

    reference: Events
    decided: Events
    scores: FramewiseScores
    counted: dict[str, DetectionScores]
    intervals: dict[str, DetectionBootstrap]
    psds: dict[str, PsdsBootstrap]


def event_results(
    reference: Events,
    scored: ScoredFrames,
    decisions: EventDecisions,
    *,
    groups: npt.ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> EventResults:
    """The event metrics of scored clips with 95 % intervals over groups (clips where none are named).

    Args:
        reference: of the scored clips, see `event_reference`.
        decisions: of the model's tags.
    """
    scores = metric_scores(scored, filtered(scored, decisions))
    decided = events_from_scores(scores, decisions.thresholds)
    counts = {name: criterion.counts(reference, decided) for name, criterion in CRITERIA.items()}
    return EventResults(
        reference,
        decided,
        scores,
        {name: detection_scores(each) for name, each in counts.items()},
        {
            name: bootstrap_detection(each, groups=groups, resamples=resamples, seed=seed)
            for name, each in counts.items()
        },
        {
            name: bootstrap_psds(reference, scores, settings, groups=groups, resamples=resamples, seed=seed)
            for name, settings in PSDS.items()
        },
    )


def evaluate_model_events(
    model: Path,
    dataset: Dataset,
    *,
    split: str,
    layer: str = GIVEN,
    device: torch.device,
    seed: int = 0,
    workers: int | None = None,
) -> dict[str, Any]:
    """The evaluation of the events that a model or run folder finds; a run keeps it, with its figures.

    Of the split's clips whose events are known with times (`strong_clips`), by the decisions tuned for the model, or at
    a score of .5 without a filter. The splits are those that the model was trained with.

    Args:
        split: train, validation, test, or all.

    Raises:
        InputError: the split has no event with times, model and data set have different tags, or the model keeps no
            time axis.
    """
    tagger, tuned = _opened(model, dataset)
    rows = split_rows(tagger.trained_on(), dataset, split)
    strong = rows[strong_clips(dataset, layer)[rows]]
    if not len(strong):
        raise _without_events(dataset, split, rows, 0)
    decisions = tuned or plain_decisions(dataset.vocabulary.tags)
    _warn_of_tuning(decisions, dataset, split)
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    started = time.perf_counter()
    scored = framewise_clip_scores(tagger, pack, strong, device=device)
    reference = reference_events(dataset, layer, scored)
    if not len(reference):
        raise _without_events(dataset, split, rows, len(scored.clip_index))
    groups = dataset.groups()[scored.clip_index]
    results = event_results(reference, scored, decisions, groups=groups, seed=seed)
    evaluation = {
        "dataset": dataset.name,
        "split": split,
        "labels": layer,
        "num_tags": len(decisions.tags),
        "num_clips": len(scored.clip_index),
        "num_without_times": len(rows) - len(strong),
        "num_not_scored": len(strong) - len(scored.clip_index),
        "num_groups": len(np.unique(groups)),
        "audio_s": round(float(reference.duration_us.sum()) / 1e6, 3),
        "score_frame_ms": 1000 * scored.hop_samples / scored.rate_hz,
        "decisions": {"tuned": dict(tuned.about) if tuned else None},
        **_as_values(results, decisions),
        "date": today(),
        "machine": machine_name(device),
        "seconds": round(time.perf_counter() - started, 2),
    }
    if is_run(model):
        clips = dataset.column("clip")[scored.clip_index]
        draws = draws_digest(groups, evaluation["resamples"], seed)
        _keep(model, evaluation, results, _kept(results, clips, decisions.tags, draws))
    return evaluation


def write_clip_events(
    run: Path, dataset: Dataset, clip: str, *, layer: str = GIVEN, device: torch.device, workers: int | None = None
) -> Path:
    """Writes the figure of any one clip, with the events that a run's model finds in it; its path.

    Raises:
        InputError: the folder is no run's, there is no such clip or it cannot be read, model and data set have
            different tags, or the model keeps no time axis.
    """
    if not is_run(run):
        raise InputError(f"{run}: the figure of a clip is kept in a run folder, this is a model alone; give its run")
    row, (tagger, tuned) = clip_row(dataset, clip), _opened(run, dataset)
    pack = open_pack(dataset, tagger.rate_hz, workers=workers)
    scored = framewise_clip_scores(tagger, pack, np.array([row]), device=device)
    if not len(scored.clip_index):
        raise InputError(f'clip "{clip}" cannot be shown, its recording could not be read; name another')
    figure = events_of_clip(dataset, row, scored, tuned or plain_decisions(dataset.vocabulary.tags), layer)
    name = re.sub(r"[^\w.-]+", "-", clip)[:100]
    return write_figure(run / "figures", f"clip-{name}", figure)


def _opened(model: Path, dataset: Dataset) -> tuple[Model, EventDecisions | None]:
    """A model that can find the data set's events, and what was tuned for it; refused before anything is decoded."""
    tagger = open_model(model)
    check_vocabulary(tagger, dataset)
    step_samples(tagger)
    return tagger, read_decisions(model, dataset.vocabulary.tags)


def _without_events(dataset: Dataset, split: str, rows: IntArray, num_scored: int) -> InputError:
    knowing = [layer for layer in dataset.layers() if strong_clips(dataset, layer)[rows].any()]
    instead = "evaluate its clip labels, without --events"
    if knowing and not num_scored:
        instead = f"take --labels {knowing[0]}, which has some"
    return InputError(
        f"the {split} split of {dataset.name} must hold events with onset and offset to judge by, found none: of its "
        f"{counted(len(rows), 'clip')} {num_scored} are labelled strong and can be read; {instead}"
    )


def _warn_of_tuning(decisions: EventDecisions, dataset: Dataset, split: str) -> None:
    about = decisions.about
    if about.get("dataset_digest") == dataset.digest and split in (about.get("split"), "all"):
        log.warning(
            "thresholds and median filters were tuned on the %s split: these figures flatter it", about["split"]
        )


def _as_values(results: EventResults, decisions: EventDecisions) -> dict[str, Any]:
    """The metrics as JSON holds them."""
    metrics = {}
    for name, found in results.intervals.items():
        for part in PARTS:
            metrics[f"{name}_based_{part}"] = interval_values(getattr(found, f"macro_{part}"))
    metrics |= {name: interval_values(found.value) for name, found in results.psds.items()}
    per_tag = [_tag_values(tag, results, decisions) for tag in range(len(decisions.tags))]
    one = results.psds["psds_1"]
    return {
        "left_out_tags": [row["tag"] for row in per_tag if not row["reference_events"]],
        "confidence": one.confidence,
        "resamples": one.resamples,
        "metrics": metrics,
        "per_tag": per_tag,
    }


def _tag_values(tag: int, results: EventResults, decisions: EventDecisions) -> dict[str, Any]:
    values: dict[str, Any] = {
        "tag": decisions.tags[tag],
        "reference_events": int(np.count_nonzero(results.reference.tag == tag)),
        "decided_events": int(np.count_nonzero(results.decided.tag == tag)),
        "threshold": decisions.thresholds[tag],
        "median_filter_s": decisions.median_filter_s[tag],
    }
    for name, found in results.intervals.items():
        counts = results.counted[name]
        values[f"{name}_based"] = {
            "f1": finite_or_none(found.f1.value[tag]),
            "low": finite_or_none(found.f1.low[tag]),
            "high": finite_or_none(found.f1.high[tag]),
            "precision": finite_or_none(counts.precision[tag]),
            "recall": finite_or_none(counts.recall[tag]),
            "true_positives": int(counts.true_positives[tag]),
            "false_positives": int(counts.false_positives[tag]),
        }
    return values | {name: _of_tag(found.by_tag, tag) for name, found in results.psds.items()}


def _of_tag(intervals: TagIntervals, tag: int) -> dict[str, float | None]:
    return {end: finite_or_none(values[tag]) for end, values in vars(intervals).items()}


def _kept(results: EventResults, clips: npt.NDArray[Any], tags: Sequence[str], draws: str) -> EvaluatedEvents:
    drawn = {
        f"{name}_based_{part}": values
        for name, found in results.intervals.items()
        for part, values in zip(PARTS, found.drawn, strict=True)
    }
    drawn |= {name: found.drawn for name, found in results.psds.items()}
    events = results.reference
    return EvaluatedEvents(
        clips=np.asarray(clips, np.str_), tags=tuple(tags), drawn=drawn, draws=draws, clip=events.clip, tag=events.tag,
        onset_us=events.onset_us, offset_us=events.offset_us,
    )  # fmt: skip


def _keep(run: Path, evaluation: dict[str, Any], results: EventResults, kept: EvaluatedEvents) -> None:
    """Writes an evaluation into its run, with what it was made of and its figures."""
    split, layer = evaluation["split"], evaluation["labels"]
    name, resamples = evaluation_name(split, layer), evaluated_events_path(run, split, layer)
    # Killed in between, a run has no resamples rather than those of another evaluation.
    resamples.unlink(missing_ok=True)
    write_json(run / "evaluation" / "events" / f"{name}.json", evaluation)
    write_evaluated_events(resamples, kept)
    figures: dict[str, ChartFigure | TableFigure] = {
        f"psd-roc-{number}": psd_roc(number, results.psds[key].score, settings, evaluation)
        for number, (key, settings) in enumerate(PSDS.items(), start=1)
    }
    figures["f1-by-threshold"] = f1_by_threshold(results.reference, results.scores, evaluation)
    figures["events-by-tag"] = events_by_tag(evaluation)
    for kind, figure in figures.items():
        write_figure(run / "figures", f"{kind}-{name}", figure)
