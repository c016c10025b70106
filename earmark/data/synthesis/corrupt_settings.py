"""The settings of `corrupt`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread

Rate = Annotated[float, Field(ge=0, le=1)]


class CorruptSettings(Settings):
    """What faults are planted, where, and how many. A label here is a clip with one of its tags."""

    missing_rate: Rate = Field(0.0, description="share of the labels that are taken away")
    missing_by_tag: dict[str, Rate] = Field({}, description="{tag: rate} in place of missing_rate")
    missing_from: Literal["all", "parents", "children"] = Field(
        "all", description="which labels can miss; parents, children: above, below another tag of their clip"
    )
    wrong_rate: Rate = Field(0.0, description="share of the labels whose tag becomes another one")
    wrong_pairs: dict[str, list[str]] = Field(
        {}, description="{tag: [tags it is mistaken for]}, no other tag is; {}: every tag for any that the clip lacks"
    )
    imbalance: float = Field(1.0, ge=1, le=1e6, description="clips of the most frequent tag over the rarest; 1: as is")
    verified_share: Rate | None = Field(
        None, description="share of the clips that become verified and stay right; null: as the data set says"
    )
    weak: bool = Field(False, description="events lose their times")
    add_ancestors: bool = Field(False, description="first, clips get the ancestors of their tags")
    keep_folds: list[int] = Field([], description="folds that stay right, but for weak and add_ancestors")
    keep_splits: list[Literal["train", "validation", "test"]] = Field(
        [], description="splits that stay right, but for weak and add_ancestors"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        can_miss = self.missing_rate > 0 or any(rate > 0 for rate in self.missing_by_tag.values())
        refuse_unread(self, can_miss, "missing_rate or missing_by_tag", "missing_from")
        refuse_unread(self, self.wrong_rate > 0, "wrong_rate", "wrong_pairs")
        for tag, others in self.wrong_pairs.items():
            if not others or tag in others or len(set(others)) < len(others):
                raise ValueError(f'wrong_pairs must give "{tag}" other tags, each once, got {others}')
        return self
