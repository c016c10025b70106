"""DESED and the other data of DCASE task 4: `metadata/` holds tables, `audio/` the files that they name.

A table is known by its columns: `filename onset offset event_label` (strong), `filename event_labels` (weak, with
commas between tags), `filename` alone (labelled none), `filename duration` (its clips of which the tables beside it say
nothing are without events). Cells have tabs between, also in the files of 2019, which are called `.csv`. A clip without
events is a row with empty cells. The folder that a table lies in, or its name, says the split: `train/weak.tsv`,
`validation/validation.tsv`, `eval/public.tsv` (test).

Recorded clips are called Y, YouTube id, start, end: the same name in a split is the same clip, wherever its file lies.
Soundscapes are called by numbers (`10.wav`), anew in every set, so theirs may not lie in the folder of another table.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import Problem, problem_of
from earmark.data.formats.beside import Tally
from earmark.data.formats.desed_tables import (
    DURATIONS,
    TAG_COLUMNS,
    Table,
    kind_of,
    likely_tables,
    root_of,
    tables_at,
)
from earmark.data.formats.files import AudioByName
from earmark.data.formats.imported import Imported, clip_ids, given_labels, shown, without_suffix
from earmark.data.table_files import CSV_SUFFIXES, as_mask
from earmark.data.tables import CLIP_SCHEMA, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError, counted, first_few

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# Of a clip that tables of several kinds name, the first kind counts; durations are looked at last.
KINDS = ("strong", "weak", "none", DURATIONS)
_RECORDED = re.compile(r"Y([\w-]{11})_\d+(?:\.\d+)?_\d+(?:\.\d+)?")


def is_at(source: Path) -> bool:
    """Whether the source is a table with weak or strong labels of this layout, or a folder with one where they lie."""
    if source.is_file():
        return source.suffix.lower() in CSV_SUFFIXES and kind_of(source) in ("strong", "weak")
    return source.is_dir() and any(kind_of(path) in ("strong", "weak") for path in likely_tables(source))


def read(source: Path) -> Imported:
    """The clips that the tables name, labelled strong, weak or none as the kind of their table is.

    Raises:
        InputError: there is no table of this layout, or a row of one does not hold; with file and line.
    """
    root = root_of(source)
    tables, unread = tables_at(source, root)
    if not tables:
        raise InputError(
            f"{source}: must hold tables with the columns filename,onset,offset,event_label or filename,event_labels"
            f", found {f'others: {first_few(unread)}' if unread else 'none'}"
        )
    audio = AudioByName(root)
    clips = _Clips(audio, tables)
    for table in sorted(tables, key=lambda table: KINDS.index(table.kind)):
        clips.add(table)
    tally, outvoted = Tally(root), set[str]()
    parts = [part for table in tables if (part := _labels(table, clips, tally, outvoted)) is not None]
    tag = pa.chunked_array([part.tag for part in parts], pa.string())
    vocabulary = Vocabulary(tuple(sorted(pc.unique(tag).to_pylist())))
    lost = sorted(outvoted.difference(vocabulary))
    if lost:
        tally.add("tags that stand in such rows of weak tables only, left out", lost[0], len(lost))
    clip = pa.array(clips.ids(), pa.string())
    rows = np.concatenate([np.zeros(0, np.int64), *(part.clip_row for part in parts)])
    times_s = np.concatenate([np.zeros((2, 0)), *(part.times_s for part in parts)], axis=1)
    tag_index = np.asarray(pc.index_in(tag, vocabulary.array()), dtype=np.int64)
    return Imported(
        clips=clips.table(clip),
        labels=given_labels(clip, vocabulary, rows, tag_index, *times_s),
        vocabulary=vocabulary,
        audio_root=root,
        notes=(
            *_notes(tables, unread, clips),
            *tally.notes(),
            *audio.found.unnamed_note([*clips.paths, *clips.fitting]),
        ),
        problems=(*audio.found.problems, *clips.problems(clip)),
    )


@dataclass
class _Clips:
    """Every clip that the tables name, a row each, and which row each name of a table has."""

    audio: AudioByName
    tables: Sequence[Table]
    names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    ambiguous: dict[int, list[str]] = field(default_factory=dict)
    fitting: set[str] = field(default_factory=set)
    rows: dict[Table, IntArray] = field(default_factory=dict)
    _row: dict[tuple[str | None, str], int] = field(default_factory=dict)
    _in_folder: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, table: Table) -> None:
        """Gives every name of a table its row: a new one, or that of the same clip in an earlier table.

        All files that the name may mean go into `fitting`, also where the clip has another one already.
        """
        of = table.partners(self.tables) if table.kind == DURATIONS else [table]
        kind = min((partner.kind for partner in of), key=KINDS.index, default="none")
        own = [folder for partner in of for folder in partner.audio_folders]
        others = {folder for other in self.tables if other not in of for folder in other.audio_folders} - set(own)
        rows = []
        for name in table.names:
            known = self._in_folder.get((table.folder, name)) if table.kind == DURATIONS else None
            row = self._row_of(table, name, kind, self._fitting(name, own, others)) if known is None else known
            self._in_folder.setdefault((table.folder, name), row)
            rows.append(row)
        self.rows[table] = np.array(rows, np.int64)

    def _row_of(self, table: Table, name: str, kind: str, fitting: Sequence[str]) -> int:
        path = fitting[0] if len(fitting) == 1 else name
        if _RECORDED.match(posixpath.basename(name)):
            key = (table.split, posixpath.basename(name))
        else:
            key = (table.split, path) if len(fitting) == 1 else (f"{table.folder}/", name)
        row = self._row.setdefault(key, len(self.names))
        if row == len(self.names):
            self.names.append(name)
            self.paths.append(path)
            self.places.append(table.place)
            self.splits.append(table.split)
            self.labelled.append(kind)
            if len(fitting) > 1:
                self.ambiguous[row] = list(fitting)
        return row

    def _fitting(self, name: str, own: Sequence[str], others: Collection[str]) -> list[str]:
        """The files that a name may mean: in the table's own folders, else anywhere that is no other table's."""
        base = posixpath.basename(name)
        found = self.audio.paths(base, *own) or self.audio.paths(without_suffix(base), *own)
        if base != name:
            found = [path for path in found if f"/{path}".endswith(f"/{name}")] or found
        is_own = any(_lies_in(found[:1], folder) for folder in own)
        if not is_own and not _RECORDED.match(base):
            found = [path for path in found if not any(_lies_in([path], folder) for folder in others)]
        self.fitting.update(found)
        # Wherever else they lie, recorded clips called alike are the same recording.
        return found if is_own or not _RECORDED.match(base) else found[:1]

    def ids(self) -> list[str]:
        """The file name without suffix, where several clips have it after the place of its table."""
        count = Counter(without_suffix(name) for name in self.names)
        return clip_ids(
            [
                name if count[without_suffix(name)] == 1 else f"{place}/{name}"
                for name, place in zip(self.names, self.places, strict=True)
            ]
        )

    def table(self, clip: pa.Array) -> pa.Table:
        """The clip table."""
        recorded = [_RECORDED.match(posixpath.basename(name)) for name in self.names]
        group = [match[1] if match else name for match, name in zip(recorded, clip.to_pylist(), strict=True)]
        return columns_or_null(
            len(clip),
            CLIP_SCHEMA,
            clip=clip,
            path=pa.array(self.paths, pa.string()),
            split=pa.array(self.splits, pa.string()),
            group=pa.array(group, pa.string()),
            labelled=pa.array(self.labelled, pa.string()),
        )

    def problems(self, clip: pa.Array) -> Iterator[Problem]:
        """The clips whose file is not clear."""
        for row, fitting in self.ambiguous.items():
            detail = f"{len(fitting)} files are called so: {first_few(fitting)}"
            yield problem_of("unclear", self.paths[row], clip[row].as_py(), detail)


@dataclass(frozen=True, eq=False)
class _Labels:
    """What a table says: clip rows, tags, (onset, offset) in seconds or NaN, (statement,), (2, statement)."""

    clip_row: IntArray
    tag: pa.Array
    times_s: FloatArray


def _labels(table: Table, clips: _Clips, tally: Tally, outvoted: set[str]) -> _Labels | None:
    """What a table says of its clips; tags of weak rows that do not count go into `outvoted`."""
    if table.kind not in ("strong", "weak"):
        return None
    row = clips.rows[table][table.name_of_row]
    labels = _strong(table, row, tally) if table.kind == "strong" else _weak(table, row)
    if table.kind == "strong":
        return labels
    is_strong = np.array([kind == "strong" for kind in clips.labelled], np.bool_)
    both = [clips.names[row] for row in clips.rows[table] if is_strong[row]]
    if both:
        tally.add("clips in a weak and in a strong table of one split: the strong labels count", both[0], len(both))
    kept = ~is_strong[labels.clip_row]
    outvoted.update(pc.unique(labels.tag.filter(pa.array(~kept))).to_pylist())
    return _Labels(labels.clip_row[kept], labels.tag.filter(pa.array(kept)), labels.times_s[:, kept])


def _strong(table: Table, row: IntArray, tally: Tally) -> _Labels:
    file = table.file
    tag = file.text(next(name for name in TAG_COLUMNS if file.has(name)))
    onset, offset = file.numbers("onset"), file.numbers("offset")
    given = np.stack([as_mask(column.is_valid()) for column in (onset, offset, tag)])
    file.refuse(
        given.any(0) & ~given.all(0),
        lambda row: (
            f"onset, offset and event_label must all be given or all be empty, got "
            f"onset {shown(onset, row)}, offset {shown(offset, row)}, event_label {shown(tag, row)}"
        ),
    )
    file.refuse(pc.less(onset, 0), lambda row: f"onset must be 0 or later, got {onset[row]}")
    times_s = np.stack([np.asarray(pc.fill_null(column, np.nan), dtype=np.float64) for column in (onset, offset)])
    lasts = times_s[1] > times_s[0]
    short = np.flatnonzero(given.all(0) & ~lasts)
    if len(short):
        place = tally.place(file.path, file.places([int(short[0])])[0])
        tally.add("left out: events whose offset is not after their onset", place, len(short))
    text = pc.utf8_trim_whitespace(tag.combine_chunks())
    return _Labels(row[lasts], text.filter(pa.array(lasts)), times_s[:, lasts])


def _weak(table: Table, row: IntArray) -> _Labels:
    cells = table.file.text(next(name for name in TAG_COLUMNS if table.file.has(name)))
    lists = pc.split_pattern(pc.fill_null(cells, ""), ",").combine_chunks()
    tag = pc.utf8_trim_whitespace(lists.flatten())
    given = pc.not_equal(tag, "")
    cell = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)[as_mask(given)]
    return _Labels(row[cell], tag.filter(given), np.full((2, len(cell)), np.nan))


def _notes(tables: Sequence[Table], unread: Sequence[str], clips: _Clips) -> Iterator[str]:
    for table in tables:
        split = f"split {table.split}" if table.split else "no split"
        yield f"read {table.place}: {table.kind}, {split}, {counted(len(table.names), 'file')}"
    if unread:
        yield f"tables not read, because their columns are not of this layout: {len(unread)} ({first_few(unread)})"
    yield "split: from the folder or the name of a table (eval, test and public are test)"


def _lies_in(paths: Sequence[str], folder: str) -> bool:
    return any(f"/{folder}/" in f"/{path}" for path in paths)
