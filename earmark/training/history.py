"""How far a training run has come: what a resumed run must know, and what `metrics.jsonl` says."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from earmark.files import write_text
from earmark.training.checkpoints import load_state, save_state
from earmark.training.selection import Selection
from earmark.training.settings import FitSettings
from earmark.training.stopwatch import Phase

log = logging.getLogger(__name__)


@dataclass
class _Totals:
    """Sums since the last validation."""

    loss: float = 0.0
    clips: int = 0
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0


class Kept(NamedTuple):
    """Weights on disk.

    Attributes:
        epoch: the epoch that they end, 0 in the middle of one.
        stays: kept whatever comes; the others only while they are among the best.
    """

    name: str
    value: float
    epoch: int
    stays: bool


@dataclass
class History:
    """The run so far, saved whole in every checkpoint, so that nothing else has to be in step with it."""

    folder: Path
    step: int = 0
    epoch: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    totals: _Totals = field(default_factory=_Totals)

    @classmethod
    def resumed(
        cls, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, selection: Selection | None = None
    ) -> "History":
        """The history of the last checkpoint, with all else that it holds put back; a new one without it."""
        path = _state_path(folder)
        for left_behind in (*folder.glob(".*.part*"), *path.parent.glob(".*.part*")):
            left_behind.unlink()
        if not path.exists():
            return cls(folder)
        about = load_state(path, model, optimizer, selection)
        about["totals"] = _Totals(**about["totals"])
        about["kept"] = [Kept(*kept) for kept in about["kept"]]
        history = cls(folder=folder, **about)
        history._write_records()
        return history

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, selection: Selection | None = None) -> None:
        """Writes the checkpoint to go on from, then `metrics.jsonl`, then removes weights no longer kept."""
        about = asdict(self)
        del about["folder"]
        save_state(_state_path(self.folder), model, optimizer, about, selection)
        log.debug("checkpoint at step %d", self.step)
        self._write_records()
        names = {kept.name for kept in self.kept}
        for path in _state_path(self.folder).parent.glob("step-*.safetensors"):
            if path.name not in names:
                path.unlink()

    def count_step(self, loss: float, clips: int, seconds: Mapping[Phase, float]) -> None:
        """Adds a step that took so long in its phases."""
        self.step += 1
        self.totals.loss += loss * clips
        self.totals.clips += clips
        self.totals.steps += 1
        self.totals.seconds += sum(seconds.values())
        self.totals.waited += seconds["waiting for data"]

    def record(
        self,
        epoch: int,
        rate: float,
        metrics: dict[str, float],
        select_by: str,
        selection: Mapping[str, float | None] | None = None,
    ) -> None:
        """Adds a validation: the training loss since the last one, the metrics, what was selected, the speed."""
        totals, self.totals = self.totals, _Totals()
        self.epoch = epoch
        self.values.append(metrics[select_by])
        self.records.append(
            {
                "epoch": epoch,
                "step": self.step,
                "train_loss": totals.loss / totals.clips,
                "learning_rate": rate,
                "validation": metrics,
                **({} if selection is None else {"selection": dict(selection)}),
                "seconds": round(totals.seconds, 3),
                "clips_per_second": round(totals.clips / totals.seconds, 2),
                "data_wait": round(totals.waited / totals.seconds, 4),
            }
        )

    def last_line(self, epochs: int, select_by: str) -> str:
        """The last validation in one line of log."""
        last = self.records[-1]
        better = " (best so far)" if self.values[-1] > max(self.values[:-1], default=float("-inf")) else ""
        share = last.get("selection", {}).get("dropped_share")
        dropped = "" if share is None else f", {share:.0%} dropped"
        return (
            f"epoch {last['epoch']}/{epochs}: training loss {last['train_loss']:.4f}, validation {select_by} "
            f"{self.values[-1]:.4f}{better}{dropped}, {last['seconds']:.0f} s, {last['clips_per_second']:.0f} clips/s"
        )

    def stopped(self, patience: int | None) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        if patience is None or len(self.values) <= patience:
            return False
        return max(self.values[-patience:]) <= max(self.values[:-patience])

    def is_among_best(self, count: int) -> bool:
        """Whether the last validation is among the `count` best; of equals, the earlier ones."""
        return sum(value >= self.values[-1] for value in self.values[:-1]) < count

    def weights_path(self) -> Path:
        """Where the weights of this step are kept."""
        return _state_path(self.folder).parent / f"step-{self.step:08d}.safetensors"

    def keep(self, ends_epoch: bool, stays: bool, best: int) -> None:
        """Notes that the weights of this step are kept, and that of those that need not stay only the `best` are."""
        self.kept.append(Kept(self.weights_path().name, self.values[-1], self.epoch if ends_epoch else 0, stays))
        among_best = {kept.name for kept in self._best(best)}
        self.kept = [kept for kept in self.kept if kept.stays or kept.name in among_best]

    def final_paths(self, settings: FitSettings) -> list[Path]:
        """The kept weights that the final ones are made of: the best ones, or each epoch's of a range."""
        if settings.final_weights == "range":
            return self._paths([kept for kept in self.kept if kept.epoch >= settings.average_from_epoch])
        return self._paths(self._best(settings.top_k if settings.final_weights == "top_k" else 1))

    def _best(self, count: int) -> list[Kept]:
        return sorted(self.kept, key=lambda kept: -kept.value)[:count]

    def _paths(self, kept: list[Kept]) -> list[Path]:
        return [_state_path(self.folder).parent / one.name for one in kept]

    def _write_records(self) -> None:
        lines = [json.dumps(record) + "\n" for record in self.records]
        write_text(self.folder / "metrics.jsonl", "".join(lines))


def _state_path(folder: Path) -> Path:
    return folder / "checkpoints" / "last.safetensors"
