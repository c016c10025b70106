"""Scorers: a model made ready, or any callable, whose answers are checked."""

import numpy as np
import pytest
import torch

from earmark.data.chunking import Chunking
from earmark.errors import InputError
from earmark.features import PRESETS
from earmark.models.ensemble import Ensemble
from earmark.models.settings import BackboneConfig, TaggerConfig
from earmark.models.tagger import Tagger
from earmark.scores.scorer import callable_scorer, model_scorer

CPU = torch.device("cpu")


def tagger(seed: int = 0, **changes: object) -> Tagger:
    torch.manual_seed(seed)
    config = TaggerConfig(
        front_end=PRESETS["psl"], backbone=BackboneConfig(name="crnn_small"), vocabulary=("a", "b"), **changes
    )
    return Tagger(config).eval()


def test_a_model_as_a_scorer_says_what_it_says() -> None:
    model = tagger(chunking=Chunking(chunk_s=2.0), training_length_s=4.0)
    scorer = model_scorer(model, CPU)
    waveform, num_samples = torch.randn(2, 16000) / 10, torch.tensor([16000, 9000])
    with torch.inference_mode():
        torch.testing.assert_close(scorer.score(waveform, num_samples), model(waveform, num_samples).clipwise)
    assert scorer.tags == ("a", "b")
    assert scorer.rate_hz == 16000
    assert scorer.chunking == Chunking(chunk_s=2.0)
    assert scorer.window_samples == 64000
    assert scorer.padded_samples(16000) == model.padded_samples(16000)
    assert not scorer.score(waveform, num_samples).requires_grad


def test_a_model_in_bf16_says_about_the_same() -> None:
    model, waveform, num_samples = tagger(), torch.randn(2, 16000) / 10, torch.tensor([16000, 9000])
    exact, low = (model_scorer(model, CPU, precision=precision) for precision in ("fp32", "bf16"))
    said, same = (scorer.score(waveform, num_samples) for scorer in (exact, low))
    assert not torch.equal(said, same)
    torch.testing.assert_close(said, same, rtol=0, atol=0.01)
    assert low.digest == exact.digest


def test_a_model_is_known_by_its_content() -> None:
    one, same, other = tagger(0), tagger(0), tagger(1)
    assert model_scorer(one, CPU).digest == model_scorer(same, CPU).digest
    assert model_scorer(other, CPU).digest != model_scorer(one, CPU).digest
    assert model_scorer(tagger(0, training_length_s=1.0), CPU).digest != model_scorer(one, CPU).digest
    means = {model_scorer(Ensemble([one, other], mean), CPU).digest for mean in ("arithmetic", "geometric")}
    assert len(means | {model_scorer(one, CPU).digest}) == 3
    with torch.no_grad():
        next(same.parameters()).view(-1)[0] += 1
    assert model_scorer(same, CPU).digest != model_scorer(one, CPU).digest
    assert model_scorer(same, CPU, "of its folder").digest == "of its folder"


@pytest.mark.parametrize("as_numpy", [True, False])
def test_a_callable_is_given_full_scale_waveforms(as_numpy: bool) -> None:
    given = []

    def function(waveform, num_samples):
        given.append((waveform, num_samples))
        scores = waveform.abs().amax(dim=1, keepdim=True).repeat(1, 2).double()
        return scores.numpy() if as_numpy else scores

    scorer = callable_scorer(function, ["a", "b"], 8000, "mine")
    packed = torch.tensor([[0, -32768], [16384, 0]], dtype=torch.int16)
    scores = scorer.score(packed, torch.tensor([2, 2]))
    assert scores.tolist() == [[1, 1], [0.5, 0.5]]
    assert scores.dtype == given[0][0].dtype == torch.float32
    assert given[0][1].tolist() == [2, 2]
    assert scorer.score(torch.full((1, 3), 0.25), torch.tensor([3])).tolist() == [[0.25, 0.25]]
    assert (scorer.digest, scorer.chunking, scorer.padded_samples(77)) == ("mine", None, 77)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (np.zeros((3, 3)), r"mine: must give scores \(chunk, tag\) \(2, 3\), got \(3, 3\)"),
        (np.zeros(2), r"mine: must give scores \(chunk, tag\) \(2, 3\), got \(2,\)"),
        (np.full((2, 3), np.nan), r"mine: must give scores in \[0, 1\], got nan"),
        (np.full((2, 3), 1.5), r"mine: must give scores in \[0, 1\], got 1.5"),
        (np.array([[0, 0, 0], [0, -1, 0]]), r"mine: must give scores in \[0, 1\], got -1"),
    ],
)
def test_what_a_callable_must_not_give(said: np.ndarray, message: str) -> None:
    scorer = callable_scorer(lambda waveform, num_samples: said, ("a", "b", "c"), 16000, "mine")
    with pytest.raises(InputError, match=message):
        scorer.score(torch.zeros(2, 100, dtype=torch.int16), torch.tensor([100, 100]))
