"""How long an import of AudioSet's size takes, and how much memory: made-up tables, one tiny recording a row.

    python benchmarks/import_scale.py --rows 2000000 --dir /tmp/scale

writes a tree in AudioSet's layout (or, with --layout csv, a list of path,tags), imports it, takes 99 % of the
recordings away and imports it again, both in processes of their own. Prints JSON, writes
`results/import_scale.md` beside itself, and removes what it made.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "import_scale.md"
NUM_TAGS = 527
NUM_FOLDERS = 1000
MOST_TAGS = 4
KEPT_SHARE = 0.01
LETTERS = np.frombuffer(b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz", np.uint8)
# The steps of an import, by the functions that take them.
STAGES = {
    "read_source": "read tables, find files by name",
    "inspect_recordings": "look at files",
    "first_of_same": "find duplicates",
    "end_events": "end events with clips",
    "write_dataset": "write and check tables",
    "summarise": "summarise",
}


def main() -> None:
    """Makes the tree, measures both imports and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dir", type=Path, required=True, help="a folder to make; each recording takes 4 KB there")
    parser.add_argument("--layout", choices=("audioset", "csv"), default="audioset")
    parser.add_argument("--note", default="", help="printed with the table: what else the machine was doing, say")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    source = asked.dir / "source" / ("list.csv" if asked.layout == "csv" else "")
    if asked.measure:
        print(json.dumps(measure(source, asked.dir / "sounds", asked.layout)))
        return
    asked.dir.mkdir(parents=True)
    try:
        print("writing the tree", file=sys.stderr)
        write_tree(asked.dir / "source", asked.rows, asked.layout)
        measured = {"all recordings there": measured_apart(asked)}
        take_away(asked.dir / "source" / "audio")
        measured["99 % missing"] = measured_apart(asked)
    finally:
        shutil.rmtree(asked.dir)
    print(json.dumps(measured, indent=2))
    report(measured, asked.rows, asked.note)


def write_tree(folder: Path, num_rows: int, layout: str) -> None:
    """Tables and recordings; every recording has its number as its samples, so none is like another."""
    draw = np.random.default_rng(0)
    ids = LETTERS[draw.integers(0, len(LETTERS), (num_rows, 11))].tobytes().decode()
    names = [ids[11 * row : 11 * row + 11] for row in range(num_rows)]
    tags = (NUM_TAGS * draw.random((num_rows, MOST_TAGS)) ** 3).astype(int).tolist()
    num_tags = draw.integers(1, MOST_TAGS + 1, num_rows).tolist()
    folder.mkdir()
    places = [f"audio/{row % NUM_FOLDERS:03}/Y{name}.wav" for row, name in enumerate(names)]
    if layout == "csv":
        with (folder / "list.csv").open("w") as file:
            file.write("path,tags\n")
            for place, of_row, count in zip(places, tags, num_tags, strict=True):
                file.write(f"{place},{';'.join(f'Made-up tag {tag}' for tag in of_row[:count])}\n")
    else:
        write_audioset_tables(folder, names, tags, num_tags)
    for number in range(NUM_FOLDERS):
        (folder / "audio" / f"{number:03}").mkdir(parents=True)
    for row, place in enumerate(places):
        (folder / place).write_bytes(tiny_wav(row))


def write_audioset_tables(folder: Path, names: list[str], tags: list[list[int]], num_tags: list[int]) -> None:
    """The list of segments and the list of classes."""
    with (folder / "class_labels_indices.csv").open("w") as file:
        file.write("index,mid,display_name\n")
        file.writelines(f'{tag},/m/{tag:05},"Made-up tag, number {tag}"\n' for tag in range(NUM_TAGS))
    with (folder / "unbalanced_train_segments.csv").open("w") as file:
        file.write(f"# Segments csv created {len(names)} rows\n# num_ytids={len(names)}\n")
        file.write("# YTID, start_seconds, end_seconds, positive_labels\n")
        for name, of_row, count in zip(names, tags, num_tags, strict=True):
            file.write(f'{name}, 30.000, 40.000, "{",".join(f"/m/{tag:05}" for tag in of_row[:count])}"\n')


def tiny_wav(number: int) -> bytes:
    """A WAV file of four samples."""
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 44, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", 8)
    return header + struct.pack("<q", number)


def take_away(audio: Path) -> None:
    """Removes all folders of recordings but the first."""
    for folder in sorted(audio.iterdir())[round(KEPT_SHARE * NUM_FOLDERS) :]:
        shutil.rmtree(folder)


def measured_apart(asked: argparse.Namespace) -> dict[str, Any]:
    """What `measure` gives, from a new process whose memory is the import's own."""
    words = [sys.executable, __file__, "--measure", "--dir", str(asked.dir), "--layout", asked.layout]
    print("importing", file=sys.stderr)
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    shutil.rmtree(asked.dir / "sounds")
    measured: dict[str, Any] = json.loads(answer.stdout)
    return measured


def measure(source: Path, out: Path, layout: str) -> dict[str, Any]:
    """Imports and says how many seconds each step took, the peak memory, and what came of it."""
    from earmark.data import importing

    seconds: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*words: Any, **named: Any) -> Any:
            began = time.monotonic()
            try:
                return function(*words, **named)
            finally:
                seconds[name] = time.monotonic() - began

        return run

    for name in STAGES:
        setattr(importing, name, timed(name, getattr(importing, name)))
    began = time.monotonic()
    summary = importing.import_dataset(source, out, layout)
    total = time.monotonic() - began
    return {
        "rows": summary.named,
        "usable": summary.usable,
        "seconds": total,
        "rows_per_second": summary.named / total,
        "stages": {**seconds, "rest": total - sum(seconds.values())},
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def report(measured: dict[str, dict[str, Any]], num_rows: int, note: str) -> None:
    """Writes the table."""
    note = f" {note}" if note else ""
    import torch

    from earmark.environment import machine_name, today

    command = shlex.join(["python", os.path.relpath(__file__), *sys.argv[1:]])
    lines = [
        f"# Importing {num_rows:,} rows",
        "",
        f"{today()}, {machine_name(torch.device('cpu'))}. Made by `{command}`.",
        f"The recordings had just been written and lay in memory; a slow disk adds its own time.{note}",
        "",
        f"| | {' | '.join(measured)} |",
        f"|---{'|---:' * len(measured)}|",
    ]
    for name, what in {**STAGES, "rest": "the rest"}.items():
        each = [format(case["stages"][name], ".1f") for case in measured.values()]
        lines.append(f"| {what}, s | {' | '.join(each)} |")
    for what, key, form in (
        ("**all, s**", "seconds", ".1f"),
        ("rows a second", "rows_per_second", ",.0f"),
        ("peak memory, GB", "peak_gb", ".2f"),
        ("usable clips", "usable", ",d"),
    ):
        lines.append(f"| {what} | {' | '.join(format(case[key], form) for case in measured.values())} |")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
