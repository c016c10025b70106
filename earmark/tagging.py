"""Tags of recordings on disk: one file, a folder, recordings of any length, with memory independent of length."""

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.audio.containers import AUDIO_SUFFIXES
from earmark.data.audio.problems import AudioError
from earmark.data.audio.reading import blocks
from earmark.errors import InputError, first_few
from earmark.files import written_aside
from earmark.models.ensemble import Ensemble, Model, taggers_of
from earmark.models.inference import for_scoring, on_all_cores
from earmark.prefetch import prefetched
from earmark.scores.scorer import whole_s, window_samples
from earmark.timing import seconds_from_samples
from earmark.waveform_batches import AHEAD, in_batches, padded_batch

Int16Array = npt.NDArray[np.int16]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tagged:
    """What the model says of a recording or of a window in it.

    Attributes:
        scores: (tag,) in [0, 1].
        embedding: (channel,).
        onset, offset: seconds of the window; None for the whole recording.
    """

    path: str
    scores: FloatArray
    embedding: FloatArray
    onset: float | None = None
    offset: float | None = None


@dataclass(frozen=True)
class Unreadable:
    """A recording that cannot be read, and why."""

    path: str
    problem: str


@dataclass(frozen=True)
class _Piece:
    """A waveform to score: a whole recording (no onset) or a window of it."""

    path: str
    waveform: Int16Array
    onset_samples: int | None = None


@dataclass(frozen=True)
class _Part:
    """What goes through the model at once: all of a piece, or a chunk of it where the model scores chunks."""

    piece: _Piece
    waveform: Int16Array
    num_parts: int


@dataclass(frozen=True)
class _Said:
    """What the model says of a part."""

    part: _Part
    scores: FloatArray
    embedding: FloatArray


@dataclass(frozen=True)
class _EndOfWindows:
    path: str


class RecordingTagger:
    """Tags recordings with a model; made by `earmark.load_tagger`.

    Raises:
        InputError: the model, or a member of it, scales its scores by those of its test clips.
    """

    def __init__(self, tagger: Model, device: torch.device) -> None:
        refuse_range_of_test(tagger)
        self.tagger = for_scoring(tagger).to(device)
        self.device = device
        self.tags = list(tagger.config.vocabulary)

    def __call__(self, path: str | Path) -> list[dict[str, Any]]:
        """The tags of one recording, `{"tag", "score"}`, best first; of a long one, their maxima over its windows.

        Raises:
            InputError: the recording cannot be read.
        """
        *_, last = self.tag([str(path)])
        if isinstance(last, Unreadable):
            raise InputError(f"{path}: {last.problem}")
        order = np.argsort(-last.scores, kind="stable")
        return [{"tag": self.tags[k], "score": float(last.scores[k])} for k in order]

    def tag(self, paths: Iterable[str]) -> Iterator[Tagged | Unreadable]:
        """The tags of recordings in their order; of a long one its windows first, then their maxima.

        A recording that breaks off midway gives the windows before the break, and then its problem.
        """
        total: _Total | None = None
        for item in self._tagged(paths):
            if isinstance(item, _EndOfWindows):
                assert total is not None
                yield total.tagged(item.path)
                total = None
                continue
            yield item
            if isinstance(item, Tagged) and item.onset is not None:
                total = total.with_window(item) if total else _Total(item.scores, item.embedding, 1)
            else:
                total = None

    def _tagged(self, paths: Iterable[str]) -> Iterator[Tagged | Unreadable | _EndOfWindows]:
        """The pieces in their order, waveforms as what the model says of them: the mean over a piece's parts."""
        held: list[_Said] = []
        for item in self._scored(paths):
            if not isinstance(item, _Said):
                yield item
                continue
            held.append(item)
            if len(held) == item.part.num_parts:
                scores = np.mean([said.scores for said in held], axis=0)
                embedding = np.mean([said.embedding for said in held], axis=0)
                yield self._of_piece(item.part.piece, scores, embedding)
                held = []

    def _scored(self, paths: Iterable[str]) -> Iterator[_Said | Unreadable | _EndOfWindows]:
        """The parts of pieces in their order as what the model says of them; neighbours alike share a batch."""
        parts = (part for item in prefetched(self._pieces(paths), AHEAD) for part in self._parts_of(item))
        batches: Iterator[list[_Part] | Unreadable | _EndOfWindows]
        batches = in_batches(parts, _Part, self.tagger, self.device)
        for said in on_all_cores(self._said_of, batches, self.device):
            yield from said

    def _said_of(
        self, batch: list[_Part] | Unreadable | _EndOfWindows
    ) -> list[_Said] | list[Unreadable | _EndOfWindows]:
        """What the model says of a batch; anything else as it is."""
        if not isinstance(batch, list):
            return [batch]
        with torch.inference_mode():
            scores, embedding = self.tagger.scores_and_embedding(*padded_batch(batch, self.tagger, self.device))
        return [_Said(*row) for row in zip(batch, scores.cpu().numpy(), embedding.cpu().numpy(), strict=True)]

    def _parts_of(self, item: _Piece | _EndOfWindows | Unreadable) -> list[_Part | _EndOfWindows | Unreadable]:
        """What goes through the model of a piece; anything else as it is."""
        if not isinstance(item, _Piece):
            return [item]
        chunking = self.tagger.config.chunking
        if chunking is None:
            return [_Part(item, item.waveform, 1)]
        bounds = chunking.bounds(len(item.waveform), self.tagger.rate_hz)
        return [_Part(item, item.waveform[onset:offset], len(bounds)) for onset, offset in bounds]

    def _of_piece(self, piece: _Piece, scores: FloatArray, embedding: FloatArray) -> Tagged:
        if piece.onset_samples is None:
            return Tagged(piece.path, scores, embedding)
        rate_hz = self.tagger.rate_hz
        onset = seconds_from_samples(piece.onset_samples, rate_hz)
        offset = seconds_from_samples(piece.onset_samples + len(piece.waveform), rate_hz)
        return Tagged(piece.path, scores, embedding, onset, offset)

    def _pieces(self, paths: Iterable[str]) -> Iterator[_Piece | _EndOfWindows | Unreadable]:
        for path in paths:
            try:
                yield from self._pieces_of(path)
            except AudioError as error:
                yield Unreadable(path, str(error))

    def _pieces_of(self, path: str) -> Iterator[_Piece | _EndOfWindows]:
        """A recording whole, or a long one in windows of the training length, the last ending with it."""
        parts = blocks(Path(path), self.tagger.rate_hz, whole_s(self.tagger))
        start, more = next(parts), next(parts, None)
        if more is None:
            yield _Piece(path, start)
            return
        window = window_samples(self.tagger)
        for onset, waveform in _windows_of(itertools.chain([start, more], parts), window):
            yield _Piece(path, waveform, onset)
        yield _EndOfWindows(path)


def refuse_range_of_test(model: Model) -> None:
    """Raises InputError for a model, or a member of it, that scales its scores by those of its test clips.

    A recording by itself is no test split: its scores would depend on clips that have nothing to do with it.
    """
    ranges = [tagger.config.score_range for tagger in taggers_of(model)]
    found = [str(number) for number, each in enumerate(ranges, start=1) if each is not None and each.on == "test"]
    if found:
        which = f"member {first_few(found)} of this ensemble" if isinstance(model, Ensemble) else "this model"
        raise InputError(
            f"a model that tags recordings must scale scores by its validation clips, {which} scales them by its test "
            "clips; train with --set postprocess_on=validation"
        )


def _windows_of(parts: Iterable[Int16Array], window: int) -> Iterator[tuple[int, Int16Array]]:
    """(onset, waveform) of windows one after another over a stream of at least one window.

    A rest shorter than a window makes the last window begin earlier, so that it ends with the stream.
    """
    held, onset = np.empty(0, np.int16), 0  # what is not in a window yet, after the last whole window
    before = held
    for part in parts:
        held = np.concatenate([held, part])
        whole = len(held) // window * window
        for first in range(0, whole, window):
            yield onset + first, held[first : first + window]
        if whole:
            before = held[whole - window : whole]
        held, onset = held[whole:], onset + whole
    if len(held):
        last = np.concatenate([before, held])[-window:]
        yield onset + len(held) - len(last), last


@dataclass(frozen=True)
class _Total:
    """The windows of a recording so far."""

    scores: FloatArray
    embedding_sum: FloatArray
    num_windows: int

    def with_window(self, window: Tagged) -> "_Total":
        return _Total(
            np.maximum(self.scores, window.scores), self.embedding_sum + window.embedding, self.num_windows + 1
        )

    def tagged(self, path: str) -> Tagged:
        return Tagged(path, self.scores, self.embedding_sum / np.float32(self.num_windows))


def find_recordings(paths: Sequence[str]) -> list[str]:
    """The recordings that paths name: files as they are, folders by the audio files in them, - a list of both on stdin.

    Raises:
        InputError: a folder holds no audio file.
    """
    listed = (line.rstrip("\r\n") for path in paths if path == "-" for line in sys.stdin)
    named = [path for path in (*listed, *paths) if path.strip() and path != "-"]
    return [recording for path in named for recording in _recordings_of(path)]


def _recordings_of(path: str) -> list[str]:
    if not Path(path).is_dir():
        return [path]
    inside = (file for file in Path(path).rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file())
    found = sorted(str(file) for file in inside)
    if not found:
        raise InputError(f"{path} must hold audio files, found none ({', '.join(sorted(AUDIO_SUFFIXES))})")
    return found


def write_embeddings(path: Path, named: Sequence[tuple[str, FloatArray]]) -> None:
    """Writes `paths` (recording,) and `embeddings` (recording, channel) as one npz file, whole or not at all."""
    names = np.array([name for name, _ in named], dtype=np.str_)
    embeddings = np.stack([embedding for _, embedding in named]) if named else np.zeros((0, 0), np.float32)
    # To an open file: given a name without .npz, numpy would write beside it.
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, paths=names, embeddings=embeddings)
