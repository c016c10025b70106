"""Contestants for tests of the speed benchmark."""

import os
from collections.abc import Callable
from pathlib import Path


def _logged(work: Path, name: str, answer: float | None = None) -> Callable[[], list[float] | None]:
    def run() -> list[float] | None:
        with (work / "turns.txt").open("a") as file:
            file.write(name + "\n")
        return None if answer is None else [answer]

    return run


def first(work: Path) -> Callable[[], list[float] | None]:
    print("ready, says a library")
    return _logged(work, "first", 1.0)


def second(work: Path) -> Callable[[], list[float] | None]:
    return _logged(work, "second", 1.5)


def silent(work: Path) -> Callable[[], list[float] | None]:
    return _logged(work, "silent")


def broken(work: Path) -> Callable[[], list[float] | None]:
    raise FileNotFoundError("nothing to work on")


def told(work: Path) -> Callable[[], list[float]]:
    return lambda: [float(os.environ["SOME_VARIABLE"])]
