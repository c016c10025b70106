"""What averaging a run's epochs is worth: their predictions, their weights, and each epoch by itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from earmark.data.clips import IntArray
from earmark.data.dataset import Dataset
from earmark.data.layers import GIVEN
from earmark.data.packs import Pack, open_pack
from earmark.data.statements import COUNTED
from earmark.errors import InputError
from earmark.evaluation import check_vocabulary
from earmark.figures import ChartFigure, Series
from earmark.metrics.tagging import average_precision, mean_over_tags
from earmark.models.ensemble import epoch_taggers, kept_epochs
from earmark.models.tagger import Tagger
from earmark.scores.predict import clip_scores
from earmark.scores.split_rows import split_rows
from earmark.tensor_files import Tensors, load_weights

LINES = ("single checkpoint", "predictions averaged", "weights averaged")


def averaging_by_start_epoch(
    run: Path,
    dataset: Dataset,
    split: str,
    device: torch.device,
    workers: int | None = None,
    *,
    layer: str = GIVEN,
) -> ChartFigure:
    """The figure of mAP by the epoch from which on epochs are averaged, up to the run's last kept one.

    Three lines: the epoch's own weights; the mean prediction of the weights after it and all later epochs; the mean of
    those weights, BatchNorm's statistics averaged like them. Of the epochs whose weights were kept only the last ones
    without a gap are taken. Clips over 30 s have the mean of each epoch's maximum over windows.

    Raises:
        InputError: fewer than two epochs' weights were kept, the split is empty or has no positives, or run and data
            set have different tags.

    Source: Gong et al. 2021, Fig. 8.
    """
    first = _first_without_a_gap(run)
    taggers = epoch_taggers(run, first)
    if len(taggers) < 2:
        raise InputError(
            f"{run}: must hold weights of at least two epochs in a row, found those of epoch {first} alone; train with "
            "--set keep_from_epoch=1"
        )
    check_vocabulary(taggers[0], dataset)
    rows = split_rows(taggers[0].trained_on(), dataset, split)
    pack = open_pack(dataset, taggers[0].rate_hz, workers=workers)
    epochs = list(range(first, first + len(taggers)))
    used = rows[pack.num_samples[rows] > 0]
    labels = dataset.labels(layer)
    truth, weights = labels.rows(used) >= COUNTED, labels.weights(used)
    if not (truth & (weights > 0)).any():
        raise InputError(f"the {split} split of {dataset.name} must hold clips that can be read and have a tag")
    by_start = [
        [mean_over_tags(average_precision(truth, scores, weights)) for scores in three]
        for three in _scores_by_start(taggers, pack, used, device)
    ]
    against = "" if layer == GIVEN else f", labels {layer}"
    where = f"{len(used)} clips of the {split} split of {dataset.name}{against}"
    return _figure(where, epochs, np.array(by_start[::-1]).T)


def _first_without_a_gap(run: Path) -> int:
    """The first of the last epochs in a row whose weights a run kept; 1 where it kept none."""
    kept = kept_epochs(run)
    first = max(kept, default=1)
    while first - 1 in kept:
        first -= 1
    return first


def _scores_by_start(
    taggers: list[Tagger], pack: Pack, rows: IntArray, device: torch.device
) -> Iterator[list[np.ndarray]]:
    """The scores (clip, tag) of each of `LINES` for every start, the last first; takes the taggers off their list."""
    weights: Tensors = {}
    total = np.zeros((len(rows), len(taggers[0].config.vocabulary)))
    for count in range(1, len(taggers) + 1):
        tagger = taggers.pop()
        for name, tensor in tagger.state_dict().items():
            if tensor.is_floating_point():
                weights[name] = weights.get(name, 0) + tensor.double()
            else:
                # Counters such as BatchNorm's are the last epoch's.
                weights.setdefault(name, tensor.clone())
        _, single = clip_scores(tagger, pack, rows, device=device)
        total += single
        averaged = single
        if count > 1:
            mean = {name: sum_ / count if sum_.is_floating_point() else sum_ for name, sum_ in weights.items()}
            load_weights(tagger, mean, f"the average of {count} epochs")
            _, averaged = clip_scores(tagger, pack, rows, device=device)
        yield [single, total / count, averaged]


def _figure(where: str, epochs: list[int], values: np.ndarray) -> ChartFigure:
    """The chart of mAP (line, start epoch)."""
    ends = ", ".join(
        f"{name} {line.max():.3f} (epoch {epochs[int(line.argmax())]})"
        for name, line in zip(LINES, values, strict=True)
    )
    return ChartFigure(
        kind="line",
        title="Averaging from an epoch on",
        caption=f"mAP on {where}: the epoch's own checkpoint, and its average with all later ones up to epoch "
        f"{epochs[-1]}. Statistics of BatchNorm are averaged like the weights, not estimated afresh. Best: {ends}; "
        "found on these clips, so each flatters a little.",
        alt=f"mAP by start epoch, {epochs[0]} to {epochs[-1]}; best: {ends}.",
        x_label="start epoch",
        y_label="mAP",
        series=[
            Series(label=name, x=[float(epoch) for epoch in epochs], y=[float(value) for value in line])
            for name, line in zip(LINES, values, strict=True)
        ],
    )
