"""A process that holds one contestant ready, and does its work when asked: FUNCTION WORK_FOLDER.

Runs in any environment, so it imports nothing but the standard library itself. It is asked by lines: `run N` does the
work N times; `answer FILE` does it once and keeps what it gave; `end` ends it. Every line is answered by one of JSON.
"""

import importlib
import json
import os
import re
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    """Makes the contestant ready, says so, and follows what comes in."""
    # What libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: float) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    module, _, name = sys.argv[1].partition(":")
    work = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
    answer(ready=1)
    for line in sys.stdin:
        order, _, argument = line.strip().partition(" ")
        if order == "end":
            answer(peak_mb=_peak_mb())
            break
        if order == "answer":
            keep_answer(work(), Path(argument))
            answer(kept=1)
        else:
            cpu, started = _cpu_seconds(), time.perf_counter()
            for _ in range(int(argument)):
                work()
            answer(seconds=time.perf_counter() - started, cpu_seconds=_cpu_seconds() - cpu)


def keep_answer(given: object, path: Path) -> None:
    """Keeps what work gave, for it to be compared; nothing where it gave nothing."""
    if given is not None:
        import numpy as np

        np.save(path, np.asarray(given, dtype=np.float64))


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _peak_mb() -> float:
    """The most memory that this process, or the largest that it waited for, ever held."""
    # Not the resource usage of this process: that counts what the process that started it held.
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    own_kb = int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own_kb, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6


if __name__ == "__main__":
    main()
