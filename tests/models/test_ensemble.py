"""Tests of ensembles: several taggers as one model."""

import pytest
import torch

from earmark.data.chunking import Chunking
from earmark.errors import InputError
from earmark.features import PRESETS, ClipFrames
from earmark.models.ensemble import (
    Ensemble,
    digest_of_model,
    epoch_taggers,
    kept_epochs,
    open_model,
    save_ensemble,
)
from earmark.models.settings import BackboneConfig, HeadConfig, TaggerConfig
from earmark.models.tagger import Tagger, load_model, save_model
from earmark.tensor_files import save_tensors

NOISE = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0)) / 10
LENGTHS = torch.tensor([16000, 9000, 16000])


def tagger(draw: int, backbone: str = "crnn_small", tags: tuple[str, ...] = ("a", "b"), **about: object) -> Tagger:
    torch.manual_seed(draw)
    config = TaggerConfig(
        front_end=PRESETS["psl"],
        backbone=BackboneConfig(name=backbone),
        head=HeadConfig(),
        vocabulary=tags,
        trained_on={"dataset": "d", **about},
    )
    return Tagger(config).eval()


def said(model, *arguments):
    with torch.inference_mode():
        return model(*arguments)


def test_scores_are_the_mean_of_the_members():
    members = [tagger(seed) for seed in range(3)]
    each = [said(member, NOISE, LENGTHS) for member in members]
    got = said(Ensemble(members), NOISE, LENGTHS)
    for name in ("framewise", "clipwise"):
        expected = torch.stack([getattr(one, name) for one in each]).mean(0)
        torch.testing.assert_close(getattr(got, name), expected)
    geometric = said(Ensemble(members, "geometric"), NOISE, LENGTHS).clipwise
    expected = torch.stack([one.clipwise for one in each]).prod(0) ** (1 / 3)
    torch.testing.assert_close(geometric, expected)


def test_the_ensemble_of_one_is_that_one():
    one = tagger(0)
    assert torch.equal(said(Ensemble([one]), NOISE, LENGTHS).clipwise, said(one, NOISE, LENGTHS).clipwise)
    assert Ensemble([one]).padded_samples(12345) == one.padded_samples(12345)
    assert Ensemble([one]).config.trained_on == one.config.trained_on


def test_scores_and_embeddings_come_together():
    members = [tagger(seed) for seed in range(2)]
    with torch.inference_mode():
        scores, embedding = Ensemble(members).scores_and_embedding(NOISE, LENGTHS)
    torch.testing.assert_close(scores, said(Ensemble(members), NOISE, LENGTHS).clipwise)
    assert embedding.shape == (3, 2 * members[0].num_channels)


def test_what_it_was_trained_on_is_what_all_members_say():
    ensemble = Ensemble([tagger(0, seed=0, fold=1), tagger(1, seed=1, fold=1)])
    assert ensemble.config.trained_on == {"dataset": "d", "fold": 1}
    assert [about["seed"] for about in ensemble.trained_on()] == [0, 1]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (tagger(1, tags=("a", "c")), "must share their tags: of member 2 and the first only one of them has b, c$"),
        (tagger(1, backbone="mobilenetv2"), "must share their samples a score frame: member 2 has 5120, the first "),
    ],
)
def test_members_that_do_not_fit_are_refused(other, message):
    with pytest.raises(InputError, match=message):
        Ensemble([tagger(0), other])


def test_members_that_pad_differently_are_refused():
    one, other = tagger(0), tagger(1)
    other.config = other.config.model_copy(update={"fixed_frames": 200})
    with pytest.raises(
        InputError, match=r"must share their framing: member 2 has frames of .*, always 200, the first frames of .*\)$"
    ):
        Ensemble([one, other])


def test_members_fit_clips_to_one_number_of_frames_each_in_its_own_way():
    one, other = tagger(0), tagger(1)
    one.config = one.config.model_copy(update={"clip_frames": ClipFrames(num_frames=50)})
    for clip_frames in (None, ClipFrames(num_frames=60)):
        other.config = other.config.model_copy(update={"clip_frames": clip_frames})
        with pytest.raises(
            InputError, match=r"share their framing: .*, the first .*, every clip fitted to 50 of them$"
        ):
            Ensemble([one, other])
    other.config = other.config.model_copy(update={"clip_frames": ClipFrames(num_frames=50, silence_db=20.0)})
    both = said(Ensemble([one, other]), NOISE, LENGTHS)
    assert both.framewise.shape == (3, 13, 2)
    expected = (said(one, NOISE, LENGTHS).clipwise + said(other, NOISE, LENGTHS).clipwise) / 2
    torch.testing.assert_close(both.clipwise, expected)


def test_members_share_how_they_score_clips(tmp_path):
    one, other = tagger(0), tagger(1)
    other.config = other.config.model_copy(update={"chunking": Chunking(chunk_s=2.0)})
    with pytest.raises(
        InputError, match=r"way to score clips: member 2 has chunks of 2 s \(.*\), the first whole clips$"
    ):
        Ensemble([one, other])
    one.config = one.config.model_copy(update={"chunking": Chunking(chunk_s=2.0)})
    save_ensemble(Ensemble([one, other]), tmp_path)
    assert open_model(tmp_path).config.chunking == Chunking(chunk_s=2.0)


def test_a_model_is_known_by_its_content(tmp_path):
    save_model(tagger(0), tmp_path / "a" / "model")
    save_model(tagger(0), tmp_path / "b")
    save_model(tagger(1), tmp_path / "c")
    digests = [digest_of_model(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_a_folder_is_a_model_like_any_other(tmp_path):
    ensemble = Ensemble([tagger(seed) for seed in range(2)], "geometric")
    save_ensemble(ensemble, tmp_path / "model")
    for folder in (tmp_path, tmp_path / "model"):
        opened = open_model(folder)
        assert isinstance(opened, Ensemble)
        assert not opened.training
        assert torch.equal(said(opened, NOISE, LENGTHS).clipwise, said(ensemble, NOISE, LENGTHS).clipwise)
    with pytest.raises(InputError, match="is an ensemble, and one tagger is needed here"):
        load_model(tmp_path)
    (tmp_path / "model" / "member-2" / "config.json").unlink()
    with pytest.raises(InputError, match=r"there is no .*member-2"):
        open_model(tmp_path)
    (tmp_path / "model" / "config.json").write_text('{"ensemble": {"mean": "median", "members": ["member-1"]}}')
    with pytest.raises(InputError, match="must be an ensemble's config"):
        open_model(tmp_path)


def test_the_taggers_after_each_epoch(tmp_path):
    taggers = [tagger(seed) for seed in range(3)]
    save_model(taggers[2], tmp_path / "model")
    with pytest.raises(InputError, match="none were kept; train with --set keep_from_epoch=1"):
        epoch_taggers(tmp_path)
    for epoch, ends in ((1, True), (2, False), (3, True)):
        path = tmp_path / "checkpoints" / f"step-{epoch:08d}.safetensors"
        save_tensors(path, taggers[epoch - 1].state_dict(), {"epoch": epoch, "step": epoch, "ends_epoch": ends})
    assert {epoch: path.stem for epoch, path in kept_epochs(tmp_path).items()} == {
        1: "step-00000001",
        3: "step-00000003",
    }
    found = epoch_taggers(tmp_path)
    assert len(found) == 2
    assert torch.equal(said(found[0], NOISE).clipwise, said(taggers[0], NOISE).clipwise)
    assert len(epoch_taggers(tmp_path, first_epoch=2)) == 1
