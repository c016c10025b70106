"""Out-of-fold scores of chunks: each chunk by the models that never saw its clip."""

from pathlib import Path

import numpy as np
import pytest

from earmark.data.chunking import Chunking
from earmark.data.clips import whole_clips
from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.data.splits import fold_splits, resolve_splits
from earmark.models.ensemble import Ensemble
from earmark.models.tagger import load_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from earmark.recipes.scoring import score_out_of_fold
from earmark.scores.predict import excerpt_scores
from earmark.scores.scorer import model_scorer
from tests.conftest import RATE_HZ

CHUNKING = Chunking(chunk_s=0.4, min_chunk_s=0.1)
SMALL = {"backbone": "crnn_small", "pretrained": None, "epochs": 1, "batch_size": 8, "warmup_steps": 0}


@pytest.mark.slow
def test_folds_and_chunks_combine(small_dataset: Path, tmp_path: Path) -> None:
    dataset = open_dataset(small_dataset)
    request = Request(dataset=dataset, run=tmp_path / "run", test_fold=1, validation_fold=2)
    run_recipe(find_recipe("baseline"), request, SMALL)
    arguments = {"chunking": CHUNKING, "device": request.device, "workers": None}
    store = score_out_of_fold(tmp_path / "run", dataset, 2, tmp_path / "scores", **arguments)
    assert store.chunking == CHUNKING
    assert (store.about["folds"], store.about["out_of_fold"], len(store.scores)) == (2, True, 3 * 36)
    pack, splits = open_pack(dataset, RATE_HZ), resolve_splits(dataset, 1, 2)
    taggers = [load_model(tmp_path / "scores" / "folds" / f"scores-{number}") for number in (1, 2)]
    parts = [(tagger, part.test) for tagger, part in zip(taggers, fold_splits(dataset, splits, 2), strict=True)]
    for model, rows in [*parts, (Ensemble(taggers), np.concatenate([splits.validation, splits.test]))]:
        chunks, places = store.chunks_of(dataset, whole_clips(pack, rows), RATE_HZ)
        assert len(chunks) == 3 * len(rows)
        fresh = excerpt_scores(model_scorer(model, request.device), pack, chunks)
        np.testing.assert_allclose(store.read(places), fresh, rtol=0, atol=1e-3)
    again = score_out_of_fold(tmp_path / "run", dataset, 2, tmp_path / "scores", **arguments)
    assert (again.scores == store.scores).all()
