"""What recipes need of events with times: clips that have them, and metrics of events while training."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from earmark.data.clips import Excerpts
from earmark.data.packs import Pack
from earmark.data.statements import WEAK
from earmark.errors import InputError, counted
from earmark.events.reference import metric_scores, reference_events, strong_clips
from earmark.metrics.collar_based import collar_based_counts
from earmark.metrics.detection import detection_scores
from earmark.metrics.framewise import events_from_scores
from earmark.metrics.segment_based import segment_based_counts
from earmark.models.tagger import Tagger
from earmark.recipes.job import Job
from earmark.scores.framewise import framewise_clip_scores
from earmark.timing import samples_from_seconds


def labelled_clips(job: Job[Any], clips: Excerpts) -> Excerpts:
    """Those of some clips that are labelled, strongly or weakly."""
    labelled = job.request.dataset.column("labelled")[clips.clip_index]
    without = int((labelled == "none").sum())
    if without:
        job.note(f"{counted(without, 'clip')} without labels took no part in training")
    return clips.at(np.flatnonzero(labelled != "none"))


def as_heard(chunks: Excerpts, tagger: Tagger, length_s: float) -> Excerpts:
    """Chunks as far as a tagger of fixed frames hears them: a last one that joined another may be longer.

    Raises:
        InputError: it hears less than a whole chunk.
    """
    fixed, front_end = tagger.config.fixed_frames, tagger.config.front_end
    if fixed is None:
        return chunks
    most = fixed * front_end.hop_samples
    if samples_from_seconds(length_s, front_end.rate_hz) > most:
        raise InputError(
            f"chunk_s must be at most {most / front_end.rate_hz:.6g}, the seconds that fixed_frames={fixed} hold, got "
            f"{length_s:g}: what is not heard cannot be learned"
        )
    return Excerpts(chunks.clip_index, chunks.onset_samples, np.minimum(chunks.num_samples, most))


def event_validation(
    job: Job[Any], pack: Pack, validate: Callable[[Tagger], dict[str, float]], select_by: str
) -> Callable[[Tagger], dict[str, float]]:
    """What gives, beside the metrics of clips, event-based and segment-based F1 of the validation split's strong clips.

    At a score of .5, without a median filter. Where the split has no event, the metrics of clips alone.

    Args:
        select_by: the metric that is to choose.

    Raises:
        InputError: it is of events, and there are none.
    """
    request, dataset = job.request, job.request.dataset
    rows = job.splits.validation[strong_clips(dataset)[job.splits.validation]]
    said = dataset.statements(request.layer)
    if not np.isin(said.clip_index[said.onset != WEAK], rows).any():
        if select_by in ("event_f1", "segment_f1"):
            raise InputError(
                f"select_by={select_by} needs events to validate on, and the validation split of {dataset.name} has "
                f"none: {len(rows)} of its {len(job.splits.validation)} clips are labelled strong; choose by "
                "mean_average_precision, or label some with times"
            )
        job.note("validation: the split has no event with times, so its figures are of clips alone")
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
