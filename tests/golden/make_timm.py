"""Writes timm.json: what timm's networks give for weights and inputs that are computed, not stored.

Run in an environment of its own, for timm wants a torchvision that imports: `pip install torch numpy safetensors pyyaml
huggingface_hub`, `pip install --no-deps timm torchvision pillow`, then `python tests/golden/make_timm.py`. Written with
timm 1.0.31.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch

# timm's name, our architecture, padding, BatchNorm epsilon.
MODELS = (
    ("mobilenetv2_100", "mobilenetv2", "symmetric", 1e-5),
    ("efficientnet_lite0", "efficientnet_lite0", "symmetric", 1e-5),
    ("tf_efficientnet_lite0", "efficientnet_lite0", "same", 1e-3),
    ("efficientnet_b0", "efficientnet_b0", "symmetric", 1e-5),
    ("tf_efficientnet_b1", "efficientnet_b1", "same", 1e-3),
    ("efficientnet_b2", "efficientnet_b2", "symmetric", 1e-5),
    ("tf_efficientnet_b2", "efficientnet_b2", "same", 1e-3),
    ("resnet50", "resnet50", "symmetric", 1e-5),
)
# An even and an odd size in each direction: where the two paddings differ.
SHAPES = ((1, 1, 96, 64), (2, 1, 75, 37))
NUM_VALUES = 64


def uniform(name: str, count: int) -> np.ndarray:
    """Numbers in [-1, 1) that depend on a name and their place only, the same on every machine."""
    word = np.arange(count, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode())) * np.uint64(2**32 + 1)
    for shift in (30, 27, 31):
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((word >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32)


def fill(model: torch.nn.Module) -> None:
    """Gives every weight and running statistic its computed value."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            values = torch.from_numpy(uniform(name, tensor.numel())).reshape(tensor.shape)
            if tensor.dim() == 4:
                values *= (4.5 / tensor[0].numel()) ** 0.5
            elif name.endswith("running_var"):
                # Some variances are tiny, so that the epsilon shows.
                values = 1.3 + 1.29 * values
            elif name.endswith("weight"):
                values = 0.7 + 0.3 * values
            else:
                values *= 0.2
            tensor.copy_(values)


def features(shape: tuple[int, ...]) -> torch.Tensor:
    """The input of some shape."""
    return 2 * torch.from_numpy(uniform("features", int(np.prod(shape)))).reshape(shape)


def names_of(state: dict[str, torch.Tensor]) -> list[str]:
    """Every weight as "name shape", the classifier left out."""
    inside = [name for name in state if not name.startswith(("classifier.", "fc."))]
    return [f"{name} {tuple(state[name].shape)}" for name in inside]


def digest_of_names(state: dict[str, torch.Tensor]) -> str:
    """A checksum of the names and shapes."""
    return f"{zlib.crc32(chr(10).join(sorted(names_of(state))).encode()):08x}"


def sampled(feature_map: torch.Tensor) -> list[float]:
    """Values spread evenly over a feature map."""
    flat = feature_map.reshape(-1)
    return flat[torch.linspace(0, len(flat) - 1, NUM_VALUES).long()].tolist()


def describe(timm_name: str) -> dict:
    """One network's golden record."""
    import timm

    model = timm.create_model(timm_name, in_chans=1, num_classes=10).eval()
    fill(model)
    record = {"num_weights": len(names_of(model.state_dict())), "names": digest_of_names(model.state_dict())}
    record["outputs"] = []
    for shape in SHAPES:
        with torch.inference_mode():
            out = model.forward_features(features(shape)).contiguous()
        record["outputs"].append({"input": shape, "shape": list(out.shape), "std": out.std().item()})
        record["outputs"][-1]["values"] = [float(f"{value:.7g}") for value in sampled(out)]
    return record


def main() -> None:
    """Writes the golden file beside this script."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    records = {timm_name: describe(timm_name) for timm_name, *_ in MODELS}
    Path(__file__).with_name("timm.json").write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
