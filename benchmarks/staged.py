"""Staged training on ESC-10 with planted wrong labels: rules and heads beside the paper's tables and its Fig. 4.

A test bed is ESC-10, or soundscapes made of it; a quarter of the training clips is verified, and 40 % of the labels of
the others are wrong unless a row says otherwise. One fold is tested on, by its true labels; the next one is validated
on, rightly labelled too: it scales scores by tag and draws Fig. 4, but chooses nothing, as the last weights are tested.
"Verified only" takes as many steps as the others, so that none has more time to learn. Of a batch of the second stage
half is unverified, eight clips, and both rules look at the third largest of their losses. Each seed has its own test
fold; settings were chosen on fold 1, which is none of these.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.beds import FOLDS, fold_of, validation_fold_of
from benchmarks.command import main
from benchmarks.harness import Bench, Row
from benchmarks.staged_bed import WRONG_RATE, fault_settings
from benchmarks.staged_pictures import fig_4
from benchmarks.staged_values import HEADS, RULES, SELECTION, Cell, curves, dropped, gain, tagging
from earmark.config import values_of
from earmark.data.synthesis import MixSettings

# Light masks and little mixup: so few steps have no time to gain from more.
FULL: dict[str, Any] = {
    "stage_steps": (60, 60, 30), "epoch_steps": 15, "batch_size": 16, "clip_frames": 160, "window_frames": 128,
    "backbone": "efficientnet_lite0", "pretrained": "bundled", "learning_rate": 1e-3, "warmup_steps": 20,
    "mixup_rate": 0.25, "time_warp_frames": 0, "frequency_masks": 1, "time_masks": 1,
}  # fmt: skip
SMOKE = {
    **FULL, "stage_steps": (2, 4, 2), "epoch_steps": 2, "backbone": "crnn_small", "pretrained": None, "warmup_steps": 0
}  # fmt: skip
SMOKE_EVERY = 4  # of ESC-10's clips, which are by tag and then by fold: two of each
SMOKE_ROWS = ("sparsemax-threshold", "fig-4-threshold")
MIX = {
    "num_clips": 600, "validation_share": 80 / 600, "test_share": 160 / 600, "clip_s": 5.0, "rate_hz": 16000,
    "min_events": 1, "max_events": 3, "max_event_s": 2.5, "min_snr_db": 6.0, "max_snr_db": 20.0,
}  # fmt: skip
NOISE = (0.0, 0.2, WRONG_RATE, 0.6)

# Settings were chosen on fold 1, with another seed: no test fold is among these seeds' that is fold 1.
SEEDS = (1, 2, 3)

HEAD_NAMES = {"sigmoid": "sigmoid", "softmax": "sigmoid-softmax", "sparsemax": "sigmoid-sparsemax"}
RULE_NAMES = {"verified": "verified only", "none": "none", "top-k": "top-k", "threshold": "threshold"}
# Four folds, private set.
PAPER_TABLE_1 = {
    ("sigmoid", "verified"): (0.8417, 0.7155), ("sigmoid", "top-k"): (0.8512, 0.7253),
    ("sigmoid", "threshold"): (0.8569, 0.7278), ("softmax", "verified"): (0.8376, 0.7207),
    ("softmax", "top-k"): (0.8561, 0.7388), ("softmax", "threshold"): (0.8617, 0.7402),
    ("sparsemax", "verified"): (0.8423, 0.7236), ("sparsemax", "top-k"): (0.8602, 0.7372),
    ("sparsemax", "threshold"): (0.8631, 0.7411),
}  # fmt: skip
PAPER_TABLE_2 = {("softmax", "threshold"): 0.7825, ("sparsemax", "threshold"): 0.7910}
PAPER_FIG_4 = {
    "top-k": "",
    "threshold": "from the second stage on a higher F-score and a lower loss than top-k; a steadier threshold",
}

TABLE_1 = "Heads and rules on recordings (Table 1)"
TABLE_1_GAINS = "What rules and heads gain on recordings"
DROPPED = "Wrong labels among the dropped, by step"
FIG_4 = "F-score, loss and threshold by step (Fig. 4)"
SCENES = "Heads and rules on soundscapes, and on those with several tags (Table 2)"
SCENES_GAINS = "What rules and heads gain on soundscapes"
NOISE_TABLE = "Rules by the share of wrong labels, sigmoid-sparsemax"
NOISE_GAINS = "What rules gain by the share of wrong labels, sigmoid-sparsemax"

CAPTIONS = {
    TABLE_1: 'Scores as the recipe gives them, each tag\'s scaled by the validation clips; "unscaled" is the same '
    'models\' own. The rule "none" learns from all clips and drops none. In the paper: lwlrap on four folds, and on '
    "the private set.",
    TABLE_1_GAINS: "Between trainings on the same test bed, so paired by seed.",
    DROPPED: "Chance is the share of wrongly labelled clips among the unverified ones that were judged; a clip counts "
    "each time, and both clips of a mixture do. The paper could measure none of this.",
    FIG_4: "Sigmoid-sparsemax. The F-score is the macro F1 at .5 on the validation clips; the loss is that of training "
    "since the validation before, in which a dropped clip counts as 0; the threshold is the loss from which clips are "
    "dropped, its mean and deviation over the later half of the second stage.",
    SCENES: "Soundscapes of 5 s with one to three sounds over pink noise; 40 % of the labels of unverified ones name a "
    "tag that does not sound. The paper's Table 2 does not say which rule it is of; ours is the threshold.",
    SCENES_GAINS: "Paired by seed, as above.",
    NOISE_TABLE: "The same clips are verified at every share, and a greater one plants what a smaller one does and "
    f"more; {100 * WRONG_RATE:g} % are the trainings of Table 1. What is looked at, the k-th largest loss, stays the "
    "same: the paper sets k by the share of wrong labels, which one seldom knows.",
    NOISE_GAINS: "Paired by seed, as above.",
}
# What is to be said of a row's values, by its name: the likely reason where something does not help.
REMARKS: dict[str, str] = {
    "sigmoid-none": "without dropping, the unverified clips cost more than they bring, by every head.",
    "sparsemax-verified": "every row of sigmoid-sparsemax is below sigmoid's, unlike the paper's. Likely reasons: "
    "sparsemax's loss has no gradient for tags outside its support, and none at all once a clip's margin is 1, so that "
    "in 150 steps the features learn less by it (the paper trains for 25,000); and its exact zeros tie the ranks of "
    "most tags.",
    "gain-sparsemax-top-k-over-verified": "with this head even the verified clips alone are better than any rule; the "
    "deviations are as large as the differences.",
    "gain-softmax-threshold-over-top-k": "the smoothed threshold drops fewer clips than top-k (see the next table): "
    "those that it drops are wrong more often, but more wrong ones stay.",
    "dropped-sigmoid-threshold": "the selection itself works by all heads and from its first steps on: about twice as "
    "many wrong labels among the dropped as by chance.",
    "gain-noise-0-threshold-over-none": "where nothing is wrong there is nothing to gain; the gain grows with the "
    "share of wrong labels, up to 40 %.",
    "fig-4-threshold": "the threshold is several times as steady as top-k's, as in the paper (it is an average over "
    "steps); F-score and loss are not told apart here.",
}

# One is a training on recordings with its scoring; beds are from the seconds of single pieces of work.
BED_COST, SCENES_COST, SHARED_COST = 0.3, 0.5, 0.0


def rows() -> list[Row]:
    """The rows, most important first."""
    made = [*_table_1(), *_dropped_rows(), *_fig_4(), *_scenes(), *_noise()]
    return [replace(row, remark=REMARKS.get(row.name, "")) for row in made]


def _table_1() -> list[Row]:
    cells = [Cell(head, rule) for head in HEADS for rule in RULES]
    grid = [
        Row(
            _name(cell), f"{HEAD_NAMES[cell.head]}, {RULE_NAMES[cell.rule]}", TABLE_1,
            functools.partial(tagging, cell=cell), 1.0 + (BED_COST if cell == cells[0] else 0), _paper_1(cell),
        )
        for cell in cells
    ]  # fmt: skip
    rules = [("none", "verified"), ("top-k", "verified"), ("threshold", "verified"), ("threshold", "top-k")]
    heads = [("sparsemax", "sigmoid"), ("sparsemax", "softmax")]
    pairs = [(Cell(head, rule), Cell(head, over)) for head in HEADS for rule, over in rules]
    pairs += [(Cell(head, rule), Cell(over, rule)) for head, over in heads for rule in RULES]
    return [*grid, *(_gain_row(cell, over, TABLE_1_GAINS, _paper_1_gain(cell, over)) for cell, over in pairs)]


def _dropped_rows() -> list[Row]:
    return [
        Row(
            f"dropped-{_name(cell)}", f"{HEAD_NAMES[cell.head]}, {RULE_NAMES[cell.rule]}", DROPPED,
            functools.partial(dropped, cell=cell), SHARED_COST,
        )
        for cell in (Cell(head, rule) for head in HEADS for rule in RULES[2:])
    ]  # fmt: skip


def _fig_4() -> list[Row]:
    return [
        Row(
            f"fig-4-{rule}", RULE_NAMES[rule], FIG_4, functools.partial(curves, cell=Cell("sparsemax", rule)),
            SHARED_COST, paper,
        )
        for rule, paper in PAPER_FIG_4.items()
    ]  # fmt: skip


def _scenes() -> list[Row]:
    cells = [Cell(head, rule, "soundscapes") for head in ("sigmoid", "sparsemax") for rule in RULES[1:]]
    cells.append(Cell("softmax", "threshold", "soundscapes"))
    grid = [
        Row(
            _name(cell), f"{HEAD_NAMES[cell.head]}, {RULE_NAMES[cell.rule]}", SCENES,
            functools.partial(tagging, cell=cell), 1.0 + (SCENES_COST if cell == cells[0] else 0), _paper_2(cell),
        )
        for cell in cells
    ]  # fmt: skip
    rules = [("threshold", "none"), ("threshold", "top-k")]
    pairs = [(cell.by(rule=rule), cell.by(rule=over)) for cell in (cells[0], cells[3]) for rule, over in rules]
    pairs += [(cell, cell.by(head="sigmoid")) for cell in cells[3:6]]
    pairs.append((cells[5], cells[6]))
    return [*grid, *(_gain_row(cell, over, SCENES_GAINS, _paper_2_gain(cell, over)) for cell, over in pairs)]


def _noise() -> list[Row]:
    cells = [Cell("sparsemax", rule, wrong_rate=rate) for rate in NOISE for rule in RULES[1:]]
    first = {rate: next(cell for cell in cells if cell.wrong_rate == rate) for rate in NOISE}
    grid = [
        Row(
            f"noise-{100 * cell.wrong_rate:g}-{cell.rule}", f"{100 * cell.wrong_rate:g} %, {RULE_NAMES[cell.rule]}",
            NOISE_TABLE, functools.partial(tagging, cell=cell),
            SHARED_COST if cell.wrong_rate == WRONG_RATE else 1.0 + (BED_COST if cell in first.values() else 0),
        )
        for cell in cells
    ]  # fmt: skip
    pairs = [
        (cell.by(rule=rule), cell.by(rule=over))
        for cell in first.values()
        for rule, over in (("threshold", "none"), ("threshold", "top-k"))
    ]
    return [*grid, *(_gain_row(cell, over, NOISE_GAINS) for cell, over in pairs)]


def _name(cell: Cell) -> str:
    """A cell's name on the command line."""
    return f"{'scenes-' if cell.kind == 'soundscapes' else ''}{cell.head}-{cell.rule}"


def _gain_row(cell: Cell, over: Cell, table: str, paper: str = "") -> Row:
    """What a cell gains over one of another rule or head; its trainings are those of rows before."""
    if cell.head == over.head:
        what, of = f"{RULE_NAMES[cell.rule]} over {RULE_NAMES[over.rule]}", HEAD_NAMES[cell.head]
        changed = over.rule
    else:
        what, of = f"{HEAD_NAMES[cell.head]} over {HEAD_NAMES[over.head]}", RULE_NAMES[cell.rule]
        changed = over.head
    prefix, title = _name(cell), f"{what}, {of}"
    if table == NOISE_GAINS:
        prefix, title = f"noise-{100 * cell.wrong_rate:g}-{cell.rule}", f"{what}, {100 * cell.wrong_rate:g} %"
    values = functools.partial(gain, cell=cell, over=over)
    return Row(f"gain-{prefix}-over-{changed}", title, table, values, SHARED_COST, paper)


def _paper_1(cell: Cell) -> str:
    found = PAPER_TABLE_1.get((cell.head, cell.rule))
    return ", ".join(_short(value) for value in found) if found else ""


def _paper_1_gain(cell: Cell, over: Cell) -> str:
    both = [PAPER_TABLE_1.get((one.head, one.rule)) for one in (cell, over)]
    return ", ".join(_short(a - b, "+") for a, b in zip(*both, strict=True)) if all(both) else ""  # type: ignore[arg-type]


def _paper_2(cell: Cell) -> str:
    found = PAPER_TABLE_2.get((cell.head, cell.rule))
    return f"of several {_short(found)}" if found else ""


def _paper_2_gain(cell: Cell, over: Cell) -> str:
    both = [PAPER_TABLE_2.get((one.head, one.rule)) for one in (cell, over)]
    return f"of several {_short(both[0] - both[1], '+')}" if None not in both else ""  # type: ignore[operator]


def _short(value: float, sign: str = "") -> str:
    """Four decimals as papers print them: `.8417`, `+.0095`."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1)


def mixing(is_smoke: bool) -> Mapping[str, Any]:
    """How soundscapes are mixed, all settings of it."""
    return values_of(MixSettings(**{**MIX, **({"num_clips": 60} if is_smoke else {})}))


def make(scale: str, work: Path, results: Path) -> Bench:
    """The benchmark at a scale."""
    is_smoke = scale == "smoke"
    bench = Bench(
        name="staged",
        title="Staged training on data with planted wrong labels",
        rows=rows(),
        recipe="staged",
        settings=SMOKE if is_smoke else FULL,
        seeds=SEEDS[:1] if is_smoke else SEEDS,
        work=work,
        results=results,
        made_of={
            "every": SMOKE_EVERY if is_smoke else 1,
            "mix": mixing(is_smoke),
            "faults": {kind: values_of(fault_settings(kind, WRONG_RATE, 0)) for kind in ("recordings", "soundscapes")},
            "test_folds": [fold_of(seed) for seed in range(FOLDS)],
            "validation_folds": [validation_fold_of(seed) for seed in range(FOLDS)],
            "heads": HEADS,
            "selection": SELECTION,
        },
        captions=CAPTIONS,
        pictures={FIG_4: fig_4},
        note=__doc__.partition("\n\n")[2].strip(),
    )
    return replace(bench, rows=bench.named(SMOKE_ROWS)) if is_smoke else bench


if __name__ == "__main__":
    main(make)
