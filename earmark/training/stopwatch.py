"""The seconds of a step of training, phase by phase."""

import time
from collections.abc import Callable
from typing import Literal, get_args

Phase = Literal["waiting for data", "copy to device", "features", "forward", "loss", "backward", "optimiser", "rest"]
PHASES: tuple[Phase, ...] = get_args(Phase)
Mark = Callable[[Phase], None]
"""Says that a phase ends now."""


class Stopwatch:
    """What the loop times its steps by: the time between two marks is the later one's phase.

    On a GPU work is only queued: what one phase queued is waited for in another. `Profile` waits at each mark.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begins a step now."""
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._since = time.perf_counter()

    def mark(self, phase: Phase) -> None:
        """Ends a phase now; one that is marked again is added to."""
        now = time.perf_counter()
        self._seconds[phase] += now - self._since
        self._since = now

    def stop(self) -> dict[Phase, float]:
        """Ends the step now: the seconds of its phases, what came after the last mark as "rest"."""
        self.mark("rest")
        return self._seconds


def unmarked(phase: Phase) -> None:
    """The mark of who times nothing."""
