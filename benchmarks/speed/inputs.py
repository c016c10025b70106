"""What rows are measured on: made up from a fixed seed, alike in every environment, which needs only numpy for it."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def tags_and_scores(
    num_clips: int, num_tags: int, share: float = 0.01
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Which clip has which tag, and scores that know something of it, both (clip, tag)."""
    draw = np.random.default_rng(0)
    truth = draw.random((num_clips, num_tags)) < share
    truth[0] = True  # every tag has a positive
    logits = draw.normal(size=truth.shape).astype(np.float32) + 2 * truth
    return truth, (1 / (1 + np.exp(-logits))).astype(np.float32)


def sound(num_clips: int, rate_hz: int, seconds: float = 10.0) -> npt.NDArray[np.int16]:
    """Clips of noise that is fainter towards high frequencies, as recordings are, and swells, int16 (clip, sample)."""
    num_samples = round(seconds * rate_hz)
    draw = np.random.default_rng(1)
    tilt = 1 / np.hypot(1, np.fft.rfftfreq(num_samples, 1 / rate_hz) / 500)
    swell = 1.2 + np.sin(2 * np.pi * np.arange(num_samples) / rate_hz)
    clips = np.empty((num_clips, num_samples), np.int16)
    for clip in clips:
        noise = np.fft.irfft(np.fft.rfft(draw.standard_normal(num_samples)) * tilt, num_samples) * swell
        clip[:] = np.rint(noise * (20_000 / np.abs(noise).max()))
    return clips


def recordings(work: Path, kind: str, num_files: int, rate_hz: int) -> list[Path]:
    """Files of 10 s of made-up sound, one channel: "wav", "flac" or "ogg", all 16-bit but Ogg; written if not there."""
    folder = work / f"{kind}-{num_files}-{rate_hz}"
    if not folder.exists():
        import soundfile

        aside = Path(tempfile.mkdtemp(dir=work))
        distinct = sound(min(num_files, 40), rate_hz)
        for number in range(num_files):
            clip = np.roll(distinct[number % len(distinct)], 1000 * number)
            with soundfile.SoundFile(aside / f"{number:04d}.{kind}", "w", rate_hz, 1) as file:
                for first in range(0, len(clip), rate_hz):  # libsndfile overruns its stack on long writes of Vorbis
                    file.write(clip[first : first + rate_hz])
        aside.rename(folder)
    return sorted(folder.iterdir())


def random_batches(num_clips: int, batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Batches of clips by number, every clip once in random order, again and again."""
    draw = np.random.default_rng(2)
    while True:
        order = draw.permutation(num_clips)
        for first in range(0, num_clips - batch_size + 1, batch_size):
            yield order[first : first + batch_size]


def features(num_clips: int, num_frames: int, num_mels: int) -> npt.NDArray[np.float32]:
    """Normalised features: noise around a spectrum that each clip has of its own, (clip, frame, mel)."""
    draw = np.random.default_rng(4)
    spectrum = draw.standard_normal((num_clips, 1, num_mels), np.float32)
    return spectrum + draw.standard_normal((num_clips, num_frames, num_mels), np.float32)


def fill(weights: Mapping[str, Any]) -> None:
    """Fills a network's state by name, torch tensors, with made-up weights under which values keep their size.

    They depend on the order, the size and the kind of what is filled, not on its name: the same network gets the same
    from whoever wrote it.
    """
    draw = np.random.default_rng(3)
    for name, tensor in weights.items():
        values = tensor.numpy()
        if values.ndim > 1:
            values[...] = draw.normal(0, np.sqrt(2 / np.prod(values.shape[1:])), values.shape)
        elif name.endswith("running_var"):
            values[...] = draw.uniform(0.5, 1.5, values.shape)
        elif name.endswith("weight"):
            values[...] = draw.uniform(0.5, 1.3, values.shape)
        elif name.endswith(("bias", "running_mean")):
            values[...] = draw.normal(0, 0.1, values.shape)


def use_one_core() -> None:
    """Keeps this process to one core, its threads and libraries' included."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
