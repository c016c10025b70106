"""A clip to look at and to listen to, as a figure: log-mel, sound and labelled events, with curves above them."""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from earmark.data.audio.problems import AudioError
from earmark.data.audio.reading import Int16Array, read_audio
from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.statements import Statements, events_of
from earmark.errors import InputError, did_you_mean
from earmark.features import PRESETS, LogMel
from earmark.figures import ClipFigure, Event, Series
from earmark.timing import seconds_from_samples

FRONT_END = PRESETS["psl"]
RATE_HZ = FRONT_END.rate_hz
MOST_FRAMES = 600
"""Columns of a picture; a page shows it some 500 wide."""

RANGE_DB = 80.0
MOST_AUDIO_S = 120.0
"""A longer clip has a picture only: a page holds its sounds itself, and should open on a phone."""

_FLOOR_DB = 10 * math.log10(FRONT_END.power_floor)


def clip_figure(
    dataset: Dataset,
    row: int,
    waveform: Int16Array,
    *,
    title: str,
    caption: str,
    alt: str,
    curves: Sequence[Series] = (),
    threshold: float | None = None,
    estimated: Sequence[Event] = (),
    reference: Sequence[Event] | None = None,
    layer: str = GIVEN,
) -> ClipFigure:
    """The figure of a clip.

    Args:
        row: of the clip table.
        waveform: the clip's, as `clip_waveform` gives it.
        curves: scores over the clip's seconds.
        threshold: the score from which a tag is there, drawn as a line.
        estimated: events that a model found.
        reference: events to hold them against; None: the strong labels of the layer.

    Raises:
        InputError: there is no such layer.
    """
    duration_s = seconds_from_samples(len(waveform), RATE_HZ)
    heard = duration_s <= MOST_AUDIO_S
    return ClipFigure(
        title=title,
        caption=caption if heard else f"{caption} Without its sound, which is longer than {MOST_AUDIO_S:g} s.",
        alt=alt,
        clip=str(dataset.clips["clip"][row]),
        duration_s=duration_s,
        log_mel=log_mel_picture(waveform).tolist(),
        curves=list(curves),
        threshold=threshold,
        reference=labelled_events(dataset, row, layer) if reference is None else list(reference),
        estimated=list(estimated),
        audio=mp3_base64(waveform) if heard else None,
    )


def clip_row(dataset: Dataset, name: str) -> int:
    """The row of the clip table that a clip's name stands in.

    Raises:
        InputError: there is no such clip.
    """
    found = np.flatnonzero(dataset.column("clip") == name)
    if not len(found):
        known = dataset.clips["clip"].to_pylist()
        raise InputError(f'{dataset.folder}: there is no clip "{name}"{did_you_mean(name, known)}')
    return int(found[0])


def clip_waveform(dataset: Dataset, row: int) -> Int16Array:
    """A clip at 16 kHz, int16 (sample,), from its recording: no pack is made for the sake of one clip.

    Raises:
        InputError: the recording cannot be read.
    """
    path = dataset.audio_path(row)
    ends = [dataset.clips[name][row].as_py() for name in ("onset", "offset")]
    try:
        return read_audio(path, RATE_HZ, *ends)[0]
    except AudioError as error:
        raise InputError(f"{path}: the clip cannot be shown, {error}") from error


def labelled_events(dataset: Dataset, row: int, layer: str = GIVEN) -> list[Event]:
    """The strong labels of a clip that are in force after a layer, value at least .5, by tag and onset."""
    return events_to_draw(dataset.statements(layer).of_clip(row), dataset.vocabulary.tags)


def events_to_draw(labels: Statements, tags: Sequence[str]) -> list[Event]:
    """The events among some labels, value at least .5, in their order."""
    events = events_of(labels)
    return [
        Event(tag=tags[tag], onset=float(onset), offset=float(offset))
        for tag, onset, offset in zip(events.tag_index, events.onset, events.offset, strict=True)
    ]


def steps(label: str, onset_s: npt.NDArray[Any], offset_s: npt.NDArray[Any], scores: npt.NDArray[Any]) -> Series:
    """Scores of stretches of a clip as a curve: a level from the onset of each, seconds (stretch,), to its offset."""
    ends_s = np.stack([onset_s, offset_s], axis=1)
    return Series(label=label, x=ends_s.ravel().tolist(), y=np.repeat(scores, 2).tolist())


def log_mel_picture(waveform: Int16Array) -> npt.NDArray[np.uint8]:
    """The log-mel of a waveform at 16 kHz as grey levels, (mel, frame), the lowest mel first; at most 600 frames.

    255 is the loudest cell and 0 whatever is 80 dB or more under it; digital silence is 0. Neighbouring frames of a
    long clip are put together by their mean power, so that a click stays to be seen.

    >>> log_mel_picture(np.zeros(16000, np.int16)).shape, int(log_mel_picture(np.zeros(16000, np.int16)).max())
    ((64, 101), 0)
    """
    features, _ = LogMel(FRONT_END)(torch.from_numpy(np.array(waveform[None])))
    power = 10 ** (features[0].double().numpy() / 10)
    width = -(-len(power) // MOST_FRAMES)
    firsts = np.arange(0, len(power), width)
    together = np.add.reduceat(power, firsts) / np.diff(firsts, append=len(power))[:, None]
    level_db = 10 * np.log10(together)
    top_db = max(float(level_db.max()), _FLOOR_DB + RANGE_DB)
    levels = np.rint((level_db - top_db + RANGE_DB) * (255 / RANGE_DB))
    picture: npt.NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8).T
    return picture


def mp3_base64(waveform: Int16Array) -> str:
    """A waveform at 16 kHz as MP3 in base64, as a page holds it.

    Every browser plays MP3. Older Safaris play nothing in Ogg, and Chromium 150 stops at digital silence in Vorbis.
    """
    written = io.BytesIO()
    soundfile.write(written, waveform, RATE_HZ, format="MP3")
    return base64.b64encode(written.getvalue()).decode("ascii")
