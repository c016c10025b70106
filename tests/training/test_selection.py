"""Which clips are dropped, by hand for both rules, and what is remembered of it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earmark.training.selection import Selection, SelectionSettings

LOSSES = torch.tensor([5.0, 1.0, 4.0, 3.0, 2.0, 6.0])
VERIFIED = np.array([True, False, False, False, False, True])
ROWS = np.arange(6)
ALONE = np.full(6, -1)
ALL = np.ones(6, np.bool_)


def made(rule, k, verified=VERIFIED, **settings):
    return Selection(SelectionSettings(selection=rule, selection_k=k, **settings), verified, len(verified))


def dropped(selection, losses=LOSSES, may_rank=ALL, step=0):
    return np.flatnonzero(~selection.keep(losses, ROWS, ALONE, may_rank, step)).tolist()


def test_top_k_drops_the_k_largest_of_the_unverified():
    assert dropped(made("top_k", 2)) == [2, 3]
    assert dropped(made("top_k", 1)) == [2]
    assert dropped(made("none", None)) == []


def test_top_k_over_the_batch_drops_the_unverified_among_them():
    assert dropped(made("top_k", 3, rank_over="batch")) == [2]
    assert dropped(made("top_k", 2, rank_over="batch")) == []


def test_k_larger_than_the_ranked_clips_takes_them_all():
    assert dropped(made("top_k", 50)) == [1, 2, 3, 4]
    selection = made("threshold", 50)
    assert dropped(selection) == [2, 3, 4]  # the smallest of the ranked losses is the threshold, strictly above it
    assert selection.threshold == 1.0


def test_the_threshold_moves_with_the_kth_loss():
    selection = made("threshold", 2, threshold_smoothing=0.9)
    assert dropped(selection) == [2]
    assert selection.threshold == 3.0  # the first batch sets it
    assert dropped(selection, LOSSES + 1) == [2, 3]
    assert selection.threshold == pytest.approx(0.9 * 3 + 0.1 * 4)
    assert dropped(selection, LOSSES * 0) == []
    assert selection.threshold == pytest.approx(0.9 * 3.1)


def test_verified_clips_are_never_dropped_as_equation_1_is_printed_they_would_be():
    selection = made("threshold", 2, rank_over="batch")
    keeps = selection.keep(LOSSES, ROWS, ALONE, ALL, 0)
    above = torch.gt(LOSSES, selection.threshold).numpy()
    assert above.tolist() == [False, False, False, False, False, True]
    as_printed = ~(above & VERIFIED)
    as_meant = ~(above & ~VERIFIED)
    assert keeps.tolist() == as_meant.tolist() != as_printed.tolist()


def test_clips_that_say_nothing_are_neither_ranked_nor_dropped():
    silent = np.array([True, True, False, True, True, True])
    assert dropped(made("top_k", 1), may_rank=silent) == [3]
    selection = made("threshold", 1)
    assert dropped(selection, may_rank=silent) == []
    assert selection.threshold == 3.0


def test_a_batch_without_ranked_clips_leaves_the_threshold():
    selection = made("threshold", 1, np.ones(6, np.bool_))
    assert dropped(selection) == []
    assert selection.threshold is None
    other = made("threshold", 2)
    dropped(other)
    other.keep(LOSSES * 9, ROWS, ALONE, VERIFIED, 0)  # nothing that is unverified may be ranked
    assert other.threshold == 3.0


def test_ks_share_of_the_batch():
    settings = SelectionSettings(selection="top_k")
    assert [settings.k_of(size) for size in (1, 3, 32, 64, 128)] == [1, 1, 5, 10, 20]
    assert SelectionSettings(selection="top_k", selection_k=7).k_of(64) == 7


def test_a_drop_counts_for_both_clips_of_a_mixture():
    selection = made("top_k", 1)
    selection.keep(LOSSES, ROWS, np.array([5, 4, 3, -1, -1, 0]), ALL, 7)
    assert selection.dropped.tolist() == [0, 0, 1, 1, 0, 0]
    assert selection.seen.tolist() == [0, 1, 1, 2, 2, 0]
    np.testing.assert_allclose(selection.rank_sum, [0, 0.25, 1, 0.75 + 1, 0.5 + 0.25, 0])
    assert selection.drops == [(7, 2), (7, 3)]


def test_what_is_remembered_survives():
    one, other = made("threshold", 2), made("threshold", 2)
    one.keep(LOSSES, ROWS, ALONE, ALL, 0)
    other.load_state(one.state())
    for selection in (one, other):
        selection.keep(LOSSES * 1.5, ROWS, ALONE, ALL, 0)
    assert one.threshold == other.threshold
    for name, tensor in one.state().items():
        assert torch.equal(tensor, other.state()[name])
    fresh = made("threshold", 2)
    fresh.load_state(made("threshold", 2).state())
    assert fresh.threshold is None


@given(st.integers(0, 10_000), st.sampled_from(["top_k", "threshold"]), st.integers(1, 9))
def test_no_rule_drops_what_is_verified_or_more_than_it_may(seed, rule, k):
    draw = np.random.default_rng(seed)
    verified = draw.random(6) < 0.4
    selection = made(rule, k, verified)
    losses = torch.from_numpy(draw.random(6))
    keeps = selection.keep(losses, ROWS, ALONE, ALL, 0)
    assert keeps[verified].all()
    if rule == "top_k":
        assert (~keeps).sum() == min(k, (~verified).sum())


def test_a_stage_on_verified_clips_alone_moves_nothing_even_if_they_are_ranked():
    selection = made("threshold", 2, rank_over="batch")
    selection.keep(LOSSES, np.array([0, 5, 0, 5, 0, 5]), ALONE, ALL, 0)
    assert selection.threshold is None
    assert not selection.cutoffs
    assert dropped(selection) == []
    assert selection.threshold == 5.0


def test_drops_and_cutoffs_are_kept_by_step():
    for rule, cutoffs in (("top_k", [3.0, 9.0]), ("threshold", [3.0, 0.9 * 3 + 0.1 * 9])):
        selection = made(rule, 2)
        dropped(selection, step=4)
        dropped(selection, LOSSES * 3, step=5)
        assert [step for step, _ in selection.cutoffs] == [4, 5]
        assert [loss for _, loss in selection.cutoffs] == pytest.approx(cutoffs)
        assert {clip for step, clip in selection.drops if step == 4} == ({2, 3} if rule == "top_k" else {2})
    assert made("none", None).keep(LOSSES, ROWS, ALONE, ALL, 0).all()


def test_what_happened_since_it_was_last_asked():
    selection = made("top_k", 1)
    assert selection.since_last() == {"threshold": None, "dropped_share": None}
    dropped(selection)
    dropped(selection)
    assert selection.since_last() == {"threshold": 4.0, "dropped_share": 2 / 8}
    assert selection.since_last() == {"threshold": None, "dropped_share": None}
