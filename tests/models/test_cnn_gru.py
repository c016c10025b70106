"""Tests of the network of staged training."""

import pytest
import torch
from torch import nn

from earmark.data.vocabulary import Vocabulary
from earmark.features import PRESETS
from earmark.models.cnn_gru import CnnGru
from earmark.models.settings import BackboneConfig
from earmark.models.tagger import BACKBONES
from earmark.recipes.parts import ModelSettings


def test_parameters_are_those_of_its_layers():
    """Counted by hand, layer by layer: convolutions without bias, BatchNorm's two a channel, a GRU's three gates."""
    widths = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convolutions = sum(9 * inputs * outputs for inputs, outputs in widths)
    norms = sum(2 * outputs for _, outputs in widths)
    gru = 2 * 3 * (512 * 256 + 256 * 256 + 256 + 256)
    assert sum(parameter.numel() for parameter in CnnGru().parameters()) == convolutions + norms + gru == 5_868_864
    assert [m.num_features for m in CnnGru().modules() if isinstance(m, nn.BatchNorm2d)] == [w for _, w in widths]


@pytest.mark.parametrize("num_frames", [1, 15, 16, 17, 33, 98])
@pytest.mark.parametrize("num_mels", [64, 80])
def test_keeps_a_step_every_sixteen_frames(num_frames, num_mels):
    with torch.inference_mode():
        embedding = CnnGru().eval()(torch.zeros(2, 1, num_frames, num_mels))
    assert embedding.shape == (2, -(-num_frames // 16), 512)


def test_the_whole_and_its_parts_are_pooled_as_named():
    """The layers one after another, as the method reads; 40 frames and 80 mels are whole steps of no stage."""
    torch.manual_seed(0)
    net = CnnGru().eval()
    features = torch.randn(2, 1, 40, 80)
    weights = {name: value for name, value in net.state_dict().items() if name.startswith("convolutions")}
    convolutions = [name for name, value in weights.items() if value.ndim == 4]
    with torch.inference_mode():
        hidden = features
        for index, name in enumerate(convolutions):
            # New BatchNorms in eval mode only divide by sqrt(1 + epsilon).
            hidden = torch.relu(nn.functional.conv2d(hidden, weights[name], padding=1) / (1 + 1e-5) ** 0.5)
            if index % 2:
                frames, mels = hidden.shape[2:]
                padded = nn.functional.pad(hidden, (0, mels % 2, 0, frames % 2), value=torch.nan)
                hidden = padded.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).nanmean(4)
        expected, _ = net.gru(hidden.mean(3).transpose(1, 2))
        torch.testing.assert_close(net(features), expected, rtol=0, atol=1e-5)


def test_an_event_is_seen_at_its_own_step():
    torch.manual_seed(0)
    net = CnnGru().eval()
    with torch.no_grad():
        plain, event = torch.zeros(1, 1, 800, 80), torch.zeros(1, 1, 800, 80)
        event[:, :, 400:416] = 3.0
        change = (net(event) - net(plain)).abs().sum(2)[0]
    assert abs(int(change.argmax()) - 25) <= 2
    assert torch.cat([change[:15], change[36:]]).max() < 0.05 * change.max()


def test_a_clip_has_the_same_embedding_alone_and_in_a_batch():
    torch.manual_seed(0)
    net = CnnGru().eval()
    features = torch.randn(3, 1, 64, 80)
    with torch.inference_mode():
        torch.testing.assert_close(net(features[1:2]), net(features)[1:2], rtol=0, atol=1e-5)


def test_trains_under_autocast():
    net = CnnGru()
    with torch.autocast("cpu", torch.bfloat16):
        embedding = net(torch.randn(2, 1, 64, 80))
    assert embedding.dtype == torch.float32
    embedding.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


def test_a_recipe_can_have_it():
    settings = ModelSettings(backbone="cnn_gru", pretrained=None, front_end="staged")
    config = settings.tagger_config(Vocabulary(("a", "b"), None), PRESETS["staged"], 10.0).backbone
    assert config == BackboneConfig(name="cnn_gru", padding="symmetric", bn_eps=1e-5)
    assert BACKBONES["cnn_gru"](BackboneConfig(name="cnn_gru", bn_eps=1e-3)).convolutions[1].eps == 1e-3
    with pytest.raises(ValueError, match="cnn_gru has padding symmetric and no stochastic_depth"):
        ModelSettings(backbone="cnn_gru", pretrained=None, padding="same")
    with pytest.raises(ValueError, match=r"efficientnet_lite0.s; for cnn_gru set pretrained=null \["):
        ModelSettings(backbone="cnn_gru")
