"""Logarithms of the mel powers (or magnitudes) of one clip at a time on a CPU, in reused buffers.

Times in comments are of one core (Zen 5), 10-s clips and the `psl` settings, where a clip takes .62 ms, .27 of them in
Fourier transforms. The same steps over a batch of 16 in plain torch take 2.1 ms a clip (`psla` .75 and 2.7): their
temporaries are fresh memory, handed out by the system page by page; here a block of frames goes through all steps while
it is in cache.
"""

import math

import numpy as np
import torch

from earmark.features.front_end import FrontEnd, mel_filters

INT16_SCALE = 2.0**-15
# 512 frames of 512 samples, 1 MiB a buffer. Blocks of 128 frames take 15 % longer, in calls; a whole clip at once is
# 3 % faster at 10 s, and falls out of the cache when it is longer.
BLOCK_SAMPLES = 2**18
# 16 columns are one AVX-512 register of the matrix product: groups of 8 and of 32 mels take .11 and .06 ms longer.
GROUP_MELS = 16
# A longer clip (17 minutes at 16 kHz, 64 MiB a buffer) gets buffers that do not outlive it.
KEPT_SAMPLES = 2**24


class OneClip:
    """Logarithms of what a clip's bands sum; holds buffers, so each thread needs its own."""

    def __init__(self, settings: FrontEnd) -> None:
        self.settings = settings
        window = hann_window(settings)
        # The scale of packed samples is folded into the window: a power of two, so not a bit of the result differs.
        self._windows = {torch.float32: window.float(), torch.int16: (window * INT16_SCALE).float()}
        self._block_frames = max(16, BLOCK_SAMPLES // settings.fft_samples)
        num_bins = settings.fft_samples // 2 + 1
        self._frames = torch.zeros(self._block_frames, settings.fft_samples)
        self._bins = torch.empty(self._block_frames, num_bins)
        self._mel = torch.empty(self._block_frames, settings.num_mels)
        self._groups = _groups_of_mels(settings)
        self._blocks: dict[int, _Block] = {}
        self._long: list[torch.Tensor] = [torch.empty(0), torch.empty(0)]

    def write_log_mel(self, clip: torch.Tensor, written: torch.Tensor) -> None:
        """Write the natural logarithm of the bands' sums in a clip's first frames, floored at `power_floor`.

        Args:
            clip: the valid samples (sample,), int16 as packed or float32.
            written: float32 (frame, mel), on return the logarithms; no more frames than the clip has.
        """
        num_frames, hop, rows = len(written), self.settings.hop_samples, written.numpy()
        samples = self._whole_frames(clip, num_frames)
        offsets = self._offsets(samples, num_frames) if self.settings.remove_frame_mean else None
        if self.settings.pre_emphasis:
            samples = self._emphasised(samples)
        window = self._windows[clip.dtype]
        for first in range(0, num_frames, self._block_frames):
            last = min(num_frames, first + self._block_frames)
            block = self._block(last - first)
            overlapping = samples.as_strided(block.windowed.shape, (hop, 1), first * hop)
            if offsets is None:
                torch.mul(overlapping, window, out=block.windowed)
            else:
                torch.sub(overlapping, offsets[first:last, None], out=block.windowed).mul_(window)
            # On one core numpy's logarithm takes a tenth of torch's time.
            np.log(block.mel_sums().clamp_(min=self.settings.power_floor), out=rows[first:last])

    def _whole_frames(self, clip: torch.Tensor, num_frames: int) -> torch.Tensor:
        """The clip in float32, less its mean, reflected at its ends or filled with zeros as far as its frames reach."""
        settings, count, left = self.settings, len(clip), half_window(self.settings)
        right = settings.window_samples - left
        reach = settings.window_samples + (num_frames - 1) * settings.hop_samples
        samples = self._buffer(0, left + count + right if left else max(count, reach))
        body = samples[left : left + count]
        body.copy_(clip)
        if settings.remove_mean and count:
            body.sub_(body.mean())
        if not left or not count:
            samples[:left] = 0
            samples[left + count :] = 0
        elif count > right:
            samples[:left] = body[1 : left + 1].flip(0)
            samples[left + count :] = body[-right - 1 : -1].flip(0)
        else:
            samples.copy_(body[reflected(torch.arange(-left, count + right), torch.tensor(count))])
        return samples

    def _offsets(self, samples: torch.Tensor, num_frames: int) -> torch.Tensor:
        """What pre-emphasis leaves of each frame's mean m, (frame,).

        (x[i] - m) - a (x[i-1] - m) = (x[i] - a x[i-1]) - (1 - a) m: pre-emphasis can run over the clip once, not over
        each of its overlapping frames. Their means are made of shared sums, for 400 and 160 samples 5 of 80 each.
        """
        size, hop = self.settings.window_samples, self.settings.hop_samples
        part = math.gcd(size, hop)
        sums = samples[: size + (num_frames - 1) * hop].view(-1, part).sum(1)
        of_frames = sums.as_strided((num_frames, size // part), (hop // part, 1)).sum(1)
        return of_frames.mul_((1 - self.settings.pre_emphasis) / size)

    def _emphasised(self, samples: torch.Tensor) -> torch.Tensor:
        """The samples less their share of the sample before.

        Kaldi puts a copy of a frame's first sample before it. Here it is the clip's own sample: as Hann windows begin
        with a zero, it does not matter.
        """
        emphasised = self._buffer(1, len(samples))
        emphasised[0] = 0
        torch.sub(samples[1:], samples[:-1], alpha=self.settings.pre_emphasis, out=emphasised[1:])
        return emphasised

    def _buffer(self, which: int, num_samples: int) -> torch.Tensor:
        """The first samples of a buffer that grows to the longest clip met."""
        if num_samples > KEPT_SAMPLES:
            return torch.empty(num_samples)
        if len(self._long[which]) < num_samples:
            with torch.inference_mode(False):  # what is made in inference mode cannot be written to outside
                self._long[which] = torch.empty(num_samples)
        return self._long[which][:num_samples]

    def _block(self, num_frames: int) -> "_Block":
        """The views of the buffers for a block of so many frames; making them anew takes as long as a step on them."""
        if num_frames not in self._blocks:
            if len(self._blocks) == 64:
                self._blocks.clear()
            frames, bins, mel = self._frames[:num_frames], self._bins[:num_frames], self._mel[:num_frames]
            self._blocks[num_frames] = _Block(frames, bins, mel, self._groups, self.settings)
        return self._blocks[num_frames]


class _Block:
    """Frames in work: `windowed` is to be filled, `mel_sums` gives the rest."""

    def __init__(
        self,
        frames: torch.Tensor,
        bins: torch.Tensor,
        mel: torch.Tensor,
        groups: list[tuple[slice, torch.Tensor, slice]],
        settings: FrontEnd,
    ) -> None:
        self.windowed = frames[:, : settings.window_samples]
        self._frames, self._mel = frames, mel
        self._bins = bins.numpy()
        self._is_magnitude = settings.spectrum == "magnitude"
        self._products = [(bins[:, read], weights, mel[:, mels]) for read, weights, mels in groups]

    def mel_sums(self) -> torch.Tensor:
        """Powers or magnitudes in each band of the windowed frames, (frame, mel), in a buffer."""
        spectrum = torch.view_as_real(torch.fft.rfft(self._frames)).flatten(1).numpy()
        # Squares of the interleaved parts, then one sum of pairs: .09 ms a clip; torch's real^2 + imag^2 takes .17, its
        # abs .75: both step over every other number all the way.
        np.multiply(spectrum, spectrum, out=spectrum)
        np.add(spectrum[:, 0::2], spectrum[:, 1::2], out=self._bins)
        if self._is_magnitude:
            np.sqrt(self._bins, out=self._bins)
        for bins, weights, mel in self._products:
            torch.mm(bins, weights, out=mel)
        return self._mel


def _groups_of_mels(settings: FrontEnd) -> list[tuple[slice, torch.Tensor, slice]]:
    """The mel filters as small dense matrices: (bins that a group reads, weights (bin, mel), mels that it writes).

    Neighbouring mels read neighbouring bins: 4 groups take .10 ms a clip, one product with the whole matrix .32.
    """
    filters = mel_filters(settings)
    groups = []
    for first in range(0, settings.num_mels, GROUP_MELS):
        columns = filters[:, first : first + GROUP_MELS]
        read = np.flatnonzero(columns.any(1))
        bins = slice(int(read[0]), int(read[-1]) + 1) if len(read) else slice(0, 0)
        weights = torch.from_numpy(columns[bins].astype(np.float32, order="C"))
        groups.append((bins, weights, slice(first, first + columns.shape[1])))
    return groups


def hann_window(settings: FrontEnd) -> torch.Tensor:
    """The window of a frame, float64 (sample,)."""
    periodic = settings.window == "hann_periodic"
    return torch.hann_window(settings.window_samples, periodic=periodic, dtype=torch.float64)


def half_window(settings: FrontEnd) -> int:
    """Samples before a clip that its first frame covers."""
    return settings.window_samples // 2 if settings.frames == "centred" else 0


def reflected(position: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Where in a clip of `count` samples the sample at any position comes from, reflected as often as it takes.

    The ends are not repeated: ... 2 1 | 0 1 2 3 | 2 1 ... A clip of one sample is that sample everywhere.

    >>> reflected(torch.arange(-2, 6), torch.tensor(3)).tolist()
    [2, 1, 0, 1, 2, 1, 0, 1]
    """
    period = (2 * (count - 1)).clamp(min=1)
    inside = position.remainder(period)
    return torch.minimum(inside, period - inside).clamp(max=(count - 1).clamp(min=0))
