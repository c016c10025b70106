"""Tagger = front end + backbone + head, from waveform to scores; saved as a folder, loaded without running code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from torch import nn

from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.features import LogMel, fit_frames
from earmark.files import ORDER, kind_of_folder, write_json, write_text
from earmark.models.card import model_card
from earmark.models.class_frame_resnet import ClassFrameResNet
from earmark.models.cnn_gru import CnnGru
from earmark.models.crnn import SmallCRNN
from earmark.models.heads import HEADS, HeadOutput, mean_over_steps, valid_mask
from earmark.models.mbconv import ARCHITECTURES, MBConvNet
from earmark.models.resnet import ResNet50
from earmark.models.score_range import scaled
from earmark.models.settings import BackboneConfig, HeadConfig, TaggerConfig, first_reason
from earmark.tensor_files import load_tensors, load_weights, save_tensors
from earmark.timing import round_up

__all__ = [
    "BACKBONES",
    "BackboneConfig",
    "HeadConfig",
    "Scores",
    "Tagger",
    "TaggerConfig",
    "load_model",
    "rebuild_head",
    "save_model",
]


def _mbconv(config: BackboneConfig) -> nn.Module:
    return MBConvNet(config.name, config.padding, config.bn_eps, config.stochastic_depth)


BACKBONES: dict[str, Callable[[BackboneConfig], nn.Module]] = {
    **dict.fromkeys(ARCHITECTURES, _mbconv),
    "resnet50": lambda config: ResNet50(config.bn_eps),
    "crnn_small": lambda config: SmallCRNN(config.bn_eps),
    "cnn_gru": lambda config: CnnGru(config.bn_eps),
    "class_frame_resnet": lambda config: ClassFrameResNet(config.bn_eps),
}
"""Backbones by name. Each maps features (clip, 1, frame, mel) to an embedding (clip, step, channel), with
ceil(frames / `stride_frames`) steps and `num_channels` channels."""


class Scores(NamedTuple):
    """What a tagger says, in [0, 1].

    Attributes:
        framewise: (clip, step, tag); a step is `Tagger.stride_frames` feature frames; padded steps mean nothing. Where
            the config has `clip_frames`, these are frames of the fitted clip: repeated or reduced, no steps of time.
        clipwise: (clip, tag).
    """

    framewise: torch.Tensor
    clipwise: torch.Tensor


class Tagger(nn.Module):
    """Waveforms (clip, sample) at `rate_hz` to framewise and clipwise scores.

    A clip's scores depend on its own samples and its padded length, which depends on its own length and the settings
    only (`padded_samples`): alone or in any batch they are the same, in eval mode and fp32 to 1e-5. Autocast is the
    caller's choice and reaches the backbone only.
    """

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end = LogMel(config.front_end)
        self.backbone = BACKBONES[config.backbone.name](config.backbone)
        build_head, head = HEADS[config.head.name], config.head
        self.num_channels = int(self.backbone.num_channels)  # type: ignore[arg-type]
        self.stride_frames = int(self.backbone.stride_frames)  # type: ignore[arg-type]
        self.head = build_head(self.num_channels, len(config.vocabulary), head.dropout, head.num_heads)
        self.backbone_is_frozen = False

    @property
    def rate_hz(self) -> int:
        """The sample rate of the waveforms."""
        return self.config.front_end.rate_hz

    def trained_on(self) -> list[dict[str, Any]]:
        """What the model, or each member of an ensemble, was trained on; its ancestors' under "learned_from"."""
        return [self.config.trained_on]

    def padded_frames(self, num_frames: int) -> int:
        """Feature frames that a clip of `num_frames` is padded or cut to (before it is fitted to `clip_frames`)."""
        return self.config.fixed_frames or round_up(num_frames, self.stride_frames)

    def padded_samples(self, num_samples: int) -> int:
        """The waveform length that a clip of `num_samples` is padded or cut to: one for all with as many frames."""
        return self.front_end.samples_for_frames(self.padded_frames(self.front_end.num_frames(num_samples)))

    def features(
        self,
        waveform: torch.Tensor,
        num_samples: torch.Tensor | None = None,
        place: torch.Tensor | npt.NDArray[np.floating[Any]] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (clip, sample) to log-mel features (clip, frame, mel) and valid frames (clip,), always float32.

        Where the config has `clip_frames`, every clip is fitted to its `num_frames`, and all of them are valid.

        Args:
            place: where in each fitted clip the window that is learned from begins, (clip,) in [0, 1); None: no window.

        Raises:
            ValueError: there are places and nothing to cut windows of, or a place is not in [0, 1).
        """
        clip_frames = self.config.clip_frames
        if place is not None and clip_frames is None:
            raise ValueError("a window's place is of a clip fitted to clip_frames, and the config has none")
        num_frames = self.padded_frames(self.front_end.num_frames(waveform.shape[1]))
        with torch.autocast(waveform.device.type, enabled=False):
            features, num_valid_frames = self.front_end(waveform, num_samples, num_frames)
            if clip_frames is None:
                return features, num_valid_frames.clamp(max=num_frames)
            fitted = fit_frames(features, num_valid_frames, clip_frames, self.config.front_end, place)
        return fitted, torch.full_like(num_valid_frames, fitted.shape[1])

    def logits(self, features: torch.Tensor, num_valid_frames: torch.Tensor | None = None) -> HeadOutput:
        """Features (clip, frame, mel) and valid frames (clip,), None for all, to logits."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.backbone_is_frozen):
            embedding = self.backbone(features[:, None])
        output = self.head(embedding, self._pooled_steps(num_valid_frames))
        assert isinstance(output, HeadOutput)
        return output

    def forward(self, waveform: torch.Tensor, num_samples: torch.Tensor | None = None) -> Scores:
        """Scores of waveforms (clip, sample), int16 as packed or float32 in [-1, 1].

        Args:
            num_samples: valid samples of each clip, int64 (clip,); None when all are.
        """
        output = self.logits(*self.features(waveform, num_samples))
        return Scores(self._scores(output.framewise), self._scores(output.clipwise))

    def scores_and_embedding(
        self, waveform: torch.Tensor, num_samples: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Clipwise scores (clip, tag) and embeddings averaged over the pooled steps (clip, channel), float32."""
        features, num_valid_frames = self.features(waveform, num_samples)
        embedding = self.backbone(features[:, None])
        steps = self._pooled_steps(num_valid_frames)
        valid = valid_mask(embedding.shape[1], steps, embedding.device)
        return self._scores(self.head(embedding, steps).clipwise), mean_over_steps(embedding, valid)

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        return scaled(torch.sigmoid(logits), self.config.score_range)

    def freeze_backbone(self) -> None:
        """From now on only the head learns: the backbone has no gradients, and stays in eval mode in training too."""
        self.backbone_is_frozen = True
        self.backbone.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Puts the tagger in training mode, or in eval mode; a frozen backbone stays in eval mode."""
        super().train(mode)
        if self.backbone_is_frozen:
            self.backbone.eval()
        return self

    def _pooled_steps(self, num_valid_frames: torch.Tensor | None) -> torch.Tensor | None:
        """How many steps of each clip are pooled, those that hold a valid frame; None for all."""
        if num_valid_frames is None or self.config.head.pool_over == "all":
            return None
        return (num_valid_frames + self.stride_frames - 1) // self.stride_frames


def rebuild_head(tagger: Tagger, vocabulary: Vocabulary, head: HeadConfig | None = None) -> Tagger:
    """A tagger for another vocabulary with this one's front end and backbone; the given one is left as it is.

    The same tags in another order keep the head, its rows reordered; other tags, or another kind of head, get a new
    one, drawn with torch's generator, and neither thresholds nor a range of scores.

    Args:
        head: the new head's settings; None for the tagger's own.
    """
    old = tagger.config
    tags = tuple(vocabulary.tags)
    keeps = (
        set(tags) == set(old.vocabulary)
        and (head or old.head).model_copy(update={"dropout": old.head.dropout, "pool_over": old.head.pool_over})
        == old.head
    )
    order = [old.vocabulary.index(tag) for tag in tags] if keeps else []
    thresholds = tuple(old.thresholds[index] for index in order) if keeps and old.thresholds else None
    score_range = old.score_range.of_tags(order) if keeps and old.score_range else None
    by_tag = {"vocabulary": tags, "ids": vocabulary.ids, "thresholds": thresholds, "score_range": score_range}
    changes = {**by_tag, "head": head or old.head}
    rebuilt = Tagger(TaggerConfig.model_validate({**dict(old), **changes}))
    rebuilt.backbone.load_state_dict(tagger.backbone.state_dict())
    if keeps:
        rebuilt.head.load_state_dict(tagger.head.state_dict())
        rebuilt.head.take_tags(torch.tensor(order))
    return rebuilt.to(next(tagger.parameters()).device).train(tagger.training)


def save_model(tagger: Tagger, folder: Path) -> None:
    """Writes a model folder: `model.safetensors`, `README.md` (the model card) and, last, `config.json`.

    A folder without `config.json` is no model, so one that was being written when the process died is not mistaken for
    one.
    """
    (folder / "config.json").unlink(missing_ok=True)
    save_tensors(folder / "model.safetensors", tagger.state_dict())
    num_weights = sum(parameter.numel() for parameter in tagger.parameters())
    write_text(folder / "README.md", model_card(tagger.config.model_dump(mode="json"), num_weights))
    write_json(folder / "config.json", tagger.config.model_dump(mode="json"))


def load_model(folder: Path) -> Tagger:
    """The tagger of a model folder, or of a run folder's `model`, in eval mode on the CPU. Runs no code of the folder.

    Raises:
        InputError: there is no model, or a file of it is damaged, of another model, or lacks or has too much.
    """
    folder = model_folder(folder)
    tagger = Tagger(read_config(folder / "config.json"))
    weights, _ = load_tensors(folder / "model.safetensors")
    load_weights(tagger, weights, str(folder / "model.safetensors"))
    return tagger.eval()


def model_folder(folder: Path) -> Path:
    """The folder itself, or a run folder's `model`."""
    inside = Path(folder) / "model"
    is_run = not (Path(folder) / "config.json").is_file() and (inside / "config.json").is_file()
    return inside if is_run else Path(folder)


def is_ensemble(folder: Path) -> bool:
    """Whether a model folder's `config.json`, where there is one, is an ensemble's."""
    path = folder / "config.json"
    return path.is_file() and b'"ensemble"' in path.read_bytes()[:200]


def read_config(path: Path) -> TaggerConfig:
    """The settings in a tagger's `config.json`.

    Raises:
        InputError: there is none, or it is something else.
    """
    if not path.is_file():
        kind = kind_of_folder(path.parent)
        if kind in ("a data set", "a score store"):
            raise InputError(f"{path.parent}: must be a model folder or a run folder, this is {kind}; {ORDER}")
        raise InputError(f"a model folder (or a run folder with one) must hold config.json; there is no {path}")
    if is_ensemble(path.parent):
        raise InputError(f"{path.parent} is an ensemble, and one tagger is needed here; name one of its members")
    try:
        return TaggerConfig.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path}: {first_reason(error)}") from error
