"""Figures of what a sampler shows."""

import numpy as np

from earmark.data.augment import Augmentation
from earmark.data.clips import Excerpts
from earmark.data.statements import ClipLabels
from earmark.figures import read_figure
from earmark.training.sampling_figures import write_sampling_figures


def test_counts_and_unseen_shares(tmp_path):
    # Clips 0 to 3: tags a; a and b; b with a value below one half; none.
    labels = ClipLabels(
        np.array([0, 1, 3, 4, 4]), np.array([0, 0, 1, 1], np.int32), np.array([1, 1, 1, 0.4], np.float32),
        np.ones(4, np.float32), np.ones(2, np.float32),
    )  # fmt: skip
    clips = Excerpts(np.arange(4), np.zeros(4, np.int64), np.ones(4, np.int64))
    orders = [np.array([0, 0, 1, 1]), np.array([1, 1, 1, 2])]
    write_sampling_figures(tmp_path, ("a", "b"), labels, clips, orders.__getitem__, 2, Augmentation(), seed=0)
    counts, sampled, unseen = (
        read_figure(tmp_path / f"{name}.json") for name in ("tag-counts", "sampled-counts", "unseen-share")
    )
    assert (counts.series[0].x, counts.series[0].y) == (["a", "b"], [2, 1])
    assert sampled.series[0].y == [7, 5]
    by_rate = {series.label: series.y for series in unseen.series}
    assert by_rate["mixup rate 0"] == [0.5, 0.25]
    assert all(share <= plain for share, plain in zip(by_rate["mixup rate 1"], by_rate["mixup rate 0"], strict=True))
    assert "clip" in unseen.caption
