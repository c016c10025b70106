"""Scoring, ours: a network's forward pass, and recordings tagged from their files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.speed.inputs import features, recordings, sound, use_one_core
from benchmarks.speed.ours.networks import NETWORKS
from earmark.data.audio.reading import blocks
from earmark.models.inference import clips_at_once, for_scoring
from earmark.models.tagger import Tagger
from earmark.scores.scorer import LONG_S
from earmark.tagging import RecordingTagger, Tagged

CPU = torch.device("cpu")
RATE_HZ = 16000
NUM_SAMPLES = 10 * RATE_HZ
CLIPS = {"efficientnet_b2": 16, "mobilenetv2": 64}
RECORDINGS = 40


def forward(name: str, num_clips: int, precision: str, work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """Scores (clip, tag) of features, in the batches that a scorer makes of a CPU's waveforms."""
    tagger = for_scoring(NETWORKS[name].filled_tagger(), precision)
    num_frames = tagger.padded_frames(tagger.front_end.num_frames(NUM_SAMPLES))
    clips = torch.from_numpy(features(num_clips, num_frames, tagger.config.front_end.num_mels))
    batches = clips.split(clips_at_once(tagger, NUM_SAMPLES, CPU))

    @torch.inference_mode()
    def score() -> npt.NDArray[np.float32]:
        return torch.cat([torch.sigmoid(tagger.logits(batch).clipwise) for batch in batches]).numpy()

    return score


efficientnet_b2_fp32, mobilenetv2_fp32 = (partial(forward, name, CLIPS[name], "fp32") for name in CLIPS)
efficientnet_b2_bf16, mobilenetv2_bf16 = (partial(forward, name, CLIPS[name], "bf16") for name in CLIPS)


def tagging(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """What `earmark tag` does with a folder: scores (recording, tag)."""
    tagger = RecordingTagger(NETWORKS["mobilenetv2"].filled_tagger(), CPU)
    paths = [str(path) for path in recordings(work, "ogg", RECORDINGS, 44100)]
    return lambda: np.stack([tagged.scores for tagged in tagger.tag(paths) if isinstance(tagged, Tagged)])


def tagging_on_one_core(work: Path) -> Callable[[], npt.NDArray[np.float32]]:
    """The same on one core."""
    _use_one_core()
    return tagging(work)


def decoding(work: Path) -> Callable[[], None]:
    """The folder's recordings as a tagger reads them, on one core."""
    _use_one_core()
    paths = recordings(work, "ogg", RECORDINGS, 44100)

    def decode() -> None:
        for path in paths:
            for _ in blocks(path, RATE_HZ, LONG_S):
                pass

    return decode


def log_mel(work: Path) -> Callable[[], None]:
    """The features of as much sound, on one core."""
    _use_one_core()
    tagger: Tagger = NETWORKS["mobilenetv2"].tagger()
    batches = torch.from_numpy(sound(RECORDINGS, RATE_HZ)).split(clips_at_once(tagger, NUM_SAMPLES, CPU))

    def make_features() -> None:
        for batch in batches:
            tagger.features(batch)

    return make_features


def forward_of_folder(work: Path) -> Callable[[], None]:
    """The forward pass over as much sound, on one core."""
    _use_one_core()
    score = forward("mobilenetv2", RECORDINGS, "fp32", work)

    def score_alone() -> None:
        score()

    return score_alone


def _use_one_core() -> None:
    # Threads that wait for each other on one core would count as work.
    use_one_core()
    torch.set_num_threads(1)
