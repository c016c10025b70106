"""The losses of strongly and weakly labelled clips together, each set weighted by its size."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch

from earmark.losses import bce_with_logits
from earmark.models.heads import HeadOutput
from earmark.training.targets import FrameTargets, Origin, Targets


@dataclass(frozen=True)
class SetSizes:
    """Clips of each set in the whole training set: M_s, M_w and, among the weak ones, M_p."""

    strong: int
    weak: int
    pseudo: int = 0

    @classmethod
    def of(cls, origin: npt.NDArray[np.int64]) -> Self:
        """The sizes of sets whose clips' `Origin` is given, (clip,)."""
        count = np.bincount(origin, minlength=len(Origin))
        weak = count[Origin.NONE] + count[Origin.SCORES]
        return cls(int(count[Origin.LABELS]), int(weak), int(count[Origin.SCORES]))


TagWeights = Literal["exponential", "inverse", "equal"]


def tag_weights(kind: TagWeights, counts: npt.NDArray[np.int64]) -> torch.Tensor:
    """The weight of each tag in the loss, (tag,), N being its clips, at least 1: exp(1/N), 1/N or 1, their sum 1.

    Source: NEC's report on DCASE 2019 task 4, eq. 2, for exp(1/N): nearly uniform, unless a tag has hardly any clips.

    >>> tag_weights("inverse", np.array([10, 30])).tolist()
    [0.75, 0.25]
    """
    share = 1 / np.maximum(counts, 1)
    weights = {"exponential": np.exp(share), "inverse": share, "equal": np.ones(len(counts))}[kind]
    return torch.from_numpy(np.asarray(weights / weights.sum(), np.float32))


@dataclass(frozen=True)
class SetLosses:
    """Clipwise and framewise weighted BCE of a batch, as each clip's share of it.

    L^v = (M_w L_w^v + M_s L_s^v) / (M_w + M_s) and L^m = (M_w + M_s) / (M_s + M_p)^2 (M_s L_s^m + M_p L_p^m), each L
    the mean over that set's clips of the batch (of L^m over their known frames too) of the sum over tags of weight
    times BCE. A set that the batch lacks has L 0. Where nobody has pseudo labels, L^m is (M_w + M_s) / M_s L_s^m.

    Attributes:
        tag_weight: (tag,), see `tag_weights`.

    Source: NEC's report on DCASE 2019 task 4, eqs. 1 and 6 to 10.
    """

    sizes: SetSizes
    tag_weight: torch.Tensor

    def __call__(self, output: HeadOutput, targets: Targets) -> torch.Tensor:
        """Each clip's share, (clip,), times the clips of which something is known: `train_step` takes their mean."""
        assert targets.frames is not None, "these losses are of frames too"
        known = targets.clipwise_weight.amax(dim=1) > 0
        share = self.clipwise(output.clipwise, targets, known) + self.framewise(output.framewise, targets.frames)
        return known.sum() * share

    def clipwise(self, logits: torch.Tensor, targets: Targets, known: torch.Tensor) -> torch.Tensor:
        """Each clip's share of L^v, (clip,)."""
        assert targets.frames is not None
        loss = self._of_tags(logits, targets.clipwise, targets.clipwise_weight)
        strong = known & (targets.frames.origin == Origin.LABELS)
        both = self.sizes.strong + self.sizes.weak
        share = self.sizes.strong / both * _evenly(strong) + self.sizes.weak / both * _evenly(known & ~strong)
        return share * loss

    def framewise(self, logits: torch.Tensor, targets: FrameTargets) -> torch.Tensor:
        """Each clip's share of L^m, (clip,)."""
        # The grid of targets ends with the audio; a model may have a step more or less there.
        count = min(logits.shape[1], targets.values.shape[1])
        weight = targets.weight[:, :count]
        loss = self._of_tags(logits[:, :count], targets.values[:, :count], weight).sum(dim=1)
        frames = weight.amax(dim=2).sum(dim=1)
        sizes = self.sizes
        factor = (sizes.weak + sizes.strong) / (sizes.strong + sizes.pseudo) ** 2
        strong, pseudo = (frames * (targets.origin == origin) for origin in (Origin.LABELS, Origin.SCORES))
        share = sizes.strong * _one_over_sum(strong) + sizes.pseudo * _one_over_sum(pseudo)
        return factor * share * loss

    def _of_tags(self, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The weighted sum over the last axis, the tags."""
        return bce_with_logits(logits, target, weight * self.tag_weight.to(logits.device)).sum(dim=-1)


def _evenly(members: torch.Tensor) -> torch.Tensor:
    """One over the number of members for each of them, 0 for others, (clip,)."""
    return members / members.sum().clamp(min=1)


def _one_over_sum(frames: torch.Tensor) -> torch.Tensor:
    """One over the frames of all clips of a set, for those that have any, (clip,)."""
    return (frames > 0) / frames.sum().clamp(min=1)
