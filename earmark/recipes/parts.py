"""Steps that recipes share: the tagger to begin with, the length of a training waveform."""

import functools
import logging
import math
from collections.abc import Callable, Iterator
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts, random_windows, read_batch
from earmark.data.packs import Pack
from earmark.data.sampling import (
    Order,
    balanced_clip_weights,
    class_cyclic,
    epoch_generator,
    shuffled,
    tags_of_items,
    weighted,
)
from earmark.data.statements import ClipLabels
from earmark.data.vocabulary import Vocabulary
from earmark.errors import did_you_mean
from earmark.features import PRESETS, FrontEnd, LogMel, normalisation_from
from earmark.models.heads import HEADS
from earmark.models.pretrained import PRETRAINABLE, load_imagenet
from earmark.models.settings import PLAIN, BackboneConfig, HeadConfig, TaggerConfig
from earmark.models.tagger import BACKBONES, Tagger
from earmark.timing import samples_from_seconds

log = logging.getLogger(__name__)

LONGEST_CHUNK_S = 10.0
NORMALISE_CLIPS = 500


class ModelSettings(Settings):
    """The tagger that training begins with, unless it is given one."""

    front_end: Literal["psl", "psla", "staged", "staged_power", "class_frame"] = Field(
        "psl",
        description="psl (64 mels), psla (128 mels), both 16 kHz; staged (80 mels of magnitudes), staged_power "
        "(of powers), class_frame (64 mels, each clip from 0 to 1), all 44.1 kHz",
    )
    normalise: bool = Field(
        True, description="normalise features by the training split's mean and deviation (but class_frame's)"
    )
    backbone: str = Field(
        "efficientnet_lite0",
        description="efficientnet_lite0, _b0, _b1 or _b2, mobilenetv2, resnet50, crnn_small, cnn_gru, "
        "class_frame_resnet",
    )
    pretrained: str | None = Field(
        "bundled", description="bundled (ImageNet, efficientnet_lite0 only), a timm safetensors file, or null: none"
    )
    stem: Literal["sum", "random"] = Field("sum", description="how the pretrained colour stem becomes one channel")
    padding: Literal["symmetric", "same"] | None = Field(None, description="null: the usual of the backbone")
    bn_eps: float | None = Field(None, gt=0, description="epsilon of BatchNorm; null: the usual of the backbone")
    stochastic_depth: float = Field(0.0, ge=0, lt=1, description="rate at which the last block is dropped in training")
    head: str = Field(
        "mean",
        description="mean, max, linear_softmax, attention, multi_head_attention, sigmoid_mean, sigmoid_softmax or "
        "sigmoid_sparsemax",
    )
    num_heads: int = Field(4, ge=1, description="heads of multi_head_attention")
    dropout: float = Field(0.0, ge=0, lt=1, description="rate at which embedding values are dropped in training")
    fixed_frames: int | None = Field(
        None, ge=1, description="feature frames that every clip is padded or cut to; null: its own, in whole steps"
    )
    pad_before_normalising: bool = Field(
        False, description="psla: mask and pad before normalising, as its released code does; else with the mean"
    )
    pool_over: Literal["valid", "all"] = Field("valid", description="pool over valid steps or over all, padded too")

    @field_validator("backbone", "head")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        known = BACKBONES if info.field_name == "backbone" else HEADS
        if name not in known:
            hint = "; the sigmoid alone is mean" if name == "sigmoid" else did_you_mean(name, known)
            raise ValueError(f"unknown {info.field_name}{hint}")
        return name

    @model_validator(mode="after")
    def _are_read(self) -> Self:
        refuse_unread(self, self.head == "multi_head_attention", "head=multi_head_attention", "num_heads")
        refuse_unread(self, self.pretrained is not None, "pretrained weights", "stem")
        refuse_unread(self, self.front_end == "psla", "front_end=psla", "pad_before_normalising")
        if self.backbone in PLAIN and (self.stochastic_depth or self.padding == "same"):
            raise ValueError(f"{self.backbone} has padding symmetric and no stochastic_depth; set stochastic_depth=0")
        if self.pretrained == "bundled" and self.backbone != "efficientnet_lite0":
            other = " or a timm file of it" if self.backbone in PRETRAINABLE else ""
            raise ValueError(
                f"pretrained=bundled is efficientnet_lite0's; for {self.backbone} set pretrained=null{other}"
            )
        return self

    def tagger_config(self, vocabulary: Vocabulary, front_end: FrontEnd, length_s: float) -> TaggerConfig:
        """The tagger's own settings."""
        chosen = {"name": self.backbone, "stochastic_depth": self.stochastic_depth}
        usual = {"padding": self.padding, "bn_eps": self.bn_eps}
        return TaggerConfig.model_validate(
            {
                "front_end": front_end,
                "backbone": BackboneConfig.model_validate(chosen | {k: v for k, v in usual.items() if v is not None}),
                "head": HeadConfig(
                    name=self.head, num_heads=self.num_heads, dropout=self.dropout, pool_over=self.pool_over
                ),
                "vocabulary": vocabulary.tags,
                "ids": vocabulary.ids,
                "fixed_frames": self.fixed_frames,
                "training_length_s": length_s,
            }
        )


def new_tagger(
    settings: ModelSettings, vocabulary: Vocabulary, pack: Pack, clips: Excerpts, length_s: float, seed: int
) -> Tagger:
    """A tagger with the settings' front end, normalised on the training clips, and pretrained weights if any."""
    front_end = PRESETS[settings.front_end]
    if settings.pad_before_normalising:
        front_end = front_end.model_copy(update={"pad_before_normalising": True})
    # A front end that scales each clip by itself leaves nothing to normalise.
    if settings.normalise and not front_end.min_max:
        front_end = normalised(front_end, pack, clips, length_s, seed)
    tagger = Tagger(settings.tagger_config(vocabulary, front_end, length_s))
    if settings.pretrained is not None:
        load_imagenet(tagger.backbone, settings.pretrained, settings.stem)
    return tagger


def normalised(front_end: FrontEnd, pack: Pack, clips: Excerpts, length_s: float, seed: int) -> FrontEnd:
    """The front end with mean and deviation of the clips' features (of at most 500 of them, drawn by the seed)."""
    length = samples_from_seconds(length_s, pack.rate_hz)
    raw = LogMel(front_end.model_copy(update={"mean": 0.0, "std": 1.0}))
    generator = epoch_generator(seed, 0, "normalisation")
    chosen = np.sort(generator.permutation(len(clips))[:NORMALISE_CLIPS])
    parts = random_windows(clips.at(chosen), length, generator.random(len(chosen)))

    def features() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for first in range(0, len(parts), 16):
            batch = read_batch(pack, parts.at(np.arange(first, min(first + 16, len(parts)))), length)
            yield raw(batch.waveform, batch.num_samples, None)

    mean, std = normalisation_from(features())
    log.info("features of %d training clips: mean %.3f, standard deviation %.3f", len(parts), mean, std)
    return front_end.model_copy(update={"mean": mean, "std": std})


def sampling_order(
    sampling: Literal["shuffled", "balanced", "class_cyclic"], labels: ClipLabels, excerpts: Excerpts, seed: int
) -> Callable[[int], Order]:
    """The positions of an epoch, given the epoch: each excerpt once, or as many drawn so that rare tags are favoured.

    An excerpt has its clip's tags. Drawn: with a weight that is the greater the rarer the tags, or tag by tag in turn.
    """
    if sampling == "shuffled":
        return functools.partial(shuffled, len(excerpts), seed)
    indptr, tags = tags_of_items(labels.indptr, labels.tag_index, labels.value, excerpts.clip_index)
    if sampling == "class_cyclic":
        return functools.partial(class_cyclic, indptr, tags, len(excerpts), seed)
    weights = balanced_clip_weights(indptr, tags, np.bincount(tags, minlength=len(labels.tag_weight)))
    return functools.partial(weighted, weights, len(excerpts), seed)


def learned_from(
    clips: Excerpts, chunking: Chunking | None, length_s: float, rate_hz: int
) -> tuple[Excerpts, int | None]:
    """What is learned from, and the samples of every training waveform: clips by windows of `length_s`; or chunks.

    These come as they are (None): one that is joined by a shorter last one makes its own batch longer, and no other.
    """
    if chunking is None:
        return clips, samples_from_seconds(length_s, rate_hz)
    return chunking.cut(clips, rate_hz), None


def training_length_s(
    clips: Excerpts,
    chunk_s: float | None,
    rate_hz: int,
    chunking: Chunking | None = None,
    most_s: float = LONGEST_CHUNK_S,
) -> float:
    """The length of a training waveform, seconds: as set, else the longest clip's, at most `most_s` or a chunk's."""
    if chunk_s is not None:
        return chunk_s
    longest_s = float(clips.num_samples.max()) / rate_hz
    most_s = max(most_s, chunking.chunk_s if chunking else 0.0)
    return min(most_s, math.ceil(longest_s * 100) / 100)
