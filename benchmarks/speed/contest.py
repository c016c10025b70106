"""A row: the same work by ours and by others, each in a process of its own, one after the other, over and over.

They take turns, so what else the machine does meets them alike; what is kept of each round is its ratio.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

OURS = "ours"
BLOCK_S = 0.4
"""The least seconds of a turn: shorter work is done more than once."""
FEWEST_ROUNDS, MOST_S = 3, 90.0
"""A row ends after so many seconds, once there are a few rounds: on a slow or busy machine too it is soon run again."""


@dataclass(frozen=True)
class Contestant:
    """What does a row's work.

    Attributes:
        name: as the table has it; a package with what it is asked for.
        function: MODULE:NAME of a function that, given a folder for files, makes all ready and gives the work: a
            function without arguments, which gives what it found where that is to be compared.
        units: how many of the row's units a call does. Slow ones may do less.
        environment: whose Python runs it.
        variables: what its process finds in its environment beside what all do.
    """

    name: str
    function: str
    units: float = 1
    environment: Literal["ours", "peers"] = "peers"
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Work that is measured.

    Attributes:
        name: to ask for it by.
        title: of the table's row; says what is done to how much of what.
        unit: what is counted, in the singular: clip, second, evaluation, start, ...
        ours: Earmark's; first in every round.
        peers: what it is beside.
        table: the part of the results that it stands in.
        aim: how many times as fast as the best peer, or as `aim_peer`.
        aim_peer: the peer that the aim speaks of.
        aim_seconds: how long ours may take a unit at most.
        flops: floating-point operations of a unit, for the floor; counted, not measured.
        bytes: bytes that a unit must move at least, for the floor.
        peak: which measured peak the operations go at.
        parts: contestants that each do a part of the work on one core; the threads can share no more than these.
        threads: of each process.
        tolerance: how far answers may lie apart, at most; None where they are not comparable.
        note: what is said after the title; {apart} in it is how far answers lie apart.
        binds: what keeps an aim from being reached; shown where one is missed.
        device: what it needs.
    """

    name: str
    title: str
    unit: str
    ours: Contestant
    peers: tuple[Contestant, ...] = ()
    table: str = ""
    aim: float | None = None
    aim_peer: str | None = None
    aim_seconds: float | None = None
    flops: float = 0.0
    bytes: float = 0.0
    peak: Literal["fp32", "bf16"] = "fp32"
    parts: tuple[str, ...] = ()
    threads: int = 1
    tolerance: float | None = None
    note: str = ""
    binds: str = ""
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """All that take turns: ours, the peers, and what the machine allows."""
        peaks = [f"peak {self.peak}"] * (self.flops > 0) + ["copy"] * (self.bytes > 0)
        return (self.ours, *self.peers, *(PEAKS[self.device][name] for name in peaks))


PEAKS = {
    device: {
        "peak fp32": Contestant("peak fp32", f"benchmarks.speed.ours.peaks:fp32_{device}", 1, OURS),
        "peak bf16": Contestant("peak bf16", f"benchmarks.speed.ours.peaks:bf16_{device}", 1, OURS),
        "copy": Contestant("copy", f"benchmarks.speed.ours.peaks:copy_{device}", 1, OURS),
    }
    for device in ("cpu", "cuda")
}
"""What the machine can do: calls of known operations or bytes, see `ours/peaks.py`."""


@dataclass
class Worker:
    """A contestant's process."""

    contestant: Contestant
    process: "subprocess.Popen[str]"
    calls: int = 1
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def ask(self, order: str) -> dict[str, Any]:
        """What it answers.

        Raises:
            RuntimeError: it ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next answer, of an order before."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.contestant.name}: ended with exit status {self.process.wait()}; see above")
        found: dict[str, Any] = json.loads(line)
        return found

    def take_turn(self) -> None:
        """Works once, and keeps the seconds of a unit."""
        answer = self.ask(f"run {self.calls}")
        units = self.calls * self.contestant.units
        self.seconds.append(answer["seconds"] / units)
        self.cpu_seconds.append(answer["cpu_seconds"] / units)


def run_row(row: Row, pythons: dict[str, Path], work: Path, rounds: int, block_s: float = BLOCK_S) -> dict[str, Any]:
    """Measures a row: medians a unit, ratios by round, peak memory, and how far answers lie apart.

    Args:
        pythons: the interpreter of each environment.
        work: a folder for files, kept between rows.
        rounds: how often each takes a turn, at most.
        block_s: the least seconds of a turn.
    """
    workers: list[Worker] = []
    try:
        for contestant in row.contestants:
            workers.append(start(contestant, pythons[contestant.environment], work, row.threads))
        apart = _answers_apart(workers, work) if row.tolerance is not None else None
        for worker in workers:
            once = worker.ask("run 1")["seconds"]  # to warm up, and to see how often it is to be done at once
            if once < block_s:
                worker.calls = max(1, round(block_s / max(worker.ask("run 1")["seconds"], 1e-9)))
        until = time.monotonic() + MOST_S
        while len(workers[0].seconds) < rounds:
            for worker in workers:
                worker.take_turn()
            if time.monotonic() > until and len(workers[0].seconds) >= FEWEST_ROUNDS:
                break
        peaks_mb = [worker.ask("end")["peak_mb"] for worker in workers]
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
    return {
        "rounds": len(workers[0].seconds),
        "threads": row.threads,
        "apart": apart,
        "contestants": {
            worker.contestant.name: _summary(worker, workers[0], peak_mb)
            for worker, peak_mb in zip(workers, peaks_mb, strict=True)
        },
    }


def start(contestant: Contestant, python: Path, work: Path, threads: int) -> Worker:
    """A contestant's process, ready."""
    of_threads = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment = {**os.environ, **of_threads, **contestant.variables}
    words = [str(python), "-m", "benchmarks.speed.worker", contestant.function, str(work)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    worker = Worker(contestant, process)
    worker.answer()
    return worker


def _summary(worker: Worker, ours: Worker, peak_mb: float) -> dict[str, float]:
    """Of one contestant: the middle round's seconds a unit, and how often ours does a unit while it does one."""
    ratios = sorted(own / first for own, first in zip(worker.seconds, ours.seconds, strict=True))
    quarter = len(ratios) // 4
    return {
        "seconds": _rounded(statistics.median(worker.seconds)),
        "cpu_seconds": _rounded(statistics.median(worker.cpu_seconds)),
        "ratio": _rounded(statistics.median(ratios)),
        "ratio_low": _rounded(ratios[quarter]),
        "ratio_high": _rounded(ratios[-1 - quarter]),
        "peak_mb": round(peak_mb),
    }


def _answers_apart(workers: Sequence[Worker], work: Path) -> float | None:
    """The greatest difference between what contestants and ours gave, of those that gave something."""
    import numpy as np

    answers = []
    for worker in workers:
        path = work / "answer.npy"
        path.unlink(missing_ok=True)
        worker.ask(f"answer {path}")
        if path.exists():
            answers.append(np.load(path))
    return max((float(np.abs(other - answers[0]).max()) for other in answers[1:]), default=None)


def _rounded(value: float) -> float:
    """To four figures, so that rows kept twice differ by what was measured only."""
    return float(f"{value:.4g}")
