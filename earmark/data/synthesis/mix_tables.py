"""The tables of a mixed data set: its clips, its events, and what each was made from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.dataset import Dataset
from earmark.data.synthesis.mix_settings import MixSettings
from earmark.data.synthesis.soundscape import Soundscape
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, SPLITS, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.timing import samples_from_seconds, seconds_from_samples

LABEL_SOURCE = "given"
TIMES = ("source_onset", "source_offset", "onset", "offset")

SOURCE_SCHEMA = pa.schema(
    {
        "clip": pa.string(),
        "kind": pa.string(),
        "tag": pa.string(),
        "source_clip": pa.string(),
        "source_group": pa.string(),
        **dict.fromkeys(TIMES, pa.float64()),
        "snr_db": pa.float64(),
        "gain": pa.float64(),
        "clip_gain": pa.float64(),
    }
)


def clip_table(soundscapes: Sequence[Soundscape], settings: MixSettings) -> pa.Table:
    """The clip table: every soundscape is a group of its own, and all that sounds in it is labelled."""
    clips = [made.clip for made in soundscapes]
    num_samples = samples_from_seconds(settings.clip_s, settings.rate_hz)
    return columns_or_null(
        len(clips),
        CLIP_SCHEMA,
        clip=pa.array(clips),
        path=pa.array([f"audio/{clip}.flac" for clip in clips]),
        split=pa.array([SPLITS[made.split] for made in soundscapes]),
        group=pa.array(clips),
        labelled=pa.repeat("strong", len(clips)),
        duration_s=pa.repeat(seconds_from_samples(num_samples, settings.rate_hz), len(clips)),
    )


def label_table(soundscapes: Sequence[Soundscape], vocabulary: Vocabulary, rate_hz: int) -> pa.Table:
    """The label table: a row an event."""
    events = np.concatenate([made.events for made in soundscapes])
    clip = np.repeat(np.arange(len(soundscapes)), [len(made.events) for made in soundscapes])
    return columns_or_null(
        len(events),
        LABEL_SCHEMA,
        clip=pa.array([made.clip for made in soundscapes]).take(pa.array(clip)),
        tag=vocabulary.array().take(pa.array(events[:, 0])),
        onset=pa.array(events[:, 1] / rate_hz),
        offset=pa.array(events[:, 2] / rate_hz),
        value=pa.array(np.ones(len(events), np.float32)),
        source=pa.repeat(LABEL_SOURCE, len(events)),
    )


def source_table(
    soundscapes: Sequence[Soundscape], dataset: Dataset, backgrounds: Dataset | None, rate_hz: int
) -> pa.Table:
    """The table of sources: a row for every term of every soundscape's sum.

    `kind` is event, background (a stretch of a recording) or pink (noise: no source). `source_onset` and
    `source_offset` are seconds in the source clip, `onset` and `offset` in the soundscape; with the margins that the
    fades lie in, so an event's label may begin later and end earlier. `gain` holds `clip_gain`, which is below 1 where
    the sum would have clipped.
    """
    placed = [term for made in soundscapes for term in made.placed]
    kind = np.array([term.kind for term in placed])
    row = np.array([term.row for term in placed], np.int64)
    columns = {
        "clip": pa.array([made.clip for made in soundscapes for _ in made.placed], pa.string()),
        "kind": pa.array(kind, pa.string()),
        "tag": _taken(dataset.vocabulary.array(), np.array([term.tag_index for term in placed], np.int64)),
        "snr_db": pa.array([term.snr_db for term in placed], pa.float64(), from_pandas=True),
        "gain": pa.array([term.gain for term in placed], pa.float64()),
        "clip_gain": pa.array([made.clip_gain for made in soundscapes for _ in made.placed], pa.float64()),
    }
    for name in TIMES:
        columns[name] = pa.array([getattr(term, name) / rate_hz for term in placed], pa.float64())
    for name in ("clip", "group"):
        of_sound = _taken(dataset.clips[name], np.where(kind == "event", row, -1))
        behind = pa.nulls(len(placed), pa.string())
        if backgrounds is not None:
            behind = _taken(backgrounds.clips[name], np.where(kind == "background", row, -1))
        columns[f"source_{name}"] = pc.coalesce(of_sound, behind)
    return columns_or_null(len(placed), SOURCE_SCHEMA, **columns)


def _taken(column: pa.Array | pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> pa.Array | pa.ChunkedArray:
    """The values of some rows, null where the row is -1."""
    return column.take(pa.array(rows, mask=rows < 0))
