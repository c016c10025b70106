"""What a long recording's events owe to being scored by windows: beside those of one pass over all of it."""

import numpy as np
import soundfile
import torch

from benchmarks.class_frame_bed import bed_of, splits_of
from benchmarks.class_frame_values import CPU, Cell, run_of
from benchmarks.harness import Bench
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import Pack, open_pack
from earmark.events.decisions import decided_events, plain_decisions
from earmark.metrics.collar_based import Collars, collar_based_counts
from earmark.models.inference import for_scoring
from earmark.models.tagger import Tagger, load_model
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores, on_grid

JOINED = 12
"""Test clips in a row make one recording: a minute, which is scored by windows of a clip's length."""


def by_windows(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
    """How a training's scores and decisions of long recordings differ between windows and one pass."""
    bed = bed_of(bench, seed)
    tagger = load_model(run_of(bench, seed, cell))
    pack = open_pack(_long(bench, bed, tagger.rate_hz), tagger.rate_hz)
    windows = framewise_clip_scores(tagger, pack, np.arange(len(pack.num_samples)), device=CPU)
    whole = ScoredFrames(**{**vars(windows), "scores": _in_one_pass(tagger, pack, windows)})
    decisions = plain_decisions(bed.vocabulary.tags)
    events, reference = (decided_events(scored, decisions) for scored in (windows, whole))
    frame_s = windows.hop_samples / windows.rate_hz
    counts = collar_based_counts(reference, events, Collars(frame_s, frame_s, 0.0))
    alike = (windows.scores >= 0.5) == (whole.scores >= 0.5)
    return {
        "recordings": len(windows.num_frames),
        "mean difference of scores": float(np.abs(windows.scores - whole.scores).mean()),
        "largest": float(np.abs(windows.scores - whole.scores).max()),
        "decisions alike %": 100 * float(alike.mean()),
        "events of one pass found within a frame %": 100 * counts.true_positives.sum() / max(len(reference), 1),
    }


def _long(bench: Bench, bed: Dataset, rate_hz: int) -> Dataset:
    """The test clips one after another, a dozen a recording, as a data set; made unless it is there."""
    folder = bench.work / "beds" / f"{bed.name}-long"
    if not (folder / "dataset.json").exists():
        pack, rows = open_pack(bed, rate_hz), splits_of(bed).test
        for first in range(0, len(rows), JOINED):
            path = folder.with_name(f"{folder.name}-audio") / "long" / f"{first:04d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            clips = [pack.clip(int(row)) for row in rows[first : first + JOINED]]
            soundfile.write(path, np.concatenate(clips), rate_hz)
        import_dataset(path.parent.parent, folder)
    return open_dataset(folder)


def _in_one_pass(tagger: Tagger, pack: Pack, like: ScoredFrames) -> np.ndarray:
    """The scores of whole recordings, (frame, tag)."""
    ready, scores = for_scoring(tagger), []
    for row, count in zip(like.clip_index.tolist(), like.num_frames.tolist(), strict=True):
        waveform = pack.clip(row)
        padded = np.zeros((1, ready.padded_samples(len(waveform))), np.int16)
        padded[0, : len(waveform)] = waveform
        with torch.inference_mode():
            said = ready(torch.from_numpy(padded), torch.tensor([len(waveform)])).framewise[0].numpy()
        scores.append(on_grid(said, count))
    return np.concatenate(scores)
