"""Depthwise convolution whose bfloat16 gradients are fast on a CPU.

oneDNN, as torch 2.13 ships it, has no fast kernel for two gradients of a depthwise convolution in bfloat16: by the
input where the convolution strides, and by the weight where the kernel is larger than 3x3. Those two are three quarters
of an EfficientNet-Lite0's training step. Both are rewritten here as convolutions for which it has one; the numbers are
the same but for rounding.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

_FAST_KERNEL = 3
_CLIPS_AT_ONCE = 2
"""Few enough clips that what is written stays in the cache until it is read."""


def depthwise_conv(hidden: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
    """Each channel of (clip, channel, frame, mel) convolved with its own square kernel of (channel, 1, k, k).

    Args:
        stride: of both axes.
        padding: cells of zeros on every side.
    """
    if _has_slow_gradient(hidden, weight, stride):
        result = _DepthwiseConv.apply(hidden.bfloat16(), weight.bfloat16(), stride, padding)  # type: ignore[no-untyped-call]
        assert isinstance(result, torch.Tensor)
        return result
    return functional.conv2d(hidden, weight, None, stride, padding, groups=len(weight))


def _has_slow_gradient(hidden: torch.Tensor, weight: torch.Tensor, stride: int) -> bool:
    if hidden.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if autocast else hidden.dtype
    return dtype == torch.bfloat16 and (stride > 1 or weight.shape[-1] > _FAST_KERNEL)


class _DepthwiseConv(torch.autograd.Function):
    """A depthwise convolution with its gradients spelled out."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        ctx.save_for_backward(hidden, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(hidden, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        hidden, weight = ctx.saved_tensors
        stride, padding, kernel = ctx.stride, ctx.padding, weight.shape[-1]
        by_input, by_weight = ctx.needs_input_grad[:2]
        spread, in_parts = by_input and stride > 1, by_weight and kernel > _FAST_KERNEL
        input_gradient, weight_gradient, _ = torch.ops.aten.convolution_backward(
            gradient, hidden, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight),
            [by_input and not spread, by_weight and not in_parts, False],
        )  # fmt: skip
        if spread:
            input_gradient = gradient_by_input(gradient, weight, hidden.shape, stride, padding)
        if in_parts:
            weight_gradient = gradient_by_weight(gradient, hidden, kernel, stride, padding)
        return input_gradient, weight_gradient, None, None


def gradient_by_input(
    gradient: torch.Tensor, weight: torch.Tensor, shape: torch.Size, stride: int, padding: int
) -> torch.Tensor:
    """The gradient by an input of that shape: the output's, spread out by the stride, under the mirrored kernel."""
    kernel = weight.shape[-1]
    # Output y read input y * stride + tap - padding, so its gradient stands at y * stride + (kernel - 1 - padding).
    edge = kernel - 1 - padding
    rows, columns = (size + kernel - 1 for size in shape[2:])
    spread = gradient.new_zeros(_CLIPS_AT_ONCE, shape[1], rows, columns).to(memory_format=torch.channels_last)
    num_rows, num_columns = gradient.shape[2:]
    places = spread[:, :, edge::stride, edge::stride][:, :, :num_rows, :num_columns]
    mirrored = weight.flip(2, 3)
    result = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last)
    for first in range(0, len(gradient), _CLIPS_AT_ONCE):
        clips = gradient[first : first + _CLIPS_AT_ONCE]
        places[: len(clips)] = clips
        result[first : first + len(clips)] = functional.conv2d(spread[: len(clips)], mirrored, groups=len(weight))
    return result


def gradient_by_weight(
    gradient: torch.Tensor, hidden: torch.Tensor, kernel: int, stride: int, padding: int
) -> torch.Tensor:
    """The gradient by the weight: the 3x3 parts of the kernel, each against the stretch of the input that it saw."""
    padded = functional.pad(hidden, (padding,) * 4)
    num_channels = hidden.shape[1]
    # The last part ends with the kernel and may overlap the one before; both find the same numbers there.
    offsets = [*range(0, kernel - _FAST_KERNEL, _FAST_KERNEL), kernel - _FAST_KERNEL]
    rows, columns = ((size - 1) * stride + _FAST_KERNEL for size in gradient.shape[2:])
    result = gradient.new_empty(num_channels, 1, kernel, kernel)
    part = gradient.new_empty(num_channels, 1, _FAST_KERNEL, _FAST_KERNEL)
    for row in offsets:
        for column in offsets:
            seen = padded[:, :, row : row + rows, column : column + columns]
            _, taps, _ = torch.ops.aten.convolution_backward(
                gradient, seen.contiguous(memory_format=torch.channels_last), part, None,
                [stride] * 2, [0, 0], [1, 1], False, [0, 0], num_channels, [False, True, False],
            )  # fmt: skip
            result[:, :, row : row + _FAST_KERNEL, column : column + _FAST_KERNEL] = taps
    return result
