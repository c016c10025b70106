"""The loss of a head with two branches, clip by clip and tag by tag."""

import math

import pytest
import torch

from earmark.losses import sparsemax
from earmark.models.heads import HEADS, HeadOutput
from earmark.training.multi_activation import SECOND_LOSSES, clip_losses
from earmark.training.targets import Targets

CLIPS, TAGS = 4, 5
USUAL = {"second_loss": "softmax", "second_head_weight": 1.0, "bce_reduction": "mean"}


def said(dtype: torch.dtype = torch.float64) -> HeadOutput:
    """What a head might say; the fused logits are nobody's, so that a loss that reads them is found out."""
    generator = torch.Generator().manual_seed(0)
    first, second, fused = (
        (2 * torch.randn(CLIPS, TAGS, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()
        for _ in range(3)
    )
    return HeadOutput(fused[:, None], fused, (first, second))


def wanted() -> Targets:
    """Two tags, one tag, none, and one with a tag of which nothing is known."""
    labels = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]).double()
    weight = torch.ones(CLIPS, TAGS, dtype=torch.float64)
    weight[3, 4] = 0
    weight[0, 0] = 0.5
    return Targets(labels, weight, labels / labels.sum(1, keepdim=True).clamp(min=1))


def first_by_hand(logits: torch.Tensor, targets: Targets, clip: int) -> float:
    total = 0.0
    for z, y, w in zip(logits[clip].detach(), targets.clipwise[clip], targets.clipwise_weight[clip], strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= float(w) * math.log(p if y == 1 else 1 - p)
    return total


def second_by_hand(kind: str, logits: torch.Tensor, targets: Targets, clip: int) -> float:
    known = targets.clipwise_weight[clip] > 0
    z, q = logits[clip].detach()[known], targets.distribution[clip][known]
    if not q.any():
        return 0.0
    if kind == "softmax":
        return sum(-float(share) * math.log(math.exp(one) / z.exp().sum()) for share, one in zip(q, z, strict=True))
    inside = sparsemax(z) > 0
    tau = (z[inside].sum() - 1) / inside.sum()
    return float(-(q @ z) + (z[inside] ** 2 - tau**2).sum() / 2 + (q @ q) / 2)


@pytest.mark.parametrize("second_loss", ["softmax", "sparsemax"])
@pytest.mark.parametrize(("reduction", "divisor"), [("mean", TAGS), ("sum", 1)])
def test_it_is_the_sum_of_both_branches_losses(second_loss, reduction, divisor):
    output, targets = said(), wanted()
    losses = clip_losses(output, targets, second_loss=second_loss, second_head_weight=0.7, bce_reduction=reduction)
    expected = [
        first_by_hand(output.branches[0], targets, clip) / divisor
        + 0.7 * second_by_hand(second_loss, output.branches[1], targets, clip)
        for clip in range(CLIPS)
    ]
    assert losses.tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("reduction", "divisor"), [("mean", TAGS), ("sum", 1)])
def test_a_head_of_one_branch_has_cross_entropy_alone(reduction, divisor):
    output, targets = said()._replace(branches=None), wanted()
    losses = clip_losses(output, targets, second_loss=None, second_head_weight=0.7, bce_reduction=reduction)
    expected = [first_by_hand(output.clipwise, targets, clip) / divisor for clip in range(CLIPS)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("second_loss", ["softmax", "sparsemax"])
def test_gradients_go_to_what_each_loss_reads(second_loss):
    output, targets = said(), wanted()
    clip_losses(output, targets, **(USUAL | {"second_loss": second_loss})).sum().backward()
    first, second = (branch.grad for branch in output.branches)
    assert output.clipwise.grad is None
    assert first[3, 4] == 0
    assert (first != 0).sum() == CLIPS * TAGS - 1
    # The clip without tags has no second loss.
    assert (second[2] == 0).all()
    assert (second[[0, 1, 3]] != 0).any(1).all()
    # A tag of which nothing is known is no negative, for either branch.
    assert second[3, 4] == 0


@pytest.mark.parametrize("second_loss", ["softmax", "sparsemax"])
def test_of_a_mixture_with_unknown_tags_the_known_ones_share_is_learned(second_loss):
    output, targets = said(), wanted()
    mixture = torch.tensor([[0.5, 0.2, 0.3, 0.0, 0.0]] * CLIPS).double()
    weight = torch.ones(CLIPS, TAGS).double()
    weight[:, 0] = 0
    mixed = Targets(targets.clipwise, weight, mixture)
    known = HeadOutput(output.framewise, output.clipwise, tuple(branch[:, 1:] for branch in output.branches))
    alone = Targets(targets.clipwise[:, 1:], weight[:, 1:], mixture[:, 1:] / 0.5)
    settings = USUAL | {"second_loss": second_loss, "bce_reduction": "sum"}
    torch.testing.assert_close(clip_losses(output, mixed, **settings), clip_losses(known, alone, **settings))
    unknown = Targets(targets.clipwise, torch.zeros(CLIPS, TAGS).double(), mixture)
    assert not clip_losses(output, unknown, **settings).any()


def test_labels_that_say_nothing_may_be_anything():
    output, targets = said(), wanted()
    expected = clip_losses(output, targets, **USUAL)
    targets.clipwise[3, 4] = torch.nan
    assert torch.equal(clip_losses(output, targets, **USUAL), expected)


@pytest.mark.parametrize("second_loss", ["softmax", "sparsemax"])
def test_bf16_logits_are_computed_in_float32(second_loss):
    half, targets = said(torch.bfloat16), wanted()
    wide = HeadOutput(half.framewise, half.clipwise, tuple(branch.detach().float() for branch in half.branches))
    settings = USUAL | {"second_loss": second_loss}
    with torch.autocast("cpu", torch.bfloat16):
        losses = clip_losses(half, targets, **settings)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, clip_losses(wide, targets, **settings), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("output", "second_loss", "message"),
    [
        (said()._replace(branches=None), "softmax", "it has one branch$"),
        (said(), None, "it has two branches$"),
    ],
)
def test_a_second_loss_goes_with_a_second_branch(output, second_loss, message):
    with pytest.raises(ValueError, match=message):
        clip_losses(output, wanted(), **(USUAL | {"second_loss": second_loss}))


def test_a_second_loss_needs_a_distribution():
    targets = Targets(wanted().clipwise, wanted().clipwise_weight)
    with pytest.raises(ValueError, match="must have a distribution"):
        clip_losses(said(), targets, **USUAL)


def test_every_head_of_two_branches_has_a_second_loss():
    two = {name for name, build in HEADS.items() if build(8, TAGS, 0.0, 2)(torch.zeros(1, 3, 8)).branches is not None}
    assert set(SECOND_LOSSES) == two


@pytest.mark.parametrize("name", SECOND_LOSSES)
def test_both_branches_learn_the_tags(name):
    """A clip of two tags and one of one: after training, each has exactly its own."""
    torch.manual_seed(0)
    head, steps = HEADS[name](8, TAGS, 0.0, 1), torch.randn(CLIPS, 3, 8)
    targets = Targets(*(part.float() for part in (wanted().clipwise, wanted().clipwise_weight, wanted().distribution)))
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        clip_losses(head(steps), targets, **(USUAL | {"second_loss": SECOND_LOSSES[name]})).mean().backward()
        optimizer.step()
    with torch.no_grad():
        output = head(steps)
    known = targets.clipwise_weight > 0
    assert torch.equal((output.branches[0] > 0)[known], (targets.clipwise == 1)[known])
    over_tags = torch.softmax(output.branches[1], 1) if name == "sigmoid_softmax" else sparsemax(output.branches[1])
    tagged = targets.distribution.any(1)
    torch.testing.assert_close(over_tags[tagged], targets.distribution[tagged], rtol=0, atol=0.05)
