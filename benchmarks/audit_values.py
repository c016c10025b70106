"""What the audit's rows measure: how early planted errors come in an order of labels, and how many are estimated."""

import os
import subprocess
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.audit_bed import Kind, bed_of
from benchmarks.harness import Bench, key_of
from benchmarks.label_quality import percent
from earmark.audit.audited import Audited, audited_labels
from earmark.audit.noise import Noise, Share, estimate_noise
from earmark.audit.suspicion import fit_odds
from earmark.data.layers import GIVEN, TRUTH
from earmark.data.ontology import audioset_ontology
from earmark.errors import InputError
from earmark.metrics.tagging import average_precision
from earmark.recipes.audit_scores import scores_for_audit
from earmark.recipes.job import Request

Fault = Literal["wrong", "missing", "either"]
BoolArray = npt.NDArray[np.bool_]

FOLDS = 4
FIRST = (50, 100)
LISTED = 0.0  # log odds of an error: as likely one as not
CLEANLAB = "cleanlab==2.9.0"
SCRIPT = Path(__file__).parent / "audit_cleanlab.py"
CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"


@dataclass(frozen=True)
class Cell:
    """Which labels are put in order: those given (wrong ones are to come first), those lacking (missing ones), all."""

    kind: Kind
    fault: Fault


@dataclass(frozen=True, eq=False)
class Order:
    """An order of labels.

    Attributes:
        error: the more the likelier the label is one, (clip, tag).
        listed: which labels are said to be errors, (clip, tag).
    """

    error: npt.NDArray[np.floating[Any]]
    listed: BoolArray


def audited(bench: Bench, seed: int, kind: Kind) -> tuple[Audited, BoolArray]:
    """The labels of a seed's test bed beside out-of-fold scores, trained unless there; and the truth, (clip, tag)."""
    bed = bed_of(bench, seed, kind)
    settings = bench.resolved()
    folder = bench.work / "scores" / f"{bed.name}-{key_of(settings, bed.digest, bed.labels().digest, FOLDS)}"
    with bench.timed(folder.name):
        store = scores_for_audit(bench.recipe, Request(dataset=bed, run=folder, seed=seed), settings, FOLDS)
    found = audited_labels(bed, store, GIVEN, audioset_ontology())
    return found, bed.labels(TRUTH).rows(found.rows) >= 0.5


def noise_of(found: Audited) -> Noise:
    """The audit's estimates."""
    return estimate_noise(found.given, found.judged, found.scores, found.groups)


def by_audit(bench: Bench, seed: int, kind: Kind) -> Order:
    """The audit's order."""
    found, _ = audited(bench, seed, kind)
    noise = noise_of(found)
    odds = fit_odds(found.given, found.judged, found.scores, noise.wrong_rate, noise.missing_rate)
    error = odds.of_error(found.given, found.scores)
    return Order(error, (error >= LISTED) & (odds.slope > 0))


def by_cleanlab(bench: Bench, seed: int, kind: Kind) -> Order:
    """cleanlab's: each label by its quality, self-confidence; listed is what its filter says."""
    found, _ = audited(bench, seed, kind)
    python = cleanlab_python(bench.work)
    if not python.exists():
        make_environment(python.parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        arrays, result = Path(folder) / "arrays.npz", Path(folder) / "result.npz"
        np.savez(arrays, given=found.given, scores=found.scores)
        subprocess.run([python, SCRIPT, arrays, result], check=True, capture_output=True)
        said = np.load(result)
        return Order(-said["quality"], said["listed"].astype(bool))


def cleanlab_python(work: Path) -> Path:
    """The interpreter that has cleanlab, if there is one."""
    return work / "cleanlab" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_environment(folder: Path) -> None:
    """An environment with cleanlab and nothing of this project's.

    Raises:
        InputError: pip cannot install it.
    """
    venv.create(folder, with_pip=True, clear=True)
    python = cleanlab_python(folder.parent)
    words = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", CONSTRAINTS, CLEANLAB]
    answer = subprocess.run(words, capture_output=True, text=True)
    if answer.returncode:
        python.unlink()
        raise InputError(f"{folder}: {CLEANLAB} cannot be installed, {answer.stderr.strip().splitlines()[-1]}")


def ordered(bench: Bench, seed: int, cell: Cell, by: str) -> dict[str, float]:
    """How many of the first are planted errors, average precision; what is listed, and how much of what was planted."""
    found, truth = audited(bench, seed, cell.kind)
    planted, part = _asked(found, truth, cell)
    if by == "chance":
        rate = planted.mean()
        return {**{f"P@{first} %": 100 * rate for first in FIRST}, "AP": rate, "planted": int(planted.sum())}
    order = (by_audit if by == "audit" else by_cleanlab)(bench, seed, cell.kind)
    return {**measures(order.error[part], order.listed[part], planted), "planted": int(planted.sum())}


def measures(error: npt.NDArray[np.floating[Any]], listed: BoolArray, planted: BoolArray) -> dict[str, float]:
    """What is measured of an order of labels, each (label,)."""
    # Of equal ones the first in the data comes first: no order is helped by it.
    order = np.argsort(-error, kind="stable")
    ranks = np.unique(error, return_inverse=True)[1].reshape(-1, 1)
    precision = average_precision(planted[:, None], ranks / max(int(ranks.max(initial=0)), 1))
    right = int(np.count_nonzero(listed & planted))
    return {
        **{f"P@{first} %": 100 * float(planted[order[:first]].mean()) for first in FIRST},
        "AP": float(precision[0]),
        "listed": int(np.count_nonzero(listed)),
        "right of the listed %": percent(right, int(np.count_nonzero(listed))),
        "recall %": percent(right, int(np.count_nonzero(planted))),
    }


def gain(bench: Bench, seed: int, cell: Cell, over: str) -> dict[str, float]:
    """What the audit's order is better by than another one of the same scores."""
    values, base = (ordered(bench, seed, cell, by) for by in ("audit", over))
    return {f"{name} gain": values[name] - base[name] for name in ("P@50 %", "P@100 %", "AP")}


def estimates(bench: Bench, seed: int, kind: Kind) -> dict[str, float]:
    """The estimated shares of errors beside the planted ones, and the tags whose interval holds their own."""
    found, truth = audited(bench, seed, kind)
    noise, given = noise_of(found), found.given
    wrong = _shares(given & ~truth, given)
    missing = _shares(truth & ~given, truth)
    return {
        **_beside("wrong", noise.all_wrong, noise.wrong, (given & ~truth).sum() / given.sum(), wrong),
        **_beside("missing", noise.all_missing, noise.missing, (truth & ~given).sum() / truth.sum(), missing),
    }


def _beside(
    name: str, all_: Share, by_tag: Share, true: float, true_by_tag: npt.NDArray[np.float64]
) -> Mapping[str, float]:
    holds = (by_tag.low <= true_by_tag) & (true_by_tag <= by_tag.high)
    return {
        f"{name}, planted %": 100 * float(true),
        f"{name}, estimated %": 100 * float(all_.value[0]),
        f"{name}: mean error by tag %": 100 * float(np.nanmean(np.abs(by_tag.value - true_by_tag))),
        f"{name}: tags in their interval %": 100 * float(holds.mean()),
    }


def _asked(found: Audited, truth: BoolArray, cell: Cell) -> tuple[BoolArray, BoolArray]:
    """Which of the labels asked about are planted errors, (label,), and which are asked about, (clip, tag)."""
    part = {"wrong": found.given, "missing": ~found.given, "either": np.ones_like(found.given)}[
        cell.fault
    ] & found.judged
    return (found.given != truth)[part], part


def _shares(part: BoolArray, whole: BoolArray) -> npt.NDArray[np.float64]:
    """The share of each tag, (tag,)."""
    shares: npt.NDArray[np.float64] = part.sum(axis=0) / np.maximum(whole.sum(axis=0), 1)
    return shares
