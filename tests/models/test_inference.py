"""The form that scores: what it says is what the model says, and the model stays as it was."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from earmark.data.vocabulary import Vocabulary
from earmark.features import PRESETS, ClipFrames
from earmark.models.ensemble import Ensemble
from earmark.models.inference import MOST_AT_ONCE, clips_at_once, for_scoring, on_all_cores
from earmark.models.tagger import BACKBONES, BackboneConfig, HeadConfig, Tagger, TaggerConfig

TAGS = Vocabulary(("Dog", "Rain"))
CPU = torch.device("cpu")


def made_tagger(backbone: str, front_end: str = "psl", head: str = "mean") -> Tagger:
    """A tagger whose BatchNorms say something: their statistics and weights are drawn."""
    torch.manual_seed(0)
    config = {
        "front_end": PRESETS[front_end],
        "backbone": BackboneConfig(name=backbone),
        "head": HeadConfig(name=head),
        "vocabulary": TAGS.tags,
    }
    tagger = Tagger(TaggerConfig.model_validate(config))
    for module in tagger.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return tagger.eval()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_folded_norms_say_what_they_said(backbone: str) -> None:
    tagger = made_tagger(backbone)
    waveform = torch.randn(2, tagger.padded_samples(16_000)) * 0.1
    num_samples = torch.tensor([16_000, 9_000])
    before = {name: tensor.clone() for name, tensor in tagger.state_dict().items()}
    with torch.inference_mode():
        said = tagger.logits(*tagger.features(waveform, num_samples))
        fast = for_scoring(tagger)
        same = fast.logits(*fast.features(waveform, num_samples))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    for one, other in zip(said, same, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    for name, tensor in tagger.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert any(isinstance(module, nn.BatchNorm2d) for module in tagger.modules())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_in_bf16_scores_differ_by_little(backbone: str) -> None:
    exact, low = (for_scoring(made_tagger(backbone), precision) for precision in ("fp32", "bf16"))
    waveform = torch.randn(2, exact.padded_samples(16_000)) * 0.1
    with torch.inference_mode():
        said, same = (tagger(waveform, torch.tensor([16_000, 9_000])) for tagger in (exact, low))
    assert same.clipwise.dtype == torch.float32
    assert not torch.equal(said.clipwise, same.clipwise)
    torch.testing.assert_close(said.clipwise, same.clipwise, rtol=0, atol=0.02)


def test_the_first_layers_stay_in_fp32() -> None:
    dtypes = {}

    def note(name: str) -> None:
        convolution = next(m for m in net.get_submodule(name).modules() if isinstance(m, nn.Conv2d))
        convolution.register_forward_hook(lambda module, given, said: dtypes.update({name: said.dtype}))

    tagger = for_scoring(made_tagger("efficientnet_lite0"), "bf16")
    net = tagger.backbone.part
    for name in ("conv_stem", "blocks.0", "blocks.1", "conv_head"):
        note(name)
    with torch.inference_mode():
        tagger(torch.randn(1, 16_000) * 0.1)
    assert dtypes == {
        "conv_stem": torch.float32, "blocks.0": torch.float32, "blocks.1": torch.bfloat16, "conv_head": torch.bfloat16,
    }  # fmt: skip


def test_every_member_of_an_ensemble_is_in_bf16() -> None:
    members = [made_tagger("crnn_small"), made_tagger("crnn_small", head="max")]
    waveform = torch.randn(1, 16_000) * 0.1
    with torch.inference_mode():
        alone = torch.stack([for_scoring(member, "bf16")(waveform).clipwise for member in members])
        torch.testing.assert_close(for_scoring(Ensemble(members), "bf16")(waveform).clipwise, alone.mean(0))


def test_an_ensemble_is_folded_member_by_member() -> None:
    ensemble = Ensemble([made_tagger("crnn_small"), made_tagger("crnn_small", head="max")])
    waveform = torch.randn(1, 16_000) * 0.1
    with torch.inference_mode():
        torch.testing.assert_close(for_scoring(ensemble)(waveform).clipwise, ensemble.eval()(waveform).clipwise)


def test_short_waveforms_share_larger_batches() -> None:
    tagger = made_tagger("crnn_small")
    sizes = [clips_at_once(tagger, 16_000 * seconds, CPU) for seconds in (1, 2, 10, 30, 3000)]
    assert sizes == [40, 20, 4, 1, 1]
    assert clips_at_once(tagger, 16, CPU) == MOST_AT_ONCE
    assert clips_at_once(made_tagger("crnn_small", "psla"), 160_000, CPU) == 2
    # Clips fitted to their frames are all alike, however long.
    tagger.config = tagger.config.model_copy(update={"clip_frames": ClipFrames(num_frames=1000)})
    assert [clips_at_once(tagger, 16_000 * seconds, CPU) for seconds in (1, 30)] == [4, 4]


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    return found[0]


@pytest.mark.usefixtures("three_threads")
def test_a_cpu_scores_as_many_batches_at_once_as_it_has_threads_each_on_one_core() -> None:
    together = threading.Barrier(3, timeout=20)

    def score(batch: int) -> tuple[int, int]:
        together.wait()
        return batch, torch.get_num_threads()

    assert list(on_all_cores(score, range(6), CPU)) == [(batch, 1) for batch in range(6)]


@pytest.mark.usefixtures("three_threads")
def test_a_lone_batch_has_all_cores_and_begins_no_thread() -> None:
    said = on_all_cores(lambda batch: (torch.get_num_threads(), threading.current_thread()), [0], CPU)
    assert list(said) == [(3, threading.current_thread())]


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("whole", [1, 2])
def test_what_was_read_before_reading_failed_is_scored(whole: int) -> None:
    def broken() -> Iterator[int]:
        yield from range(whole)
        raise KeyError("here")

    said = on_all_cores(lambda batch: batch, broken(), CPU)
    assert [next(said) for _ in range(whole)] == list(range(whole))
    with pytest.raises(KeyError, match="here"):
        next(said)


@pytest.mark.usefixtures("three_threads")
def test_other_threads_have_all_cores_while_batches_are_scored_and_afterwards() -> None:
    said = on_all_cores(lambda batch: batch, range(20), CPU)
    assert [next(said), next(said)] == [0, 1]
    assert threads_of_a_new_thread() == 3
    before = threading.active_count()
    said.close()
    assert threading.active_count() == before - 3
    with pytest.raises(ZeroDivisionError):
        list(on_all_cores(lambda batch: 1 / batch, [1, 1, 0, 1], CPU))
    assert (threads_of_a_new_thread(), torch.get_num_threads()) == (3, 3)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("device", [None, torch.device("cuda")])
def test_elsewhere_batches_are_scored_one_after_another_where_they_are_asked_for(device: torch.device | None) -> None:
    said = on_all_cores(lambda batch: (batch, threading.current_thread()), range(4), device)
    assert list(said) == [(batch, threading.current_thread()) for batch in range(4)]


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_threads_may_score_with_one_model_at_the_same_time(backbone: str, precision: str) -> None:
    model = for_scoring(made_tagger(backbone), precision)
    length = model.padded_samples(8_000)
    waveforms = [torch.randn(2, length) * 0.1 for _ in range(6)]

    def score(waveform: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            clipwise = model(waveform).clipwise
        assert isinstance(clipwise, torch.Tensor)
        return clipwise

    by_three = torch.stack(list(on_all_cores(score, waveforms, CPU)))
    torch.set_num_threads(1)
    assert torch.equal(torch.stack(list(on_all_cores(score, waveforms, CPU))), by_three)
