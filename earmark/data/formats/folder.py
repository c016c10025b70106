"""A folder of class folders: the name of the folder that a file lies in (however deep) is its tag.

ESC-10 is recognised: where all class folders are called like `001 - Dog bark` the number is no part of the tag, and
where besides all files are called like `1-100032-A.ogg` (fold, recording, take) folds and groups are read from them.
"""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from earmark.data.formats import psla_json
from earmark.data.formats.files import FoundFiles, find_audio
from earmark.data.formats.imported import Imported, clip_ids, weak_labels
from earmark.data.tables import CLIP_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, counted, first_few

_NUMBERED = re.compile(r"\d{3} - (.+)")
_ESC_FILE = re.compile(r"(\d+)-(\d+)-[A-Z]\.[^.]+")


def is_at(source: Path) -> bool:
    """Whether the source is a folder; the reader says whether there are class folders in it."""
    return source.is_dir()


def read(source: Path) -> Imported:
    """The clips of a folder of class folders, each with the one tag of its folder.

    Raises:
        InputError: no class folder holds audio; says what layout is expected.
    """
    if not source.is_dir():
        raise InputError(f"{source}: layout folder is a folder, found a file")
    described = next(iter(sorted(source.glob("*/metadata.[jp]*"))), None)
    if described is not None:
        raise InputError(
            f"{source}: must hold a folder for every tag, found {described.relative_to(source)}, as a Hugging Face "
            f"audiofolder has, whose folders are splits; make a CSV with the columns path,tags,split of it"
        )
    found = find_audio(source)
    paths = [path for path in found.audio if "/" in path]
    outside = len(found.audio) - len(paths)
    if not paths:
        raise InputError(_expected_layout(source, found))
    folders = [path.split("/", 1)[0] for path in paths]
    notes = list(found.notes())
    tag_of, numbered = _tags(sorted(set(folders)))
    if len(tag_of) == 1:
        notes.append(f"there is only one class folder, {folders[0]}: every clip has its tag")
    vocabulary = Vocabulary(tuple(sorted(set(tag_of.values()))))
    clip = pa.array(clip_ids(paths), pa.string())
    columns = {"clip": clip, "path": pa.array(paths, pa.string()), "group": pa.array(paths, pa.string())}
    columns["labelled"] = pa.array(["weak"] * len(paths), pa.string())
    if outside:
        notes.append(f"left out: audio files that lie in no class folder: {outside} (first: {_first_outside(found)})")
    names = [_ESC_FILE.fullmatch(path.rsplit("/", 1)[1]) for path in paths]
    if numbered:
        notes.append('tags are the names of the class folders without their numbers ("001 - ")')
    if numbered and all(names):
        columns["fold"] = pa.array([int(name[1]) for name in names if name], pa.int64())
        columns["group"] = pa.array([name[2] for name in names if name], pa.string())
        notes.append("folds and groups are read from the file names (fold-recording-take)")
    tags = np.array([vocabulary.index(tag_of[folder]) for folder in folders], np.int64)
    return Imported(
        clips=columns_or_null(len(paths), CLIP_SCHEMA, **columns),
        labels=weak_labels(clip, vocabulary, np.arange(len(paths)), tags),
        vocabulary=vocabulary,
        audio_root=source,
        notes=tuple(notes),
        problems=tuple(found.problems),
    )


def _tags(folders: list[str]) -> tuple[dict[str, str], bool]:
    """The tag of each class folder, and whether numbers were taken off."""
    matches = [_NUMBERED.fullmatch(folder) for folder in folders]
    stripped = [match[1] for match in matches if match]
    # Two folders of one name but for the number stay two tags.
    if len(set(stripped)) == len(folders):
        return dict(zip(folders, stripped, strict=True)), True
    return {folder: folder for folder in folders}, False


def _expected_layout(source: Path, found: FoundFiles) -> str:
    tables = sorted(path.name for path in source.glob("*.[ct]sv") if not path.name.startswith("."))
    there = f"{counted(len(found.audio), 'audio file')} in no folder" if found.audio else "no audio file"
    hint = f", such as {first_few(tables, 1)} there" if tables else ""
    lists = [path.name for path in sorted(source.glob("*.json")) if psla_json.is_at(path)]
    hint += f"; {lists[0]} is a list of files with labels: give it itself" if lists else ""
    return (
        f"{source}: must hold a folder for every tag with audio files in it (TAG/NAME.wav), found {there}"
        f"; or give a CSV with the columns path,tags{hint}"
    )


def _first_outside(found: FoundFiles) -> str:
    return next(path for path in found.audio if "/" not in path)
