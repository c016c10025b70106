"""Binary cross-entropy with soft targets, weighted and masked.

A weight of 0 masks: the target there may be anything, NaN too, and its logit gets a gradient of exactly 0. Losses are
computed in float32, under autocast too; float64 logits stay float64.
"""

import torch
import torch.nn.functional as F


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
