"""Where a batch's targets come from; the loop does not know."""

from dataclasses import dataclass
from typing import Protocol

import torch

from earmark.data.clips import Excerpts, IntArray
from earmark.data.dataset import ClipLabels


@dataclass(frozen=True)
class Targets:
    """What a batch should score.

    Attributes:
        clipwise: (clip, tag) in [0, 1], float32.
        clipwise_weight: same shape; 0 where nothing is known, and there the target may be anything.
    """

    clipwise: torch.Tensor
    clipwise_weight: torch.Tensor

    def to(self, device: torch.device) -> "Targets":
        """The same targets on another device."""
        return Targets(self.clipwise.to(device, non_blocking=True), self.clipwise_weight.to(device, non_blocking=True))


class TargetSource(Protocol):
    """Gives the targets of excerpts by their position in the training set."""

    def at(self, positions: IntArray) -> Targets:
        """The targets of the excerpts at these positions, in their order."""
        ...


@dataclass(frozen=True)
class WeakLabels:
    """A clip's labels in force, the same for every excerpt of it."""

    labels: ClipLabels
    excerpts: Excerpts

    def at(self, positions: IntArray) -> Targets:
        """The clipwise labels of the clips that the excerpts were cut from."""
        rows = self.excerpts.clip_index[positions]
        return Targets(torch.from_numpy(self.labels.rows(rows)), torch.from_numpy(self.labels.weights(rows)))
