"""Stores that were being written when the process died: gone on with where they are of the same excerpts."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.errors import InputError
from earmark.scores import writing
from earmark.scores.chunk_scores import store_scores, to_score
from earmark.scores.scorer import Scorer, callable_scorer
from earmark.scores.store import is_score_store, open_scores
from tests.conftest import RATE_HZ, REPOSITORY, TAGS
from tests.scores.conftest import ALL, stored, telling_scores

KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from earmark.data.chunking import Chunking
from earmark.data.dataset import open_dataset
from earmark.scores import writing
from earmark.scores.chunk_scores import store_chunk_scores
from earmark.scores.scorer import callable_scorer
from tests.scores.conftest import telling_scores

dataset, folder, calls = open_dataset(sys.argv[1]), Path(sys.argv[2]), [int(sys.argv[3])]
writing.BLOCK = 4

def function(waveform, num_samples):
    calls[0] -= 1
    if calls[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return telling_scores(waveform.numpy())

scorer = callable_scorer(function, ("Click", "Noise", "Tone"), 16000, "telling")
store_chunk_scores(scorer, dataset, np.arange(dataset.num_clips), Chunking(chunk_s=0.4, min_chunk_s=0.1), folder,
                   training=np.array([0, 6]), out_of_fold=False)
"""


def test_killed_anywhere_a_rerun_leaves_no_gap_and_scores_nothing_twice(
    odd_clips: Path, telling: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(odd_clips)
    unbroken = stored(telling, dataset, tmp_path / "unbroken")
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, odd_clips, folder]
    for calls in (0, 5):
        died = subprocess.run([*command, str(calls)], cwd=REPOSITORY, capture_output=True, text=True)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert is_score_store(folder) == (calls > 0)
        with pytest.raises(InputError, match="goes on where it was stopped"):
            open_scores(folder)
    done = json.loads((folder / "begun.json").read_text())["done"]
    assert 0 < done < len(unbroken.scores)
    given: list[int] = []

    def function(waveform, num_samples):
        given.extend(num_samples.tolist())
        return telling_scores(waveform.numpy())

    monkeypatch.setattr(writing, "BLOCK", 4)
    again = stored(callable_scorer(function, TAGS, RATE_HZ, "telling"), dataset, folder)
    lengths = np.round((again.column("offset") - again.column("onset")) * RATE_HZ).astype(int)
    assert sorted(given) == sorted(lengths[done:].tolist())
    for name in ("scores.npy", "index.parquet", "about.json"):
        assert (folder / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
    assert not (folder / "begun.json").exists()


def test_a_begun_store_of_whole_clips_goes_on_with_the_same_clips_only(odd_clips, tmp_path, monkeypatch):
    dataset = open_dataset(odd_clips)
    monkeypatch.setattr(writing, "BLOCK", 2)
    left = [4]

    def function(waveform, num_samples):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return telling_scores(waveform.numpy())

    def store_without(row):
        pack = open_pack(dataset, RATE_HZ)
        pack.num_samples = np.where(row == ALL, 0, pack.num_samples)
        wanted = to_score(dataset, pack, ALL, None, training=ALL)
        scorer = callable_scorer(function, TAGS, RATE_HZ, "telling")
        return store_scores(wanted, [scorer], np.zeros(len(ALL), np.int64), tmp_path / "s", {"model": "telling"})

    with pytest.raises(KeyboardInterrupt):
        store_without(0)
    left[0] = 100
    # As after the file of clip 0 was mended and that of clip 7 was lost: as many clips, but others.
    with pytest.raises(InputError, match="holds other scores"):
        store_without(7)
    made = store_without(0)
    assert made.index["clip"].to_pylist() == dataset.clips["clip"].to_pylist()[1:]


def test_float16_is_rounded_as_numpy_rounds_it(tmp_path):
    # Halves between neighbours, numbers too small for all bits, and those that become 0.
    scores = np.concatenate([np.linspace(0, 1, 3000), np.geomspace(1e-9, 1e-3, 3000), 0.5 + 2.0**-12 * np.arange(600)])
    scores = scores.astype(np.float32).reshape(-1, 3)
    rows = np.arange(len(scores))
    index = pa.table({"clip": rows.astype(str), "onset": pa.nulls(len(rows), pa.float64()),
                      "offset": pa.nulls(len(rows), pa.float64()), "first_row": rows,
                      "rows": np.ones(len(rows), np.int64)})  # fmt: skip
    store = writing.write_scores(tmp_path / "scores", index, TAGS, {}, lambda some: scores[some], "float16")
    expected = scores.astype(np.float16)
    assert np.array_equal(np.load(tmp_path / "scores" / "scores.npy"), expected)
    assert np.array_equal(store.read(rows), expected.astype(np.float32))
