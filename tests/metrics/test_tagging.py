import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, f1_score, label_ranking_average_precision_score, roc_auc_score

from earmark.errors import InputError
from earmark.metrics import tagging
from earmark.metrics.tagging import (
    average_precision,
    average_precision_and_roc_auc,
    d_prime,
    lwlrap,
    macro_f1,
    map_at_k,
    mean_average_precision,
    mean_roc_auc,
    roc_auc,
)
from tests.reference import plain_tagging

VECTOR_TRUTH = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])
EVERY_FLOAT = [mean_average_precision, mean_roc_auc, d_prime, lwlrap, map_at_k, macro_f1]


@st.composite
def clips_by_tags(draw, max_clips=10, max_tags=5):
    """truth, scores with many ties, weights with many zeros; each (clip, tag)."""
    num_clips, num_tags = draw(st.integers(1, max_clips)), draw(st.integers(1, max_tags))

    def array(cell):
        row = st.lists(cell, min_size=num_tags, max_size=num_tags)
        return np.array(draw(st.lists(row, min_size=num_clips, max_size=num_clips)))

    levels = draw(st.integers(1, 8))
    scores = array(st.integers(0, levels)) / levels
    return array(st.booleans()), scores, array(st.sampled_from([0.0, 0.5, 1.0, 1.0]))


def random_clips(num_clips, num_tags, density, levels=None, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((num_clips, num_tags)) < density
    scores = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1)
    return truth, scores if levels is None else np.round(scores * levels) / levels


@given(clips_by_tags())
def test_equals_the_plain_versions_with_ties_and_gaps(arrays):
    truth, scores, weights = arrays
    rows = [array.tolist() for array in arrays]
    for ours, plain in (
        (average_precision, plain_tagging.plain_average_precision),
        (roc_auc, plain_tagging.plain_roc_auc),
    ):
        np.testing.assert_allclose(ours(*arrays), plain_tagging.plain_by_tag(plain, *rows), rtol=0, atol=1e-12)
    assert lwlrap(*arrays) == pytest.approx(plain_tagging.plain_lwlrap(*rows), abs=1e-12, nan_ok=True)
    for k in (1, 2, 3):
        expected = plain_tagging.plain_map_at_k(*rows, k)
        assert map_at_k(truth, scores, weights, k) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    f1 = plain_tagging.plain_by_tag(lambda true, score: plain_tagging.plain_f1(true, score, 0.5), *rows)
    assert macro_f1(*arrays) == pytest.approx(plain_tagging.plain_mean(f1), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("levels", [None, 20, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scikit_learn(levels, dtype):
    truth, scores = random_clips(700, 70, 0.05, levels)  # more tags than are sorted at a time
    scores = scores.astype(dtype)
    precision, auc = average_precision_and_roc_auc(truth, scores)
    np.testing.assert_allclose(precision, average_precision_score(truth, scores, average=None), rtol=1e-12)
    np.testing.assert_allclose(auc, roc_auc_score(truth, scores, average=None), rtol=1e-12)
    assert mean_average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores), rel=1e-12)
    assert mean_roc_auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), rel=1e-12)
    some = truth.any(axis=1)
    ranking = label_ranking_average_precision_score(truth[some], scores[some], sample_weight=truth[some].sum(axis=1))
    assert lwlrap(truth, scores) == pytest.approx(ranking, rel=1e-12)
    assert macro_f1(truth, scores) == pytest.approx(f1_score(truth, scores >= 0.5, average="macro"), rel=1e-12)


def test_lwlrap_takes_ties_at_their_worst_rank_and_weighs_labels_not_clips():
    # organisers' array-order ties give .5139, the mean over clips first (He et al. 2020, eq. 10) .3750 and .5417
    assert lwlrap(VECTOR_TRUTH, np.zeros((4, 4))) == pytest.approx(5 / 12, abs=1e-12)
    scores = np.random.RandomState(0).rand(4, 4)  # the legacy generator made the published vector
    assert lwlrap(VECTOR_TRUTH, scores) == pytest.approx(0.6111, abs=5e-5)


def test_many_positives_are_ranked_in_several_blocks(monkeypatch):
    truth, scores = random_clips(50, 12, 0.3, levels=5)
    whole = lwlrap(truth, scores), map_at_k(truth, scores)
    monkeypatch.setattr(tagging, "_CELLS_AT_A_TIME", 30)
    assert (lwlrap(truth, scores), map_at_k(truth, scores)) == whole


def test_d_prime_is_of_the_mean_auc():
    truth, scores = random_clips(300, 4, 0.2)
    assert d_prime(truth, scores) == pytest.approx(math.sqrt(2) * norm.ppf(mean_roc_auc(truth, scores)), rel=1e-9)
    rng = np.random.default_rng(0)  # two bells 1.5 apart have d' 1.5, whatever their scale
    truth = rng.random((40_000, 1)) < 0.5
    assert d_prime(truth, 7 * (rng.standard_normal(truth.shape) + 1.5 * truth)) == pytest.approx(1.5, abs=0.05)
    assert d_prime([[0], [1]], [[0.1], [0.2]]) == math.inf
    assert d_prime([[0], [1]], [[0.2], [0.1]]) == -math.inf


def test_tags_and_clips_without_positives_are_left_out():
    truth, scores = random_clips(60, 3, 0.3)
    truth[:, 1], truth[:, 2] = False, True
    precision, auc = average_precision_and_roc_auc(truth, scores)
    assert np.isnan(precision).tolist() == [False, True, False]
    assert np.isnan(auc).tolist() == [False, True, True]
    assert mean_average_precision(truth, scores) == pytest.approx((precision[0] + 1) / 2)
    assert mean_roc_auc(truth, scores) == auc[0]
    assert macro_f1([[1, 0], [0, 0]], [[0.9, 0.9], [0.1, 0.9]]) == 1.0
    assert lwlrap([[0, 0], [0, 1]], [[0.2, 0.1], [0.1, 0.2]]) == 1.0


@pytest.mark.parametrize("metric", EVERY_FLOAT)
@pytest.mark.parametrize("shape", [(4, 3), (0, 3), (4, 0)])
@pytest.mark.filterwarnings("error")
def test_nothing_to_score_is_nan_without_a_warning(metric, shape):
    assert math.isnan(metric(np.zeros(shape, bool), np.zeros(shape)))


@given(clips_by_tags(), st.randoms(use_true_random=False))
def test_only_the_order_of_scores_counts(arrays, random):
    truth, scores, weights = arrays
    other = np.exp(3 * scores) - 7  # increasing
    clips, tags = list(range(len(truth))), list(range(truth.shape[1]))
    random.shuffle(clips)
    random.shuffle(tags)
    for metric in (mean_average_precision, mean_roc_auc, d_prime, lwlrap, map_at_k):
        expected = pytest.approx(metric(*arrays), abs=1e-12, nan_ok=True)
        assert metric(truth, other, weights) == expected
        assert metric(*(array[clips][:, tags] for array in arrays)) == expected


@given(clips_by_tags())
def test_auc_of_reversed_scores_is_the_rest(arrays):
    truth, scores, weights = arrays
    np.testing.assert_allclose(roc_auc(truth, -scores, weights), 1 - roc_auc(*arrays), atol=1e-12)


@given(clips_by_tags())
def test_what_was_not_annotated_does_not_matter(arrays):
    truth, scores, weights = arrays
    hidden = weights == 0
    for metric in EVERY_FLOAT:
        changed = metric(truth ^ hidden, np.where(hidden, 1e9, scores), weights)
        assert changed == pytest.approx(metric(*arrays), abs=0, nan_ok=True)


def test_kinds_of_numbers_do_not_matter():
    truth, scores = random_clips(80, 5, 0.2, levels=16)
    expected = average_precision(truth, scores)
    for true in (truth.astype(np.float32), truth.astype(np.int8), truth.tolist()):
        for score in (scores.astype(np.float16), np.asfortranarray(scores), (scores * 16).astype(int)):
            np.testing.assert_array_equal(average_precision(true, score), expected)


def test_inputs_are_left_as_they_are():
    truth, scores = random_clips(30, 4, 0.3)
    weights = (scores > 0.2).astype(np.float32)
    before = truth.copy(), scores.copy(), weights.copy()
    for metric in EVERY_FLOAT:
        metric(truth, scores, weights)
    for array, copy in zip((truth, scores, weights), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_f1_decides_at_the_threshold_of_each_tag():
    truth, scores = [[1, 1], [0, 0]], np.array([[0.7, 0.3], [0.6, 0.1]], np.float32)
    assert macro_f1(truth, scores, threshold=[0.7, 0.3]) == 1.0
    assert macro_f1(truth, scores, threshold=0.6) == pytest.approx((2 / 3 + 0) / 2)


GOOD = np.array([[1, 0, 1], [0, 1, 0]])


def with_cell(value):
    array = GOOD.astype(float)
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lwlrap(GOOD, with_cell(np.nan)), "scores must be finite, got nan at clip 1, tag 2"),
        (
            lambda: lwlrap(GOOD, np.full((2, 3), -np.inf)),
            "scores must be finite, got -inf at clip 0, tag 0 (6 such cells)",
        ),
        (lambda: roc_auc(with_cell(0.5), GOOD), "truth must be 0 or 1, got 0.5 at clip 1, tag 2"),
        (lambda: roc_auc(with_cell(np.nan), GOOD), "truth must be 0 or 1, got nan at clip 1, tag 2"),
        (
            lambda: d_prime(GOOD, GOOD, with_cell(-1)),
            "weights must be finite and not negative, got -1.0 at clip 1, tag 2",
        ),
        (
            lambda: d_prime(GOOD, GOOD, [1, 1, 0]),
            "weights must have the shape of truth (clip, tag), got (3,) and (2, 3)",
        ),
        (
            lambda: map_at_k(GOOD, GOOD[:, :2]),
            "truth and scores must have one shape (clip, tag), got (2, 3) and (2, 2)",
        ),
        (lambda: map_at_k(GOOD[0], GOOD[0]), "truth and scores must have one shape (clip, tag), got (3,) and (3,)"),
        (lambda: map_at_k(GOOD, GOOD, k=0), "k must be at least 1, got 0"),
        (lambda: macro_f1(GOOD, [["a"] * 3] * 2), "scores must be an array of numbers (clip, tag), got dtype <U1"),
        (
            lambda: macro_f1(GOOD, GOOD, threshold=[0.5, 0.5]),
            "threshold must be one finite number or one for each of 3 tags, got [0.5 0.5]",
        ),
        (
            lambda: macro_f1(GOOD, GOOD, threshold=np.nan),
            "threshold must be one finite number or one for each of 3 tags, got nan",
        ),
    ],
)
def test_refuses_with_the_place(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
