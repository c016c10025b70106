"""Scores of packed clips: each clip's own, in order, long ones by windows."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.data.chunking import Chunking
from earmark.data.clips import whole_clips
from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.models.tagger import load_model
from earmark.scores.predict import clip_scores, excerpt_scores
from earmark.scores.scorer import model_scorer
from tests.conftest import RATE_HZ, sound

CPU = torch.device("cpu")


def test_scores_do_not_depend_on_batch_mates_or_order(small_dataset: Path, small_run: Path) -> None:
    tagger, pack = load_model(small_run), open_pack(open_dataset(small_dataset), RATE_HZ)
    rows = np.random.default_rng(0).permutation(36)
    _, together = clip_scores(tagger, pack, rows, device=CPU)
    for position in (0, 5, 35):
        _, alone = clip_scores(tagger, pack, rows[position : position + 1], device=CPU)
        np.testing.assert_allclose(together[position], alone[0], rtol=0, atol=1e-5)


def test_clips_of_all_lengths_are_scored_as_they_are_alone(small_run: Path, tmp_path: Path) -> None:
    lengths_s = (0.02, 0.5, 1.0, 2.5, 29.9, 31.0, 45.3)
    for index, seconds in enumerate(lengths_s):
        path = tmp_path / "audio" / "Tone" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound("Tone", index, seconds), RATE_HZ)
    import_dataset(tmp_path / "audio", tmp_path / "sounds")
    pack = open_pack(open_dataset(tmp_path / "sounds"), RATE_HZ)
    tagger = load_model(small_run)
    rows, scores = clip_scores(tagger, pack, np.arange(len(lengths_s)), device=CPU)
    assert rows.tolist() == list(range(len(lengths_s)))
    window = RATE_HZ  # one second, the training length of the run
    with torch.inference_mode():
        for row in rows:
            waveform = torch.from_numpy(pack.clip(row).copy())[None]
            parts = [waveform]
            if lengths_s[row] > 30:
                ends = [*range(window, waveform.shape[1], window), waveform.shape[1]]
                parts = [waveform[:, end - window : end] for end in ends]
            said = [tagger(part, torch.tensor([part.shape[1]])).clipwise[0] for part in parts]
            np.testing.assert_allclose(scores[row], torch.stack(said).amax(0), rtol=0, atol=1e-5)


def test_clips_that_the_pack_left_out_have_no_scores(small_dataset: Path, small_run: Path) -> None:
    tagger, pack = load_model(small_run), open_pack(open_dataset(small_dataset), RATE_HZ)
    pack.num_samples = pack.num_samples.copy()
    pack.num_samples[4] = 0
    rows, scores = clip_scores(tagger, pack, np.array([3, 4, 5]), device=CPU)
    assert rows.tolist() == [3, 5]
    assert scores.shape == (2, 3)
    rows, scores = clip_scores(tagger, pack, np.array([4]), device=CPU)
    assert rows.tolist() == []
    assert scores.shape == (0, 3)


def test_excerpt_scores_keep_the_order_given(small_dataset: Path, small_run: Path) -> None:
    tagger, pack = load_model(small_run), open_pack(open_dataset(small_dataset), RATE_HZ)
    clips = whole_clips(pack, np.arange(36))
    backwards = clips.at(np.arange(36)[::-1])
    one = excerpt_scores(model_scorer(tagger, CPU), pack, clips)
    other = excerpt_scores(model_scorer(tagger, CPU), pack, backwards)
    np.testing.assert_allclose(one, other[::-1], rtol=0, atol=1e-5)


def test_a_model_of_chunks_gives_an_excerpt_the_mean_of_them(odd_clips: Path, small_run: Path) -> None:
    pack, tagger = open_pack(open_dataset(odd_clips), RATE_HZ), load_model(small_run)
    chunking = Chunking(chunk_s=0.4, min_chunk_s=0.1)
    tagger.config = tagger.config.model_copy(update={"chunking": chunking})
    clips = whole_clips(pack, np.arange(pack.num_clips)[::-1])
    scores = excerpt_scores(model_scorer(tagger, CPU), pack, clips)
    rows, same = clip_scores(tagger, pack, clips.clip_index, device=CPU)
    np.testing.assert_array_equal(scores, same)
    assert rows.tolist() == clips.clip_index.tolist()
    with torch.inference_mode():
        for row, got in zip(clips.clip_index, scores, strict=True):
            waveform = torch.from_numpy(pack.clip(row).copy())[None]
            parts = [waveform[:, a:b] for a, b in chunking.bounds(waveform.shape[1], RATE_HZ)]
            said = torch.stack([tagger(part, torch.tensor([part.shape[1]])).clipwise[0] for part in parts])
            np.testing.assert_allclose(got, said.mean(0), rtol=0, atol=1e-5)
    assert {len(chunking.bounds(int(n), RATE_HZ)) for n in clips.num_samples} == {1, 2, 3, 6}


def test_a_pack_at_another_rate_is_refused(odd_clips: Path, small_run: Path) -> None:
    pack = open_pack(open_dataset(odd_clips), 8000)
    with pytest.raises(ValueError, match="the pack must be at the scorer's 16000 Hz, it is at 8000 Hz"):
        clip_scores(load_model(small_run), pack, np.arange(3), device=CPU)
