"""Recordings packed, packs read, and training's batches, ours."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from benchmarks.speed.inputs import random_batches, recordings, use_one_core
from earmark.data.audio.reading import read_parts
from earmark.data.augment import Augmentation, apply_features, apply_waveform, draw
from earmark.data.clips import read_batch, read_excerpts, whole_clips
from earmark.data.packs import Pack, open_pack
from earmark.data.sampling import shuffled
from earmark.data.statements import ClipLabels
from earmark.features import PRESETS, LogMel
from earmark.features.one_clip import INT16_SCALE
from earmark.prefetch import mapped
from earmark.training.feed import Feed
from earmark.training.targets import WeakLabels

NUM_CLIPS = 640
BATCH = 32
SECONDS = 10
RATE_HZ = 16000
NUM_TAGS = 527
OGG_FILES, FLAC_FILES = 75, 150


@dataclass(frozen=True)
class Recordings:
    """What packing asks of a data set, without the tables' files."""

    folder: Path
    paths: list[Path]

    @property
    def clips(self) -> pa.Table:
        """A clip is a file."""
        names = [path.name for path in self.paths]
        return pa.table({"clip": names, "path": names, "duration_s": [float(SECONDS)] * len(names)})

    def audio_path(self, row: int) -> Path:
        """The recording of a clip."""
        return self.paths[row]


def _pack(work: Path) -> Pack:
    """Clips at 16 kHz, packed if they are not, and in the page cache."""
    pack = open_pack(Recordings(work / "packed", recordings(work, "wav", NUM_CLIPS, RATE_HZ)), RATE_HZ, workers=1)
    for path in pack.folder.iterdir():
        path.read_bytes()
    return pack


def packed_reading(work: Path) -> Callable[[], torch.Tensor]:
    """A batch of random clips, and each in float32, as the front end takes them; gives the last, in [-1, 1]."""
    pack = _pack(work)
    clips = whole_clips(pack, np.arange(NUM_CLIPS))
    batches = random_batches(NUM_CLIPS, BATCH)
    samples = torch.empty(SECONDS * RATE_HZ)

    def read() -> torch.Tensor:
        for clip in read_batch(pack, clips.at(next(batches)), SECONDS * RATE_HZ).waveform:
            samples.copy_(clip)
        return samples * INT16_SCALE  # of one clip only: in the front end the scale is part of the window

    return read


def packed_reading_whole(work: Path) -> Callable[[], torch.Tensor]:
    """A batch of random clips in float32, in [-1, 1], as augmentation makes it; gives the last clip."""
    pack = _pack(work)
    clips = whole_clips(pack, np.arange(NUM_CLIPS))
    batches = random_batches(NUM_CLIPS, BATCH)
    nothing = draw(Augmentation(), BATCH, BATCH, 0, 0)

    def read() -> torch.Tensor:
        read_clips = read_excerpts(pack, clips.at(next(batches)), SECONDS * RATE_HZ)
        return apply_waveform(read_clips, SECONDS * RATE_HZ, nothing)[-1]

    return read


def mixing_feed(work: Path) -> Feed:
    """PSLA's: mixup of every second clip, a frequency and a time mask; three tags a clip."""
    pack = _pack(work)
    clips = whole_clips(pack, np.arange(NUM_CLIPS))
    tags = np.sort(np.random.default_rng(3).integers(0, NUM_TAGS, (NUM_CLIPS, 3)).astype(np.int32))
    labels = ClipLabels(
        3 * np.arange(NUM_CLIPS + 1), tags.ravel(), np.ones(tags.size, np.float32),
        np.ones(NUM_CLIPS, np.float32), np.ones(NUM_TAGS, np.float32),
    )  # fmt: skip
    return Feed(
        pack=pack,
        excerpts=clips,
        targets=WeakLabels(labels, clips),
        order=partial(shuffled, NUM_CLIPS, 0),
        length_samples=SECONDS * RATE_HZ,
        batch_size=BATCH,
        augmentation=Augmentation(
            mixup_rate=0.5, frequency_masks=1, frequency_mask_bins=48, time_masks=1, time_mask_frames=192
        ),
        seed=0,
        names=pa.chunked_array([[str(number) for number in range(NUM_CLIPS)]]),
    )


def loader(work: Path) -> Callable[[], None]:
    """An epoch of training's batches of waveforms, on one core."""
    use_one_core()
    feed = mixing_feed(work)

    def epoch() -> None:
        for _ in feed.batches(0):
            pass

    return epoch


def loader_to_features(work: Path) -> Callable[[], None]:
    """An epoch of training's batches, made into masked features of 1056 frames, on one core."""
    use_one_core()
    feed, log_mel = mixing_feed(work), LogMel(PRESETS["psla"])

    def epoch() -> None:
        for batch in feed.batches(0):
            features, valid = log_mel(batch.waveform, batch.num_samples, 1056)
            apply_features(features, valid, batch.draws, log_mel.masked_value)

    return epoch


def _packing(kind: str, num_files: int, rate_hz: int, workers: int, work: Path) -> Callable[[], npt.NDArray[np.int16]]:
    """All files packed anew, as `earmark pack` does; gives the last one's waveform."""
    if workers == 1:
        use_one_core()
    folder = work / f"{kind}-packed-{rate_hz}-{workers}"
    dataset = Recordings(folder, recordings(work, kind, num_files, 44100))

    def pack() -> npt.NDArray[np.int16]:
        shutil.rmtree(folder / "packs", ignore_errors=True)
        made = open_pack(dataset, rate_hz, workers=workers, progress=lambda done, total: None, verify=True)
        return made.clip(num_files - 1)

    return pack


def _reading(kind: str, num_files: int, workers: int, work: Path) -> Callable[[], None]:
    """All files read as packing reads them, and thrown away."""
    if workers == 1:
        use_one_core()
    paths = recordings(work, kind, num_files, 44100)

    def read() -> None:
        for _ in mapped(lambda path: len(read_parts(path, 44100)), paths, workers):
            pass

    return read


packing_ogg = partial(_packing, "ogg", OGG_FILES, 44100, 1)
packing_ogg_2 = partial(_packing, "ogg", OGG_FILES, 44100, 2)
packing_flac = partial(_packing, "flac", FLAC_FILES, 44100, 1)
packing_flac_2 = partial(_packing, "flac", FLAC_FILES, 44100, 2)
packing_ogg_resampled = partial(_packing, "ogg", OGG_FILES, 16000, 1)
reading_ogg = partial(_reading, "ogg", OGG_FILES, 1)
reading_ogg_2 = partial(_reading, "ogg", OGG_FILES, 2)
reading_flac = partial(_reading, "flac", FLAC_FILES, 1)
reading_flac_2 = partial(_reading, "flac", FLAC_FILES, 2)
