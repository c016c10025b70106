"""Heads: an embedding over time to framewise and clipwise logits.

All compute in float32 even under autocast. Steps at or past a clip's `num_valid_steps` take no part in its clipwise
logits; a clip without any valid step pools over its first one. A head that pools probabilities returns the logit of the
result, held in [1e-7, 1 - 1e-7], so that every loss and every caller reads logits alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from earmark.losses import sparsemax

PROBABILITY_MARGIN = 1e-7


class HeadOutput(NamedTuple):
    """Logits of a batch.

    Attributes:
        framewise: (clip, step, tag); steps without a valid frame are computed too and mean nothing.
        clipwise: (clip, tag).
        branches: clipwise logits of the sigmoid branch and of the other, (clip, tag) each; None where there is one
            branch.
    """

    framewise: torch.Tensor
    clipwise: torch.Tensor
    branches: tuple[torch.Tensor, torch.Tensor] | None = None


def bounded_logit(probability: torch.Tensor) -> torch.Tensor:
    """The logit of a probability held in [1e-7, 1 - 1e-7]; outside, the gradient is zero.

    >>> bounded_logit(torch.tensor([0.5, 2.0])).round(decimals=2)
    tensor([ 0.0000, 15.9400])
    """
    held = probability.clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return torch.log(held) - torch.log1p(-held)


def valid_mask(num_steps: int, num_valid_steps: torch.Tensor | None, device: torch.device) -> torch.Tensor | None:
    """Which steps are pooled, bool (clip, step, 1); None when all are.

    >>> valid_mask(3, torch.tensor([2, 0]), torch.device("cpu"))[..., 0].tolist()
    [[True, True, False], [True, False, False]]
    """
    if num_valid_steps is None:
        return None
    counts = num_valid_steps.to(device).clamp(1, num_steps)
    return (torch.arange(num_steps, device=device) < counts[:, None])[..., None]


def mean_over_steps(values: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    """Mean of (clip, step, channel) over the valid steps: (clip, channel)."""
    if valid is None:
        return values.mean(1)
    # Chosen, not multiplied: what stands in a step that is left out must not matter, not even if it is infinite.
    return torch.where(valid, values, 0).sum(1) / valid.sum(1)


def linear_branches(num_channels: int, num_tags: int, num_branches: int) -> nn.Linear:
    """One linear layer with outputs (branch, tag), one matrix product for all branches.

    Each branch is drawn as the layer of its own that it stands for.
    """
    linear = nn.Linear(num_channels, num_branches * num_tags)
    for branch in linear.weight.detach().view(-1, num_tags, num_channels):
        nn.init.xavier_uniform_(branch)
    nn.init.zeros_(linear.bias)
    return linear


class Head(nn.Module):
    """Linear layer on each step; how steps become a clip is the subclass's `pool`.

    Args:
        num_channels: channels of the embedding.
        num_tags: tags.
        dropout: rate at which embedding values are dropped in training.
    """

    def __init__(self, num_channels: int, num_tags: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_tags = num_tags
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(num_channels, num_tags)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embedding: torch.Tensor, num_valid_steps: torch.Tensor | None = None) -> HeadOutput:
        """Embedding (clip, step, channel) and valid steps (clip,), None for all, to logits."""
        with torch.autocast(embedding.device.type, enabled=False):
            valid = valid_mask(embedding.shape[1], num_valid_steps, embedding.device)
            return self.pool(self.linear(self.dropout(embedding.to(self.linear.weight.dtype))), valid)

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """The linear layer's output (clip, step, ...) and the mask of valid steps to logits."""
        raise NotImplementedError

    def take_tags(self, order: torch.Tensor) -> None:
        """Reorders the tags in place: new tag i is the tag that was `order[i]`."""
        with torch.no_grad():
            for parameter in self.linear.parameters():
                by_tag = parameter.reshape(-1, self.num_tags, *parameter.shape[1:])
                parameter.copy_(by_tag[:, order].reshape(parameter.shape))


class Mean(Head):
    """Clipwise logits are the mean of the framewise ones: a linear layer on the mean embedding."""

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """Source: Gong et al. 2021, "mean pooling"."""
        return HeadOutput(projected, mean_over_steps(projected, valid))


class Max(Head):
    """Clipwise logits are the largest of the framewise ones."""

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """The gradient goes to the largest valid step."""
        masked = projected if valid is None else projected.masked_fill(~valid, -torch.inf)
        return HeadOutput(projected, masked.amax(1))


class LinearSoftmax(Head):
    """Each step's probability weighted by itself: sum of p squared over sum of p."""

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """Source: Wang, Li and Metze 2019 (arXiv 1810.09050), eq. 4."""
        # Softmax of log p are the weights p / sum p, without dividing zero by zero where every p underflows.
        log_weight = functional.logsigmoid(projected)
        if valid is not None:
            log_weight = log_weight.masked_fill(~valid, -torch.inf)
        clipwise = (torch.softmax(log_weight, 1) * torch.sigmoid(projected)).sum(1)
        return HeadOutput(projected, bounded_logit(clipwise))


class SigmoidMean(Head):
    """Mean over steps of the probabilities."""

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """Source: Dinkel et al. 2022, the MobileNetV2 tagger (with dropout .3)."""
        return HeadOutput(projected, bounded_logit(mean_over_steps(torch.sigmoid(projected), valid)))


class Attention(Head):
    """Attention pooling by one head or several, each with an attention and a classes branch, both through a sigmoid.

    A head's attention, clamped to [1e-7, 1 - 1e-7] and divided by its sum over the valid steps, weights its class
    probabilities; the heads are summed with learned weights that start at 1/heads and are unconstrained, so the sum is
    clamped before its logit. A single head is taken as it is. Framewise logits are those of the heads' weighted class
    probabilities, attention aside.

    All branches of all heads are one linear layer, one matrix product: its outputs are (branch, head, tag), attention
    first.

    Source: Gong et al. 2021, section III-B; 1x1 convolutions there, after the mean over frequency.

    >>> head = Attention(8, 5, num_heads=4)
    >>> [tuple(logits.shape) for logits in head(torch.zeros(2, 7, 8))[:2]]
    [(2, 7, 5), (2, 5)]
    """

    def __init__(self, num_channels: int, num_tags: int, dropout: float = 0.0, num_heads: int = 1) -> None:
        super().__init__(num_channels, num_tags, dropout)
        self.num_heads = num_heads
        self.linear = linear_branches(num_channels, num_tags, 2 * num_heads)
        weight = torch.full((num_heads,), 1 / num_heads)
        self.head_weight = nn.Parameter(weight) if num_heads > 1 else None

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """Linear output (clip, step, branch x head x tag) to logits."""
        branches = torch.sigmoid(projected).view(*projected.shape[:2], 2, self.num_heads, self.num_tags)
        attention, classes = branches.unbind(2)
        attention = attention.clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
        if valid is not None:
            attention = attention * valid[..., None]
        clipwise = (attention * classes).sum(1) / attention.sum(1)
        return HeadOutput(bounded_logit(self._over_heads(classes)), bounded_logit(self._over_heads(clipwise)))

    def _over_heads(self, values: torch.Tensor) -> torch.Tensor:
        """Weighted sum of (..., head, tag) over heads."""
        if self.head_weight is None:
            return values.squeeze(-2)
        return (self.head_weight[:, None] * values).sum(-2)


class TwoBranches(Head):
    """Two linear layers on the mean embedding: one through a sigmoid, one through an activation over all tags.

    The probability of a tag is the mean of the two activations, of a clip and, by the same layers, of each step.
    `earmark.training.multi_activation` trains each branch with a loss of its own; other losses train the mean.

    Source: He et al. 2020, section 3.2 and Fig. 3. How the outputs are combined is not said there; the geometric mean
    would tie all tags to which sparsemax gives 0.

    >>> output = SigmoidSparsemax(8, 5)(torch.zeros(2, 7, 8))
    >>> output.clipwise[0].sigmoid().round(decimals=4).tolist()  # (1/2 + 1/5) / 2
    [0.3499999940395355, 0.3499999940395355, 0.3499999940395355, 0.3499999940395355, 0.3499999940395355]
    """

    def __init__(self, num_channels: int, num_tags: int, dropout: float = 0.0) -> None:
        super().__init__(num_channels, num_tags, dropout)
        self.linear = linear_branches(num_channels, num_tags, 2)

    def pool(self, projected: torch.Tensor, valid: torch.Tensor | None) -> HeadOutput:
        """Linear output (clip, step, branch x tag) to logits."""
        # The mean of what a linear layer makes of the steps is what it makes of their mean.
        first, second = self._branches(mean_over_steps(projected, valid))
        return HeadOutput(self._fused(*self._branches(projected)), self._fused(first, second), (first, second))

    def activate(self, logits: torch.Tensor) -> torch.Tensor:
        """The second branch's logits (..., tag) to what sums to 1 over the tags."""
        raise NotImplementedError

    def _branches(self, projected: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(..., branch x tag) to the branches' (..., tag)."""
        first, second = projected.view(*projected.shape[:-1], 2, self.num_tags).unbind(-2)
        return first, second

    def _fused(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return bounded_logit((torch.sigmoid(first) + self.activate(second)) / 2)


class SigmoidSoftmax(TwoBranches):
    """The second branch through a softmax, as its authors had it in 2019."""

    def activate(self, logits: torch.Tensor) -> torch.Tensor:
        """Source: He et al. 2020, eq. 4."""
        return torch.softmax(logits, -1)


class SigmoidSparsemax(TwoBranches):
    """The second branch through a sparsemax: most tags get exactly 0 from it."""

    def activate(self, logits: torch.Tensor) -> torch.Tensor:
        """Source: He et al. 2020, eqs. 5 to 8."""
        return sparsemax(logits)


def _single_head(num_channels: int, num_tags: int, dropout: float, num_heads: int) -> Head:
    return Attention(num_channels, num_tags, dropout)


def _without_heads(kind: type[Head]) -> Callable[[int, int, float, int], Head]:
    return lambda num_channels, num_tags, dropout, num_heads: kind(num_channels, num_tags, dropout)


HEADS: dict[str, Callable[[int, int, float, int], Head]] = {
    "mean": _without_heads(Mean),
    "max": _without_heads(Max),
    "linear_softmax": _without_heads(LinearSoftmax),
    "attention": _single_head,
    "multi_head_attention": Attention,
    "sigmoid_mean": _without_heads(SigmoidMean),
    "sigmoid_softmax": _without_heads(SigmoidSoftmax),
    "sigmoid_sparsemax": _without_heads(SigmoidSparsemax),
}
"""Heads by name, called with (num_channels, num_tags, dropout, num_heads); only multi_head_attention reads the last."""
