"""Where the time of a step of training goes, and whether data or computing bind."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from earmark.training.feed import Feed
from earmark.training.settings import FitSettings
from earmark.training.stopwatch import PHASES, Phase, Stopwatch

WARM_UP_STEPS, MEASURED_STEPS = 5, 20
PROFILED_STEPS = WARM_UP_STEPS + MEASURED_STEPS


@dataclass(frozen=True)
class StepTimes:
    """What the measured steps of a training took.

    Attributes:
        seconds: of each phase of a step, on average.
        feed_s: seconds that the feed takes for a batch where nobody trains, on average.
        batch_size: clips of a step.
        folder: of what was trained: the run's own, or that of a teacher or a fold in it.
        peak_bytes: the most memory that was allocated on the GPU, else that the process took; None where unknown.
    """

    seconds: Mapping[Phase, float]
    feed_s: float
    batch_size: int
    folder: Path
    device: torch.device
    precision: str
    threads: int
    peak_bytes: int | None

    def lines(self) -> list[str]:
        """The same in words and as a table."""
        step_s = sum(self.seconds.values())
        computing_s = step_s - self.seconds["waiting for data"]
        memory = "" if self.peak_bytes is None else f", peak memory {self.peak_bytes / 1e9:.2f} GB"
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        lines = [
            f"{MEASURED_STEPS} steps after {WARM_UP_STEPS}, {self.batch_size} clips each; {self.precision} on "
            f"{self.device}, {threads}{memory}",
            f"{'':<18}{'ms a step':>10}{'share':>8}{'clips/s':>10}",
            *(f"{name:<18}{1e3 * one:>10.1f}{one / step_s:>8.1%}" for name, one in self.seconds.items()),
        ]
        for name, seconds in (("a step", step_s), ("the data alone", self.feed_s)):
            lines.append(f"{name:<18}{1e3 * seconds:>10.1f}{'':>8}{self.batch_size / seconds:>10.1f}")
        if self.feed_s > computing_s:
            lines.append(f"data bind: they take {self.feed_s / computing_s:.1f} x as long as computing")
        else:
            lines.append(f"computing binds: it takes {computing_s / self.feed_s:.1f} x as long as the data")
        return lines


class StepsMeasured(Exception):  # noqa: N818 (it is no error)
    """Ends a training whose steps are measured; nobody goes on with the tagger."""

    def __init__(self, found: StepTimes) -> None:
        super().__init__()
        self.found = found


class Profile(Stopwatch):
    """A stopwatch that waits for the device at each mark, and ends the training once it has timed enough steps.

    Args:
        feed: what is trained on; its batches are drawn here first, without training.
    """

    def __init__(self, feed: Feed, settings: FitSettings, device: torch.device, folder: Path) -> None:
        self._feed_s, self._batch_size = _seconds_a_batch(feed), feed.batch_size
        self._precision, self._device, self._folder = settings.precision, device, folder
        self._steps: list[dict[Phase, float]] = []
        super().__init__()

    def mark(self, phase: Phase) -> None:
        """Ends a phase when the device has done what was asked of it."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        super().mark(phase)

    def stop(self) -> dict[Phase, float]:
        """Ends the step.

        Raises:
            StepsMeasured: it was the last.
        """
        self._steps.append(super().stop())
        if len(self._steps) < PROFILED_STEPS:
            return self._steps[-1]
        measured = self._steps[WARM_UP_STEPS:]
        raise StepsMeasured(
            StepTimes(
                seconds={phase: sum(step[phase] for step in measured) / len(measured) for phase in PHASES},
                feed_s=self._feed_s,
                batch_size=self._batch_size,
                folder=self._folder,
                device=self._device,
                precision=self._precision,
                threads=torch.get_num_threads(),
                peak_bytes=_peak_bytes(self._device),
            )
        )


def _seconds_a_batch(feed: Feed) -> float:
    """What the feed takes for one where nobody trains; of an epoch of its own, so that its clips may be new too."""
    batches = feed.batches(1)
    for _ in islice(batches, WARM_UP_STEPS):
        pass
    started = time.perf_counter()
    count = sum(1 for _ in islice(batches, MEASURED_STEPS))
    return (time.perf_counter() - started) / count


def _peak_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
