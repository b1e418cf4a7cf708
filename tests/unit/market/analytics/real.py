"""A sample of the real prices, where they lie beside the repository or PQ_SHARED_DATA says."""

from __future__ import annotations

import functools
import gzip
import os
import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.market.analytics.panel import NONE, Panel

ROOT = Path(__file__).resolve().parents[4]
FOLDER = Path(os.environ.get("PQ_SHARED_DATA", ROOT.parent / "shared" / "data")) / "prices"
FIRST = date(2025, 1, 1)
DAYS = 365

# One product in twenty of the folder.
_ROW = re.compile(
    rb"^[^,]*,([^,]*),[^,]*,([0-9]*50),([^,\r\n]*),([0-9.]*),([0-9.]*),", re.MULTILINE
)


def _cents(text: bytes) -> int:
    return round(float(text) * 100) if text else NONE


@functools.cache
def sample() -> tuple[Panel, Panel]:
    """(market, low) of some 700 cards over 365 days, the same cards in both."""
    if not FOLDER.is_dir():
        pytest.skip("the shared prices are away")
    rows: dict[tuple[bytes, ...], int] = {}
    seen = []
    for number in range(DAYS):
        path = FOLDER / f"{FIRST + timedelta(days=number)}.csv.gz"
        for *key, market, low in _ROW.findall(gzip.decompress(path.read_bytes())):
            row = rows.setdefault(tuple(key), len(rows))
            seen.append((row, number, _cents(market), _cents(low)))
    found = np.array(seen, np.int32)
    cents = np.full((2, len(rows), DAYS), NONE, np.int32)
    cents[:, found[:, 0], found[:, 1]] = found[:, 2:].T
    return Panel.load(FIRST, cents[0]), Panel.load(FIRST, cents[1])
