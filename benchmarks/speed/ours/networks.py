"""The recipes' networks that rows train and score with, by their presets.

`python -m benchmarks.speed.ours.networks` counts what a clip asks of each: the numbers of the floors in `rows/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.inputs import fill
from earmark.config import settings_from
from earmark.data.vocabulary import Vocabulary
from earmark.features import PRESETS
from earmark.models.tagger import Tagger
from earmark.recipes import find_recipe, read_preset
from earmark.timing import samples_from_seconds


@dataclass(frozen=True)
class Network:
    """A recipe's preset.

    Attributes:
        length_s: of a training waveform.
        changes: settings that rows have otherwise.
    """

    recipe: str
    preset: str
    num_tags: int
    length_s: float = 10.0
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Any:
        """The recipe's settings."""
        return settings_from(find_recipe(self.recipe).settings, read_preset(self.recipe, self.preset), self.changes)

    def tagger(self) -> Tagger:
        """A new one."""
        model = self.settings.model
        vocabulary = Vocabulary(tuple(f"tag {number}" for number in range(self.num_tags)))
        return Tagger(model.tagger_config(vocabulary, PRESETS[model.front_end], self.length_s))

    def filled_tagger(self) -> Tagger:
        """One with made-up weights, which the peers' networks are given too."""
        tagger = self.tagger()
        fill(tagger.backbone.state_dict())
        # The weights of attention heads stay shares of one.
        fill({name: tensor for name, tensor in tagger.head.state_dict().items() if name != "head_weight"})
        return tagger.eval()

    @property
    def rate_hz(self) -> int:
        """Of the front end."""
        return PRESETS[self.settings.model.front_end].rate_hz

    @property
    def num_samples(self) -> int:
        """Of a training waveform."""
        return samples_from_seconds(self.length_s, self.rate_hz)


NETWORKS = {
    "efficientnet_b2": Network("psla", "audioset-full", 527, changes={"pretrained": None, "stem": "sum"}),
    "mobilenetv2": Network("baseline", "teacher", 527),
    # 512 frames, as many as a window of the recipe's has.
    "cnn_gru": Network("staged", "fsdkaggle2019", 80, 511 * 882 / 44100, {"head": "mean"}),
    "class_frame_resnet": Network("class_frame", "dcase2019", 10),
}


def features_of_silence(tagger: Tagger, num_samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a clip; only their form counts."""
    return tagger.features(torch.zeros(1, num_samples))


def operations(tagger: Tagger, num_samples: int) -> float:
    """Of a clip's forward pass: two for each multiplication with its addition."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        tagger.eval().logits(*features_of_silence(tagger, num_samples))
    return float(counter.get_total_flops())


def layers_values(tagger: Tagger, num_samples: int) -> tuple[float, float]:
    """What a clip's convolutions and linear layers read, and what they write, in values."""
    counts = [0.0, 0.0]

    def count(module: nn.Module, given: tuple[torch.Tensor, ...], found: torch.Tensor) -> None:
        counts[0] += given[0].numel()
        counts[1] += found.numel()

    for module in tagger.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.inference_mode():
        tagger.eval().logits(*features_of_silence(tagger, num_samples))
    return counts[0], counts[1]


if __name__ == "__main__":
    for name, network in NETWORKS.items():
        read, written = layers_values(network.tagger(), network.num_samples)
        forward = operations(network.tagger(), network.num_samples)
        print(f"{name}: {forward:.4g} operations forward; layers read {read:.4g} values and write {written:.4g}")
