"""One soundscape: drawn, summed, and all that is true of it. A pure function of (seed, split, number)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from earmark.config import Settings
from earmark.data.packs import Pack
from earmark.data.synthesis.stretches import SHORTEST_CUT_S, Stretch, draw_onset, draw_stretch, free_gaps
from earmark.data.tables import SPLITS
from earmark.timing import samples_from_seconds

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

FULL_SCALE = 32768
# The largest value of 16 bits, and so of a sum that need not be scaled down.
PEAK = (FULL_SCALE - 1) / FULL_SCALE
# A stream of its own: other backgrounds leave the events as they are.
BACKGROUND_STREAM = 1
LOWEST_PINK_HZ = 20.0
# FLAC's header has 16 bits for a rate in Hz; above, it counts in tens.
HIGHEST_ODD_HZ = 65535


class MixSettings(Settings):
    """What soundscapes are made, from which sounds, and how loud."""

    num_clips: int = Field(1000, ge=1, description="soundscapes in all")
    validation_share: float = Field(0.2, ge=0, le=1, description="share of the soundscapes, and of groups where drawn")
    test_share: float = Field(0.2, ge=0, le=1, description="share of the soundscapes, and of groups where drawn")
    clip_s: float = Field(10.0, ge=1, le=3600, description="length of a soundscape")
    rate_hz: int = Field(
        32000, ge=4000, le=192000, description="sampling rate of the soundscapes; above 65535 a multiple of 10"
    )
    min_events: int = Field(1, ge=0, description="sounds placed in a soundscape, at least, as long as there is room")
    max_events: int = Field(4, ge=0, description="sounds placed in a soundscape, at most; drawn uniformly")
    max_event_s: float = Field(
        5.0, ge=0.5, description="a longer active stretch is cut at a random place; less where min_events would not fit"
    )
    min_active_s: float = Field(
        0.1, ge=0, description="a recording whose active parts are shorter in all is passed over"
    )
    min_snr_db: float = Field(6.0, ge=-60, le=60, description="level of a sound above background_db, at least")
    max_snr_db: float = Field(30.0, ge=-60, le=60, description="level of a sound above background_db, at most")
    max_overlap: int = Field(
        2, ge=1, description="sounds at once, at most; 1: none overlap; what fits nowhere is cut to the largest gap"
    )
    background: Literal["pink", "none"] = Field(
        "pink", description="pink noise or none; a data set of backgrounds takes its place"
    )
    background_db: float = Field(-55.0, ge=-90, le=0, description="RMS level of the background, dB of full scale")
    fade_s: float = Field(0.01, ge=0, le=0.1, description="fade in and out of every sound")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("events", "snr_db"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise ValueError(f"min_{name} must be at most max_{name}, got {low:g} and {high:g}")
        if self.validation_share + self.test_share > 1:
            raise ValueError(
                f"validation_share and test_share must be at most 1 together, got {self.validation_share} and "
                f"{self.test_share}"
            )
        if self.rate_hz > HIGHEST_ODD_HZ and self.rate_hz % 10:
            raise ValueError(
                f"rate_hz above {HIGHEST_ODD_HZ} must be a multiple of 10, as FLAC holds no other, got {self.rate_hz}"
            )
        return self


@dataclass(frozen=True, eq=False)
class Sounds:
    """What the soundscapes of one split are made from.

    Attributes:
        pack: waveforms of the recordings.
        by_tag: for every tag that there are recordings of, its place in the vocabulary and the rows of its recordings.
        parts: active parts of a recording, by row.
        tags_above: the other tags of a recording, ancestors of its own, by row; none where it has one tag only.
        background_pack, backgrounds: waveforms, and the rows to draw from; none where the noise is made.
    """

    pack: Pack
    by_tag: Sequence[tuple[int, IntArray]]
    parts: Mapping[int, IntArray]
    tags_above: Mapping[int, Sequence[int]]
    background_pack: Pack | None
    backgrounds: IntArray


@dataclass(frozen=True)
class Placed:
    """A term of the sum: a stretch of a recording at its place, times in samples.

    Attributes:
        kind: "event", "background" (a stretch of a recording) or "pink" (see `pink_noise`).
        tag_index: place in the vocabulary; -1 for a background.
        row: of the recording in its data set; -1 for pink noise.
        gain: what the faded stretch is multiplied by, 1 = as it is in the recording.
    """

    kind: str
    tag_index: int
    row: int
    source_onset: int
    source_offset: int
    onset: int
    offset: int
    snr_db: float
    gain: float


@dataclass(frozen=True, eq=False)
class Soundscape:
    """A soundscape and the truth about it.

    Attributes:
        clip: its name.
        split: place in train, validation, test.
        waveform: int16 (sample,).
        placed: the terms of the sum.
        events: tag, onset and offset in samples, int64 (event, 3), by tag and onset; those of one tag never touch.
        clip_gain: what everything was scaled by so that the sum does not clip, 1 where it was not; it is part of every
            term's gain.
        num_cut_to_fit: sounds that fit nowhere as they were and were cut to the largest gap.
        num_left_out: sounds drawn for which there was no room even so.
    """

    clip: str
    split: int
    waveform: npt.NDArray[np.int16]
    placed: list[Placed]
    events: IntArray
    clip_gain: float
    num_cut_to_fit: int
    num_left_out: int


def make_soundscape(sounds: Sounds, settings: MixSettings, seed: int, split: int, number: int) -> Soundscape:
    """The soundscape of a number: tags drawn uniformly, then a recording of the tag, its level, its place.

    Args:
        split: place of the split in train, validation, test.
    """
    draw = np.random.default_rng([seed, split, number])
    mixture, placed = _background(sounds, settings, [seed, split, number, BACKGROUND_STREAM])
    events: list[tuple[int, int, int]] = []
    taken = np.empty((0, 2), np.int64)
    num_drawn = int(draw.integers(settings.min_events, settings.max_events + 1)) if sounds.by_tag else 0
    num_cut = 0
    for _ in range(num_drawn):
        tag_index, rows = sounds.by_tag[int(draw.integers(len(sounds.by_tag)))]
        row = int(rows[int(draw.integers(len(rows)))])
        snr_db = float(draw.uniform(settings.min_snr_db, settings.max_snr_db))
        found = _draw_place(sounds, settings, row, taken, draw)
        if found is None:
            continue
        stretch, onset, was_cut = found
        num_cut += was_cut
        waveform = _faded(sounds.pack, row, stretch, samples_from_seconds(settings.fade_s, settings.rate_hz))
        gain = amplitude(settings.background_db + snr_db) / _active_rms(waveform, stretch)
        mixture[onset : onset + len(stretch)] += gain * waveform
        taken = np.append(taken, [[onset, onset + len(stretch)]], axis=0)
        times = (stretch.onset, stretch.offset, onset, onset + len(stretch))
        placed.append(Placed("event", tag_index, row, *times, snr_db, gain))
        parts = (stretch.parts - stretch.onset + onset).tolist()
        events += [(tag, *part) for tag in (tag_index, *sounds.tags_above.get(row, ())) for part in parts]
    clip_gain = min(1.0, PEAK / max(PEAK, float(np.abs(mixture).max())))
    return Soundscape(
        f"{SPLITS[split]}-{number:06d}",
        split,
        np.rint(clip_gain * mixture * FULL_SCALE).astype(np.int16),
        [replace(term, gain=clip_gain * term.gain) for term in placed],
        merged_events(events),
        clip_gain,
        num_cut,
        num_drawn - len(taken),
    )


def merged_events(events: Sequence[tuple[int, int, int]]) -> IntArray:
    """Events (tag, onset, offset), those of one tag that overlap or touch made one, by tag and onset, (event, 3).

    >>> merged_events([(1, 5, 9), (0, 2, 4), (1, 9, 12), (0, 6, 7)]).tolist()
    [[0, 2, 4], [0, 6, 7], [1, 5, 12]]
    """
    merged: list[list[int]] = []
    for tag_index, onset, offset in sorted(events):
        if merged and merged[-1][0] == tag_index and onset <= merged[-1][2]:
            merged[-1][2] = max(merged[-1][2], offset)
        else:
            merged.append([tag_index, onset, offset])
    return np.array(merged, np.int64).reshape(-1, 3)


def pink_noise(num_samples: int, rate_hz: int, draw: np.random.Generator) -> FloatArray:
    """Noise of RMS 1 whose power falls by 3 dB an octave from 20 Hz on and is even below, float64 (sample,)."""
    frequency_hz = np.fft.rfftfreq(num_samples, 1 / rate_hz)
    spectrum = draw.standard_normal(2 * len(frequency_hz)).view(np.complex128)
    spectrum /= np.sqrt(np.maximum(frequency_hz, LOWEST_PINK_HZ))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, num_samples)
    return np.asarray(noise / _rms(noise))


def amplitude(level_db: float) -> float:
    """The factor that a level in decibels stands for.

    >>> amplitude(-20.0)
    0.1
    """
    return float(10 ** (level_db / 20))


def fade_ramp(fade: int) -> FloatArray:
    """The fade in, (fade,): k / (fade + 1) for k = 1 to fade; a fade out is its mirror image."""
    return np.arange(1, fade + 1) / (fade + 1)


def _background(sounds: Sounds, settings: MixSettings, stream: list[int]) -> tuple[FloatArray, list[Placed]]:
    """What the events are added to, float64 (sample,), and where it is from."""
    total = samples_from_seconds(settings.clip_s, settings.rate_hz)
    level = amplitude(settings.background_db)
    draw = np.random.default_rng(stream)
    if sounds.background_pack is not None:
        row = int(sounds.backgrounds[draw.integers(len(sounds.backgrounds))])
        onset = int(draw.integers(sounds.background_pack.num_samples[row] - total + 1))
        waveform = sounds.background_pack.clip(row)[onset : onset + total] / FULL_SCALE
        # A silent stretch has no level to set.
        gain = level / (_rms(waveform) or level)
        term = Placed("background", -1, row, onset, onset + total, 0, total, float("nan"), gain)
        return gain * waveform, [term]
    if settings.background == "none":
        return np.zeros(total), []
    noise = pink_noise(total, settings.rate_hz, draw)
    return level * noise, [Placed("pink", -1, -1, 0, total, 0, total, float("nan"), level)]


def _draw_place(
    sounds: Sounds, settings: MixSettings, row: int, taken: IntArray, draw: np.random.Generator
) -> tuple[Stretch, int, bool] | None:
    """The stretch of a recording to place, its onset, and whether it was cut to fit; None where there is no room.

    Args:
        taken: onset and offset of what is placed already, (stretch, 2).
    """
    total = samples_from_seconds(settings.clip_s, settings.rate_hz)
    least_room = samples_from_seconds(SHORTEST_CUT_S + 2 * settings.fade_s, settings.rate_hz)
    # No sound takes the room of those that have to fit beside it.
    share = max(least_room, total * settings.max_overlap // max(1, settings.min_events))
    stretch = _draw_stretch(sounds, settings, row, min(total, share), draw)
    onset = draw_onset(taken, len(stretch), total, settings.max_overlap, draw)
    if onset is not None:
        return stretch, onset, False
    room = int(np.diff(free_gaps(taken, total, settings.max_overlap)).max(initial=0))
    if room < least_room:
        return None
    stretch = _draw_stretch(sounds, settings, row, room, draw)
    onset = draw_onset(taken, len(stretch), total, settings.max_overlap, draw)
    assert onset is not None, "a stretch cut to the largest gap fits there"
    return stretch, onset, True


def _draw_stretch(sounds: Sounds, settings: MixSettings, row: int, room: int, draw: np.random.Generator) -> Stretch:
    """The stretch of a recording to place; with its margins it has at most `room` samples."""
    fade = samples_from_seconds(settings.fade_s, settings.rate_hz)
    longest = min(samples_from_seconds(settings.max_event_s, settings.rate_hz), room - 2 * fade)
    return draw_stretch(sounds.pack.clip(row), settings.rate_hz, sounds.parts[row], longest, fade, draw)


def _faded(pack: Pack, row: int, stretch: Stretch, fade: int) -> FloatArray:
    """The waveform of a stretch, faded in and out, 1 = full scale."""
    waveform = pack.clip(row)[stretch.onset : stretch.offset] / FULL_SCALE
    ramp = fade_ramp(min(fade, len(waveform)))
    waveform[: len(ramp)] *= ramp
    waveform[len(waveform) - len(ramp) :] *= ramp[::-1]
    return waveform


def _active_rms(waveform: FloatArray, stretch: Stretch) -> float:
    """The RMS over the samples of active parts."""
    pieces = [waveform[first:last] for first, last in (stretch.parts - stretch.onset).tolist()]
    return _rms(np.concatenate(pieces))


def _rms(waveform: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform))))
