import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from earmark.training.schedules import Schedule, learning_rate

# PSLA: (recipe, lr0, epochs, last full epoch, first epoch at a quarter)
PSLA = [("balanced", 1e-3, 60, 35, 41), ("full", 1e-4, 30, 10, 16), ("fsd50k", 5e-4, 40, 10, 16)]


@pytest.mark.parametrize(("name", "rate", "epochs", "last_full", "quarter"), PSLA)
def test_halving_as_in_psla(name, rate, epochs, last_full, quarter):
    schedule = Schedule(schedule="halving", learning_rate=rate, halve_after_epoch=last_full)
    by_epoch = {
        epoch: {learning_rate(schedule, step, 7 * epochs, 7) for step in range(7 * (epoch - 1), 7 * epoch)}
        for epoch in range(1, epochs + 1)
    }
    assert by_epoch[last_full] == {rate}
    assert by_epoch[last_full + 1] == by_epoch[quarter - 1] == {rate / 2}
    assert by_epoch[quarter] == {rate / 4}
    assert by_epoch[epochs] == {rate * 0.5 ** math.ceil((epochs - last_full) / 5)}


def test_every_epoch_of_psla_balanced_as_torchs_multi_step():
    schedule = Schedule(schedule="halving", learning_rate=1e-3, halve_after_epoch=35)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1e-3)
    peer = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[35, 40, 45, 50, 55], gamma=0.5)
    for epoch in range(60):
        assert learning_rate(schedule, epoch, 60, 1) == pytest.approx(peer.get_last_lr()[0])
        optimizer.step()
        peer.step()


def test_halving_every_other_number_of_epochs():
    schedule = Schedule(schedule="halving", learning_rate=1.0, halve_after_epoch=2, halve_every_epochs=3)
    assert [learning_rate(schedule, step, 9, 1) for step in range(9)] == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


def test_warm_up_rises_linearly_with_each_step():
    schedule = Schedule(learning_rate=1e-3, warmup_steps=1000)
    rates = [learning_rate(schedule, step, 5000, 200) for step in range(1200)]
    assert rates[0] == pytest.approx(1e-6)
    assert rates[499] == pytest.approx(5e-4)
    assert rates[999:] == [1e-3] * 201
    assert [b - a for a, b in itertools.pairwise(rates[:1000])] == pytest.approx([1e-6] * 999)


def test_warm_up_multiplies_the_course():
    course = Schedule(schedule="polynomial", learning_rate=1e-3)
    warmed = Schedule(schedule="polynomial", learning_rate=1e-3, warmup_steps=10)
    assert learning_rate(warmed, 4, 100, 10) == pytest.approx(learning_rate(course, 4, 100, 10) / 2)
    assert learning_rate(warmed, 50, 100, 10) == learning_rate(course, 50, 100, 10)


def test_linear_decay_as_in_psls_teacher():
    schedule = Schedule(schedule="polynomial", learning_rate=1e-4)
    assert [learning_rate(schedule, step, 4, 2) for step in range(5)] == pytest.approx([1e-4, 7.5e-5, 5e-5, 2.5e-5, 0])


def test_polynomial_and_cosine_as_torchs():
    for schedule, peer_of in [
        (
            Schedule(schedule="polynomial", learning_rate=0.1, decay_power=2),
            lambda optimizer: torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=20, power=2),
        ),
        (
            Schedule(schedule="cosine", learning_rate=0.1),
            lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20),
        ),
    ]:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
        peer = peer_of(optimizer)
        for step in range(21):
            # torch multiplies from step to step, so its rounding errors add up
            assert learning_rate(schedule, step, 20, 5) == pytest.approx(peer.get_last_lr()[0], rel=1e-9, abs=1e-12)
            optimizer.step()
            peer.step()


def test_constant_stays():
    assert {learning_rate(Schedule(learning_rate=2e-4), step, 9, 3) for step in range(10)} == {2e-4}


@given(
    kind=st.sampled_from(["constant", "cosine", "polynomial", "halving"]),
    warmup=st.integers(0, 50),
    steps=st.integers(1, 100),
    data=st.data(),
)
def test_the_rate_is_never_above_its_highest_nor_below_zero(kind, warmup, steps, data):
    step = data.draw(st.integers(0, steps))
    schedule = Schedule(schedule=kind, learning_rate=0.5, warmup_steps=warmup)
    assert 0 <= learning_rate(schedule, step, steps, 7) <= 0.5


@pytest.mark.parametrize("step", [-1, 11])
def test_a_step_outside_the_run_is_an_error(step):
    with pytest.raises(ValueError, match=f"step must be from 0 to 10, got {step}"):
        learning_rate(Schedule(), step, 10, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "cosine", "decay_power": 2.0}, "decay_power is read with schedule=polynomial only"),
        ({"halve_after_epoch": 3}, "halve_after_epoch is read with schedule=halving only"),
        ({"schedule": "polynomial", "halve_every_epochs": 3}, "halve_every_epochs is read with schedule=halving only"),
        ({"warmup": 3}, "Extra inputs are not permitted"),
        ({"learning_rate": 0.0}, "greater than 0"),
    ],
)
def test_settings_that_nobody_reads_are_errors(settings, message):
    with pytest.raises(ValidationError, match=message):
        Schedule(**settings)


def test_written_settings_can_be_read_again():
    schedule = Schedule(schedule="halving", halve_after_epoch=35, warmup_steps=1000)
    assert Schedule.model_validate(schedule.model_dump()) == schedule
