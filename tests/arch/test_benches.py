"""Measurements run by hand alone: what they use may not go away unnoticed."""

import importlib
import pkgutil

import pytest

import tests.bench

FAMILIES = [one.name for one in pkgutil.iter_modules(tests.bench.__path__) if one.name[0] != "_"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_can_be_run(name):
    assert callable(importlib.import_module(f"tests.bench.{name}").run)
