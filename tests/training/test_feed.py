"""The feed: batches as pure functions of seed, epoch and position."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earmark.data.augment import Augmentation
from earmark.data.clips import Excerpts
from earmark.training.feed import Feed
from earmark.training.targets import Targets

LENGTH = 400


class RampPack:
    """Clip i holds i * 1000, i * 1000 + 1, ...; each 1000 + 10 i samples long."""

    rate_hz = 16000

    def excerpts(self, clip_index, onset_samples, num_samples) -> list[np.ndarray]:
        cut = zip(clip_index, onset_samples, num_samples, strict=True)
        return [(clip * 1000 + onset + np.arange(count)).astype(np.int16) for clip, onset, count in cut]


class OneTag:
    """Clip i has the target i / 100; odd clips are not annotated."""

    def at(self, positions) -> Targets:
        positions = torch.from_numpy(np.asarray(positions))
        return Targets((positions / 100)[:, None].float(), (1 - positions % 2)[:, None].float())


def make_feed(**augmentation: object) -> Feed:
    index = np.arange(21)
    return Feed(
        pack=RampPack(),
        excerpts=Excerpts(index, np.zeros(21, np.int64), 1000 + 10 * index),
        targets=OneTag(),
        order=lambda epoch: np.random.default_rng(epoch).permutation(21),
        length_samples=LENGTH,
        batch_size=5,
        augmentation=Augmentation(**augmentation),
        seed=3,
        names=None,
    )


def test_an_epoch_is_whole_batches_of_one_length() -> None:
    batches = list(make_feed().batches(epoch=0))
    assert [tuple(batch.waveform.shape) for batch in batches] == [(5, LENGTH)] * 4
    assert all(batch.waveform.dtype == torch.int16 for batch in batches)
    clips = np.concatenate([batch.clip_index for batch in batches])
    assert len(set(clips.tolist())) == 20


def test_a_window_lies_in_its_clip_and_moves_from_epoch_to_epoch() -> None:
    feed = make_feed()
    onsets = {}
    for epoch in (0, 1):
        for batch in feed.batches(epoch):
            for clip, waveform in zip(batch.clip_index, batch.waveform.numpy(), strict=True):
                onset = int(waveform[0]) - clip * 1000
                assert 0 <= onset <= 1000 + 10 * clip - LENGTH
                assert (np.diff(waveform) == 1).all()
                onsets[epoch, int(clip)] = onset
    both = [(onsets[0, clip], onsets[1, clip]) for clip in range(21) if (0, clip) in onsets and (1, clip) in onsets]
    assert sum(one != other for one, other in both) > 15


@pytest.mark.parametrize("first", [1, 3])
def test_batches_from_the_middle_are_those_of_the_whole_epoch(first: int) -> None:
    feed = make_feed(mixup_rate=0.5, gain_db=(-6, 6), time_shift_fraction=0.5, time_masks=1, time_mask_frames=5)
    whole = list(feed.batches(2))[first:]
    rest = list(feed.batches(2, first))
    for one, other in zip(whole, rest, strict=True):
        assert torch.equal(one.waveform, other.waveform)
        assert torch.equal(one.targets.clipwise, other.targets.clipwise)
        np.testing.assert_array_equal(one.draws.time_place, other.draws.time_place)


def test_the_batch_size_does_not_change_what_a_position_draws() -> None:
    feed = make_feed(mixup_rate=0.5, gain_db=(-6, 6))
    by_five = torch.cat([batch.waveform for batch in feed.batches(1)])
    by_ten = torch.cat([batch.waveform for batch in replace(feed, batch_size=10).batches(1)])
    assert torch.equal(by_five, by_ten)


def test_mixtures_mix_targets_alike_and_an_unknown_label_stays_unknown() -> None:
    feed = make_feed(mixup_rate=1.0)
    for batch in feed.batches(0):
        share = torch.from_numpy(batch.draws.mixup_lambda)
        clip, partner = torch.from_numpy(batch.clip_index), torch.from_numpy(batch.draws.partner)
        expected = share * clip / 100 + (1 - share) * partner / 100
        torch.testing.assert_close(batch.targets.clipwise[:, 0], expected.float())
        known = (clip % 2 == 0) & (partner % 2 == 0)
        torch.testing.assert_close(batch.targets.clipwise_weight[:, 0], known.float())
        assert batch.waveform.dtype == torch.float32


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    feed = replace(make_feed(), batch_size=64)
    assert feed.steps_per_epoch == 1
    (batch,) = feed.batches(0)
    assert len(batch.clip_index) == 21


def test_a_batch_of_whole_excerpts_is_as_long_as_its_longest() -> None:
    feed = replace(make_feed(), length_samples=None)
    for batch in feed.batches(0):
        lengths = 1000 + 10 * batch.clip_index
        assert batch.num_samples.tolist() == lengths.tolist()
        assert batch.waveform.shape == (5, lengths.max())
        for clip, length, waveform in zip(batch.clip_index, lengths, batch.waveform.numpy(), strict=True):
            assert waveform[:length].tolist() == (clip * 1000 + np.arange(length)).astype(np.int16).tolist()
            assert not waveform[length:].any()
    mixed = replace(feed, augmentation=Augmentation(mixup_rate=1.0))
    for batch in mixed.batches(0):
        share, clip, partner = batch.draws.mixup_lambda[0], batch.clip_index[0], batch.draws.partner[0]
        mixture = (share * clip + (1 - share) * partner) * 1000 + np.arange(1000)
        np.testing.assert_allclose(batch.waveform[0, :1000] * 2**15, mixture, rtol=0, atol=0.1)
        assert batch.waveform.shape == (5, (1000 + 10 * batch.clip_index).max())


def test_excerpts_of_one_length_give_the_same_batches_with_and_without_a_length() -> None:
    given = make_feed(mixup_rate=0.5, gain_db=(-6, 6), time_shift_fraction=0.5)
    excerpts = Excerpts(np.arange(21), np.arange(21), np.full(21, LENGTH))
    fixed = replace(given, excerpts=excerpts)
    for one, other in zip(fixed.batches(1), replace(fixed, length_samples=None).batches(1), strict=True):
        assert torch.equal(one.waveform, other.waveform)
        assert torch.equal(one.num_samples, other.num_samples)


def test_with_kinds_partners_are_of_the_clips_own_and_go_on_to_its_end() -> None:
    kind = np.arange(21) % 3 == 0
    index = np.arange(21)
    short = Excerpts(index, np.zeros(21, np.int64), 40 + 2 * index)
    feed = replace(make_feed(mixup_rate=0.7), kind=kind, repeat_partners=True, excerpts=short)
    partners = []
    for batch in feed.batches(0):
        mixed = batch.draws.mixed
        assert (batch.partner_index[~mixed] == -1).all()
        np.testing.assert_array_equal(kind[batch.clip_index[mixed]], kind[batch.partner_index[mixed]])
        partners += batch.partner_index[mixed].tolist()
        for row in np.flatnonzero(mixed):
            clip, other, share = batch.clip_index[row], batch.partner_index[row], batch.draws.mixup_lambda[row]
            length, own = 40 + 2 * clip, 40 + 2 * other
            expected = share * (clip * 1000 + np.arange(length)) + (1 - share) * np.resize(
                other * 1000 + np.arange(own), length
            )
            np.testing.assert_allclose(batch.waveform[row, :length] * 2**15, expected, rtol=0, atol=0.1)
            assert not batch.waveform[row, length:].any()
    assert len(set(partners)) > 5


def test_where_a_window_of_frames_begins_is_drawn_for_each_position() -> None:
    feed = make_feed()
    places = np.concatenate([batch.place for batch in feed.batches(0)])
    assert ((places >= 0) & (places < 1)).all()
    assert len(set(places.tolist())) == 20
    np.testing.assert_array_equal(
        places[:10], np.concatenate([batch.place for batch in replace(feed, batch_size=10).batches(0)])[:10]
    )


def test_a_mixture_of_distributions_stays_on_the_simplex_with_an_empty_partner_too() -> None:
    tags = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]])
    others = torch.tensor([[0.0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]])

    def targets(rows: torch.Tensor) -> Targets:
        return Targets(rows, torch.ones_like(rows), rows / rows.sum(1, keepdim=True).clamp(min=1))

    share = np.array([0.25, 0.25, 0.25, 0.25, 1.0], np.float32)
    mixed = targets(tags).mixed_with(targets(others), share)
    assert mixed.distribution is not None
    expected = [
        [0.25, 0.375, 0.375, 0],  # a quarter of one tag's, three quarters of two tags'
        [0.5, 0.5, 0, 0],  # the partner has no tag: the clip's own alone
        [0, 0, 0, 1],  # the clip has none: the partner's alone
        [0, 0, 0, 0],  # neither has one
        [0.5, 0, 0, 0.5],  # not mixed
    ]
    torch.testing.assert_close(mixed.distribution, torch.tensor(expected))
    torch.testing.assert_close(mixed.clipwise[0], torch.tensor([0.25, 0.75, 0.75, 0]))
    no_labels = Targets(tags, torch.ones_like(tags))
    assert no_labels.mixed_with(targets(others), share).distribution is None


@given(st.integers(0, 10_000))
def test_any_mixture_sums_to_one_or_is_empty(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = [torch.from_numpy((draw.random((6, 4)) < 0.3).astype(np.float32)) for _ in range(2)]
    one, other = (Targets(r, torch.ones_like(r), r / r.sum(1, keepdim=True).clamp(min=1)) for r in rows)
    share = draw.random(6).astype(np.float32)
    mixture = one.mixed_with(other, share).distribution
    assert mixture is not None
    has_tag = (rows[0] + rows[1]).sum(1) > 0
    torch.testing.assert_close(mixture.sum(1), has_tag.float())
    assert (mixture >= 0).all()


def test_epochs_are_joined_until_they_are_long_enough() -> None:
    feed = make_feed()
    joined = feed.in_epochs_of(10)  # of 5 clips: three epochs of 21
    assert joined.steps_per_epoch == 12
    for epoch in (0, 1):
        expected = np.concatenate([feed.order(3 * epoch + part) for part in range(3)])
        assert joined.order(epoch).tolist() == expected.tolist()
    same = feed.in_epochs_of(4)
    assert (same.order(1).tolist(), same.steps_per_epoch) == (feed.order(1).tolist(), 4)


def test_a_batch_of_all_clips_stays_one() -> None:
    joined = replace(make_feed(), batch_size=32).in_epochs_of(3)
    assert [sorted(batch.clip_index) for batch in joined.batches(0)] == [list(range(21))] * 3
