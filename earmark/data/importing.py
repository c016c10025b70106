"""A source in a published layout becomes a data set: read, every file looked at, written whole or not at all."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data.audio.problems import Problem, problem_of
from earmark.data.cutting import Cut, check_cut, cut_clips, end_events
from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.duplicates import first_of_same
from earmark.data.formats import Imported, formats_at, read_source
from earmark.data.import_summary import ImportSummary, Named, summarise
from earmark.data.inspection import inspect_recordings
from earmark.data.reimport import take_over
from earmark.data.tables import HEADER_SLACK_S
from earmark.errors import InputError, counted, first_few
from earmark.files import folder_aside, write_json

log = logging.getLogger(__name__)

IntArray = npt.NDArray[np.int64]

SHOWN_OF_A_KIND = 5


def import_dataset(
    source: Path | str,
    out: Path | str,
    format: str | None = None,  # noqa: A002 - the command's own word
    tables: str = "parquet",
    workers: int | None = None,
    clip_s: float | None = None,
    hop_s: float | None = None,
) -> ImportSummary:
    """Makes a data set folder of a source and says what came of it.

    Files that cannot be used are no rows of the clip table; `problems.csv` names each. A data set that is there already
    is replaced if it was imported from the same source. Its other label layers and its packs stay if the clips and the
    vocabulary have not changed; if they have, packs are dropped (they are a cache) and layers are a reason to refuse,
    as they are if the labels have changed that they were made for.

    Args:
        source: a folder or a table, see `formats`.
        out: the data set's folder.
        format: the layout's name; found out if left out.
        tables: "parquet" or "csv".
        workers: threads that look at files; two a core by default.
        clip_s, hop_s: longer clips are cut into clips of this length, one beginning every hop, see `cutting`.

    Raises:
        InputError: the source has no layout that is known, a table of it does not hold, no file is usable, or `out` is
            taken.
    """
    check_cut(clip_s, hop_s)
    source, out = Path(source), Path(out)
    old = _replaceable(source, out)
    layout, imported = read_source(source, format)
    if not imported.clips.num_rows:
        raise InputError(f"{source}: names no clips (read as {layout}): its tables have no rows")
    looked = _look_at_files(imported, workers)
    _check_any_usable(source, imported, looked, layout if format is None else None)
    named = imported.clips.num_rows + sum(not problem.clip for problem in imported.problems)
    made = _cut(looked.clips, imported.labels, clip_s, hop_s)
    # What the source says beside its usable clips is held no longer: it may be gigabytes.
    imported = replace(imported, clips=made.clips, labels=made.labels)
    with folder_aside(out) as aside:
        dataset = _write(aside, out.resolve().name, source, imported, looked.problems, tables)
        summary = summarise(
            dataset,
            Named(
                source=str(source),
                layout=layout,
                folder=str(out),
                clips=named,
                usable=looked.clips.num_rows,
                clip_s=clip_s,
                hop_s=hop_s,
                events=made.labels.num_rows - made.labels["onset"].null_count,
                notes=(*imported.notes, *made.notes, *_names_like_options(looked.clips)),
            ),
            looked.problems,
            looked.duplicate_of,
        )
        write_json(aside / "dataset.json", {**dataset.about, "import": summary.as_dict()})
        if old is not None:
            take_over(old, dataset)
        _put_in_place(aside, out)
    _log_left_out(looked.problems, out)
    return summary


def _check_any_usable(source: Path, imported: Imported, looked: "_Looked", layout: str | None) -> None:
    """Raises InputError unless a clip is usable; `layout` is the one that was found by looking, if it was."""
    if looked.clips.num_rows:
        return
    shown = first_few([f"{problem.path} ({problem.kind})" for problem in looked.problems])
    others = [f"--format {name}" for name in formats_at(source) if name != layout]
    may_be = f"; it may also be read with {' or '.join(others)}" if others else ""
    raise InputError(
        f"{source}: must name audio that can be read, of {counted(imported.clips.num_rows, 'file')} none is usable: "
        f"{shown}{f'; the layout {layout} was found by looking{may_be}' if layout else ''}"
    )


def _cut(clips: pa.Table, labels: pa.Table, clip_s: float | None, hop_s: float | None) -> Cut:
    """The usable clips and their labels: events end with their clips, and long clips are cut where that was asked."""
    labels, notes = end_events(clips, _those(labels, pc.is_in(labels["clip"], clips["clip"])))
    if clip_s is None:
        return Cut(clips, labels, tuple(notes))
    cut = cut_clips(clips, labels, clip_s, hop_s)
    return replace(cut, notes=(*notes, *cut.notes))


def _write(
    aside: Path, name: str, source: Path, imported: Imported, problems: Sequence[Problem], tables: str
) -> Dataset:
    """Writes the data set beside its place."""
    return write_dataset(
        aside,
        name=name,
        clips=imported.clips,
        labels=imported.labels,
        vocabulary=imported.vocabulary,
        audio_root=imported.audio_root,
        source=source,
        not_annotated=imported.not_annotated,
        problems=problems,
        tables=tables,
    )


@dataclass(frozen=True, eq=False)
class _Looked:
    """What is left when every recording was looked at.

    Attributes:
        clips: the usable ones, with durations.
        problems: all, each with the name that its clip has before it is cut.
        duplicate_of: the first recording with the same bytes, for every later one.
    """

    clips: pa.Table
    problems: list[Problem]
    duplicate_of: dict[str, str]


def _look_at_files(imported: Imported, workers: int | None) -> _Looked:
    """Looks at every recording once; the result has the order of the clip table."""
    clips = imported.clips
    hopeless = pa.array([problem.clip for problem in imported.problems if problem.outcome == "left out"], pa.string())
    clips = _those(clips, pc.invert(pc.is_in(clips["clip"], hopeless)))
    coded = clips["path"].combine_chunks().dictionary_encode()
    paths: list[str] = coded.dictionary.to_pylist()
    recording = np.asarray(coded.indices, dtype=np.int64)
    found = inspect_recordings(imported.audio_root, paths, workers)
    first = first_of_same(imported.audio_root, paths, found, workers)
    later = np.flatnonzero(first != np.arange(len(paths)))
    duplicate_of = {paths[index]: paths[first[index]] for index in later}
    duplicates = [
        problem_of("duplicate", path, detail=f"the same bytes as {earlier}") for path, earlier in duplicate_of.items()
    ]
    place = np.concatenate([found.place, later])
    problems = _for_every_clip(clips["clip"], recording, place, [*found.problems, *duplicates])
    duration_s = found.duration_s[recording]
    clips = clips.set_column(clips.column_names.index("duration_s"), "duration_s", pa.array(duration_s))
    clips, outside = _within_recordings(_those(clips, pa.array(~np.isnan(duration_s))))
    return _Looked(clips, [*imported.problems, *problems, *outside], duplicate_of)


def _for_every_clip(
    clip: pa.ChunkedArray, recording: IntArray, place: IntArray, problems: Sequence[Problem]
) -> list[Problem]:
    """The problems of recordings, each once for every clip of the recording, by clip.

    Args:
        recording: the one that each clip lies in, (clip,).
        place: the one that each problem is of, (problem,).
    """
    order = np.argsort(place, kind="stable")
    low, high = (np.searchsorted(place[order], recording, side=side) for side in ("left", "right"))
    rows = np.repeat(np.arange(len(recording)), high - low)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(high - low) - high, high - low)
    named = clip.take(pa.array(rows)).to_pylist()
    return [
        Problem(problem.path, name, problem.kind, problem.outcome, problem.detail)
        for name, problem in zip(named, (problems[index] for index in order[nth]), strict=True)
    ]


def _within_recordings(clips: pa.Table) -> tuple[pa.Table, list[Problem]]:
    """The clips without those that begin after the end of their recording, and a problem for each of these."""
    is_outside = pc.fill_null(pc.greater(clips["onset"], pc.add(clips["duration_s"], HEADER_SLACK_S)), False)
    outside = clips.filter(is_outside).select(["path", "clip", "onset", "duration_s"]).to_pylist()
    problems = [
        problem_of(
            "outside recording",
            row["path"],
            row["clip"],
            f"onset {row['onset']:.2f} s, the recording lasts {row['duration_s']:.2f} s",
        )
        for row in outside
    ]
    return _those(clips, pc.invert(is_outside)), problems


def _those(table: pa.Table, mask: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows where the mask holds; no copy where all do."""
    return table if pc.all(mask).as_py() else table.filter(mask)


def _names_like_options(clips: pa.Table) -> list[str]:
    """A note on file names that begin with a hyphen, which commands take for options."""
    alike = clips["path"].filter(pc.match_substring_regex(clips["path"], "(^|/)-[^/]*$"))
    if not len(alike):
        return []
    names = first_few(alike.to_pylist())
    return [f"{len(alike)} file names begin with a hyphen, and are used like any other: {names}"]


def _replaceable(source: Path, out: Path) -> Dataset | None:
    """The data set that is at `out` already, if it may be replaced.

    Raises:
        InputError: something else is there.
    """
    _undo_half_replaced(out)
    if not out.exists() and not out.is_symlink():
        return None
    if not (out / "dataset.json").is_file():
        if out.is_dir() and not any(out.iterdir()):
            return None
        raise InputError(f"{out}: something else is there already; choose another folder")
    old = open_dataset(out)
    was = old.about.get("source")
    if was is None or (out.resolve() / was).resolve() != source.resolve():
        raise InputError(f"{out}: holds a data set made from {was}, not from {source}; choose another folder")
    return old


def _put_in_place(aside: Path, out: Path) -> None:
    """Gives the folder its name; what was there under that name is gone afterwards, never half-way."""
    if not out.exists():
        aside.rename(out)
        return
    old = _old_place(out)
    out.rename(old)
    aside.rename(out)
    shutil.rmtree(old)


def _undo_half_replaced(out: Path) -> None:
    """Puts back, or clears away, the old folder that an import killed while replacing it left behind."""
    old = _old_place(out)
    if old.exists() and out.exists():
        shutil.rmtree(old)
    elif old.exists():
        old.rename(out)


def _old_place(out: Path) -> Path:
    return out.with_name(f".{out.name}.old")


def _log_left_out(problems: Sequence[Problem], out: Path) -> None:
    """Names the files that are left out, of each kind the first few."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.outcome == "left out":
            kinds.setdefault(problem.kind, []).append(problem)
    for kind, of_kind in kinds.items():
        for problem in of_kind[:SHOWN_OF_A_KIND]:
            log.warning("left out: %s: %s (%s)", problem.path, kind, problem.detail)
        if len(of_kind) > SHOWN_OF_A_KIND:
            log.warning("left out: %d more: %s; all in %s", len(of_kind) - SHOWN_OF_A_KIND, kind, out / "problems.csv")
