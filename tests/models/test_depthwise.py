"""Tests of the depthwise convolution's gradients, against torch's own in float64."""

import pytest
import torch
from torch.nn import functional

from earmark.models import depthwise
from earmark.models.depthwise import depthwise_conv, gradient_by_input, gradient_by_weight

CASES = [
    # num_clips, rows, columns, kernel, stride, padding
    (3, 9, 6, 3, 2, 1),
    (2, 10, 7, 3, 2, 0),
    (5, 11, 9, 5, 2, 0),
    (3, 8, 5, 5, 1, 2),
    (3, 8, 5, 5, 2, 2),
    (1, 4, 2, 5, 2, 2),
    (2, 9, 9, 7, 3, 3),
]


def case(num_clips, rows, columns, dtype=torch.float64, kernel=3, num_channels=4):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(num_clips, num_channels, rows, columns, generator=generator, dtype=torch.float64)
    weight = torch.randn(num_channels, 1, kernel, kernel, generator=generator, dtype=torch.float64)
    return hidden.to(dtype).to(memory_format=torch.channels_last), weight.to(dtype)


@pytest.mark.parametrize(("num_clips", "rows", "columns", "kernel", "stride", "padding"), CASES)
def test_gradients_equal_torchs(num_clips, rows, columns, kernel, stride, padding):
    hidden, weight = case(num_clips, rows, columns, kernel=kernel)
    hidden.requires_grad_()
    weight.requires_grad_()
    output = functional.conv2d(hidden, weight, None, stride, padding, groups=len(weight))
    gradient = torch.randn_like(output)
    by_input, by_weight = torch.autograd.grad(output, (hidden, weight), gradient)
    with torch.no_grad():
        torch.testing.assert_close(gradient_by_input(gradient, weight, hidden.shape, stride, padding), by_input)
        torch.testing.assert_close(gradient_by_weight(gradient, hidden, kernel, stride, padding), by_weight)


@pytest.mark.parametrize(("num_clips", "rows", "columns", "kernel", "stride", "padding"), CASES)
@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_uses_them_and_stays_near_float64(
    num_clips, rows, columns, kernel, stride, padding, autocast, monkeypatch
):
    used = []
    for name in ("gradient_by_input", "gradient_by_weight"):
        original = getattr(depthwise, name)
        monkeypatch.setattr(depthwise, name, lambda *args, n=name, f=original: (used.append(n), f(*args))[1])
    exact = [tensor.bfloat16().double().requires_grad_() for tensor in case(num_clips, rows, columns, kernel=kernel)]
    ours = [tensor.detach().to(torch.float32 if autocast else torch.bfloat16).requires_grad_() for tensor in exact]
    expected = functional.conv2d(*exact, None, stride, padding, groups=4)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        got = depthwise_conv(*ours, stride, padding)
    assert got.dtype == torch.bfloat16
    gradient = torch.randn_like(got)
    expected.backward(gradient.double())
    got.backward(gradient)
    assert used == ["gradient_by_input"] * (stride > 1) + ["gradient_by_weight"] * (kernel > 3)
    for theirs, mine in zip((expected, *(e.grad for e in exact)), (got, *(o.grad for o in ours)), strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0.02, atol=0.02 * theirs.abs().max().item())


def test_other_types_and_inference_are_torchs_own():
    hidden, weight = case(2, 9, 6, torch.float32, kernel=5)
    expected = functional.conv2d(hidden, weight, None, 2, 2, groups=4)
    assert torch.equal(depthwise_conv(hidden, weight.requires_grad_(), 2, 2), expected)
    assert "DepthwiseConv" not in type(depthwise_conv(hidden, weight, 2, 2).grad_fn).__name__


def test_a_frozen_weight_gets_no_gradient():
    hidden, weight = case(2, 9, 6, torch.bfloat16, kernel=5)
    depthwise_conv(hidden.requires_grad_(), weight, 2, 2).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None
