"""Sparsemax and its loss beside entmax, beside a bisection, and by their definitions."""

import entmax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.losses import sparsemax, sparsemax_loss


def logits_and_target(seed: int, num_clips: int = 16, num_tags: int = 9, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(num_clips, num_tags, generator=generator, dtype=dtype)
    tags = torch.rand(num_clips, num_tags, generator=generator, dtype=dtype) < 0.3
    tags[torch.arange(num_clips), torch.randint(num_tags, (num_clips,), generator=generator)] = True
    return logits, tags.to(dtype) / tags.sum(1, keepdim=True)


def by_bisection(logits: np.ndarray) -> np.ndarray:
    """The threshold tau with sum(max(z - tau, 0)) = 1, found by halving."""
    low, high = logits.min() - 1, logits.max()
    for _ in range(200):
        middle = (low + high) / 2
        if np.maximum(logits - middle, 0).sum() > 1:
            low = middle
        else:
            high = middle
    return np.maximum(logits - (low + high) / 2, 0)


def test_it_is_entmaxs():
    logits, _ = logits_and_target(0, 200, 40)
    torch.testing.assert_close(sparsemax(logits), entmax.sparsemax(logits, dim=-1), rtol=0, atol=1e-12)
    hard = torch.randint(40, (200,), generator=torch.Generator().manual_seed(1))
    one_hot = torch.nn.functional.one_hot(hard, 40).double()
    theirs = entmax.losses.sparsemax_loss(logits, hard)
    torch.testing.assert_close(sparsemax_loss(logits, one_hot), theirs, rtol=0, atol=1e-12)


@given(
    row=st.lists(st.floats(-50, 50, allow_subnormal=False), min_size=1, max_size=12),
    shift=st.floats(-1e3, 1e3),
)
@settings(max_examples=200)
def test_it_is_the_projection_found_by_bisection(row, shift):
    logits = torch.tensor([row], dtype=torch.float64)
    found = sparsemax(logits)
    np.testing.assert_allclose(found[0], by_bisection(np.array(row)), rtol=0, atol=1e-9)
    assert found.sum().item() == pytest.approx(1)
    torch.testing.assert_close(sparsemax(logits + shift), found, rtol=0, atol=1e-9)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_give_nan_and_no_error(broken):
    logits = torch.tensor([[broken, 0.0, 1.0], [2.0, 0.0, 0.0]], requires_grad=True)
    assert torch.isnan(sparsemax(logits)).any(1).tolist() == [True, False]
    loss = sparsemax_loss(logits, torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert torch.isnan(loss).tolist() == [True, False]
    # A clip without a tag has no loss, whatever its logits.
    unknown = sparsemax_loss(logits, torch.zeros(2, 3))
    unknown.sum().backward()
    assert unknown.tolist() == [0, 0]
    assert logits.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_ties_share_the_simplex():
    assert sparsemax(torch.zeros(1, 4)).tolist() == [[0.25] * 4]
    assert sparsemax(torch.tensor([[3.0, 3.0, 0.0]])).tolist() == [[0.5, 0.5, 0.0]]
    assert sparsemax(torch.tensor([[7.0]])).tolist() == [[1.0]]


def test_the_loss_is_equation_9():
    logits, target = logits_and_target(2)
    scores = sparsemax(logits)
    for z, q, p, loss in zip(logits, target, scores, sparsemax_loss(logits, target), strict=True):
        inside = p > 0
        tau = (z[inside].sum() - 1) / inside.sum()
        expected = -(q @ z) + (z[inside] ** 2 - tau**2).sum() / 2 + (q @ q) / 2
        assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
        assert loss.item() >= 0


def test_the_gradient_is_score_minus_target():
    logits, target = logits_and_target(3)
    logits.requires_grad_()
    sparsemax_loss(logits, target).sum().backward()
    torch.testing.assert_close(logits.grad, sparsemax(logits.detach()) - target)
    assert torch.autograd.gradcheck(lambda z: sparsemax_loss(z, target), (logits,))


def test_the_loss_is_zero_exactly_where_the_margin_is_kept():
    target = torch.tensor([[0.5, 0.5, 0.0]])
    assert sparsemax_loss(torch.tensor([[4.0, 4.0, 3.5]]), target).item() == pytest.approx(0, abs=1e-6)
    assert sparsemax_loss(torch.tensor([[4.0, 4.0, 3.6]]), target).item() > 1e-4


def test_bf16_logits_are_computed_in_float32():
    logits, target = logits_and_target(4, dtype=torch.float32)
    half = logits.bfloat16().requires_grad_()
    loss = sparsemax_loss(half, target)
    assert loss.dtype == sparsemax(half).dtype == torch.float32
    torch.testing.assert_close(loss, sparsemax_loss(half.detach().float(), target), rtol=0, atol=0)
    loss.sum().backward()
    assert half.grad.dtype == torch.bfloat16
    assert sparsemax(torch.tensor([[1e4, 1e4 - 0.5]])).tolist() == [[0.75, 0.25]]


def test_a_clip_without_a_target_has_neither_loss_nor_gradient():
    logits, target = logits_and_target(5)
    target[3] = 0
    logits.requires_grad_()
    loss = sparsemax_loss(logits, target)
    loss.sum().backward()
    assert loss[3].item() == 0
    assert (logits.grad[3] == 0).all()
    assert (loss[[0, 1, 2, 4]] > 0).all()
    assert (logits.grad[[0, 1, 2, 4]] != 0).any()
