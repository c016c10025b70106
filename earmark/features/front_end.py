"""What a front end is: every number between a waveform and a model's features, and the methods' own."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from earmark.config import Settings


class FrontEnd(Settings):
    """Every number between a waveform and a model's features, as stored with the model."""

    rate_hz: int = Field(gt=0, description="sample rate of the waveforms")
    window_samples: int = Field(gt=1, description="samples of a frame")
    hop_samples: int = Field(gt=0, description="samples from one frame to the next")
    fft_samples: int = Field(gt=1, description="length of the Fourier transform; a frame is filled with zeros to it")
    window: Literal["hann_periodic", "hann_symmetric"] = Field(description="window function")
    frames: Literal["centred", "inside"] = Field(
        description="centred: frame i is centred on sample i x hop, the clip reflected at its ends; "
        "inside: every frame lies within the clip (Kaldi's snip edges), a shorter clip is filled with zeros to one"
    )
    remove_mean: bool = Field(description="subtract the mean of the clip's samples")
    remove_frame_mean: bool = Field(description="subtract the mean of each frame's samples (Kaldi's DC removal)")
    pre_emphasis: float = Field(ge=0, le=1, description="share of the sample before that is subtracted in each frame")
    num_mels: int = Field(gt=0, description="mel bands")
    low_hz: float = Field(ge=0, description="lower edge of the lowest band")
    high_hz: float = Field(gt=0, description="upper edge of the highest band")
    mel_filters: Literal["htk", "kaldi"] = Field(
        description="triangles of height 1 at equal mel distances, their sides straight over hertz (htk) or mel (kaldi)"
    )
    spectrum: Literal["power", "magnitude"] = Field(
        default="power", description="what of the spectrum the bands sum: its squared magnitude, or its magnitude"
    )
    log: Literal["db", "natural"] = Field(
        description="natural: the natural logarithm of a band's sum; db: 10 log10 of it, of magnitudes 20 log10"
    )
    power_floor: float = Field(gt=0, description="smallest sum of a band that is told apart from silence")
    dynamic_range_db: float | None = Field(
        gt=0, description="cells further than this under the clip's loudest are raised to it"
    )
    mean: float = Field(description="subtracted from the logarithm; of the training set, or 0")
    std: float = Field(gt=0, description="what the logarithm is then divided by; of the training set, or 1")
    min_max: bool = Field(
        default=False, description="scale each clip, its lowest cell to 0 and its highest to 1; a flat one is 0"
    )
    pad: Literal["silence", "zero"] = Field(description="frames past the clip: as digital silence would give, or 0")
    pad_before_normalising: bool = Field(description="with pad zero: fill first, then subtract mean and divide by std")

    @model_validator(mode="after")
    def _numbers_fit(self) -> "FrontEnd":
        if self.fft_samples < self.window_samples:
            raise ValueError(
                f"fft_samples must be at least window_samples {self.window_samples}, got {self.fft_samples}"
            )
        if not self.low_hz < self.high_hz <= self.rate_hz / 2:
            found = f"{self.low_hz:g} and {self.high_hz:g}"
            raise ValueError(f"low_hz < high_hz <= {self.rate_hz / 2:g} (half of rate_hz) must hold, got {found}")
        if self.min_max and (self.pad != "zero" or (self.mean, self.std) != (0, 1)):
            raise ValueError("min_max needs pad zero, mean 0 and std 1: each clip has a range of its own")
        if self.pad_before_normalising and self.pad != "zero":
            raise ValueError(f"pad_before_normalising needs pad zero, got pad {self.pad}")
        return self

    @property
    def tenfold_db(self) -> int:
        """Decibels that ten times a band's sum is more: 10 of powers, 20 of magnitudes."""
        return 10 if self.spectrum == "power" else 20

    @property
    def log_unit(self) -> float:
        """What the natural logarithm of a band's sum is multiplied by; the mean and the deviation come after."""
        return self.tenfold_db / math.log(10) if self.log == "db" else 1.0


# Dinkel 2022; not normalised. The floor is 120 dB under the clip's own loudest cell, in the released code its batch's.
PSL = FrontEnd(
    rate_hz=16000,
    window_samples=512,
    hop_samples=160,
    fft_samples=512,
    window="hann_periodic",
    frames="centred",
    remove_mean=False,
    remove_frame_mean=False,
    pre_emphasis=0.0,
    num_mels=64,
    low_hz=0.0,
    high_hz=8000.0,
    mel_filters="htk",
    log="db",
    power_floor=1e-10,
    dynamic_range_db=120.0,
    mean=0.0,
    std=1.0,
    pad="silence",
    pad_before_normalising=False,
)
# Gong 2021: Kaldi's filter bank of waveforms in [-1, 1], float32's epsilon as floor; mean and std are AudioSet's.
PSLA = FrontEnd(
    rate_hz=16000,
    window_samples=400,
    hop_samples=160,
    fft_samples=512,
    window="hann_symmetric",
    frames="inside",
    remove_mean=True,
    remove_frame_mean=True,
    pre_emphasis=0.97,
    num_mels=128,
    low_hz=20.0,
    high_hz=8000.0,
    mel_filters="kaldi",
    log="natural",
    power_floor=2.0**-23,
    dynamic_range_db=None,
    mean=-4.6476,
    std=4.5699,
    pad="zero",
    pad_before_normalising=False,
)
# He 2020: 40 ms and half of it, 80 bands of the magnitude spectrum. The band edges, the shape of the bands, the floor
# and the framing are a choice; mean and std are to be the training set's.
STAGED = FrontEnd(
    rate_hz=44100,
    window_samples=1764,
    hop_samples=882,
    fft_samples=2048,
    window="hann_periodic",
    frames="centred",
    remove_mean=False,
    remove_frame_mean=False,
    pre_emphasis=0.0,
    num_mels=80,
    low_hz=0.0,
    high_hz=22050.0,
    mel_filters="htk",
    spectrum="magnitude",
    log="natural",
    power_floor=1e-10,
    dynamic_range_db=None,
    mean=0.0,
    std=1.0,
    pad="silence",
    pad_before_normalising=False,
)
STAGED_POWER = STAGED.model_copy(update={"spectrum": "power"})
# NEC 2019. The printed step of 8 ms makes 1250 frames of 10 s, not the printed 1024, which this hop of 9.77 ms makes.
CLASS_FRAME = FrontEnd(
    rate_hz=44100,
    window_samples=882,
    hop_samples=431,
    fft_samples=1024,
    window="hann_periodic",
    frames="centred",
    remove_mean=False,
    remove_frame_mean=False,
    pre_emphasis=0.0,
    num_mels=64,
    low_hz=0.0,
    high_hz=16000.0,
    mel_filters="htk",
    log="natural",
    power_floor=1e-10,
    dynamic_range_db=None,
    mean=0.0,
    std=1.0,
    min_max=True,
    pad="zero",
    pad_before_normalising=False,
)
PRESETS: dict[str, FrontEnd] = {
    "psl": PSL, "psla": PSLA, "staged": STAGED, "staged_power": STAGED_POWER, "class_frame": CLASS_FRAME
}  # fmt: skip


def mel_filters(settings: FrontEnd) -> npt.NDArray[np.float64]:
    """The weight of each frequency in each band, float64 (bin, mel), with HTK's mel scale 1127 ln(1 + f / 700).

    A band narrower than the distance between two bins may hold none: its sum is then always 0.

    >>> mel_filters(PRESETS["psla"]).shape, int((mel_filters(PRESETS["psla"]).sum(0) == 0).sum())
    ((257, 128), 1)
    """

    def mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return 1127 * np.log1p(np.asarray(hz, dtype=np.float64) / 700)

    edges = np.linspace(mel(settings.low_hz), mel(settings.high_hz), settings.num_mels + 2)
    bins = np.arange(settings.fft_samples // 2 + 1) * (settings.rate_hz / settings.fft_samples)
    if settings.mel_filters == "kaldi":
        bins = mel(bins)
    else:
        edges = 700 * np.expm1(edges / 1127)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))
