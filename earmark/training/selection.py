"""Which clips' losses count: an unverified clip whose loss says that its label is wrong is dropped from the batch.

A rule looks at one batch at a time; what it remembers from batch to batch (the threshold, and what was dropped how
often) is saved with the run.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator

from earmark.config import Settings, refuse_unread

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_PAPERS_K, _PAPERS_BATCH = 10, 64


class SelectionSettings(Settings):
    """Which unverified clips are dropped; verified ones never are."""

    selection: Literal["none", "top_k", "threshold"] = Field(
        "none", description="top_k: the k largest losses of a batch; threshold: those above a moving one; none: no clip"
    )
    selection_k: int | None = Field(
        None,
        ge=1,
        description=f"the loss of a batch that is looked at, from the largest; null: {_PAPERS_K}/{_PAPERS_BATCH} of it",
    )
    threshold_smoothing: float = Field(0.9, ge=0, lt=1, description="threshold: what it keeps of itself each batch")
    rank_over: Literal["unverified", "batch"] = Field(
        "unverified", description="whose losses are ranked: unverified clips' or all; dropped are unverified ones alone"
    )

    @model_validator(mode="after")
    def _are_read(self) -> Self:
        refuse_unread(self, self.selection != "none", "selection", "selection_k", "rank_over")
        refuse_unread(self, self.selection == "threshold", "selection=threshold", "threshold_smoothing")
        return self

    def k_of(self, batch_size: int) -> int:
        """The place of the loss that is looked at, from the largest, in batches of that size."""
        return self.selection_k or max(1, round(_PAPERS_K / _PAPERS_BATCH * batch_size))


class Selection:
    """A rule with its memory.

    Args:
        verified: of every clip of the data set, (clip,).
        batch_size: clips a step.

    Attributes:
        threshold: of the rule `threshold`; None before its first batch with ranked clips.
        seen, dropped: how often each clip was ranked, and dropped, int64 (clip,).
        rank_sum: sum of each clip's ranks, float64 (clip,); a rank is the share of the ranked clips of the batch with
            no larger loss, so 1 is the largest.

    Source: He et al. 2020, eqs. 1 to 3. Equation 1 as printed drops verified clips; meant are the others.
    """

    def __init__(self, settings: SelectionSettings, verified: BoolArray, batch_size: int) -> None:
        self.settings = settings
        self.verified = verified
        self.k = settings.k_of(batch_size)
        self.threshold: float | None = None
        self.seen = np.zeros(len(verified), np.int64)
        self.dropped = np.zeros(len(verified), np.int64)
        self.rank_sum = np.zeros(len(verified), np.float64)

    def keep(
        self, losses: torch.Tensor, clip_index: IntArray, partner_index: IntArray, may_rank: BoolArray
    ) -> BoolArray:
        """Which clips of a batch count, bool (clip,); moves the threshold and counts what was seen and dropped.

        Args:
            losses: (clip,), without gradient.
            clip_index: row of each clip in the clip table.
            partner_index: row of the clip that each is mixed with, -1 where it is with none; both are of one kind,
                verified or not, and what is dropped counts for both.
            may_rank: clips that say something of their label; the others are never ranked and never dropped.
        """
        values = losses.double().cpu().numpy()
        unverified = ~self.verified[clip_index]
        ranked = may_rank & (unverified if self.settings.rank_over == "unverified" else True)
        drops = self._drops(values, ranked) & unverified & may_rank
        self._count(values, unverified & may_rank, drops, (clip_index, partner_index))
        return ~drops

    def _drops(self, losses: FloatArray, ranked: BoolArray) -> BoolArray:
        """What the rule would drop, verified clips among it."""
        places = np.flatnonzero(ranked)
        if self.settings.selection == "none" or not len(places):
            return np.zeros(len(losses), np.bool_)
        largest = places[np.argsort(-losses[places], kind="stable")][: self.k]
        if self.settings.selection == "top_k":
            return np.isin(np.arange(len(losses)), largest)
        smoothing, found = self.settings.threshold_smoothing, float(losses[largest[-1]])
        before = found if self.threshold is None else self.threshold
        self.threshold = smoothing * before + (1 - smoothing) * found
        return losses > self.threshold

    def _count(
        self, losses: FloatArray, ranked: BoolArray, drops: BoolArray, indices: tuple[IntArray, IntArray]
    ) -> None:
        places = np.flatnonzero(ranked)
        ordered = np.sort(losses[places])
        rank = np.searchsorted(ordered, losses[places], side="right") / max(1, len(places))
        for index in indices:
            rows = index[places]
            here = rows >= 0
            np.add.at(self.seen, rows[here], 1)
            np.add.at(self.dropped, rows[here], drops[places][here])
            np.add.at(self.rank_sum, rows[here], rank[here])

    def state(self) -> dict[str, torch.Tensor]:
        """All that the rule remembers."""
        threshold = float("nan") if self.threshold is None else self.threshold
        arrays = {
            "threshold": np.float64(threshold),
            "seen": self.seen,
            "dropped": self.dropped,
            "rank_sum": self.rank_sum,
        }
        return {name: torch.as_tensor(value).clone() for name, value in arrays.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave."""
        threshold = float(state["threshold"])
        self.threshold = None if np.isnan(threshold) else threshold
        self.seen, self.dropped, self.rank_sum = (
            state[name].numpy().copy() for name in ("seen", "dropped", "rank_sum")
        )
