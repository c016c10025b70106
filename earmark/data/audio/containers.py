"""What the head and the tail of an audio file say, without decoding: its format, and whether it was cut.

Decoders take a cut Ogg or WAV for a shorter one and say nothing, so their pages and chunks are looked at here.
"""

import io
import os
import struct
from typing import Any

from earmark.data.audio.mpeg import announced_bytes, id3_bytes

AUDIO_BY_CONTAINER = {
    "WAV": (".wav", ".wave", ".bwf", ".rf64"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus", ".spx"),
    "MP3": (".mp3", ".mp2", ".mpga"),
    "AIFF": (".aif", ".aiff", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "W64": (".w64",),
    "MP4": (".m4a", ".mp4", ".m4b", ".mov", ".3gp"),
    "Matroska": (".webm", ".mkv", ".mka"),
    "AAC": (".aac",),
    "ASF": (".wma", ".asf"),
    "AVI": (".avi",),
}
# Only PyAV opens these.
MEDIA_CONTAINERS = ("MP4", "Matroska", "AAC", "ASF", "AVI")
AUDIO_SUFFIXES = frozenset(suffix for suffixes in AUDIO_BY_CONTAINER.values() for suffix in suffixes)

# Writers to a pipe cannot know the size: ffmpeg leaves FFFFFFFF, SoX 7FFFF000 or a little more.
STREAMED_SIZE = 0x7FFFF000
# Headers off by a few bytes come from careless writers, not from a cut.
SLACK_BYTES = 64
# Ogg pages have about 4 kB; the second is twice the most that one can have.
OGG_TAIL_BYTES = (1 << 14, 1 << 17)

_MAGIC = {
    b"fLaC": "FLAC",
    b"OggS": "OGG",
    b"ID3": "MP3",
    b".snd": "AU",
    b"caff": "CAF",
    b"riff": "W64",
    b"RF64": "WAV",
    b"BW64": "WAV",
    b"\x1a\x45\xdf\xa3": "Matroska",
    b"\x30\x26\xb2\x75": "ASF",
}


def container_of(head: bytes) -> str | None:
    """The container that the first 12 bytes of a file announce, None if none that is known.

    >>> container_of(b"RIFF....WAVE"), container_of(b"hello, world")
    ('WAV', None)
    """
    if head[:4] == b"RIFF":
        return {b"WAVE": "WAV", b"AVI ": "AVI"}.get(head[8:12])
    if head[:4] == b"FORM":
        return "AIFF" if head[8:12] in (b"AIFF", b"AIFC") else None
    if head[4:8] == b"ftyp":
        return "MP4"
    for magic, container in _MAGIC.items():
        if head.startswith(magic):
            return container
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        # The layer bits: 0 is what AAC has there.
        return "MP3" if head[1] & 0x06 else "AAC"
    return None


def wrong_suffix(suffix: str, container: str) -> bool:
    """Whether a file name's ending belongs to another container.

    >>> wrong_suffix(".wav", "MP3"), wrong_suffix(".opus", "OGG"), wrong_suffix("", "OGG")
    (True, False, False)
    """
    return suffix.lower() in AUDIO_SUFFIXES and suffix.lower() not in AUDIO_BY_CONTAINER.get(container, ())


def cut_found(descriptor: int, size: int, container: str | None) -> str | None:
    """How a file ends before its own end, None where nothing of the kind is seen."""
    if container == "OGG":
        return _ogg_cut(descriptor, size)
    if container in ("WAV", "AIFF"):
        return _chunks_cut(descriptor, size)
    if container == "AU":
        offset, length = struct.unpack(">4xII", os.pread(descriptor, 12, 0).ljust(12, b"\xff"))
        return _short_of(size, offset + length, length)
    if container == "MP3":
        start = id3_bytes(descriptor)
        num_bytes = announced_bytes(descriptor, start)
        # One frame more or less is a matter of how writers count.
        if num_bytes and size - start < 0.99 * num_bytes - 2048:
            return f"{size - start} of {num_bytes} bytes are there"
    return None


def zero_size_at(descriptor: int, size: int, container: str | None) -> int | None:
    """Where a WAV header says that no data follows though some does (written to a pipe), None if it does not."""
    if container != "WAV":
        return None
    for name, place, length in _chunks(descriptor, size, "<"):
        if name == b"data":
            follows = os.pread(descriptor, 8, place)
            is_chunk = len(follows) == 8 and follows[:4].isalnum() and place + 8 + _size(follows, "<") <= size
            return place - 4 if length == 0 and follows and not is_chunk else None
    return None


def samples_between(descriptor: int, size: int, container: str | None) -> tuple[int, int]:
    """The places between which the coded samples of a WAV or MP3 file lie."""
    if container != "WAV":
        return id3_bytes(descriptor), size
    chunks = [(place, length) for name, place, length in _chunks(descriptor, size, "<") if name == b"data"]
    place, length = chunks[0] if chunks else (0, size)
    return place, min(size, place + length) if length else size


class UnsizedWav(io.FileIO):
    """A WAV file whose header says that it holds nothing, read as one of unknown size."""

    def __init__(self, descriptor: int, size_at: int) -> None:
        super().__init__(descriptor, "rb", closefd=False)
        self._size_at = size_at

    def readinto(self, buffer: Any) -> int:
        start = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for place in range(max(start, self._size_at), min(start + count, self._size_at + 4)):
            view[place - start] = 0xFF
        return count

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        content = bytearray(super().read(-1 if size is None else size) or b"")
        for place in range(max(start, self._size_at), min(start + len(content), self._size_at + 4)):
            content[place - start] = 0xFF
        return bytes(content)


def _ogg_cut(descriptor: int, size: int) -> str | None:
    """Source: RFC 3533, section 6: each page tells its length, and the last one of a stream is marked."""
    tail, page = b"", -1
    for num_bytes in OGG_TAIL_BYTES:
        if page < 0:
            tail = os.pread(descriptor, num_bytes, max(0, size - num_bytes))
            page = tail.rfind(b"OggS\0")
    if page < 0:
        return "no Ogg page near the end"
    header = tail[page : page + 27]
    table = tail[page + 27 : page + 27 + header[26]] if len(header) == 27 else b""
    if len(header) < 27 or len(table) < header[26] or page + 27 + len(table) + sum(table) > len(tail):
        return "it ends within an Ogg page"
    return None if header[5] & 4 else "its last Ogg page is not marked as the end of the stream"


def _chunks_cut(descriptor: int, size: int) -> str | None:
    order = ">" if os.pread(descriptor, 4, 0) == b"FORM" else "<"
    long_size = None
    for name, place, length in _chunks(descriptor, size, order):
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", os.pread(descriptor, 16, place).ljust(16, b"\0"))[0]
        if name in (b"data", b"SSND"):
            announced = long_size if long_size and length == 0xFFFFFFFF else length
            return _short_of(size, place + announced, 0xFFFFFFFF if announced == length >= STREAMED_SIZE else 0)
    return None


def _chunks(descriptor: int, size: int, order: str) -> list[tuple[bytes, int, int]]:
    """Name, place of the content and announced length of the chunks, up to the one that holds the samples."""
    chunks: list[tuple[bytes, int, int]] = []
    place = 12
    while place + 8 <= size and len(chunks) < 1000:
        header = os.pread(descriptor, 8, place)
        length = _size(header, order)
        chunks.append((header[:4], place + 8, length))
        if header[:4] in (b"data", b"SSND"):
            break
        place += 8 + length + length % 2
    return chunks


def _size(header: bytes, order: str) -> int:
    return int(struct.unpack(f"{order}4xI", header)[0])


def _short_of(size: int, expected: int, length: int) -> str | None:
    if length == 0xFFFFFFFF or size >= expected - SLACK_BYTES:
        return None
    return f"{size} of {expected} bytes are there"
