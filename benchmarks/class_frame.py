"""Class-frame pseudo labels on soundscapes of two kinds: what rounds of relabelling give, beside the paper's Table 1.

A test bed is soundscapes of 5 s, made of ESC-10, in one data set. The strong set, 150 clips with times, is of one
fold's recordings: one or two sounds, one at a time, 20 to 30 dB above pink noise. The weak set, some 400 clips with
tags alone, is of two other folds': one to three sounds that may overlap, 10 to 20 dB above the noise, and tags up to
four times as frequent as others. Like it are the 100 clips that are validated on and the 200 that are tested on, of the
last two folds, as the real recordings of DCASE 2019 are beside its synthetic strong set; only there no tag is rare. So
what is learned from the strong set alone does not hold elsewhere: its own events are found three times as often. What
sounds when in the weak set is kept as a truth that nothing learns from. The model is crnn_small from scratch, with the
front end of staged training, so a score frame is 80 ms, the paper's 78: a step of the paper's ResNet takes 1.3 s a
clip, of this one .01 s. Adam's rate falls slowly, so that the last rounds count too; the last weights are tested.
Each seed has its own test fold. Settings were chosen on fold 1, which is none of these; with none that were tried there
did pseudo labels gain in event-based F1.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.beds import FOLDS
from benchmarks.class_frame_bed import FAULTS, JUDGED, STRONG, WEAK, folds_of
from benchmarks.class_frame_values import FRESH, FRESH_ROUNDS, WITH, WITHOUT, Cell, events_found, gain, round_labels
from benchmarks.class_frame_windows import by_windows
from benchmarks.command import main
from benchmarks.harness import Bench, Row
from earmark.config import values_of
from earmark.data.synthesis import MixSettings

FULL: dict[str, Any] = {
    "backbone": "crnn_small", "pretrained": None, "front_end": "staged_power", "first_epochs": 12, "rounds": 9,
    "round_epochs": 1, "batch_size": 8, "schedule": "polynomial", "decay_power": 0.5, "learning_rate": 1.5e-3,
    "warmup_steps": 20,
}  # fmt: skip
SMOKE = {**FULL, "first_epochs": 1, "rounds": 2, "round_epochs": 1, "warmup_steps": 0}
SMOKE_EVERY = 4  # of ESC-10's clips, which are by tag and then by fold: two of each
SMOKE_ROWS = ("with", "round-1")

SCENES = {"clip_s": 5.0, "rate_hz": 44100, "max_event_s": 2.5}
# Few events, one at a time and loud; more of them, over each other and in more noise.
STRONG_MIX = {**SCENES, "max_events": 2, "min_snr_db": 20.0, "max_snr_db": 30.0, "max_overlap": 1}
WEAK_MIX = {**SCENES, "max_events": 3, "min_snr_db": 10.0, "max_snr_db": 20.0}
NUM_CLIPS = {STRONG: 150, WEAK: 560, JUDGED: 300}
SMOKE_CLIPS = {STRONG: 12, WEAK: 12, JUDGED: 12}
VALIDATION_SHARE = 1 / 3
"""Of the soundscapes that are judged; the others are tested on."""

# Settings were chosen on fold 1, with another seed: no test fold is among these seeds' that is fold 1.
SEEDS = (1, 2, 3)

DELTAS = {"0": 0.0, "1/16": 1 / 16, "1/2": 1 / 2}
WEIGHTS = {"eq. 2": "exponential", "inverse frequency": "inverse"}
STARTS = {"warm": WITH, "fresh": FRESH}

TABLE_1 = "Without and with pseudo labels (Table 1)"
TABLE_1_GAINS = "What pseudo labels gain"
BY_ROUND = "Pseudo labels by round, beside what sounds in the clips"
DELTA = "Delta, what the threshold falls by each round"
DELTA_GAINS = "What other deltas gain over 1/16"
WEIGHTS_TABLE = "Weights of tags in the loss"
WEIGHTS_GAINS = "What other weights gain over eq. 2"
STARTS_TABLE = "Rounds that go on with the last one's weights, and rounds that begin afresh"
STARTS_GAINS = "What fresh rounds gain over warm ones"
WINDOWS = "Long recordings: by windows beside one pass"

# The paper's own, event-based and segment-based F1 on the validation set of DCASE 2019 task 4.
PAPER_TABLE_1 = {WITHOUT: (0.241, 0.613), WITH: (0.259, 0.620)}

PAIRED = "Between trainings on the same test bed, so paired by seed."
CAPTIONS = {
    TABLE_1: "Test soundscapes; F1 is the mean over tags. Event-based: found within 200 ms of the onset, and of the "
    "offset within 200 ms or 20 % of the length; segments are of 1 s. At a score of .5 without a median filter; tuned: "
    "with each tag's filter and threshold that are best on the validation soundscapes by the same criterion. PSDS is "
    "of the scores as they are. Last, the events of the strong set, which were learned from. Without pseudo labels the "
    "first stage has the epochs of all rounds. In the paper: event-based and segment-based F1 on the validation set of "
    "DCASE 2019 task 4, of which the challenge's baseline has .237 and .552.",
    TABLE_1_GAINS: PAIRED,
    BY_ROUND: "Of the training with pseudo labels above. Accepted are the clips whose frames at theta have exactly "
    "their tags. Precision and recall of pseudo labels over all cells of frame and tag of these clips; recall over all "
    "weak clips, where one that is not accepted has none; last, the precision of the accepted clips' own tags spread "
    "over all of their frames. The paper could measure none of this.",
    DELTA: "1/16 is the training of Table 1. 0 leaves theta at 3/4, 1/2 has it at 1/4 from the second round on: nearly "
    "eq. 5 as it is printed, with min for max. The paper does not say what delta was.",
    DELTA_GAINS: PAIRED,
    WEIGHTS_TABLE: "Eq. 2, exp(1/N) over the sum of all, is the training of Table 1; inverse frequency is 1/N over the "
    "sum of all, N being a tag's clips. With dozens of clips a tag eq. 2 is equal weights to within 2 %.",
    WEIGHTS_GAINS: PAIRED,
    STARTS_TABLE: f"Warm is the training of Table 1. Fresh: after the same first stage {FRESH_ROUNDS} rounds, at 3/4 "
    "and at 1/2, each with new weights and as many epochs as all of Table 1's; so more than twice the work.",
    STARTS_GAINS: PAIRED,
    WINDOWS: "The test soundscapes one after another, a dozen a recording, by the model of Table 1 with pseudo labels: "
    "scored by windows of 5 s that overlap by half, and in one pass; decided at .5. Its recurrent layer looks at all "
    "of a window; its features are those of one pass.",
}
# What is to be said of a row's values, by its name: the likely reason where something does not help.
REMARKS: dict[str, str] = {
    "with": "at a score of .5 pseudo labels cost event-based F1, unlike in the paper, and bring nothing elsewhere "
    "that is more than its deviation. The likely reason: they are nearly all right but short (see by round), since "
    "a frame at the edge of an event scores less than theta, so that the model learns to end its events early; with "
    "tuned thresholds the difference is gone. They do what the paper wants of them, and overfit the strong set less "
    "(last column), of which eq. 10 leaves about a ninth of the weight once most weak clips are accepted; but what "
    "it gives instead is no better on the test soundscapes.",
    "delta-0": "the shorter the labels the greater the loss: a threshold that stays at 3/4 is worst, and one that "
    "is at 1/4 from the second round on is as good as no pseudo labels. Eq. 5 with min, as it is printed, may be "
    "what was done.",
    "weights-inverse-frequency": "no better for it that tags are up to four times as frequent as others in "
    "training: in the test soundscapes none is rare.",
}

# One is a training with its rounds and scoring; the bed is from the seconds of single pieces of work.
BED_COST, ROUNDS_COST, FRESH_COST, SHARED_COST = 0.25, 1.1, 2.7, 0.0


def rows() -> list[Row]:
    """The rows, most important first."""
    made = [*_table_1(), *_by_round(), *_deltas(), *_weights(), *_starts(), _windows()]
    return [replace(row, remark=REMARKS.get(row.name, "")) for row in made]


def _table_1() -> list[Row]:
    paper = {cell: f"{_short(event)}, {_short(segment)}" for cell, (event, segment) in PAPER_TABLE_1.items()}
    (event, segment), (event_base, segment_base) = PAPER_TABLE_1[WITH], PAPER_TABLE_1[WITHOUT]
    gained = f"{_short(event - event_base, '+')}, {_short(segment - segment_base, '+')}"
    return [
        _row("without", "without pseudo labels", TABLE_1, WITHOUT, 1.0 + BED_COST, paper[WITHOUT]),
        _row("with", "with pseudo labels", TABLE_1, WITH, ROUNDS_COST, paper[WITH]),
        _gain_row("gain-with", "with over without", TABLE_1_GAINS, WITH, WITHOUT, gained),
    ]


def _by_round() -> list[Row]:
    return [
        Row(
            f"round-{number}", f"round {number}", BY_ROUND,
            functools.partial(round_labels, cell=WITH, number=number), SHARED_COST,
        )
        for number in range(1, FULL["rounds"] + 1)
    ]  # fmt: skip


def _deltas() -> list[Row]:
    cells = {title: WITH.by(delta=delta) for title, delta in DELTAS.items()}
    return _compared("delta", cells, "1/16", (DELTA, DELTA_GAINS), ROUNDS_COST)


def _weights() -> list[Row]:
    cells = {title: WITH.by(class_weights=weights) for title, weights in WEIGHTS.items()}
    return _compared("weights", cells, "eq. 2", (WEIGHTS_TABLE, WEIGHTS_GAINS), ROUNDS_COST)


def _starts() -> list[Row]:
    return _compared("rounds", STARTS, "warm", (STARTS_TABLE, STARTS_GAINS), FRESH_COST)


def _windows() -> Row:
    return Row("windows", "windows beside one pass", WINDOWS, functools.partial(by_windows, cell=WITH), SHARED_COST)


def _compared(what: str, cells: Mapping[str, Cell], base: str, tables: tuple[str, str], cost: float) -> list[Row]:
    """A row for each of some cells by their titles, and what the others gain over one of them."""
    names = {title: f"{what}-{re.sub('[^a-z0-9]+', '-', title)}" for title in cells}
    grid = [
        _row(names[title], title, tables[0], cell, cost if cell != WITH else SHARED_COST)
        for title, cell in cells.items()
    ]
    gains = [
        _gain_row(f"gain-{names[title]}", f"{title} over {base}", tables[1], cell, cells[base])
        for title, cell in cells.items()
        if title != base
    ]
    return [*grid, *gains]


def _row(name: str, title: str, table: str, cell: Cell, trainings: float, paper: str = "") -> Row:
    """What a training finds."""
    return Row(name, title, table, functools.partial(events_found, cell=cell), trainings, paper)


def _gain_row(name: str, title: str, table: str, cell: Cell, over: Cell, paper: str = "") -> Row:
    """What a training finds more than another one; both are those of rows before."""
    return Row(name, title, table, functools.partial(gain, cell=cell, over=over), SHARED_COST, paper)


def _short(value: float, sign: str = "") -> str:
    """Three decimals, as the paper's per cent: `.241`, `+.018`."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1)


def mixing(is_smoke: bool) -> dict[str, Mapping[str, Any]]:
    """How soundscapes of each kind are mixed, all settings of it."""
    numbers = SMOKE_CLIPS if is_smoke else NUM_CLIPS
    own = {STRONG: STRONG_MIX, WEAK: WEAK_MIX, JUDGED: WEAK_MIX}
    shares = {kind: {"validation_share": 0.0, "test_share": 0.0} for kind in own}
    shares[JUDGED] = {"validation_share": VALIDATION_SHARE, "test_share": 1 - VALIDATION_SHARE}
    return {kind: values_of(MixSettings(num_clips=numbers[kind], **shares[kind], **own[kind])) for kind in own}


def make(scale: str, work: Path, results: Path) -> Bench:
    """The benchmark at a scale."""
    is_smoke = scale == "smoke"
    bench = Bench(
        name="class_frame",
        title="Class-frame pseudo labels on soundscapes of two kinds",
        rows=rows(),
        recipe="class_frame",
        settings=SMOKE if is_smoke else FULL,
        seeds=SEEDS[:1] if is_smoke else SEEDS,
        work=work,
        results=results,
        made_of={
            "every": SMOKE_EVERY if is_smoke else 1,
            "mix": mixing(is_smoke),
            "faults": values_of(FAULTS),
            "folds": [folds_of(seed) for seed in range(FOLDS)],
            "fresh": {"rounds": FRESH_ROUNDS, "delta": FRESH.delta},
        },
        captions=CAPTIONS,
        note=__doc__.partition("\n\n")[2].strip(),
    )
    return replace(bench, rows=bench.named(SMOKE_ROWS)) if is_smoke else bench


if __name__ == "__main__":
    main(make)
