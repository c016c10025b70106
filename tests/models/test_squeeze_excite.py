"""Tests of squeeze-and-excitation's gradient, against torch's own for the plain formula."""

import pytest
import torch
from torch.nn import functional

from earmark.models import squeeze_excite
from earmark.models.squeeze_excite import SqueezeExcite


def plain(module: SqueezeExcite, hidden: torch.Tensor) -> torch.Tensor:
    squeezed = functional.silu(module.conv_reduce(hidden.mean((2, 3), keepdim=True)))
    return hidden * torch.sigmoid(module.conv_expand(squeezed))


def case(
    dtype: torch.dtype = torch.float64, shape: tuple[int, ...] = (3, 8, 5, 7)
) -> tuple[SqueezeExcite, torch.Tensor]:
    torch.manual_seed(0)
    module = SqueezeExcite(shape[1], 2).to(dtype)
    hidden = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)
    return module, hidden.requires_grad_()


@pytest.mark.parametrize("shape", [(3, 8, 5, 7), (1, 4, 1, 1), (2, 16, 9, 2)])
def test_value_and_gradients_are_those_of_the_plain_formula(shape: tuple[int, ...]) -> None:
    module, hidden = case(shape=shape)
    wanted = (hidden, *module.parameters())
    expected, found = plain(module, hidden), module(hidden)
    torch.testing.assert_close(found, expected)
    gradient = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted, gradient), torch.autograd.grad(expected, wanted, gradient), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_under_autocast_it_is_as_near_to_float64_as_the_plain_formula() -> None:
    exact_module, exact = case(shape=(2, 16, 33, 8))
    module, hidden = case(torch.float32, shape=(2, 16, 33, 8))
    module.load_state_dict(exact_module.state_dict())
    hidden.data = exact.data.bfloat16().float()
    exact.data = hidden.data.double()
    gradient = torch.randn_like(hidden).bfloat16()
    wanted = torch.autograd.grad(plain(exact_module, exact), (exact, *exact_module.parameters()), gradient.double())
    errors = []
    for form in (module, lambda given: plain(module, given)):
        with torch.autocast("cpu", torch.bfloat16):
            said = form(hidden.bfloat16())
        assert said.dtype == torch.bfloat16
        found = torch.autograd.grad(said, (hidden, *module.parameters()), gradient)
        errors.append([float((one - other).abs().max()) for one, other in zip(found, wanted, strict=True)])
    for ours, theirs in zip(*errors, strict=True):
        assert ours <= 1.2 * theirs + 1e-6


def test_weights_that_are_frozen_stay_so_and_the_gradient_goes_on() -> None:
    module, hidden = case()
    module.conv_expand.requires_grad_(False)
    wanted = (hidden, *module.conv_reduce.parameters())
    expected = torch.autograd.grad(plain(module, hidden).square().sum(), wanted)
    module(hidden).square().sum().backward()
    for tensor, gradient in zip(wanted, expected, strict=True):
        torch.testing.assert_close(tensor.grad, gradient)
    assert all(weight.grad is None for weight in module.conv_expand.parameters())


def test_a_graph_that_is_kept_may_be_gone_through_again() -> None:
    module, hidden = case()
    scaled = module(hidden).sum()
    (first,) = torch.autograd.grad(scaled, hidden, retain_graph=True)
    (second,) = torch.autograd.grad(scaled, hidden)
    assert torch.equal(first, second)


def test_a_cpu_that_trains_goes_the_short_way_and_what_only_scores_overwrites(monkeypatch: pytest.MonkeyPatch) -> None:
    module, hidden = case()
    assert type(module(hidden).grad_fn).__name__ == "_ScaledBackward"
    expected = plain(module, hidden).detach()
    with torch.inference_mode():
        given = hidden.clone()
        assert module(given) is given
        torch.testing.assert_close(given, expected)
    monkeypatch.setattr(squeeze_excite.torch.compiler, "is_compiling", lambda: True)
    assert type(module(hidden).grad_fn).__name__ == "MulBackward0"
    torch.testing.assert_close(module(hidden), expected)
