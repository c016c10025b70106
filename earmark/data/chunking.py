"""How clips are cut into chunks: seconds that people set, samples that are cut, at any rate."""

from typing import Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from earmark.config import Settings, what_must_hold
from earmark.data.clips import Excerpts, IntArray, chunk_counts, chunks
from earmark.errors import InputError
from earmark.timing import samples_from_seconds


class Chunking(Settings):
    """Clips cut into chunks one after another, from the beginning of the clip.

    A clip no longer than a chunk stays whole.

    >>> Chunking(chunk_s=2.0).bounds(num_samples=72_000, rate_hz=16_000)
    [(0, 32000), (32000, 64000), (64000, 72000)]
    >>> Chunking(chunk_s=2.0).bounds(num_samples=71_999, rate_hz=16_000)
    [(0, 32000), (32000, 71999)]
    """

    chunk_s: float = Field(ge=0.1, description="length of a chunk, seconds")
    min_chunk_s: float = Field(
        0.5, ge=0, description="a last chunk shorter than this joins the one before, seconds; at most chunk_s"
    )

    @model_validator(mode="after")
    def _last_no_longer_than_any(self) -> Self:
        if self.min_chunk_s > self.chunk_s:
            raise ValueError(f"min_chunk_s must be at most chunk_s, {self.chunk_s:g}, got {self.min_chunk_s:g}")
        return self

    def __str__(self) -> str:
        return f"chunks of {self.chunk_s:g} s (a last one under {self.min_chunk_s:g} s joins the one before)"

    def cut(self, clips: Excerpts, rate_hz: int) -> Excerpts:
        """The chunks of clips (or of any excerpts), in their order, each one's by onset."""
        return chunks(clips, *self._samples(rate_hz))

    def counts(self, clips: Excerpts, rate_hz: int) -> IntArray:
        """How many chunks `cut` makes of each clip, (clip,): `np.repeat(values, counts)` is each chunk's own."""
        return chunk_counts(clips.num_samples, *self._samples(rate_hz))

    def bounds(self, num_samples: int, rate_hz: int) -> list[tuple[int, int]]:
        """The first sample of each chunk of one waveform, and the one after its last."""
        whole = Excerpts(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([num_samples], np.int64))
        cut = self.cut(whole, rate_hz)
        ends = cut.onset_samples + cut.num_samples
        return list(zip(cut.onset_samples.tolist(), ends.tolist(), strict=True))

    def _samples(self, rate_hz: int) -> tuple[int, int]:
        return samples_from_seconds(self.chunk_s, rate_hz), samples_from_seconds(self.min_chunk_s, rate_hz)


def chunking_from(chunk_s: float, min_chunk_s: float | None = None) -> Chunking:
    """The chunking that a user named; None for the usual shortest last chunk.

    Raises:
        InputError: there is no such chunking.
    """
    named = {"chunk_s": chunk_s} if min_chunk_s is None else {"chunk_s": chunk_s, "min_chunk_s": min_chunk_s}
    try:
        return Chunking.model_validate(named)
    except ValidationError as error:
        first = error.errors()[0]
        name = "".join(f"{part}: " for part in first["loc"])
        raise InputError(f"{name}{what_must_hold(first)}") from error
