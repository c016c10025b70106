import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from earmark.data import sampling
from earmark.data.sampling import (
    balanced_clip_weights,
    class_cyclic,
    epoch_generator,
    half_and_half,
    in_passes,
    shuffled,
    tags_of_items,
    weighted,
)
from earmark.errors import InputError

tag_lists = st.lists(st.lists(st.integers(0, 5), max_size=4, unique=True), min_size=1, max_size=12)


def in_rows(tags_of_each):
    indptr = np.concatenate([[0], np.cumsum([len(tags) for tags in tags_of_each])]).astype(np.int64)
    return indptr, np.array([tag for tags in tags_of_each for tag in tags], np.int32)


class TestEpochGenerator:
    def test_its_stream_is_pinned(self):
        # A changed stream changes every run ever made: only ever on purpose.
        drawn = epoch_generator(7, 3, "shuffled").bit_generator.random_raw(2)
        assert drawn.tolist() == [16252784367244565622, 10323929476816862378]

    def test_seed_epoch_and_purpose_each_give_other_draws(self):
        keys = [
            (0, 1, "a"),
            (1, 0, "a"),
            (0, 2, "a"),
            (0, 1, "b"),
            (1, 1, "a"),
            (11, 1, "a"),
            (1, 11, "a"),
            (-1, 1, "a"),
        ]
        assert len({epoch_generator(*key).random() for key in keys}) == len(keys)

    def test_numpy_integers_are_integers(self):
        assert epoch_generator(np.int64(3), np.int32(2), "a").random() == epoch_generator(3, 2, "a").random()

    def test_streams_of_neighbouring_epochs_are_uncorrelated(self):
        draws = np.stack([epoch_generator(0, epoch, "a").random(4000) for epoch in range(8)])
        correlation = np.corrcoef(draws) - np.eye(8)
        assert np.abs(correlation).max() < 5 / np.sqrt(4000)


@given(num_items=st.integers(0, 200), seed=st.integers(0, 2**40), epoch=st.integers(0, 100))
def test_shuffled_gives_every_item_once_and_the_same_twice(num_items, seed, epoch):
    order = shuffled(num_items, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(num_items))
    np.testing.assert_array_equal(order, shuffled(num_items, seed, epoch))


def test_every_sampler_gives_another_order_in_another_epoch_and_seed():
    indptr, tag_index = in_rows([[i % 3] for i in range(60)])
    for sampler in (
        lambda seed, epoch: shuffled(60, seed, epoch),
        lambda seed, epoch: weighted(np.ones(60), 60, seed, epoch),
        lambda seed, epoch: class_cyclic(indptr, tag_index, 60, seed, epoch),
        lambda seed, epoch: half_and_half(np.arange(20), np.arange(20, 60), 20, 4, seed, epoch),
    ):
        first = sampler(0, 1)
        np.testing.assert_array_equal(first, sampler(0, 1))
        assert (first != sampler(0, 2)).any()
        assert (first != sampler(1, 1)).any()


class TestWeighted:
    def test_items_come_in_proportion_to_their_weights(self):
        weights = np.array([0.0, 1, 2, 0, 5, 2, 0])
        counts = np.bincount(weighted(weights, 100_000, 0, 1), minlength=7)
        share = weights / weights.sum()
        sigma = np.sqrt(100_000 * share * (1 - share))
        assert (np.abs(counts - 100_000 * share) <= 5 * sigma).all()

    @given(weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=30).filter(any), seed=st.integers(0, 50))
    def test_an_item_of_weight_0_is_never_drawn(self, weights, seed):
        drawn = weighted(np.array(weights), 40, seed, 0)
        assert len(drawn) == 40
        assert all(weights[item] > 0 for item in drawn)

    @pytest.mark.parametrize("scale", [5e-324, 1e308])
    def test_only_the_proportions_of_weights_count(self, scale):
        assert set(weighted(np.array([0.0, scale, scale, 0]), 40, 0, 1)) == {1, 2}

    @given(weights=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30))
    def test_the_lowest_and_highest_draws_find_the_first_and_last_item_of_weight(self, weights):
        class Extremes:
            def random(self, count):
                return np.array([0.0, 1 - 2.0**-53])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sampling, "epoch_generator", lambda *key: Extremes())
            drawn = weighted(np.array([0.0, *weights, 0.0]), 2, 0, 0)
        assert drawn.tolist() == [1, len(weights)]

    def test_without_any_weight_the_message_says_what_to_do(self):
        with pytest.raises(
            InputError, match="needs a clip with a tag, none of 3 has one; shuffle, or check the labels"
        ):
            weighted(np.zeros(3), 3, 0, 1)

    @pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
    def test_weights_must_be_weights(self, bad):
        with pytest.raises(ValueError, match="finite and at least 0"):
            weighted(np.array([1.0, bad]), 3, 0, 1)


class TestBalancedClipWeights:
    @given(tags_of_each=tag_lists)
    def test_is_the_sum_of_inverse_counts(self, tags_of_each):
        indptr, tag_index = in_rows(tags_of_each)
        counts = np.bincount(tag_index, minlength=6)
        expected = [sum(1 / counts[tag] for tag in tags) for tags in tags_of_each]
        weights = balanced_clip_weights(indptr, tag_index, counts)
        assert weights.dtype == np.float64
        np.testing.assert_allclose(weights, expected, rtol=1e-12)

    def test_balances_tags(self):
        tags = [0] * 900 + [1] * 90 + [2] * 10
        indptr, tag_index = in_rows([[tag] for tag in tags])
        weights = balanced_clip_weights(indptr, tag_index, np.array([900, 90, 10]))
        sampled = np.bincount(np.array(tags)[weighted(weights, 30_000, 0, 1)])
        assert (np.abs(sampled - 10_000) < 5 * np.sqrt(30_000 * 2 / 9)).all()

    def test_a_tag_that_is_not_counted_is_an_error(self):
        with pytest.raises(ValueError, match="tag 1 is an item's tag, but its count is 0"):
            balanced_clip_weights(*in_rows([[0], [1]]), np.array([1, 0]))


class TestClassCyclic:
    tags = np.array([0] * 50 + [2] * 7 + [5] * 1 + [6] * 3)  # tags 1, 3 and 4 have no items

    def drawn(self, num_draws, epoch=1):
        indptr, tag_index = in_rows([[tag] for tag in self.tags] + [[]] * 4)
        return class_cyclic(indptr, tag_index, num_draws, seed=0, epoch=epoch)

    def test_each_cycle_names_each_tag_that_has_items_once_in_a_fresh_order(self):
        cycles = self.tags[self.drawn(8000)].reshape(2000, 4)
        assert (np.sort(cycles, axis=1) == [0, 2, 5, 6]).all()
        orders, counts = np.unique(cycles, axis=0, return_counts=True)
        assert len(orders) == 24
        assert stats.chisquare(counts).pvalue > 0.001

    def test_each_tags_list_goes_round_and_is_reshuffled(self):
        drawn = self.drawn(4 * 100)
        for tag, size in ((0, 50), (2, 7), (6, 3)):
            given_items = drawn[self.tags[drawn] == tag]
            passes = given_items[: len(given_items) // size * size].reshape(-1, size)
            assert (np.sort(passes, axis=1) == np.flatnonzero(self.tags == tag)).all()
            assert len(np.unique(passes, axis=0)) > 1

    def test_gives_as_many_as_asked_for(self):
        assert len(self.drawn(3)) == 3
        assert len(self.drawn(401)) == 401
        assert len(self.drawn(0)) == 0

    @given(tags_of_each=tag_lists.filter(any), num_draws=st.integers(1, 60), seed=st.integers(0, 20))
    def test_clips_with_several_tags_are_drawn_as_often_as_their_tags_turns_say(self, tags_of_each, num_draws, seed):
        indptr, tag_index = in_rows(tags_of_each)
        present = np.unique(tag_index)
        num_cycles = -(-num_draws // len(present))
        drawn = class_cyclic(indptr, tag_index, num_cycles * len(present), seed, 1)
        counts = np.bincount(drawn, minlength=len(tags_of_each))
        turns = {tag: num_cycles / (tag_index == tag).sum() for tag in present}
        least = [sum(np.floor(turns[tag]) for tag in tags) for tags in tags_of_each]
        most = [sum(np.ceil(turns[tag]) for tag in tags) for tags in tags_of_each]
        assert (counts >= least).all()
        assert (counts <= most).all()

    def test_without_any_tag_the_message_says_what_to_do(self):
        with pytest.raises(InputError, match="class-cyclic sampling needs a clip with a tag, none of 2 has one"):
            class_cyclic(*in_rows([[], []]), 3, 0, 1)


class TestHalfAndHalf:
    @given(num_first=st.integers(1, 30), num_second=st.integers(1, 30), half=st.integers(1, 8), seed=st.integers(0, 20))
    def test_each_batch_is_half_of_each_and_every_item_comes_in_turn(self, num_first, num_second, half, seed):
        first, second = np.arange(num_first) * 2, np.arange(num_second) * 2 + 1
        num_batches = -(-max(num_first, num_second) // half)
        batches = half_and_half(first, second, num_batches, 2 * half, seed, 1).reshape(-1, 2, half)
        assert len(batches) == num_batches
        for side, items in enumerate((first, second)):
            given_items = batches[:, side].reshape(-1)
            counts = [(given_items == item).sum() for item in items]
            assert sum(counts) == len(given_items)
            assert min(counts) >= 1
            assert max(counts) - min(counts) <= 1

    def test_the_smaller_set_is_reshuffled_on_each_pass(self):
        passes = half_and_half(np.arange(4), np.arange(4, 84), 20, 8, 0, 1).reshape(20, 8)[:, :4]
        assert (np.sort(passes, axis=1) == np.arange(4)).all()
        assert len(np.unique(passes, axis=0)) > 5

    @pytest.mark.parametrize("batch_size", [0, 1, 7])
    def test_the_batch_must_have_halves(self, batch_size):
        with pytest.raises(InputError, match=f"an even batch size, got {batch_size}"):
            half_and_half(np.arange(3), np.arange(3), 5, batch_size, 0, 1)

    def test_both_sets_must_have_clips(self):
        with pytest.raises(InputError, match="clips of both kinds, got 3 of the first and 0 of the second"):
            half_and_half(np.arange(3), np.arange(0), 5, 4, 0, 1)


@given(num_items=st.integers(1, 30), num_draws=st.integers(0, 100), seed=st.integers(0, 20))
def test_passes_name_every_item_before_one_comes_again(num_items, num_draws, seed):
    given_items = in_passes(np.arange(num_items) * 3, num_draws, seed, 1)
    counts = [(given_items == item * 3).sum() for item in range(num_items)]
    assert sum(counts) == num_draws
    assert max(counts) - min(counts) <= 1


@given(tags_of_each=tag_lists, data=st.data())
def test_tags_of_items_are_those_of_their_clips_from_value_half_on(tags_of_each, data):
    indptr, tag_index = in_rows(tags_of_each)
    value = np.array(
        data.draw(st.lists(st.sampled_from([0.0, 0.4, 0.5, 1.0]), min_size=len(tag_index), max_size=len(tag_index)))
    )
    clip_index = np.array(data.draw(st.lists(st.integers(0, len(tags_of_each) - 1), max_size=10)), np.int64)
    item_indptr, item_tags = tags_of_items(indptr, tag_index, value.astype(np.float32), clip_index)
    assert len(item_indptr) == len(clip_index) + 1
    for item, clip in enumerate(clip_index):
        rows = slice(indptr[clip], indptr[clip + 1])
        assert (
            item_tags[item_indptr[item] : item_indptr[item + 1]].tolist()
            == tag_index[rows][value[rows] >= 0.5].tolist()
        )


def test_memory_of_an_epoch_is_a_few_numbers_an_item():
    generator = np.random.default_rng(0)
    num_items = 200_000
    indptr = np.arange(num_items + 1) * 2
    # as skewed as AudioSet: one tag on half of the clips, the rarest on a few
    tag_index = np.minimum(generator.zipf(1.3, 2 * num_items) - 1, 526).astype(np.int32)
    weights = balanced_clip_weights(indptr, tag_index, np.bincount(tag_index, minlength=527))
    tracemalloc.start()
    class_cyclic(indptr, tag_index, num_items, 0, 1)
    weighted(weights, num_items, 0, 1)
    half_and_half(np.arange(1000), np.arange(1000, num_items), 6219, 64, 0, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < num_items * 100
