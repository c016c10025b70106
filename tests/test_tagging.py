"""Tagging recordings: one path, many, long ones, and the same scores as the evaluation's."""

import tracemalloc
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
from earmark.models.tagger import load_model, save_model
from earmark.scores.predict import clip_scores
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
