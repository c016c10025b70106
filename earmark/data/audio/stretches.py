"""A stretch of an opened recording, read once from its start to its end, and what is odd about it."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from earmark.data.audio.decoders import FULL_SCALE, Decoder, SampleArray
from earmark.data.audio.problems import AudioError
from earmark.timing import samples_from_seconds

# Decoded at once: short clips whole; of long recordings no more than this is in memory as decoded.
BLOCK_FRAMES = 1 << 19
# Looked at and converted at once: what stays in the cache of a core.
PIECE_FRAMES = 1 << 16
SCALE = 32768
SILENT_PEAK = 1
CLIPPED_SHARE = 0.001
LENGTH_TOLERANCE_S = 0.05


class Stretch:
    """Reads the frames from onset to offset and keeps count of what it sees."""

    def __init__(self, decoder: Decoder, onset_s: float | None, offset_s: float | None) -> None:
        self.decoder = decoder
        self._start = samples_from_seconds(onset_s or 0.0, decoder.rate_hz)
        self._stop = None if offset_s is None else samples_from_seconds(offset_s, decoder.rate_hz)
        if self._stop is not None and self._stop <= self._start:
            raise AudioError("empty", f"the clip from {onset_s or 0.0} s to {offset_s} s has no samples")
        self._num_read = 0
        self._peak = 0
        self._num_clipped = 0
        self._run_tail: npt.NDArray[np.bool_] | None = None

    def pieces(self) -> Iterator[tuple[SampleArray, bool]]:
        """The frames, (frame, channel), and whether these are surely the last; at the end raises if some lack.

        A piece holds only until the next one is asked for, and may be changed.
        """
        self._seek()
        known = self.decoder.num_frames
        is_last = False
        while not is_last:
            num_wanted = BLOCK_FRAMES
            for stop in (self._stop, None if self.decoder.slack_frames else known):
                if stop is not None:
                    num_wanted = min(num_wanted, stop - self._start - self._num_read)
            block = self.decoder.read(num_wanted)
            end = self._start + self._num_read + len(block)
            # Never asked again after a short answer: past damage libsndfile would give the same samples twice.
            is_last = len(block) < num_wanted or end == self._stop or (end == known and not self.decoder.slack_frames)
            for first in range(0, len(block), PIECE_FRAMES):
                piece = block[first : first + PIECE_FRAMES]
                self._look_at(piece)
                self._num_read += len(piece)
                yield piece, is_last and first + PIECE_FRAMES >= len(block)
        self._check_end(known)

    def _seek(self) -> None:
        known = self.decoder.num_frames
        if known is not None and self._start >= known + self.decoder.slack_frames:
            raise self._outside(known)
        if self._start:
            self.decoder.seek(self._start)

    def _outside(self, num_frames: int) -> AudioError:
        rate_hz = self.decoder.rate_hz
        return AudioError(
            "outside recording",
            f"onset {self._start / rate_hz:.2f} s, the recording lasts {num_frames / rate_hz:.2f} s",
        )

    def _check_end(self, known: int | None) -> None:
        end, rate_hz = self._start + self._num_read, self.decoder.rate_hz
        expected = known if self._stop is None or known is None else min(known, self._stop)
        if expected is not None and end < expected - self.decoder.slack_frames:
            raise AudioError("truncated", f"it ends at {end / rate_hz:.2f} s of {(known or 0) / rate_hz:.2f} s")
        if self._num_read == 0:
            raise self._outside(end) if self._start else AudioError("empty", "the file holds no samples")

    def _look_at(self, block: SampleArray) -> None:
        low, high = float(block.min()), float(block.max())
        scale = 1 if block.dtype == np.int16 else SCALE
        if not np.isfinite(low + high):
            bad = int((~np.isfinite(block)).any(axis=1).argmax()) + self._start + self._num_read
            raise AudioError("not finite", f"NaN or infinity at {bad / self.decoder.rate_hz:.2f} s")
        limit = FULL_SCALE.get(self.decoder.subtype, SCALE - 1)
        if max(high, -low) * scale >= limit:
            self._count_clipped((block >= limit / scale) | (block <= -limit / scale))
        else:
            self._run_tail = None

    def _count_clipped(self, full: npt.NDArray[np.bool_]) -> None:
        """Counts the values that are the third or later in a run, runs from the last block included."""
        if self._run_tail is not None:
            full = np.concatenate([self._run_tail, full])
        self._num_clipped += int((full[:-2] & full[1:-1] & full[2:]).sum())
        self._run_tail = full[-2:]

    def note_peak(self, peak: float) -> None:
        """Takes note of how loud a part of the result is."""
        self._peak = max(self._peak, round(peak))

    def findings(self) -> list[tuple[str, str]]:
        """Kind and detail of what is odd about the stretch, once it was read to its end."""
        found = []
        rate_hz, missing = self.decoder.rate_hz, 0
        if self._stop is not None:
            missing = self._stop - self._start - self._num_read
        if missing > LENGTH_TOLERANCE_S * rate_hz:
            found.append(
                ("shorter than said", f"the recording ends {missing / rate_hz:.2f} s before the clip's offset")
            )
        if self._peak <= SILENT_PEAK:
            found.append(("silent", f"peak {self._peak} of 32768"))
        share = self._num_clipped / (self._num_read * self.decoder.channels)
        if share >= CLIPPED_SHARE:
            found.append(("clipped", f"{100 * share:.2f} % of the samples"))
        return found
