"""What the loop is fed: an epoch's batches, each a pure function of seed, epoch and position."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from earmark.data import augment
from earmark.data.augment import Augmentation, Draws
from earmark.data.clips import Excerpts, Int16Array, IntArray, random_windows, read_batch, read_excerpts
from earmark.data.packs import Pack
from earmark.data.sampling import epoch_generator
from earmark.prefetch import prefetched
from earmark.training.targets import Targets, TargetSource

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainingBatch:
    """A batch, what it should score, and the draws still to be applied to its features.

    Attributes:
        partner_index: row of the clip that each is mixed with, -1 where it is with none, int64 (clip,).
        place: where in its clip a window of feature frames begins, in [0, 1), (clip,); read by taggers that fit clips.
    """

    waveform: torch.Tensor
    num_samples: torch.Tensor
    clip_index: IntArray
    partner_index: IntArray
    targets: Targets
    draws: Draws
    place: FloatArray


@dataclass(frozen=True)
class Feed:
    """A training set in batches.

    Attributes:
        excerpts: what is learned from.
        targets: their targets, by position.
        order: the positions of an epoch, given the epoch; every epoch has as many.
        length_samples: the length of every training waveform; a longer excerpt gives a random window of it. None:
            excerpts are learned from as they are, and a batch is as long as its longest.
        names: the clip column of the clip table, for messages.
        kind: of each excerpt, (excerpt,); given, a clip is mixed with one of its own kind only.
        repeat_partners: a partner is repeated to the clip's length, not padded.
    """

    pack: Pack
    excerpts: Excerpts
    targets: TargetSource
    order: Callable[[int], IntArray]
    length_samples: int | None
    batch_size: int
    augmentation: Augmentation
    seed: int
    names: pa.ChunkedArray
    kind: npt.NDArray[np.bool_] | None = None
    repeat_partners: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the rest of the epoch's draws are left out, unless that is all there is.

        A last small batch would give BatchNorm statistics of few clips; which clips it leaves out changes every epoch.
        """
        return max(1, len(self.order(0)) // self.batch_size)

    def in_epochs_of(self, steps: int) -> "Feed":
        """The same training set in epochs of at least so many steps: where there are fewer, of several joined."""
        num_clips = len(self.order(0))
        batch_size = min(self.batch_size, num_clips)
        joined = max(1, math.ceil(steps * batch_size / num_clips))

        def order(epoch: int) -> IntArray:
            return np.concatenate([self.order(joined * epoch + part) for part in range(joined)])

        return replace(self, order=order, batch_size=batch_size)

    def clip_names(self, rows: IntArray) -> list[str]:
        """The names of clips by their row."""
        return [str(name) for name in self.names.take(pa.array(rows)).to_pylist()]

    def batches(self, epoch: int, first: int = 0) -> Iterator[TrainingBatch]:
        """The epoch's batches from number `first` on, read and mixed ahead in a thread."""
        return prefetched(self._batches(epoch, first))

    def _batches(self, epoch: int, first: int) -> Iterator[TrainingBatch]:
        order = self.order(epoch)
        draws = augment.draw(self.augmentation, len(order), len(self.excerpts), self.seed, epoch)
        if self.kind is not None:
            draws = replace(draws, partner=augment.partners_of_kind(self.kind, order, self.seed, epoch))
        place, partner_place, frame_place = (
            epoch_generator(self.seed, epoch, purpose).random(len(order))
            for purpose in ("window", "partner window", "frame window")
        )
        for step in range(first, self.steps_per_epoch):
            at = slice(step * self.batch_size, (step + 1) * self.batch_size)
            yield self._batch(order[at], draws.at(at), place[at], partner_place[at], frame_place[at])

    def _batch(
        self,
        positions: IntArray,
        draws: Draws,
        place: FloatArray,
        partner_place: FloatArray,
        frame_place: FloatArray,
    ) -> TrainingBatch:
        excerpts, length = self._cut(positions, place)
        num_samples = np.minimum(excerpts.num_samples, length)
        targets = self.targets.at(positions)
        partner_index = np.where(draws.mixed, self.excerpts.clip_index[draws.partner], -1)
        partners: list[Int16Array] = []
        if draws.mixed.any():
            partners = self._partners(draws.partner[draws.mixed], partner_place[draws.mixed], num_samples[draws.mixed])
            # Rows that are not mixed name a partner without meaning; reading its few labels too keeps one shape.
            targets = targets.mixed_with(self.targets.at(draws.partner), draws.mixup_lambda)
        if partners or (draws.amplitude != 1).any() or draws.shift.any():
            waveform = augment.apply_waveform(read_excerpts(self.pack, excerpts, length), length, draws, partners)
        else:
            waveform = read_batch(self.pack, excerpts, length).waveform
        return TrainingBatch(
            waveform, torch.from_numpy(num_samples), excerpts.clip_index, partner_index, targets, draws, frame_place
        )

    def _cut(self, positions: IntArray, place: FloatArray) -> tuple[Excerpts, int]:
        """What is learned from at some positions, and the length of its waveforms."""
        excerpts = self.excerpts.at(positions)
        if self.length_samples is None:
            return excerpts, int(excerpts.num_samples.max())
        return random_windows(excerpts, self.length_samples, place), self.length_samples

    def _partners(self, items: IntArray, place: FloatArray, num_samples: IntArray) -> list[Int16Array]:
        """What clips of so many samples are mixed with."""
        partners = read_excerpts(self.pack, *self._cut(items, place))
        if not self.repeat_partners:
            return partners
        return [np.resize(partner, count) for partner, count in zip(partners, num_samples, strict=True)]
