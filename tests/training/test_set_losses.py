"""The losses of strong and weak clips together, against the report's equations written out clip by clip."""

import numpy as np
import pytest
import torch

from earmark.losses import weighted_mean
from earmark.models.heads import HeadOutput
from earmark.training.set_losses import SetLosses, SetSizes, tag_weights
from earmark.training.targets import FrameTargets, Origin, Targets

CLIPS, FRAMES, TAGS = 6, 5, 3
ORIGIN = [Origin.LABELS, Origin.NONE, Origin.SCORES, Origin.LABELS, Origin.SCORES, Origin.NONE]
WEIGHTS = tag_weights("inverse", np.array([10, 4, 1]))


def made(origin: list[Origin], seed: int = 0) -> tuple[HeadOutput, Targets]:
    """Logits and targets of a batch; the clips have 5, 3, 4, 5, 2, 1 valid frames."""
    draw = np.random.default_rng(seed)
    clips = len(origin)
    valid = np.arange(FRAMES) < np.array([5, 3, 4, 5, 2, 1][:clips])[:, None]
    known = valid & (np.array(origin) != Origin.NONE)[:, None]
    frames = FrameTargets(
        torch.from_numpy(draw.integers(0, 2, (clips, FRAMES, TAGS)).astype(np.float32)),
        torch.from_numpy(np.repeat(known[..., None], TAGS, axis=2).astype(np.float32)),
        torch.tensor([int(one) for one in origin]),
    )
    clipwise = torch.from_numpy(draw.integers(0, 2, (clips, TAGS)).astype(np.float32))
    output = HeadOutput(
        torch.from_numpy(draw.normal(size=(clips, FRAMES, TAGS)).astype(np.float32)).requires_grad_(),
        torch.from_numpy(draw.normal(size=(clips, TAGS)).astype(np.float32)).requires_grad_(),
    )
    return output, Targets(clipwise, torch.ones(clips, TAGS), frames=frames)


def bce(y: float, logit: float) -> float:
    p = 1 / (1 + np.exp(-logit))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def by_hand(output: HeadOutput, targets: Targets, sizes: SetSizes) -> float:
    """Equations 1 and 7 to 10, one clip, frame and tag after another."""
    origin = [Origin(int(one)) for one in targets.frames.origin]
    logits, frame_logits = output.clipwise.detach().numpy(), output.framewise.detach().numpy()

    def vector(members: list[int]) -> float:
        if not members:
            return 0.0
        return sum(
            float(WEIGHTS[c]) * bce(float(targets.clipwise[n, c]), logits[n, c]) for n in members for c in range(TAGS)
        ) / len(members)

    def matrix(members: list[int]) -> float:
        total, frames = 0.0, 0
        for n in members:
            for t in range(FRAMES):
                if targets.frames.weight[n, t, 0]:
                    frames += 1
                    y = targets.frames.values[n, t]
                    total += sum(float(WEIGHTS[c]) * bce(float(y[c]), frame_logits[n, t, c]) for c in range(TAGS))
        return total / frames if frames else 0.0

    places = range(len(origin))
    strong = [n for n in places if origin[n] == Origin.LABELS]
    weak = [n for n in places if origin[n] != Origin.LABELS]
    pseudo = [n for n in places if origin[n] == Origin.SCORES]
    m_s, m_w, m_p = sizes.strong, sizes.weak, sizes.pseudo
    of_clips = (m_w * vector(weak) + m_s * vector(strong)) / (m_w + m_s)
    of_frames = (m_w + m_s) * m_s / (m_s + m_p) ** 2 * matrix(strong)
    of_frames += (m_w + m_s) * m_p / (m_s + m_p) ** 2 * matrix(pseudo)
    return of_clips + of_frames


def total(output: HeadOutput, targets: Targets, sizes: SetSizes) -> torch.Tensor:
    """The batch's loss as a training step takes it."""
    return weighted_mean(SetLosses(sizes, WEIGHTS)(output, targets), targets.clipwise_weight.amax(dim=1) > 0)


@pytest.mark.parametrize(
    "origin",
    [ORIGIN, ORIGIN[:3], [Origin.NONE] * 4, [Origin.LABELS] * 2, [Origin.SCORES] * 3],
    ids=["all sets", "one of each", "weak alone", "strong alone", "pseudo alone"],
)
def test_the_batchs_loss_is_the_reports(origin: list[Origin]) -> None:
    sizes = SetSizes(strong=40, weak=100, pseudo=30)
    output, targets = made(origin)
    assert total(output, targets, sizes).item() == pytest.approx(by_hand(output, targets, sizes), rel=1e-5)


def test_without_pseudo_labels_the_second_stages_loss_is_the_firsts():
    """Equation 10 at M_p = 0 is equation 8: (M_w + M_s) / M_s L_s^m."""
    output, targets = made([Origin.LABELS, Origin.NONE, Origin.LABELS])
    losses = SetLosses(SetSizes(strong=40, weak=100), WEIGHTS)
    strong = SetLosses(SetSizes(strong=1, weak=0), WEIGHTS).framewise(output.framewise, targets.frames).sum()
    assert losses.framewise(output.framewise, targets.frames).sum().item() == pytest.approx(140 / 40 * strong.item())


def test_what_is_not_known_has_no_gradient():
    output, targets = made(ORIGIN)
    targets.frames.values[1] = float("nan")  # a weak clip without pseudo labels: nobody knows its frames
    loss = total(output, targets, SetSizes(40, 100, 30))
    loss.backward()
    assert torch.isfinite(loss)
    unknown = targets.frames.weight == 0
    assert (output.framewise.grad[unknown] == 0).all()
    assert (output.framewise.grad[~unknown] != 0).all()
    assert (output.clipwise.grad != 0).all()


def test_a_model_with_a_step_more_or_less_than_the_targets_is_scored_on_those_that_both_have():
    output, targets = made(ORIGIN)
    sizes = SetSizes(40, 100, 30)
    longer = HeadOutput(torch.cat([output.framewise, torch.full((CLIPS, 1, TAGS), 9.0)], dim=1), output.clipwise)
    assert total(longer, targets, sizes).item() == pytest.approx(total(output, targets, sizes).item())
    shorter = HeadOutput(output.framewise[:, :-1], output.clipwise)
    frames = FrameTargets(targets.frames.values[:, :-1], targets.frames.weight[:, :-1], targets.frames.origin)
    cut = Targets(targets.clipwise, targets.clipwise_weight, frames=frames)
    assert total(shorter, targets, sizes).item() == pytest.approx(total(shorter, cut, sizes).item())


def test_tag_weights_are_the_reports():
    counts = np.array([1, 2, 500, 0])  # a tag without clips counts as one
    expected = np.exp([1, 1 / 2, 1 / 500, 1])
    np.testing.assert_allclose(tag_weights("exponential", counts), expected / expected.sum(), rtol=1e-6)
    np.testing.assert_allclose(tag_weights("inverse", counts), np.array([500, 250, 1, 500]) / 1251, rtol=1e-6)
    np.testing.assert_allclose(tag_weights("equal", counts), np.full(4, 0.25))


def test_sizes_are_counted_by_origin():
    assert SetSizes.of(np.array([int(one) for one in ORIGIN])) == SetSizes(strong=2, weak=4, pseudo=2)
