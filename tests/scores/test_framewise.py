"""Framewise scores of packed clips, beside the model itself; long clips by windows, beside one pass."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import Pack, open_pack
from earmark.errors import InputError
from earmark.features import PRESETS, ClipFrames, FrontEnd
from earmark.models.settings import BackboneConfig, HeadConfig, TaggerConfig
from earmark.models.tagger import Tagger
from earmark.scores.framewise import FrameWindows, frame_windows, framewise_clip_scores, on_grid, step_samples
from earmark.timing import frames_covering
from tests.conftest import RATE_HZ, TAGS, sound
from tests.scores.conftest import LENGTHS_S

CPU = torch.device("cpu")


def tagger(backbone: str = "crnn_small", front_end: FrontEnd = PRESETS["psl"], **changes: object) -> Tagger:
    torch.manual_seed(1)
    config = TaggerConfig.model_validate(
        {
            "front_end": front_end,
            "backbone": BackboneConfig(name=backbone),
            "head": HeadConfig(name="max"),
            "vocabulary": TAGS,
            "training_length_s": 2.0,
            **changes,
        }
    )
    made = Tagger(config)
    # Untrained, the last layer's scores are all near .5.
    made.head.linear.weight.data *= 20
    return made.eval()


@pytest.mark.parametrize("front_end", ["psl", "psla"])
def test_each_clips_frames_are_what_the_model_says_of_it_alone(odd_clips: Path, front_end: str) -> None:
    model, dataset = tagger(front_end=PRESETS[front_end]), open_dataset(odd_clips)
    pack = open_pack(dataset, RATE_HZ)
    rows = np.array([5, 0, 6, 1])
    scored = framewise_clip_scores(model, pack, rows, device=CPU)
    assert scored.clip_index.tolist() == rows.tolist()
    assert scored.hop_samples == step_samples(model) == 4 * 160
    for place, row in enumerate(rows):
        num_samples = int(pack.num_samples[row])
        waveform = np.zeros((1, model.padded_samples(num_samples)), np.int16)
        waveform[0, :num_samples] = pack.clip(int(row))
        with torch.inference_mode():
            said = model(torch.from_numpy(waveform), torch.tensor([num_samples])).framewise[0].numpy()
        count = frames_covering(num_samples, 640, RATE_HZ)
        assert scored.num_frames[place] == len(scored.of(place)) == count
        np.testing.assert_allclose(scored.of(place), on_grid(said, count), atol=1e-5)
    assert len(scored.scores) == scored.num_frames.sum()


def test_a_frame_that_a_model_lacks_is_its_last_ones():
    frames = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(on_grid(frames, 4), [[0, 1], [2, 3], [4, 5], [4, 5]])
    np.testing.assert_array_equal(on_grid(frames, 2), frames[:2])


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """A clip of 33.3 s, with sounds that come and go, and one of 1 s."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "audio" / "Tone").mkdir(parents=True)
    parts = [sound(TAGS[index % 3], index, 0.7) * (index % 2) for index in range(48)]
    soundfile.write(folder / "audio" / "Tone" / "long.wav", np.concatenate(parts)[: int(33.3 * RATE_HZ)], RATE_HZ)
    soundfile.write(folder / "audio" / "Tone" / "short.wav", sound("Tone", 1), RATE_HZ)
    import_dataset(folder / "audio", folder / "long")
    return open_pack(open_dataset(folder / "long"), RATE_HZ)


def test_windows_of_a_long_clip_give_what_one_pass_gives(long_clip: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features without a floor of the clip's own, and a receptive field (1.1 s) inside the overlap's half (1.25 s)."""
    fixed = PRESETS["psl"].model_copy(update={"dynamic_range_db": None})
    model = tagger("class_frame_resnet", fixed, training_length_s=5.0)
    by_windows = framewise_clip_scores(model, long_clip, np.arange(2), device=CPU)
    monkeypatch.setattr("earmark.scores.scorer.LONG_S", 60.0)
    in_one = framewise_clip_scores(model, long_clip, np.arange(2), device=CPU)
    assert by_windows.num_frames.tolist() == in_one.num_frames.tolist() == [417, 13]
    np.testing.assert_allclose(by_windows.scores, in_one.scores, atol=1e-3)
    assert np.ptp(in_one.scores, axis=0).min() > 0.1  # the scores tell frames apart
    decided = [scored.scores >= 0.5 for scored in (by_windows, in_one)]
    assert (decided[0] == decided[1]).mean() > 0.999


@pytest.mark.parametrize("num_frames", [8, 9, 12, 13, 31])
def test_windows_keep_each_frame_once(num_frames: int) -> None:
    grid = FrameWindows(8, 4)
    kept: list[int] = []
    for window in range(grid.num_windows(num_frames)):
        first, is_last = 4 * window, window == grid.num_windows(num_frames) - 1
        frames = np.arange(first, num_frames if is_last else first + 8)
        assert len(frames) <= 8
        kept += frames[grid.kept(window, is_last)].tolist()
    assert kept == list(range(num_frames))


def test_windows_are_no_longer_than_fixed_frames(odd_clips: Path) -> None:
    model = tagger(fixed_frames=100)
    assert frame_windows(model) == FrameWindows(25, 12)
    pack = open_pack(open_dataset(odd_clips), RATE_HZ)
    longest = int(np.argmax(LENGTHS_S))
    scored = framewise_clip_scores(model, pack, np.array([longest]), device=CPU)
    assert scored.num_frames.tolist() == [frames_covering(int(pack.num_samples[longest]), 640, RATE_HZ)]


def test_a_model_without_a_time_axis_is_refused(odd_clips: Path) -> None:
    model = tagger(clip_frames=ClipFrames(num_frames=100, window_frames=None, silence_db=None))
    with pytest.raises(InputError, match="must keep a time axis to find events"):
        framewise_clip_scores(model, open_pack(open_dataset(odd_clips), RATE_HZ), np.arange(2), device=CPU)
