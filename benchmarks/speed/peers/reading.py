"""How others keep waveforms and read them, how PSLA's code feeds training, and decoders alone."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import local
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import soundfile

from benchmarks.speed.inputs import random_batches, recordings, use_one_core
from benchmarks.speed.peers.features import MEAN, STD, import_torchaudio, torchaudio_kaldi_fbank

NUM_CLIPS = 640
BATCH = 32
SECONDS = 10
RATE_HZ = 16000
NUM_TAGS = 527
OGG_FILES, FLAC_FILES = 75, 150
SCALE = 32768


def psl_hdf5(work: Path) -> Callable[[], Any]:
    """PSL's layout: an int16 dataset a clip in a file that stays open; scaled as its code does; gives the last clip."""
    import torch

    store = h5py.File(_cached(_psl_file(work)))
    names = sorted(store)
    batches = random_batches(NUM_CLIPS, BATCH)

    def one(name: str) -> torch.Tensor:
        return torch.from_numpy((store[name][:] / 32768.0).astype(np.float32))

    return lambda: torch.stack([one(names[clip]) for clip in next(batches)])[-1]


def psl_hdf5_at_once(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """The same layout, scaled into a batch that is used again: what it could be read at."""
    store = h5py.File(_cached(_psl_file(work)))
    names = sorted(store)
    batches = random_batches(NUM_CLIPS, BATCH)
    waveform = np.empty((BATCH, SECONDS * RATE_HZ), np.float32)
    clip = np.empty(SECONDS * RATE_HZ, np.int16)

    def read() -> npt.NDArray[np.float32]:
        for row, number in zip(waveform, next(batches), strict=True):
            store[names[number]].read_direct(clip)
            np.multiply(clip, np.float32(1 / SCALE), out=row)
        return waveform[-1]

    return read


def panns_hdf5(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """PANNs' layout: one int16 dataset (clip, sample); its code opens the file for every clip."""
    path = work / "panns.h5"
    if not path.exists():
        with _aside(path) as store:
            rows = store.create_dataset("waveform", (NUM_CLIPS, SECONDS * RATE_HZ), np.int16)
            for number, recording in enumerate(recordings(work, "wav", NUM_CLIPS, RATE_HZ)):
                rows[number] = soundfile.read(recording, dtype="int16")[0]
    batches = random_batches(NUM_CLIPS, BATCH)
    _cached(path)

    def one(number: int) -> npt.NDArray[np.float32]:
        with h5py.File(path) as store:
            return (store["waveform"][number] / 32767.0).astype(np.float32)

    return lambda: np.stack([one(number) for number in next(batches)])[-1]


def _psl_file(work: Path) -> Path:
    path = work / "psl.h5"
    if not path.exists():
        with _aside(path) as store:
            for recording in recordings(work, "wav", NUM_CLIPS, RATE_HZ):
                store[recording.name] = soundfile.read(recording, dtype="int16")[0]
    return path


def _cached(path: Path) -> Path:
    """The same file, in the page cache."""
    path.read_bytes()
    return path


@contextmanager
def _aside(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file that takes its name when it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        aside = Path(folder) / path.name
        with h5py.File(aside, "w") as store:
            yield store
        aside.rename(path)


def psla_loader(work: Path) -> Callable[[], None]:
    """PSLA's data set in PyTorch's loader: by clip a file read, a second one for mixup, filter bank, masks, labels."""
    import torch

    use_one_core()
    torchaudio = import_torchaudio()
    fbank = torchaudio_kaldi_fbank()
    masks = torchaudio.transforms.FrequencyMasking(48), torchaudio.transforms.TimeMasking(192)
    paths = [_cached(path) for path in recordings(work, "wav", NUM_CLIPS, RATE_HZ)]
    draw = np.random.default_rng(3)
    tags = draw.integers(0, NUM_TAGS, (NUM_CLIPS, 3))

    def waveform_of(number: int) -> torch.Tensor:
        waveform = torch.from_numpy(soundfile.read(paths[number], dtype="float32", always_2d=True)[0].T)
        return waveform - waveform.mean()

    class Clips(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
        def __len__(self) -> int:
            return NUM_CLIPS

        def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
            waveform, labels = waveform_of(number), torch.zeros(NUM_TAGS)
            if draw.random() < 0.5:
                partner, share = draw.integers(NUM_CLIPS), draw.beta(10, 10)
                mixture = share * waveform + (1 - share) * waveform_of(partner)
                waveform = mixture - mixture.mean()
                labels[tags[number]] += share
                labels[tags[partner]] += 1 - share
            else:
                labels[tags[number]] = 1.0
            features = fbank(waveform)
            features = torch.nn.functional.pad(features, (0, 0, 0, 1056 - len(features))).T[None]
            for mask in masks:
                features = mask(features)
            return (features[0].T - MEAN) / STD, labels

    loader = iter(torch.utils.data.DataLoader(Clips(), BATCH, sampler=_Endless()))
    return lambda: (next(loader), None)[1]


class _Endless:
    """Clips in random order, again and again."""

    def __iter__(self) -> Iterator[int]:
        for batch in random_batches(NUM_CLIPS, BATCH):
            yield from batch.tolist()

    def __len__(self) -> int:
        return NUM_CLIPS


def _decoder(kind: str, num_files: int, threads: int, work: Path) -> Callable[[], npt.NDArray[np.float64]]:
    """All files decoded and thrown away; gives the last one's waveform in 16-bit units."""
    if threads == 1:
        use_one_core()
    paths = [_cached(path) for path in recordings(work, kind, num_files, 44100)]
    dtype = "float32" if kind == "ogg" else "int16"
    of_thread = local()

    def decode(path: Path) -> npt.NDArray[Any]:
        if not hasattr(of_thread, "buffer"):
            of_thread.buffer = np.empty(SECONDS * 44100, dtype)
        with soundfile.SoundFile(path) as file:
            return file.read(dtype=dtype, out=of_thread.buffer)

    def all_files() -> npt.NDArray[np.float64]:
        if threads == 1:
            last = [decode(path) for path in paths][-1]
        else:
            last = list(pool.map(decode, paths))[-1]
        return last * (SCALE if kind == "ogg" else 1.0)

    pool = ThreadPoolExecutor(threads)
    return all_files


decoder_ogg = partial(_decoder, "ogg", OGG_FILES, 1)
decoder_ogg_2 = partial(_decoder, "ogg", OGG_FILES, 2)
decoder_flac = partial(_decoder, "flac", FLAC_FILES, 1)
decoder_flac_2 = partial(_decoder, "flac", FLAC_FILES, 2)


def decoder_and_soxr(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """All Ogg files decoded and resampled to 16 kHz; gives the last one's waveform in 16-bit units."""
    import soxr

    use_one_core()
    paths = [_cached(path) for path in recordings(work, "ogg", OGG_FILES, 44100)]
    buffer = np.empty(SECONDS * 44100, np.float32)

    def all_files() -> npt.NDArray[np.float32]:
        for path in paths:
            with soundfile.SoundFile(path) as file:
                resampled = soxr.resample(file.read(out=buffer), 44100, RATE_HZ, quality="HQ")
        return resampled * np.float32(SCALE)

    return all_files
