"""How time and memory grow with the number of clips: each size once, in a process of its own.

    python -m benchmarks.speed.scale --rows ontology,selection --sizes 1000,10000,100000,2000000

keeps a JSON file a row in `results/speed-scale/` and writes `results/speed-scale.md` of all that are there.
"""

import argparse
import itertools
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.naming import named_rows
from benchmarks.speed.contest import OURS, Contestant, start
from earmark.environment import machine_name, today
from earmark.errors import InputError
from earmark.files import read_json, write_json, write_text

RESULTS = Path(__file__).parents[1] / "results"
NAME = "speed-scale"
SIZES = (1_000, 10_000, 100_000)
AUDIOSET_CLIPS = 2_000_000
STRAIGHT = 1.15
"""Up to this exponent, between the two greatest sizes, time grows as the data does."""


@dataclass(frozen=True)
class Scaled:
    """Work that is measured at several sizes.

    Attributes:
        name: of the function in `ours/scaled.py`, and to ask for it by.
        title: of the table's row.
        holds: what its memory grows with.
        bends: why time grows faster than the data; shown where it does.
    """

    name: str
    title: str
    holds: str
    bends: str = ""


ROWS = (
    Scaled("packing", "packing clips of 1 s at 16 kHz from WAV, one thread", "the clip table"),
    Scaled("loading", "an epoch of batches of clips of 1 s, half of them mixed", "pages of the packs, mapped"),
    Scaled("chunks_stored", "PSL: soft labels of 5 chunks a clip stored", "the table of chunks"),
    Scaled("chunks_read", "PSL: an epoch of targets of random batches of chunks", "the table of chunks"),
    Scaled("chunks_covered", "PSL: tags of chunks beside their clips' labels", "the table of chunks"),
    Scaled("enhanced", "PSLA: labels enhanced by ontology and scores", "pages of the scores, mapped; the tables"),
    Scaled("selected", "staged training: an epoch of clips kept or dropped", "a few numbers a clip, and every drop"),
    Scaled("frames_labelled", "class-frame labels of a round, 156 frames x 10 tags", "all scores of frames"),
    Scaled("ap_auc", "AP and ROC AUC, 527 tags", "truth and scores"),
    Scaled("lwlrap", "lwlrap, 527 tags", "truth and scores"),
    Scaled(
        "bootstrap",
        "mAP of 1,000 resamples, 80 tags",
        "truth, scores and their ranking",
        "resamples are drawn in blocks of 48 MB, fewer at a time the more clips there are, and every block walks along "
        "all positives",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures rows at their sizes and writes the table; `SCALE=smoke` runs two rows in no time, and keeps nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.scale", description=__doc__)
    parser.add_argument("--rows", help="names of rows, with commas; default: all")
    parser.add_argument("--sizes", help="numbers of clips, with commas; those measured before are kept beside")
    parser.add_argument("--work", type=Path, help="where made-up files are kept; default: a folder that goes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where rows and the table are kept")
    chosen = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(dir=chosen.work) as folder:
            if os.environ.get("SCALE") == "smoke":
                measure(ROWS[2:4], (20, 40), Path(folder), Path(folder) / "results")
                print("smoke: it runs; it claims nothing")
            else:
                sizes = tuple(map(int, chosen.sizes.split(","))) if chosen.sizes else SIZES
                rows = named_rows(ROWS, chosen.rows.split(","), "speed.scale") if chosen.rows else ROWS
                measure(rows, sizes, Path(folder), chosen.results)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def measure(rows: Sequence[Scaled], sizes: Sequence[int], work: Path, results: Path) -> None:
    """Measures rows at sizes, keeps each and writes the table; what a size needed on disk goes before the next."""
    for size in sizes:
        folder = work / str(size)
        folder.mkdir()
        for row in rows:
            found = measured(row, folder)
            memory = f"{found['own_mb']} MB and {found['mapped_mb']} MB of files"
            print(f"{row.name:16} {size:9,d}  {found['seconds']:.3g} s  {memory}", flush=True)
            path = results / NAME / f"{row.name}.json"
            kept = read_json(path)["sizes"] if path.exists() else {}
            write_json(path, {"row": row.name, "sizes": {**kept, str(size): found}})
            write_table(results)
        shutil.rmtree(folder)


def measured(row: Scaled, folder: Path) -> dict[str, Any]:
    """One row at the size that its folder is named by: seconds, CPU's seconds, its own memory, pages of files."""
    contestant = Contestant(row.name, f"benchmarks.speed.ours.scaled:{row.name}", 1, OURS)
    # A first process makes the files, whose memory is none of the work's.
    first = start(contestant, Path(sys.executable), folder, 1).process
    first.kill()
    first.wait()
    worker = start(contestant, Path(sys.executable), folder, 1)
    try:
        took = worker.ask("run 1")
        mapped_mb, peak_mb = _memory_mb(worker.process.pid)
    finally:
        worker.process.kill()
        worker.process.wait()
    return {
        "seconds": round(took["seconds"], 4),
        "cpu_seconds": round(took["cpu_seconds"], 4),
        "own_mb": peak_mb - mapped_mb,
        "mapped_mb": mapped_mb,
        "date": today(),
        "machine": machine_name(torch.device("cpu")),
    }


def _memory_mb(process: int) -> tuple[int, int]:
    """Pages of files that a process holds, and the most memory that it ever held, these among it."""
    told = dict(line.split(":") for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines())
    mapped, most = (round(int(told[name].split()[0]) * 1024 / 1e6) for name in ("RssFile", "VmHWM"))
    return mapped, most


NOTE = """\
Made by `python -m benchmarks.speed.scale`; made-up audio, labels and scores, one thread, each size once in a process
of its own. **Exponents** stand between neighbouring sizes, of the processor's seconds: 1 where ten times the clips
cost ten times as much, less where what every call needs weighs more. **AudioSet's 2.0 M** is reckoned, on the
straight line through the two sizes below; where time is none, it goes on at the last exponent. Memory is the most
that the process ever held, some 200 MB for torch included where it is used; apart from it, at the end, **pages of
files** (libraries' too), which the system takes back when it needs to."""
RECKONED = "AudioSet's 2.0 M"


def write_table(results: Path) -> None:
    """Writes the table of all rows; those that were not run say so."""
    records = {row.name: _sizes(results / NAME / f"{row.name}.json") for row in ROWS}
    sizes = sorted({size for record in records.values() for size in record})
    lines = ["# How cost grows with the data", "", NOTE, "", "## Time, s", ""]
    lines += _head(["work", *(f"{size:,}" for size in sizes), "exponents", RECKONED])
    for row in ROWS:
        found = records[row.name]
        exponents = ", ".join(f"{exponent:.2f}" for exponent in _exponents(found))
        lines.append(_line(row.title, *_cells(found, sizes, "seconds"), exponents, _at_audioset(found, "seconds")))
    bent = [row for row in ROWS if _is_bent(records[row.name])]
    reasons = [f"- {row.title}: no straight line, {row.bends or 'nobody knows why yet'}." for row in bent]
    lines += ["", *reasons] if reasons else []
    lines += ["", "## Memory, MB", ""]
    lines += _head(["work", *(f"{size:,}" for size in sizes), RECKONED, "pages of files", "it holds"])
    for row in ROWS:
        found = records[row.name]
        pages = f"{found[max(found)]['mapped_mb']:,}" if found else ""
        lines.append(_line(row.title, *_cells(found, sizes, "own_mb"), _at_audioset(found, "own_mb"), pages, row.holds))
    every = [one for record in records.values() for one in record.values()]
    dates, machines = (sorted({one[key] for one in every}) for key in ("date", "machine"))
    if every:
        lines += ["", f"Run {' to '.join(dict.fromkeys((dates[0], dates[-1])))} on {'; '.join(machines)}."]
    write_text(results / f"{NAME}.md", "\n".join(lines) + "\n")


def _sizes(path: Path) -> dict[int, dict[str, Any]]:
    """What a row's file holds, by size."""
    return {int(size): found for size, found in read_json(path)["sizes"].items()} if path.exists() else {}


def _cells(record: Mapping[int, Mapping[str, Any]], sizes: Sequence[int], key: str) -> list[str]:
    """A row's numbers by size."""
    if not record:
        return ["not measured", *[""] * (len(sizes) - 1)]
    return [_number(record[size][key]) if size in record else "" for size in sizes]


def _number(value: float) -> str:
    """Three digits that count, all those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _exponents(record: Mapping[int, Mapping[str, Any]]) -> list[float]:
    """How the processor's time grows between neighbouring sizes."""
    return [
        math.log(record[more]["cpu_seconds"] / record[less]["cpu_seconds"]) / math.log(more / less)
        for less, more in itertools.pairwise(sorted(record))
    ]


def _is_bent(record: Mapping[int, Mapping[str, Any]]) -> bool:
    """Whether time grows faster than the data at the end."""
    return max(_exponents(record)[-1:], default=0.0) > STRAIGHT


def _at_audioset(record: Mapping[int, Mapping[str, Any]], key: str) -> str:
    """What AudioSet's number of clips would come to, from the two greatest sizes below it."""
    below = {size: record[size] for size in sorted(record) if size < AUDIOSET_CLIPS}
    if len(below) < 2:
        return ""
    (less, before), (more, last) = [(size, found[key]) for size, found in below.items()][-2:]
    if key == "seconds" and _is_bent(below):
        return _number(last * (AUDIOSET_CLIPS / more) ** _exponents(below)[-1])
    return _number(last + (last - before) / (more - less) * (AUDIOSET_CLIPS - more))


def _head(names: Sequence[str]) -> list[str]:
    return [_line(*names), f"|---{'|---:' * (len(names) - 1)}|"]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
