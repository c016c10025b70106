"""Earmark: from audio with imperfect labels to a good tagger, and what it thinks of the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.events.tagging import EventTagger
    from earmark.tagging import RecordingTagger

__version__ = "0.1.0"


def load_tagger(model: str | Path, device: str = "auto") -> RecordingTagger:
    """A tagger of recordings from a model or run folder; call it with a path.

    Args:
        device: auto, cpu, cuda or cuda:N.

    Raises:
        InputError: there is no whole model there, or it scales its scores by its test clips.

    `load_tagger("run")("dog.wav")` gives `[{"tag": "Dog bark", "score": 0.98}, ...]`, best first.
    """
    # Imported here, so that the command's --help does not wait for torch.
    from earmark.environment import resolve_device
    from earmark.models.ensemble import open_model
    from earmark.tagging import RecordingTagger

    return RecordingTagger(open_model(Path(model)), resolve_device(device))


def load_event_tagger(
    model: str | Path, device: str = "auto", threshold: float | None = None, median_filter_s: float | None = None
) -> EventTagger:
    """A finder of events in recordings from a model or run folder; call it with a path.

    Args:
        device: auto, cpu, cuda or cuda:N.
        threshold: the framewise score, of every tag, from which on there is an event; None: as tuned for the model,
            else 0.5.
        median_filter_s: length of the filter of framewise scores, of every tag, seconds, 0 to 60; None: as tuned for
            the model, else 0, no filter.

    Raises:
        InputError: there is no whole model there, it keeps no time axis, or it scales its scores by its test clips.

    `load_event_tagger("run")("street.wav")` gives `[{"onset": 1.2, "offset": 3.45, "tag": "Dog", "score": 0.93}, ...]`,
    by onset, in seconds.
    """
    from earmark.environment import resolve_device
    from earmark.events.tagging import EventTagger, decisions_for
    from earmark.models.ensemble import open_model

    opened = open_model(Path(model))
    return EventTagger(opened, decisions_for(Path(model), opened, threshold, median_filter_s), resolve_device(device))
