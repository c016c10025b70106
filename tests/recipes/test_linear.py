"""Linear transfer: only the head learns, whatever the final weights are made of."""

from pathlib import Path

import pytest
import soundfile
import torch

from earmark.data.chunking import Chunking
from earmark.data.dataset import Dataset, open_dataset
from earmark.data.importing import import_dataset
from earmark.errors import InputError
from earmark.models.tagger import load_model, save_model
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from tests.conftest import RATE_HZ, sound

LINEAR = find_recipe("linear")
SMALL = {"epochs": 2, "batch_size": 8}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Clips of 1.5 s of two tags that the small run does not know."""
    folder = tmp_path_factory.mktemp("others")
    for name, tag in (("hiss", "Noise"), ("beep", "Tone")):
        (folder / "audio" / name).mkdir(parents=True)
        for index in range(16):
            soundfile.write(folder / "audio" / name / f"{index}.wav", sound(tag, 50 + index, 1.5), RATE_HZ)
    import_dataset(folder / "audio", folder / "sounds")
    return open_dataset(folder / "sounds")


def captured_feed(monkeypatch: pytest.MonkeyPatch, request: Request, settings: dict) -> list:
    """What a run would be fed; it trains nothing."""
    fed: list = []
    with monkeypatch.context() as during:
        during.setattr("earmark.recipes.linear.fit", lambda tagger, feed, *rest, **named: fed.append(feed))
        run_recipe(LINEAR, request, settings)
    return fed[0]


@pytest.mark.parametrize("final", [{}, {"final_weights": "top_k", "top_k": 2}])
def test_the_head_learns_other_tags_and_the_rest_stays(
    others: Dataset, small_run: Path, tmp_path: Path, final: dict
) -> None:
    request = Request(dataset=others, run=tmp_path / "run", init=small_run)
    run_recipe(LINEAR, request, SMALL | final | {"epochs": 10, "learning_rate": 1e-2})
    before, after = load_model(small_run), load_model(tmp_path / "run")
    assert after.config.vocabulary == ("beep", "hiss")
    assert after.config.front_end == before.config.front_end
    state = after.backbone.state_dict()
    for name, tensor in before.backbone.state_dict().items():
        assert torch.equal(tensor, state[name]), name  # BatchNorm's statistics among them
    wave = torch.tensor(sound("Tone", 99, 1.5), dtype=torch.float32)[None]
    assert after(wave).clipwise[0, 0] > 0.7


def test_the_same_tags_begin_with_the_models_own_head(small_dataset: Path, small_run: Path, tmp_path: Path) -> None:
    request = Request(
        dataset=open_dataset(small_dataset), run=tmp_path / "run", init=small_run, test_fold=1, validation_fold=2
    )
    run_recipe(LINEAR, request, SMALL | {"learning_rate": 1e-9})
    before, after = load_model(small_run), load_model(tmp_path / "run")
    torch.testing.assert_close(after.head.linear.weight, before.head.linear.weight, rtol=0, atol=1e-6)
    assert not torch.equal(after.head.linear.weight, before.head.linear.weight)


def test_it_needs_a_model_to_begin_with(others: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="linear trains the last layer of a model that is there; name one with --init"):
        run_recipe(LINEAR, Request(dataset=others, run=tmp_path / "run"), SMALL)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_it_learns_from_chunks_as_the_model_did_and_scores_whole_clips(
    others: Dataset, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunked = load_model(small_run)
    chunked.config = chunked.config.model_copy(update={"chunking": Chunking(chunk_s=0.5)})
    save_model(chunked, tmp_path / "model")

    def request(name: str, init: Path) -> Request:
        return Request(dataset=others, run=tmp_path / name, init=init)

    own = captured_feed(monkeypatch, request("own", tmp_path / "model"), SMALL)
    assert own.length_samples is None
    assert set(own.excerpts.num_samples.tolist()) == {RATE_HZ // 2}
    assert set(own.excerpts.onset_samples.tolist()) == {0, RATE_HZ // 2, RATE_HZ}
    config = load_model(tmp_path / "own").config
    assert config.chunking is None
    assert config.training_length_s == 1.5

    whole = captured_feed(monkeypatch, request("whole", small_run), SMALL)
    assert whole.length_samples == RATE_HZ * 3 // 2
    assert set(whole.excerpts.onset_samples.tolist()) == {0}

    named = captured_feed(
        monkeypatch, request("named", tmp_path / "model"), SMALL | {"chunk_s": 1.0, "min_chunk_s": 0.6}
    )
    assert named.length_samples is None
    assert set(named.excerpts.num_samples.tolist()) == {RATE_HZ * 3 // 2}  # the rest of half a second joins


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_chunk_s": 0.2}, "recipe linear: min_chunk_s is read with chunk_s only"),
        ({"chunk_s": 1.0, "min_chunk_s": 2.0}, "recipe linear: min_chunk_s must be at most chunk_s, 1, got 2"),
        ({"backbone": "mobilenetv2"}, "backbone cannot be set together with --init"),
    ],
)
def test_settings_that_it_refuses(
    others: Dataset, small_run: Path, tmp_path: Path, settings: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_recipe(LINEAR, Request(dataset=others, run=tmp_path / "run", init=small_run), settings)
