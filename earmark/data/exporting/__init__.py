"""A data set written in a published layout, whole or not at all, and what the layout cannot hold, counted."""

from collections.abc import Callable
from pathlib import Path

from earmark.data import layers
from earmark.data.dataset import Dataset
from earmark.data.exporting import audacity, audioset, dcase, hf, raven
from earmark.data.exporting.content import Content, content_of
from earmark.data.exporting.placing import AUDIO_WORDS, Audio
from earmark.data.exporting.summary import ExportSummary, Written, by_kind
from earmark.errors import InputError, did_you_mean
from earmark.files import new_folder

__all__ = ["EXPORTS", "ExportSummary", "export_dataset"]

EXPORTS: dict[str, Callable[[Content, Audio], Written]] = {
    "dcase": dcase.write,
    "audioset": audioset.write,
    "audacity": audacity.write,
    "raven": raven.write,
    "hf": hf.write,
}


def export_dataset(
    dataset: Dataset, layout: str, out: Path | str, layer: str = layers.GIVEN, audio: str = "link"
) -> ExportSummary:
    """Writes a data set's clips and labels in a layout and says what came of it.

    Labels of value .5 and more are written. A clip that is a stretch of a recording is cut from it where the layout has
    a file a clip. Clips whose audio cannot be used are left out and named.

    Args:
        layout: a key of `EXPORTS`.
        out: a folder that is not there yet, or empty.
        layer: the labels in force after this layer.
        audio: how whole recordings are placed: "link", "copy", or "none" (tables only).

    Raises:
        InputError: there is no such layout, layer or way to place audio, `out` is taken, or no clip is usable.
    """
    out = Path(out)
    if layout not in EXPORTS:
        raise InputError(f'unknown layout "{layout}"{did_you_mean(layout, EXPORTS)}')
    if audio not in AUDIO_WORDS:
        raise InputError(f'audio must be one of {", ".join(AUDIO_WORDS)}, got "{audio}"')
    with new_folder(out) as aside:
        content, unusable, lost_values = content_of(dataset, layer)
        written = EXPORTS[layout](content, Audio(audio, dataset.audio_root, aside))
        problems = [*unusable, *written.problems]
        left_out, first_left_out = by_kind(problems)
        if not written.clips:
            shown = ", ".join(f"{kind} ({first_left_out[kind]})" for kind in left_out) or "there are none to write"
            raise InputError(f"{dataset.folder}: must have clips that {layout} can hold: {shown}")
    return ExportSummary(
        folder=str(out),
        layout=layout,
        dataset=str(dataset.folder),
        layer=layer,
        audio=audio,
        clips=written.clips,
        labels=written.labels,
        events=written.events,
        tables=written.tables,
        files=written.files,
        cut=written.cut,
        left_out=left_out,
        losses=(*lost_values, *written.losses),
        notes=tuple(written.notes),
        first_left_out=first_left_out,
    )
