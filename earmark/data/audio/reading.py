"""Recordings decoded: 16-bit mono waveforms at a rate, whole, in part or block by block, and what was wrong with them.

However a stretch of a recording is read, it gives the same samples: those of a file cut there. Channels are averaged,
rates changed by soxr's HQ filter, values rounded to the nearest of 16 bit and limited to them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from earmark.data.audio.containers import wrong_suffix
from earmark.data.audio.decoders import Decoder, SampleArray, open_decoder
from earmark.data.audio.problems import AudioError, Problem, problem_of
from earmark.data.audio.stretches import BLOCK_FRAMES, SCALE, Stretch
from earmark.timing import samples_from_seconds, seconds_from_samples

Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True)
class AudioFacts:
    """What a recording is, by its header.

    Attributes:
        container, subtype: "WAV" and "PCM_16", "OGG" and "VORBIS", "MP4" and "aac".
        num_samples: per channel, at the recording's own rate.
    """

    container: str
    subtype: str
    rate_hz: int
    channels: int
    num_samples: int
    duration_s: float


def inspect_audio(path: Path | str) -> tuple[AudioFacts, list[Problem]]:
    """What a recording is and what is odd about it, from its head and tail.

    Only a file whose header does not tell its length is decoded, to count.

    Raises:
        AudioError: a kind that is left out and can be seen so.
    """
    path = Path(path)
    with _opened(path) as decoder:
        problems = _seen_from_outside(path, decoder)
        num_samples = _count_frames(decoder) if decoder.num_frames is None else decoder.num_frames
        if num_samples == 0:
            raise AudioError("empty", "the file holds no samples")
        facts = AudioFacts(
            container=decoder.container,
            subtype=decoder.subtype,
            rate_hz=decoder.rate_hz,
            channels=decoder.channels,
            num_samples=num_samples,
            duration_s=seconds_from_samples(num_samples, decoder.rate_hz),
        )
    return facts, problems


def read_audio(
    path: Path | str, rate_hz: int, onset_s: float | None = None, offset_s: float | None = None
) -> tuple[Int16Array, list[Problem]]:
    """The waveform, int16 (sample,), and what is odd about it but lets it be used.

    A stretch is read by seeking to it. Its ends are rounded to samples of the recording's own rate; it has as many
    samples as soxr makes of them, their number times the ratio of the rates, rounded.

    Args:
        onset_s, offset_s: of the stretch in the recording; None is its beginning, its end.

    Raises:
        AudioError: a kind that is left out.
    """
    parts, problems = read_parts(path, rate_hz, onset_s, offset_s)
    return parts[0] if len(parts) == 1 else np.concatenate(parts), problems


def read_parts(
    path: Path | str, rate_hz: int, onset_s: float | None = None, offset_s: float | None = None
) -> tuple[list[Int16Array], list[Problem]]:
    """What `read_audio` gives, its waveform still in the parts that it was converted in: one copy less."""
    path = Path(path)
    with _opened(path) as decoder:
        problems = _seen_from_outside(path, decoder)
        stretch = Stretch(decoder, onset_s, offset_s)
        parts = list(_converted(stretch, rate_hz))
    problems += [problem_of(kind, path, detail=detail) for kind, detail in stretch.findings()]
    return parts, problems


def blocks(
    path: Path | str, rate_hz: int, block_s: float, problems: list[Problem] | None = None
) -> Iterator[Int16Array]:
    """The waveform of a whole recording in blocks, int16 (sample,): put together, exactly what `read_audio` gives.

    All have `block_s` but the last, which may be shorter; there is at least one. Memory does not depend on the
    recording's length.

    Args:
        problems: where what is odd is added, at the end.

    Raises:
        AudioError: a kind that is left out; one that shows only at the end (truncated, say) after blocks were given.
    """
    path = Path(path)
    block_samples = samples_from_seconds(block_s, rate_hz)
    if block_samples < 1:
        raise ValueError(f"block_s must be at least one sample, got {block_s} s at {rate_hz} Hz")
    with _opened(path) as decoder:
        found = _seen_from_outside(path, decoder)
        stretch = Stretch(decoder, None, None)
        held = np.empty(0, np.int16)
        for part in _converted(stretch, rate_hz):
            held = np.concatenate([held, part]) if len(held) else part
            whole = len(held) // block_samples * block_samples
            for start in range(0, whole, block_samples):
                yield held[start : start + block_samples]
            held = held[whole:]
        if len(held):
            yield held
        found += [problem_of(kind, path, detail=detail) for kind, detail in stretch.findings()]
    if problems is not None:
        problems += found


@contextmanager
def _opened(path: Path) -> Iterator[Decoder]:
    decoder = open_decoder(path)
    try:
        yield decoder
    finally:
        decoder.close()


def _seen_from_outside(path: Path, decoder: Decoder) -> list[Problem]:
    problems = []
    if wrong_suffix(path.suffix, decoder.container):
        problems.append(problem_of("wrong extension", path, detail=f"{path.suffix} holds {decoder.container}"))
    if decoder.channels > 1:
        problems.append(problem_of("downmixed", path, detail=f"{decoder.channels} channels"))
    return problems


def _count_frames(decoder: Decoder) -> int:
    count = 0
    while num_frames := len(decoder.read(BLOCK_FRAMES)):
        count += num_frames
    return count


def _converted(stretch: Stretch, rate_hz: int) -> Iterator[Int16Array]:
    """The stretch as int16 mono at the rate, at least one part, none of them empty."""
    is_any = False
    for mono in _at_rate(stretch, rate_hz):
        if len(mono):
            is_any = True
            part, peak = _rounded(mono)
            stretch.note_peak(peak)
            yield part
    if not is_any:
        raise AudioError("empty", f"too short for one sample at {rate_hz} Hz")


def _at_rate(stretch: Stretch, rate_hz: int) -> Iterator[SampleArray]:
    """The stretch as mono at the rate, in 16-bit units; each array may be changed, and holds until the next."""
    native_hz = stretch.decoder.rate_hz
    if native_hz == rate_hz:
        for piece, _ in stretch.pieces():
            yield _mono(piece)
        return
    resampler = soxr.ResampleStream(native_hz, rate_hz, 1, dtype="float32", quality="HQ")
    was_last = False
    for piece, is_last in stretch.pieces():
        was_last = is_last
        yield resampler.resample_chunk(_mono(piece).astype(np.float32, copy=False), last=is_last)
    if not was_last:
        yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _mono(block: SampleArray) -> SampleArray:
    """The mean of the channels, (sample,), in 16-bit units: int16 where that is exact, else float32."""
    num_channels = block.shape[1]
    is_16_bit = block.dtype == np.int16
    if num_channels == 1:
        mono = block[:, 0]
        return mono if is_16_bit else np.multiply(mono, np.float32(SCALE), out=mono)
    mean = block[:, 0].astype(np.float32)
    for channel in range(1, num_channels):
        mean += block[:, channel]
    mean *= np.float32((1 if is_16_bit else SCALE) / num_channels)
    return mean


def _rounded(mono: SampleArray) -> tuple[Int16Array, float]:
    """To the nearest 16-bit value, limited to them, in memory of its own, and the peak; what is given may change."""
    peak = max(float(mono.max()), -float(mono.min()))
    if mono.dtype == np.float32:
        np.rint(mono, out=mono)
        if peak > SCALE - 1:
            np.clip(mono, -SCALE, SCALE - 1, out=mono)
    return mono.astype(np.int16), peak
