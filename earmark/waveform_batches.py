"""Waveforms of recordings in batches: neighbours of one padded length together, everything in its order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from earmark.models.ensemble import Model
from earmark.models.inference import MOST_AT_ONCE, clips_at_once

Int16Array = npt.NDArray[np.int16]

AHEAD = MOST_AT_ONCE
"""How many waveforms are read ahead of those in batches: a whole batch."""


class HasWaveform(Protocol):
    """What goes through a model at once."""

    @property
    def waveform(self) -> Int16Array:
        """(sample,)."""


PartT = TypeVar("PartT", bound=HasWaveform)
OtherT = TypeVar("OtherT")


def in_batches(
    items: Iterable[PartT | OtherT], kind: type[PartT], model: Model, device: torch.device
) -> Iterator[list[PartT] | OtherT]:
    """The items of a kind in lists that are scored together, anything else in its place between them.

    Only neighbours share a list: those with one padded length, as many as are best scored at once.
    """
    waiting: list[PartT] = []
    length = at_once = 0
    for item in items:
        if not isinstance(item, kind):
            if waiting:
                yield waiting
                waiting = []
            yield item  # type: ignore[misc]
            continue
        padded = model.padded_samples(len(item.waveform))
        if waiting and (padded != length or len(waiting) == at_once):
            yield waiting
            waiting = []
        if not waiting:
            length, at_once = padded, clips_at_once(model, padded, device)
        waiting.append(item)
    if waiting:
        yield waiting


def padded_batch(parts: Sequence[HasWaveform], model: Model, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms of one padded length as int16 (clip, sample), zero past each, and their valid samples (clip,)."""
    batch = np.zeros((len(parts), model.padded_samples(len(parts[0].waveform))), np.int16)
    for row, part in zip(batch, parts, strict=True):
        row[: len(part.waveform)] = part.waveform[: len(row)]
    num_samples = torch.tensor([min(len(part.waveform), batch.shape[1]) for part in parts])
    return torch.from_numpy(batch).to(device), num_samples.to(device)
