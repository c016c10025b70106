"""Tests of the small network."""

import pytest
import torch

from earmark.models.crnn import SmallCRNN
from earmark.models.heads import HEADS


@pytest.mark.parametrize("head", HEADS)
def test_stays_small_with_a_few_hundred_tags(head):
    net = SmallCRNN()
    parts = (net, HEADS[head](net.num_channels, 200, 0.0, 1))
    assert sum(parameter.numel() for part in parts for parameter in part.parameters()) <= 0.3e6


@pytest.mark.parametrize("num_frames", [1, 3, 4, 5, 98])
def test_keeps_a_step_every_four_frames(num_frames):
    assert SmallCRNN().eval()(torch.zeros(2, 1, num_frames, 40)).shape == (2, -(-num_frames // 4), 160)


def test_an_event_is_seen_at_its_own_step():
    torch.manual_seed(0)
    net = SmallCRNN().eval()
    with torch.no_grad():
        plain, event = torch.zeros(1, 1, 400, 64), torch.zeros(1, 1, 400, 64)
        event[:, :, 200:208] = 3.0
        change = (net(event) - net(plain)).abs().sum(2)[0]
    assert abs(int(change.argmax()) - 50) <= 2
    assert torch.cat([change[:40], change[62:]]).max() < 0.02 * change.max()


def test_trains_under_autocast():
    net = SmallCRNN()
    with torch.autocast("cpu", torch.bfloat16):
        embedding = net(torch.randn(2, 1, 64, 64))
    assert embedding.dtype == torch.float32
    embedding.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())
