"""Tests of clips fitted to one number of frames: against a plain loop over clips, and what silence and windows mean."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from earmark.features import PRESETS, ClipFrames, FrontEnd, LogMel, fit_frames

NUM_MELS = 3


def front_end(spectrum: str = "magnitude", log: str = "natural", mean: float = 0.0, std: float = 1.0) -> FrontEnd:
    return PRESETS["staged"].model_copy(update={"spectrum": spectrum, "log": log, "mean": mean, "std": std})


def features_of(sums: np.ndarray, settings: FrontEnd) -> np.ndarray:
    """What the front end makes of its bands' sums: logarithm, mean and deviation as the settings say."""
    tenfold_db = {"power": 10, "magnitude": 20}[settings.spectrum]
    logarithm = np.log(sums) if settings.log == "natural" else tenfold_db * np.log10(sums)
    return (logarithm - settings.mean) / settings.std


def fitted_sums(sums: np.ndarray, clip_frames: ClipFrames, spectrum: str) -> np.ndarray:
    """One clip's sums (frame, mel), fitted as the words say it: frame by frame."""
    levels = [{"power": 10, "magnitude": 20}[spectrum] * math.log10(frame.sum()) for frame in sums]
    kept = list(range(len(sums)))
    if clip_frames.silence_db is not None:
        while max(levels) - levels[kept[0]] > clip_frames.silence_db:
            kept.pop(0)
        while max(levels) - levels[kept[-1]] > clip_frames.silence_db:
            kept.pop()
    n, wanted = len(kept), clip_frames.num_frames
    order = [i % n if n <= wanted else math.floor(i * n / wanted) for i in range(wanted)]
    return np.stack([sums[kept[i]] for i in order])


def made_sums(num_frames: int, seed: int) -> np.ndarray:
    """Sums (frame, mel) with levels tens of decibels apart, those near the ends mostly fainter than the others."""
    rng = np.random.default_rng(seed)
    from_end = np.minimum(np.arange(num_frames), np.arange(num_frames)[::-1])
    tens = np.where(from_end < num_frames // 3, rng.uniform(-6, 0, num_frames), rng.uniform(-3, 1, num_frames))
    sums: np.ndarray = 10 ** tens[:, None] * rng.uniform(0.5, 1.5, (num_frames, NUM_MELS))
    return sums


def batch_of(clips: list[np.ndarray], width: int, fill: float = math.nan) -> tuple[torch.Tensor, torch.Tensor]:
    """Features side by side, and past each clip what nothing may read."""
    batch = torch.full((len(clips), width, NUM_MELS), fill)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return batch, torch.tensor([len(clip) for clip in clips])


SETTINGS = [
    front_end(),
    front_end("power"),
    front_end("magnitude", "db", mean=-31.0, std=7.5),
    front_end("power", "db", mean=-31.0, std=7.5),
    front_end("magnitude", mean=-4.0, std=2.5),
]
LENGTHS = (1, 2, 6, 7, 8, 13, 14, 15, 40)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("silence_db", [None, 40.0, 60.0])
def test_frames_are_those_of_the_plain_loop(settings, silence_db):
    clip_frames = ClipFrames(num_frames=7, silence_db=silence_db)
    sums = [made_sums(length, seed) for seed, length in enumerate(LENGTHS)]
    batch, num_valid_frames = batch_of([features_of(each, settings) for each in sums], width=41)
    found = fit_frames(batch, num_valid_frames, clip_frames, settings)
    expected = [features_of(fitted_sums(each, clip_frames, settings.spectrum), settings) for each in sums]
    np.testing.assert_array_equal(found.numpy(), np.stack(expected).astype(np.float32))


def test_the_plain_loop_is_asked_about_silent_ends():
    """Some of the clips above have silent frames at an end under either limit, or the test would say nothing of it."""
    for silence_db in (40.0, 60.0):
        sums = [made_sums(length, seed) for seed, length in enumerate(LENGTHS)]
        trimmed = [fitted_sums(each, ClipFrames(num_frames=7, silence_db=silence_db), "magnitude") for each in sums]
        whole = [fitted_sums(each, ClipFrames(num_frames=7), "magnitude") for each in sums]
        assert sum(not np.array_equal(*pair) for pair in zip(trimmed, whole, strict=True)) >= 3


@given(num_valid=st.integers(1, 60), num_frames=st.integers(1, 60))
def test_frames_come_in_order_and_all_of_the_clip_is_covered(num_valid, num_frames):
    features = torch.arange(float(num_valid))[None, :, None]
    fitted = fit_frames(features, torch.tensor([num_valid]), ClipFrames(num_frames=num_frames), front_end())[0, :, 0]
    if num_valid <= num_frames:
        assert fitted.tolist() == [i % num_valid for i in range(num_frames)]
    else:
        steps = fitted.diff()
        assert fitted[0] == 0
        assert num_valid - fitted[-1] <= math.ceil(num_valid / num_frames)
        assert set(steps.tolist()) <= {num_valid // num_frames, math.ceil(num_valid / num_frames)}


def test_a_clip_is_fitted_alike_alone_and_in_any_batch():
    clip_frames, settings = ClipFrames(num_frames=9, window_frames=4, silence_db=40.0), front_end()
    clips = [features_of(made_sums(length, seed), settings) for seed, length in enumerate(LENGTHS)]
    place = np.random.default_rng(5).random(len(clips))
    together = fit_frames(*batch_of(clips, width=50, fill=99.0), clip_frames, settings, place)
    for index, clip in enumerate(clips):
        alone = fit_frames(*batch_of([clip], width=len(clip)), clip_frames, settings, place[index : index + 1])
        assert torch.equal(alone[0], together[index])


# Silence


def kept_of(levels_db: list[float], silence_db: float | None) -> list[int]:
    """Which frames of a clip are kept, whose magnitudes have these levels: each frame is known by its first mel."""
    log = torch.tensor(levels_db)[:, None] * math.log(10) / 20 + torch.linspace(0, 1, NUM_MELS)
    clip_frames = ClipFrames(num_frames=len(levels_db), silence_db=silence_db)
    fitted = fit_frames(log[None], torch.tensor([len(levels_db)]), clip_frames, front_end())
    return sorted({(log[:, 0] - frame[0]).abs().argmin().item() for frame in fitted[0]})


def test_silence_is_dropped_at_the_ends_and_kept_inside():
    levels = [-90.0, -61.0, -20.0, -80.0, 0.0, -59.0, -62.0, -63.0]
    assert kept_of(levels, 60.0) == [2, 3, 4, 5]
    assert kept_of(levels, 15.0) == [4]
    assert kept_of(levels, None) == list(range(8))


def test_silence_is_under_the_clips_own_loudest_frame():
    levels = [-61.0, -20.0, 0.0]
    assert kept_of(levels, 60.0) == kept_of([level - 70 for level in levels], 60.0) == [1, 2]


def test_a_frame_is_heard_by_all_its_mels_together():
    """A hundred bands, each 39 dB under a lone one, are together 1 dB louder than it: magnitudes add up."""
    spread, lone = torch.full((100,), -math.log(10) * 39 / 20), torch.full((100,), -20.0)
    lone[0] = 0.0
    features, valid = torch.stack([spread, lone])[None], torch.tensor([2])
    for silence_db, expected in ((1.5, [spread, lone]), (0.5, [spread, spread])):
        fitted = fit_frames(features, valid, ClipFrames(num_frames=2, silence_db=silence_db), front_end())
        assert torch.equal(fitted[0], torch.stack(expected))


@pytest.mark.parametrize("preset", ["staged", "staged_power", "psl", "psla"])
def test_digital_silence_keeps_all_its_frames(preset):
    made = LogMel(PRESETS[preset])
    features, valid = made(torch.zeros(1, 30000))
    counted = features + torch.arange(features.shape[1])[None, :, None] * 1e-6
    fitted = fit_frames(counted, valid, ClipFrames(num_frames=features.shape[1], silence_db=60.0), PRESETS[preset])
    assert torch.equal(fitted, counted)


@pytest.mark.parametrize("preset", ["staged", "staged_power", "psl", "psla"])
@pytest.mark.parametrize("gain", [1.0, 1e-2])
def test_silence_around_a_sound_is_dropped(preset, gain):
    """A second of noise between seconds of digital silence: what is left is a second, but for the frames at its edges.

    Whatever the front end: the levels are told from its settings alone.
    """
    settings, rate = PRESETS[preset], PRESETS[preset].rate_hz
    waveform = torch.zeros(1, 3 * rate)
    waveform[:, rate : 2 * rate] = gain * 0.3 * torch.randn(rate, generator=torch.Generator().manual_seed(0))
    features, valid = LogMel(settings)(waveform)
    # 40 dB: psla's floor of powers is no 60 dB under noise of a level of .003.
    fitted = fit_frames(features, valid, ClipFrames(num_frames=4 * int(valid), silence_db=40.0), settings)[0]
    period = next(i for i in range(1, len(fitted)) if torch.equal(fitted[i], fitted[0]))
    num_sounding = rate / settings.hop_samples
    assert num_sounding - 1 <= period <= num_sounding + settings.window_samples / settings.hop_samples + 1
    assert torch.equal(fitted[: 2 * period], fitted[period : 3 * period])


def test_what_is_not_a_number_is_kept():
    features = torch.full((1, 4, NUM_MELS), math.nan)
    fitted = fit_frames(features, torch.tensor([4]), ClipFrames(num_frames=6, silence_db=60.0), front_end())
    assert fitted.shape == (1, 6, NUM_MELS)
    assert fitted.isnan().all()


# Windows


@pytest.mark.parametrize(("num_valid", "silence_db"), [(5, None), (40, None), (40, 40.0)])
def test_a_window_is_a_stretch_of_the_fitted_clip(num_valid, silence_db):
    settings = front_end()
    clip_frames = ClipFrames(num_frames=20, window_frames=8, silence_db=silence_db)
    features, valid = batch_of([features_of(made_sums(num_valid, 3), settings)], width=num_valid)
    whole = fit_frames(features, valid, clip_frames, settings)
    assert whole.shape == (1, 20, NUM_MELS)
    below_one = math.nextafter(1, 0)
    for place, first in [(0.0, 0), (1 / 13 - 1e-9, 0), (1 / 13 + 1e-9, 1), (0.5, 6), (below_one, 12)]:
        for places in (np.array([place]), torch.tensor([place], dtype=torch.float64)):
            window = fit_frames(features, valid, clip_frames, settings, places)
            assert torch.equal(window, whole[:, first : first + 8])


@pytest.mark.parametrize("window_frames", [None, 20])
def test_a_window_of_all_frames_is_the_clip(window_frames):
    settings, clip_frames = front_end(), ClipFrames(num_frames=20, window_frames=window_frames)
    features, valid = batch_of([features_of(made_sums(7, 3), settings)] * 2, width=9)
    window = fit_frames(features, valid, clip_frames, settings, np.array([0.0, 0.999]))
    assert torch.equal(window, fit_frames(features, valid, clip_frames, settings))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ([0.5], r"place must be 2 numbers in \[0, 1\), got \[0.5\]"),
        ([0.5, 1.0], r"got \[0.5, 1.0\]"),
        ([-0.1, 0.5], r"got \[-0.1, 0.5\]"),
        ([0.5, math.nan], r"got \[0.5, nan\]"),
    ],
)
def test_places_that_are_none_are_refused(place, message):
    features, valid = torch.zeros(2, 3, NUM_MELS), torch.tensor([3, 2])
    with pytest.raises(ValueError, match=message):
        fit_frames(features, valid, ClipFrames(num_frames=5, window_frames=2), front_end(), np.array(place))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_frames": 0}, "num_frames"),
        ({"num_frames": 5, "window_frames": 6}, "window_frames must be at most num_frames, 5, got 6"),
        ({"num_frames": 5, "window_frames": 0}, "window_frames"),
        ({"num_frames": 5, "silence_db": 0}, "silence_db"),
        ({"num_frames": 5, "silence": 60}, "silence"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        ClipFrames(**values)


@pytest.mark.gpu
def test_cuda_and_cpu_agree():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    settings, clip_frames = front_end(), ClipFrames(num_frames=9, window_frames=4, silence_db=40.0)
    clips = [features_of(made_sums(length, seed), settings) for seed, length in enumerate(LENGTHS)]
    features, valid = batch_of(clips, width=50)
    place = np.random.default_rng(5).random(len(clips))
    expected = fit_frames(features, valid, clip_frames, settings, place)
    for given_place in (place, torch.from_numpy(place).cuda()):
        found = fit_frames(features.cuda(), valid.cuda(), clip_frames, settings, given_place)
        assert found.is_cuda
        assert torch.equal(found.cpu(), expected)
