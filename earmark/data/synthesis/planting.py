"""Which labels get which fault: settings and draws made into faults."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread
from earmark.data.ontology import Ontology, audioset_ontology, tag_nodes
from earmark.data.statements import WEAK, BoolArray
from earmark.data.synthesis.draws import (
    Draws,
    FloatArray,
    Mistakes,
    draw_missing,
    draw_wrong,
    mistakes,
    rank_within,
    share_of,
)
from earmark.data.synthesis.faults import Faults, Labels
from earmark.data.synthesis.true_labels import TrueLabels
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError

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
    imbalance: float = Field(
        1.0, ge=1, le=1e6, description="clips of the most frequent tag over the rarest, by dropping clips; 1: as is"
    )
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

    @property
    def plants_nothing(self) -> bool:
        """Whether labels and clips stay as they are, but for what is called verified."""
        can_miss = self.missing_rate > 0 or any(rate > 0 for rate in self.missing_by_tag.values())
        return not (can_miss or self.wrong_rate or self.imbalance > 1 or self.weak or self.add_ancestors)

    @property
    def reads_ontology(self) -> bool:
        """Whether anything depends on which tags are kinds of which."""
        return self.add_ancestors or self.missing_from != "all"


@dataclass(frozen=True, eq=False)
class Planted:
    """True labels, and what is planted in them.

    Attributes:
        clips: the clip table that goes with the faults; another `labelled` and `verified` than the true one's.
        labels: the labels of `true.statements`.
        can_miss, can_be_wrong: the labels that rates above 0 are shares of, (label,).
    """

    true: TrueLabels
    clips: pa.Table
    labels: Labels
    faults: Faults
    can_miss: BoolArray
    can_be_wrong: BoolArray


def plant(true: TrueLabels, settings: CorruptSettings, draws: Draws, ontology: Ontology | None = None) -> Planted:
    """The faults of the settings.

    Raises:
        InputError: a tag is not in the vocabulary, or a setting finds too few labels or clips.
    """
    labels = true.labels
    strong = np.asarray(pc.equal(true.clips["labelled"], "strong"), dtype=np.bool_)
    if settings.weak and not strong.any():
        raise InputError(f"weak must find clips labelled strong, found none of {len(strong)}; leave it out")
    weakened = strong & settings.weak
    timed = np.zeros(len(labels), np.bool_)
    timed[labels.of_row[true.statements.onset != WEAK]] = True
    verified = _verified(true, settings, draws)
    open_to_faults = (true.touchable & (verified != 1))[labels.clip_index]
    order = draws.of_labels("fault", labels.clip_index, labels.tag_index)
    lies_where = _lies_where(labels, true.vocabulary, settings, ontology)
    can_miss, missing = _missing(labels, open_to_faults & lies_where, order, true.vocabulary, settings)
    mistaken = _mistakes(true, labels, open_to_faults, order, draws, settings)
    wrong = draw_wrong(mistaken, missing, order, settings.wrong_rate)
    faults = Faults(timed & weakened[labels.clip_index], missing, np.where(wrong, mistaken.target, -1))
    columns = {
        "labelled": pc.if_else(pa.array(weakened), "weak", true.clips["labelled"]),
        "verified": pa.array(verified == 1, mask=verified < 0),
    }
    clips = true.clips
    for name, column in columns.items():
        clips = clips.set_column(clips.column_names.index(name), name, column)
    return Planted(true, clips, labels, faults, can_miss, mistaken.can)


def _verified(true: TrueLabels, settings: CorruptSettings, draws: Draws) -> npt.NDArray[np.int8]:
    """1 for verified clips, 0 for others, -1 where nobody says, (clip,)."""
    verified = np.asarray(pc.fill_null(true.clips["verified"].cast(pa.int8()), -1), dtype=np.int8).copy()
    if settings.verified_share is not None:
        rows = np.flatnonzero(true.touchable)
        if not len(rows):
            raise InputError(
                f"verified_share must find clips that can be verified, found none of {len(verified)}; clips that are "
                "not labelled, or kept by fold or split, cannot"
            )
        rank = rank_within(np.zeros(len(rows), np.int64), draws.of_clips("verified")[rows])
        verified[rows] = rank < share_of(len(rows), settings.verified_share)
    return verified


def _lies_where(
    labels: Labels, vocabulary: Vocabulary, settings: CorruptSettings, ontology: Ontology | None
) -> BoolArray:
    """The labels that lie where `missing_from` says, (label,)."""
    if settings.missing_from == "all":
        return np.ones(len(labels), np.bool_)
    above, below = above_and_below(
        labels, tag_nodes(vocabulary, audioset_ontology() if ontology is None else ontology).ancestors
    )
    return above if settings.missing_from == "parents" else below


def _missing(
    labels: Labels, can_miss: BoolArray, order: FloatArray, vocabulary: Vocabulary, settings: CorruptSettings
) -> tuple[BoolArray, BoolArray]:
    """The labels that rates above 0 are shares of, and those that are missing, (label,) each."""
    by_tag = {_index(vocabulary, tag, "missing_by_tag"): rate for tag, rate in settings.missing_by_tag.items()}
    rate_of_tag = np.full(len(vocabulary), settings.missing_rate)
    rate_of_tag[list(by_tag)] = list(by_tag.values())
    can_miss = can_miss & (rate_of_tag > 0)[labels.tag_index]
    if rate_of_tag.any():
        _refuse_no_labels(f"missing_rate with missing_from={settings.missing_from}", can_miss)
    return can_miss, draw_missing(labels, can_miss, order, settings.missing_rate, by_tag)


def _mistakes(
    true: TrueLabels,
    labels: Labels,
    can_be_wrong: BoolArray,
    order: FloatArray,
    draws: Draws,
    settings: CorruptSettings,
) -> Mistakes:
    if not settings.wrong_rate:
        return Mistakes(np.zeros(len(labels), np.bool_), np.full(len(labels), -1))
    choice = draws.of_labels("mistaken for", labels.clip_index, labels.tag_index)
    found = mistakes(labels, can_be_wrong, order, choice, _confusable(true, settings))
    _refuse_no_labels("wrong_rate", found.can)
    return found


def _confusable(true: TrueLabels, settings: CorruptSettings) -> BoolArray:
    """`[i, j]`: tag i may be mistaken for tag j, (tag, tag)."""
    vocabulary = true.vocabulary
    if not settings.wrong_pairs:
        # What nobody was asked about is given to no clip.
        return np.broadcast_to(true.annotated, (len(vocabulary), len(vocabulary)))
    confusable = np.zeros((len(vocabulary), len(vocabulary)), np.bool_)
    for tag, others in settings.wrong_pairs.items():
        columns = [_index(vocabulary, other, "wrong_pairs") for other in others]
        confusable[_index(vocabulary, tag, "wrong_pairs"), columns] = True
    return confusable


def _index(vocabulary: Vocabulary, tag: str, setting: str) -> int:
    try:
        return vocabulary.index(tag)
    except InputError as error:
        raise InputError(f"{setting}: {error}") from error


def _refuse_no_labels(setting: str, can: BoolArray) -> None:
    if not can.any():
        raise InputError(
            f"{setting} must find labels that can get the fault, found none of {len(can)}; clips that are verified, "
            "not labelled, or kept by fold or split get none"
        )


def above_and_below(labels: Labels, ancestors: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Which labels are above, and which are below, another label of their clip, (label,) each.

    Args:
        ancestors: `ancestors[i, j]`: tag j is above tag i, (tag, tag).
    """
    _, first, count = np.unique(labels.clip_index, return_index=True, return_counts=True)
    others = np.repeat(count, count)
    lower = np.repeat(np.arange(len(labels)), others)
    # Every label beside every label of its clip.
    upper = np.arange(len(lower)) + np.repeat(np.repeat(first, count) - (np.cumsum(others) - others), others)
    related = ancestors[labels.tag_index[lower], labels.tag_index[upper]]
    above, below = np.zeros(len(labels), np.bool_), np.zeros(len(labels), np.bool_)
    above[upper[related]] = below[lower[related]] = True
    return above, below
