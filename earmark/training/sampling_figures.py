"""What a sampler shows a model, as figures: tag counts, sampled counts, the share of clips not seen yet."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.data import augment
from earmark.data.augment import Augmentation
from earmark.data.clips import Excerpts
from earmark.data.sampling import Order
from earmark.data.statements import COUNTED, ClipLabels
from earmark.figures import ChartFigure, Series, write_figure

MIXUP_RATES = (0.0, 0.5, 1.0)


def write_sampling_figures(
    folder: Path,
    tags: Sequence[str],
    labels: ClipLabels,
    clips: Excerpts,
    order: Callable[[int], Order],
    epochs: int,
    augmentation: Augmentation,
    seed: int,
    kind: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Writes `tag-counts`, `sampled-counts` and `unseen-share` into a folder of figures.

    Args:
        kind: of each clip, where a clip is mixed with one of its own kind only.

    Source: Gong et al. 2021, Figs. 4, 5 and 6.
    """
    counts = labels.counts(clips.clip_index)
    seen = {rate: np.zeros(len(clips), np.bool_) for rate in MIXUP_RATES}
    unseen: dict[float, list[float]] = {rate: [] for rate in MIXUP_RATES}
    drawn = np.zeros(len(clips), np.int64)
    for epoch in range(epochs):
        positions = order(epoch)
        drawn += np.bincount(positions, minlength=len(clips))
        for rate in MIXUP_RATES:
            seen[rate][positions] = True
            draws = augment.draw(
                Augmentation(mixup_rate=rate, mixup_beta=augmentation.mixup_beta),
                len(positions),
                len(clips),
                seed,
                epoch,
            )
            partner = draws.partner if kind is None else augment.partners_of_kind(kind, positions, seed, epoch)
            seen[rate][partner[draws.mixed]] = True
            unseen[rate].append(1 - float(seen[rate].mean()))
    write_figure(folder, "tag-counts", _counts(tags, counts, "Clips by tag", f"{len(clips)} training clips."))
    sampled = _sampled_counts(labels, clips, drawn)
    caption = f"Tags of the {int(drawn.sum())} clips drawn in {epochs} epochs, mixup partners aside."
    write_figure(folder, "sampled-counts", _counts(tags, sampled, "Draws by tag", caption))
    write_figure(folder, "unseen-share", _unseen(unseen, len(clips)))


def _sampled_counts(labels: ClipLabels, clips: Excerpts, drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How often each tag was drawn, its clips counted as often as they were."""
    first = labels.indptr[clips.clip_index]
    count = labels.indptr[clips.clip_index + 1] - first
    place = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    times = np.repeat(drawn, count) * (labels.value[place] >= COUNTED)
    return np.bincount(labels.tag_index[place], times, len(labels.tag_weight)).astype(np.int64)


def _counts(tags: Sequence[str], counts: npt.NDArray[np.int64], title: str, caption: str) -> ChartFigure:
    order = np.argsort(-counts, kind="stable")
    most, least = (f"{tags[k]} {counts[k]}" for k in order[[0, -1]])
    return ChartFigure(
        kind="bar",
        title=title,
        caption=f"{caption} Most: {most}; fewest: {least}.",
        alt=f"{title}: bars of {len(tags)} tags, from {most} down to {least}.",
        x_label="tag",
        y_label="clips",
        series=[Series(label="clips", x=[tags[k] for k in order], y=[float(counts[k]) for k in order])],
    )


def _unseen(unseen: dict[float, list[float]], num_clips: int) -> ChartFigure:
    ends = "; ".join(f"mixup rate {rate:g}: {shares[-1]:.1%}" for rate, shares in unseen.items())
    return ChartFigure(
        kind="line",
        title="Clips not seen yet",
        caption=f"Share of {num_clips} training clips that were neither drawn nor a mixup partner; at the end {ends}.",
        alt=f"Falling lines of the unseen share by epoch; at the end {ends}.",
        x_label="epoch",
        y_label="unseen share",
        series=[
            Series(label=f"mixup rate {rate:g}", x=[float(e + 1) for e in range(len(shares))], y=list(shares))
            for rate, shares in unseen.items()
        ],
    )
