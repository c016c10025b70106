"""Small data sets with audio, made row by row."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile

from earmark.data.dataset import write_dataset
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA
from earmark.data.vocabulary import Vocabulary

RATE_HZ = 8000


def sound(path, seconds):
    """A recording in which every sample tells where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (np.arange(round(seconds * RATE_HZ)) % 32000).astype(np.int16), RATE_HZ, format="WAV")


def dataset_of(folder: Path, clips, labels=(), tags=("Cat", "Dog"), ids=None, audio=True, **more):
    """A data set of clips (rows as dicts, `clip` at least) and labels (clip, tag[, onset, offset[, value]])."""
    rows = []
    for clip in clips:
        row = {"path": f"{clip['clip']}.wav", "labelled": "weak", "duration_s": 1.0, **clip}
        if audio and not Path(row["path"]).is_absolute():
            sound(folder / "audio" / row["path"], row["duration_s"])
        rows.append(row)
    said = [dict(zip(LABEL_SCHEMA.names, (*label, None, None), strict=False)) for label in labels]
    for row, label in zip(said, labels, strict=True):
        row |= {"value": label[4] if len(label) == 5 else 1.0, "source": "given"}
    return write_dataset(
        folder / "set",
        name="set",
        clips=pa.Table.from_pylist(rows, schema=CLIP_SCHEMA),
        labels=pa.Table.from_pylist(said, schema=LABEL_SCHEMA),
        vocabulary=Vocabulary(tuple(tags), ids),
        audio_root=folder / "audio",
        **more,
    )


def files_of(folder: Path):
    """The paths of all files beneath a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
