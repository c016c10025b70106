"""What staged training's rows measure: trainings on a seed's test bed, and figures of their scores and of what fell."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.harness import Bench
from benchmarks.label_quality import percent
from benchmarks.staged_bed import WRONG_RATE, Kind, bed_of, splits_of, truth_of, wrong_clips
from earmark.data.packs import open_pack
from earmark.files import written_aside
from earmark.metrics.tagging import lwlrap, mean_average_precision
from earmark.models.score_range import scaled
from earmark.models.tagger import load_model
from earmark.scores.predict import clip_scores
from earmark.tensor_files import load_tensors

CPU = torch.device("cpu")
HEADS: dict[str, dict[str, Any]] = {
    "sigmoid": {"head": "mean"},
    "softmax": {"head": "sigmoid_softmax"},
    "sparsemax": {"head": "sigmoid_sparsemax"},
}
RULES = ("verified", "none", "top-k", "threshold")
K = 3  # of eight unverified clips a batch, as near as can be to the paper's 10 of 32 and to the planted share
SELECTION: dict[str, dict[str, Any]] = {
    "verified": {"selection": "none"},
    "none": {"selection": "none"},
    "top-k": {"selection": "top_k", "selection_k": K},
    "threshold": {"selection": "threshold", "selection_k": K},
}
LOG = ("seen", "drop_step", "drop_clip", "cutoff_step", "cutoff")
HIDDEN = "~"  # figures for pictures, which stand in no table


@dataclass(frozen=True)
class Cell:
    """A training: by which head, which clips are dropped, what is learned from."""

    head: str
    rule: str
    kind: Kind = "recordings"
    wrong_rate: float = WRONG_RATE

    def by(self, **changes: Any) -> "Cell":
        """The same with something else."""
        return replace(self, **changes)


def changes_of(bench: Bench, cell: Cell) -> dict[str, Any]:
    """The settings of a cell where they are not the bench's own.

    Verified clips alone are learned from for as many steps in all: those of the second stage are the third's.
    """
    first, second, third = bench.resolved()["stage_steps"]
    steps = {"stage_steps": (first, 0, second + third)} if cell.rule == "verified" else {}
    return {**HEADS[cell.head], **SELECTION[cell.rule], **steps}


@dataclass(frozen=True)
class Measured:
    """What is kept of a training.

    Attributes:
        run: its folder.
        scores: of the test clips as the recipe gives them, each tag scaled by the validation clips, (clip, tag).
        unscaled: the same as the model's own.
        log: `LOG` of the selection; steps count from 0.
    """

    run: Path
    scores: npt.NDArray[np.float32]
    unscaled: npt.NDArray[np.float32]
    log: Mapping[str, npt.NDArray[Any]]


def measured(bench: Bench, seed: int, cell: Cell) -> Measured:
    """A cell's training on the seed's test bed; its checkpoints are kept as test scores and the selection's log."""
    bed = bed_of(bench, seed, cell.kind, cell.wrong_rate)
    splits = splits_of(bed, cell.kind, seed)
    run = bench.run_of(bed, changes_of(bench, cell), seed=seed, splits=splits)
    with bench.timed(run.name):
        path = run / "measured.npz"
        if not path.exists():
            tagger = load_model(run)
            score_range = tagger.config.score_range
            tagger.config = tagger.config.model_copy(update={"score_range": None})
            unscaled = clip_scores(tagger, open_pack(bed, tagger.rate_hz), splits.test, device=CPU)[1]
            tensors, _ = load_tensors(run / "checkpoints" / "last.safetensors")
            log = {name: tensors[f"selection.{name}"].numpy() for name in LOG}
            with written_aside(path) as aside:
                scores = scaled(torch.from_numpy(unscaled), score_range).numpy()
                np.savez(aside, scores=scores, unscaled=unscaled, **log)
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    kept = np.load(path)
    return Measured(run, kept["scores"], kept["unscaled"], {name: kept[name] for name in LOG})


def tagging(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
    """lwlrap and mAP on the true labels of the test clips; of soundscapes also of those with several tags."""
    bed, found = bed_of(bench, seed, cell.kind, cell.wrong_rate), measured(bench, seed, cell)
    truth = truth_of(bed).rows(splits_of(bed, cell.kind, seed).test) >= 0.5
    values = {"lwlrap": lwlrap(truth, found.scores), "mAP": mean_average_precision(truth, found.scores)}
    if cell.kind == "soundscapes":
        several = truth.sum(axis=1) > 1
        values |= {
            "clips with several": int(several.sum()),
            "lwlrap of these": lwlrap(truth[several], found.scores[several]),
        }
    return {**values, "lwlrap unscaled": lwlrap(truth, found.unscaled)}


def gain(bench: Bench, seed: int, cell: Cell, over: Cell) -> dict[str, float]:
    """What a cell is better by than another one on the same test bed."""
    values, base = (tagging(bench, seed, one) for one in (cell, over))
    return {
        f"{name} gain": values[name] - base[name] for name in ("lwlrap", "mAP", "lwlrap of these") if name in values
    }


def second_stage(bench: Bench) -> tuple[int, int]:
    """The first step of the second stage, counted from 0, and that after its last."""
    first, second, _ = bench.resolved()["stage_steps"]
    return first, first + second


def dropped(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
    """How many of the dropped clips are wrongly labelled, in all and by step, beside how many of all unverified ones.

    Every time that a clip was judged counts, and both clips of a mixture.
    """
    wrong = wrong_clips(bed_of(bench, seed, cell.kind, cell.wrong_rate))
    log = measured(bench, seed, cell).log
    seen, step, is_wrong = log["seen"], log["drop_step"], wrong[log["drop_clip"]]
    values = {
        "chance %": percent(seen[wrong].sum(), seen.sum()),
        "wrong %": percent(is_wrong.sum(), len(is_wrong)),
        "of all dropped %": percent(len(is_wrong), seen.sum()),
        "of the wrong dropped %": percent(is_wrong.sum(), seen[wrong].sum()),
    }
    (begin, end), width = second_stage(bench), bench.resolved()["epoch_steps"]
    for first in range(begin, end, width):
        here = (step >= first) & (step < first + width)
        values[f"steps {first + 1} to {first + width}: wrong %"] = percent(is_wrong[here].sum(), here.sum())
    return values


def curves(bench: Bench, seed: int, cell: Cell) -> dict[str, float]:
    """Fig. 4's values: F-score and loss at the end of each stage, the threshold; and all of them by step, hidden."""
    found = measured(bench, seed, cell)
    records = [json.loads(line) for line in (found.run / "metrics.jsonl").read_text("utf-8").splitlines()]
    by_step = {record["step"]: (record["validation"]["macro_f1"], record["train_loss"]) for record in records}
    ends = np.cumsum(bench.resolved()["stage_steps"]).tolist()
    values = {
        f"{name} after stage {stage}": by_step[end][place]
        for place, name in enumerate(("F-score", "loss"))
        for stage, end in enumerate(ends, 1)
    }
    cutoff = found.log["cutoff"]
    later = cutoff[len(cutoff) // 2 :]
    values |= {"threshold": float(np.mean(later)), "deviation of the threshold": float(np.std(later))}
    values |= {
        f"{HIDDEN}{name} at {step}": pair[place]
        for step, pair in by_step.items()
        for place, name in enumerate(("F-score", "loss"))
    }
    return values | {
        f"{HIDDEN}threshold at {step + 1}": float(loss)
        for step, loss in zip(found.log["cutoff_step"], cutoff, strict=True)
    }
