"""Recordings packed, packs read, and training's batches."""

from benchmarks.speed.contest import OURS, Contestant, Row
from benchmarks.speed.ours.reading import BATCH, FLAC_FILES, NUM_CLIPS, OGG_FILES, RATE_HZ, SECONDS
from benchmarks.speed.rows.features import log_mel_bytes, log_mel_operations

_OURS = "benchmarks.speed.ours.reading"
_PEERS = "benchmarks.speed.peers.reading"
READING = "Reading and training's batches, 10-s clips at 16 kHz from the page cache; seconds are of sound"
PACKING = "Packing of 10-s recordings at 44.1 kHz; seconds are of sound"
BINDS = (
    "The bare decoder keeps nothing. Ours looks at each value, rounds it and opens files with care, which its reading "
    "alone shows; the rest goes for checksums, the new file's pages, and handing clips from thread to thread."
)
BINDS_RESAMPLED = (
    "The bare decoder and soxr keep nothing. Ours looks at each value, rounds it, opens files with care and keeps what "
    "it read, as it does at the files' own rate; the change of rate is soxr's in both."
)


def _reading(name: str, about: str, ours: str, aim: float | None = None, note: str = "") -> Row:
    seconds = BATCH * SECONDS
    return Row(
        name=name,
        title=f"Batches of {BATCH} random clips, {about}",
        unit="second",
        table=READING,
        ours=Contestant("earmark", f"{_OURS}:{ours}", seconds, OURS),
        peers=(
            Contestant("PSL's HDF5, as its code reads it", f"{_PEERS}:psl_hdf5", seconds),
            Contestant("PSL's HDF5, scaled into one array kept", f"{_PEERS}:psl_hdf5_at_once", seconds),
            Contestant("PANNs' HDF5, as its code reads it", f"{_PEERS}:panns_hdf5", seconds),
        ),
        aim=aim,
        note=note,
        aim_peer="PSL's HDF5, as its code reads it",
        bytes=RATE_HZ * 6.0,  # of a sample 2 read, 4 written
        tolerance=4e-5,  # PANNs divides by 32767
    )


def _packing(kind: str, num_files: int, threads: int, tolerance: float) -> Row:
    suffix = "" if threads == 1 else f"_{threads}"
    return Row(
        name=f"pack-{kind}" + suffix.replace("_", "-"),
        title=f"Packing {'Ogg Vorbis' if kind == 'ogg' else 'FLAC'} at its own rate",
        unit="second",
        table=PACKING,
        ours=Contestant("earmark pack", f"{_OURS}:packing_{kind}{suffix}", num_files * SECONDS, OURS),
        peers=(
            Contestant("the decoder alone", f"{_PEERS}:decoder_{kind}{suffix}", num_files * SECONDS),
            Contestant("earmark's reading alone", f"{_OURS}:reading_{kind}{suffix}", num_files * SECONDS, OURS),
        ),
        aim=0.95,
        aim_peer="the decoder alone",
        threads=threads,
        tolerance=tolerance,  # in units of 16 bit
        binds=BINDS,
    )


ROWS = (
    _reading(
        "packed-reading",
        "in float32: ours clip by clip as the front end takes them, others' as one array",
        "packed_reading",
        aim=4,
        note="of the floor, a copy of memory, 60 % are aimed at",
    ),
    _reading("packed-reading-whole", "as one float32 array: ours as augmentation makes it", "packed_reading_whole"),
    Row(
        name="loader",
        title="Training's batches of 32 with mixup: ours waveforms, the mel left to the device; PSLA's features",
        unit="clip",
        table=READING,
        ours=Contestant("earmark", f"{_OURS}:loader", NUM_CLIPS, OURS),
        peers=(Contestant("PSLA's pattern on WAV, in PyTorch's loader", f"{_PEERS}:psla_loader", BATCH),),
        aim=40,
        # Of a clip and of half a partner 2 bytes read, 4 written.
        bytes=SECONDS * RATE_HZ * (1.5 * 2 + 4),
        binds="Three quarters of ours are conversions to float32 and mixing.",
    ),
    Row(
        name="loader-to-features",
        title="Training's batches of 32 with mixup, to masked features, all on one core",
        unit="clip",
        table=READING,
        ours=Contestant("earmark", f"{_OURS}:loader_to_features", NUM_CLIPS, OURS),
        peers=(Contestant("PSLA's pattern on WAV, in PyTorch's loader", f"{_PEERS}:psla_loader", BATCH),),
        flops=log_mel_operations("psla"),
        bytes=log_mel_bytes("psla") + SECONDS * RATE_HZ * 0.5 * 2,  # and half a partner
    ),
    _packing("ogg", OGG_FILES, 1, 0.51),  # rounded to 16 bit
    _packing("ogg", OGG_FILES, 2, 0.51),
    _packing("flac", FLAC_FILES, 1, 0.0),
    _packing("flac", FLAC_FILES, 2, 0.0),
    Row(
        name="pack-ogg-resampled",
        title="Packing Ogg Vorbis at 16 kHz",
        unit="second",
        table=PACKING,
        ours=Contestant("earmark pack", f"{_OURS}:packing_ogg_resampled", OGG_FILES * SECONDS, OURS),
        peers=(Contestant("decoder and soxr alone", f"{_PEERS}:decoder_and_soxr", OGG_FILES * SECONDS),),
        aim=0.95,
        tolerance=1.0,  # rounded to 16 bit, and soxr's block by block
        binds=BINDS_RESAMPLED,
    ),
)
