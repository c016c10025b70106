"""Estimates of noise: beside a slow oracle, on planted errors, and where nothing can be told."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from earmark.audit.noise import Noise, estimate_noise
from earmark.metrics.tagging import mean_roc_auc
from tests.conftest import REPOSITORY


def by_hand(given: np.ndarray, judged: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """Of each tag the share of wrong labels and of missing ones, clip by clip."""
    found = []
    for tag in range(given.shape[1]):
        pairs = [(bool(given[i, tag]), float(scores[i, tag])) for i in range(len(given)) if judged[i, tag]]
        have, lack = [s for has, s in pairs if has], [s for has, s in pairs if not has]
        high, low = np.mean(have), np.mean(lack)
        right, wrong = sum(s >= high for s in have), sum(s <= low for s in have)
        unsaid, lacking = sum(s >= high for s in lack), sum(s <= low for s in lack)
        share_wrong, share_unsaid = wrong / (wrong + right), unsaid / (unsaid + lacking)
        true = len(have) * (1 - share_wrong) + len(lack) * share_unsaid
        found.append((share_wrong, len(lack) * share_unsaid / true))
    return found


def planted(
    num_clips: int,
    num_tags: int,
    wrong: float,
    missing: float,
    seed: int = 0,
    apart: float = 8.0,
    share: float = 0.3,
    scale: float = 1.0,
    middle: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, labels with errors in them, and scores.

    Args:
        apart: how many standard deviations lie between the log odds with and without the tag.
        share: of the clips, that have a tag.
        scale, middle: of the log odds.
    """
    rng = np.random.default_rng(seed)
    truth = rng.random((num_clips, num_tags)) < share
    # Of the labels left, so many are wrong.
    left = share * (1 - missing)
    rate = wrong * left / (1 - wrong) / (1 - share)
    given = np.where(truth, rng.random(truth.shape) >= missing, rng.random(truth.shape) < rate)
    scores = 1 / (1 + np.exp(-middle - scale * (rng.normal(0, 1, truth.shape) + apart * (truth - 0.5))))
    return truth, given, scores.astype(np.float32)


def test_estimates_are_the_confident_counts() -> None:
    _, given, scores = planted(300, 5, 0.2, 0.3, apart=3)
    judged = np.random.default_rng(1).random(given.shape) < 0.8
    found = estimate_noise(given, judged, scores, np.arange(300), resamples=10)
    for tag, (wrong, missing) in enumerate(by_hand(given, judged, scores)):
        assert found.wrong.value[tag] == pytest.approx(wrong)
        assert found.missing.value[tag] == pytest.approx(missing)
    assert found.labels.tolist() == (given & judged).sum(axis=0).tolist()
    assert found.lacking.tolist() == (~given & judged).sum(axis=0).tolist()


def test_planted_shares_are_found_and_lie_in_their_intervals() -> None:
    truth, given, scores = planted(4000, 6, 0.2, 0.3)
    found = estimate_noise(given, np.ones_like(given), scores, np.arange(4000))
    wrong, missing = (given & ~truth).sum() / given.sum(), (truth & ~given).sum() / truth.sum()
    assert found.all_wrong.value[0] == pytest.approx(wrong, abs=0.01)
    assert found.all_missing.value[0] == pytest.approx(missing, abs=0.01)
    for share, true in ((found.all_wrong, wrong), (found.all_missing, missing)):
        assert share.low[0] < true < share.high[0]
        assert share.high[0] - share.low[0] < 0.06
    assert found.wrong_rate == pytest.approx(wrong, abs=0.01)
    assert found.missing_rate == pytest.approx((truth & ~given).sum() / (~given).sum(), abs=0.01)
    clean = estimate_noise(truth, np.ones_like(truth), scores, np.arange(4000), resamples=2)
    assert clean.all_wrong.value[0] < 0.01


def estimates_at(auc: float, errors: float) -> tuple[float, float]:
    """What is estimated of labels of which so many are wrong, and of the true ones missing, from calibrated scores.

    Of a tag in a tenth of the clips, in percent. Calibrated: of the clips with a score p, a share p has the tag.
    """
    apart = math.sqrt(2) * NormalDist().inv_cdf(auc)
    truth, given, scores = planted(
        20_000, 5, errors, errors, apart=apart, share=0.1, scale=apart, middle=math.log(0.1 / 0.9)
    )
    assert mean_roc_auc(truth, scores) == pytest.approx(auc, abs=0.005)
    found = estimate_noise(given, np.ones_like(given), scores, np.arange(len(given)), resamples=1)
    return 100 * found.all_wrong.value[0], 100 * found.all_missing.value[0]


def test_estimates_are_too_high_by_as_much_as_the_document_says() -> None:
    """Where models err, labels seem to: the table of docs/audit.md, computed."""
    planted_errors = (0.02, 0.1, 0.25)
    off: dict[float, list[float]] = {}
    lines = []
    for auc in (0.75, 0.9, 0.98, 0.995):
        cells = [estimates_at(auc, errors) for errors in planted_errors]
        off[auc] = [one - 100 * errors for cell, errors in zip(cells, planted_errors, strict=True) for one in cell]
        lines.append(f"| {auc:g} | {' | '.join(f'{wrong:.0f} %, {missing:.0f} %' for wrong, missing in cells)} |")
    assert min(map(min, off.values())) > 0
    assert off[0.98] == pytest.approx([5] * 6, abs=1.5)
    assert max(off[0.995]) < 2.5
    means = [float(np.mean(values)) for values in off.values()]
    assert means == sorted(means, reverse=True)
    text = (REPOSITORY / "docs" / "audit.md").read_text("utf-8")
    assert "\n".join(lines) in text
    # What it says below: the AUC by labels, and scores that are not calibrated.
    apart = math.sqrt(2) * NormalDist().inv_cdf(0.98)
    _, given, scores = planted(20_000, 5, 0.25, 0.25, apart=apart, share=0.1)
    assert mean_roc_auc(given, scores) == pytest.approx(0.85, abs=0.005)
    found = estimate_noise(given, np.ones_like(given), scores, np.arange(len(given)), resamples=1)
    assert found.all_wrong.value[0] < 0.22
    assert found.all_missing.value[0] > 0.4


def test_a_group_drawn_twice_counts_twice() -> None:
    """The estimates of a resample are those of the arrays repeated so often."""
    from earmark.audit.noise import _in_resamples

    _, given, scores = planted(200, 3, 0.2, 0.3, apart=3)
    judged = np.random.default_rng(1).random(given.shape) < 0.9
    counts = np.random.default_rng(2).integers(0, 4, (200, 7)).astype(np.uint16)
    found = _in_resamples(given, judged, scores, counts).shares()
    for resample in range(7):
        rows = np.repeat(np.arange(200), counts[:, resample])
        expected = np.array(by_hand(given[rows], judged[rows], scores[rows]))
        np.testing.assert_allclose(found[0][resample], expected[:, 0])
        np.testing.assert_allclose(found[1][resample], expected[:, 1])


def test_intervals_are_over_groups() -> None:
    _, given, scores = planted(400, 2, 0.2, 0.3, apart=3)
    alone, together = (
        estimate_noise(given, np.ones_like(given), scores, groups).all_wrong
        for groups in (np.arange(400), np.arange(400) // 40)
    )
    assert alone.value == together.value
    assert (alone.low, alone.high) != (together.low, together.high)
    one = estimate_noise(given, np.ones_like(given), scores, np.zeros(400, np.int64))
    assert np.isnan([one.all_wrong.low[0], one.all_wrong.high[0], *one.wrong.low]).all()


def nothing_told(found: Noise, tag: int) -> bool:
    return bool(np.isnan([found.wrong.value[tag], found.missing.value[tag], found.wrong.low[tag]]).all())


def test_nothing_is_said_of_tags_without_labels_and_of_tags_that_score_the_wrong_way() -> None:
    _, given, scores = planted(200, 4, 0.1, 0.1)
    given[:, 1] = False
    scores[:, 2] = 1 - scores[:, 2]
    judged = np.ones_like(given)
    judged[:, 3] = False
    found = estimate_noise(given, judged, scores, np.arange(200))
    assert [nothing_told(found, tag) for tag in range(4)] == [False, True, True, True]
    assert found.all_wrong.value[0] == pytest.approx(found.wrong.value[0])
    assert found.all_missing.value[0] == pytest.approx(found.missing.value[0])
    # Nothing at all.
    found = estimate_noise(given[:, 1:2], judged[:, 1:2], scores[:, 1:2], np.arange(200))
    assert np.isnan([found.all_wrong.value[0], found.wrong_rate, found.missing_rate]).all()
