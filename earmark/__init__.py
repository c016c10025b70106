"""Earmark: from audio with imperfect labels to a good tagger, and what it thinks of the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
