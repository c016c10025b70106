"""What the rows of class-frame pseudo labels measure: trainings on a seed's test bed, events, pseudo labels."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.class_frame_bed import bed_of, splits_of
from benchmarks.harness import Bench
from benchmarks.label_quality import precision, recall
from earmark.data.dataset import Dataset
from earmark.data.frames import framewise
from earmark.data.layers import GIVEN, TRUTH
from earmark.data.packs import open_pack
from earmark.events.decisions import EventDecisions, decided_events, plain_decisions
from earmark.events.reference import metric_scores, reference_events, strong_clips
from earmark.events.tuning import best_decisions
from earmark.files import read_json, written_aside
from earmark.metrics.criteria import CRITERIA
from earmark.metrics.detection import detection_scores
from earmark.metrics.events import Events
from earmark.metrics.psds import PSDS_1, PSDS_2, psds
from earmark.models.tagger import load_model
from earmark.recipes.rounds import ROUNDS, RoundSettings
from earmark.relabel.class_frames import round_threshold
from earmark.relabel.round_figures import Round
from earmark.scores.framewise import ScoredFrames, framewise_clip_scores

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

CPU = torch.device("cpu")
F1 = {"event-based F1": "collar", "segment-based F1": "segment"}
"""The paper's names of what is found, and ours of the criteria."""
OF_STRONG = "strong set: event-based F1"
PARTS = ("test", "validation", "strong")


@dataclass(frozen=True)
class Cell:
    """A training: without pseudo labels, or with rounds of them, by which threshold; how tags are weighted."""

    rounds: Literal["none", "warm", "fresh"] = "warm"
    delta: float = 1 / 16
    class_weights: str = "exponential"

    def by(self, **changes: Any) -> "Cell":
        """The same with something else."""
        return replace(self, **changes)


WITH = Cell()
WITHOUT = WITH.by(rounds="none")
FRESH = WITH.by(rounds="fresh", delta=1 / 4)
FRESH_ROUNDS = 2


def changes_of(bench: Bench, cell: Cell) -> dict[str, Any]:
    """The settings of a cell where they are not the bench's own.

    Every model that is tested has learned for as many epochs: without rounds the first stage has all of them, and so
    has each fresh round.
    """
    settings, default = bench.resolved(), RoundSettings()
    epochs = settings["first_epochs"] + settings["rounds"] * settings["round_epochs"]
    parts: dict[str, dict[str, Any]] = {
        "none": {"first_epochs": epochs, "rounds": 0, "round_epochs": default.round_epochs, "delta": default.delta},
        "warm": {"delta": cell.delta},
        "fresh": {"rounds": FRESH_ROUNDS, "round_epochs": epochs, "delta": cell.delta, "restart": True},
    }
    return {"class_weights": cell.class_weights, **parts[cell.rounds]}


def run_of(bench: Bench, seed: int, cell: Cell) -> Path:
    """The run of a cell on the seed's test bed."""
    bed = bed_of(bench, seed)
    return bench.run_of(bed, changes_of(bench, cell), seed=seed, splits=splits_of(bed))


def scored_parts(bench: Bench, seed: int, cell: Cell) -> dict[str, ScoredFrames]:
    """The framewise scores of the test and validation clips and of the strong set; kept beside the run."""
    bed, run = bed_of(bench, seed), run_of(bench, seed, cell)
    with bench.timed(run.name):
        paths = {part: run / f"{part}-frames.npz" for part in PARTS}
        if not all(path.exists() for path in paths.values()):
            tagger, splits = load_model(run), splits_of(bed)
            strong = splits.train[strong_clips(bed)[splits.train]]
            pack = open_pack(bed, tagger.rate_hz)
            for part, rows in zip(PARTS, (splits.test, splits.validation, strong), strict=True):
                scored = framewise_clip_scores(tagger, pack, rows, device=CPU)
                with written_aside(paths[part]) as aside:
                    np.savez(aside, **vars(scored))
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        return {part: _read_scored(path) for part, path in paths.items()}


def _read_scored(path: Path) -> ScoredFrames:
    with np.load(path) as kept:
        return ScoredFrames(**{name: kept[name] if kept[name].ndim else int(kept[name]) for name in kept})


def events_found(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
    """How well a training finds the events of the test clips, by all criteria, all macro; and of those it learned from.

    "tuned" is with each tag's median filter and threshold that are best on the validation clips by the same criterion.
    """
    bed, parts = bed_of(bench, seed), scored_parts(bench, seed, cell)
    tags = bed.vocabulary.tags
    references = {part: reference_events(bed, GIVEN, scored) for part, scored in parts.items()}
    test, reference, plain = parts["test"], references["test"], plain_decisions(tags)
    values = {name: _f1(reference, test, plain, criterion) for name, criterion in F1.items()}
    for name, settings in {"PSDS 1": PSDS_1, "PSDS 2": PSDS_2}.items():
        values[name] = psds(reference, metric_scores(test), settings).value
    for name, criterion in F1.items():
        tuned, _ = best_decisions(parts["validation"], references["validation"], tags, CRITERIA[criterion])
        values[f"tuned {name}"] = _f1(reference, test, tuned, criterion)
    return {**values, OF_STRONG: _f1(references["strong"], parts["strong"], plain, "collar")}


def _f1(reference: Events, scored: ScoredFrames, decisions: EventDecisions, criterion: str) -> float:
    return detection_scores(CRITERIA[criterion].counts(reference, decided_events(scored, decisions))).macro_f1


def gain(bench: Bench, seed: int, cell: Cell, over: Cell) -> dict[str, float]:
    """What a cell is better by than another one on the same test bed."""
    values, base = (events_found(bench, seed, one) for one in (cell, over))
    return {f"{name} gain": values[name] - base[name] for name in values if name != OF_STRONG}


def round_labels(bench: Bench, seed: int, cell: Cell, number: int) -> dict[str, float]:
    """A round's pseudo labels beside what sounds in the clips: its threshold, the clips it took, frame by frame.

    Args:
        number: of the round, from 1.
    """
    bed, run = bed_of(bench, seed), run_of(bench, seed, cell)
    layer = f"{read_json(run / ROUNDS / 'layers.json')['prefix']}-round-{number:02d}"
    found = Round.read(bed, layer, run / ROUNDS / f"round-{number:02d}.parquet")
    # A grid is the model's: samples of a frame, samples a second.
    grid = scored_parts(bench, seed, cell)["test"]
    pseudo, truth = (_frames(bed, name, found.rows, grid) for name in (layer, TRUTH))
    return {
        "theta": round_threshold(number - 1, cell.delta),
        "accepted %": 100 * float(found.is_accepted.mean()),
        **frame_quality(pseudo, truth, bed.labels().rows(found.rows) >= 0.5, found.is_accepted),
    }


def frame_quality(
    pseudo: list[BoolArray], truth: list[BoolArray], given: BoolArray, is_accepted: BoolArray
) -> dict[str, float]:
    """Precision and recall over the cells of frame and tag of the accepted clips; recall over those of all clips too.

    Args:
        pseudo, truth: of each clip, (frame, tag).
        given: the clips' tags, (clip, tag).
        is_accepted: (clip,).
    """
    everywhere = [np.broadcast_to(tags, of.shape) for tags, of in zip(given, truth, strict=True)]
    accepted = np.concatenate([np.full(len(of), is_it) for of, is_it in zip(truth, is_accepted, strict=True)])
    found, true, spread = (np.concatenate(part) for part in (pseudo, truth, everywhere))
    return {
        "precision": precision(found[accepted], true[accepted]),
        "recall": recall(found[accepted], true[accepted]),
        "of all weak clips: recall": recall(found, true),
        "weak labels: precision": precision(spread[accepted], true[accepted]),
    }


def _frames(bed: Dataset, layer: str, rows: IntArray, grid: ScoredFrames) -> list[BoolArray]:
    """The frames that a layer's events are in, of each of some clips, (frame, tag)."""
    said = bed.statements(layer)
    num_samples = open_pack(bed, grid.rate_hz).num_samples
    return [
        framewise(
            said.of_clip(row),
            num_tags=len(bed.vocabulary),
            num_samples=int(num_samples[row]),
            hop_samples=grid.hop_samples,
            rate_hz=grid.rate_hz,
        )
        >= 0.5
        for row in rows.tolist()
    ]
