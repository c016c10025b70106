"""What a model says of each score frame of packed clips."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from earmark.data.clips import Batch, Excerpts, IntArray, whole_clips
from earmark.data.packs import Pack
from earmark.errors import InputError
from earmark.models.ensemble import Model, taggers_of
from earmark.models.inference import clips_at_once, for_scoring, on_all_cores
from earmark.prefetch import prefetched
from earmark.progress import progress_bar
from earmark.scores.predict import FloatArray, batches
from earmark.scores.scorer import whole_s, window_samples
from earmark.timing import frames_covering, samples_from_seconds


@dataclass(frozen=True, eq=False)
class ScoredFrames:
    """Framewise scores of clips, clip after clip.

    Attributes:
        clip_index: row of each clip in the clip table, int64 (clip,).
        num_samples: length of each clip at `rate_hz`, int64 (clip,).
        num_frames: score frames of each clip, `frames_covering` of its samples, int64 (clip,).
        scores: in [0, 1], float32 (frame, tag).
        hop_samples: length of a score frame.
    """

    clip_index: IntArray
    num_samples: IntArray
    num_frames: IntArray
    scores: FloatArray
    hop_samples: int
    rate_hz: int

    def of(self, place: int) -> FloatArray:
        """The scores of the clip at a place, (frame, tag)."""
        end = int(self.num_frames[: place + 1].sum())
        return self.scores[end - int(self.num_frames[place]) : end]

    def edges_s(self, place: int) -> npt.NDArray[np.float64]:
        """Where the frames of the clip at a place begin, and where the last one ends, with the clip, (frame + 1,)."""
        frames = np.arange(int(self.num_frames[place]) + 1)
        return np.minimum(frames * self.hop_samples, int(self.num_samples[place])) / self.rate_hz


class FrameWindows(NamedTuple):
    """How a recording too long to be scored whole is cut: windows that overlap by half, in score frames.

    Window k begins at frame k * hop_frames; the last one ends with the recording and may be shorter. There is a next
    one as long as the recording goes on behind the end of this one.
    """

    window_frames: int
    hop_frames: int

    def num_windows(self, num_frames: int) -> int:
        """How many windows a recording of so many frames has.

        >>> FrameWindows(8, 4).num_windows(8), FrameWindows(8, 4).num_windows(9)
        (1, 2)
        """
        return 1 + max(0, -(-(num_frames - self.window_frames) // self.hop_frames))

    def kept(self, window: int, is_last: bool) -> slice:
        """The frames that count of a window, from its begin: its middle, where it knows what comes before and after.

        Those of the first one begin with the recording, those of the last one end with it.

        >>> [FrameWindows(8, 4).kept(k, k == 2) for k in range(3)]
        [slice(0, 6, None), slice(2, 6, None), slice(2, None, None)]
        """
        margin = (self.window_frames - self.hop_frames) // 2
        return slice(margin if window else 0, None if is_last else margin + self.hop_frames)


def step_samples(model: Model) -> int:
    """Samples of a score frame.

    Raises:
        InputError: the model fits every clip to a number of frames, so that its frames are no steps of time.
    """
    tagger = taggers_of(model)[0]
    if tagger.config.clip_frames is not None:
        raise InputError(
            "a model must keep a time axis to find events, this one repeats or thins every clip to "
            f"{tagger.config.clip_frames.num_frames} frames; train one by another recipe, such as class_frame"
        )
    return tagger.stride_frames * tagger.config.front_end.hop_samples


def whole_frames_samples(model: Model) -> int:
    """The longest recording whose frames are scored in one pass, samples: 30 s, or what fixed frames hold."""
    longest = samples_from_seconds(whole_s(model), model.rate_hz)
    fixed = model.config.fixed_frames
    return longest if fixed is None else min(longest, fixed * model.config.front_end.hop_samples)


def frame_windows(model: Model) -> FrameWindows:
    """The windows of a longer one: of the training length, in whole score frames, every half of it."""
    longest = min(window_samples(model), whole_frames_samples(model))
    frames = max(1, longest // step_samples(model))
    return FrameWindows(frames, max(1, frames // 2))


def framewise_clip_scores(model: Model, pack: Pack, rows: IntArray, *, device: torch.device) -> ScoredFrames:
    """The framewise scores of those clips that the pack holds, in their order.

    Clips too long to be scored whole are scored by `frame_windows`. Chunks that a model scores clips by play no part:
    frames are of the whole clip.

    Raises:
        InputError: the model keeps no time axis.
    """
    step, rate_hz, grid = step_samples(model), model.rate_hz, frame_windows(model)
    ready, clips = for_scoring(model).to(device), whole_clips(pack, rows)
    num_frames = np.array([frames_covering(int(n), step, rate_hz) for n in clips.num_samples], np.int64)
    scores = np.empty((int(num_frames.sum()), len(model.config.vocabulary)), np.float32)
    parts, places = _parts(clips, num_frames, grid, step, whole_frames_samples(model))

    def at_once(num_samples: int) -> int:
        return clips_at_once(ready, num_samples, device)

    def said_of(read: tuple[IntArray, Batch]) -> tuple[IntArray, FloatArray]:
        positions, batch = read
        with torch.inference_mode():
            said = ready(batch.waveform.to(device), batch.num_samples.to(device)).framewise.cpu().numpy()
        return positions, said

    read_ahead = prefetched(batches(ready.padded_samples, at_once, pack, parts))
    with progress_bar(len(parts), "scoring frames", "clip") as bar:
        for positions, said in on_all_cores(said_of, read_ahead, device):
            for position, frames in zip(positions, said, strict=True):
                begin, first, end = places[position]
                scores[begin : begin + end - first] = on_grid(frames, end)[first:]
            bar.update(len(positions))
    return ScoredFrames(clips.clip_index, clips.num_samples, num_frames, scores, step, rate_hz)


def on_grid(frames: FloatArray, count: int) -> FloatArray:
    """The first so many frames, (count, tag); the last one that a model has stands for one that it lacks.

    A front end whose frames lie inside the waveform can give a step less than the waveform has.
    """
    return frames[np.minimum(np.arange(count), len(frames) - 1)]


class _Place(NamedTuple):
    """The frames of a part that count, and where the first of them goes."""

    begin: int
    first: int
    end: int


def _parts(
    clips: Excerpts, num_frames: IntArray, grid: FrameWindows, step: int, whole: int
) -> tuple[Excerpts, list[_Place]]:
    """Clips whole, or their windows; and where the scores of each part go."""
    made: list[tuple[int, int, int]] = []
    places: list[_Place] = []
    begins = np.cumsum(num_frames) - num_frames
    for row, samples, frames, begin in zip(
        clips.clip_index.tolist(), clips.num_samples.tolist(), num_frames.tolist(), begins.tolist(), strict=True
    ):
        count = 1 if samples <= whole else grid.num_windows(frames)
        for window in range(count):
            first, is_last = window * grid.hop_frames, window == count - 1
            length = samples - first * step if is_last else grid.window_frames * step
            kept = grid.kept(window, is_last)
            end = frames - first if is_last else kept.stop
            made.append((row, first * step, length))
            places.append(_Place(begin + first + kept.start, kept.start, end))
    columns = np.array(made, np.int64).reshape(-1, 3).T
    return Excerpts(*columns), places
