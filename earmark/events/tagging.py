"""Events of recordings on disk: one file, a folder, recordings of any length, with memory independent of length.

What `scores.framewise` does to packed clips, done to a stream: the same windows, the same frames of each, the same
events.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.audio.problems import AudioError
from earmark.data.audio.reading import blocks
from earmark.errors import InputError
from earmark.events.decisions import (
    LONGEST_FILTER_S,
    EventDecisions,
    FloatArray,
    plain_decisions,
    read_decisions,
)
from earmark.events.stream import Event, EventStream
from earmark.models.ensemble import Model
from earmark.models.inference import for_scoring, on_all_cores
from earmark.models.tagger import model_folder
from earmark.prefetch import prefetched
from earmark.scores.framewise import frame_windows, on_grid, step_samples, whole_frames_samples
from earmark.tagging import Unreadable, refuse_range_of_test
from earmark.timing import frames_covering
from earmark.waveform_batches import AHEAD, in_batches, padded_batch

Int16Array = npt.NDArray[np.int16]

BLOCK_S = 1.0
"""Read at once; of a recording that breaks off, less than this is lost before the break."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EndOfRecording:
    """All events of a recording have been given."""

    path: str
    num_events: int


@dataclass(frozen=True)
class _End:
    """How a recording ends: after so many samples, and why there if it breaks off."""

    num_samples: int
    problem: str | None


@dataclass(frozen=True)
class _Window:
    """A recording whole, or a window of it; its score frames from `first` on and before `stop` count.

    Attributes:
        end: of the recording, where it ends with this window.
    """

    path: str
    waveform: Int16Array
    first: int
    stop: int
    end: _End | None


class EventTagger:
    """Finds events in recordings with a model; made by `earmark.load_event_tagger`.

    Raises:
        InputError: the model keeps no time axis, or it, or a member of it, scales its scores by those of its test
            clips.
    """

    def __init__(self, model: Model, decisions: EventDecisions, device: torch.device) -> None:
        refuse_range_of_test(model)
        self._step_samples = step_samples(model)
        self._grid = frame_windows(model)
        self._whole_samples = whole_frames_samples(model)
        self.model = for_scoring(model).to(device)
        self.decisions = decisions
        self.device = device

    def __call__(self, path: str | Path) -> list[dict[str, Any]]:
        """The events of one recording, `{"onset", "offset", "tag", "score"}`, by onset; times in seconds.

        Raises:
            InputError: the recording cannot be read, or not to its end.
        """
        *events, last = self.tag([str(path)])
        if isinstance(last, Unreadable):
            raise InputError(f"{path}: {last.problem}")
        found = [event for event in events if isinstance(event, Event)]
        return [
            {"onset": event.onset, "offset": event.offset, "tag": event.tag, "score": event.score}
            for event in sorted(found, key=lambda event: (event.onset, event.offset))
        ]

    def tag(self, paths: Iterable[str]) -> Iterator[Event | EndOfRecording | Unreadable]:
        """The events of recordings in their order, each event once it has ended, and then that the recording has.

        A recording that breaks off midway gives the events before the break, those that it breaks too, and then its
        problem.
        """
        stream: EventStream | None = None
        num_events = 0
        for item in self._scored(paths):
            if isinstance(item, Unreadable):
                yield item
                continue
            window, frames = item
            stream = stream or EventStream(window.path, self.decisions, self._step_samples, self.model.rate_hz)
            events = stream.add(frames)
            if window.end is not None:
                events += stream.finish(window.end.num_samples)
            yield from events
            num_events += len(events)
            if window.end is not None:
                problem = window.end.problem
                yield Unreadable(window.path, problem) if problem else EndOfRecording(window.path, num_events)
                stream, num_events = None, 0

    def _scored(self, paths: Iterable[str]) -> Iterator[tuple[_Window, FloatArray] | Unreadable]:
        """The windows in their order with the scores of those of their frames that count, (frame, tag)."""
        batches: Iterator[list[_Window] | Unreadable]
        batches = in_batches(prefetched(self._windows(paths), AHEAD), _Window, self.model, self.device)
        for said in on_all_cores(self._said_of, batches, self.device):
            yield from said

    def _said_of(self, batch: list[_Window] | Unreadable) -> list[tuple[_Window, FloatArray]] | list[Unreadable]:
        """What the model says of a batch; anything else as it is."""
        if not isinstance(batch, list):
            return [batch]
        with torch.inference_mode():
            said = self.model(*padded_batch(batch, self.model, self.device)).framewise.cpu().numpy()
        return [
            (window, on_grid(frames, window.stop)[window.first :]) for window, frames in zip(batch, said, strict=True)
        ]

    def _windows(self, paths: Iterable[str]) -> Iterator[_Window | Unreadable]:
        for path in paths:
            try:
                yield from self._windows_of(path)
            except AudioError as error:
                yield Unreadable(path, str(error))

    def _windows_of(self, path: str) -> Iterator[_Window]:
        """A recording whole, or a long one in overlapping windows, the last one ending with it."""
        rate_hz, step, grid = self.model.rate_hz, self._step_samples, self._grid
        held, number, problem = np.empty(0, np.int16), 0, None
        try:
            for block in blocks(Path(path), rate_hz, BLOCK_S):
                held = np.concatenate([held, block])
                is_long = number > 0 or len(held) > self._whole_samples
                while is_long and frames_covering(len(held), step, rate_hz) > grid.window_frames:
                    kept = grid.kept(number, is_last=False)
                    yield _Window(path, held[: grid.window_frames * step], kept.start, kept.stop, None)
                    held, number = held[grid.hop_frames * step :], number + 1
        except AudioError as error:
            if not len(held):
                raise
            problem = str(error)
        end = _End(number * grid.hop_frames * step + len(held), problem)
        first = grid.kept(number, is_last=True).start
        yield _Window(path, held, first, frames_covering(len(held), step, rate_hz), end)


def decisions_for(
    folder: Path, model: Model, threshold: float | None = None, median_filter_s: float | None = None
) -> EventDecisions:
    """How events are decided by a model: as was tuned for it, else at .5 without a filter, which is logged.

    Args:
        folder: the model's.
        threshold, median_filter_s: for every tag, in place of that.

    Raises:
        InputError: a value is out of its range, or what was tuned is damaged or of other tags.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold must be 0 to 1, got {threshold}")
    if median_filter_s is not None and not 0 <= median_filter_s <= LONGEST_FILTER_S:
        raise InputError(f"median_filter_s must be 0 to {LONGEST_FILTER_S:g} s, got {median_filter_s}")
    tags = model.config.vocabulary
    tuned = read_decisions(folder, tags)
    given = {"thresholds": threshold, "median_filter_s": median_filter_s}
    changes = {name: (value,) * len(tags) for name, value in given.items() if value is not None}
    words = {"thresholds": "a threshold of 0.5", "median_filter_s": "no median filter"}
    assumed = [text for name, text in words.items() if name not in changes]
    if tuned is None and assumed:
        log.info(
            "nothing was tuned for %s by earmark tune: %s for every tag", model_folder(folder), " and ".join(assumed)
        )
    return (tuned or plain_decisions(tags)).model_copy(update=changes)
