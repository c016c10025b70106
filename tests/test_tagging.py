"""Tagging recordings: one path, many, long ones, and the same scores as the evaluation's."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

import earmark
from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts
from earmark.data.clips import windows as clip_windows
from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.features import ClipFrames
from earmark.models.ensemble import Ensemble, save_ensemble
from earmark.models.settings import ScoreRange
from earmark.models.tagger import Tagger, load_model, save_model
from earmark.scores.predict import clip_scores
from earmark.scores.scorer import whole_s
from earmark.tagging import Tagged, Unreadable, _windows_of, find_recordings
from tests.conftest import RATE_HZ, TAGS, sound


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(1, 30))
def test_windows_of_a_stream_are_those_of_the_whole(block_lengths: list[int], window: int) -> None:
    whole = np.arange(max(sum(block_lengths), window), dtype=np.int16)
    blocks = np.split(whole, np.cumsum(block_lengths)[:-1])
    found = list(_windows_of(blocks, window))
    starts = list(range(0, len(whole) - window + 1, window))
    if len(whole) % window:
        starts.append(len(whole) - window)
    assert [onset for onset, _ in found] == starts
    clip = Excerpts(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([len(whole)]))
    assert clip_windows(clip, window, window).onset_samples.tolist() == starts
    for onset, waveform in found:
        np.testing.assert_array_equal(waveform, whole[onset : onset + window])


def test_a_call_gives_all_tags_best_first(small_run: Path, class_folders: Path) -> None:
    tagger = earmark.load_tagger(small_run, device="cpu")
    tags = tagger(class_folders / "003 - Tone" / "1-300-A.wav")
    assert tags[0]["tag"] == "Tone"
    assert sorted(row["tag"] for row in tags) == sorted(TAGS)
    assert [row["score"] for row in tags] == sorted((row["score"] for row in tags), reverse=True)


def test_files_get_the_scores_that_the_packed_clips_get(small_run: Path, small_dataset: Path) -> None:
    tagger = earmark.load_tagger(small_run, device="cpu")
    dataset = open_dataset(small_dataset)
    _, packed = clip_scores(tagger.tagger, open_pack(dataset, RATE_HZ), np.arange(36), device=torch.device("cpu"))
    paths = [str(dataset.audio_path(row)) for row in range(36)]
    for path, scores, tagged in zip(paths, packed, tagger.tag(paths), strict=True):
        assert isinstance(tagged, Tagged)
        assert tagged.path == path
        np.testing.assert_allclose(tagged.scores, scores, rtol=0, atol=1e-5)


def test_a_model_of_chunks_says_of_files_what_it_says_of_packed_clips(small_run: Path, tmp_path: Path) -> None:
    for index, seconds in enumerate((1.0, 0.3, 0.86, 0.02, 2.33, 29.95, 31.07, 0.55, 30.0)):
        path = tmp_path / "audio" / "Tone" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound("Tone", index, seconds), RATE_HZ)
    dataset = open_dataset(import_dataset(tmp_path / "audio", tmp_path / "set") and tmp_path / "set")
    whole, chunked = load_model(small_run), load_model(small_run)
    chunked.config = chunked.config.model_copy(update={"chunking": Chunking(chunk_s=0.4, min_chunk_s=0.1)})
    save_model(chunked, tmp_path / "model")
    tagger = earmark.load_tagger(tmp_path / "model", device="cpu")
    pack, rows = open_pack(dataset, RATE_HZ), np.arange(dataset.num_clips)
    _, packed = clip_scores(tagger.tagger, pack, rows, device=torch.device("cpu"))
    found = list(tagger.tag([str(dataset.audio_path(row)) for row in rows]))
    of_recordings = [item for item in found if isinstance(item, Tagged) and item.onset is None]
    assert len(of_recordings) == dataset.num_clips
    # Windows of a second: 31 and a last one that ends with the recording.
    assert len(found) - len(of_recordings) == 32
    for scores, tagged in zip(packed, of_recordings, strict=True):
        np.testing.assert_allclose(tagged.scores, scores, rtol=0, atol=1e-5)
    _, unlike = clip_scores(whole, pack, rows, device=torch.device("cpu"))
    assert (np.abs(unlike - packed).max(axis=1) > 1e-4).sum() >= 6
    last = found.index(of_recordings[-1])
    embeddings = {item.embedding.shape for item in found if isinstance(item, Tagged)}
    assert embeddings == {(chunked.num_channels,)}
    assert last == len(found) - 1


def test_a_file_that_cannot_be_read_stops_neither_the_rest_nor_the_order(small_run: Path, tmp_path: Path) -> None:
    paths = []
    for index, seconds in enumerate((1.0, 0.3, 33.0, 1.0)):
        paths.append(str(tmp_path / f"{index}.wav"))
        soundfile.write(paths[-1], sound("Noise", index, seconds), RATE_HZ)
    whole = Path(paths[2]).read_bytes()
    Path(paths[2]).write_bytes(whole[: len(whole) - 10000])
    paths.insert(1, str(tmp_path / "gone.wav"))
    found = list(earmark.load_tagger(small_run, device="cpu").tag(paths))
    assert [item.path for item in found if isinstance(item, Unreadable)] == [paths[1], paths[3]]
    assert [item.path for item in found if isinstance(item, Tagged) and item.onset is None] == [
        paths[0],
        paths[2],
        paths[4],
    ]
    with pytest.raises(InputError, match=r"gone\.wav: missing"):
        earmark.load_tagger(small_run, device="cpu")(paths[1])


def ranged(run: Path, on: str, high: Sequence[float] = (1.0,) * len(TAGS)) -> Tagger:
    """The run's model, its scores scaled from 0 and the given ones to 0 and 1."""
    tagger = load_model(run)
    to_unit = ScoreRange.model_validate({"on": on, "low": (0.0,) * len(TAGS), "high": high})
    tagger.config = tagger.config.model_copy(update={"score_range": to_unit})
    return tagger


def test_recordings_are_tagged_with_scaled_scores(small_run: Path, class_folders: Path, tmp_path: Path) -> None:
    path = class_folders / "003 - Tone" / "1-300-A.wav"
    plain = earmark.load_tagger(small_run, device="cpu")
    said = {row["tag"]: row["score"] for row in plain(path)}
    save_model(ranged(small_run, "validation", [min(1.0, 2 * said[tag]) for tag in plain.tags]), tmp_path / "model")
    found = {row["tag"]: row["score"] for row in earmark.load_tagger(tmp_path / "model", device="cpu")(path)}
    # Twice a tag's own score is 1, so that it becomes one half; Tone's would be beyond 1.
    assert said["Tone"] > 0.9
    assert found == pytest.approx({"Tone": said["Tone"], "Click": 0.5, "Noise": 0.5}, rel=1e-4)


def test_scores_scaled_by_test_clips_tag_no_recording(small_run: Path, tmp_path: Path) -> None:
    save_model(ranged(small_run, "test"), tmp_path / "model")
    refusal = "this model scales them by its test clips; train with --set postprocess_on=validation$"
    with pytest.raises(InputError, match=f"must scale scores by its validation clips, {refusal}"):
        earmark.load_tagger(tmp_path / "model", device="cpu")
    members = [load_model(small_run), ranged(small_run, "test"), ranged(small_run, "validation")]
    save_ensemble(Ensemble(members), tmp_path / "ensemble")
    with pytest.raises(InputError, match="member 2 of this ensemble scales them by its test clips"):
        earmark.load_tagger(tmp_path / "ensemble", device="cpu")
    save_ensemble(Ensemble(members[::2]), tmp_path / "fine")
    assert earmark.load_tagger(tmp_path / "fine", device="cpu").tags == list(members[0].config.vocabulary)


def test_memory_does_not_grow_with_the_recording(small_run: Path, tmp_path: Path) -> None:
    peaks = []
    for minutes in (4, 16):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.zeros(minutes * 60 * RATE_HZ, np.int16), RATE_HZ)
        tagger = earmark.load_tagger(small_run, device="cpu")
        tracemalloc.start()
        for _ in tagger.tag([str(path)]):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_folders_are_searched_and_an_empty_one_is_refused(class_folders: Path, tmp_path: Path) -> None:
    assert len(find_recordings([str(class_folders)])) == 36
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="must hold audio files, found none"):
        find_recordings([str(tmp_path)])


def test_a_recording_longer_than_clips_are_fitted_to_is_tagged_in_windows(small_run: Path) -> None:
    tagger = load_model(small_run)
    fitted = ClipFrames(num_frames=400)  # 4 s, while a clip of training has 1 s
    tagger.config = tagger.config.model_copy(update={"clip_frames": fitted})
    assert whole_s(tagger) == 4.0
    short = tagger.config.model_copy(update={"clip_frames": ClipFrames(num_frames=50)})
    tagger.config = short
    assert whole_s(tagger) == short.training_length_s == 1.0
    tagger.config = short.model_copy(update={"clip_frames": ClipFrames(num_frames=10_000)})
    assert whole_s(tagger) == 30.0
