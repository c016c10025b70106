"""Tests of the log-mel front ends: against Kaldi, plain float64 versions and physics; and that a clip's are its own."""

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from earmark.errors import InputError
from earmark.features import PRESETS, FrontEnd, LogMel, mel_filters, normalisation_from, one_clip
from tests.reference.log_mel import class_frame_log_mel, psl_log_mel, psla_log_mel, staged_log_mel

RATE_HZ = 16000
LENGTH = 8000
OGG_FILES = sorted((Path(__file__).parent.parent / "data" / "esc10").rglob("*.ogg"))[:40:13]
EVERY = pytest.mark.parametrize("preset", list(PRESETS))


def changed(preset: str, **settings) -> FrontEnd:
    return FrontEnd.model_validate(PRESETS[preset].model_dump() | settings)


RAW = {preset: LogMel(changed(preset, mean=0, std=1, min_max=False)) for preset in PRESETS}


def made_sounds() -> dict[str, np.ndarray]:
    time_s = np.arange(LENGTH) / RATE_HZ
    noise = np.random.default_rng(7).standard_normal(LENGTH)
    return {
        "noise": 0.1 * noise,
        "quiet noise": 1e-4 * noise,
        "noise bursts": 0.3 * noise * (np.arange(LENGTH) % 3000 < 400),
        "chirp": 0.5 * np.sin(2 * np.pi * (50 * time_s + 7500 * time_s**2)),
        "clicks": 0.9 * (np.arange(LENGTH) % 2500 == 1000),
        "silence": np.zeros(LENGTH),
        "constant": np.full(LENGTH, 0.5),
        "offset tone": 0.5 + 1e-3 * np.sin(2 * np.pi * 440 * time_s),
        "full-scale square": np.where(np.arange(LENGTH) % 160 < 80, 1.0, -1.0),
        "slope": np.linspace(-1, 1, LENGTH),
    }


def recorded_sounds() -> dict[str, np.ndarray]:
    sounds = {}
    for path in OGG_FILES:
        waveform, rate_hz = soundfile.read(path)
        sounds[path.name] = soxr.resample(waveform, rate_hz, RATE_HZ)[:LENGTH]
    return sounds


SOUNDS = {name: sound.astype(np.float32) for name, sound in (made_sounds() | recorded_sounds()).items()}
EVERY_SOUND = pytest.mark.parametrize("sound", list(SOUNDS))


def batch_of(*waveforms: np.ndarray, width: int = 0, fill: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms side by side, filled up at their ends, and their lengths."""
    lengths = [len(waveform) for waveform in waveforms]
    batch = torch.full((len(waveforms), max(width, *lengths)), fill)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    return batch, torch.tensor(lengths)


def features_of(preset: str, waveform: np.ndarray) -> np.ndarray:
    return RAW[preset](torch.from_numpy(waveform)[None])[0][0].numpy()


def assert_within_float32(found, expected, per_neper: float, atol: float, ratio: float = 3e-7) -> None:
    """Float32 transforms err by a share of the frame's loudest amplitude: the fainter a cell beside it, the more.

    `per_neper` is what one neper of amplitude is in the features' unit (20 / ln 10 dB; 2 for log powers), `atol` what
    is allowed everywhere, `ratio` the error's amplitude beside the loudest: some multiple of float32's 6e-8.
    """
    beside_loudest = np.exp((expected.max(1, keepdims=True) - expected) / per_neper)
    excess = np.abs(found - expected) - (atol + per_neper * ratio * beside_loudest)
    assert excess.max() <= 0, f"{excess.max():.2e} over, at {np.unravel_index(excess.argmax(), excess.shape)}"


# Against independent versions


@EVERY_SOUND
def test_psl_is_the_plain_float64_version(sound):
    expected = psl_log_mel(SOUNDS[sound].astype(np.float64))
    assert_within_float32(features_of("psl", SOUNDS[sound]), expected, per_neper=20 / math.log(10), atol=1e-4)


@EVERY_SOUND
def test_psla_is_the_plain_float64_version(sound):
    expected = psla_log_mel(SOUNDS[sound].astype(np.float64))
    assert_within_float32(features_of("psla", SOUNDS[sound]), expected, per_neper=2, atol=1e-3)


@EVERY_SOUND
def test_psla_is_kaldi(sound):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = RATE_HZ
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins = 128
    options.use_energy = False
    kaldi = kaldi_native_fbank.OnlineFbank(options)
    kaldi.accept_waveform(RATE_HZ, SOUNDS[sound].tolist())
    kaldi.input_finished()
    expected = np.stack([kaldi.get_frame(frame) for frame in range(kaldi.num_frames_ready)])
    # 3e-3 is Kaldi's own distance from float64 on such clips: it, too, transforms in float32.
    assert_within_float32(features_of("psla", SOUNDS[sound]), expected, per_neper=2, atol=3e-3)


@EVERY_SOUND
@pytest.mark.parametrize(("preset", "exponent"), [("staged", 1), ("staged_power", 2)])
def test_staged_is_the_plain_float64_version(preset, exponent, sound):
    expected = staged_log_mel(SOUNDS[sound].astype(np.float64), exponent)
    assert_within_float32(features_of(preset, SOUNDS[sound]), expected, per_neper=exponent, atol=1e-3)


@EVERY_SOUND
def test_class_frame_is_the_plain_float64_version_scaled_to_the_clips_range(sound):
    raw = features_of("class_frame", SOUNDS[sound])
    expected = class_frame_log_mel(SOUNDS[sound].astype(np.float64))
    # From frame 13 on the chirp, taken as of 44.1 kHz, is above all bands: what they hold is leaked from a tone that
    # no band shows, and its rounding cannot be held against it.
    told = 13 if sound == "chirp" else len(expected)
    assert_within_float32(raw[:told], expected[:told], per_neper=2, atol=1e-3)
    found = LogMel(PRESETS["class_frame"])(torch.from_numpy(SOUNDS[sound])[None])[0][0].numpy()
    raw = raw.astype(np.float64)
    width = raw.max() - raw.min()
    np.testing.assert_allclose(found, (raw - raw.min()) / width if width else 0 * raw, rtol=0, atol=1e-5)


def test_each_clip_has_a_range_of_its_own_and_is_filled_with_0():
    batch, num_samples = batch_of(SOUNDS["noise"][:5000], 0.01 * SOUNDS["chirp"], SOUNDS["silence"][:4000], fill=0.5)
    for features in (
        LogMel(PRESETS["class_frame"])(batch, num_samples)[0],
        whole_batch(PRESETS["class_frame"], batch, num_samples),
    ):
        torch.testing.assert_close(features.amax((1, 2)), torch.tensor([1.0, 1.0, 0.0]))
        assert (features[0, 12:] == 0).all()
        assert features.amin() == 0


def test_ten_seconds_of_class_frame_are_1024_frames_as_printed():
    assert LogMel(PRESETS["class_frame"]).num_frames(441_000) == 1024
    assert (mel_filters(PRESETS["class_frame"]).sum(0) > 0).all()


@pytest.mark.parametrize(("spectrum", "exponent"), [("power", 2), ("magnitude", 1)])
def test_decibels_are_those_of_the_amplitude_whatever_is_summed(spectrum, exponent):
    """A sine of amplitude 1 under a Hann window of 512 has the magnitude 128 at its own bin: 1000 Hz, the 32nd."""
    settings = changed("psl", spectrum=spectrum, num_mels=1, low_hz=970, high_hz=1030)
    weights = mel_filters(settings)[:, 0]
    assert np.flatnonzero(weights).tolist() == [32]
    tone = np.sin(2 * np.pi * 1000 * np.arange(LENGTH) / RATE_HZ).astype(np.float32)
    expected = 20 / exponent * math.log10(weights[32] * 128**exponent)
    assert float(LogMel(settings)(torch.from_numpy(tone)[None])[0][0, 10, 0]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("spectrum", ["power", "magnitude"])
@pytest.mark.parametrize("log", ["db", "natural"])
def test_dynamic_range_is_in_decibels_of_amplitude_whatever_is_summed(spectrum, log):
    settings = changed("psl", spectrum=spectrum, log=log, dynamic_range_db=60.0)
    for features in (
        LogMel(settings)(torch.from_numpy(SOUNDS["noise bursts"])[None])[0],
        whole_batch(settings, torch.from_numpy(SOUNDS["noise bursts"])[None], torch.tensor([LENGTH])),
    ):
        per_db = 1 if log == "db" else math.log(10) / (10 if spectrum == "power" else 20)
        assert float(features.max() - features.min()) == pytest.approx(60 * per_db, abs=1e-3)


def test_psla_is_normalised_with_audiosets_numbers_by_default():
    waveform = torch.from_numpy(SOUNDS["noise"])[None]
    expected = (RAW["psla"](waveform)[0] + 4.6476) / 4.5699
    torch.testing.assert_close(LogMel(PRESETS["psla"])(waveform)[0], expected, rtol=0, atol=1e-5)


def test_psla_of_ten_seconds_is_998_by_128():
    features, num_valid_frames = LogMel(PRESETS["psla"])(torch.zeros(1, 160000))
    assert features.shape == (1, 998, 128)
    assert num_valid_frames.tolist() == [998]


# Physics


@EVERY
@pytest.mark.parametrize("band", [0.4, 0.6, 0.95])
def test_a_sine_is_loudest_in_the_band_of_its_frequency(preset, band):
    settings = PRESETS[preset]
    band = int(band * settings.num_mels)
    low, high = (1127 * math.log(1 + hz / 700) for hz in (settings.low_hz, settings.high_hz))
    centre_mel = low + (high - low) * (band + 1) / (settings.num_mels + 1)
    tone_hz = 700 * (math.exp(centre_mel / 1127) - 1)
    tone = 0.5 * np.sin(2 * np.pi * tone_hz * np.arange(LENGTH) / settings.rate_hz)
    inner = features_of(preset, tone.astype(np.float32))[2:-2]
    assert set(inner.argmax(1)) == {band}


@EVERY
def test_twice_the_amplitude_is_6_decibels_more(preset):
    louder = features_of(preset, 2 * SOUNDS["noise"]) - features_of(preset, SOUNDS["noise"])
    is_silent_band = mel_filters(PRESETS[preset]).sum(0) == 0
    expected = {"psl": 20 * math.log10(2), "staged": math.log(2)}.get(preset, 2 * math.log(2))
    np.testing.assert_allclose(louder[:, ~is_silent_band], expected, atol=1e-5)
    assert (louder[:, is_silent_band] == 0).all()


def test_a_click_is_in_the_frames_that_cover_it():
    click = np.zeros(LENGTH, np.float32)
    click[4000] = 1
    heard = features_of("psl", click).max(1) > -20
    # Centred frames of 512: all whose centre is less than 256 samples from the click, but for the window's zero ends.
    assert np.flatnonzero(heard).tolist() == [24, 25, 26]


def test_a_constant_is_silence_to_psla():
    np.testing.assert_allclose(features_of("psla", SOUNDS["constant"]), math.log(2**-23), atol=1e-5)


# Filters


def test_neighbouring_filters_sum_to_one():
    for preset in PRESETS:
        filters = mel_filters(PRESETS[preset])
        first_peak, last_peak = filters[:, 1].argmax() + 1, filters[:, -1].argmax() - 1
        np.testing.assert_allclose(filters[first_peak:last_peak].sum(1), 1)


def test_one_of_the_psla_filters_holds_no_bin():
    assert (mel_filters(PRESETS["psla"]).sum(0) == 0).sum() == 1
    assert all((mel_filters(PRESETS[preset]).sum(0) > 0).all() for preset in ("psl", "staged"))


# A clip's features are its own


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
def test_a_clip_has_the_same_features_alone_and_in_any_batch(preset, dtype):
    front_end = LogMel(PRESETS[preset])
    names = ["chirp", "full-scale square", "quiet noise", "noise bursts"]
    waveforms = [SOUNDS[name][:length] for name, length in zip(names, [8000, 7000, 333, 5001], strict=True)]
    # Past a clip's end lies a full-scale constant, which nothing may hear.
    batch, num_samples = batch_of(*waveforms, width=9000, fill=0.99)
    batch = batch if dtype == torch.float32 else (batch * 32767).to(dtype)
    together, valid = front_end(batch, num_samples)
    reversed_order, _ = front_end(batch.flip(0), num_samples.flip(0), 80)
    for clip, length in enumerate(num_samples.tolist()):
        alone, num_frames = front_end(batch[clip : clip + 1, :length])
        assert valid[clip] == num_frames[0] == alone.shape[1]
        assert torch.equal(together[clip, : valid[clip]], alone[0])
        assert torch.equal(reversed_order.flip(0)[clip, : valid[clip]], alone[0])


@EVERY
def test_what_is_past_a_clip_may_even_be_not_a_number(preset):
    batch, num_samples = batch_of(SOUNDS["chirp"][:3000], SOUNDS["noise"], fill=math.nan)
    for features in (LogMel(PRESETS[preset])(batch, num_samples)[0], whole_batch(PRESETS[preset], batch, num_samples)):
        assert features.isfinite().all()


def test_a_broken_clip_does_not_spoil_the_next():
    front_end = LogMel(PRESETS["psla"])
    expected = front_end(torch.from_numpy(SOUNDS["noise"][:399])[None])[0]
    front_end(torch.full((1, 9000), math.nan))
    assert torch.equal(front_end(torch.from_numpy(SOUNDS["noise"][:399])[None])[0], expected)


@EVERY
def test_int16_is_float32_to_the_last_bit(preset):
    packed = (torch.from_numpy(np.stack([SOUNDS["noise"], SOUNDS["full-scale square"]])) * 32767).to(torch.int16)
    front_end = LogMel(PRESETS[preset])
    assert torch.equal(front_end(packed)[0], front_end(packed.float() / 32768)[0])


# Both paths


def whole_batch(settings: FrontEnd, batch: torch.Tensor, num_samples: torch.Tensor, num_frames: int | None = None):
    """What devices other than the CPU use, on any device."""
    front_end = LogMel(settings)
    num_frames = num_frames or front_end.num_frames(batch.shape[1])
    valid = [min(num_frames, front_end.num_frames(count)) for count in num_samples.tolist()]
    return front_end._whole_batch(batch, num_samples.tolist(), valid, num_frames)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
@pytest.mark.parametrize("num_frames", [None, 30, 60])
def test_whole_batch_and_clip_by_clip_agree(preset, dtype, num_frames):
    names = ["noise", "noise bursts", "quiet noise", "noise", "clicks", "noise", "noise"]
    lengths = [8000, 7000, 333, 100, 5001, 1, 0]
    waveforms = [SOUNDS[name][:length] for name, length in zip(names, lengths, strict=True)]
    batch, num_samples = batch_of(*waveforms, fill=0.99)
    batch = batch if dtype == torch.float32 else (batch * 32767).to(dtype)
    one_by_one = LogMel(PRESETS[preset])(batch, num_samples, num_frames)[0]
    at_once = whole_batch(PRESETS[preset], batch, num_samples, num_frames)
    torch.testing.assert_close(at_once, one_by_one, rtol=0, atol=1e-4)


@EVERY
def test_paths_agree_over_many_blocks_and_past_the_kept_buffers(preset, monkeypatch):
    length = 1250 * PRESETS[preset].hop_samples
    waveform = torch.from_numpy(0.1 * np.random.default_rng(3).standard_normal((1, length)).astype(np.float32))
    kept, _ = LogMel(PRESETS[preset])(waveform)
    assert kept.shape[1] > 2 * one_clip.BLOCK_SAMPLES / PRESETS[preset].fft_samples
    torch.testing.assert_close(whole_batch(PRESETS[preset], waveform, torch.tensor([length])), kept, rtol=0, atol=1e-4)
    monkeypatch.setattr(one_clip, "KEPT_SAMPLES", 1000)
    assert torch.equal(LogMel(PRESETS[preset])(waveform)[0], kept)


@pytest.mark.gpu
@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
def test_cuda_and_cpu_agree(preset, dtype):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    waveforms = [SOUNDS["noise"], SOUNDS["noise bursts"][:7000], SOUNDS["quiet noise"][:333], SOUNDS["noise"][:1]]
    batch, num_samples = batch_of(*waveforms, fill=0.99)
    batch = batch if dtype == torch.float32 else (batch * 32767).to(dtype)
    front_end = LogMel(PRESETS[preset])
    features, valid = front_end(batch, num_samples, 64)
    front_end = front_end.cuda()
    on_device, valid_on_device = front_end(batch.cuda(), num_samples, 64)
    assert on_device.is_cuda
    assert valid_on_device.tolist() == valid.tolist()
    torch.testing.assert_close(on_device.cpu(), features, rtol=0, atol=1e-4)
    alone = front_end(batch[1:2, :7000].cuda())[0]
    torch.testing.assert_close(on_device[1:2, : alone.shape[1]], alone, rtol=0, atol=1e-5)


# Short and empty clips, filling, cutting


@pytest.mark.parametrize("length", [1, 2, 3, 159, 160, 255, 256, 257, 300])
def test_psl_reflects_a_short_clip_as_often_as_it_takes(length):
    waveform = SOUNDS["noise"][:length]
    found, expected = features_of("psl", waveform), psl_log_mel(waveform.astype(np.float64))
    assert found.shape == (1 + length // 160, 64)
    assert_within_float32(found, expected, per_neper=20 / math.log(10), atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 159, 399, 400, 401])
def test_psla_fills_a_short_clip_to_one_window(length):
    waveform = SOUNDS["noise"][:length]
    found, expected = features_of("psla", waveform), psla_log_mel(waveform.astype(np.float64))
    assert found.shape == (1, 128)
    assert_within_float32(found, expected, per_neper=2, atol=1e-3)


@EVERY
def test_a_clip_without_samples_is_one_frame_of_silence(preset):
    batch, num_samples = batch_of(np.zeros(0, np.float32), SOUNDS["noise"])
    features, valid = RAW[preset](batch, num_samples)
    silence = {"psl": -100, "psla": math.log(2**-23)}.get(preset, math.log(1e-10))
    assert valid[0] == 1
    torch.testing.assert_close(features[0, 0], torch.full_like(features[0, 0], silence), rtol=0, atol=1e-4)
    assert RAW[preset](torch.zeros(2, 0))[0].shape == (2, 1, PRESETS[preset].num_mels)
    assert RAW[preset](torch.zeros(0, 5000))[1].dtype == torch.int64


@pytest.mark.parametrize("gain", [1, 1e-3])
def test_psl_fills_with_what_silence_gives(gain):
    """The floor is -100 dB, or 120 dB under the loudest cell where that is higher."""
    waveform = SOUNDS["full-scale square"][:4000] * np.float32(gain)
    features, valid = RAW["psl"](torch.from_numpy(waveform)[None], None, 40)
    loudest = float(features[0, : valid[0]].max())
    assert loudest > 20 + 20 * math.log10(gain)
    expected = torch.full((40 - int(valid[0]), 64), max(-100.0, loudest - 120))
    torch.testing.assert_close(features[0, valid[0] :], expected, rtol=0, atol=1e-4)
    assert features.min() >= features[0, -1, 0] - 1e-4


def test_psla_fills_with_0_or_as_the_reference_before_normalising():
    waveform = torch.from_numpy(SOUNDS["noise"])[None]
    filled, valid = LogMel(PRESETS["psla"])(waveform, None, 60)
    assert (filled[0, valid[0] :] == 0).all()
    before, _ = LogMel(changed("psla", pad_before_normalising=True))(waveform, None, 60)
    torch.testing.assert_close(before[0, valid[0] :], torch.full((60 - int(valid[0]), 128), 1.017), rtol=0, atol=1e-4)
    assert torch.equal(before[0, : valid[0]], filled[0, : valid[0]])


@EVERY
def test_cutting_keeps_the_first_frames(preset):
    waveform = torch.from_numpy(SOUNDS["noise"])[None]
    features, _ = RAW[preset](waveform)
    cut, valid = RAW[preset](waveform, None, 6)
    assert valid.tolist() == [6]
    torch.testing.assert_close(cut, features[:, :6], rtol=0, atol=1e-5)


def test_psl_floor_is_under_the_loudest_cell_that_is_kept():
    waveform = np.zeros(LENGTH, np.float32)
    waveform[6000:] = SOUNDS["full-scale square"][6000:]
    features = RAW["psl"](torch.from_numpy(waveform)[None])[0]
    assert float(features[0, 0, 0]) == pytest.approx(float(features.max()) - 120, abs=1e-4)
    assert RAW["psl"](torch.from_numpy(waveform)[None], None, 20)[0].max() == pytest.approx(-100, abs=1e-4)


@given(num_frames=st.integers(1, 5000), preset=st.sampled_from(list(PRESETS)))
def test_samples_for_frames_is_the_longest_clip_of_so_many(num_frames, preset):
    longest = RAW[preset].samples_for_frames(num_frames)
    assert RAW[preset].num_frames(longest) == num_frames
    assert RAW[preset].num_frames(longest + 1) == num_frames + 1


def test_num_frames_is_what_forward_gives():
    for preset, length in [
        ("psl", 1600),
        ("psl", 1599),
        ("psla", 1679),
        ("psla", 1680),
        ("psla", 10),
        ("staged", 881),
        ("staged", 882),
    ]:
        features, valid = RAW[preset](torch.zeros(1, length))
        assert features.shape[1] == valid[0] == RAW[preset].num_frames(length)


# Settings


OTHER_VALUES = {
    "rate_hz": 48000,
    "window_samples": 320,
    "hop_samples": 200,
    "fft_samples": 4096,
    "window": {"hann_periodic": "hann_symmetric", "hann_symmetric": "hann_periodic"},
    "frames": {"centred": "inside", "inside": "centred"},
    "remove_mean": {False: True},
    "remove_frame_mean": {False: True, True: False},
    "pre_emphasis": 0.5,
    "num_mels": 40,
    "low_hz": 50.0,
    "high_hz": 7000.0,
    "mel_filters": {"htk": "kaldi", "kaldi": "htk"},
    "spectrum": {"power": "magnitude", "magnitude": "power"},
    "log": {"db": "natural", "natural": "db"},
    "power_floor": 1e-3,
    "dynamic_range_db": 30.0,
    "mean": 1.0,
    "std": 2.0,
    "min_max": {True: False},
    "pad": {"silence": "zero", "zero": "silence"},
    "pad_before_normalising": {False: True},
}


# Some go with other settings alone; remove_mean is made up for by remove_frame_mean, but for short clips (below).
WITHOUT_EFFECT = {
    *((preset, "min_max") for preset in PRESETS if preset != "class_frame"),
    *(("class_frame", name) for name in ("mean", "std", "pad", "log")),
    *((preset, "pad_before_normalising") for preset in PRESETS if preset != "psla"),
    ("psla", "remove_mean"),
}
EVERY_SETTING = [(preset, name) for preset in PRESETS for name in FrontEnd.model_fields]


@pytest.mark.parametrize(("preset", "name"), [pair for pair in EVERY_SETTING if pair not in WITHOUT_EFFECT])
def test_every_setting_is_read(preset, name):
    value = OTHER_VALUES[name]
    settings = changed(preset, **{name: value[getattr(PRESETS[preset], name)] if isinstance(value, dict) else value})
    # Noise everywhere: without it, frames less their mean hold nothing but what rounding leaves.
    waveform = torch.from_numpy(SOUNDS["noise bursts"] + SOUNDS["noise"] / 20 + np.float32(0.1))[None]
    before, after = LogMel(PRESETS[preset])(waveform, None, 60)[0], LogMel(settings)(waveform, None, 60)[0]
    assert before.shape != after.shape or (before - after).abs().max() > 1e-3
    at_once = whole_batch(settings, waveform, torch.tensor([LENGTH]), 60)
    torch.testing.assert_close(at_once, after, rtol=0, atol=2e-3)


def test_removing_the_mean_keeps_the_filling_of_a_short_psla_clip_silent():
    waveform = torch.full((1, 200), 0.5)
    assert RAW["psla"](waveform)[0].max() < -15
    assert LogMel(changed("psla", mean=0, std=1, remove_mean=False))(waveform)[0].max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fft_samples": 256}, "fft_samples must be at least window_samples 512, got 256"),
        ({"high_hz": 9000}, r"low_hz < high_hz <= 8000 \(half of rate_hz\) must hold, got 0 and 9000"),
        ({"low_hz": 8000}, r"low_hz < high_hz <= 8000 \(half of rate_hz\) must hold, got 8000 and 8000"),
        ({"pad_before_normalising": True}, "pad_before_normalising needs pad zero, got pad silence"),
        ({"min_max": True}, "min_max needs pad zero, mean 0 and std 1"),
        ({"num_bands": 3}, "num_bands"),
        ({"std": 0}, "std"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        changed("psl", **settings)


def test_settings_survive_json_to_the_last_digit():
    for settings in PRESETS.values():
        assert FrontEnd.model_validate_json(settings.model_dump_json()) == settings


def test_front_ends_of_before_there_was_a_choice_sum_powers():
    stored = PRESETS["psl"].model_dump()
    del stored["spectrum"]
    assert FrontEnd.model_validate(stored) == PRESETS["psl"]


@pytest.mark.parametrize(
    ("waveform", "num_samples", "message"),
    [
        (
            torch.zeros(1, 9, dtype=torch.float64),
            None,
            r"int16 or float32 and \(clip, sample\), got torch.float64 \(1, 9\)",
        ),
        (torch.zeros(9), None, r"got torch.float32 \(9,\)"),
        (torch.zeros(2, 9), torch.tensor([9, 10]), r"must be 2 counts from 0 to 9, got \[9, 10\]"),
        (torch.zeros(2, 9), torch.tensor([9, -1]), r"got \[9, -1\]"),
        (torch.zeros(2, 9), torch.tensor([9]), r"must be 2 counts from 0 to 9, got \[9\]"),
    ],
)
def test_waveforms_of_another_form_are_refused(waveform, num_samples, message):
    with pytest.raises(ValueError, match=message):
        RAW["psl"](waveform, num_samples)


def test_a_clip_has_a_frame():
    with pytest.raises(ValueError, match="a clip has at least one frame, got 0"):
        RAW["psl"].samples_for_frames(0)


# As a module


@EVERY
def test_precision_is_float32_under_autocast_and_after_half(preset):
    waveform = torch.from_numpy(SOUNDS["noise"])[None]
    expected = LogMel(PRESETS[preset])(waveform)[0]
    front_end = LogMel(PRESETS[preset]).half()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(front_end(waveform)[0], expected)
        at_once = whole_batch(PRESETS[preset], waveform, torch.tensor([LENGTH]))
    torch.testing.assert_close(at_once, expected, rtol=0, atol=1e-4)


def test_nothing_is_stored_in_a_model_file():
    assert not LogMel(PRESETS["psl"]).state_dict()


@EVERY
def test_inference_mode_leaves_nothing_behind(preset):
    front_end = LogMel(PRESETS[preset])
    with torch.inference_mode():
        inside = front_end(torch.from_numpy(SOUNDS["noise"][:4000])[None])[0]
    longer = front_end(torch.from_numpy(SOUNDS["noise"])[None])[0]
    with torch.inference_mode():
        assert torch.equal(front_end(torch.from_numpy(SOUNDS["noise"])[None])[0], longer)
    assert torch.equal(front_end(torch.from_numpy(SOUNDS["noise"][:4000])[None])[0], inside)
    assert not longer.requires_grad


def test_copies_and_pickles_work_and_share_no_buffers():
    waveform = torch.from_numpy(SOUNDS["noise"])[None]
    front_end = LogMel(PRESETS["psl"])
    expected = front_end(waveform)[0]
    for copied in (copy.deepcopy(front_end), pickle.loads(pickle.dumps(front_end))):  # noqa: S301
        assert torch.equal(copied(waveform)[0], expected)
        assert copied._one_clip() is not front_end._one_clip()


def test_threads_may_share_a_front_end():
    front_end = LogMel(PRESETS["psla"])
    waveforms = [torch.from_numpy(SOUNDS[name])[None] for name in ("noise", "chirp", "clicks", "full-scale square")]
    expected = [front_end(waveform)[0] for waveform in waveforms]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda waveform: front_end(waveform)[0], waveforms * 25))
    assert all(torch.equal(one, expected[index % 4]) for index, one in enumerate(found))


# Normalisation


def test_normalisation_counts_valid_cells_only():
    generator = torch.Generator().manual_seed(0)
    features = 1000 + 0.5 * torch.randn(30, 20, 4, generator=generator)
    valid = torch.randint(0, 21, (30,), generator=generator)
    own = np.concatenate([rows[:count].numpy().ravel() for rows, count in zip(features, valid, strict=True)])
    batches = [(features[first : first + 7], valid[first : first + 7]) for first in range(0, 30, 7)]
    mean, std = normalisation_from([*batches, (features[:2], torch.zeros(2, dtype=torch.int64))])
    assert mean == pytest.approx(own.astype(np.float64).mean(), rel=1e-12)
    assert std == pytest.approx(own.astype(np.float64).std(), rel=1e-9)


def test_normalised_features_have_mean_0_and_deviation_1():
    batch, num_samples = batch_of(SOUNDS["noise"], SOUNDS["chirp"][:5000], SOUNDS["slope"][:300])
    mean, std = normalisation_from([RAW["psla"](batch, num_samples)])
    features, valid = LogMel(changed("psla", mean=mean, std=std))(batch, num_samples)
    mean, std = normalisation_from([(features, valid)])
    assert mean == pytest.approx(0, abs=1e-5)
    assert std == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("batches", [[], [(torch.full((2, 3, 4), -100.0), torch.tensor([3, 1]))]])
def test_normalisation_needs_cells_that_differ(batches):
    with pytest.raises(InputError, match=r"features must differ to be normalised, got (0|16) equal cells"):
        normalisation_from(batches)
