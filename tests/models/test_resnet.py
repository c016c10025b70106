"""Tests of ResNet-50, against timm's."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from earmark.models.pretrained import load_imagenet
from earmark.models.resnet import ResNet50
from tests.golden import make_timm

GOLDEN = json.loads(Path(make_timm.__file__).with_name("timm.json").read_text("utf-8"))["resnet50"]


@pytest.fixture(scope="module")
def filled() -> ResNet50:
    net = ResNet50().eval()
    make_timm.fill(net)
    return net


def test_names_and_outputs_equal_timms(filled):
    assert len(filled.state_dict()) == GOLDEN["num_weights"]
    assert make_timm.digest_of_names(filled.state_dict()) == GOLDEN["names"]
    for output in GOLDEN["outputs"]:
        with torch.inference_mode():
            ours = filled.feature_map(make_timm.features(output["input"])).contiguous()
        assert list(ours.shape) == output["shape"]
        error = (torch.tensor(make_timm.sampled(ours)) - torch.tensor(output["values"])).abs().max().item()
        assert error / output["std"] < 1e-4


@pytest.mark.parametrize("num_frames", [1, 32, 33, 65])
def test_steps_are_frames_over_stride_rounded_up(filled, num_frames):
    with torch.inference_mode():
        assert tuple(filled(torch.zeros(1, 1, num_frames, 64)).shape) == (1, -(-num_frames // 32), 2048)


def test_a_timm_file_is_loaded_whole_and_its_stem_summed(filled, tmp_path):
    weights = {name: tensor.clone().contiguous() for name, tensor in filled.state_dict().items()}
    weights["conv1.weight"] = torch.randn(64, 3, 7, 7)
    weights["fc.weight"], weights["fc.bias"] = torch.zeros(1000, 2048), torch.zeros(1000)
    path = tmp_path / "resnet50.a1_in1k.safetensors"
    save_file(weights, path)
    net = ResNet50()
    loaded = load_imagenet(net, path)
    assert loaded.num_loaded == loaded.num_weights == 265
    assert torch.equal(net.conv1.weight, weights["conv1.weight"].sum(1, keepdim=True))
    assert torch.equal(net.layer4[2].conv3.weight, weights["layer4.2.conv3.weight"])
