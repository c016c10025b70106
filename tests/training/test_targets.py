"""Where targets come from: a teacher's scores and weak labels as one target."""

import numpy as np
import pytest
import torch

from earmark.data.clips import Excerpts
from earmark.data.statements import ClipLabels
from earmark.data.vocabulary import Vocabulary
from earmark.losses import bce_with_logits, clipwise_bce
from earmark.tag_map import TagMap
from earmark.training.targets import SoftLabels, WeakLabels

# Clips 0 and 1 have tag 0; clip 2 tags 1 and 3; clip 3 was not annotated; tag 2 was annotated nowhere.
LABELS = ClipLabels(
    np.array([0, 1, 2, 4, 4]), np.array([0, 0, 1, 3], np.int32), np.array([1, 0.5, 1, 1], np.float32),
    np.array([1, 1, 1, 0], np.float32), np.array([1, 1, 0, 1], np.float32),
)  # fmt: skip
# Two chunks a clip, and their scores in a store where other chunks stand between.
CHUNKS = Excerpts(np.repeat(np.arange(4), 2), np.tile([0, 100], 4), np.full(8, 100))
SCORE_ROW = np.array([3, 4, 11, 12, 7, 8, 0, 1])
WEAK = WeakLabels(LABELS, CHUNKS)
POSITIONS = np.array([5, 0, 7, 2])


def stored(num_tags: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((13, num_tags)).astype(np.float16)


def soft_labels(alpha: float, tag_map: TagMap | None = None) -> SoftLabels:
    scores = stored(4 if tag_map is None else len(tag_map.model))
    return SoftLabels(lambda rows: scores[rows].astype(np.float32), SCORE_ROW, WEAK, alpha, tag_map)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("mapped", [False, True])
def test_its_loss_is_the_mixture_of_both_losses(alpha: float, mapped: bool) -> None:
    tag_map, knows, scores = None, torch.ones(4), torch.from_numpy(stored()[SCORE_ROW[POSITIONS]]).float()
    if mapped:  # the data set's tag 1 is the greater of the teacher's 0 and 2, and 2 is its 1
        tag_map = TagMap(Vocabulary(("a", "b", "c", "d")), Vocabulary(("x", "y", "z")), {"b": (0, 2), "c": (1,)})
        knows = torch.tensor([0.0, 1.0, 1.0, 0.0])
        teacher = torch.from_numpy(stored(3)[SCORE_ROW[POSITIONS]]).float()
        scores = torch.zeros(4, 4)
        scores[:, 1], scores[:, 2] = torch.maximum(teacher[:, 0], teacher[:, 2]), teacher[:, 1]
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    weak, mixed = WEAK.at(POSITIONS), soft_labels(alpha, tag_map).at(POSITIONS)
    expected = alpha * clipwise_bce(logits, scores, knows) + (1 - alpha) * clipwise_bce(
        logits, weak.clipwise, weak.clipwise_weight
    )
    torch.testing.assert_close(clipwise_bce(logits, mixed.clipwise, mixed.clipwise_weight), expected)
    by_element = alpha * bce_with_logits(logits, scores, knows) + (1 - alpha) * bce_with_logits(
        logits, weak.clipwise, weak.clipwise_weight
    )
    torch.testing.assert_close(bce_with_logits(logits, mixed.clipwise, mixed.clipwise_weight), by_element)
    assert mixed.clipwise.dtype == mixed.clipwise_weight.dtype == torch.float32
    assert mixed.clipwise.min() >= 0
    assert mixed.clipwise.max() <= 1


def test_without_the_teachers_share_they_are_the_weak_labels_to_the_bit() -> None:
    weak, mixed = WEAK.at(POSITIONS), soft_labels(0.0).at(POSITIONS)
    assert torch.equal(mixed.clipwise_weight, weak.clipwise_weight)
    known = weak.clipwise_weight > 0
    assert torch.equal(mixed.clipwise[known], weak.clipwise[known])


def test_with_nothing_but_the_teachers_share_they_are_its_scores_of_clips_without_labels_too() -> None:
    mixed = soft_labels(1.0).at(POSITIONS)
    torch.testing.assert_close(mixed.clipwise, torch.from_numpy(stored()[SCORE_ROW[POSITIONS]]).float())
    assert torch.equal(mixed.clipwise_weight, torch.ones(4, 4))


def test_what_neither_knows_has_no_weight() -> None:
    tag_map = TagMap(Vocabulary(("a", "b", "c", "d")), Vocabulary(("x",)), {"a": (0,)})
    weight = soft_labels(0.5, tag_map).at(POSITIONS).clipwise_weight
    # Position 7 is of the clip that was not annotated, and tag 2 was annotated nowhere.
    assert weight.tolist() == [[1, 0.5, 0, 0.5], [1, 0.5, 0, 0.5], [0.5, 0, 0, 0], [1, 0.5, 0, 0.5]]
