"""Squeeze-and-excitation whose gradient goes over its input as seldom as it can on a CPU."""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class SqueezeExcite(nn.Module):
    """Channels scaled by what their means say."""

    def __init__(self, num_channels: int, num_squeezed: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(num_channels, num_squeezed, 1)
        self.conv_expand = nn.Conv2d(num_squeezed, num_channels, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden (clip, channel, frame, mel) of the same shape; overwritten when no gradient is wanted."""
        if not torch.is_grad_enabled():
            return hidden.mul_(self.gate(_means(hidden)))
        if hidden.device.type != "cpu" or torch.compiler.is_compiling():
            return hidden * self.gate(_means(hidden))
        scaled = _Scaled.apply(hidden, self, *self.parameters())  # type: ignore[no-untyped-call]
        assert isinstance(scaled, torch.Tensor)
        return scaled

    def gate(self, means: torch.Tensor) -> torch.Tensor:
        """What each channel is multiplied by, in (0, 1), of the channels' means: both (clip, channel, 1, 1)."""
        return torch.sigmoid(self.conv_expand(functional.silu(self.conv_reduce(means))))


def _means(hidden: torch.Tensor) -> torch.Tensor:
    return hidden.mean((2, 3), keepdim=True)


class _Scaled(torch.autograd.Function):
    """`hidden * module.gate(means of hidden)`, with its first derivative spelled out; there is no second.

    Autograd by itself writes the product of gradient and hidden to memory only to sum it, and the gradients through
    the scaling and through the means one by one, to add them: that is 17 % of a training step of EfficientNet-B2.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, module: SqueezeExcite, *parameters: torch.Tensor) -> torch.Tensor:
        # The few numbers of the gate keep a graph of their own, made here, where autocast is as the caller has it.
        means = _means(hidden).requires_grad_()
        with torch.enable_grad():
            ctx.gate = module.gate(means)
        ctx.inputs = (means, *parameters)
        ctx.save_for_backward(hidden)
        scaled: torch.Tensor = hidden * ctx.gate.detach()
        return scaled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (hidden,) = ctx.saved_tensors
        # A clip at a time, so that the products are summed while they are in the cache.
        by_gate = torch.stack([(one * other).sum((1, 2)) for one, other in zip(gradient, hidden, strict=True)])
        wanted = [tensor for tensor in ctx.inputs if tensor.requires_grad]
        # Kept, as the caller's own graph may be: it holds but a number a clip and channel.
        found = iter(torch.autograd.grad(ctx.gate, wanted, by_gate[:, :, None, None], retain_graph=True))
        by_means, *by_parameters = (next(found) if tensor.requires_grad else None for tensor in ctx.inputs)
        assert by_means is not None
        by_each = by_means / (hidden.shape[2] * hidden.shape[3])
        return torch.addcmul(by_each, gradient, ctx.gate.detach()), None, *by_parameters
