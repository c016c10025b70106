"""Tests of the network of class-frame pseudo labels."""

import pytest
import torch
from torch.nn import functional

from earmark.data.vocabulary import Vocabulary
from earmark.features import PRESETS
from earmark.models.class_frame_resnet import ClassFrameResNet
from earmark.models.inference import for_scoring
from earmark.models.tagger import BACKBONES, Tagger
from earmark.recipes.parts import ModelSettings


def test_parameters_are_those_of_its_layers():
    """Counted by hand: convolutions without bias and two of BatchNorm a channel."""
    widths = (64, 128, 256, 512)
    convolutions, norms, inputs = 9 * 64, 2 * 64, 64
    for wide in widths:
        convolutions += 9 * inputs * wide + 3 * 9 * wide * wide + inputs * wide
        norms += 5 * 2 * wide
        inputs = wide
    assert sum(parameter.numel() for parameter in ClassFrameResNet().parameters()) == convolutions + norms


def test_ten_seconds_are_128_steps_of_512_channels_as_in_the_paper():
    net = ClassFrameResNet().eval()
    sizes = []
    net.iterations.register_forward_hook(lambda module, given, made: sizes.append(tuple(made.shape)))
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, 1024, 64)).shape == (1, 128, 512)
    assert sizes == [(1, 512, 128, 8)]


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 65])
def test_keeps_a_step_every_eight_frames(num_frames):
    with torch.inference_mode():
        assert ClassFrameResNet().eval()(torch.zeros(1, 1, num_frames, 40)).shape == (1, -(-num_frames // 8), 512)


def test_its_layers_one_after_another():
    torch.manual_seed(0)
    net, features = ClassFrameResNet().eval(), torch.randn(2, 1, 24, 20)
    weights = dict(net.state_dict())
    unit = (1 + 1e-5) ** -0.5  # new BatchNorms in eval mode only divide by sqrt(1 + epsilon)
    hidden = functional.relu(functional.conv2d(features, weights["conv.weight"], padding=1) * unit)
    for number in range(8):
        name, stride = f"iterations.{number}", 2 if number in (2, 4, 6) else 1
        shortcut = hidden
        if number % 2 == 0:
            shortcut = functional.conv2d(hidden, weights[f"{name}.shortcut.0.weight"], stride=stride) * unit
        inner = functional.relu(functional.conv2d(hidden, weights[f"{name}.conv1.weight"], None, stride, 1) * unit)
        hidden = functional.relu(
            functional.conv2d(inner, weights[f"{name}.conv2.weight"], None, 1, 1) * unit + shortcut
        )
    with torch.inference_mode():
        torch.testing.assert_close(net(features), hidden.mean(3).transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_it_is_a_backbone_with_a_score_a_step():
    assert "class_frame_resnet" in BACKBONES
    settings = ModelSettings(backbone="class_frame_resnet", pretrained=None, head="max")
    torch.manual_seed(0)
    tagger = Tagger(settings.tagger_config(Vocabulary(("a", "b")), PRESETS["psl"], 1.0)).eval()
    for module in tagger.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
    with torch.inference_mode():
        waveform = 0.1 * torch.randn(2, 8000)
        said, folded = tagger(waveform), for_scoring(tagger)(waveform)
    assert said.framewise.shape == (2, 7, 2)
    torch.testing.assert_close(said.clipwise, said.framewise.amax(1))
    torch.testing.assert_close(folded.framewise, said.framewise, rtol=0, atol=1e-5)
