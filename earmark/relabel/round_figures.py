"""What rounds of relabelling made of the clips: as a table, and as figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from earmark.data.dataset import Dataset
from earmark.data.layers import about_layer
from earmark.data.statements import COUNTED
from earmark.figures import ChartFigure, Series, TableFigure, write_figure
from earmark.files import written_aside
from earmark.relabel.class_frames import ACCEPTED, OUTCOMES

TABLE = "pseudo-labels.csv"
MOST_SHOWN = 30
MOST_TAGS = 10


@dataclass(frozen=True, eq=False)
class Round:
    """One round.

    Attributes:
        rows: of the relabelled clips in the clip table, (clip,).
        outcome: what became of each, (clip,).
        about: the layer's counts.
    """

    rows: np.ndarray[Any, np.dtype[np.int64]]
    outcome: np.ndarray[Any, Any]
    about: dict[str, Any]

    @classmethod
    def read(cls, dataset: Dataset, layer: str, path: Path) -> Self:
        """A round from its layer and its table of outcomes."""
        table = pyarrow.parquet.read_table(path)
        rows, outcome = np.asarray(table["row"], dtype=np.int64), table["outcome"].to_numpy()
        return cls(rows, outcome, about_layer(dataset.folder, layer)["changes"])

    @property
    def is_accepted(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of the clips got pseudo labels, (clip,)."""
        accepted: np.ndarray[Any, np.dtype[np.bool_]] = self.outcome == OUTCOMES[ACCEPTED]
        return accepted

    def share(self, outcome: str) -> float:
        """The share of the clips with an outcome."""
        return float((self.outcome == outcome).mean())


def write_round_figures(run: Path, dataset: Dataset, layer: str, rounds: Sequence[Round]) -> None:
    """Writes `pseudo-labels.csv` into a run, a row a clip, and the figures of its rounds.

    Args:
        layer: that the clips' tags are from.
    """
    if not rounds:
        return
    rows = rounds[0].rows
    accepted = np.stack([one.is_accepted for one in rounds])
    labels, tags = dataset.labels(layer), np.array(dataset.vocabulary.tags, object)
    table = pa.table(
        {
            "clip": dataset.clips["clip"].take(pa.array(rows)),
            "tags": ["; ".join(tags[labels.rows(np.array([row]))[0] >= COUNTED]) for row in rows],
            "accepted": accepted.sum(axis=0),
            **{f"round_{number:02d}": pa.array(one.outcome) for number, one in enumerate(rounds, start=1)},
        }
    )
    with written_aside(run / TABLE) as aside:
        pyarrow.csv.write_csv(table, aside)
    folder = run / "figures"
    write_figure(folder, "rounds", _outcomes(rounds))
    write_figure(folder, "pseudo-frames", _frames(rounds, dataset.vocabulary.tags))
    never = table.filter(pc.equal(table["accepted"], 0))
    if never.num_rows:
        write_figure(folder, "never-accepted", _never(never, table.num_rows))


def _outcomes(rounds: Sequence[Round]) -> ChartFigure:
    """The share of each outcome, by round."""
    numbers = [float(number) for number in range(1, len(rounds) + 1)]
    first, last = rounds[0], rounds[-1]
    low, high = (f"{one.about['threshold']:.3g}" for one in (last, first))
    ends = f"{first.share(OUTCOMES[ACCEPTED]):.0%} in the first round, {last.share(OUTCOMES[ACCEPTED]):.0%} in the last"
    return ChartFigure(
        kind="line",
        title="Weak clips that got pseudo labels, by round",
        caption=f"Of {len(first.rows)} weakly labelled clips a round accepts those whose frames have exactly their "
        f"tags at its threshold, {high} in the first round and {low} in the last: {ends}. The others lack a tag there, "
        "have another one, or both.",
        alt=f"Lines of the share of clips by round: accepted {ends}.",
        x_label="round",
        y_label="share of clips",
        series=[Series(label=name, x=numbers, y=[one.share(name) for one in rounds]) for name in OUTCOMES],
    )


def _frames(rounds: Sequence[Round], tags: tuple[str, ...]) -> ChartFigure:
    """Seconds with pseudo labels, by tag and round."""
    frame_s = rounds[0].about["frame_s"]
    seconds = {tag: [one.about["frames_by_tag"][tag] * frame_s for one in rounds] for tag in tags}
    shown = sorted(tags, key=lambda tag: -seconds[tag][-1])[:MOST_TAGS]
    without = [tag for tag in tags if not any(seconds[tag])]
    told = f" Never pseudo-labelled: {', '.join(without)}." if without else ""
    more = f" Shown are the {MOST_TAGS} tags with most." if len(tags) > MOST_TAGS else ""
    return ChartFigure(
        kind="line",
        title="Pseudo labels by tag and round",
        caption=f"Seconds of accepted clips in which a tag was found.{more}{told}",
        alt="Lines of pseudo-labelled seconds by round, one a tag; in the last round most of "
        f"{shown[0]}, {seconds[shown[0]][-1]:.0f} s.",
        x_label="round",
        y_label="pseudo labels",
        y_unit="s",
        series=[
            Series(label=tag, x=[float(number) for number in range(1, len(rounds) + 1)], y=seconds[tag])
            for tag in shown
        ],
    )


def _never(never: pa.Table, num_clips: int) -> TableFigure:
    """The clips that no round accepted, of so many."""
    first = never.slice(0, MOST_SHOWN).select(["clip", "tags", never.column_names[-1]])
    return TableFigure(
        title="Weak clips that no round accepted",
        caption=f"{never.num_rows} of {num_clips}: what their frames are in the last round. Their labels may lack "
        f"a tag or have a wrong one, or the model cannot hear it. Shown are the first {first.num_rows}; all are in "
        f"{TABLE}.",
        alt=f"Table of {first.num_rows} clips that were never accepted, with their tags.",
        columns=["clip", "labelled", "in the last round it"],
        rows=[list(row) for row in zip(*(column.to_pylist() for column in first.columns), strict=True)],
    )
