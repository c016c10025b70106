"""The state of a training run on disk, and averages of its checkpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from earmark.tensor_files import Tensors, load_tensors, load_weights, save_tensors
from earmark.training.selection import Selection


def average_weights(paths: Sequence[Path]) -> Tensors:
    """The mean of each weight over checkpoints, each counted once; counters such as steps are the last one's."""
    if len(set(paths)) != len(paths) or not paths:
        raise ValueError(f"checkpoints to average must be at least one and all different, got {list(paths)}")
    total: Tensors = {}
    for path in paths:
        weights, _ = load_tensors(path)
        for name, tensor in weights.items():
            if not tensor.is_floating_point():
                total[name] = tensor
            elif name in total:
                total[name] += tensor.double()
            else:
                total[name] = tensor.double()
    return {
        name: (tensor / len(paths)).to(torch.float32) if tensor.is_floating_point() else tensor
        for name, tensor in total.items()
    }


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    about: dict[str, Any],
    selection: Selection | None = None,
) -> None:
    """Writes all that training needs to go on exactly: weights, optimiser, selection, generator states, and `about`."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if selection is not None:
        tensors |= {f"selection.{name}": tensor for name, tensor in selection.state().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    tensors["generator.cpu"] = torch.get_rng_state()
    device = next(model.parameters()).device
    if device.type == "cuda":
        tensors["generator.cuda"] = torch.cuda.get_rng_state(device)
    save_tensors(path, tensors, about)


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, selection: Selection | None = None
) -> dict[str, Any]:
    """Puts back what `save_state` wrote and returns its `about`."""
    tensors, about = load_tensors(path)
    load_weights(model, _under("model.", tensors), str(path))
    if selection is not None:
        selection.load_state(_under("selection.", tensors))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in _under("optimizer.", tensors).items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape and value.dim() > 0:
            # The parameter's own memory layout, so that resumed arithmetic takes the same vector path.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        optimizer.state[parameter][name] = value
    torch.set_rng_state(tensors["generator.cpu"])
    if "generator.cuda" in tensors and parameters[0].device.type == "cuda":
        torch.cuda.set_rng_state(tensors["generator.cuda"], parameters[0].device)
    return about


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
