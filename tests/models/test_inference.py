"""The form that scores: what it says is what the model says, and the model stays as it was."""

import pytest
import torch
from torch import nn

from earmark.data.vocabulary import Vocabulary
from earmark.features import PRESETS, ClipFrames
from earmark.models.ensemble import Ensemble
from earmark.models.inference import MOST_AT_ONCE, clips_at_once, for_scoring
from earmark.models.tagger import BACKBONES, BackboneConfig, HeadConfig, Tagger, TaggerConfig

TAGS = Vocabulary(("Dog", "Rain"))


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
    tagger, cpu = made_tagger("crnn_small"), torch.device("cpu")
    sizes = [clips_at_once(tagger, 16_000 * seconds, cpu) for seconds in (1, 2, 10, 30, 3000)]
    assert sizes == [40, 20, 4, 1, 1]
    assert clips_at_once(tagger, 16, cpu) == MOST_AT_ONCE
    assert clips_at_once(made_tagger("crnn_small", "psla"), 160_000, cpu) == 2
    # Clips fitted to their frames are all alike, however long.
    tagger.config = tagger.config.model_copy(update={"clip_frames": ClipFrames(num_frames=1000)})
    assert [clips_at_once(tagger, 16_000 * seconds, cpu) for seconds in (1, 30)] == [4, 4]
