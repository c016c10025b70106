"""AudioSet's lists of segments: `unbalanced_train_segments.csv` and `eval_segments.csv`, and the list of tags.

Three lines that begin with `#`, then `id, start, end, "mid,mid"`. A clip called `ID_MILLISECONDS` is that segment of
ID; any other clip is the segment of its own name from 0. Clips of validation are in a list of their own,
`validation_segments.csv`, because AudioSet has none and no other list may hold them. A tag without an id has its name
for one, with `_` for all but letters and digits. Audio is called `ID_SECONDS`, in a folder named after the list.
Source: https://research.google.com/audioset/download.html
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data.exporting.content import Content, in_shared_groups, losses
from earmark.data.exporting.file_names import clip_suffixes, safe_name
from earmark.data.exporting.placing import Audio, clip_files, cut_note
from earmark.data.exporting.summary import Written
from earmark.data.exporting.text_tables import as_seconds, milliseconds, plain_names
from earmark.data.vocabulary import Vocabulary
from earmark.errors import counted, first_few

LIST_OF = {
    "train": "unbalanced_train_segments",
    "validation": "validation_segments",
    "test": "eval_segments",
}
_SEGMENT = re.compile(r"(.+)_(0|[1-9][0-9]{0,11})", re.DOTALL)
# Cells are not quoted in this form, and a line that begins so is a remark or names the columns.
_NO_ID = re.compile(r'[\s,"]|^#|^YTID$')


def write(content: Content, audio: Audio) -> Written:
    """Writes the lists of the clips and places their audio; clips labelled none are left out."""
    unasked = int((content.column("labelled") == "none").sum())
    content = content.at(np.flatnonzero(content.column("labelled") != "none"))
    ids, start_ms = _segments(content.column("clip").tolist())
    lists = [LIST_OF[split or "train"] for split in content.column("split")]
    targets = [
        f"{name}/{id_}_{start}{suffix}"
        for name, id_, start, suffix in zip(lists, ids, as_seconds(start_ms), clip_suffixes(content), strict=True)
    ]
    placed, problems = audio.place(clip_files(content, targets))
    content = content.at(placed)
    id_, start_ms, list_of_clip = np.array(ids, object)[placed], start_ms[placed], np.array(lists, object)[placed]
    mids = _mids(content.dataset.vocabulary)
    _write_class_list(audio.folder / "class_labels_indices.csv", mids, content.dataset.vocabulary.tags)
    names = [name for name in LIST_OF.values() if (list_of_clip == name).any()]
    for name in names:
        here = np.flatnonzero(list_of_clip == name)
        _write_list(audio.folder / f"{name}.csv", content.at(here), id_[here], start_ms[here], mids)
    return Written(
        clips=content.num_clips,
        labels=len(content.tags_of_clips()[0]),
        events=0,
        tables=1 + len(names),
        files=content.num_clips,
        cut=content.num_stretches,
        problems=problems,
        losses=(*_losses(content, id_, unasked), *losses(content, {"split", "group", "tags", "ids"})),
        notes=(*_notes(content, id_, start_ms), *cut_note(content, audio)),
    )


def _segments(clips: Sequence[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Id and start in milliseconds of every clip, each pair once."""
    ids, starts, taken, tried = [], [], set(), dict[tuple[str, int], int]()
    for clip in clips:
        match = _SEGMENT.fullmatch(clip)
        stem, start = (match[1], int(match[2])) if match else (clip, 0)
        stem = _NO_ID.sub("_", safe_name(stem))
        free, number = stem, tried.get((stem, start), 1)
        while (free, start) in taken:
            number += 1
            free = f"{stem}_{number}"
        tried[stem, start] = number
        taken.add((free, start))
        ids.append(free)
        starts.append(start)
    return ids, np.array(starts, np.int64)


def _mids(vocabulary: Vocabulary) -> list[str]:
    """An id for every tag: its own, or its name without what a cell cannot hold."""
    if vocabulary.ids is not None:
        return plain_names(vocabulary.ids, r'[\s,"]', "_")
    return plain_names(vocabulary.tags, r"[\W_]+", "_")


def _write_class_list(path: Path, mids: Sequence[str], tags: Sequence[str]) -> None:
    quoted = ['"' + tag.replace('"', '""') + '"' for tag in tags]
    lines = [f"{index},{mid},{name}\n" for index, (mid, name) in enumerate(zip(mids, quoted, strict=True))]
    path.write_text("".join(["index,mid,display_name\n", *lines]), "utf-8", newline="\n")


def _write_list(
    path: Path,
    content: Content,
    ids: npt.NDArray[np.object_],
    start_ms: npt.NDArray[np.int64],
    mids: Sequence[str],
) -> None:
    clip, tag = content.tags_of_clips()
    end_ms = start_ms + np.maximum(1, milliseconds(content.duration_s))
    ends = np.searchsorted(clip, np.arange(content.num_clips + 1)).tolist()
    named = [mids[index] for index in tag]
    rows = zip(ids, as_seconds(start_ms), as_seconds(end_ms), ends[:-1], ends[1:], strict=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("# Segments csv created by earmark\n")
        file.write(
            f"# num_ytids={len(set(ids))}, num_segs={len(ids)}, num_unique_labels={len(np.unique(tag))}"
            f", num_positive_labels={len(tag)}\n"
        )
        file.write("# YTID, start_seconds, end_seconds, positive_labels\n")
        file.writelines(
            f'{id_}, {start}, {end}, "{",".join(named[first:last])}"\n' for id_, start, end, first, last in rows
        )


def _losses(content: Content, ids: npt.NDArray[np.object_], unasked: int) -> Iterator[str]:
    events = int(content.is_strong.sum())
    if events:
        yield f"times of {counted(events, 'event')}"
    strong = int((content.column("labelled") == "strong").sum())
    if strong:
        yield f"that {counted(strong, 'clip', 'are')} labelled strong: here all are labelled weak"
    if unasked:
        clips = counted(unasked, "clip")
        yield f"{clips} labelled none: left out, because a segment without tags counts as having none of them"
    _, of_id, count = np.unique(ids.astype(str), return_inverse=True, return_counts=True)
    shared = in_shared_groups(content) | (count[of_id] > 1)
    groups = int((shared & (content.column("group") != ids)).sum())
    if groups:
        yield f"group of {counted(groups, 'clip')}: here those of one id are one group"


def _notes(content: Content, ids: npt.NDArray[np.object_], start_ms: npt.NDArray[np.int64]) -> Iterator[str]:
    clips = content.column("clip")
    segments = (f"{id_}_{start}" for id_, start in zip(ids, start_ms, strict=True))
    changed = [f"{clip} is {segment}" for clip, segment in zip(clips, segments, strict=True) if clip != segment]
    if changed:
        yield f"{counted(len(changed), 'clip', 'are')} called otherwise than here: {first_few(changed, 2)}"
    split = content.column("split")
    no_split = sum(name is None for name in split)
    if no_split:
        yield f"{counted(no_split, 'clip')} without a split: in {LIST_OF['train']}.csv"
    validation = int((split == "validation").sum())
    if validation:
        validated = counted(validation, "clip")
        yield f"{validated} of validation: in {LIST_OF['validation']}.csv, a list that AudioSet does not have"
