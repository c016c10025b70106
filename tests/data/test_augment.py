import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from earmark.data.augment import Augmentation, Draws, apply_features, apply_waveform, draw, mix_targets

EVERYTHING = Augmentation(
    mixup_rate=0.5,
    mixup_beta=10,
    gain_db=(-6, 3),
    polarity_rate=0.3,
    time_shift_fraction=0.4,
    time_warp_frames=5,
    frequency_masks=2,
    frequency_mask_bins=4,
    time_masks=2,
    time_mask_frames=6,
)
FIELDS = list(Draws.__dataclass_fields__)


def draws_of(num_clips, **changed):
    """Neutral draws but for what is given."""
    neutral = draw(Augmentation(), num_clips, 1, 0, 0)
    types = {"frequency_width": np.int64, "time_width": np.int64, "partner": np.int64}
    arrays = {name: np.asarray(value, types.get(name, np.float32)) for name, value in changed.items()}
    return Draws(**{name: arrays.get(name, getattr(neutral, name)) for name in FIELDS})


def partners_for(draws, num_samples, seed=1, dtype=np.int16):
    return sounds([num_samples] * int(draws.mixed.sum()), seed, dtype)


def sounds(num_samples, seed=0, dtype=np.int16):
    """Clips of some lengths, read-only as a pack's are."""
    generator = np.random.default_rng(seed)
    clips = [generator.integers(-32768, 32768, count).astype(np.int16) for count in num_samples]
    clips = clips if dtype == np.int16 else [(clip / 32768).astype(dtype) for clip in clips]
    for clip in clips:
        clip.setflags(write=False)
    return clips


class TestDraw:
    def test_a_position_draws_the_same_however_long_the_epoch_is(self):
        long, short = draw(EVERYTHING, 50, 40, 3, 2), draw(EVERYTHING, 20, 40, 3, 2)
        assert len(long) == 50
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(long, name)[:20], getattr(short, name), err_msg=name)

    def test_another_epoch_or_seed_draws_other_things(self):
        for other in (draw(EVERYTHING, 50, 40, 3, 3), draw(EVERYTHING, 50, 40, 4, 2)):
            for name in FIELDS:
                assert (getattr(draw(EVERYTHING, 50, 40, 3, 2), name) != getattr(other, name)).any(), name

    def test_draws_of_different_kinds_are_unrelated(self):
        draws = draw(EVERYTHING, 5000, 5000, 0, 1)
        table = np.stack([np.broadcast_to(getattr(draws, n).reshape(5000, -1)[:, 0], 5000) for n in FIELDS])
        assert np.abs(np.corrcoef(table) - np.eye(len(FIELDS))).max() < 5 / np.sqrt(5000)

    @pytest.mark.parametrize(
        ("changed", "affected"),
        [
            ({"mixup_rate": 0.2}, {"mixup_lambda"}),
            ({"mixup_beta": 0.4}, {"mixup_lambda"}),
            ({"gain_db": (-3, 3)}, {"amplitude"}),
            ({"polarity_rate": 0.9}, {"amplitude"}),
            ({"time_shift_fraction": 0.1}, {"shift"}),
            ({"time_warp_frames": 1}, {"warp_frames"}),
            ({"frequency_mask_bins": 9}, {"frequency_width"}),
            ({"time_mask_frames": 20}, {"time_width"}),
            ({"frequency_masks": 1}, {"frequency_width", "frequency_place"}),
            ({"time_masks": 1}, {"time_width", "time_place"}),
        ],
    )
    def test_each_setting_is_read_and_changes_its_own_draws_only(self, changed, affected):
        base, other = draw(EVERYTHING, 100, 100, 0, 1), draw(EVERYTHING.model_copy(update=changed), 100, 100, 0, 1)
        differing = {name for name in FIELDS if not np.array_equal(getattr(base, name), getattr(other, name))}
        assert differing == affected
        assert set(changed) <= set(Augmentation.model_fields)

    def test_distributions(self):
        n = 40_000
        draws = draw(EVERYTHING, n, 100, 0, 1)
        assert abs(draws.mixed.mean() - 0.5) < 5 * np.sqrt(0.25 / n)
        assert stats.kstest(draws.mixup_lambda[draws.mixed], stats.beta(10, 10).cdf).pvalue > 0.001
        assert (draws.mixup_lambda[~draws.mixed] == 1).all()
        assert stats.chisquare(np.bincount(draws.partner, minlength=100)).pvalue > 0.001
        assert abs((draws.amplitude < 0).mean() - 0.3) < 5 * np.sqrt(0.21 / n)
        gain_db = 20 * np.log10(np.abs(draws.amplitude))
        assert stats.kstest(gain_db, stats.uniform(-6, 9).cdf).pvalue > 0.001
        assert stats.kstest(draws.shift, stats.uniform(-0.4, 0.8).cdf).pvalue > 0.001
        assert stats.kstest(draws.warp_frames, stats.uniform(-5, 10).cdf).pvalue > 0.001
        assert stats.chisquare(np.bincount(draws.frequency_width.ravel(), minlength=5)).pvalue > 0.001
        assert stats.chisquare(np.bincount(draws.time_width.ravel(), minlength=7)).pvalue > 0.001

    def test_a_rate_of_1_is_always_and_the_draws_of_a_batch_are_its_positions(self):
        draws = draw(Augmentation(mixup_rate=1, polarity_rate=1), 200, 10, 0, 1)
        assert draws.mixed.all()
        assert (draws.amplitude == -1).all()
        positions = np.array([5, 3, 150])
        np.testing.assert_array_equal(draws.at(positions).partner, draws.partner[positions])
        np.testing.assert_array_equal(draws.at(slice(8, 16)).mixup_lambda, draws.mixup_lambda[8:16])
        assert len(draws.at(slice(8, 16))) == 8

    @pytest.mark.parametrize(
        ("given_settings", "message"),
        [
            ({"gain_db": (3, -3)}, r"lowest and then the highest gain, found \[3.0, -3.0\]"),
            ({"time_masks": 2}, "time_masks 2 needs time_mask_frames of at least 1"),
            ({"frequency_masks": 1}, "frequency_masks 1 needs frequency_mask_bins of at least 1"),
            ({"mixup": 0.5}, "Extra inputs are not permitted"),
            ({"mixup_rate": 1.5}, "less than or equal to 1"),
        ],
    )
    def test_settings_that_cannot_be(self, given_settings, message):
        with pytest.raises(ValidationError, match=message):
            Augmentation(**given_settings)


class TestApplyWaveform:
    @pytest.mark.parametrize("dtype", [np.int16, np.float32])
    def test_with_everything_off_a_waveform_is_only_converted(self, dtype):
        clips = [np.array([-32768, 32767, 1], np.int16), np.array([1, 2, 3, 4], np.int16)]
        expected = torch.tensor([[-1, 32767 / 32768, 1 / 32768, 0], [1 / 32768, 2 / 32768, 3 / 32768, 4 / 32768]])
        given_clips = clips if dtype == np.int16 else [(clip / 32768).astype(dtype) for clip in clips]
        before = [clip.copy() for clip in given_clips]
        result = apply_waveform(given_clips, 4, draws_of(2))
        assert result.dtype == torch.float32
        assert torch.equal(result, expected)
        assert all((clip == was).all() for clip, was in zip(given_clips, before, strict=True))

    @given(
        seed=st.integers(0, 300),
        partner_samples=st.integers(1, 30),
        dtypes=st.tuples(*2 * [st.sampled_from([np.int16, np.float32])]),
    )
    def test_agrees_with_the_plain_formula(self, seed, partner_samples, dtypes):
        clips = sounds(np.random.default_rng(seed).integers(1, 21, 6), seed, dtypes[0])
        draws = draw(EVERYTHING, 6, 6, seed, 1)
        partners = partners_for(draws, partner_samples, seed, dtypes[1])
        result = apply_waveform(clips, 20, draws, partners)
        scales = [2.0**-15 if dtype == np.int16 else 1.0 for dtype in dtypes]
        rows = iter(partners)
        for i, clip in enumerate(clips):
            valid, own = len(clip), clip.astype(np.float64) * scales[0]
            if draws.mixed[i]:
                other = next(rows)[:valid].astype(np.float64) * scales[1]
                other = np.pad(other, (0, valid - len(other)))
                own = float(draws.mixup_lambda[i]) * own + (1 - float(draws.mixup_lambda[i])) * other
            own = np.roll(float(draws.amplitude[i]) * own, round(float(draws.shift[i]) * valid))
            np.testing.assert_allclose(result[i, :valid], own, atol=3e-7)  # float32 of values up to about 1.4
            assert (result[i, valid:] == 0).all()

    def test_a_clip_comes_out_alike_alone_and_in_a_batch(self):
        draws = draw(EVERYTHING, 8, 8, 0, 1)
        clips, partners = sounds(range(30, 70, 5)), partners_for(draws, 60)
        together = apply_waveform(clips, 100, draws, partners)
        place = np.cumsum(draws.mixed) - 1
        for i, clip in enumerate(clips):
            own_partner = [partners[place[i]]] if draws.mixed[i] else []
            alone = apply_waveform([clip], 100, draws.at(slice(i, i + 1)), own_partner)
            assert torch.equal(alone[0], together[i])

    def test_leaves_nothing_of_what_was_in_the_memory_that_it_gets(self, monkeypatch):
        draws = draw(EVERYTHING, 3, 3, 0, 1)
        clips, partners = sounds([50, 0, 10]), partners_for(draws, 50)
        expected = apply_waveform(clips, 50, draws, partners)
        monkeypatch.setattr("earmark.data.augment.np.empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
        assert torch.equal(apply_waveform(clips, 50, draws, partners), expected)

    @pytest.mark.parametrize("shift", [0.0, 0.25, -0.25, 1.0, -1.0, 0.5])
    def test_shifts_go_round_within_the_clip(self, shift):
        result = apply_waveform([np.float32([1, 2, 3, 4])], 6, draws_of(1, shift=[shift]))
        assert result[0].tolist() == [*np.roll([1.0, 2, 3, 4], int(4 * shift)), 0, 0]

    def test_gain_is_in_decibels_of_amplitude(self):
        draws = draw(Augmentation(gain_db=(-20, -20)), 1, 1, 0, 1)
        assert apply_waveform([np.ones(3, np.float32)], 3, draws)[0].tolist() == pytest.approx([0.1] * 3)

    @pytest.mark.parametrize("num_partners", [0, 1, 3])
    def test_each_mixture_must_have_its_partner(self, num_partners):
        draws = draws_of(3, mixup_lambda=[0.5, 1, 0.5])
        with pytest.raises(ValueError, match=f"2 clips are mixed, but there are {num_partners} partners"):
            apply_waveform(sounds([4] * 3), 4, draws, sounds([4] * num_partners))


class TestMixTargets:
    def test_targets_mix_and_what_is_unknown_in_either_stays_unknown(self):
        nan = float("nan")
        targets, weights = torch.tensor([[1.0, 0.0, nan], [1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.5, 0.0], [1, 1, 1]])
        partner, partner_weights = (
            torch.tensor([[0.0, 1.0, 1.0], [nan, 1, 1]]),
            torch.tensor([[1.0, 1.0, 1.0], [0, 0, 0]]),
        )
        mixed, mixed_weights = mix_targets(targets, weights, partner, partner_weights, np.float32([0.75, 1]))
        assert mixed[0, :2].tolist() == [0.75, 0.25]
        assert mixed[1].tolist() == [1, 0, 0]
        assert mixed_weights.tolist() == [[1, 0.5, 0], [1, 1, 1]]
        _, half_weights = mix_targets(targets, weights / 2, partner, partner_weights / 2, np.float32([0.75, 1]))
        assert half_weights.tolist() == [[0.5, 0.25, 0], [0.5, 0.5, 0.5]]

    def test_framewise_targets_mix_alike(self):
        targets, partner = torch.rand(2, 5, 3), torch.rand(2, 5, 3)
        ones = torch.ones(2, 5, 3)
        mixed, _ = mix_targets(targets, ones, partner, ones, np.float32([0.25, 1]))
        torch.testing.assert_close(mixed[0], 0.25 * targets[0] + 0.75 * partner[0])
        assert torch.equal(mixed[1], targets[1])

    def test_labels_have_the_share_that_the_waveforms_have(self):
        draws = draw(Augmentation(mixup_rate=1, mixup_beta=0.4), 6, 6, 0, 1)
        waveform = apply_waveform(6 * [np.ones(4, np.float32)], 4, draws, 6 * [np.zeros(4, np.float32)])
        ones = torch.ones(6, 1)
        targets, _ = mix_targets(ones, ones, torch.zeros(6, 1), ones, draws.mixup_lambda)
        torch.testing.assert_close(waveform[:, :1], targets)

    def test_draws_without_mixup_change_nothing(self, recwarn):
        targets, weights = torch.rand(3, 2), torch.rand(3, 2)
        draws = draw(Augmentation(), 5, 5, 0, 1).at(slice(1, 4))
        mixed, mixed_weights = mix_targets(targets, weights, targets + 1, weights / 2, draws.mixup_lambda)
        assert torch.equal(mixed, targets)
        assert torch.equal(mixed_weights, weights)
        assert not recwarn.list


class TestApplyFeatures:
    @given(seed=st.integers(0, 200))
    def test_masks_lie_where_the_draws_say(self, seed):
        generator = np.random.default_rng(seed)
        valid = generator.integers(0, 31, 5)
        masks_only = EVERYTHING.model_copy(update={"time_warp_frames": 0, "time_mask_frames": 20})
        draws = draw(masks_only, 5, 5, seed, 1)
        features = torch.ones(5, 30, 8)
        result = apply_features(features, torch.from_numpy(valid), draws, fill=-2.0)
        expected = np.ones((5, 30, 8))
        for i in range(5):
            for mask in range(2):
                width = min(draws.time_width[i, mask], valid[i] // 2)
                start = int(draws.time_place[i, mask] * np.float32(valid[i] - width + 1))
                expected[i, start : start + width] = -2
                width = draws.frequency_width[i, mask]
                start = int(draws.frequency_place[i, mask] * np.float32(8 - width + 1))
                expected[i, : valid[i], start : start + width] = -2
        np.testing.assert_array_equal(result, expected)
        assert (features == 1).all()

    def test_masks_reach_both_ends_and_their_largest_width(self):
        settings_ = Augmentation(frequency_masks=1, frequency_mask_bins=3, time_masks=1, time_mask_frames=4)
        draws = draw(settings_, 3000, 1, 0, 1)
        masked = apply_features(torch.ones(3000, 12, 8), torch.full((3000,), 10), draws) == 0
        whole_frames, whole_bins = masked.all(dim=2), masked[:, :10].all(dim=1)
        assert set(whole_frames.sum(1).tolist()) == {0, 1, 2, 3, 4}
        assert set(whole_bins.sum(1).tolist()) == {0, 1, 2, 3}
        assert whole_frames.any(0).tolist() == [True] * 10 + [False] * 2
        assert whole_bins.any(0).all()
        lone = whole_frames[whole_frames.sum(1) == 1].sum(0)[:10]
        assert stats.chisquare(lone.numpy()).pvalue > 0.001

    def test_a_mask_wider_than_the_front_end_covers_it(self):
        draws = draws_of(1, frequency_width=[[48]], frequency_place=[[0.5]])
        assert (apply_features(torch.ones(1, 4, 8), torch.tensor([4]), draws) == 0).all()

    @given(
        by=st.floats(-8, 8, width=32),
        place=st.floats(0, 1, width=32, exclude_max=True),
        valid=st.integers(1, 40),
    )
    @settings(max_examples=200)
    def test_warping_is_a_linear_resampling_in_two_pieces(self, by, place, valid):
        ramp = torch.arange(40.0)[None, :, None].repeat(1, 1, 2)
        ramp[:, :, 1] = ramp[:, :, 1] ** 2
        draws = draws_of(1, warp_frames=[by], warp_point=[place])
        result = apply_features(ramp, torch.tensor([valid]), draws)[0].double().numpy()
        last = valid - 1
        by = np.clip(by, -last / 2, last / 2)
        point = abs(by) + place * (last - 2 * abs(by))
        moved = point + by
        if min(moved, last - moved) > 1e-3:  # both pieces have a length
            source = np.interp(np.arange(valid), [0, moved, last], [0, point, last])
            np.testing.assert_allclose(result[:valid, 0], source, atol=1e-3)
            squares = np.interp(source, np.arange(40), np.arange(40.0) ** 2)
            np.testing.assert_allclose(result[:valid, 1], squares, atol=0.1)
        assert (np.diff(result[:valid, 0]) >= -1e-4).all()
        np.testing.assert_array_equal(result[valid:], ramp[0, valid:])
        assert np.isfinite(result).all()

    def test_warping_moves_its_point_and_keeps_both_ends(self):
        draws = draws_of(2, warp_frames=[3, -3], warp_point=[0.5, 0.5])
        ramp = torch.arange(21.0)[None, :, None].repeat(2, 1, 1)
        result = apply_features(ramp, torch.tensor([21, 21]), draws)[:, :, 0]
        assert result[0, [0, 13, 20]].tolist() == pytest.approx([0, 10, 20], abs=1e-5)
        assert result[1, [0, 7, 20]].tolist() == pytest.approx([0, 10, 20], abs=1e-5)

    def test_a_warp_goes_no_farther_than_half_a_short_clip(self):
        draws = draws_of(1, warp_frames=[100], warp_point=[0.9])
        result = apply_features(torch.arange(12.0)[None, :, None], torch.tensor([11]), draws)[0, :, 0]
        assert result.tolist() == pytest.approx([*(np.arange(10) / 2), 10, 11])

    def test_a_clip_without_a_warp_is_exactly_as_it_was(self):
        features = torch.randn(2, 50, 4)
        result = apply_features(
            features, torch.tensor([37, 37]), draws_of(2, warp_frames=[0, 4], warp_point=[0.3, 0.3])
        )
        assert torch.equal(result[0], features[0])
        assert not torch.equal(result[1], features[1])

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_the_type_is_kept(self, dtype):
        draws = draw(EVERYTHING, 3, 3, 0, 1)
        assert apply_features(torch.ones(3, 20, 8, dtype=dtype), torch.full((3,), 20), draws).dtype == dtype

    def test_a_clip_comes_out_alike_alone_and_in_a_batch(self):
        draws, features, valid = draw(EVERYTHING, 6, 6, 0, 1), torch.randn(6, 64, 16), torch.arange(10, 64, 9)
        together = apply_features(features, valid, draws)
        for i in range(6):
            alone = apply_features(features[i : i + 1, :], valid[i : i + 1], draws.at(slice(i, i + 1)))
            assert torch.equal(alone[0], together[i])

    def test_with_everything_off_nothing_changes(self):
        features = torch.randn(2, 10, 4)
        assert torch.equal(apply_features(features, torch.tensor([10, 5]), draws_of(2)), features)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_a_cpu_gives():
    draws = draw(EVERYTHING, 6, 6, 0, 1)
    features, valid = torch.randn(6, 64, 16), torch.arange(10, 64, 9)
    torch.testing.assert_close(
        apply_features(features.cuda(), valid.cuda(), draws).cpu(),
        apply_features(features, valid, draws),
        atol=1e-4,
        rtol=0,
    )
    targets = torch.rand(6, 3)
    on_gpu = mix_targets(*(targets.cuda(),) * 4, draws.mixup_lambda)[0]
    torch.testing.assert_close(on_gpu.cpu(), mix_targets(*(targets,) * 4, draws.mixup_lambda)[0])
