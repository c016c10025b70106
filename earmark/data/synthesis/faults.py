"""Which labels get which fault: settings and draws made into faults."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.ontology import Ontology, audioset_ontology, tag_nodes
from earmark.data.statements import WEAK, BoolArray
from earmark.data.synthesis.corrupt_settings import CorruptSettings
from earmark.data.synthesis.draws import Draws, FloatArray, rank_within, share_of
from earmark.data.synthesis.planting import (
    Faults,
    Labels,
    Mistakes,
    above_and_below,
    draw_missing,
    draw_wrong,
    mistakes,
)
from earmark.data.synthesis.true_labels import TrueLabels
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError


@dataclass(frozen=True, eq=False)
class Planted:
    """True labels, and what is planted in them.

    Attributes:
        clips: the clip table that goes with the faults; another `labelled` and `verified` than the true one's.
        labels: the labels of `true.statements`.
        can_miss, can_be_wrong: the labels that the rates are shares of, (label,).
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
        InputError: a tag is not in the vocabulary, or a rate finds too few labels.
    """
    labels = true.labels
    strong = np.asarray(pc.equal(true.clips["labelled"], "strong"), dtype=np.bool_)
    weakened = strong & settings.weak
    timed = np.zeros(len(labels), np.bool_)
    timed[labels.of_row[true.statements.onset != WEAK]] = True
    verified = _verified(true, settings, draws)
    open_to_faults = (true.touchable & (verified != 1))[labels.clip_index]
    order = draws.of_labels("fault", labels.clip_index, labels.tag_index)
    can_miss = open_to_faults & _lies_where(labels, true.vocabulary, settings, ontology)
    missing = _missing(labels, can_miss, order, true.vocabulary, settings)
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
        rank = rank_within(np.zeros(len(rows), np.int64), draws.of_clips("verified")[rows])
        verified[rows] = rank < share_of(len(rows), settings.verified_share)
    return verified


def _lies_where(
    labels: Labels, vocabulary: Vocabulary, settings: CorruptSettings, ontology: Ontology | None
) -> BoolArray:
    """The labels that lie where `missing_from` says, (label,)."""
    if settings.missing_from == "all":
        return np.ones(len(labels), np.bool_)
    above, below = above_and_below(labels, tag_nodes(vocabulary, ontology or audioset_ontology()).ancestors)
    return above if settings.missing_from == "parents" else below


def _missing(
    labels: Labels, can_miss: BoolArray, order: FloatArray, vocabulary: Vocabulary, settings: CorruptSettings
) -> BoolArray:
    by_tag = {_index(vocabulary, tag, "missing_by_tag"): rate for tag, rate in settings.missing_by_tag.items()}
    if settings.missing_rate or any(by_tag.values()):
        _refuse_no_labels(f"missing_rate with missing_from={settings.missing_from}", can_miss)
    return draw_missing(labels, can_miss, order, settings.missing_rate, by_tag)


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
