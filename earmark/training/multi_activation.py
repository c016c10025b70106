"""Each clip's loss where a head has two branches: binary cross-entropy on one, a loss over all tags on the other."""

from typing import Literal

import torch

from earmark.losses import bce_with_logits, clipwise_bce, softmax_loss, sparsemax_loss
from earmark.models.heads import HeadOutput
from earmark.training.targets import Targets

SecondLoss = Literal["softmax", "sparsemax"]

SECOND_LOSSES: dict[str, SecondLoss] = {"sigmoid_softmax": "softmax", "sigmoid_sparsemax": "sparsemax"}
"""The loss of the second branch by the name of the head; a head that is not here has one branch."""

_LOSSES = {"softmax": softmax_loss, "sparsemax": sparsemax_loss}


def clip_losses(
    output: HeadOutput,
    targets: Targets,
    *,
    second_loss: SecondLoss | None,
    second_head_weight: float,
    bce_reduction: Literal["mean", "sum"],
) -> torch.Tensor:
    """Each clip's loss, (clip,): binary cross-entropy of the first branch + weight * the loss of the second.

    A clip without tags has no second loss. The first is as `clipwise_bce` has it: masked tags count in its divisor.

    Args:
        targets: with a `distribution`, where there is a second loss.
        second_loss: the second branch's (see `SECOND_LOSSES`); None for a head of one branch, whose clipwise logits are
            then the first's.
        second_head_weight: of the second loss, at least 0.
        bce_reduction: over the tags.

    Raises:
        ValueError: the head has two branches and there is no second loss, or the other way round, or the targets have
            no distribution.

    Source: He et al. 2020, sections 3.1 and 3.2. How the two losses are weighted, and whether cross-entropy is a sum or
    a mean, is not said there.
    """
    if (output.branches is None) != (second_loss is None):
        has = "one branch" if output.branches is None else "two branches"
        raise ValueError(f"a second loss must be given exactly where a head has two branches; it has {has}")
    if output.branches is None or second_loss is None:
        return _cross_entropy(output.clipwise, targets, bce_reduction)
    if targets.distribution is None:
        raise ValueError("targets must have a distribution for the second branch, found none")
    first, second = output.branches
    over_tags = _LOSSES[second_loss](*_known_alone(second, targets.distribution, targets.clipwise_weight))
    return _cross_entropy(first, targets, bce_reduction) + second_head_weight * over_tags


def _known_alone(
    logits: torch.Tensor, distribution: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets of clips some of whose tags are not known, so that these have no part in a loss over all tags.

    The known tags' share of the target is stretched to sum to 1; a clip without unknown tags is left as it is.
    """
    unknown = weight == 0
    part = distribution.masked_fill(unknown, 0)
    part = part / part.sum(1, keepdim=True).clamp(min=torch.finfo(part.dtype).tiny)
    return logits.masked_fill(unknown, _NEVER), torch.where(unknown.any(1, keepdim=True), part, distribution)


_NEVER = -1e4  # a logit beside which no other tag's could be so small; not infinite, whose differences are NaN


def _cross_entropy(logits: torch.Tensor, targets: Targets, reduction: Literal["mean", "sum"]) -> torch.Tensor:
    if reduction == "mean":
        return clipwise_bce(logits, targets.clipwise, targets.clipwise_weight)
    return bce_with_logits(logits, targets.clipwise, targets.clipwise_weight).sum(dim=1)
