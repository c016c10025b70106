import pytest
from pydantic import Field

from earmark.config import Settings, describe, parse_overrides, settings_from, values_of
from earmark.errors import InputError


class Inner(Settings):
    mixup_rate: float = Field(0.5, ge=0, le=1, description="share mixed")


class Outer(Settings):
    epochs: int = Field(3, description="passes")
    inner: Inner = Inner()


def test_a_nested_setting_is_set_by_its_own_name() -> None:
    assert settings_from(Outer, {"mixup_rate": 0.25}).inner.mixup_rate == 0.25


def test_later_layers_override_earlier_ones_and_leave_the_rest() -> None:
    settings = settings_from(Outer, {"mixup_rate": 0.25, "epochs": 7}, {"mixup_rate": 1})
    assert values_of(settings) == {"epochs": 7, "mixup_rate": 1.0}


def test_values_give_the_settings_back() -> None:
    settings = settings_from(Outer, {"epochs": 9})
    assert settings_from(Outer, values_of(settings)) == settings


def test_a_default_of_the_outer_settings_is_kept_when_its_sibling_is_set() -> None:
    class Preset(Settings):
        inner: Inner = Inner(mixup_rate=0.75)
        epochs: int = 1

    assert settings_from(Preset, {"epochs": 2}).inner.mixup_rate == 0.75


def test_a_default_of_the_outer_settings_is_kept_when_another_of_its_group_is_set() -> None:
    class Group(Settings):
        a: int = 1
        b: int = 2

    class Preset(Settings):
        group: Group = Group(a=10, b=20)

    assert settings_from(Preset, {"b": 5}).group == Group(a=10, b=5)


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        settings_from(Outer, {"mixup": 1}, where="recipe psla")
    assert str(error.value) == 'unknown key "mixup" in recipe psla; did you mean "mixup_rate"?'


@pytest.mark.parametrize("value", ["many", 1.5])
def test_a_wrong_value_is_answered_in_one_line(value: object) -> None:
    with pytest.raises(InputError, match=r'^"mixup_rate" in recipe psla: .*, got (many|1\.5)$') as error:
        settings_from(Outer, {"mixup_rate": value}, where="recipe psla")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("word", ["epochs", "=3"])
def test_an_override_is_key_equals_value(word: str) -> None:
    with pytest.raises(InputError, match="key=value"):
        parse_overrides([word])


def test_overrides_are_yaml() -> None:
    assert parse_overrides(["a=null", "d=[1, 2]", "e=true"]) == {"a": None, "d": [1, 2], "e": True}


def test_a_number_without_a_point_before_its_exponent_is_a_number() -> None:
    # YAML 1.1 reads 1e-3 as text; people do not.
    assert settings_from(Outer, parse_overrides(["mixup_rate=1e-3"])).inner.mixup_rate == 0.001


@pytest.mark.parametrize("value", [".inf", ".nan"])
def test_a_number_is_finite(value: str) -> None:
    with pytest.raises(InputError, match=r'"mixup_rate" in settings: .*finite'):
        settings_from(Outer, parse_overrides([f"mixup_rate={value}"]))


def test_describe_gives_every_leaf_its_text() -> None:
    assert describe(Outer()) == [("", "epochs", "3", "passes"), ("inner", "mixup_rate", "0.5", "share mixed")]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("selection=foo", "must be none, top_k or threshold, got foo"),
        ("batch_size=x", "must be a whole number, got x"),
        ("batch_size=1.5", "must be a whole number, got 1.5"),
        ("mixup_rate=2", "must be at most 1, got 2"),
        ("batch_size=0", "must be at least 1, got 0"),
        ("mixup_beta=0", "must be above 0, got 0"),
        ("stage_steps=[1,2]", "must have a value number 3"),
        ("gain_db=3", "must be a list, got 3"),
        ("tensorboard=maybe", "must be true or false, got maybe"),
        ("backbone=3", "must be text, got 3"),
    ],
)
def test_what_a_value_must_be_is_said_in_our_words(word: str, said: str) -> None:
    from earmark.recipes.staged import StagedSettings

    with pytest.raises(InputError) as raised:
        settings_from(StagedSettings, parse_overrides([word]), where="recipe staged")
    assert str(raised.value).startswith(f'"{word.partition("=")[0]}" in recipe staged: {said}')
