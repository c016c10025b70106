"""Settings: frozen, typed, every one with a line of text; an unknown key names the nearest known one.

A recipe's settings are nested models in code and flat to their user: each key is the name of one leaf, unique in the
recipe, so `--set epochs=3` and a YAML preset `epochs: 3` say the same thing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from earmark.errors import InputError, did_you_mean


class Settings(BaseModel):
    """The form of all settings: frozen, and no key that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def refuse_unread(settings: Settings, is_read: bool, reader: str, *names: str) -> None:
    """Raises ValueError if a setting differs from its default though nobody reads it.

    Args:
        is_read: whether the settings are such that the named ones are read.
        reader: the setting that would read them, for the message.
    """
    for name in names:
        if not is_read and getattr(settings, name) != type(settings).model_fields[name].default:
            raise ValueError(f"{name} is read with {reader} only")


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def leaves(settings: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf setting as (path of names, pydantic field), in the order of their definition."""
    for name, field in settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, (*path, name))
        else:
            yield (*path, name), field


def values_of(settings: BaseModel) -> dict[str, Any]:
    """The settings as a flat mapping from leaf name to plain value, ready for JSON or YAML.

    `settings_from(type(settings), values_of(settings))` gives the settings back.
    """
    nested = settings.model_dump(mode="json")
    flat = {}
    for path, _ in leaves(type(settings)):
        value = nested
        for name in path:
            value = value[name]
        flat[path[-1]] = value
    return flat


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a mapping; values are YAML, so numbers, true, null and [lists] mean themselves.

    >>> parse_overrides(["epochs=3", "pretrained=null"])
    {'epochs': 3, 'pretrained': None}
    """
    parsed = {}
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise InputError(f'a setting is given as key=value, got "{word}"')
        try:
            parsed[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f'the value of "{key}" must be readable as YAML, got "{text}"') from error
    return parsed


def settings_from(settings: type[SettingsT], *layers: Mapping[str, Any], where: str = "settings") -> SettingsT:
    """The settings that the flat layers make, each layer overriding the ones before.

    Args:
        where: whose settings these are, as messages name it ("recipe psla").

    Raises:
        InputError: a key is unknown, or a value is not of the setting's form.
    """
    paths = {path[-1]: path for path, _ in leaves(settings)}
    nested: dict[str, Any] = {}
    # The outer settings' own defaults come first: a group may have other defaults there than by itself.
    for layer in (values_of(settings()), *layers):
        for key, value in layer.items():
            if key not in paths:
                raise InputError(f'unknown key "{key}" in {where}{did_you_mean(key, paths)}')
            target = nested
            for name in paths[key][:-1]:
                target = target.setdefault(name, {})
            target[key] = value
    try:
        return settings.model_validate(nested)
    except ValidationError as error:
        first = error.errors()[0]
        known = [str(part) for part in first["loc"] if str(part) in paths]
        given = str(first["input"])
        message = what_must_hold(first)
        name = f'"{known[-1]}" in {where}: ' if known else f"{where}: "
        raise InputError(f"{name}{message}, got {given}" if len(given) < 80 and known else name + message) from error


def what_must_hold(error: ErrorDetails) -> str:
    """What a value must be, in the words of all other messages."""
    kind, known = error["type"], error.get("ctx", {})
    for start, words in _KINDS.items():
        if kind.startswith(start):
            return f"must be {words}"
    for bound, words in _BOUNDS.items():
        if bound in known:
            return f"must be {words} {known[bound]:g}"
    if kind == "literal_error":
        return "must be " + str(known["expected"]).replace("'", "")
    if kind == "missing":
        last = error["loc"][-1]
        return f"must have a value number {last + 1}" if isinstance(last, int) else "must be there"
    return error["msg"].removeprefix("Value error, ")


_KINDS = {
    "int_": "a whole number", "float_": "a number", "bool_": "true or false", "string_": "text", "tuple_": "a list",
    "list_": "a list", "finite_": "a finite number",
}  # fmt: skip
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def describe(settings: BaseModel) -> list[tuple[str, str, str, str]]:
    """(group, key, value, description) of every setting, for `--show`."""
    flat = values_of(settings)
    rows = []
    for path, field in leaves(type(settings)):
        value = flat[path[-1]]
        shown = (
            "null" if value is None else yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
        )
        rows.append((".".join(path[:-1]), path[-1], shown, field.description or ""))
    return rows
