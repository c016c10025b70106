import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from earmark.losses import bce_with_logits, clipwise_bce, softmax_loss, weighted_mean


def random_batch(seed, num_clips=4, num_tags=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(num_clips, num_tags, generator=generator, dtype=dtype)
    return logits, torch.rand(num_clips, num_tags, generator=generator, dtype=dtype)


def test_elements_are_the_formula_with_soft_targets_and_weights():
    logits, target = random_batch(0)
    weight = torch.rand(6, dtype=torch.float64)
    scores = 1 / (1 + np.exp(-logits.numpy()))
    y = target.numpy()
    expected = weight.numpy() * -(y * np.log(scores) + (1 - y) * np.log(1 - scores))
    np.testing.assert_allclose(bce_with_logits(logits, target, weight), expected, rtol=1e-12)


def test_a_clips_loss_is_scikit_learns_mean_over_its_tags():
    logits, target = random_batch(1)
    hard = (target > 0.5).double()
    for clip in range(len(logits)):
        expected = log_loss(hard[clip].int(), torch.sigmoid(logits[clip]), labels=[0, 1])
        assert clipwise_bce(logits, hard)[clip].item() == pytest.approx(expected, rel=1e-12)


def test_gradient_agrees_with_finite_differences():
    logits, target = random_batch(2)
    weight = torch.tensor([0.0, 1.0, 0.5, 2.0, 1.0, 0.0], dtype=torch.float64)
    clip_weight = torch.tensor([1.0, 0.0, 0.5, 1.0], dtype=torch.float64)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: weighted_mean(clipwise_bce(z, target, weight), clip_weight), (logits,))


def test_gradient_is_score_minus_target():
    logits, target = random_batch(3)
    logits.requires_grad_()
    bce_with_logits(logits, target).sum().backward()
    torch.testing.assert_close(logits.grad, torch.sigmoid(logits.detach()) - target)


@given(
    seed=st.integers(0, 1000),
    mask=st.lists(st.booleans(), min_size=24, max_size=24),
    junk=st.sampled_from(["nan", "inf", "7"]),
)
def test_masked_targets_give_exactly_zero_gradient_whatever_they_hold(seed, mask, junk):
    logits, target = random_batch(seed, dtype=torch.float32)
    known = torch.tensor(mask).reshape(4, 6)
    target = target.masked_fill(~known, float(junk))
    logits.requires_grad_()
    loss = clipwise_bce(logits, target, known.float())
    loss.sum().backward()
    assert (logits.grad[~known] == 0).all()
    assert (logits.grad[known] != 0).all()
    assert torch.isfinite(loss).all()


def test_masked_logits_that_are_not_finite_spoil_nothing():
    logits = torch.tensor([[float("nan"), float("inf"), 1.0]], requires_grad=True)
    loss = clipwise_bce(logits, torch.ones(1, 3), torch.tensor([0.0, 0.0, 1.0]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(np.log1p(np.exp(-1)) / 3)
    assert logits.grad[0, :2].tolist() == [0, 0]


def test_a_batch_masked_everywhere_has_loss_zero_and_gradient_zero():
    logits, target = random_batch(4, dtype=torch.float32)
    logits.requires_grad_()
    loss = weighted_mean(clipwise_bce(logits, target, torch.zeros(4, 6)), torch.zeros(4))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("logit", [1e4, -1e4])
@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_large_logits_give_finite_losses_and_gradients(logit, target):
    logits = torch.tensor([[logit]], requires_grad=True)
    loss = clipwise_bce(logits, torch.tensor([[target]]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(1e4 * abs(target - (logit > 0)), rel=1e-6)
    assert logits.grad.item() == pytest.approx((logit > 0) - target)


@pytest.mark.parametrize(
    ("given_type", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_types_are_computed_in_float32_and_float64_is_kept(given_type, expected):
    logits, target = random_batch(5)
    weight = torch.ones(6, dtype=torch.float64)
    loss = clipwise_bce(logits.to(given_type), target, weight)
    assert loss.dtype == expected
    assert weighted_mean(loss, torch.ones(4)).dtype == expected
    torch.testing.assert_close(loss, clipwise_bce(logits.to(given_type).to(expected), target.to(expected)))


def test_autocast_does_not_lower_the_precision():
    logits, target = random_batch(6, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = weighted_mean(clipwise_bce(logits, target), torch.ones(4))
    assert loss.dtype == torch.float32
    assert loss.item() == weighted_mean(clipwise_bce(logits, target), torch.ones(4)).item()


def test_the_loss_is_linear_in_its_target():
    logits, teacher = random_batch(7)
    _, labels = random_batch(8)
    mixture = clipwise_bce(logits, 0.3 * teacher + 0.7 * labels)
    torch.testing.assert_close(mixture, 0.3 * clipwise_bce(logits, teacher) + 0.7 * clipwise_bce(logits, labels))


def test_framewise_elements_keep_their_shape():
    logits = torch.zeros(2, 5, 3)
    assert bce_with_logits(logits, torch.zeros(2, 5, 3), torch.ones(2, 5, 1)).shape == (2, 5, 3)


def test_the_divisor_counts_masked_tags():
    loss = clipwise_bce(torch.zeros(2, 4), torch.ones(2, 4), torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 0]]))
    assert loss.tolist() == pytest.approx([np.log(2), np.log(2) / 4])


def test_the_mean_over_a_batch_divides_by_the_weights_of_the_whole_batch():
    losses, weights = torch.tensor([1.0, 2.0, float("nan"), 4.0]), torch.tensor([1.0, 0.5, 0.0, 2.0])
    assert weighted_mean(losses, weights).item() == pytest.approx((1 + 1 + 8) / 3.5)
    assert weighted_mean(losses[:2], torch.tensor([0.01, 0.01])).item() == pytest.approx(1.5)


def random_distribution(seed, num_clips=4, num_tags=6):
    """Logits, and targets spread evenly over at least one tag a clip."""
    logits, drawn = random_batch(seed, num_clips, num_tags)
    tags = (drawn < 0.3).double()
    tags[:, seed % num_tags] = 1
    return logits, tags / tags.sum(1, keepdim=True)


def test_softmax_loss_is_the_cross_entropy():
    logits, target = random_distribution(5)
    z, q = logits.numpy(), target.numpy()
    expected = -(q * np.log(np.exp(z) / np.exp(z).sum(1, keepdims=True))).sum(1)
    np.testing.assert_allclose(softmax_loss(logits, target), expected, rtol=1e-12)
    scores = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    for clip, tag in enumerate([1, 5, 0, 0]):
        one_hot = torch.nn.functional.one_hot(torch.tensor([tag]), 6).double()
        theirs = log_loss([tag], scores[clip : clip + 1], labels=range(6))
        assert softmax_loss(logits[clip : clip + 1], one_hot).item() == pytest.approx(theirs, rel=1e-12)


def test_softmax_losss_gradient_is_score_minus_target():
    logits, target = random_distribution(6)
    logits.requires_grad_()
    softmax_loss(logits, target).sum().backward()
    torch.testing.assert_close(logits.grad, torch.softmax(logits.detach(), 1) - target)
    assert torch.autograd.gradcheck(lambda z: softmax_loss(z, target), (logits,))


def test_softmax_loss_is_zero_without_a_target():
    logits, target = random_distribution(7)
    target[1:3] = 0
    logits[2] = torch.nan
    logits.requires_grad_()
    loss = softmax_loss(logits, target)
    loss.sum().backward()
    assert loss[1:3].tolist() == [0, 0]
    assert (logits.grad[1:3] == 0).all()
    assert (loss[[0, 3]] > 0).all()
    assert (logits.grad[[0, 3]] != 0).all()
    assert torch.isnan(softmax_loss(torch.full((1, 2), torch.nan), torch.tensor([[1.0, 0.0]]))).all()


def test_softmax_loss_of_bf16_logits_is_computed_in_float32():
    logits, target = random_distribution(8)
    half = logits.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = softmax_loss(half, target.float())
    torch.testing.assert_close(loss, softmax_loss(half.detach().float(), target.float()), rtol=0, atol=0)
    loss.sum().backward()
    assert half.grad.dtype == torch.bfloat16
    huge = softmax_loss(torch.tensor([[1e4, 0.0]]), torch.tensor([[0.0, 1.0]]))
    assert huge.item() == pytest.approx(1e4)
