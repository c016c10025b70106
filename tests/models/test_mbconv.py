"""Tests of the inverted-bottleneck networks, against timm's."""

import json
from pathlib import Path

import pytest
import torch

from earmark.models.mbconv import ARCHITECTURES, MBConvNet, PaddedConv
from tests.golden import make_timm

GOLDEN = json.loads(Path(make_timm.__file__).with_name("timm.json").read_text("utf-8"))
MODELS = {timm_name: rest for timm_name, *rest in make_timm.MODELS if rest[0] in ARCHITECTURES}


def filled(timm_name: str) -> MBConvNet:
    name, padding, bn_eps = MODELS[timm_name]
    net = MBConvNet(name, padding, bn_eps).eval()
    make_timm.fill(net)
    return net


def error_against(net: MBConvNet, golden: dict) -> float:
    """The largest deviation, in standard deviations of timm's feature map."""
    with torch.inference_mode():
        ours = net.feature_map(make_timm.features(golden["input"])).contiguous()
    assert list(ours.shape) == golden["shape"]
    return (torch.tensor(make_timm.sampled(ours)) - torch.tensor(golden["values"])).abs().max().item() / golden["std"]


@pytest.mark.parametrize("timm_name", MODELS)
def test_names_and_outputs_equal_timms(timm_name):
    net = filled(timm_name)
    golden = GOLDEN[timm_name]
    assert len(net.state_dict()) == golden["num_weights"]
    assert make_timm.digest_of_names(net.state_dict()) == golden["names"]
    for output in golden["outputs"]:
        assert error_against(net, output) < 1e-4


@pytest.mark.parametrize("timm_name", ["mobilenetv2_100", "tf_efficientnet_lite0"])
def test_padding_and_epsilon_are_part_of_the_network(timm_name):
    name, padding, bn_eps = MODELS[timm_name]
    other_padding = "same" if padding == "symmetric" else "symmetric"
    for wrong in (MBConvNet(name, other_padding, bn_eps), MBConvNet(name, padding, 1e-3 if bn_eps < 1e-4 else 1e-5)):
        make_timm.fill(wrong.eval())
        assert max(error_against(wrong, output) for output in GOLDEN[timm_name]["outputs"]) > 1e-2


def test_b2_gives_pslas_steps_bands_and_channels():
    net = MBConvNet("efficientnet_b2").eval()
    with torch.inference_mode():
        assert tuple(net.feature_map(torch.zeros(1, 1, 1056, 128)).shape) == (1, 1408, 33, 4)


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("num_frames", [1, 31, 32, 33, 65])
def test_steps_are_frames_over_stride_rounded_up(padding, num_frames):
    net = MBConvNet("mobilenetv2", padding).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, num_frames, 64)).shape == (
            1,
            -(-num_frames // net.stride_frames),
            net.num_channels,
        )


def test_embedding_is_the_mean_over_frequency():
    net = filled("mobilenetv2_100")
    features = make_timm.features((2, 1, 64, 64))
    with torch.inference_mode():
        torch.testing.assert_close(net(features), net.feature_map(features).mean(3).transpose(1, 2))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_runs_in_channels_last(name):
    net = MBConvNet(name)
    for convolution in (module for module in net.modules() if isinstance(module, PaddedConv)):
        assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
    assert net.feature_map(torch.randn(2, 1, 64, 64)).is_contiguous(memory_format=torch.channels_last)


def test_stochastic_depth_rises_linearly_to_the_maximum():
    net = MBConvNet("efficientnet_b2", stochastic_depth=0.2)
    rates = [block.drop_rate for stage in net.blocks for block in stage]
    assert len(rates) == 23
    torch.testing.assert_close(torch.tensor(rates), torch.linspace(0, 0.2, 23))


def test_stochastic_depth_drops_whole_branches_per_clip_in_training_only():
    block = MBConvNet("efficientnet_b0", stochastic_depth=0.5).blocks[6][0]
    shortcut = MBConvNet("efficientnet_b0", stochastic_depth=0.5).blocks[5][3]
    assert not block.has_shortcut
    assert shortcut.has_shortcut
    hidden = torch.randn(2000, 192, 1, 1)
    torch.manual_seed(3)
    with torch.no_grad():
        out = shortcut(hidden)
        dropped = (out == hidden).all(dim=(1, 2, 3))
        expected = shortcut.drop_rate
        assert abs(dropped.float().mean().item() - expected) < 0.04
        # What is kept is enlarged so that the mean over draws is the branch itself.
        branch = shortcut.branch(hidden)
        torch.testing.assert_close((out - hidden)[~dropped], branch[~dropped] / (1 - expected), rtol=1e-3, atol=1e-4)
        torch.manual_seed(3)
        assert torch.equal(shortcut(hidden) == hidden, out == hidden)
        shortcut.eval()
        torch.testing.assert_close(shortcut(hidden), hidden + shortcut.branch(hidden))


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet_b0"])
def test_gradients_equal_those_of_plain_out_of_place_layers(name):
    """In-place work must not touch what autograd needs: a numeric derivative along one direction agrees."""
    net = MBConvNet(name).double().eval()
    features = torch.randn(2, 1, 40, 32, dtype=torch.float64)
    weight = net.blocks[2][1].conv_pw.weight
    direction = torch.randn_like(weight)
    (gradient,) = torch.autograd.grad(net(features).square().mean(), weight)
    step = 1e-6

    def loss_at(shift: float) -> float:
        with torch.no_grad():
            weight.add_(direction, alpha=shift)
            value = net(features).square().mean().item()
            weight.sub_(direction, alpha=shift)
        return value

    numeric = (loss_at(step) - loss_at(-step)) / (2 * step)
    assert numeric == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def test_no_gradient_gives_the_same_numbers_as_gradient():
    net = filled("efficientnet_b0")
    features = make_timm.features((2, 1, 64, 64))
    with torch.no_grad():
        plain = net(features)
    torch.testing.assert_close(net(features), plain)
    torch.testing.assert_close(features, make_timm.features((2, 1, 64, 64)), rtol=0, atol=0)
