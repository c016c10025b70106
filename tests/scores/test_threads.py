"""What scores recordings and clips says the same with one thread and with several, to the bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import earmark
from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.events.decisions import plain_decisions
from earmark.events.tagging import EventTagger
from earmark.models import inference
from earmark.models.tagger import load_model
from earmark.scores.framewise import framewise_clip_scores
from earmark.scores.predict import clip_scores
from earmark.tagging import Tagged
from tests.conftest import RATE_HZ, TAGS

CPU = torch.device("cpu")


def tagged(run: Path, dataset: Path) -> object:
    found = list(earmark.load_tagger(run, device="cpu").tag(recordings(dataset)))
    return [item.scores.tolist() for item in found if isinstance(item, Tagged)]


def events(run: Path, dataset: Path) -> object:
    return list(EventTagger(load_model(run), plain_decisions(TAGS), CPU).tag(recordings(dataset)))


def of_clips(run: Path, dataset: Path) -> object:
    pack = open_pack(open_dataset(dataset), RATE_HZ)
    return clip_scores(load_model(run), pack, np.arange(12), device=CPU)[1].tolist()


def of_frames(run: Path, dataset: Path) -> object:
    pack = open_pack(open_dataset(dataset), RATE_HZ)
    return framewise_clip_scores(load_model(run), pack, np.arange(12), device=CPU).scores.tolist()


def recordings(dataset: Path) -> list[str]:
    opened = open_dataset(dataset)
    return [str(opened.audio_path(row)) for row in range(12)]


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("said_by", [tagged, events, of_clips, of_frames])
def test_scores_do_not_depend_on_the_number_of_threads(
    said_by: Callable[[Path, Path], object], small_run: Path, small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "CELLS_AT_ONCE", 1)  # a batch a clip
    by_three = said_by(small_run, small_dataset)
    assert by_three
    torch.set_num_threads(1)
    assert said_by(small_run, small_dataset) == by_three
