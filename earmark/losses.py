"""Binary cross-entropy with soft targets, weighted and masked; sparsemax and its loss; softmax's loss.

A weight of 0 masks: the target there may be anything, NaN too, and its logit gets a gradient of exactly 0. Losses are
computed in float32, under autocast too; float64 logits stay float64.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable


def bce_with_logits(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Each element's weight * -(y log p + (1 - y) log(1 - p)) with p = sigmoid(logit), in the shape of the logits.

    Args:
        logits: any shape.
        target: same shape, in [0, 1].
        weight: any shape that broadcasts to it, at least 0; `None` is 1 everywhere.

    >>> bce_with_logits(torch.tensor([0.0, 1e4]), torch.tensor([0.5, 0.0])).tolist()
    [0.6931471824645996, 10000.0]
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    logits, target = logits.to(dtype), target.to(dtype)
    if weight is None:
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # 0 * NaN is NaN, so what is masked is replaced before the loss and not only multiplied after it.
    masked = weight == 0
    logits, target = logits.masked_fill(masked, 0), target.masked_fill(masked, 0)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight.to(dtype)


def clipwise_bce(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Each clip's loss, (clip,): the weighted elements summed over its tags, divided by the number of tags.

    The divisor counts masked tags too: what a tag contributes does not depend on how many others are known, and a clip
    without known tags has a loss of 0.

    Args:
        logits, target: (clip, tag).
        weight: broadcasts to (clip, tag).

    >>> clipwise_bce(torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 0.0]])).tolist()
    [0.3465735912322998]
    """
    return bce_with_logits(logits, target, weight).mean(dim=1)


def weighted_mean(per_clip: torch.Tensor, clip_weight: torch.Tensor) -> torch.Tensor:
    """The sum of weight * loss over the whole batch, divided by the sum of the weights; 0 where all weights are 0.

    Args:
        per_clip: (clip,) losses; one of weight 0 may be anything.
        clip_weight: (clip,), at least 0.

    >>> weighted_mean(torch.tensor([1.0, 3.0, 9.0]), torch.tensor([1.0, 1.0, 0.0])).item()
    2.0
    """
    weight = clip_weight.to(per_clip.dtype)
    total = weight.sum()
    weighted = per_clip.masked_fill(weight == 0, 0) * weight
    return weighted.sum() / torch.where(total > 0, total, 1)


def softmax_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Each clip's cross-entropy, (clip,): -(sum over tags of target * log softmax(logits)).

    A clip whose target is 0 everywhere has loss and gradient 0, whatever its logits. Computed in float32 under autocast
    too; float64 stays float64.

    Args:
        logits: (clip, tag).
        target: same shape, on the simplex or 0 everywhere; see `sparsemax_loss`.

    Source: He et al. 2020, the sigmoid-softmax activation structure.

    >>> softmax_loss(torch.zeros(2, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0] * 4])).tolist()
    [1.3862943649291992, 0.0]
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    known = (target != 0).any(dim=1)
    # Replaced before the loss: 0 * NaN is NaN.
    loss = F.cross_entropy(logits.masked_fill(~known[:, None], 0), target.to(logits.dtype), reduction="none")
    return torch.where(known, loss, 0)


def sparsemax(logits: torch.Tensor) -> torch.Tensor:
    """The point of the probability simplex nearest to each row of logits; most of its entries are exactly 0.

    Args:
        logits: (..., tag); half types are computed and returned as float32, float64 stays float64. A row that holds
            NaN or infinity gives NaN.

    Source: Martins and Astudillo 2016; He et al. 2020, eqs. 5 to 8.

    >>> sparsemax(torch.tensor([0.5, 0.4, -1.0])).round(decimals=4).tolist()
    [0.550000011920929, 0.44999998807907104, 0.0]
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # Adding a constant to a row changes nothing; without its maximum, sums of large logits keep their digits.
    logits = logits - logits.amax(-1, keepdim=True).detach()
    ranked, _ = logits.sort(dim=-1, descending=True)
    sums = ranked.cumsum(-1)
    place = torch.arange(1, logits.shape[-1] + 1, device=logits.device, dtype=logits.dtype)
    # At least one, but for a row of NaN, in which nothing is greater than anything.
    support = (1 + place * ranked > sums).sum(-1, keepdim=True).clamp(min=1)
    tau = (sums.gather(-1, support - 1) - 1) / support
    return (logits - tau).clamp(min=0)


def sparsemax_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Each clip's sparsemax loss, (clip,), at least 0 but for rounding.

    Its gradient by the logits is sparsemax(logits) - target. A clip whose target is 0 everywhere has loss and gradient
    0. Any other target must sum to 1, or the loss has no lower bound. Computed in float32 under autocast too; float64
    stays float64.

    Args:
        logits: (clip, tag).
        target: same shape, on the simplex: uniform over a clip's tags, or a mixture of such.

    Source: He et al. 2020, eq. 9.

    >>> sparsemax_loss(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])).tolist()
    [0.0, 0.25]
    """
    loss = _SparsemaxLoss.apply(logits, target)  # type: ignore[no-untyped-call]
    assert isinstance(loss, torch.Tensor)
    return loss


class _SparsemaxLoss(torch.autograd.Function):
    """The loss with its gradient written out: one subtraction, in place of going back through the sort."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        target = target.to(wide.dtype)
        scores = sparsemax(wide)
        known = (target != 0).any(dim=1, keepdim=True)
        # Chosen, not multiplied: 0 * NaN is NaN.
        ctx.save_for_backward(torch.where(known, scores - target, 0))
        ctx.dtype = logits.dtype
        # With the support S, sum over S of (z^2 - tau^2) is sum of p (2 z - p), because z - tau = p on S and sum p = 1.
        shifted = wide - wide.amax(1, keepdim=True)
        loss = (scores * (shifted - scores / 2)).sum(1) - (target * shifted).sum(1) + target.square().sum(1) / 2
        return torch.where(known[:, 0], loss, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (difference,) = ctx.saved_tensors
        return (difference * gradient[:, None]).to(ctx.dtype), None
