"""Decoders behind one face: libsndfile for nearly everything, PyAV for m4a, mp4, webm and codecs left over."""

import os
import stat
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from earmark.data.audio.containers import (
    MEDIA_CONTAINERS,
    UnsizedWav,
    container_of,
    cut_found,
    samples_between,
    zero_size_at,
)
from earmark.data.audio.mpeg import count_samples, is_announced
from earmark.data.audio.problems import AudioError

SampleArray = npt.NDArray[Any]

# Decoded to 16 bit without loss. Vorbis and Opus are not among them though they could be read so: libsndfile lets
# their peaks beyond full scale wrap around to the other sign.
SUBTYPES_16_BIT = ("PCM_16", "PCM_S8", "PCM_U8", "ALAW", "ULAW", "IMA_ADPCM", "MS_ADPCM")
# The largest value that a subtype can hold, in 16-bit units; 32767 elsewhere.
FULL_SCALE = {"PCM_S8": 32512, "PCM_U8": 32512, "ALAW": 32256, "ULAW": 32124}
UNKNOWN_FRAMES = 1 << 62
# libsndfile's number for a seek that failed, which is how reading past an unannounced end shows.
SEEK_FAILED = 39
# Two MPEG frames: writers of Xing headers count by different habits.
MP3_SLACK_FRAMES = 2304
MEDIA_SLACK_S = 0.1
MAX_SPARE_BYTES = 1 << 24

_thread = threading.local()


class Decoder(Protocol):
    """An opened recording.

    Attributes:
        num_frames: samples per channel by the header, None if it does not say.
        slack_frames: by how much the header may be wrong.
    """

    container: str
    subtype: str
    rate_hz: int
    channels: int
    num_frames: int | None
    slack_frames: int

    def seek(self, frame: int) -> None:
        """Makes `frame` the next one that is read."""

    def read(self, num_frames: int) -> SampleArray:
        """The next frames, (frame, channel), int16, or float32 in [-1, 1]; fewer than asked for only at the end.

        The array may be changed, and holds only until the next read or close.
        """

    def close(self) -> None:
        """Releases the file."""


def open_decoder(path: Path) -> Decoder:
    """A decoder at the first sample of a recording, its head and tail checked.

    Raises:
        AudioError: missing, dangling link, directory, not a file, permission denied, empty, unreadable, needs PyAV,
            truncated.
    """
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        check_status(status)
        container = container_of(os.pread(descriptor, 12, 0))
        cut = cut_found(descriptor, status.st_size, container)
        if cut:
            raise AudioError("truncated", cut)
        decoder = _decoder(descriptor, status.st_size, container)
    except BaseException:
        os.close(descriptor)
        raise
    if decoder.num_frames == 0:
        decoder.close()
        raise AudioError("empty", "the header tells of no samples")
    return decoder


def check_status(status: os.stat_result) -> None:
    """Raises AudioError unless it is that of a file with something in it."""
    if stat.S_ISDIR(status.st_mode):
        raise AudioError("directory")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError("not a file")
    if status.st_size == 0:
        raise AudioError("empty", "the file has no bytes")


def _open(path: Path) -> int:
    """A descriptor: by it names such as `-` or `a.raw`, which libsndfile takes as orders, are names like others."""
    try:
        # Opening a pipe would wait for its writer otherwise.
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except PermissionError as error:
        raise AudioError("permission denied") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("dangling link" if path.is_symlink() else "missing") from error
    except OSError as error:
        raise AudioError("dangling link" if path.is_symlink() else "unreadable", str(error.strerror)) from error


def _decoder(descriptor: int, size: int, container: str | None) -> Decoder:
    if container in MEDIA_CONTAINERS:
        return _MediaDecoder(descriptor, container)
    try:
        return _SoundfileDecoder(descriptor, size, container)
    except soundfile.LibsndfileError as error:
        if container is None:
            raise AudioError(
                "unreadable", f"{error.error_string} (first bytes {os.pread(descriptor, 8, 0)!r})"
            ) from error
        return _MediaDecoder(descriptor, container, str(error.error_string))
    except _GuessedShortError as error:
        return _MediaDecoder(descriptor, container or "MP3", str(error))


class _GuessedShortError(Exception):
    """libsndfile would stop before the end."""


def _read_up_to(decoder: Decoder, frame: int) -> None:
    left = frame
    while left and (count := len(decoder.read(min(1 << 16, left)))):
        left -= count


class _SoundfileDecoder:
    def __init__(self, descriptor: int, size: int, container: str | None) -> None:
        patch = zero_size_at(descriptor, size, container)
        source = descriptor if patch is None else UnsizedWav(descriptor, patch)
        self._file = soundfile.SoundFile(source, closefd=False)
        self._descriptor = descriptor
        self.container = "WAV" if self._file.format in ("WAVEX", "RF64") else self._file.format
        self.subtype: str = self._file.subtype
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.slack_frames = 0
        self.num_frames: int | None = self._file.frames
        if self._file.frames >= UNKNOWN_FRAMES:
            self.num_frames = None
        elif self.subtype.startswith("MPEG"):
            self.slack_frames = MP3_SLACK_FRAMES
            self._count_mpeg(size, container)
        self._place = 0
        self._memory = np.empty(0, np.uint8)
        self._dtype = np.int16 if self.subtype in SUBTYPES_16_BIT else np.float32

    def _count_mpeg(self, size: int, container: str | None) -> None:
        """Sees to it that nothing is lost by a guessed length."""
        start, stop = samples_between(self._descriptor, size, container)
        if is_announced(self._descriptor, start):
            return
        counted = count_samples(self._descriptor, start, stop)
        if counted.is_cut:
            raise AudioError("truncated", "it ends within an MP3 frame")
        if counted.num_samples is not None and counted.num_samples > self._file.frames + MP3_SLACK_FRAMES:
            raise _GuessedShortError(f"MP3 that does not tell its length, {counted.num_samples} samples")
        self.num_frames = counted.num_samples

    def seek(self, frame: int) -> None:
        if not self._file.seekable():
            _read_up_to(self, frame)
            return
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise AudioError("outside recording", f"no sample {frame} at {self.rate_hz} Hz") from error
        self._place = frame

    def read(self, num_frames: int) -> SampleArray:
        if self._file.frames >= UNKNOWN_FRAMES:
            return self._read_to_unknown_end(num_frames)
        if self.num_frames is not None:
            num_frames = max(0, min(num_frames, self._file.frames - self._place))
        num_bytes = num_frames * self.channels * np.dtype(self._dtype).itemsize
        if len(self._memory) < num_bytes:
            self._memory = _borrowed(num_bytes)
        block = self._memory[:num_bytes].view(self._dtype).reshape(num_frames, self.channels)
        try:
            count = len(self._file.read(num_frames, out=block))
        except soundfile.LibsndfileError as error:
            raise AudioError("truncated", f"decoding broke off: {error.error_string or 'damaged'}") from error
        self._place += count
        return block[:count]

    def _read_to_unknown_end(self, num_frames: int) -> SampleArray:
        # At the end soundfile fails in a seek, after the samples were written; what is still NaN was not.
        block = np.full((num_frames, self.channels), np.nan, np.float32)
        try:
            count = len(self._file.read(num_frames, out=block))
        except soundfile.LibsndfileError as error:
            if error.code != SEEK_FAILED:
                raise AudioError("truncated", f"decoding broke off: {error.error_string or 'damaged'}") from error
            count = int(np.isfinite(block[:, 0]).sum())
        return block[:count]

    def close(self) -> None:
        _give_back(self._memory)
        self._memory = np.empty(0, np.uint8)
        self._file.close()
        os.close(self._descriptor)


def _borrowed(num_bytes: int) -> npt.NDArray[np.uint8]:
    """Memory that the thread used before, where it has some: fresh memory costs as much as a tenth of decoding."""
    spare = _thread.__dict__.setdefault("spare", [])
    memory: npt.NDArray[np.uint8] = spare.pop() if spare else np.empty(0, np.uint8)
    return memory if len(memory) >= num_bytes else np.empty(num_bytes, np.uint8)


def _give_back(memory: npt.NDArray[np.uint8]) -> None:
    spare = _thread.__dict__.setdefault("spare", [])
    if not spare and len(memory) <= MAX_SPARE_BYTES:
        spare.append(memory)


class _MediaDecoder:
    """Reads with FFmpeg's libraries; samples before and after what the container says are trimmed."""

    def __init__(self, descriptor: int, container: str, why: str = "") -> None:
        av = _import_av(container, why)
        self._descriptor = descriptor
        self._error = av.error.FFmpegError
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            self._container = av.open(os.fdopen(descriptor, "rb", closefd=False))
        except self._error as error:
            raise AudioError("unreadable", f"{container}: {error.strerror}") from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError("unreadable", f"{container}: there is no sound in it")
        self._stream = self._container.streams.audio[0]
        self.container = container
        self.subtype: str = self._stream.codec_context.name
        self.rate_hz: int = self._stream.rate
        self.channels: int = self._stream.channels
        self._resampler = av.AudioResampler(format="fltp")
        self._set_length(av.time_base)
        self._frames = self._decoded()
        self._held = np.empty((0, self.channels), np.float32)

    def _set_length(self, unit: int) -> None:
        duration, time_base = self._stream.duration, self._stream.time_base
        self._is_exact = self.container == "MP4" and bool(duration) and time_base == Fraction(1, self.rate_hz)
        self.num_frames: int | None = None
        self.slack_frames = 0 if self._is_exact else int(MEDIA_SLACK_S * self.rate_hz)
        if self.container == "MP4" and duration:
            self.num_frames = round(duration * time_base * self.rate_hz)
        elif self.container == "Matroska" and self._container.duration and len(self._container.streams) == 1:
            # With pictures beside the sound this is the longer of the two.
            self.num_frames = int(self._container.duration * self.rate_hz / unit)

    def _decoded(self) -> Iterator[npt.NDArray[np.float32]]:
        left = self.num_frames if self._is_exact and self.num_frames is not None else UNKNOWN_FRAMES
        try:
            for frame in self._container.decode(self._stream):
                for converted in self._resampler.resample(frame):
                    block = converted.to_ndarray().T[:left]
                    left -= len(block)
                    if len(block):
                        yield block
        except self._error as error:
            raise AudioError("truncated", f"decoding broke off: {error.strerror}") from error

    def seek(self, frame: int) -> None:
        # Compressed streams are decoded from their beginning: their seeking is only near, and a clip must be exact.
        _read_up_to(self, frame)

    def read(self, num_frames: int) -> SampleArray:
        parts, count = [self._held], len(self._held)
        while count < num_frames and (block := next(self._frames, None)) is not None:
            parts.append(block)
            count += len(block)
        everything = np.concatenate(parts)
        self._held = everything[num_frames:]
        return everything[:num_frames]

    def close(self) -> None:
        self._container.close()
        os.close(self._descriptor)


def _import_av(container: str, why: str) -> Any:
    try:
        import av
    except ImportError as error:
        detail = f"{container}{f' ({why})' if why else ''}: pip install 'earmark[media]'"
        raise AudioError("needs PyAV", detail) from error
    return av
