"""Where a batch's targets come from; the loop does not know."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.augment import FloatArray, mix_targets
from earmark.data.clips import Excerpts, IntArray
from earmark.data.dataset import ClipLabels
from earmark.tag_map import TagMap


class Origin(IntEnum):
    """Where a clip's frame labels come from."""

    NONE = 0
    LABELS = 1
    SCORES = 2


@dataclass(frozen=True)
class FrameTargets:
    """What the score frames of a batch should score.

    Attributes:
        values: (clip, frame, tag) in [0, 1], float32.
        weight: same shape; 0 where nothing is known, as past a clip's end, and there the value may be anything.
        origin: of each clip, an `Origin`, int64 (clip,).
    """

    values: torch.Tensor
    weight: torch.Tensor
    origin: torch.Tensor

    def to(self, device: torch.device) -> "FrameTargets":
        """The same targets on another device."""
        return FrameTargets(*(part.to(device, non_blocking=True) for part in (self.values, self.weight, self.origin)))

    def mixed_with(self, other: "FrameTargets", mixup_lambda: FloatArray) -> "FrameTargets":
        """The targets of clips mixed with others: a mixture's frames are known where both clips' are."""
        values, weight = mix_targets(self.values, self.weight, other.values, other.weight, mixup_lambda)
        both_known = (self.origin > Origin.NONE) & (other.origin > Origin.NONE)
        mixture = torch.where(both_known, torch.maximum(self.origin, other.origin), Origin.NONE)
        return FrameTargets(values, weight, torch.where(torch.from_numpy(mixup_lambda < 1), mixture, self.origin))


@dataclass(frozen=True)
class Targets:
    """What a batch should score.

    Attributes:
        clipwise: (clip, tag) in [0, 1], float32.
        clipwise_weight: same shape; 0 where nothing is known, and there the target may be anything.
        distribution: same shape; uniform over a clip's tags (those of .5 or more), all 0 for a clip without. None
            where targets are no labels.
        frames: what score frames should score; None where only clips are learned from.
    """

    clipwise: torch.Tensor
    clipwise_weight: torch.Tensor
    distribution: torch.Tensor | None = None
    frames: FrameTargets | None = None

    def to(self, device: torch.device) -> "Targets":
        """The same targets on another device."""
        return Targets(
            self.clipwise.to(device, non_blocking=True),
            self.clipwise_weight.to(device, non_blocking=True),
            None if self.distribution is None else self.distribution.to(device, non_blocking=True),
            None if self.frames is None else self.frames.to(device),
        )

    def mixed_with(self, other: "Targets", mixup_lambda: FloatArray) -> "Targets":
        """The targets of clips mixed with others, lambda (clip,) to 1 - lambda; a clip of lambda 1 keeps its own."""
        clipwise, weight = mix_targets(
            self.clipwise, self.clipwise_weight, other.clipwise, other.clipwise_weight, mixup_lambda
        )
        distribution = frames = None
        if self.distribution is not None and other.distribution is not None:
            distribution = _mixed_distribution(self.distribution, other.distribution, mixup_lambda)
        if self.frames is not None and other.frames is not None:
            frames = self.frames.mixed_with(other.frames, mixup_lambda)
        return Targets(clipwise, weight, distribution, frames)


def _mixed_distribution(own: torch.Tensor, other: torch.Tensor, mixup_lambda: FloatArray) -> torch.Tensor:
    """Distributions of clips mixed with others; where one of the two has no tags, the mixture's is the other's alone.

    So it still sums to 1. (He et al. 2020 do not say how.)
    """
    both = torch.stack([own, other])
    share = torch.from_numpy(np.stack([mixup_lambda, 1 - mixup_lambda]))[..., None] * both.sum(2, keepdim=True)
    mixture = (share * both).sum(0) / share.sum(0).clamp(min=torch.finfo(torch.float32).tiny)
    return torch.where(torch.from_numpy(mixup_lambda < 1)[:, None], mixture, own)


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
        clipwise, weight = torch.from_numpy(self.labels.rows(rows)), torch.from_numpy(self.labels.weights(rows))
        positive = ((weight > 0) & (clipwise >= 0.5)).float()
        return Targets(clipwise, weight, positive / positive.sum(1, keepdim=True).clamp(min=1))


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's scores and the clips' weak labels in one target, alpha to 1 - alpha.

    Binary cross-entropy is linear in its target, so its weighted loss is alpha times the loss against the scores plus
    1 - alpha times the loss against the labels, of what each of them knows.

    Attributes:
        read: rows of scores, in [0, 1], (row, teacher's tag).
        score_row: the row of each excerpt's scores, (excerpt,).
        weak: the labels of the same excerpts.
        alpha: the teacher's share, from 0 to 1.
        tag_map: which of the teacher's tags stand for the data set's, where they are not the same: the others have the
            weak labels alone.

    Source: Dinkel et al. 2022 (PSL), section 4.2.
    """

    read: Callable[[IntArray], npt.NDArray[np.floating[Any]]]
    score_row: IntArray
    weak: WeakLabels
    alpha: float
    tag_map: TagMap | None = None

    def at(self, positions: IntArray) -> Targets:
        """The mixture; its weight is what each part knows times its share, 0 where neither knows anything."""
        weak = self.weak.at(positions)
        scores, knows = self._of_teacher(positions, weak.clipwise.shape[1])
        weak_weight = (1 - self.alpha) * weak.clipwise_weight
        weight = self.alpha * knows + weak_weight
        mixture = self.alpha * knows * scores + weak_weight * weak.clipwise
        return Targets(mixture / torch.where(weight > 0, weight, 1), weight)

    def _of_teacher(self, positions: IntArray, num_tags: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's scores by the data set's tags, (excerpt, tag), and 1 where it knows the tag, (tag,)."""
        scores = self.read(self.score_row[positions]).astype(np.float32, copy=False)
        if self.tag_map is None:
            return torch.from_numpy(scores), torch.ones(num_tags)
        placed, knows = np.zeros((len(scores), num_tags), np.float32), np.zeros(num_tags, np.float32)
        placed[:, self.tag_map.places] = self.tag_map.scores(scores)
        knows[self.tag_map.places] = 1
        return torch.from_numpy(placed), torch.from_numpy(knows)
