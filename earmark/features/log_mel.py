"""Log-mel features of waveforms: each clip's own, whatever it is batched with."""

import math
import threading
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from earmark.errors import InputError
from earmark.features.front_end import FrontEnd, mel_filters
from earmark.features.one_clip import INT16_SCALE, OneClip, half_window, hann_window, reflected
from earmark.timing import frames_centred, frames_inside

TINY = torch.finfo(torch.float32).tiny


class LogMel(nn.Module):
    """Waveforms to log-mel features; a clip's come from its own valid samples only, on a CPU to the last bit.

    On a CPU one clip is worked on at a time, elsewhere the whole batch at once. No gradient flows through it, and
    neither autocast nor `module.half()` lowers its precision.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.settings = front_end
        self._scale = front_end.log_unit / front_end.std
        self._shift = -front_end.mean / front_end.std
        dynamic_range_db = front_end.dynamic_range_db
        self._log_range = None if dynamic_range_db is None else dynamic_range_db * math.log(10) / front_end.tenfold_db
        self._forget_buffers()

    def _forget_buffers(self) -> None:
        self._of_thread = threading.local()
        self._of_device: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Everything but buffers: they are remade from the settings, and threads must not share them."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_of_thread", "_of_device")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._forget_buffers()

    def num_frames(self, num_samples: int) -> int:
        """Frames of a clip, at least one.

        >>> from earmark.features import PRESETS
        >>> LogMel(PRESETS["psl"]).num_frames(160000), LogMel(PRESETS["psla"]).num_frames(160000)
        (1001, 998)
        """
        if self.settings.frames == "centred":
            return frames_centred(num_samples, self.settings.hop_samples)
        return max(1, frames_inside(num_samples, self.settings.window_samples, self.settings.hop_samples))

    def samples_for_frames(self, num_frames: int) -> int:
        """The longest clip of exactly so many frames: a clip of as many frames is never longer than this.

        >>> from earmark.features import PRESETS
        >>> LogMel(PRESETS["psl"]).samples_for_frames(1001), LogMel(PRESETS["psla"]).samples_for_frames(998)
        (160159, 160079)
        """
        if num_frames < 1:
            raise ValueError(f"a clip has at least one frame, got {num_frames}")
        first = 0 if self.settings.frames == "centred" else self.settings.window_samples
        return first + num_frames * self.settings.hop_samples - 1

    @torch.no_grad()
    def forward(
        self, waveform: torch.Tensor, num_samples: torch.Tensor | None = None, num_frames: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features, float32 (clip, frame, mel), and how many frames of each clip are its own, int64 (clip,).

        A clip shorter than a frame still has one: reflected as often as it takes (centred), or filled with zeros to one
        window (inside). A clip without samples is digital silence of one frame.

        Args:
            waveform: (clip, sample), int16 as packed (scale 2^-15) or float32 in [-1, 1].
            num_samples: valid samples of each clip, whole numbers (clip,); None when all are.
            num_frames: frames that every clip is cut or filled to; None for as many as the waveform has.

        Raises:
            ValueError: the waveform is of another form, or a count is not within it.
        """
        if waveform.dtype not in (torch.int16, torch.float32) or waveform.ndim != 2:
            found = f"{waveform.dtype} {tuple(waveform.shape)}"
            raise ValueError(f"a waveform must be int16 or float32 and (clip, sample), got {found}")
        num_clips, length = waveform.shape
        counts = [length] * num_clips if num_samples is None else num_samples.tolist()
        if len(counts) != num_clips or not all(0 <= count <= length for count in counts):
            raise ValueError(f"num_samples must be {num_clips} counts from 0 to {length}, got {counts}")
        num_frames = self.num_frames(length) if num_frames is None else num_frames
        valid = [min(num_frames, self.num_frames(count)) for count in counts]
        features_of = self._clip_by_clip if waveform.device.type == "cpu" else self._whole_batch
        return features_of(waveform, counts, valid, num_frames), _int64(valid, waveform.device)

    def _clip_by_clip(
        self, waveform: torch.Tensor, counts: list[int], valid: list[int], num_frames: int
    ) -> torch.Tensor:
        features = torch.empty(len(counts), num_frames, self.settings.num_mels)
        write_log_mel = self._one_clip().write_log_mel
        shift = torch.tensor(self._shift)
        for clip, (count, own_frames) in enumerate(zip(counts, valid, strict=True)):
            own = features[clip, :own_frames]
            write_log_mel(waveform[clip, :count], own)
            log_floor = math.log(self.settings.power_floor)
            if self._log_range is not None:
                log_floor = max(log_floor, float(own.amax()) - self._log_range)
                own.clamp_(min=log_floor)
            torch.add(shift, own, alpha=self._scale, out=own)
            if self.settings.min_max:
                low, high = torch.aminmax(own)
                own.sub_(low).div_((high - low).clamp(min=TINY))
            features[clip, own_frames:] = self._fill(log_floor)
        return features

    @property
    def masked_value(self) -> float:
        """What a masked cell holds: the mean, 0; what 0 becomes where the settings normalise after masking."""
        return self._shift if self.settings.pad_before_normalising else 0.0

    def _fill(self, log_floor: float) -> float:
        """The feature of a cell past the clip."""
        if self.settings.pad == "silence":
            return log_floor * self._scale + self._shift
        return self.masked_value

    def _one_clip(self) -> OneClip:
        """This thread's buffers; made outside inference mode, which would keep all other code from writing to them."""
        if not hasattr(self._of_thread, "one_clip"):
            with torch.inference_mode(False):
                self._of_thread.one_clip = OneClip(self.settings)
        one_clip: OneClip = self._of_thread.one_clip
        return one_clip

    def _whole_batch(
        self, waveform: torch.Tensor, counts: list[int], valid: list[int], num_frames: int
    ) -> torch.Tensor:
        device, settings = waveform.device, self.settings
        past_clip = torch.arange(num_frames, device=device)[:, None] >= _int64(valid, device)[:, None, None]
        with torch.autocast(device.type, enabled=False):
            samples = self._whole_frames(waveform, _int64(counts, device)[:, None], num_frames)
            sums = self._mel_sums(samples).masked_fill_(past_clip, 0)
        features = sums.clamp_(min=settings.power_floor).log_()
        if self._log_range is not None:
            features = torch.maximum(features, features.amax((1, 2), keepdim=True) - self._log_range)
        features.mul_(self._scale).add_(self._shift)
        if settings.min_max:
            low = features.masked_fill(past_clip, math.inf).amin((1, 2), keepdim=True)
            high = features.masked_fill(past_clip, -math.inf).amax((1, 2), keepdim=True)
            features = (features - low) / (high - low).clamp(min=TINY)
        if settings.pad == "zero":
            features.masked_fill_(past_clip, self._fill(0.0))
        return features

    def _whole_frames(self, waveform: torch.Tensor, count: torch.Tensor, num_frames: int) -> torch.Tensor:
        """What OneClip makes of a clip, for a batch: (clip, sample) in [-1, 1], as far as `num_frames` reach."""
        settings, left = self.settings, half_window(self.settings)
        length = waveform.shape[1]
        own = torch.arange(length, device=waveform.device) < count
        samples = waveform.float() * (INT16_SCALE if waveform.dtype == torch.int16 else 1.0)
        samples = samples.masked_fill_(~own, 0)
        if settings.remove_mean:
            samples = (samples - samples.sum(1, keepdim=True) / count.clamp(min=1)).masked_fill_(~own, 0)
        reach = settings.window_samples + (num_frames - 1) * settings.hop_samples
        if not left or not length:
            return nn.functional.pad(samples, (0, max(0, reach - length)))[:, :reach]
        return samples.gather(1, reflected(torch.arange(-left, reach - left, device=waveform.device), count))

    def _mel_sums(self, samples: torch.Tensor) -> torch.Tensor:
        """Powers or magnitudes in each band (clip, frame, mel) of samples that hold whole frames."""
        settings = self.settings
        size, hop = settings.window_samples, settings.hop_samples
        window, filters = self._constants(samples.device)
        frames = samples.unfold(1, size, hop)
        if settings.pre_emphasis:
            before = nn.functional.pad(samples[:, :-1], (1, 0))
            emphasised = (samples - settings.pre_emphasis * before).unfold(1, size, hop)
        else:
            emphasised = frames
        if settings.remove_frame_mean:
            emphasised = emphasised - frames.mean(2, keepdim=True) * (1 - settings.pre_emphasis)
        spectrum = torch.fft.rfft(emphasised * window, n=settings.fft_samples)
        power = spectrum.real.square() + spectrum.imag.square()
        sums: torch.Tensor = (power.sqrt_() if settings.spectrum == "magnitude" else power) @ filters
        return sums

    def _constants(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Window and mel filters on a device; no module buffers, so that `module.half()` does not round them."""
        if device not in self._of_device:
            filters = torch.from_numpy(mel_filters(self.settings))
            self._of_device[device] = (hann_window(self.settings).float().to(device), filters.float().to(device))
        return self._of_device[device]


def _int64(counts: list[int], device: torch.device) -> torch.Tensor:
    return torch.tensor(counts, dtype=torch.int64, device=device)


def normalisation_from(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, float]:
    """Mean and standard deviation of all valid cells, one number each, for `FrontEnd.mean` and `std`.

    Batches are read once; the sums are kept in float64 and as deviations from a mean (Chan's update), so that neither
    their number nor their offset costs precision.

    Args:
        batches: features (clip, frame, mel) that are not normalised, and valid frames (clip,), as LogMel gives them.

    Raises:
        InputError: there are no valid cells, or all are equal, as those of digital silence.
    """
    count, mean, squares = 0, 0.0, 0.0
    for features, num_valid_frames in batches:
        own = torch.arange(features.shape[1], device=features.device) < num_valid_frames[:, None]
        cells = features[own].double()
        if cells.numel() == 0:
            continue
        of_batch = float(cells.mean())
        together = count + cells.numel()
        squares += float((cells - of_batch).square_().sum())
        squares += (of_batch - mean) ** 2 * count * cells.numel() / together
        mean += (of_batch - mean) * cells.numel() / together
        count = together
    if squares == 0.0:
        raise InputError(f"features must differ to be normalised, got {count} equal cells; are all clips silent?")
    return mean, math.sqrt(squares / count)
