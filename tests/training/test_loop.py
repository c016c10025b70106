"""fit(): what it learns, keeps, averages and refuses."""

import functools
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.data.augment import Augmentation
from earmark.data.clips import whole_clips
from earmark.data.dataset import open_dataset
from earmark.data.packs import open_pack
from earmark.data.sampling import shuffled
from earmark.errors import InputError
from earmark.features import PRESETS
from earmark.models.settings import BackboneConfig, TaggerConfig
from earmark.models.tagger import Tagger
from earmark.scores.predict import clip_scores
from earmark.tensor_files import load_tensors
from earmark.training.feed import Feed
from earmark.training.loop import fit
from earmark.training.optimizers import build_optimizer
from earmark.training.schedules import Schedule
from earmark.training.selection import Selection, SelectionSettings
from earmark.training.settings import FitSettings
from earmark.training.step import clipwise_loss, train_step, training_output
from earmark.training.targets import Targets, WeakLabels

CPU = torch.device("cpu")


@pytest.fixture
def feed(small_dataset: Path) -> Feed:
    dataset = open_dataset(small_dataset)
    pack = open_pack(dataset, 16000)
    clips = whole_clips(pack, np.arange(dataset.num_clips))
    return Feed(
        pack=pack,
        excerpts=clips,
        targets=WeakLabels(dataset.labels(), clips),
        order=functools.partial(shuffled, len(clips), 0),
        length_samples=8000,
        batch_size=8,
        augmentation=Augmentation(mixup_rate=0.5),
        seed=0,
        names=dataset.clips["clip"],
    )


def small_tagger(seed: int = 0) -> Tagger:
    torch.manual_seed(seed)
    config = TaggerConfig(
        front_end=PRESETS["psl"], backbone=BackboneConfig(name="crnn_small"), vocabulary=("Click", "Noise", "Tone")
    )
    return Tagger(config)


def settings(**changes: object) -> FitSettings:
    return FitSettings(
        **{"epochs": 3, "batch_size": 8, "precision": "fp32", "schedule": Schedule(learning_rate=3e-3)} | changes
    )


def values(*numbers: float):
    """A validation that gives these values one after another."""
    left = list(numbers)
    return lambda tagger: {"mean_average_precision": left.pop(0)}


def test_it_learns_three_sounds(feed: Feed, tmp_path: Path) -> None:
    tagger = small_tagger()
    history = fit(tagger, feed, values(*[0.0] * 25), settings(epochs=25, final_weights="last"), tmp_path, device=CPU)
    assert history.records[-1]["train_loss"] < 0.6 * history.records[0]["train_loss"]
    rows, scores = clip_scores(tagger, feed.pack, np.arange(36), device=CPU)
    truth = feed.targets.labels.rows(rows)
    assert (scores.argmax(1) == truth.argmax(1)).mean() > 0.9


def test_the_same_seed_gives_the_same_weights(feed: Feed, tmp_path: Path) -> None:
    taggers = [small_tagger(), small_tagger()]
    for index, tagger in enumerate(taggers):
        fit(tagger, feed, values(0.1, 0.2, 0.3), settings(), tmp_path / str(index), device=CPU)
    for one, other in zip(*(tagger.state_dict().values() for tagger in taggers), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("changes", "kept_epochs"),
    [
        ({"final_weights": "best", "refresh_bn": True}, [2]),
        ({"final_weights": "top_k", "top_k": 2}, [2, 4]),
        ({"final_weights": "range", "average_from_epoch": 3}, [3, 4]),
        ({"final_weights": "last", "refresh_bn": True}, []),
    ],
)
def test_which_weights_are_final(feed: Feed, tmp_path: Path, changes: dict, kept_epochs: list[int]) -> None:
    tagger = small_tagger()
    chosen = settings(**{"epochs": 4, "refresh_bn": False} | changes)
    fit(tagger, feed, values(0.1, 0.9, 0.3, 0.5), chosen, tmp_path, device=CPU)
    kept = sorted((tmp_path / "checkpoints").glob("step-*.safetensors"))
    assert [load_tensors(path)[1]["epoch"] for path in kept] == kept_epochs
    if kept:
        weights = [load_tensors(path)[0] for path in kept]
        for name, tensor in tagger.state_dict().items():
            mean = torch.stack([each[name].double() for each in weights]).mean(0)
            if tensor.is_floating_point():
                torch.testing.assert_close(tensor, mean.float(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "kept_epochs", "final_epochs"),
    [
        ({"final_weights": "best", "refresh_bn": True}, [2, 3, 4], [2]),
        ({"final_weights": "range", "average_from_epoch": 4}, [3, 4], [4]),
        ({"final_weights": "last", "refresh_bn": True}, [3, 4], [4]),
    ],
)
def test_weights_kept_for_an_ensemble_change_nothing_else(
    feed: Feed, tmp_path: Path, changes: dict, kept_epochs: list[int], final_epochs: list[int]
) -> None:
    tagger = small_tagger()
    chosen = settings(**{"epochs": 4, "refresh_bn": False, "keep_from_epoch": 3} | changes)
    fit(tagger, feed, values(0.1, 0.9, 0.3, 0.5), chosen, tmp_path, device=CPU)
    kept = {load_tensors(path)[1]["epoch"]: path for path in (tmp_path / "checkpoints").glob("step-*.safetensors")}
    assert sorted(kept) == kept_epochs
    for name, tensor in load_tensors(kept[final_epochs[0]])[0].items():
        assert torch.equal(tagger.state_dict()[name], tensor)


def test_averaged_weights_get_batchnorm_statistics_of_their_own(feed: Feed, tmp_path: Path) -> None:
    taggers = [small_tagger(), small_tagger()]
    for tagger, refresh in zip(taggers, (True, False), strict=True):
        chosen = settings(final_weights="top_k", top_k=2, refresh_bn=refresh)
        fit(tagger, feed, values(0.1, 0.2, 0.3), chosen, tmp_path / str(refresh), device=CPU)
    fresh, averaged = (tagger.state_dict() for tagger in taggers)
    differing = {name for name in fresh if not torch.equal(fresh[name], averaged[name])}
    assert any("running_mean" in name for name in differing)
    assert all("running_" in name or "num_batches" in name for name in differing)
    momenta = {m.momentum for m in taggers[0].modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert None not in momenta


def test_it_stops_when_nothing_gets_better(feed: Feed, tmp_path: Path) -> None:
    history = fit(
        small_tagger(), feed, values(0.5, 0.6, 0.6, 0.4, 0.9), settings(epochs=5, patience=2), tmp_path, device=CPU
    )
    assert history.epoch == 4
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["validation"]["mean_average_precision"] for line in lines] == [0.5, 0.6, 0.6, 0.4]


def test_validation_within_an_epoch_and_at_its_end(feed: Feed, tmp_path: Path) -> None:
    assert feed.steps_per_epoch == 4
    history = fit(
        small_tagger(), feed, values(0.1, 0.2), settings(epochs=1, validate_every_steps=3), tmp_path, device=CPU
    )
    assert [record["step"] for record in history.records] == [3, 4]


def test_a_loss_that_is_not_finite_stops_with_the_clips_named(feed: Feed, tmp_path: Path) -> None:
    def loss(output, targets: Targets) -> torch.Tensor:
        return output.clipwise.sum(1) * torch.nan

    tagger = small_tagger()
    before = {name: tensor.clone() for name, tensor in tagger.named_parameters()}
    with pytest.raises(
        InputError, match=r"the loss must be finite, found NaN or infinity in epoch 1, step 1; clips"
    ) as e:
        fit(tagger, feed, values(), settings(), tmp_path, device=CPU, loss=loss)
    first = shuffled(36, 0, 0)[:8]
    assert ", ".join(feed.clip_names(first)) in str(e.value)
    assert "\n" not in str(e.value)
    for name, tensor in tagger.named_parameters():
        assert torch.equal(tensor, before[name])


def test_the_gradient_is_clipped(feed: Feed, tmp_path: Path) -> None:
    moved = []
    for clip in (None, 1e-6):
        tagger = small_tagger()
        before = [parameter.detach().clone() for parameter in tagger.parameters()]
        chosen = settings(epochs=1, optimizer="sgd", gradient_clip=clip, final_weights="last")
        fit(tagger, feed, values(0.0), chosen, tmp_path / str(clip), device=CPU)
        pairs = zip(before, tagger.parameters(), strict=True)
        moved.append(sum((one - other).pow(2).sum().item() for one, other in pairs) ** 0.5)
    # Four steps of momentum .9 move at most 4 + 3 x .9 + ... < 10 times rate x norm.
    assert 0 < moved[1] < 10 * 3e-3 * 1e-6
    assert moved[0] > 100 * moved[1]


def test_tensorboard_gets_the_numbers_of_the_records(feed: Feed, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = fit(small_tagger(), feed, values(0.1, 0.2, 0.3), settings(tensorboard=True), tmp_path, device=CPU)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    written = [(event.step, event.value) for event in events.Scalars("train_loss")]
    assert written == [(r["step"], pytest.approx(r["train_loss"])) for r in history.records]


def test_weights_that_a_step_broke_are_answered_with_the_way_out(feed: Feed, tmp_path: Path) -> None:
    chosen = settings(epochs=1, optimizer="sgd", schedule=Schedule(learning_rate=100.0), validate_every_steps=1)

    def loss(output, targets: Targets) -> torch.Tensor:
        return output.clipwise.sum(1) * 1e37

    with pytest.raises(InputError, match="weights must be finite, found NaN or infinity after epoch 1, step 1 in"):
        fit(small_tagger(), feed, values(), chosen, tmp_path, device=CPU, loss=loss)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"average_from_epoch": 2}, "average_from_epoch is read with final_weights=range only"),
        ({"average_from_epoch": 4, "final_weights": "range"}, "average_from_epoch must be at most epochs 3, got 4"),
        ({"top_k": 2}, "top_k is read with final_weights=top_k only"),
        ({"refresh_bn": False}, "refresh_bn is read with"),
        ({"beta2": 0.9, "optimizer": "sgd"}, "beta2 is read with optimizer=adam only"),
    ],
)
def test_a_setting_that_nobody_would_read_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_trained_tagger_is_ready_to_score(feed: Feed, tmp_path: Path) -> None:
    tagger = small_tagger()
    fit(tagger, feed, values(0.1, 0.2, 0.3), settings(final_weights="top_k", top_k=2), tmp_path, device=CPU)
    assert not tagger.training


def test_a_write_that_a_kill_broke_off_is_cleared_away(feed: Feed, tmp_path: Path) -> None:
    fit(small_tagger(), feed, values(0.1), settings(epochs=1), tmp_path, device=CPU)
    left = [tmp_path / ".metrics.1.part.jsonl", tmp_path / "checkpoints" / ".last.1.part.safetensors"]
    for path in left:
        path.write_bytes(b"half")
    fit(small_tagger(), feed, values(0.2, 0.3), settings(epochs=3), tmp_path, device=CPU, resume=True)
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "expected"), [(None, 1, 150), (None, 7, 22), (None, 500, 12), (3, 1, 3)]
)
def test_a_small_set_gets_more_epochs_unless_their_number_is_set(
    epochs: int | None, steps_per_epoch: int, expected: int
) -> None:
    assert settings(epochs=epochs).epochs_of(steps_per_epoch) == expected


def test_a_range_that_training_never_reached_is_said(feed: Feed, tmp_path: Path, caplog) -> None:
    chosen = settings(epochs=3, patience=1, final_weights="range", average_from_epoch=3)
    fit(small_tagger(), feed, values(0.5, 0.4), chosen, tmp_path, device=CPU)
    assert "final weights: the last, because training ended before epoch 3" in caplog.text


@pytest.mark.parametrize("final", [{}, {"final_weights": "top_k", "top_k": 2}])
def test_a_frozen_backbone_is_only_passed_through(feed: Feed, tmp_path: Path, final: dict) -> None:
    tagger = small_tagger()
    before = {name: tensor.clone() for name, tensor in tagger.state_dict().items()}
    tagger.freeze_backbone()
    seen = []

    def look(module, inputs, output) -> None:
        seen.append((module.training, torch.is_grad_enabled(), output.requires_grad))

    tagger.backbone.register_forward_hook(look)
    fit(tagger, feed, values(0.1, 0.2, 0.3), settings(**final), tmp_path, device=CPU)
    # In training as in scoring, and BatchNorm is not looked at again once weights are averaged.
    assert seen == [(False, False, False)] * 3 * feed.steps_per_epoch
    for name, tensor in tagger.state_dict().items():
        assert torch.equal(tensor, before[name]) == (not name.startswith("head.")), name
    optimized = load_tensors(tmp_path / "checkpoints" / "last.safetensors")[0]
    assert {name.split(".")[1] for name in optimized if name.startswith("optimizer.")} == {"0", "1"}


def selecting(feed: Feed, rule: str = "threshold") -> tuple[Feed, Selection]:
    """Every third clip is verified; the others' labels may be wrong."""
    verified = np.arange(len(feed.excerpts)) % 3 == 0
    chosen = SelectionSettings(selection=rule, selection_k=2)
    return replace(feed, kind=verified), Selection(chosen, verified, feed.batch_size)


def test_a_dropped_clip_takes_no_part_and_the_divisor_stays(feed: Feed) -> None:
    feed, selection = selecting(replace(feed, augmentation=Augmentation()), "top_k")
    batch = next(iter(feed.batches(0)))
    tagger = small_tagger()
    chosen = settings()
    tagger.train()
    output = training_output(tagger, batch, "fp32")
    losses = clipwise_loss(output, batch.targets).detach()
    unverified = np.flatnonzero(~selection.verified[batch.clip_index])
    worst = unverified[np.argsort(-losses.numpy()[unverified])[:2]]
    counts = np.setdiff1d(np.arange(len(losses)), worst)
    value = train_step(small_tagger(), batch, build_optimizer(tagger, chosen), 0.0, chosen, clipwise_loss, selection, 3)
    assert value == pytest.approx(float(losses[counts].sum() / len(losses)), rel=1e-5)
    assert selection.drops == [(3, int(batch.clip_index[place])) for place in sorted(worst)]


def test_a_clip_without_tags_is_never_dropped(feed: Feed) -> None:
    feed, selection = selecting(replace(feed, augmentation=Augmentation()), "top_k")
    selection.k = 100
    batch = next(iter(feed.batches(0)))
    empty = int(np.flatnonzero(~selection.verified[batch.clip_index])[0])
    batch.targets.clipwise[empty] = 0
    batch.targets.distribution[empty] = 0
    tagger, chosen = small_tagger(), settings()
    train_step(tagger, batch, build_optimizer(tagger, chosen), 0.0, chosen, clipwise_loss, selection, 0)
    dropped = {clip for _, clip in selection.drops}
    assert dropped == set(batch.clip_index[~selection.verified[batch.clip_index]].tolist()) - {batch.clip_index[empty]}


def test_selection_goes_on_where_a_broken_off_run_left_it(feed: Feed, tmp_path: Path) -> None:
    chosen = settings(epochs=3, checkpoint_every_steps=1)
    found = {}
    for name in ("whole", "broken"):
        of_kind, selection = selecting(feed)
        tagger, folder = small_tagger(), tmp_path / name
        if name == "broken":
            with pytest.raises(KeyboardInterrupt):
                fit(
                    tagger,
                    broken_after(of_kind, 6),
                    values(*[0.1] * 9),
                    chosen,
                    folder,
                    device=CPU,
                    selection=selection,
                )
            assert selection.drops
            of_kind, selection = selecting(feed)
        left = values(0.2, 0.3) if name == "broken" else values(0.1, 0.2, 0.3)
        history = fit(tagger, of_kind, left, chosen, folder, device=CPU, selection=selection, resume=True)
        found[name] = (tagger.state_dict(), selection.state(), [record["selection"] for record in history.records])
    for one, other in zip(found["whole"][:2], found["broken"][:2], strict=True):
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert found["whole"][2] == found["broken"][2]
    assert found["whole"][2][-1]["threshold"] > 0


def broken_after(feed: Feed, steps: int) -> Feed:
    """The feed of a run that is interrupted in the step after so many."""
    left = [steps]

    class Interrupted(Feed):
        def batches(self, epoch, first=0):
            for batch in super().batches(epoch, first):
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                yield batch

    return Interrupted(**{field.name: getattr(feed, field.name) for field in fields(feed)})
