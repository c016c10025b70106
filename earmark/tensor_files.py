"""Tensors on disk: safetensors, written aside and renamed, loaded strictly and without running code.

What is not a tensor stands as JSON in the file's header.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from earmark.errors import InputError, first_few
from earmark.files import written_aside

Tensors = dict[str, torch.Tensor]


def save_tensors(path: Path, tensors: Tensors, about: dict[str, Any] | None = None) -> None:
    """Writes tensors and a JSON-able description into one file, whole or not at all."""
    # safetensors stores plain row-major data; layouts such as channels_last are the loader's to restore.
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    with written_aside(path) as aside:
        save_file(plain, aside, metadata={"about": json.dumps(about or {})})


def load_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Reads what `save_tensors` wrote, or any safetensors file.

    Raises:
        InputError: there is no such file, or it is not a whole safetensors file.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        return tensors, _about(file)


def read_about(path: Path) -> dict[str, Any]:
    """Reads the description in a file that `save_tensors` wrote, and no tensor.

    Raises:
        InputError: there is no such file, or it is not a whole safetensors file.
    """
    with _opened(path) as file:
        return _about(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file, which its package does not type."""
    if not path.is_file():
        raise InputError(f"weights must be a safetensors file; there is no {path}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path}: must be a whole safetensors file: {error}") from error


def _about(file: Any) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((file.metadata() or {}).get("about", "{}"))
    return about


def load_weights(module: nn.Module, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Copies weights into a module that has exactly those, whatever their memory layout.

    Args:
        where: what the weights come from, for messages.

    Raises:
        InputError: a weight is lacking, unknown, or of another shape.
    """
    own = module.state_dict()
    _refuse(where, "lacks", [name for name in own if name not in weights], len(own))
    _refuse(where, "has unknown", [name for name in weights if name not in own], len(weights))
    differing = [name for name in own if own[name].shape != weights[name].shape]
    if differing:
        name = differing[0]
        raise InputError(
            f"{where}: {len(differing)} of {len(own)} weights have another shape than the model's: {name} must be "
            f"{tuple(own[name].shape)}, found {tuple(weights[name].shape)}; build the model it was saved from"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def _refuse(where: str, what: str, names: Sequence[str], total: int) -> None:
    if not names:
        return
    part = "head" if all(name.startswith("head.") for name in names) else "model"
    raise InputError(
        f"{where} {what} {len(names)} of {total} weights: {first_few(names)}; build the {part} it was trained with"
    )
