"""Scores scaled tag by tag: beside scikit-learn, by hand, and wherever a tagger gives scores."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError
from earmark.features import PRESETS
from earmark.models.ensemble import Ensemble, epoch_taggers, open_model, save_ensemble
from earmark.models.inference import for_scoring
from earmark.models.score_range import scaled, score_range
from earmark.models.settings import BackboneConfig, HeadConfig, ScoreRange, TaggerConfig
from earmark.models.tagger import Tagger, load_model, rebuild_head, save_model
from earmark.tensor_files import save_tensors

TAGS = ("a", "b", "c")
NOISE = torch.randn(4, 16000, generator=torch.Generator().manual_seed(0)) / 10
RANGE = ScoreRange(on="validation", low=(0.2, 0.4, 0.0), high=(0.3, 0.9, 1.0))


def tagger(draw: int = 0, head: str = "mean") -> Tagger:
    torch.manual_seed(draw)
    config = TaggerConfig(
        front_end=PRESETS["psl"],
        backbone=BackboneConfig(name="crnn_small"),
        head=HeadConfig(name=head),
        vocabulary=TAGS,
        trained_on={"dataset": "d"},
    )
    made = Tagger(config).eval()
    torch.nn.init.normal_(made.head.linear.weight)
    return made


def ranged(made: Tagger, to_unit: ScoreRange | None = RANGE) -> Tagger:
    """The same tagger with a range, the same object."""
    made.config = made.config.model_copy(update={"score_range": to_unit})
    return made


def said(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(NOISE).clipwise


def some_scores(num_clips: int = 50) -> np.ndarray:
    return np.random.default_rng(0).beta(0.5, 2, (num_clips, 3)).astype(np.float32)


def by_hand(score: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (score - low) / (high - low)))


def test_it_is_z_scores_and_then_min_max():
    scores = some_scores()
    expected = MinMaxScaler().fit_transform(StandardScaler().fit_transform(scores.astype(np.float64)))
    got = scaled(torch.from_numpy(scores), score_range(scores, "validation"))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    assert got.dtype == torch.float32
    assert (got.amin(0) == 0).all()
    assert (got.amax(0) == 1).all()


def test_what_is_beyond_is_clipped_and_what_never_varied_stays():
    to_unit = ScoreRange(on="test", low=(0.25, 0.5, 0.5), high=(0.75, 0.5, 1.0))
    scores = torch.tensor([[[0.0, 0.3, 0.5], [0.5, 0.5, 0.75]], [[0.75, 0.7, 1.0], [1.0, 1.0, 0.0]]])
    expected = [[[0.0, 0.3, 0.0], [0.5, 0.5, 0.5]], [[1.0, 0.7, 1.0], [1.0, 1.0, 0.0]]]
    torch.testing.assert_close(scaled(scores, to_unit), torch.tensor(expected), rtol=0, atol=1e-7)
    assert scaled(scores, None) is scores


def test_gradients_are_finite_where_a_tag_never_varied():
    scores = torch.full((2, 3), 0.5, requires_grad=True)
    scaled(scores, ScoreRange(on="test", low=(0.5, 0.2, 0.2), high=(0.5, 0.8, 0.8))).sum().backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[1.0, 1 / 0.6, 1 / 0.6]] * 2))


def test_the_range_is_each_tags_lowest_and_highest():
    scores = some_scores(7)
    found = score_range(scores, "test")
    assert found.on == "test"
    for tag in range(3):
        assert found.low[tag] == min(float(score) for score in scores[:, tag])
        assert found.high[tag] == max(float(score) for score in scores[:, tag])


@pytest.mark.parametrize("num_clips", [0, 1])
def test_one_clip_is_no_range(num_clips):
    with pytest.raises(InputError, match=f"the validation split must hold at least 2 clips .*, found {num_clips}; add"):
        score_range(some_scores(num_clips), "validation")


@pytest.mark.parametrize("head", ["mean", "sigmoid_sparsemax"])
def test_a_tagger_gives_scaled_scores_everywhere(head):
    made = tagger(head=head)
    with torch.inference_mode():
        plain = made(NOISE)
        found = ranged(made)(NOISE)
        clipwise, _ = made.scores_and_embedding(NOISE)
        logits = made.logits(*made.features(NOISE))
    for name in ("framewise", "clipwise"):
        before, after = (getattr(scores, name).reshape(-1, 3) for scores in (plain, found))
        for old, new in zip(before.tolist(), after.tolist(), strict=True):
            assert new == pytest.approx(list(map(by_hand, old, RANGE.low, RANGE.high)), abs=1e-6)
    assert not torch.allclose(plain.clipwise, found.clipwise, atol=0.05)
    torch.testing.assert_close(clipwise, found.clipwise)
    # Logits are what losses read, and are left alone.
    torch.testing.assert_close(logits.clipwise.sigmoid(), plain.clipwise)


def test_half_a_models_scores_are_scaled_too():
    made = ranged(tagger())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = made(NOISE).clipwise
        plain = ranged(made, None)(NOISE).clipwise
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, scaled(plain, RANGE))


def test_the_form_that_scores_keeps_the_range():
    made = ranged(tagger())
    torch.testing.assert_close(said(for_scoring(made)), said(made), rtol=0, atol=1e-4)
    assert for_scoring(made).config.score_range == RANGE


def test_a_model_folder_keeps_the_range_and_its_card_says_it(tmp_path):
    for on, told in (
        ("validation", "validation clips got, what is beyond is clipped"),
        ("test", "test clips got, as in"),
    ):
        made = ranged(tagger(), RANGE.model_copy(update={"on": on}))
        save_model(made, tmp_path / on)
        loaded = load_model(tmp_path / on)
        assert loaded.config == made.config
        assert torch.equal(said(loaded), said(made))
        assert f"- scores are scaled tag by tag: 0 and 1 are the lowest and the highest that its {told}" in (
            (tmp_path / on / "README.md").read_text()
        )
    save_model(tagger(), tmp_path / "plain")
    assert "scaled" not in (tmp_path / "plain" / "README.md").read_text()
    # Models of before there was a range have no such key.
    path = tmp_path / "plain" / "config.json"
    config = json.loads(path.read_text())
    del config["score_range"]
    path.write_text(json.dumps(config))
    assert load_model(tmp_path / "plain").config.score_range is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": [0.1]}, "score_range: low and high must be one a tag, found 1 and 3"),
        ({"low": [0.1, 1.0, 0.0]}, r"low must be at most high, it is more for tag 1 \(from 0\)"),
        ({"low": [0.1], "high": [0.2]}, r"score_range must be one a tag \(3\), found 1"),
        ({"low": [-0.1, 0.4, 0.0]}, r"score_range\.low\.0: must be at least 0"),
        ({"on": "train"}, r"score_range\.on: must be validation or test"),
        ({"lows": []}, 'unknown key "lows"; did you mean "low"'),
    ],
)
def test_a_range_that_is_not_the_models_is_refused(tmp_path, changes, message):
    save_model(ranged(tagger()), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["score_range"] |= changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        load_model(tmp_path)


def test_a_range_holds_numbers_only():
    with pytest.raises(ValidationError):
        ScoreRange(on="test", low=(float("nan"),), high=(1.0,))


def test_a_rebuilt_head_keeps_the_range_of_the_same_tags_only():
    made = ranged(tagger())
    reordered = rebuild_head(made, Vocabulary(("c", "a", "b"), None))
    assert reordered.config.score_range == ScoreRange(on="validation", low=(0.0, 0.2, 0.4), high=(1.0, 0.3, 0.9))
    torch.testing.assert_close(said(reordered), said(made)[:, [2, 0, 1]], rtol=0, atol=1e-4)
    assert rebuild_head(made, Vocabulary(("c", "a", "d"), None)).config.score_range is None
    assert rebuild_head(made, Vocabulary(TAGS, None), HeadConfig(name="max")).config.score_range is None


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_an_ensembles_members_scale_each_their_own_scores(tmp_path, mean):
    other = ScoreRange(on="validation", low=(0.1, 0.1, 0.3), high=(0.9, 0.6, 0.7))
    members = [tagger(0), tagger(1), tagger(2)]
    plain = [said(member).double().numpy() for member in members]
    ranges = [RANGE, other, None]
    ensemble = Ensemble([ranged(*pair) for pair in zip(members, ranges, strict=True)], mean)
    expected = np.empty((4, 3))
    for clip, tag in np.ndindex(4, 3):
        each = [
            scores[clip, tag] if to_unit is None else by_hand(scores[clip, tag], to_unit.low[tag], to_unit.high[tag])
            for scores, to_unit in zip(plain, ranges, strict=True)
        ]
        expected[clip, tag] = np.mean(each) if mean == "arithmetic" else np.prod(np.maximum(each, 1e-6)) ** (1 / 3)
    np.testing.assert_allclose(said(ensemble), expected, rtol=1e-4, atol=1e-6)
    with torch.inference_mode():
        torch.testing.assert_close(ensemble.scores_and_embedding(NOISE)[0], said(ensemble))
    assert ensemble.config.score_range is None
    save_ensemble(ensemble, tmp_path)
    opened = open_model(tmp_path)
    assert [member.config.score_range for member in opened.taggers] == ranges
    assert torch.equal(said(opened), said(ensemble))


def test_taggers_after_each_epoch_have_no_range(tmp_path):
    """The run's is of its final weights."""
    save_model(ranged(tagger(0)), tmp_path / "model")
    about = {"epoch": 1, "step": 1, "ends_epoch": True}
    save_tensors(tmp_path / "checkpoints" / "step-00000001.safetensors", tagger(1).state_dict(), about)
    (found,) = epoch_taggers(tmp_path)
    assert found.config.score_range is None
    assert torch.equal(said(found), said(tagger(1)))
