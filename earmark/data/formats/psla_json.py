"""A JSON list of audio files and their tags, as PSLA and AST read it: `{"data": [{"wav": PATH, "labels": "mid,mid"}]}`.

`class_labels_indices.csv`, in the folder of the JSON or the one above, names the mids. Paths are often absolute and of
another machine. Source: https://github.com/YuanGongND/psla
"""

import json
import os
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import Problem, problem_of
from earmark.data.formats.audioset_tags import (
    CLASS_LIST,
    file_text,
    names_notes,
    ontology_names,
    places_of,
    read_class_list,
    split_mids,
    unknown_tags_note,
    vocabulary_of,
)
from earmark.data.formats.files import AudioByName
from earmark.data.formats.imported import (
    Imported,
    clip_ids,
    names_in_cell,
    split_of_name,
    weak_labels,
    without_common_folder,
    without_suffix,
)
from earmark.data.tables import CLIP_SCHEMA, IntArray, columns_or_null, repeats
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, counted, first_few

_HEAD_BYTES = 64 << 10
_MID = r"^/[a-z]/[0-9a-z_]+$"


def is_at(source: Path) -> bool:
    """Whether the source is a JSON file that speaks of `data` and `wav` near its start."""
    if source.suffix.lower() != ".json" or not source.is_file():
        return False
    try:
        with source.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b'"data"' in head and b'"wav"' in head


def read(source: Path) -> Imported:
    """The files that a JSON list names, as weakly labelled clips; all of one split if the list's name tells it.

    Raises:
        InputError: the source is not such a list, or an entry does not hold.
    """
    if source.is_dir():
        raise InputError(f"{source}: layout psla-json is a file, found a folder")
    wavs, cells, unread = _read_entries(source)
    again, first = repeats([np.asarray(pa.array(wavs, pa.string()).dictionary_encode().indices, dtype=np.int64)])
    rows = np.flatnonzero(~again)
    wavs = [wavs[row] for row in rows]
    said = _read_tags(source.parent, cells)
    clips = clip_ids(without_common_folder(wavs))
    audio = _locate(source.parent, wavs, clips)
    clip, path = pa.array(clips, pa.string()), pa.array(audio.paths, pa.string())
    split = split_of_name(source.stem)
    return Imported(
        clips=columns_or_null(
            len(clip),
            CLIP_SCHEMA,
            clip=clip,
            path=path,
            group=path,
            split=pa.array([split] * len(clip), pa.string()),
            labelled=pa.repeat("weak", len(clip)),
        ),
        labels=weak_labels(clip, said.vocabulary, np.searchsorted(rows, first)[said.entry], said.tag),
        vocabulary=said.vocabulary,
        audio_root=source.parent,
        notes=(
            f"split {split}, which the list's name tells" if split else "no split: the list's name tells none",
            *said.notes,
            *([f"{again.sum()} entries name a file again; its tags are joined"] if again.any() else []),
            *([f"keys not read: {first_few(unread)}"] if unread else []),
            *audio.notes,
        ),
        problems=tuple(audio.problems),
    )


def _read_entries(path: Path) -> tuple[list[str], pa.Array, list[str]]:
    """The paths of a list, their cells of labels, and what else entries tell."""
    try:
        content = json.loads(file_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: must be JSON, found something else ({error.msg.lower()})") from error
    entries = content.get("data") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(
            f'{path}: must be like {{"data": [{{"wav": PATH, "labels": "mid,mid"}}]}}, found no list "data"'
        )
    bad = [place for place, entry in enumerate(entries, start=1) if not _holds(entry)]
    if bad:
        found = json.dumps(entries[bad[0] - 1], ensure_ascii=False)[:80]
        raise InputError(
            f'{path}: every entry of "data" must have a path "wav" and a text "labels", found {found}; '
            f"so in {len(bad)} of {len(entries)} entries (number {first_few(bad)}, counted from 1)"
        )
    wavs = [posixpath.normpath(entry["wav"]) for entry in entries]
    cells = pa.array([entry["labels"] for entry in entries], pa.string())
    return wavs, cells, sorted(set().union(*entries) - {"wav", "labels"})


def _holds(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    wav, labels = entry.get("wav"), entry.get("labels")
    return isinstance(wav, str) and bool(wav.strip()) and isinstance(labels, str)


@dataclass(frozen=True, eq=False)
class _Tags:
    """What the cells of labels say: tag `tag[i]` of entry `entry[i]`."""

    vocabulary: Vocabulary
    entry: IntArray
    tag: IntArray
    notes: Sequence[str]


def _read_tags(folder: Path, cells: pa.Array) -> _Tags:
    """The tags in cells of mids, or of names, with `,` between them."""
    entry, label = split_mids(cells)
    class_list = next((place / CLASS_LIST for place in _near(folder) if (place / CLASS_LIST).is_file()), None)
    if class_list is not None:
        names = read_class_list(class_list)
        vocabulary = vocabulary_of(names)
        entry, label = _with_commas(cells, entry, label, [*names, *vocabulary.tags])
        tag = places_of(label, list(names))
        tag = np.where(tag < 0, places_of(label, vocabulary.tags), tag)
        notes = [*names_notes(vocabulary, names, class_list), *unknown_tags_note(label, tag)]
    elif len(label) and pc.all(pc.match_substring_regex(label, _MID)).as_py():
        names = ontology_names(label)
        vocabulary = vocabulary_of(names)
        tag = places_of(label, list(names))
        notes = list(names_notes(vocabulary, names, None))
    else:
        vocabulary = Vocabulary(tuple(sorted(pc.unique(label).to_pylist())))
        tag = places_of(label, vocabulary.tags)
        notes = [f"no {CLASS_LIST} beside the list: labels are taken as names of tags, separated by commas"]
    without = len(cells) - len(np.unique(entry))
    if without:
        notes.append(f"{without} entries name no tag: their clips count as having none of the tags")
    return _Tags(vocabulary, entry[tag >= 0], tag[tag >= 0], notes)


def _near(folder: Path) -> tuple[Path, Path]:
    """The folder and the one above, where PSLA keeps the class list of all its lists."""
    return folder, Path(os.path.normpath(folder / ".."))


def _with_commas(cells: pa.Array, entry: IntArray, label: pa.Array, known: Sequence[str]) -> tuple[IntArray, pa.Array]:
    """The labels and their entries, once more for cells of which a piece is not known: a name may hold a comma."""
    cut = np.unique(entry[places_of(label, known) < 0])
    names = set(known)
    whole = [names_in_cell(cell, ",", names) for cell in cells.take(pa.array(cut)).to_pylist()]
    kept = ~np.isin(entry, cut)
    again = pa.array([name for labels in whole for name in labels], pa.string())
    entry = np.append(entry[kept], np.repeat(cut, [len(labels) for labels in whole]))
    return entry, pa.concat_arrays([label.filter(pa.array(kept)), again])


@dataclass(frozen=True)
class _Located:
    """Where the files are, in their order, why some are nowhere, and what should be said of it."""

    paths: list[str]
    problems: list[Problem]
    notes: list[str]


def _locate(folder: Path, wavs: Sequence[str], clips: Sequence[str]) -> _Located:
    """The file of every path: where the path says, from the list's folder on, else found beneath it by its name."""
    beneath = f"{folder.absolute()}/"
    paths = [wav.removeprefix(beneath) for wav in wavs]
    lost = [row for row, wav in enumerate(wavs) if not os.path.lexists(folder / wav)]
    if not lost:
        return _Located(paths, [], [])
    audio = AudioByName(folder)
    problems, fitting = list(audio.found.problems), {row: _called_alike(audio, wavs[row]) for row in lost}
    takers = Counter(path for row, path in enumerate(paths) if row not in fitting)
    takers.update(found[0] for found in fitting.values() if len(found) == 1)
    for row, found in fitting.items():
        if len(found) == 1 and takers[found[0]] == 1:
            paths[row] = found[0]
        elif found:
            files, entries = first_few(found), takers[found[0]]
            detail = (
                f"{len(found)} files are called so: {files}" if len(found) > 1 else f"{entries} entries fit {files}"
            )
            problems.append(problem_of("unclear", wavs[row], clips[row], detail))
    by_name = sum(paths[row] != wavs[row] for row in lost)
    files = counted(by_name, "file", "are")
    notes = [f"{files} not where the list says and found by name"] if by_name else []
    return _Located(paths, problems, [*notes, *audio.found.unnamed_note(paths)])


def _called_alike(audio: AudioByName, wav: str) -> list[str]:
    """The files of a path's name, with its suffix or another; of several those in the most alike folder."""
    name, parts = posixpath.basename(wav), posixpath.dirname(wav).strip("/").split("/")
    name = name if audio.paths(name) else without_suffix(name)
    found = audio.paths(name)
    if len(found) < 2:
        return found
    return audio.paths(name, *("/".join(parts[start:]) for start in range(len(parts))))
