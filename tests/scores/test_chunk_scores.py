"""Stores of chunk scores: what they hold, at any rate, however large."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.data.chunking import Chunking
from earmark.data.clips import Excerpts, whole_clips
from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.models.ensemble import digest_of_model
from earmark.models.tagger import load_model, save_model
from earmark.scores.chunk_scores import store_model_scores
from earmark.scores.predict import excerpt_scores
from earmark.scores.scorer import model_scorer
from earmark.scores.seen import never_saw
from tests.conftest import RATE_HZ, REPOSITORY, TAGS
from tests.scores.conftest import ALL, CHUNKING, packed, stored, telling_scores

CPU = torch.device("cpu")


def test_a_store_holds_every_chunk_of_the_clips_asked_for(odd_clips, telling, tmp_path):
    dataset = open_dataset(odd_clips)
    made = stored(telling, dataset, tmp_path / "s", rows=np.array([6, 1, 0]))
    assert made.scores.dtype == np.float16
    assert made.chunking == CHUNKING
    assert made.tags == TAGS
    about = {"model": "telling", "dataset": dataset.digest, "out_of_fold": False, "chunk_s": 0.4, "min_chunk_s": 0.1}
    assert {key: made.about[key] for key in about} == about
    names = dataset.clips["clip"].to_pylist()
    pack = open_pack(dataset, RATE_HZ)
    expected = [
        (names[row], a, b, row in (0, 6))
        for row in (6, 1, 0)
        for a, b in CHUNKING.bounds(int(pack.num_samples[row]), RATE_HZ)
    ]
    index = made.index.to_pydict()
    seconds = [np.round(np.array(index[name]) * RATE_HZ).astype(int).tolist() for name in ("onset", "offset")]
    assert list(zip(index["clip"], *seconds, index["in_training"], strict=True)) == expected
    assert index["first_row"] == list(range(len(expected)))
    for row, (name, a, b, _) in enumerate(expected):
        waveform = packed(pack.clip(names.index(name))[a:b]).numpy()
        np.testing.assert_allclose(made.scores[row], telling_scores(waveform)[0], rtol=0, atol=1e-3)


def test_stored_scores_are_fresh_ones_and_the_same_bytes_twice(odd_clips, small_run, tmp_path):
    dataset, scorer = open_dataset(odd_clips), model_scorer(load_model(small_run), CPU)
    one = store_model_scores(small_run, dataset, tmp_path / "one", chunking=CHUNKING, device=CPU)
    pack = open_pack(dataset, RATE_HZ)
    chunks, rows = one.chunks_of(dataset, whole_clips(pack, ALL), RATE_HZ)
    fresh = excerpt_scores(scorer, pack, chunks)
    np.testing.assert_allclose(one.read(rows), fresh, rtol=0, atol=1e-3)
    assert one.read(rows).tobytes() == one.read(rows).tobytes() == np.asarray(one.scores, np.float32)[rows].tobytes()
    store_model_scores(small_run, dataset, tmp_path / "two", chunking=CHUNKING, device=CPU)
    for name in ("scores.npy", "about.json", "index.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert one.about["out_of_fold"]  # of another data set than the one that it was trained on


def test_another_precision_is_another_store(odd_clips, small_run, tmp_path):
    dataset, folder = open_dataset(odd_clips), tmp_path / "s"
    low = store_model_scores(small_run, dataset, tmp_path / "low", device=CPU, precision="bf16")
    exact = store_model_scores(small_run, dataset, folder, device=CPU)
    assert (low.about["precision"], exact.about["precision"]) == ("bf16", "fp32")
    assert not np.array_equal(low.scores, exact.scores)
    np.testing.assert_allclose(low.scores, exact.scores, rtol=0, atol=0.02)
    # A store from before there was a choice.
    about = json.loads((folder / "about.json").read_text())
    del about["precision"]
    (folder / "about.json").write_text(json.dumps(about))
    assert "precision" not in store_model_scores(small_run, dataset, folder, device=CPU).about
    with pytest.raises(
        InputError, match=r"s: holds other scores \(in fp32, not bf16\); add --precision fp32, or name another"
    ):
        store_model_scores(small_run, dataset, folder, device=CPU, precision="bf16")
    with pytest.raises(InputError, match="of another model, data set or setting"):
        store_model_scores(small_run, dataset, folder, device=CPU, precision="bf16", chunking=CHUNKING)


def test_rows_are_read_in_any_order(odd_clips, telling, tmp_path):
    made = stored(telling, open_dataset(odd_clips), tmp_path)
    rows = np.random.default_rng(0).integers(0, len(made.scores), 50)
    np.testing.assert_array_equal(made.read(rows), made.scores[rows].astype(np.float32))
    np.testing.assert_array_equal(made.read(np.array([3, 4, 5, 5, 6])), made.scores[[3, 4, 5, 5, 6]])
    assert made.read(rows).dtype == np.float32
    assert made.read(np.array([], np.int64)).shape == (0, 3)
    for wrong in (-1, len(made.scores)):
        with pytest.raises(IndexError, match="rows must be 0 to"):
            made.read(np.array([0, wrong]))


def test_the_chunks_of_a_store_are_those_that_were_cut(odd_clips, telling, tmp_path):
    dataset = open_dataset(odd_clips)
    made = stored(telling, dataset, tmp_path, rows=ALL[::-1])
    clips = whole_clips(open_pack(dataset, RATE_HZ), np.array([5, 0, 6]))
    chunks, rows = made.chunks_of(dataset, clips, RATE_HZ)
    cut = CHUNKING.cut(clips, RATE_HZ)
    for name in ("clip_index", "onset_samples", "num_samples"):
        assert getattr(chunks, name).tolist() == getattr(cut, name).tolist()
    np.testing.assert_allclose(made.read(rows)[:, 0], cut.num_samples / 2**20, rtol=1e-3)


@pytest.mark.parametrize("chunking", [CHUNKING, Chunking(chunk_s=0.1234567, min_chunk_s=0.0)])
def test_a_store_at_one_rate_says_how_clips_are_cut_at_another(odd_clips, telling, tmp_path, chunking):
    dataset = open_dataset(odd_clips)
    made = stored(telling, dataset, tmp_path, chunking=chunking)
    low = made.chunks_of(dataset, whole_clips(open_pack(dataset, RATE_HZ), ALL), RATE_HZ)
    for rate_hz in (44_100, 8_000):
        clips = whole_clips(open_pack(dataset, rate_hz), ALL)
        chunks, rows = made.chunks_of(dataset, clips, rate_hz)
        ends = chunks.onset_samples + chunks.num_samples
        assert chunks.num_samples.min() > 0
        for row, length in zip(clips.clip_index, clips.num_samples, strict=True):
            mine = chunks.clip_index == row
            # One after another from the clip's first sample to its last.
            assert chunks.onset_samples[mine].tolist() == [0, *ends[mine][:-1].tolist()]
            assert ends[mine][-1] == length
        assert rows.tolist() == low[1].tolist()
        np.testing.assert_allclose(chunks.onset_samples / rate_hz, low[0].onset_samples / RATE_HZ, rtol=0, atol=1e-4)
        np.testing.assert_allclose(ends / rate_hz, (low[0].onset_samples + low[0].num_samples) / RATE_HZ, atol=2e-4)
    if chunking is CHUNKING:
        clips = whole_clips(open_pack(dataset, 44_100), ALL)
        cut = chunking.cut(clips, 44_100)
        assert made.chunks_of(dataset, clips, 44_100)[0].onset_samples.tolist() == cut.onset_samples.tolist()


def test_a_sliver_that_is_nothing_at_another_rate_is_left_out(odd_clips, telling, tmp_path):
    dataset = open_dataset(odd_clips)
    made = stored(telling, dataset, tmp_path, chunking=Chunking(chunk_s=0.407, min_chunk_s=0.0))
    row = np.flatnonzero(open_pack(dataset, RATE_HZ).num_samples == 0.41 * RATE_HZ)
    assert len(made.chunks_of(dataset, Excerpts(row, row * 0, np.array([410])), 1000)[0]) == 2
    # As if the resampler had left nothing of the last 3 ms.
    chunks, rows = made.chunks_of(dataset, Excerpts(row, row * 0, np.array([407])), 1000)
    assert (chunks.onset_samples.tolist(), chunks.num_samples.tolist()) == ([0], [407])
    assert made.column("onset")[rows].tolist() == [0]


def test_clips_without_scores_are_absent(odd_clips, telling, tmp_path):
    dataset = open_dataset(odd_clips)
    made = stored(telling, dataset, tmp_path / "some", rows=np.array([2, 6]))
    clips = whole_clips(open_pack(dataset, RATE_HZ), ALL)
    assert set(made.chunks_of(dataset, clips, RATE_HZ)[0].clip_index.tolist()) == {2, 6}
    with pytest.raises(InputError, match=r"some: scores must be of clips of odd, of those asked for none is"):
        made.chunks_of(dataset, clips.at(np.array([0, 1])), RATE_HZ)
    with pytest.raises(InputError, match="scores must be of whole clips"):
        made.of_clips(dataset)


def test_clips_of_another_length_than_their_scores_have_none(odd_clips, telling, tmp_path, caplog):
    dataset = open_dataset(odd_clips)
    made = stored(telling, dataset, tmp_path / "s")
    clips = whole_clips(open_pack(dataset, RATE_HZ), ALL)

    def chunks(off_samples):
        return made.chunks_of(dataset, replace(clips, num_samples=clips.num_samples + off_samples), RATE_HZ)[0]

    # Less than 5 ms is what decoding and resampling differ in: the last chunk ends with the clip.
    near = chunks(np.where(ALL == 6, 79, -79))
    assert set(near.clip_index.tolist()) == set(ALL.tolist())
    last = CHUNKING.cut(clips.at(np.array([6])), RATE_HZ).num_samples[-1]
    assert (near.num_samples[near.clip_index == 6][-1], caplog.records) == (last + 79, [])
    with caplog.at_level(logging.WARNING):
        assert set(chunks(np.where(ALL == 6, 81, 0)).clip_index.tolist()) == set(ALL.tolist()) - {6}
        assert set(chunks(np.where(ALL > 5, -81, 0)).clip_index.tolist()) == set(ALL[:6].tolist())
    assert "s: left out 1 of 8 clips with scores, of another length than was scored" in caplog.text
    assert "s: left out 2 of 8 clips with scores, of another length than was scored" in caplog.text
    with pytest.raises(
        InputError, match="s: scores must be of these clips of odd, all 8 with scores are of another len"
    ):
        chunks(np.full(8, RATE_HZ))


def test_the_chunk_asked_for_is_scored_as_a_whole(odd_clips, telling, tmp_path):
    dataset = open_dataset(odd_clips)
    by_chunks = replace(telling, chunking=Chunking(chunk_s=0.1, min_chunk_s=0.1))
    made = stored(by_chunks, dataset, tmp_path / "chunks", chunking=Chunking(chunk_s=0.8))
    plain = stored(telling, dataset, tmp_path / "plain", chunking=Chunking(chunk_s=0.8))
    np.testing.assert_array_equal(made.scores, plain.scores)
    assert made.scores[:, 0].max() == pytest.approx(RATE_HZ / 2**20, rel=1e-3)  # a second: .8 s, and .2 s joined to it


def test_scores_are_out_of_fold_only_where_it_is_known(odd_clips, small_run, tmp_path):
    dataset, silent = open_dataset(odd_clips), load_model(small_run)
    silent.config = silent.config.model_copy(update={"trained_on": {}})
    save_model(silent, tmp_path / "silent")
    known = store_model_scores(small_run, dataset, tmp_path / "one", chunking=CHUNKING, device=CPU)
    unknown = store_model_scores(tmp_path / "silent", dataset, tmp_path / "two", chunking=CHUNKING, device=CPU)
    assert (known.about["out_of_fold"], unknown.about["out_of_fold"]) == (True, False)
    # Nor of one that knows its own clips and not its teacher's.
    told = [dict(record) for record in load_model(small_run).trained_on()]
    assert never_saw(told, dataset)
    assert not never_saw([{**told[0], "learned_from": [{"scorer": "mine"}]}], dataset)


def test_a_model_is_called_the_same_whoever_stores_its_scores(odd_clips, small_run, tmp_path):
    dataset = open_dataset(odd_clips)
    by_folder = store_model_scores(small_run, dataset, tmp_path / "one", chunking=CHUNKING, device=CPU)
    scorer = model_scorer(load_model(small_run), CPU, digest_of_model(small_run))
    assert stored(scorer, dataset, tmp_path / "two").about["model"] == by_folder.about["model"]


def test_a_store_of_whole_clips_has_no_chunks(odd_clips, small_run, tmp_path):
    dataset = open_dataset(odd_clips)
    made = store_model_scores(small_run, dataset, tmp_path / "whole", device=CPU)
    assert made.chunking is None
    assert made.scores.dtype == np.float32
    with pytest.raises(InputError, match=r"of whole clips; make such a store with `earmark score MODEL \S+/odd"):
        made.chunks_of(dataset, whole_clips(open_pack(dataset, RATE_HZ), ALL), RATE_HZ)


def test_other_chunks_are_other_scores(odd_clips, telling, tmp_path):
    dataset = open_dataset(odd_clips)
    stored(telling, dataset, tmp_path)
    for rows, chunking in ((ALL, Chunking(chunk_s=0.5)), (ALL[:-1], CHUNKING), (ALL[::-1], CHUNKING)):
        with pytest.raises(InputError, match="holds other scores"):
            stored(telling, dataset, tmp_path, rows, chunking)
    assert len(stored(telling, dataset, tmp_path).scores) == 17
    with pytest.raises(InputError, match="must hold clips that can be read, found none among 0"):
        stored(telling, dataset, tmp_path / "none", rows=np.array([], np.int64))


LARGE = """
import resource, sys, time
import numpy as np
import pyarrow as pa
from pathlib import Path
from earmark.data.clips import Excerpts
from earmark.data.dataset import Dataset
from earmark.data.vocabulary import Vocabulary
from earmark.scores.store import open_scores

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

folder, num_clips = Path(sys.argv[1]), int(sys.argv[2])
names = pa.array([f"Y{number:010d}" for number in range(num_clips)])
dataset = Dataset(folder, "large", pa.table({"clip": names}), Vocabulary(("a",)), folder, {})
clips = Excerpts(np.arange(num_clips), np.zeros(num_clips, np.int64), np.full(num_clips, 441000))
before = peak_mb()
store = open_scores(folder)
opened = peak_mb()
chunks, rows = store.chunks_of(dataset, clips, 44100)
cut = peak_mb()
assert len(chunks) == len(rows) == 5 * num_clips
assert (rows == np.arange(5 * num_clips)).all()
assert (chunks.onset_samples[:5] == np.arange(5) * 88200).all() and (chunks.num_samples == 88200).all()
draw = np.random.default_rng(0)
for _ in range(400):
    asked = rows[draw.integers(0, len(rows), 256)]
    assert (store.read(asked) == (asked[:, None] % 50_000 == 0)).all()
print(opened - before, cut - before, peak_mb() - cut)
"""


@pytest.mark.slow
def test_a_store_of_audioset_in_chunks_is_read_in_bounded_memory(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    num_clips, num_tags = 1_900_000, 527
    rows = np.arange(5 * num_clips)
    # 10 GB that take no place on the disk: every 50,000th row is written.
    scores = np.lib.format.open_memmap(tmp_path / "scores.npy", "w+", np.float16, (len(rows), num_tags))
    scores[::50_000] = 1
    del scores
    assert (tmp_path / "scores.npy").stat().st_size > 10e9
    names = pa.array([f"Y{number:010d}" for number in range(num_clips)])
    columns = {
        "clip": names.take(pa.array(rows // 5)), "onset": rows % 5 * 2.0, "offset": rows % 5 * 2.0 + 2,
        "first_row": rows, "rows": np.ones(len(rows), np.int64), "in_training": np.ones(len(rows), bool),
    }  # fmt: skip
    pa.parquet.write_table(pa.table(columns), tmp_path / "index.parquet", compression="zstd")
    about = {"format": 1, "tags": [f"t{k}" for k in range(num_tags)], "chunk_s": 2.0, "min_chunk_s": 0.5}
    (tmp_path / "about.json").write_text(json.dumps(about))
    command = [sys.executable, "-c", LARGE, tmp_path, str(num_clips)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    opened_mb, cut_mb, read_mb = map(float, answer.stdout.split())
    assert opened_mb < 150, "opening looks at row counts alone"
    assert cut_mb < 1000, "the result is 300 MB, the scores 10 GB"
    assert read_mb < 50, "100,000 random rows lie on 100,000 pages, 400 MB of a memory map"
