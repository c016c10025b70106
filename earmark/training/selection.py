"""Which clips' losses count: an unverified clip whose loss says that its label is wrong is dropped from the batch.

A rule looks at one batch at a time; what it remembers from batch to batch (the threshold, and what was dropped when) is
saved with the run: it says which clips are most likely mislabelled.
"""

from collections.abc import Mapping
from typing import Literal, Self

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
        seen: how often each clip was ranked, int64 (clip,).
        rank_sum: sum of each clip's ranks, float64 (clip,); a rank is the share of the ranked clips of the batch with
            no larger loss, so 1 is the largest.
        drops: every drop as (step, row of the clip), in their order; both clips of a mixture are there.
        cutoffs: of every batch with ranked clips as (step, loss from which clips were dropped).

    Source: He et al. 2020, eqs. 1 to 3. Equation 1 as printed drops verified clips; meant are the others.
    """

    def __init__(self, settings: SelectionSettings, verified: BoolArray, batch_size: int) -> None:
        self.settings = settings
        self.verified = verified
        self.k = settings.k_of(batch_size)
        self.threshold: float | None = None
        self.seen = np.zeros(len(verified), np.int64)
        self.rank_sum = np.zeros(len(verified), np.float64)
        self.drops: list[tuple[int, int]] = []
        self.cutoffs: list[tuple[int, float]] = []
        self._recent = np.zeros(2, np.int64)

    def keep(
        self, losses: torch.Tensor, clip_index: IntArray, partner_index: IntArray, may_rank: BoolArray, step: int
    ) -> BoolArray:
        """Which clips of a batch count, bool (clip,); moves the threshold and counts what was seen and dropped.

        Args:
            losses: (clip,), without gradient.
            clip_index: row of each clip in the clip table.
            partner_index: row of the clip that each is mixed with, -1 where it is with none; both are of one kind,
                verified or not, and what is dropped counts for both.
            may_rank: clips that say something of their label; the others are never ranked and never dropped.
            step: the step of the run that the batch is.
        """
        values = losses.double().cpu().numpy()
        judged = may_rank & ~self.verified[clip_index]
        # A batch without clips that could be dropped, as in stages on verified ones alone, moves nothing.
        ranked = judged if self.settings.rank_over == "unverified" else may_rank & judged.any()
        drops = self._drops(values, ranked, step) & judged
        self._count(values, judged, drops, (clip_index, partner_index), step)
        return ~drops

    def _drops(self, losses: FloatArray, ranked: BoolArray, step: int) -> BoolArray:
        """What the rule would drop, verified clips among it."""
        places = np.flatnonzero(ranked)
        if self.settings.selection == "none" or not len(places):
            return np.zeros(len(losses), np.bool_)
        largest = places[np.argsort(-losses[places], kind="stable")][: self.k]
        found = float(losses[largest[-1]])
        if self.settings.selection == "top_k":
            self.cutoffs.append((step, found))
            return np.isin(np.arange(len(losses)), largest)
        smoothing = self.settings.threshold_smoothing
        before = found if self.threshold is None else self.threshold
        self.threshold = smoothing * before + (1 - smoothing) * found
        self.cutoffs.append((step, self.threshold))
        return losses > self.threshold

    def _count(
        self, losses: FloatArray, ranked: BoolArray, drops: BoolArray, indices: tuple[IntArray, IntArray], step: int
    ) -> None:
        places = np.flatnonzero(ranked)
        ordered = np.sort(losses[places])
        rank = np.searchsorted(ordered, losses[places], side="right") / max(1, len(places))
        for index in indices:
            rows = index[places]
            here = rows >= 0
            np.add.at(self.seen, rows[here], 1)
            np.add.at(self.rank_sum, rows[here], rank[here])
            self.drops.extend((step, int(row)) for row in rows[drops[places] & here])
        self._recent += int(drops.sum()), len(places)

    @property
    def dropped(self) -> IntArray:
        """How often each clip was dropped, int64 (clip,)."""
        rows = np.array([row for _, row in self.drops], np.int64)
        return np.bincount(rows, minlength=len(self.verified)).astype(np.int64)

    def since_last(self) -> dict[str, float | None]:
        """The threshold, and the share dropped of the clips that were ranked since this was last asked."""
        dropped, ranked = (int(count) for count in self._recent)
        self._recent[:] = 0
        share = dropped / ranked if ranked else None
        return {"threshold": self.cutoffs[-1][1] if ranked and self.cutoffs else None, "dropped_share": share}

    def state(self) -> dict[str, torch.Tensor]:
        """All that the rule remembers."""
        threshold = float("nan") if self.threshold is None else self.threshold
        drops = np.array(self.drops, np.int64).reshape(-1, 2)
        cutoffs = np.array(self.cutoffs, np.float64).reshape(-1, 2)
        arrays = {
            "threshold": np.float64(threshold),
            "seen": self.seen,
            "rank_sum": self.rank_sum,
            "recent": self._recent,
            "drop_step": drops[:, 0],
            "drop_clip": drops[:, 1],
            "cutoff_step": cutoffs[:, 0].astype(np.int64),
            "cutoff": cutoffs[:, 1],
        }
        return {name: torch.as_tensor(value).clone() for name, value in arrays.items()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Puts back what `state` gave."""
        threshold = float(state["threshold"])
        self.threshold = None if np.isnan(threshold) else threshold
        self.seen, self.rank_sum, self._recent = (state[name].numpy().copy() for name in ("seen", "rank_sum", "recent"))
        self.drops = list(zip(state["drop_step"].tolist(), state["drop_clip"].tolist(), strict=True))
        self.cutoffs = list(zip(state["cutoff_step"].tolist(), state["cutoff"].tolist(), strict=True))
