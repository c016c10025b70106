"""Makes `data/esc10/` from the published ESC-10 archive: the same clips at about a quarter of the size.

    python data/make_esc10.py PATH/TO/ESC-10

Every clip is decoded, resampled to 48 kHz (the rate of Opus) and encoded as mono Opus in Ogg; folders and file names
stay as they are, and so does the archive's README.txt, as CREDITS.txt. The same libraries on the same processor write
the same bytes: the serial number of each Ogg stream, which libsndfile draws from the clock, is replaced by one taken
from the file's name.
"""

import argparse
import io
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE_HZ = 48_000
# About 36 kbit/s. Chosen as the best that keeps the whole folder under LIMIT_BYTES.
COMPRESSION_LEVEL = 0.857
LIMIT_BYTES = 10_000_000
TARGET = Path(__file__).parent / "esc10"


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes data/esc10 from the published ESC-10 archive.")
    parser.add_argument("source", type=Path, help="folder that holds README.txt and the ten class folders")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    source, target = arguments.source, arguments.target
    clips = sorted(source.glob("[0-9][0-9][0-9] - */*.ogg"))
    if len(clips) != 400 or not (source / "README.txt").is_file():
        sys.exit(f"{source}: expected README.txt and 400 clips in ten class folders, found {len(clips)} clips")
    for clip in clips:
        encoded = encode(clip)
        path = target / clip.relative_to(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)
    shutil.copyfile(source / "README.txt", target / "CREDITS.txt")
    total = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    sys.stdout.write(f"{target}: {len(clips)} clips, {total:,} bytes with the texts\n")
    return 0 if total < LIMIT_BYTES else 1


def encode(clip: Path) -> bytes:
    """The clip as mono Ogg Opus, checked to decode to as many samples as went in."""
    waveform, rate_hz = soundfile.read(clip, dtype="float32", always_2d=True)
    mono = soxr.resample(waveform.mean(axis=1), rate_hz, RATE_HZ, quality="VHQ")
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", RATE_HZ, 1, format="OGG", subtype="OPUS", compression_level=COMPRESSION_LEVEL
    ) as file:
        file.write(mono)
    encoded = with_serial(buffer.getvalue(), zlib.crc32(clip.name.encode()))
    decoded = soundfile.read(io.BytesIO(encoded))[0]
    expected = round(len(waveform) * RATE_HZ / rate_hz)
    if abs(len(decoded) - expected) > 1:
        raise RuntimeError(f"{clip}: {len(waveform)} samples in, {len(decoded)} out, expected {expected}")
    return encoded


def with_serial(stream: bytes, serial: int) -> bytes:
    """An Ogg stream with another serial number, each page's checksum made anew.

    Source: RFC 3533, section 6.
    """
    pages = bytearray(stream)
    start = 0
    while start < len(pages):
        num_segments = pages[start + 26]
        stop = start + 27 + num_segments + sum(pages[start + 27 : start + 27 + num_segments])
        pages[start + 14 : start + 18] = serial.to_bytes(4, "little")
        pages[start + 22 : start + 26] = bytes(4)
        pages[start + 22 : start + 26] = ogg_checksum(pages[start:stop]).to_bytes(4, "little")
        start = stop
    return bytes(pages)


def checksum_table() -> npt.NDArray[np.uint32]:
    table = np.zeros(256, np.uint32)
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table[index] = value
    return table


CHECKSUM_TABLE = checksum_table().tolist()


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of polynomial 04C11DB7, not reflected, from zero: not the one of zlib."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ CHECKSUM_TABLE[(value >> 24) ^ byte]
    return value


if __name__ == "__main__":
    sys.exit(main())
