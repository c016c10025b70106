"""The label audit on data with planted errors: how early they come in its order, beside cleanlab's and chance.

Recordings are ESC-10, a quarter of whose labels are wrong: another tag stands in the place of the right one, which is
thereby missing. Soundscapes are mixed of it, with one to three sounds; a fifth of their labels are missing, and 15 % of
the others are wrong. Each seed has its own faults and its own soundscapes. All clips are audited and none is kept to
test on: what is measured is how early planted errors come. Scores are of four models, each trained without a fold and
scoring that one; all orders are of the same scores. cleanlab's ranking is `get_label_quality_scores_per_class` with its
default, self-confidence: the score of a given tag, one less the score of one that is not given. What it lists is what
its `find_multilabel_issues_per_class` says; the audit lists what is as likely an error as not. The audit's formula was
chosen on other seeds.
"""

import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.audit_bed import MISSING_RATE, WRONG_RATE, fault_settings
from benchmarks.audit_values import CLEANLAB, FOLDS, Cell, cleanlab_python, estimates, gain, ordered
from benchmarks.command import main
from benchmarks.harness import Bench, Row
from earmark.config import values_of
from earmark.data.synthesis import MixSettings

FULL: dict[str, Any] = {"epochs": 8, "batch_size": 16}
SMOKE = {**FULL, "epochs": 1, "backbone": "crnn_small", "pretrained": None, "warmup_steps": 0}
MIX = {
    "num_clips": 400, "validation_share": 0.0, "test_share": 0.0, "clip_s": 5.0, "rate_hz": 16000,
    "min_events": 1, "max_events": 3, "max_event_s": 2.5, "min_snr_db": 6.0, "max_snr_db": 20.0,
}  # fmt: skip
SEEDS = (1, 2, 3)
SMOKE_CLIPS = 60
SMOKE_ROWS = ("soundscapes-wrong-audit", "soundscapes-noise")

CELLS = (
    Cell("recordings", "wrong"), Cell("recordings", "missing"), Cell("recordings", "either"),
    Cell("soundscapes", "wrong"), Cell("soundscapes", "missing"), Cell("soundscapes", "either"),
)  # fmt: skip
TITLES = {"wrong": "Wrong labels", "missing": "Missing labels", "either": "Wrong and missing labels in one order"}
ORDERS = {"audit": "audit", "cleanlab": "cleanlab", "chance": "chance"}
GAINS = "What the audit's order gains over cleanlab's"
NOISE = "Estimated shares of errors"

CAPTIONS = {
    GAINS: "Of the same scores, so paired by seed.",
    NOISE: "Wrong: of the labels given; missing: of the true ones. The error by tag is the mean distance of a tag's "
    "estimate from what was planted in it. Of the tags' intervals 95 % would hold it, if models themselves made no "
    "errors.",
}
REMARKS: dict[str, str] = {}

# One is a training with three quarters of a bed's clips, with its scoring; test beds in parts of it.
BED_COST, SCENES_COST = 0.1, 0.5


def rows(cleanlab: bool) -> list[Row]:
    """The rows, most important first.

    Args:
        cleanlab: whether it is there, or may be installed.
    """
    missing = "" if cleanlab else "cleanlab in an environment of its own: CLEANLAB=1 makes one in the work folder"
    made: list[Row] = []
    seen: set[str] = set()
    for cell in CELLS:
        for by, title in ORDERS.items():
            cost = 0.0 if cell.kind in seen else FOLDS + (SCENES_COST if cell.kind == "soundscapes" else BED_COST)
            seen.add(cell.kind)
            values = functools.partial(ordered, cell=cell, by=by)
            row = Row(f"{cell.kind}-{cell.fault}-{by}", title, _table(cell), values, cost)
            made.append(replace(row, missing=missing) if by == "cleanlab" else row)
    for kind in ("recordings", "soundscapes"):
        made.append(Row(f"{kind}-noise", kind, NOISE, functools.partial(estimates, kind=kind), 0.0))
    for cell in CELLS:
        values = functools.partial(gain, cell=cell, over="cleanlab")
        made.append(Row(f"gain-{cell.kind}-{cell.fault}", _table(cell), GAINS, values, 0.0, missing=missing))
    return [replace(row, remark=REMARKS.get(row.name, "")) for row in made]


def _table(cell: Cell) -> str:
    return f"{TITLES[cell.fault]}, {cell.kind}"


def make(scale: str, work: Path, results: Path) -> Bench:
    """The benchmark at a scale."""
    is_smoke = scale == "smoke"
    has_cleanlab = bool(os.environ.get("CLEANLAB")) or cleanlab_python(work).exists()
    bench = Bench(
        name="audit",
        title="The label audit on data with planted errors",
        rows=rows(has_cleanlab),
        recipe="baseline",
        settings=SMOKE if is_smoke else FULL,
        seeds=SEEDS[:1] if is_smoke else SEEDS,
        work=work,
        results=results,
        made_of={
            "mix": values_of(MixSettings(**{**MIX, **({"num_clips": SMOKE_CLIPS} if is_smoke else {})})),
            "faults": {kind: values_of(fault_settings(kind)) for kind in ("recordings", "soundscapes")},
            "rates": [WRONG_RATE, MISSING_RATE],
            "folds": FOLDS,
            "cleanlab": CLEANLAB,
        },
        captions=CAPTIONS,
        note=__doc__.partition("\n\n")[2].strip(),
    )
    return replace(bench, rows=bench.named(SMOKE_ROWS)) if is_smoke else bench


if __name__ == "__main__":
    main(make)
