"""Augmentation of training batches: draw, then apply.

`draw` draws a whole epoch at once, as arrays with one element a position; `apply_waveform`, `mix_targets` and
`apply_features` apply the draws of a batch and draw nothing. So what is done to a position never depends on its batch
mates, and turning one augmentation on or off leaves the draws of the others as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator

from earmark.config import Settings
from earmark.data.sampling import epoch_generator

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
SampleArray = npt.NDArray[np.int16] | npt.NDArray[np.float32]

_SCALE = {np.dtype(np.int16): 2.0**-15, np.dtype(np.float32): 1.0}


class Augmentation(Settings):
    """What is done to training clips; each is off by default."""

    mixup_rate: float = Field(0.0, ge=0, le=1, description="share of clips that are mixed with another clip")
    mixup_beta: float = Field(10.0, gt=0, description="the first clip's share in a mixture is Beta(b, b) for this b")
    gain_db: tuple[float, float] = Field((0.0, 0.0), description="lowest and highest gain of a clip, in dB")
    polarity_rate: float = Field(0.0, ge=0, le=1, description="share of clips whose waveform is turned upside down")
    time_shift_fraction: float = Field(
        0.0, ge=0, le=1, description="largest circular shift either way, as a share of the clip"
    )
    time_warp_frames: float = Field(
        0.0, ge=0, description="farthest that time warping moves its point, in feature frames"
    )
    frequency_masks: int = Field(0, ge=0, description="frequency masks a clip")
    frequency_mask_bins: int = Field(0, ge=0, description="mel bins of the widest frequency mask")
    time_masks: int = Field(0, ge=0, description="time masks a clip")
    time_mask_frames: int = Field(0, ge=0, description="feature frames of the longest time mask")

    @model_validator(mode="after")
    def _hang_together(self) -> "Augmentation":
        if self.gain_db[0] > self.gain_db[1]:
            raise ValueError(f"gain_db must be the lowest and then the highest gain, found {list(self.gain_db)}")
        for masks, width in (("frequency_masks", "frequency_mask_bins"), ("time_masks", "time_mask_frames")):
            if getattr(self, masks) and not getattr(self, width):
                raise ValueError(f"{masks} {getattr(self, masks)} needs {width} of at least 1")
        return self


@dataclass(frozen=True)
class Draws:
    """What happens at each position of an epoch; an augmentation that is off has its neutral element everywhere.

    Attributes:
        partner: item that the clip is mixed with where `mixup_lambda` < 1, and of no meaning elsewhere, (position,).
        mixup_lambda: the clip's own share in its mixture, 1 where it is not mixed, (position,).
        amplitude: factor of the waveform, negative where its polarity is turned, (position,).
        shift: circular shift to later, as a share of the valid samples, (position,).
        warp_frames: feature frames by which time warping moves its point to later, (position,).
        warp_point: where that point lies between the first place it may have (0) and the last (1), (position,).
        frequency_width: mel bins masked, (position, mask).
        frequency_place: where a mask begins, from the lowest place that it may have (0) to the highest (1).
        time_width, time_place: the same of time masks and feature frames.
    """

    partner: IntArray
    mixup_lambda: FloatArray
    amplitude: FloatArray
    shift: FloatArray
    warp_frames: FloatArray
    warp_point: FloatArray
    frequency_width: IntArray
    frequency_place: FloatArray
    time_width: IntArray
    time_place: FloatArray

    def __len__(self) -> int:
        return len(self.partner)

    def at(self, positions: IntArray | slice) -> "Draws":
        """The draws of some positions, in their order."""
        return Draws(**{field.name: getattr(self, field.name)[positions] for field in fields(self)})

    @property
    def mixed(self) -> npt.NDArray[np.bool_]:
        """Which positions are mixtures, (position,)."""
        return self.mixup_lambda < 1


def draw(settings: Augmentation, num_positions: int, num_items: int, seed: int, epoch: int) -> Draws:
    """All draws of an epoch; position p's are the same whatever `num_positions` is.

    Args:
        num_items: a mixup partner is any of so many items, each as likely (not as the sampler draws them).
    """

    def uniform(purpose: str, is_on: bool, low: float, high: float, masks: int | None = None) -> FloatArray:
        shape = (num_positions,) if masks is None else (num_positions, masks)
        if not is_on:
            return np.broadcast_to(np.float32(0), shape)  # one number in memory, whatever the shape
        return low + np.float32(high - low) * epoch_generator(seed, epoch, purpose).random(shape, dtype=np.float32)

    def widths(purpose: str, masks: int, largest: int) -> IntArray:
        return epoch_generator(seed, epoch, purpose).integers(0, largest, (num_positions, masks), endpoint=True)

    s = settings
    partner, mixup_lambda = _draw_mixup(s, num_positions, num_items, seed, epoch)
    gain_db = uniform("gain", s.gain_db != (0, 0), *s.gain_db)
    turned = uniform("polarity", s.polarity_rate > 0, 0, 1) < s.polarity_rate
    warps = s.time_warp_frames > 0
    return Draws(
        partner=partner,
        mixup_lambda=mixup_lambda,
        amplitude=np.where(turned, np.float32(-1), np.float32(1)) * np.float32(10) ** (gain_db / np.float32(20)),
        shift=uniform("time shift", s.time_shift_fraction > 0, -s.time_shift_fraction, s.time_shift_fraction),
        warp_frames=uniform("time warp", warps, -s.time_warp_frames, s.time_warp_frames),
        warp_point=uniform("time warp point", warps, 0, 1),
        frequency_width=widths("frequency mask width", s.frequency_masks, s.frequency_mask_bins),
        frequency_place=uniform("frequency mask place", s.frequency_masks > 0, 0, 1, s.frequency_masks),
        time_width=widths("time mask width", s.time_masks, s.time_mask_frames),
        time_place=uniform("time mask place", s.time_masks > 0, 0, 1, s.time_masks),
    )


def _draw_mixup(
    settings: Augmentation, num_positions: int, num_items: int, seed: int, epoch: int
) -> tuple[IntArray, FloatArray]:
    if not settings.mixup_rate:
        return np.broadcast_to(np.int64(0), num_positions), np.broadcast_to(np.float32(1), num_positions)
    is_mixed = epoch_generator(seed, epoch, "mixup").random(num_positions) < settings.mixup_rate
    beta = settings.mixup_beta
    share = epoch_generator(seed, epoch, "mixup lambda").beta(beta, beta, num_positions).astype(np.float32)
    partner = epoch_generator(seed, epoch, "mixup partner").integers(0, num_items, num_positions)
    return partner, np.where(is_mixed, share, np.float32(1))


def partners_of_kind(kind: npt.NDArray[np.bool_], items: IntArray, seed: int, epoch: int) -> IntArray:
    """A mixup partner for each position of an epoch, any of the items that are of its item's kind, each as likely.

    Args:
        kind: of each item, (item,). items: of each position, (position,).
    """
    place = epoch_generator(seed, epoch, "mixup partner of kind").random(len(items))
    partner = np.zeros(len(items), np.int64)
    for which in (False, True):
        alike, here = np.flatnonzero(kind == which), kind[items] == which
        partner[here] = alike[(place[here] * len(alike)).astype(np.int64)]
    return partner


def apply_waveform(
    clips: Sequence[SampleArray], length_samples: int, draws: Draws, partners: Sequence[SampleArray] = ()
) -> torch.Tensor:
    """The clips in float32, mixed, then scaled, turned and shifted; (clip, sample), zero past each one's own length.

    A mixture is lambda a + (1 - lambda) b, b cut or zero-padded to a's samples. Gain, polarity and shift are those of
    the mixture. The mean is left as it is: removing it belongs to the front end.

    Args:
        clips: int16 as packed or float32 in [-1, 1], (sample,) each, at most `length_samples`; they are only read.
        draws: one element a clip.
        partners: one for each clip that `draws.mixed` names, in their order; of any length.

    Source: Gong et al. 2021 (PSLA), section IV-C, for the mixture.
    """
    if len(partners) != draws.mixed.sum():
        raise ValueError(f"{draws.mixed.sum()} clips are mixed, but there are {len(partners)} partners")
    # numpy asks for large pages, torch does not: of 100 clips of 10 s, each is mixed in half the time, with 3 page
    # faults instead of 156. It also converts from int16 in two thirds of torch's time.
    out = np.empty((len(clips), length_samples), np.float32)
    scratch = np.empty(length_samples, np.float32)
    rest = iter(partners)
    # A clip at a time: the batch's temporaries would not fit a CPU's caches.
    for row, clip, share, amplitude, shift in zip(
        out, clips, draws.mixup_lambda, draws.amplitude, draws.shift, strict=True
    ):
        row[len(clip) :] = 0
        own = _converted(clip, row)
        factor = float(share) * float(amplitude) * _SCALE[clip.dtype]
        if factor != 1:
            own.mul_(factor)
        if share < 1:
            other = next(rest)[: len(clip)]
            other_factor = (1 - float(share)) * float(amplitude) * _SCALE[other.dtype]
            own[: len(other)].add_(_converted(other, scratch), alpha=other_factor)
        _shift_circularly(own, round(float(shift) * len(clip)), torch.from_numpy(scratch))
    return torch.from_numpy(out)


def _converted(samples: SampleArray, memory: FloatArray) -> torch.Tensor:
    """The samples in float32, in the first of the memory."""
    into = memory[: len(samples)]
    np.copyto(into, samples)
    return torch.from_numpy(into)


def _shift_circularly(samples: torch.Tensor, shift: int, scratch: torch.Tensor) -> None:
    """Move every sample to `shift` later in place, those that leave at one end entering at the other."""
    if not shift or not shift % len(samples):
        return
    shift %= len(samples)
    before = scratch[: len(samples)].copy_(samples)
    samples[shift:] = before[:-shift]
    samples[:shift] = before[-shift:]


def mix_targets(
    targets: torch.Tensor,
    weights: torch.Tensor,
    partner_targets: torch.Tensor,
    partner_weights: torch.Tensor,
    mixup_lambda: FloatArray,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets mixed as the waveforms are, and the smaller of both weights: a label unknown in either stays unknown.

    Args:
        targets, weights, partner_targets, partner_weights: (clip, tag) or (clip, frame, tag), a row for every clip,
            mixed or not; rows of clips that are not mixed come back as they were.
        mixup_lambda: (clip,), 1 where a clip is not mixed.
    """
    share = torch.tensor(mixup_lambda, dtype=targets.dtype, device=targets.device)
    share = share.reshape(-1, *(1,) * (targets.ndim - 1))
    is_mixed = share < 1
    mixture = share * targets + (1 - share) * partner_targets
    return torch.where(is_mixed, mixture, targets), torch.where(
        is_mixed, torch.minimum(weights, partner_weights), weights
    )


def apply_features(
    features: torch.Tensor, num_valid_frames: torch.Tensor, draws: Draws, fill: float = 0.0
) -> torch.Tensor:
    """The features time-warped and then masked; frames past a clip's valid ones stay as they are.

    Time warping resamples the valid frames linearly, in two pieces, so that one point moves by `warp_frames` and both
    ends stay. The point lies at least that far from both ends (SpecAugment: as far as the largest warp may be). A time
    mask covers at most half of the valid frames, so that a short clip keeps something of what its label says.

    Args:
        features: (clip, frame, mel).
        num_valid_frames: (clip,).
        draws: one element a clip.
        fill: what masked cells hold; 0 is the mean of normalised features.

    Source: Park et al. 2019 (SpecAugment).
    """
    num_frames, num_mels = features.shape[1:]
    valid = num_valid_frames.to(features.device, torch.int64)
    if draws.warp_frames.any():
        features = _warp_time(features, valid, draws)
    masks = []
    if draws.time_width.any():
        masks.append(_spans(draws.time_width, draws.time_place, valid, valid // 2, num_frames)[:, :, None])
    if draws.frequency_width.any():
        size = torch.full_like(valid, num_mels)
        in_clip = torch.arange(num_frames, device=features.device) < valid[:, None]
        bins = _spans(draws.frequency_width, draws.frequency_place, size, size, num_mels)
        masks.append(bins[:, None, :] & in_clip[:, :, None])
    for number, mask in enumerate(masks):
        # The first makes the copy that keeps the caller's features as they were; a second copy would only cost.
        features = features.masked_fill_(mask, fill) if number else features.masked_fill(mask, fill)
    return features


def _spans(width: IntArray, place: FloatArray, size: torch.Tensor, longest: torch.Tensor, length: int) -> torch.Tensor:
    """Which of `length` cells the spans cover, (clip, length) bool; a span lies in the clip's first `size` cells."""
    width_of = torch.minimum(torch.as_tensor(width, device=size.device), longest[:, None])
    room = size[:, None] - width_of
    start = (torch.as_tensor(place, device=size.device) * (room + 1)).long()
    cells = torch.arange(length, device=size.device)
    return ((cells >= start[..., None]) & (cells < (start + width_of)[..., None])).any(dim=1)


def _warp_time(features: torch.Tensor, num_valid_frames: torch.Tensor, draws: Draws) -> torch.Tensor:
    num_frames = features.shape[1]
    last = (num_valid_frames[:, None] - 1).clamp(min=0).float()
    by = torch.as_tensor(draws.warp_frames, device=features.device)[:, None]
    by = by.clamp(-last / 2, last / 2)
    point = by.abs() + torch.as_tensor(draws.warp_point, device=features.device)[:, None] * (last - 2 * by.abs())
    moved = point + by
    frame = torch.arange(num_frames, device=features.device, dtype=torch.float32).expand(len(features), -1)
    before = frame * (point / moved.clamp(min=1e-6))
    after = last - (last - frame) * ((last - point) / (last - moved).clamp(min=1e-6))
    source = torch.where(frame < moved, before, after).clamp(min=0).minimum(last)
    source = torch.where(frame <= last, source, frame)
    left = source.floor()
    right = torch.where(frame <= last, (left + 1).minimum(last), left)
    clip = torch.arange(len(features), device=features.device)[:, None]
    share = (source - left).to(features.dtype)[:, :, None]
    return torch.lerp(features[clip, left.long()], features[clip, right.long()], share)
