"""Tests of the heads, against plain versions of their formulas."""

import entmax
import pytest
import torch

from earmark.models.heads import HEADS, Attention, bounded_logit

CLIPS, STEPS, CHANNELS, TAGS = 3, 7, 16, 5
VALID = torch.tensor([7, 4, 1])
OVER_TAGS = {
    "sigmoid_softmax": lambda z: torch.exp(z) / torch.exp(z).sum(-1, keepdim=True),
    "sigmoid_sparsemax": lambda z: entmax.sparsemax(z, dim=-1),
}


def build(name: str, num_heads: int = 4, dropout: float = 0.0):
    torch.manual_seed(0)
    head = HEADS[name](CHANNELS, TAGS, dropout, num_heads)
    torch.nn.init.normal_(head.linear.weight)
    torch.nn.init.normal_(head.linear.bias)
    return head.eval()


def embedding() -> torch.Tensor:
    return torch.randn(CLIPS, STEPS, CHANNELS, generator=torch.Generator().manual_seed(1))


def pooled_plainly(name: str, head, steps: torch.Tensor) -> torch.Tensor:
    """One clip's scores (tag,) from its valid steps (step, channel), tag by tag."""
    if name in ("attention", "multi_head_attention"):
        return attention_plainly(head, steps)
    if name in OVER_TAGS:
        return two_branches_plainly(name, head, steps.mean(0))
    logits = steps @ head.linear.weight.T + head.linear.bias
    scores = torch.empty(TAGS)
    for tag in range(TAGS):
        z = logits[:, tag]
        p = 1 / (1 + torch.exp(-z))
        scores[tag] = {
            "mean": 1 / (1 + torch.exp(-z.mean())),
            "max": p.max(),
            "linear_softmax": (p * p).sum() / p.sum(),
            "sigmoid_mean": p.mean(),
        }[name]
    return scores


def attention_plainly(head: Attention, steps: torch.Tensor) -> torch.Tensor:
    weights = head.head_weight if head.head_weight is not None else torch.ones(1)
    layers = head.linear.weight.reshape(2, head.num_heads, TAGS, CHANNELS)
    biases = head.linear.bias.reshape(2, head.num_heads, TAGS)
    scores = torch.zeros(TAGS)
    for index in range(head.num_heads):
        attention, classes = (torch.sigmoid(steps @ layers[b, index].T + biases[b, index]) for b in (0, 1))
        attention = attention.clamp(1e-7, 1 - 1e-7)
        scores += weights[index] * ((attention / attention.sum(0)) * classes).sum(0)
    return scores.clamp(1e-7, 1 - 1e-7)


def branches_plainly(head, values: torch.Tensor) -> list[torch.Tensor]:
    """What each branch's own layer makes of (..., channel)."""
    layers, biases = head.linear.weight.split(TAGS), head.linear.bias.split(TAGS)
    return [values @ layer.T + bias for layer, bias in zip(layers, biases, strict=True)]


def two_branches_plainly(name: str, head, values: torch.Tensor) -> torch.Tensor:
    first, second = branches_plainly(head, values)
    return (1 / (1 + torch.exp(-first)) + OVER_TAGS[name](second)) / 2


@pytest.mark.parametrize("name", HEADS)
def test_pools_as_the_formula_says(name):
    head = build(name)
    if name == "multi_head_attention":
        with torch.no_grad():
            head.head_weight.copy_(torch.tensor([0.1, 0.4, 0.2, 0.25]))
    with torch.no_grad():
        output = head(embedding(), VALID)
        for clip, count in enumerate(VALID):
            expected = pooled_plainly(name, head, embedding()[clip, :count])
            torch.testing.assert_close(torch.sigmoid(output.clipwise[clip]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_steps_that_are_not_valid_take_no_part(name):
    head = build(name)
    other = embedding()
    other[1, 4:] = 1e4
    other[2, 1:] = -1e4
    with torch.no_grad():
        assert torch.equal(head(embedding(), VALID).clipwise, head(other, VALID).clipwise)
        assert not torch.equal(head(embedding()).clipwise, head(other).clipwise)
        torch.testing.assert_close(head(embedding()), head(embedding(), torch.full((CLIPS,), STEPS)))


@pytest.mark.parametrize("name", HEADS)
def test_a_clip_without_a_valid_step_pools_over_its_first(name):
    head = build(name)
    with torch.no_grad():
        none, one = (head(embedding(), torch.full((CLIPS,), count)).clipwise for count in (0, 1))
    assert torch.equal(none, one)
    assert torch.isfinite(none).all()


@pytest.mark.parametrize("name", HEADS)
def test_float32_under_autocast(name):
    head = build(name)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = head(embedding().bfloat16(), VALID)
    assert output.clipwise.dtype == output.framewise.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(output, head(embedding().bfloat16().float(), VALID))


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_logits_and_gradients_stay_finite(name, scale):
    head = build(name)
    steps = (embedding() * scale).requires_grad_()
    output = head(steps, VALID)
    assert torch.isfinite(output.clipwise).all()
    assert torch.isfinite(output.framewise).all()
    (output.clipwise.sigmoid().sum() + output.framewise.sigmoid().sum()).backward()
    assert torch.isfinite(steps.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters())


@pytest.mark.parametrize("name", HEADS)
def test_steps_that_are_not_valid_get_no_gradient_from_the_clip(name):
    head = build(name)
    steps = embedding().requires_grad_()
    head(steps, VALID).clipwise.square().sum().backward()
    assert steps.grad[1, 4:].abs().max() == 0
    assert steps.grad[1, :4].abs().max() > 0


@pytest.mark.parametrize("name", HEADS)
def test_take_tags_permutes_the_logits(name):
    head = build(name)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        before = head(embedding(), VALID)
        head.take_tags(order)
        after = head(embedding(), VALID)
    torch.testing.assert_close(after.clipwise, before.clipwise[:, order])
    torch.testing.assert_close(after.framewise, before.framewise[:, :, order])
    for old, new in zip(before.branches or (), after.branches or (), strict=True):
        torch.testing.assert_close(new, old[:, order])


def test_framewise_of_attention_is_the_heads_class_probabilities():
    head = build("multi_head_attention")
    with torch.no_grad():
        framewise = torch.sigmoid(head(embedding()).framewise)
        classes = head.linear(embedding()).sigmoid().reshape(CLIPS, STEPS, 2, 4, TAGS)[:, :, 1]
    torch.testing.assert_close(framewise, classes.mean(2))


def test_heads_start_as_their_mean_and_may_leave_the_unit_interval():
    head = build("multi_head_attention")
    assert head.head_weight.tolist() == [0.25] * 4
    with torch.no_grad():
        head.head_weight.fill_(3.0)
        clipwise = torch.sigmoid(head(embedding()).clipwise)
    assert clipwise.max() == pytest.approx(1 - 1e-7, abs=1e-7)


@pytest.mark.parametrize("name", OVER_TAGS)
def test_a_head_of_two_branches_gives_the_logits_of_each(name):
    head = build(name)
    with torch.no_grad():
        output = head(embedding(), VALID)
        means = torch.stack([clip[:count].mean(0) for clip, count in zip(embedding(), VALID, strict=True)])
        expected = branches_plainly(head, means)
    for branch, plain in zip(output.branches, expected, strict=True):
        torch.testing.assert_close(branch, plain)
    assert (expected[0] - expected[1]).abs().min() > 1e-3


@pytest.mark.parametrize("name", sorted(set(HEADS) - set(OVER_TAGS)))
def test_other_heads_have_one_branch(name):
    assert build(name)(embedding()).branches is None


@pytest.mark.parametrize("name", OVER_TAGS)
def test_framewise_of_two_branches_are_fused_step_by_step(name):
    head = build(name)
    with torch.no_grad():
        framewise = torch.sigmoid(head(embedding(), VALID).framewise)
        torch.testing.assert_close(framewise, two_branches_plainly(name, head, embedding()))


def test_only_sparsemax_gives_tags_nothing():
    """The fused score of a tag that sparsemax leaves out is half its sigmoid."""
    for name, has_zeros in (("sigmoid_softmax", False), ("sigmoid_sparsemax", True)):
        with torch.no_grad():
            output = build(name)(embedding(), VALID)
        is_half = torch.isclose(output.clipwise.sigmoid(), output.branches[0].sigmoid() / 2, rtol=1e-5, atol=0)
        assert is_half.any().item() == has_zeros


@pytest.mark.parametrize("name", OVER_TAGS)
def test_each_branch_is_drawn_as_a_layer_of_its_own(name):
    torch.manual_seed(0)
    head = HEADS[name](CHANNELS, 64, 0.0, 1)
    own, shared = ((6 / (CHANNELS + num_outputs)) ** 0.5 for num_outputs in (64, 128))
    for branch in head.linear.weight.split(64):
        assert shared < branch.abs().max() <= own
    assert not head.linear.bias.any()


@pytest.mark.parametrize("name", OVER_TAGS)
def test_branches_are_float32_under_autocast(name):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        branches = build(name)(embedding().bfloat16(), VALID).branches
    assert [branch.dtype for branch in branches] == [torch.float32, torch.float32]


def test_one_head_has_no_head_weight():
    assert {name for name, _ in build("attention").named_parameters()} == {"linear.weight", "linear.bias"}


def test_dropout_is_drawn_in_training_only():
    head = build("sigmoid_mean", dropout=0.3)
    with torch.no_grad():
        assert torch.equal(head(embedding()).clipwise, head(embedding()).clipwise)
        head.train()
        assert not torch.equal(head(embedding()).clipwise, head(embedding()).clipwise)


def test_bounded_logit_is_the_logit_inside_its_bounds():
    probability = torch.linspace(0.001, 0.999, 50)
    torch.testing.assert_close(bounded_logit(probability), torch.logit(probability))
    assert torch.isfinite(bounded_logit(torch.tensor([-1.0, 0.0, 1.0, 2.0]))).all()
