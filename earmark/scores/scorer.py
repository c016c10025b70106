"""Anything that scores waveforms in one form: a model made ready for it, or any callable."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from earmark.data.chunking import Chunking
from earmark.errors import InputError
from earmark.models.ensemble import Ensemble, Model, taggers_of
from earmark.models.inference import MOST_AT_ONCE, clips_at_once, for_scoring
from earmark.timing import samples_from_seconds

LONG_S = 30.0
"""Recordings over this many seconds are scored in windows of the training length."""
WINDOW_S = 10.0

# The scale of packed waveforms.
_FULL_SCALE = 2.0**-15


@dataclass(frozen=True)
class Scorer:
    """What scores waveforms: tags, rate, and how batches are to be made for it.

    Attributes:
        rate_hz: the sample rate of the waveforms.
        digest: what it is, by content; a callable's is the name that it was given.
        device: where it computes, several batches at the same time on a CPU; None: one batch after another.
        padded_samples: the length that a waveform of so many samples is padded or cut to.
        clips_at_once: how many waveforms of a padded length are best scored together.
        score: clipwise scores (clip, tag) in [0, 1] of waveforms (clip, sample), int16 as packed, or float32 in
            [-1, 1], and their valid samples (clip,).
        chunking: excerpts that it is given are cut so and scored by the mean over their chunks; None: as they are.
        whole_samples: the longest clip that is scored whole.
        window_samples: longer ones are scored in windows of so many samples.
    """

    tags: tuple[str, ...]
    rate_hz: int
    digest: str
    device: torch.device | None
    padded_samples: Callable[[int], int]
    clips_at_once: Callable[[int], int]
    score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    chunking: Chunking | None
    whole_samples: int
    window_samples: int


def model_scorer(model: Model, device: torch.device, digest: str | None = None, *, precision: str = "fp32") -> Scorer:
    """A model as a scorer, its BatchNorms folded once; the given model stays as it is.

    Args:
        digest: what it is called; None: by its settings and weights. A model in a folder is called by its files, see
            `digest_of_model`.
        precision: fp32 or bf16, see `for_scoring`.
    """
    ready = for_scoring(model, precision).to(device)

    def score(waveform: torch.Tensor, num_samples: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            scores = ready(waveform.to(device), num_samples.to(device)).clipwise
            assert isinstance(scores, torch.Tensor)
            return scores

    return Scorer(
        tags=model.config.vocabulary,
        rate_hz=model.rate_hz,
        digest=digest or _digest_of(model),
        device=device,
        padded_samples=ready.padded_samples,
        clips_at_once=lambda num_samples: clips_at_once(ready, num_samples, device),
        score=score,
        chunking=model.config.chunking,
        whole_samples=samples_from_seconds(whole_s(model), model.rate_hz),
        window_samples=window_samples(model),
    )


def callable_scorer(
    function: Callable[[torch.Tensor, torch.Tensor], Any], tags: Sequence[str], rate_hz: int, name: str
) -> Scorer:
    """Any function as a scorer; waveforms of one length come together and are never padded.

    Args:
        function: given waveforms float32 (chunk, sample) in [-1, 1] and their valid samples int64 (chunk,), gives
            scores (chunk, tag) in [0, 1], as numpy or torch.
        name: says which function it is: scores that were stored under it are taken for its own.

    Raises:
        InputError: when it scores, if it gives something else.
    """

    def score(waveform: torch.Tensor, num_samples: torch.Tensor) -> torch.Tensor:
        is_packed = waveform.dtype == torch.int16
        scores = torch.as_tensor(function(waveform * _FULL_SCALE if is_packed else waveform, num_samples)).detach()
        _check(scores, (len(waveform), len(tags)), name)
        return scores.float()

    return Scorer(
        tags=tuple(tags),
        rate_hz=rate_hz,
        digest=name,
        device=None,
        padded_samples=lambda num_samples: num_samples,
        clips_at_once=lambda num_samples: MOST_AT_ONCE,
        score=score,
        chunking=None,
        whole_samples=samples_from_seconds(LONG_S, rate_hz),
        window_samples=samples_from_seconds(WINDOW_S, rate_hz),
    )


def whole_s(model: Model) -> float:
    """The longest recording that is scored whole, seconds: 30 s, or the frames that clips are fitted to.

    A longer one would be thinned more than what was learned from; one of the training length is never too long.
    """
    config = model.config
    if config.clip_frames is None:
        return LONG_S
    fitted_s = config.clip_frames.num_frames * config.front_end.hop_samples / config.front_end.rate_hz
    return min(LONG_S, max(fitted_s, config.training_length_s or 0))


def window_samples(model: Model) -> int:
    """The window that long recordings are scored in: the training length, or 10 s where the model does not say."""
    return samples_from_seconds(model.config.training_length_s or WINDOW_S, model.rate_hz)


def _check(scores: torch.Tensor, shape: tuple[int, int], name: str) -> None:
    if tuple(scores.shape) != shape:
        raise InputError(f"{name}: must give scores (chunk, tag) {shape}, got {tuple(scores.shape)}")
    if not bool(((scores >= 0) & (scores <= 1)).all()):
        wrong = scores[~((scores >= 0) & (scores <= 1))][0]
        raise InputError(f"{name}: must give scores in [0, 1], got {wrong.item():g}")


def _digest_of(model: Model) -> str:
    """A short name of a model by its settings and weights, wherever it is kept."""
    mean = model.mean if isinstance(model, Ensemble) else ""
    about = "\n".join([mean, *(tagger.config.model_dump_json() for tagger in taggers_of(model))])
    sha = hashlib.sha256(about.encode())
    for name, tensor in sorted(model.state_dict().items()):
        sha.update(name.encode())
        sha.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return sha.hexdigest()[:16]
