"""Real bounces, where they lie beside the repository, are read as they should be."""

from __future__ import annotations

import pytest

from tests.bench.bounces import FOLDER, shares


@pytest.mark.skipif(not (FOLDER / "expected.csv").exists(), reason="the real bounces are away")
def test_of_the_real_bounces_95_in_100_are_right_in_each_column() -> None:
    found = shares(FOLDER)
    assert min(found.values()) >= 95, found
