"""What recipes need of events with times: clips that have them, and metrics of events while training."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from earmark.data.clips import Excerpts
from earmark.data.packs import Pack
from earmark.errors import InputError, counted
from earmark.event_reference import metric_scores, reference_events, strong_clips
from earmark.metrics.collar_based import collar_based_counts
from earmark.metrics.detection import detection_scores
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.segment_based import segment_based_counts
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.scores.framewise import framewise_clip_scores


def labelled_clips(job: Job[Any], clips: Excerpts) -> Excerpts:
    """Those of some clips that are labelled, strongly or weakly.

    Raises:
        InputError: none of them is labelled strongly, so that nothing says when anything sounds.
    """
    labelled = job.request.dataset.column("labelled")[clips.clip_index]
    if not (labelled == "strong").any():
        raise InputError(
            f"the train split of {job.request.dataset.name} must hold strongly labelled clips (events with onset and "
            f"offset), found none among {len(clips)}; label some with times, or learn from clip labels: earmark train "
            "baseline, or psl"
        )
    without = int((labelled == "none").sum())
    if without:
        job.note(f"{counted(without, 'clip')} without labels took no part in training")
    return clips.at(np.flatnonzero(labelled != "none"))


def event_validation(
    job: Job[Any], pack: Pack, validate: Callable[[Tagger], dict[str, float]]
) -> Callable[[Tagger], dict[str, float]]:
    """What gives, beside the metrics of clips, event-based and segment-based F1 of the validation split's strong clips.

    At a score of .5, without a median filter. Where the split has no strong clip, the metrics of clips alone.
    """
    request, dataset = job.request, job.request.dataset
    rows = job.splits.validation[strong_clips(dataset)[job.splits.validation]]
    if not len(rows):
        job.note("validation: no clip of the split is labelled strongly, so its figures are of clips alone")
        return validate

    def both(tagger: Tagger) -> dict[str, float]:
        scored = framewise_clip_scores(tagger, pack, rows, device=request.device)
        reference = reference_events(dataset, request.layer, scored)
        decided = events_from_scores(metric_scores(scored), 0.5)
        counts = {
            "event_f1": collar_based_counts(reference, decided),
            "segment_f1": segment_based_counts(reference, decided),
        }
        of_events = {name: detection_scores(found).macro_f1 for name, found in counts.items()}
        return {**validate(tagger), **{name: value for name, value in of_events.items() if math.isfinite(value)}}

    return both
