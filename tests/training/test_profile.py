"""The profile of a training: each phase's time is its own, and nothing is left of the training."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from earmark.data.augment import Augmentation
from earmark.data.clips import whole_clips
from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.data.sampling import shuffled
from earmark.features import PRESETS
from earmark.models.settings import BackboneConfig, TaggerConfig
from earmark.models.tagger import Tagger
from earmark.training import loop, profile
from earmark.training.feed import Feed, TrainingBatch
from earmark.training.loop import fit
from earmark.training.profile import MEASURED_STEPS, WARM_UP_STEPS, Profile, StepsMeasured, StepTimes
from earmark.training.settings import FitSettings
from earmark.training.step import clipwise_loss
from earmark.training.stopwatch import PHASES
from earmark.training.targets import WeakLabels

CPU = torch.device("cpu")
SETTINGS = FitSettings(epochs=1, batch_size=8, precision="fp32", checkpoint_every_steps=3)


@pytest.fixture
def feed(small_dataset: Path) -> Feed:
    """Four steps an epoch."""
    dataset = open_dataset(small_dataset)
    pack = open_pack(dataset, 16000)
    clips = whole_clips(pack, np.arange(dataset.num_clips))
    order = functools.partial(shuffled, len(clips), 0)
    return Feed(
        pack, clips, WeakLabels(dataset.labels(), clips), order, 1600, 8, Augmentation(), 0, dataset.clips["clip"]
    )


def small_tagger() -> Tagger:
    backbone = BackboneConfig(name="crnn_small")
    return Tagger(TaggerConfig(front_end=PRESETS["psl"], backbone=backbone, vocabulary=("Click", "Noise", "Tone")))


def never(tagger: Tagger) -> dict[str, float]:
    raise AssertionError("a profile validates nothing")


class Clock:
    """A clock that stands still but for what is made to take time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.patch = patch
        for module in ("stopwatch", "profile"):
            patch.setattr(f"earmark.training.{module}.time", SimpleNamespace(perf_counter=lambda: self.now))

    def takes(self, seconds: float, owner: object, name: str) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def slow(*arguments: object, **named: object) -> object:
            self.now += seconds
            return original(*arguments, **named)

        self.patch.setattr(owner, name, slow)

    def feed(self, seconds: float) -> None:
        """Each batch takes as long, and none is made ahead."""

        def batches(feed: Feed, epoch: int, first: int = 0) -> Iterator[TrainingBatch]:
            for batch in feed._batches(epoch, first):
                self.now += seconds
                yield batch

        self.patch.setattr(Feed, "batches", batches)


def test_each_phase_has_its_own_seconds(feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.feed(1)
    clock.takes(2, Tagger, "features")
    clock.takes(3, profile.Profile, "stop")
    clock.takes(4, Tagger, "logits")
    clock.takes(16, torch.Tensor, "backward")
    clock.takes(32, torch.optim.Adam, "step")
    clock.takes(64, Tagger, "train")

    def slow_loss(*arguments: object) -> torch.Tensor:
        clock.now += 8
        return clipwise_loss(*arguments)

    with pytest.raises(StepsMeasured) as measured:
        fit(small_tagger(), feed, never, SETTINGS, tmp_path, device=CPU, loss=slow_loss, profile=True)
    found = measured.value.found
    expected = {
        "waiting for data": 1,
        "features": 2,
        "forward": 4,
        "loss": 8,
        "backward": 16,
        "optimiser": 32,
        "rest": 67,
    }
    assert found.seconds == dict.fromkeys(PHASES, 0) | expected
    assert (found.feed_s, found.batch_size, found.precision, found.device) == (1, 8, "fp32", CPU)
    assert found.threads == torch.get_num_threads()
    assert found.folder == tmp_path
    assert found.peak_bytes > 50e6
    assert not (tmp_path / "metrics.jsonl").read_text()


def test_steps_are_those_of_training(feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, taken = [], loop.train_step

    def train_step(*arguments: object) -> float:
        steps.append(arguments[1].clip_index.tolist())
        return taken(*arguments)

    monkeypatch.setattr(loop, "train_step", train_step)
    with pytest.raises(StepsMeasured):
        fit(small_tagger(), feed, never, SETTINGS, tmp_path, device=CPU, profile=True)
    assert len(steps) == WARM_UP_STEPS + MEASURED_STEPS
    assert steps[:4] == [batch.clip_index.tolist() for batch in feed.batches(0)]


def test_a_gpu_is_waited_for_at_each_mark(feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    for name, times in (("cpu", 0), ("cuda", 2)):
        stopwatch = Profile(feed.in_epochs_of(25), SETTINGS, torch.device(name), tmp_path)
        stopwatch.mark("forward")
        stopwatch.mark("loss")
        assert waited == [torch.device("cuda")] * times


TIMES = StepTimes(
    seconds={**dict.fromkeys(PHASES, 0.0), "waiting for data": 0.001, "forward": 0.03, "backward": 0.069},
    feed_s=0.002, batch_size=32, folder=Path("run"), device=CPU, precision="bf16", threads=1, peak_bytes=1_234_000_000,
)  # fmt: skip


def test_the_table() -> None:
    assert TIMES.lines() == [
        "20 steps after 5, 32 clips each; bf16 on cpu, 1 thread, peak memory 1.23 GB",
        "                   ms a step   share   clips/s",
        "waiting for data         1.0    1.0%",
        "copy to device           0.0    0.0%",
        "features                 0.0    0.0%",
        "forward                 30.0   30.0%",
        "loss                     0.0    0.0%",
        "backward                69.0   69.0%",
        "optimiser                0.0    0.0%",
        "rest                     0.0    0.0%",
        "a step                 100.0             320.0",
        "the data alone           2.0           16000.0",
        "computing binds: it takes 49.5 x as long as the data",
    ]


def test_data_that_are_slower_than_computing_bind() -> None:
    waiting = replace(
        TIMES, seconds={**TIMES.seconds, "waiting for data": 0.2}, feed_s=0.297, peak_bytes=None, threads=2
    )
    assert waiting.lines()[0].endswith("bf16 on cpu, 2 threads")
    assert waiting.lines()[-1] == "data bind: they take 3.0 x as long as computing"
