"""Configuration: frozen dataclasses filled from the environment, every fault reported at once."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_MISSING = dataclasses.MISSING
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


class ConfigError(Exception):
    """The environment does not make a configuration; `faults` has a line for each variable."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("configuration: " + "; ".join(faults))
        self.faults = tuple(faults)


def field(
    env: str,
    default: Any = _MISSING,
    *,
    help: str,
    parse: Callable[[str], Any] | None = None,
    secret: bool = False,
) -> Any:
    """A field read from the variable `env`.

    Without `parse` the text is read as the annotation says: str, int, float, bool, Path, or a tuple
    of str split at commas. Without `default` the variable must be set. `secret` keeps the value out
    of what `describe` prints.
    """
    metadata = {"env": env, "help": help, "parse": parse, "secret": secret}
    if default is _MISSING:
        return dataclasses.field(metadata=metadata, kw_only=True)
    # dataclasses takes an unhashable default for a mutable one; configurations are never changed.
    return dataclasses.field(
        default_factory=lambda: default, metadata=metadata, kw_only=True, repr=not secret
    )


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """Builds `cls` from `environ`. Raises ConfigError with all faults."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for item in dataclasses.fields(cls):  # type: ignore[arg-type] # cls is a dataclass by contract
        env = item.metadata.get("env")
        if env is None:
            continue
        text = environ.get(env, "")
        if text == "":
            if item.default_factory is _MISSING:
                faults.append(f"{env} is not set ({item.metadata['help']})")
            continue
        try:
            parse = item.metadata["parse"] or (lambda t, h=hints[item.name]: _read(t, h))
            values[item.name] = parse(text)
        except ValueError as error:
            shown = "its value" if item.metadata["secret"] else repr(text)
            faults.append(f"{env}: {shown} is not valid: {error}")
    if faults:
        raise ConfigError(faults)
    return cls(**values)


def describe(cls: type[Any]) -> list[tuple[str, str, str]]:
    """A row (variable, default, what it is for) a field, for documentation."""
    rows = []
    for item in dataclasses.fields(cls):
        if "env" in item.metadata:
            factory = item.default_factory
            default = str(factory()) if callable(factory) else "required"
            rows.append((item.metadata["env"], default, item.metadata["help"]))
    return rows


def _read(text: str, hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if arg is not types.NoneType)
    if hint is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError("expected true or false")
    if hint in (int, float):
        return _number(text, hint)
    if hint is Path:
        return Path(text)
    if typing.get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _number(text: str, hint: type[int] | type[float]) -> int | float:
    try:
        return hint(text)
    except ValueError:
        kind = "a whole number" if hint is int else "a number"
        raise ValueError(f"expected {kind}") from None
