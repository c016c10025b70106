"""The frames of an MP3 stream, announced or counted: without an announcement decoders guess its length, and stop there.

A libsndfile that guesses too little leaves out the rest of a recording and says nothing (variable bit rate without a
Xing header: 3 of 20 s read), and an MP3 cut within a frame looks like a shorter one.
"""

import mmap
import os
import struct
from dataclasses import dataclass

# kbit/s by the header's four bits; 0 is free, 15 is not allowed.
_BITRATES_V1_L3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_V1_L2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_BITRATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = (44100, 48000, 32000)
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
# Xing and Info headers lie within the first frame, which junk may precede.
_SEARCHED_BYTES = 8192


@dataclass(frozen=True)
class Counted:
    """What walking over the frames found.

    Attributes:
        num_samples: per channel, in whole frames; None where the frames could not be followed to the end.
        is_cut: the last frame is not whole.
    """

    num_samples: int | None
    is_cut: bool


def id3_bytes(descriptor: int) -> int:
    """The length of the ID3v2 tag that a file begins with, 0 without one."""
    head = os.pread(descriptor, 10, 0)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def is_announced(descriptor: int, start: int) -> bool:
    """Whether the stream begins with a Xing or Info header."""
    return _announcement(descriptor, start) is not None


def announced_bytes(descriptor: int, start: int) -> int:
    """The bytes of the stream by its Xing or Info header, 0 if not said."""
    fields = _announcement(descriptor, start) or b""
    if len(fields) < 12:
        return 0
    flags, first, second = struct.unpack(">III", fields)
    if not flags & 2:
        return 0
    return int(second if flags & 1 else first)


def count_samples(descriptor: int, start: int, stop: int) -> Counted:
    """The samples between two places of a file, by the headers of its frames.

    Source: ISO/IEC 11172-3, 2.4.2.3, and 13818-3 for the lower rates.
    """
    num_samples = 0
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        while start + 4 <= stop:
            frame = _frame(content[start : start + 4])
            if frame is None:
                rest = content[start : min(stop, start + 16)]
                is_end = rest.startswith(_TAGS) or not any(rest)
                return Counted(num_samples if num_samples and is_end else None, is_cut=False)
            num_bytes, frame_samples = frame
            if start + num_bytes > stop:
                return Counted(num_samples, is_cut=True)
            start += num_bytes
            num_samples += frame_samples
    return Counted(num_samples, is_cut=start < stop)


def _announcement(descriptor: int, start: int) -> bytes | None:
    head = os.pread(descriptor, _SEARCHED_BYTES, start)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    return head[at + 4 : at + 16] if at >= 0 else None


def _frame(header: bytes) -> tuple[int, int] | None:
    """Bytes and samples of a frame of layer II or III, None if the four bytes head no such frame."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    is_header = header[0] == 0xFF and header[1] & 0xE0 == 0xE0 and version != 1 and layer in (1, 2)
    if not is_header or bitrate_index in (0, 15) or rate_index == 3:
        return None
    is_v1, is_layer_3 = version == 3, layer == 1
    table = (_BITRATES_V1_L3 if is_layer_3 else _BITRATES_V1_L2) if is_v1 else _BITRATES_V2
    rate_hz = _RATES_HZ[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    num_samples = 576 if is_layer_3 and not is_v1 else 1152
    padding = header[2] >> 1 & 1
    return num_samples // 8 * 1000 * table[bitrate_index] // rate_hz + padding, num_samples
