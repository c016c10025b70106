"""A source in a published layout becomes a data set: read, every file looked at, written whole or not at all."""

import logging
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.data import layers
from earmark.data.audio.problems import AudioError, Problem
from earmark.data.audio.reading import inspect_audio
from earmark.data.dataset import Dataset, open_dataset, write_dataset
from earmark.data.formats import Imported, read_source
from earmark.data.import_summary import ImportSummary, summarise
from earmark.errors import InputError, first_few
from earmark.files import write_json
from earmark.progress import progress_bar

log = logging.getLogger(__name__)

FILES_A_TASK = 64
SHOWN_OF_A_KIND = 5


def import_dataset(
    source: Path | str,
    out: Path | str,
    format: str | None = None,  # noqa: A002 - the command's own word
    tables: str = "parquet",
    workers: int | None = None,
) -> ImportSummary:
    """Makes a data set folder of a source and says what came of it.

    Files that cannot be used are no rows of the clip table; `problems.csv` names each. A data set that is there already
    is replaced if it was imported from the same source. Its other label layers and its packs stay if the clips and the
    vocabulary have not changed; if they have, packs are dropped (they are a cache) and layers are a reason to refuse.

    Args:
        source: a folder or a table, see `formats`.
        out: the data set's folder.
        format: the layout's name; found out if left out.
        tables: "parquet" or "csv".
        workers: threads that look at files; two a core by default.

    Raises:
        InputError: the source has no layout that is known, a table of it does not hold, no file is usable, or `out` is
            taken.
    """
    source, out = Path(source), Path(out)
    old = _replaceable(source, out)
    layout, imported = read_source(source, format)
    looked = _look_at_files(imported, workers)
    if not looked.clips.num_rows:
        shown = first_few([f"{problem.path} ({problem.kind})" for problem in looked.problems])
        raise InputError(
            f"{source}: must name audio that can be read, none of {imported.clips.num_rows} files is usable: {shown}"
        )
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        dataset = _write(aside, out.resolve().name, source, imported, looked, tables)
        summary = replace(
            summarise(
                dataset,
                source=str(source),
                layout=layout,
                named=imported.clips.num_rows + sum(not problem.clip for problem in imported.problems),
                problems=looked.problems,
                notes=(*imported.notes, *_names_like_options(looked.clips)),
            ),
            folder=str(out),
        )
        write_json(aside / "dataset.json", {**dataset.about, "import": summary.as_dict()})
        if old is not None:
            _take_over(old, dataset)
        _put_in_place(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _log_left_out(looked.problems, out)
    return summary


@dataclass(frozen=True, eq=False)
class _Looked:
    """The usable clips with their durations, and every problem."""

    clips: pa.Table
    problems: list[Problem]


@dataclass(frozen=True)
class _File:
    """What was found of one recording; no duration if it is left out."""

    duration_s: float | None
    problems: Sequence[Problem]


def _write(aside: Path, name: str, source: Path, imported: Imported, looked: _Looked, tables: str) -> Dataset:
    """Writes the data set beside its place."""
    labels = imported.labels
    return write_dataset(
        aside,
        name=name,
        clips=looked.clips,
        labels=labels.filter(pc.is_in(labels["clip"], looked.clips["clip"])),
        vocabulary=imported.vocabulary,
        audio_root=imported.audio_root,
        source=source,
        problems=looked.problems,
        tables=tables,
    )


def _look_at_files(imported: Imported, workers: int | None) -> _Looked:
    """Looks at every recording once, in threads; the result has the order of the clip table."""
    clips = imported.clips
    hopeless = pa.array([problem.clip for problem in imported.problems if problem.outcome == "left out"], pa.string())
    clips = clips.filter(pc.invert(pc.is_in(clips["clip"], hopeless)))
    coded = clips["path"].combine_chunks().dictionary_encode()
    paths: list[str] = coded.dictionary.to_pylist()
    recording = np.asarray(coded.indices, dtype=np.int64)
    duration_s = np.full(len(paths), np.nan)
    found: dict[int, Sequence[Problem]] = {}
    with progress_bar(len(paths), "looking at files", "file") as bar:
        for index, file in enumerate(_inspected(imported.audio_root, paths, workers)):
            duration_s[index] = np.nan if file.duration_s is None else file.duration_s
            if file.problems:
                found[index] = file.problems
            bar.update(1)
    problems = list(imported.problems)
    for row in np.flatnonzero(np.isin(recording, np.fromiter(found, np.int64, len(found)))):
        clip = str(clips["clip"][int(row)])
        problems.extend(replace(problem, clip=clip) for problem in found[int(recording[row])])
    durations: npt.NDArray[np.float64] = duration_s[recording]
    place = clips.column_names.index("duration_s")
    usable = clips.set_column(place, "duration_s", pa.array(durations)).filter(pa.array(~np.isnan(durations)))
    return _Looked(usable, problems)


def _inspected(root: Path, paths: list[str], workers: int | None) -> Iterator[_File]:
    """What was found of every path, in their order; only so many are ahead that memory does not grow with the paths."""
    num_threads = workers or 2 * (os.cpu_count() or 1)
    tasks = (paths[first : first + FILES_A_TASK] for first in range(0, len(paths), FILES_A_TASK))
    with ThreadPoolExecutor(num_threads) as pool:
        ahead: deque[Future[list[_File]]] = deque(
            pool.submit(_inspect_some, root, task) for task in islice(tasks, 2 * num_threads)
        )
        while ahead:
            yield from ahead.popleft().result()
            ahead.extend(pool.submit(_inspect_some, root, task) for task in islice(tasks, 1))


def _inspect_some(root: Path, paths: list[str]) -> list[_File]:
    return [_inspect(root, path) for path in paths]


def _inspect(root: Path, path: str) -> _File:
    try:
        facts, problems = inspect_audio(root / path)
    except AudioError as error:
        return _File(None, [error.problem(path)])
    return _File(facts.duration_s, [replace(problem, path=path) for problem in problems])


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


def _take_over(old: Dataset, new: Dataset) -> None:
    """Brings the old data set's layers and packs into the new folder, if they still fit.

    Raises:
        InputError: there are layers and they do not fit any more.
    """
    more = old.layers()[1:]
    if old.digest != new.digest or old.vocabulary != new.vocabulary:
        if more:
            raise InputError(
                f"{old.folder}: the source's clips or tags have changed since label layers were made for them "
                f"({first_few(more)}); import into another folder"
            )
        return
    for name in more:
        for path in (layers.table_path(old.folder / "labels" / name), old.folder / "labels" / f"{name}.json"):
            shutil.copy2(path, new.folder / "labels" / path.name)
    if (old.folder / "packs").is_dir():
        # Linked, not moved: until the new folder is in place the old one must stay whole.
        shutil.copytree(old.folder / "packs", new.folder / "packs", copy_function=os.link)


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
