"""What event metrics are given: the strong labels of scored clips, and their framewise scores."""

import numpy as np
import numpy.typing as npt

from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.statements import WEAK, events_of
from earmark.metrics.events import Events, events_from_arrays, microseconds
from earmark.metrics.framewise import FramewiseScores, framewise_scores
from earmark.scores.framewise import ScoredFrames


def strong_clips(dataset: Dataset, layer: str = GIVEN) -> npt.NDArray[np.bool_]:
    """The clips whose events are known with times, bool (clip,).

    Those that the clip table says are labelled strong. A truth layer that gives times to weak clips knows those of all
    of them: one without is silent.
    """
    labelled = dataset.column("labelled")
    strong, weak = labelled == "strong", labelled == "weak"
    if dataset.is_truth(layer):
        said = dataset.statements(layer)
        if weak[said.clip_index[said.onset != WEAK]].any():
            strong |= weak
    return np.asarray(strong, np.bool_)


def reference_events(dataset: Dataset, layer: str, scored: ScoredFrames) -> Events:
    """The strong labels of the scored clips, value at least .5, each clip called by its place among them.

    An event that goes on after its clip's audio ends with it; one that begins after it is left out.

    Raises:
        InputError: there is no such layer.
    """
    said = events_of(dataset.statements(layer))
    place = np.full(dataset.num_clips, -1)
    place[scored.clip_index] = np.arange(len(scored.clip_index))
    duration_s = scored.num_samples / scored.rate_hz
    own = said.at(place[said.clip_index] >= 0)
    clip = place[own.clip_index]
    offset = np.minimum(own.offset, duration_s[clip])
    # What lasts less than a microsecond of the audio, as metrics count time, is not there.
    kept = microseconds(own.onset) < microseconds(offset)
    return events_from_arrays(
        clip[kept],
        own.tag_index[kept],
        own.onset[kept],
        offset[kept],
        duration_s=duration_s,
        num_tags=len(dataset.vocabulary),
    )


def metric_scores(scored: ScoredFrames, scores: npt.NDArray[np.float32] | None = None) -> FramewiseScores:
    """The scores as event metrics take them, or others of the same frames, such as filtered ones."""
    return framewise_scores(
        scored.scores if scores is None else scores,
        scored.num_frames,
        hop_s=scored.hop_samples / scored.rate_hz,
        duration_s=scored.num_samples / scored.rate_hz,
    )
