"""The published layouts that data sets come in, one module each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from earmark.data.csv_files import column_names
from earmark.data.formats import (
    audacity,
    audioset,
    audioset_strong,
    csv_list,
    desed,
    esc50,
    folder,
    fsd50k,
    fsdkaggle,
    psla_json,
    raven,
)
from earmark.data.formats.imported import Imported
from earmark.data.table_files import CSV_SUFFIXES
from earmark.errors import InputError, did_you_mean, first_few

__all__ = ["FORMATS", "Format", "Imported", "find_format", "formats_at", "read_source"]


@dataclass(frozen=True)
class Format:
    """A layout.

    Attributes:
        is_at: whether a source (a folder or a file that is there) looks like it, by names and header lines alone.
        read: what a source in this layout says; raises InputError where it does not hold.
        looks_like: what its source is, in a few words for messages and help.
    """

    is_at: Callable[[Path], bool]
    read: Callable[[Path], Imported]
    looks_like: str


# In the order in which they are looked for: what is more particular comes first.
FORMATS: dict[str, Format] = {
    "audioset-strong": Format(audioset_strong.is_at, audioset_strong.read, "AudioSet's audioset_train_strong.tsv"),
    "audioset": Format(audioset.is_at, audioset.read, "AudioSet's eval_segments.csv"),
    "fsd50k": Format(fsd50k.is_at, fsd50k.read, "FSD50K's dev.csv and eval.csv"),
    "fsdkaggle2018": Format(fsdkaggle.is_at_2018, fsdkaggle.read_2018, "FSDKaggle2018's train_post_competition.csv"),
    "fsdkaggle2019": Format(fsdkaggle.is_at_2019, fsdkaggle.read_2019, "FSDKaggle2019's train_curated.csv"),
    "esc50": Format(esc50.is_at, esc50.read, "ESC-50's meta/esc50.csv"),
    "desed": Format(desed.is_at, desed.read, "DESED's metadata/train/weak.tsv"),
    "psla-json": Format(psla_json.is_at, psla_json.read, 'a JSON list {"data": [{"wav", "labels"}]}'),
    "raven": Format(raven.is_at, raven.read, "Raven selection tables beside recordings"),
    "audacity": Format(audacity.is_at, audacity.read, "Audacity label tracks beside recordings"),
    "csv": Format(csv_list.is_at, csv_list.read, "a CSV with the columns path,tags"),
    "folder": Format(folder.is_at, folder.read, "a folder of class folders"),
}


def find_format(source: Path) -> str:
    """The name of the layout that a source has.

    Raises:
        InputError: there is no such source, or it has no layout that is known.
    """
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    found = next(formats_at(source), None)
    if found is not None:
        return found
    if source.suffix.lower() in CSV_SUFFIXES:
        names = column_names(source)
        raise InputError(
            f"{source}:1: no known layout has these columns: {first_few(names, 12)}"
            f"; a list of files has the columns path,tags{csv_list.nearest_columns(names)}"
        )
    known = "; ".join(f"{name}: {layout.looks_like}" for name, layout in FORMATS.items())
    raise InputError(f"{source}: no known layout; known are {known}")


def formats_at(source: Path) -> Iterator[str]:
    """The names of all layouts that a source looks like, the most particular first."""
    return (name for name, layout in FORMATS.items() if layout.is_at(source))


def read_source(source: Path, format_name: str | None = None) -> tuple[str, Imported]:
    """The layout's name and what its reader found; the layout is found out if it is not given."""
    name = find_format(source) if format_name is None else format_name
    if name not in FORMATS:
        raise InputError(f'unknown layout "{name}"{did_you_mean(name, FORMATS)}')
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    return name, FORMATS[name].read(source)
