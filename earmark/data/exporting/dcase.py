"""DCASE task 4, as DESED: `metadata/SPLIT/weak.tsv`, `strong.tsv`, `unlabelled.tsv`, and audio under the same names.

`filename event_labels` with commas between tags, `filename onset offset event_label` in seconds with milliseconds,
`filename` alone; a clip without events is a row with empty cells. `durations.tsv` holds `filename duration` of all
clips of a split. What annotators were asked for says in which table a clip is, and so what is written of it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.data.exporting.content import Content, losses
from earmark.data.exporting.file_names import clip_file_names, renamed_note
from earmark.data.exporting.placing import Audio, clip_files, cut_note
from earmark.data.exporting.summary import Written
from earmark.data.exporting.text_tables import (
    NO_COMMA,
    as_seconds,
    changed_names,
    finer_times,
    milliseconds,
    plain_names,
    whole_ms,
    write_rows,
)
from earmark.data.tables import CLIP_SPLITS
from earmark.errors import counted

# The table of clips by what annotators were asked for.
TABLE_OF = {"strong": "strong", "weak": "weak", "none": "unlabelled"}
NO_SPLIT = "train"

Names = npt.NDArray[np.object_]


def write(content: Content, audio: Audio) -> Written:
    """Writes the clips' tables and places their audio."""
    names = clip_file_names(content)
    splits = [split or NO_SPLIT for split in content.column("split")]
    tables = [TABLE_OF[labelled] for labelled in content.column("labelled")]
    targets = [f"audio/{split}/{table}/{name}" for split, table, name in zip(splits, tables, names, strict=True)]
    placed, problems = audio.place(clip_files(content, targets))
    content = content.at(placed)
    filename, split, table = (np.array(values, object)[placed] for values in (names, splits, tables))
    tags = plain_names(content.dataset.vocabulary.tags, *NO_COMMA)
    num_tables = 0
    for name in CLIP_SPLITS:
        here = np.flatnonzero(split == name)
        num_tables += _write_split(
            audio.folder / "metadata" / name, content.at(here), filename[here], table[here], tags
        )
    weak, strong = (content.at(np.flatnonzero(table == name)) for name in ("weak", "strong"))
    return Written(
        clips=content.num_clips,
        labels=len(weak.tags_of_clips()[0]),
        events=int(strong.is_strong.sum()),
        tables=num_tables,
        files=content.num_clips,
        cut=content.num_stretches,
        problems=problems,
        losses=(*_label_losses(content, table), *losses(content, {"split"}), *changed_names(content, tags)),
        notes=(*_notes(content, filename), *cut_note(content, audio)),
    )


def _write_split(folder: Path, content: Content, filename: Names, table: Names, tags: Sequence[str]) -> int:
    """Writes the tables of a split; says how many."""
    if not content.num_clips:
        return 0
    seconds = as_seconds(milliseconds(content.duration_s))
    write_rows(folder / "durations.tsv", [("filename", "duration"), *zip(filename, seconds, strict=True)], "\t")
    num_tables = 1
    for name, rows in (("strong", _strong_rows), ("weak", _weak_rows), ("unlabelled", _unlabelled_rows)):
        here = np.flatnonzero(table == name)
        if len(here):
            # One column shows no delimiter, so readers take the comma.
            delimiter = "," if name == "unlabelled" else "\t"
            write_rows(folder / f"{name}.tsv", rows(content.at(here), filename[here], tags), delimiter)
            num_tables += 1
    return num_tables


def _strong_rows(content: Content, filename: Names, tags: Sequence[str]) -> Iterator[Sequence[Any]]:
    """A row an event by clip and onset; one with empty cells for a clip without events."""
    said = content.statements.at(content.is_strong)
    silent = np.setdiff1d(np.arange(content.num_clips), said.clip_index)
    onset_ms, offset_ms = whole_ms(said.onset, said.offset)
    blank = [""] * len(silent)
    cells = [
        np.array([*texts, *blank], object)
        for texts in (as_seconds(onset_ms), as_seconds(offset_ms), [tags[index] for index in said.tag_index])
    ]
    clip = np.concatenate([said.clip_index, silent])
    order = np.lexsort((np.append(onset_ms, np.zeros(len(silent), np.int64)), clip))
    yield "filename", "onset", "offset", "event_label"
    yield from zip(filename[clip[order]], *(column[order] for column in cells), strict=True)


def _weak_rows(content: Content, filename: Names, tags: Sequence[str]) -> Iterator[Sequence[Any]]:
    """A row a clip, with all tags that it has."""
    clip, tag = content.tags_of_clips()
    ends = np.searchsorted(clip, np.arange(content.num_clips + 1)).tolist()
    named = [tags[index] for index in tag]
    yield "filename", "event_labels"
    for name, first, end in zip(filename, ends[:-1], ends[1:], strict=True):
        yield name, ",".join(named[first:end])


def _unlabelled_rows(content: Content, filename: Names, tags: Sequence[str]) -> Iterator[Sequence[Any]]:
    yield ("filename",)
    yield from zip(filename, strict=True)


def _label_losses(content: Content, table: Names) -> Iterator[str]:
    said, is_strong = content.statements, content.is_strong
    of = table[said.clip_index]
    timed = is_strong & (of == "weak")
    if timed.any():
        yield f"times of {counted(int(timed.sum()), 'event')} in clips labelled weak"
    untimed = ~is_strong & ~content.is_implied & (of == "strong")
    if untimed.any():
        yield f"{counted(int(untimed.sum()), 'label')} without times in clips labelled strong"
    unasked = int((of == "unlabelled").sum())
    if unasked:
        yield f"{counted(unasked, 'label')} of clips labelled none"
    yield from finer_times(said.at(is_strong & (of == "strong")))


def _notes(content: Content, filename: Names) -> Iterator[str]:
    yield from renamed_note(content.column("clip"), filename)
    no_split = int(sum(split is None for split in content.column("split")))
    if no_split:
        yield f"{counted(no_split, 'clip')} without a split: among {NO_SPLIT}"
