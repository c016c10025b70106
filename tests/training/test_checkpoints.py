from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from earmark.errors import InputError
from earmark.tensor_files import load_tensors, load_weights, read_about, save_tensors
from earmark.training.checkpoints import average_weights, load_state, save_state


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)


@contextmanager
def recording_reads(path: Path, read: list[str]):
    """A safetensors file that notes the tensors that are read of it."""
    with safe_open(path, framework="pt") as file:
        yield SimpleNamespace(keys=file.keys, metadata=file.metadata, get_tensor=read.append)


def trained(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(2, 1, 8, 8)).pow(2).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_state_put_back_goes_on_bit_for_bit(tmp_path, kind: str) -> None:
    def build(net):
        if kind == "sgd":
            return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        return torch.optim.Adam(net.parameters(), lr=0.1)

    torch.manual_seed(1)
    net = model()
    optimizer = build(net)
    trained(net, optimizer, 3)
    save_state(tmp_path / "last.safetensors", net, optimizer, {"step": 3})
    trained(net, optimizer, 3)

    torch.manual_seed(2)
    other = model()
    other_optimizer = build(other)
    assert load_state(tmp_path / "last.safetensors", other, other_optimizer) == {"step": 3}
    trained(other, other_optimizer, 3)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_equal_checkpoints_average_to_themselves(tmp_path) -> None:
    net = model()
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for path in paths:
        save_tensors(path, net.state_dict())
    for name, tensor in average_weights(paths).items():
        assert torch.equal(tensor, net.state_dict()[name]), name


def test_the_average_is_the_mean_of_each_weight(tmp_path) -> None:
    for value in (1.0, 2.0, 6.0):
        save_tensors(tmp_path / f"{value}.safetensors", {"w": torch.full((2,), value), "n": torch.tensor(int(value))})
    averaged = average_weights([tmp_path / f"{value}.safetensors" for value in (1.0, 2.0, 6.0)])
    assert averaged["w"].tolist() == [3.0, 3.0]
    assert averaged["n"].item() == 6


def test_a_checkpoint_counts_once(tmp_path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"w": torch.zeros(1)})
    with pytest.raises(ValueError, match="all different"):
        average_weights([tmp_path / "a.safetensors"] * 2)


def test_lacking_unknown_and_misshapen_weights_are_named() -> None:
    net = model()
    weights = dict(net.state_dict())
    lacking = {name: tensor for name, tensor in weights.items() if name != "0.bias"}
    with pytest.raises(InputError, match=r"^here lacks 1 of 7 weights: 0\.bias; build"):
        load_weights(net, lacking, "here")
    with pytest.raises(InputError, match="has unknown 1 of 8 weights: extra"):
        load_weights(net, weights | {"extra": torch.zeros(1)}, "here")
    with pytest.raises(InputError, match=r"0\.bias must be \(4,\), found \(5,\)"):
        load_weights(net, weights | {"0.bias": torch.zeros(5)}, "here")


def test_a_cut_checkpoint_is_refused(tmp_path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"w": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"a\.safetensors: must be a whole safetensors file"):
        load_tensors(path)
    with pytest.raises(InputError, match=r"a\.safetensors: must be a whole safetensors file"):
        read_about(path)


def test_what_stands_beside_the_tensors_is_read_without_them(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"w": torch.zeros(100)}, {"epoch": 3})
    told = load_tensors(path)[1]
    read = []
    monkeypatch.setattr("earmark.tensor_files.safe_open", lambda *_, **__: recording_reads(path, read))
    assert read_about(path) == told == {"epoch": 3}
    assert not read
    load_tensors(path)
    assert read == ["w"]
    with pytest.raises(InputError, match=r"there is no .*b\.safetensors"):
        read_about(tmp_path / "b.safetensors")
