"""What an evaluation takes from splits other than its own: thresholds from validation, counts from training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.packs import Pack
from earmark.data.statements import COUNTED
from earmark.errors import InputError
from earmark.metrics.clipwise_thresholds import best_f1_thresholds
from earmark.models.ensemble import Model
from earmark.scores.predict import FloatArray, clip_scores
from earmark.scores.split_rows import own_splits, trained_here

VALIDATION = "validation"
PLAIN_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Thresholds:
    """A threshold for each tag, (tag,), and what it was chosen on; .5 for tags without a positive clip there."""

    values: npt.NDArray[np.float64]
    split: str
    labels: str
    num_clips: int
    num_plain: int

    def about(self) -> dict[str, Any]:
        """Where they are from, as an evaluation holds it."""
        return {
            "split": self.split,
            "labels": self.labels,
            "num_clips": self.num_clips,
            "tags_without_positives": self.num_plain,
        }


@dataclass(frozen=True, eq=False)
class Context:
    """What is known of other splits; None where it is not.

    Attributes:
        training_clips: that have each tag by the labels that the model was trained with, (tag,).
    """

    thresholds: Thresholds | None = None
    training_clips: IntArray | None = None


NO_CONTEXT = Context()


def context_of(tagger: Model, dataset: Dataset, pack: Pack, split: str, layer: str, device: torch.device) -> Context:
    """The context of an evaluation on a split against a label layer; scores the validation split, if that is another.

    A model that has no splits of its own, as one whose members were trained on each other's validation clips, has no
    thresholds.
    """
    records = tagger.trained_on()
    try:
        splits = own_splits(records, dataset)
    except InputError:
        return NO_CONTEXT
    here = trained_here(records, dataset)
    learned_from = {str(about.get("labels")) for about in here}
    training = None
    if len(learned_from) == 1 and learned_from <= set(dataset.layers()):
        training = dataset.labels(learned_from.pop()).counts(splits.train)
    thresholds = None
    if split != VALIDATION and len(splits.validation):
        used, scores = clip_scores(tagger, pack, splits.validation, device=device)
        thresholds = thresholds_on_validation(dataset, used, scores, layer)
    return Context(thresholds, training)


def thresholds_on_validation(dataset: Dataset, rows: IntArray, scores: FloatArray, layer: str) -> Thresholds | None:
    """Each tag's threshold with the greatest F1 on clips of the validation split; None where no tag has a positive.

    Chosen by the labels asked for, but never by the truth about planted faults, which nothing is tuned on.

    Args:
        rows: the validation clips that were scored.
        scores: theirs, (clip, tag).
    """
    by = GIVEN if dataset.is_truth(layer) else layer
    labels = dataset.labels(by)
    found = best_f1_thresholds(labels.rows(rows) >= COUNTED, scores, labels.weights(rows))
    plain = np.isnan(found)
    if plain.all():
        return None
    return Thresholds(np.where(plain, PLAIN_THRESHOLD, found), VALIDATION, by, len(rows), int(plain.sum()))
