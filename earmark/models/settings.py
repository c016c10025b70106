"""A tagger's settings: everything about a model but its weights, as `config.json` holds it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from earmark.config import Settings, what_must_hold
from earmark.data.chunking import Chunking
from earmark.errors import did_you_mean, first_few
from earmark.features import ClipFrames, FrontEnd
from earmark.models.heads import HEADS
from earmark.models.mbconv import Padding

# Padding and BatchNorm epsilon of the weights that each network is usually started from: the bundled Lite0 and the
# EfficientNets that PSLA used are TensorFlow's, timm's MobileNetV2 is torch's.
_USUAL: dict[str, tuple[Padding, float]] = {
    "mobilenetv2": ("symmetric", 1e-5),
    "efficientnet_lite0": ("same", 1e-3),
    "efficientnet_b0": ("same", 1e-3),
    "efficientnet_b1": ("same", 1e-3),
    "efficientnet_b2": ("same", 1e-3),
    "resnet50": ("symmetric", 1e-5),
    "crnn_small": ("symmetric", 1e-5),
    "cnn_gru": ("symmetric", 1e-5),
    "class_frame_resnet": ("symmetric", 1e-5),
}
PLAIN = ("resnet50", "crnn_small", "cnn_gru", "class_frame_resnet")
"""Backbones with symmetric padding only, and no stochastic depth."""


class BackboneConfig(Settings):
    """The embedding net; padding and epsilon belong to the pretrained weights and default to the usual ones'."""

    name: str = Field(default="efficientnet_lite0", description=f"one of {', '.join(_USUAL)}")
    padding: Padding = Field(default="same", description="symmetric (torch) or same (TensorFlow); default by backbone")
    bn_eps: float = Field(default=1e-3, gt=0, description="epsilon of every BatchNorm; default by backbone")
    stochastic_depth: float = Field(
        default=0.0, ge=0, lt=1, description="rate at which the last block is dropped in training, rising from 0"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_constants(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        name = values.get("name", "efficientnet_lite0")
        if not isinstance(name, str) or name not in _USUAL:
            raise ValueError(f'unknown backbone "{name}"{did_you_mean(str(name), _USUAL)}')
        padding, bn_eps = _USUAL[name]
        return {"name": name, "padding": padding, "bn_eps": bn_eps} | values

    @model_validator(mode="after")
    def _only_what_is_read(self) -> Self:
        if self.name in PLAIN and (self.stochastic_depth > 0 or self.padding != "symmetric"):
            raise ValueError(f"{self.name} has padding symmetric and no stochastic_depth")
        return self


class HeadConfig(Settings):
    """What makes clipwise logits of the embedding."""

    name: str = Field(default="mean", description=f"one of {', '.join(HEADS)}")
    num_heads: int = Field(default=4, ge=1, description="heads of multi_head_attention; read by no other")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="rate of dropped embedding values in training")
    pool_over: Literal["valid", "all"] = Field(
        default="valid", description="the steps that are pooled: those with a valid frame, or all of the padded clip's"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in HEADS:
            raise ValueError(f'unknown head "{self.name}"{did_you_mean(self.name, HEADS)}')
        return self


Score = Annotated[float, Field(ge=0, le=1)]


class ScoreRange(Settings):
    """The scores of each tag that become 0 and 1; those between are scaled evenly, those beyond are clipped.

    Source: He et al. 2020, section 2.3: z-scores and then min-max, which together are min-max.
    """

    on: Literal["validation", "test"] = Field(description="the split whose clips' scores they are")
    low: tuple[Score, ...] = Field(description="each tag's lowest score there")
    high: tuple[Score, ...] = Field(description="each tag's highest; a tag whose two are equal is not scaled")

    @model_validator(mode="after")
    def _low_to_high(self) -> Self:
        if len(self.low) != len(self.high):
            raise ValueError(f"low and high must be one a tag, found {len(self.low)} and {len(self.high)}")
        wrong = [index for index, (low, high) in enumerate(zip(self.low, self.high, strict=True)) if low > high]
        if wrong:
            raise ValueError(f"low must be at most high, it is more for tag {first_few(map(str, wrong))} (from 0)")
        return self

    def of_tags(self, order: Sequence[int]) -> Self:
        """The range for tags in another order: new tag i is the tag that was `order[i]`."""
        low, high = (tuple(values[index] for index in order) for values in (self.low, self.high))
        return self.model_copy(update={"low": low, "high": high})


class TaggerConfig(Settings):
    """Everything about a tagger but its weights."""

    format_version: Literal[1] = 1
    front_end: FrontEnd
    backbone: BackboneConfig = BackboneConfig()
    head: HeadConfig = HeadConfig()
    vocabulary: tuple[str, ...] = Field(min_length=1, description="tags in the order of the scores")
    ids: tuple[str, ...] | None = Field(default=None, description="their ids in the ontology or data set")
    fixed_frames: int | None = Field(default=None, ge=1, description="frames that every clip is padded or cut to")
    clip_frames: ClipFrames | None = Field(
        default=None, description="how every clip is repeated or reduced to one number of frames; null: it is not"
    )
    training_length_s: float | None = Field(default=None, gt=0, description="length of the training waveforms")
    chunking: Chunking | None = Field(
        default=None, description="how whole clips are scored: cut into chunks, the mean of their scores; null: whole"
    )
    thresholds: tuple[float, ...] | None = Field(default=None, description="scores from which a tag counts as present")
    score_range: ScoreRange | None = Field(default=None, description="how scores are scaled; null: they are not")
    trained_on: dict[str, Any] = Field(default_factory=dict, description="data set, labels, recipe, date ...")

    @model_validator(mode="after")
    def _one_way_to_fit(self) -> Self:
        if self.clip_frames is not None and self.fixed_frames is not None:
            raise ValueError(
                "clips are padded to fixed_frames or repeated to clip_frames, not both; set one of them to null"
            )
        return self

    @model_validator(mode="after")
    def _one_of_each_a_tag(self) -> Self:
        if len(set(self.vocabulary)) != len(self.vocabulary):
            twice = sorted({tag for tag in self.vocabulary if self.vocabulary.count(tag) > 1})
            raise ValueError(f"tags must be unique, found more than once: {first_few(twice)}")
        range_of = None if self.score_range is None else self.score_range.low
        for name, values in (("ids", self.ids), ("thresholds", self.thresholds), ("score_range", range_of)):
            if values is not None and len(values) != len(self.vocabulary):
                raise ValueError(f"{name} must be one a tag ({len(self.vocabulary)}), found {len(values)}")
        return self


def first_reason(error: ValidationError) -> str:
    """The first thing wrong with a tagger's config, in one line; an unknown key comes with the nearest known one."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        return ": ".join(filter(None, [".".join(path), what_must_hold(first)]))
    known: type[BaseModel] = TaggerConfig
    for part in path[:-1]:
        annotation = known.model_fields[part].annotation
        # A group that may be null is a union; its settings are those of the part that is a model.
        models = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        known = next(kind for kind in models if issubclass(kind, BaseModel))
    return f'unknown key "{path[-1]}"{did_you_mean(path[-1], known.model_fields)}'
