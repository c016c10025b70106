"""Log-mel features by others' packages: the same settings, filters and windows made ahead, one clip after another."""

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.speed.inputs import sound

Array = npt.NDArray[np.float32]
Work = Callable[[], list[Array]]
NUM_CLIPS = 8
FLOOR = 1e-10
# PSLA: AudioSet's mean and deviation.
MEAN, STD = -4.6476, 4.5699


@dataclass(frozen=True)
class _Centred:
    """A front end of frames centred on every hop, the clip reflected at its ends, HTK bands of height 1."""

    rate_hz: int
    fft: int
    window: int
    hop: int
    mels: int
    high_hz: int
    power: int
    then: Literal["decibels", "logarithm", "logarithm from 0 to 1"]


PSL = _Centred(16000, 512, 512, 160, 64, 8000, 2, "decibels")
STAGED = _Centred(44100, 2048, 1764, 882, 80, 22050, 1, "logarithm")
CLASS_FRAME = _Centred(44100, 1024, 882, 431, 64, 16000, 2, "logarithm from 0 to 1")


def _clips(rate_hz: int) -> Array:
    return sound(NUM_CLIPS, rate_hz).astype(np.float32) / 32768


def _filters(settings: _Centred) -> Array:
    """(mel, bin)."""
    import librosa

    return librosa.filters.mel(
        sr=settings.rate_hz,
        n_fft=settings.fft,
        n_mels=settings.mels,
        fmin=0,
        fmax=settings.high_hz,
        htk=True,
        norm=None,
    )


def _librosa(settings: _Centred, work: Path) -> Work:
    import librosa

    clips, filters = _clips(settings.rate_hz), _filters(settings)
    sizes: dict[str, Any] = {"n_fft": settings.fft, "win_length": settings.window, "hop_length": settings.hop}

    def one(clip: Array) -> Array:
        spectrum = np.abs(librosa.stft(clip, **sizes, pad_mode="reflect"))
        if settings.power == 2:
            spectrum **= 2
        sums = filters @ spectrum
        if settings.then == "decibels":
            return librosa.power_to_db(sums, amin=FLOOR, top_db=120).T
        features = np.log(np.maximum(sums, FLOOR))
        if settings.then == "logarithm from 0 to 1":
            low = features.min()
            features = (features - low) / (features.max() - low)
        return features.T

    return lambda: [one(clip) for clip in clips]


def _torch_finish(settings: _Centred, sums: Any) -> Any:
    """Natural logarithms, where these are asked for."""
    features = sums.clamp_(min=FLOOR).log_()
    if settings.then == "logarithm from 0 to 1":
        low, high = features.aminmax()
        features.sub_(low).div_(high - low)
    return features


def _torchlibrosa(settings: _Centred, work: Path) -> Work:
    import torch
    import torchlibrosa

    clips = torch.from_numpy(_clips(settings.rate_hz))
    spectrogram = torchlibrosa.Spectrogram(
        n_fft=settings.fft, hop_length=settings.hop, win_length=settings.window, power=float(settings.power)
    )
    is_db = settings.then == "decibels"
    # Its bands are librosa's default ones; these take their place.
    bands = torchlibrosa.LogmelFilterBank(
        sr=settings.rate_hz, n_fft=settings.fft, n_mels=settings.mels, is_log=is_db, ref=1.0, amin=FLOOR, top_db=120.0
    )
    bands.melW.data = torch.from_numpy(_filters(settings).T.copy())

    @torch.no_grad()
    def all_clips() -> list[Array]:
        found = (bands(spectrogram(clip[None]))[0, 0] for clip in clips)
        return [(features if is_db else _torch_finish(settings, features)).numpy() for features in found]

    return all_clips


def _torchaudio(settings: _Centred, work: Path) -> Work:
    import torch

    torchaudio = import_torchaudio()
    clips = torch.from_numpy(_clips(settings.rate_hz))
    bands = torchaudio.transforms.MelSpectrogram(
        settings.rate_hz,
        n_fft=settings.fft,
        win_length=settings.window,
        hop_length=settings.hop,
        f_min=0.0,
        f_max=float(settings.high_hz),
        n_mels=settings.mels,
        power=float(settings.power),
        mel_scale="htk",
    )
    decibels = torchaudio.transforms.AmplitudeToDB(top_db=120.0)

    @torch.no_grad()
    def all_clips() -> list[Array]:
        sums = (bands(clip) for clip in clips)
        if settings.then == "decibels":
            return [decibels(one).T.numpy() for one in sums]
        return [_torch_finish(settings, one).T.numpy() for one in sums]

    return all_clips


librosa_psl, librosa_staged, librosa_class_frame = (
    partial(_librosa, settings) for settings in (PSL, STAGED, CLASS_FRAME)
)
torchlibrosa_psl, torchlibrosa_staged, torchlibrosa_class_frame = (
    partial(_torchlibrosa, settings) for settings in (PSL, STAGED, CLASS_FRAME)
)
torchaudio_psl, torchaudio_staged, torchaudio_class_frame = (
    partial(_torchaudio, settings) for settings in (PSL, STAGED, CLASS_FRAME)
)


def kaldi_native_fbank_psla(work: Path) -> Work:
    """kaldi_native_fbank, whose frames come one by one."""
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins = 128
    options.use_energy = False
    clips = _clips(16000)

    def one(clip: Array) -> Array:
        bank = kaldi_native_fbank.OnlineFbank(options)
        bank.accept_waveform(16000, clip - clip.mean())
        bank.input_finished()
        features = np.empty((bank.num_frames_ready, 128), np.float32)
        for number, row in enumerate(features):
            row[:] = bank.get_frame(number)
        return (features - np.float32(MEAN)) / np.float32(STD)

    return lambda: [one(clip) for clip in clips]


def torchaudio_psla(work: Path) -> Work:
    """torchaudio's filter bank, as PSLA's code asks for it."""
    import torch

    clips = torch.from_numpy(_clips(16000))

    @torch.no_grad()
    def all_clips() -> list[Array]:
        return [((kaldi_fbank(clip[None] - clip.mean()) - MEAN) / STD).numpy() for clip in clips]

    kaldi_fbank = torchaudio_kaldi_fbank()
    return all_clips


def torchaudio_kaldi_fbank() -> Any:
    """PSLA's filter bank of a waveform (1, sample)."""
    return partial(
        import_torchaudio().compliance.kaldi.fbank,
        htk_compat=True,
        sample_frequency=16000,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )


def librosa_psla(work: Path) -> Work:
    """Kaldi's steps over librosa's frames."""
    import librosa
    import torch

    banks = import_torchaudio().compliance.kaldi.get_mel_banks(128, 512, 16000.0, 20.0, 8000.0, 100.0, -500.0, 1.0)[0]
    filters = torch.nn.functional.pad(banks, (0, 1)).numpy()
    window = np.hanning(400).astype(np.float32)[:, None]
    fft = librosa.get_fftlib()
    clips = _clips(16000)

    def one(clip: Array) -> Array:
        frames = librosa.util.frame(clip - clip.mean(), frame_length=400, hop_length=160)
        frames = frames - frames.mean(0)
        frames[1:] -= 0.97 * frames[:-1]
        frames[0] *= 0.03
        frames *= window
        sums = filters @ np.abs(fft.rfft(frames, n=512, axis=0)) ** 2
        return ((np.log(np.maximum(sums, np.finfo(np.float32).eps)) - np.float32(MEAN)) / np.float32(STD)).T

    return lambda: [one(clip) for clip in clips]


def import_torchaudio() -> Any:
    """torchaudio, without its compiled part where that is another torch's: what is used here is plain Python."""
    try:
        import torchaudio
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        without: Any = types.ModuleType("torchaudio._extension")
        without._IS_TORCHAUDIO_EXT_AVAILABLE = False
        without.fail_if_no_align = lambda function: function
        sys.modules[without.__name__] = without
        import torchaudio
    return torchaudio
