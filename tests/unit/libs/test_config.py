from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.config import ConfigError, describe, field, load


@dataclass(frozen=True)
class Config:
    url: str = field("PQ_URL", help="where")
    size: int = field("PQ_SIZE", 3, help="how many")
    share: float | None = field("PQ_SHARE", None, help="how much")
    on: bool = field("PQ_ON", False, help="whether")
    folder: Path = field("PQ_FOLDER", Path(), help="where to")
    names: tuple[str, ...] = field("PQ_NAMES", (), help="who")
    key: str = field("PQ_KEY", "", help="a key", secret=True)


def test_values_come_from_the_environment_and_defaults_stand_in():
    config = load(Config, {"PQ_URL": "u", "PQ_ON": "true", "PQ_NAMES": "a, b,", "PQ_SHARE": ".5"})
    assert config == Config(url="u", on=True, names=("a", "b"), share=0.5)


def test_every_fault_is_told_at_once_and_no_secret_with_them():
    with pytest.raises(ConfigError) as caught:
        load(Config, {"PQ_SIZE": "many", "PQ_ON": "maybe"})
    told = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 3
    assert "PQ_URL is not set (where)" in told
    assert "PQ_SIZE: 'many' is not valid: expected a whole number" in told


def test_a_secret_is_not_printed():
    assert "hidden" not in repr(Config(url="u", key="hidden"))


def test_the_description_has_a_row_for_each_variable():
    assert ("PQ_SIZE", "3", "how many") in describe(Config)
    assert ("PQ_URL", "required", "where") in describe(Config)
