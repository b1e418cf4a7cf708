"""A market's whole history, from an empty product to published: 584 days of 64,000 quotes.

Prices move as often as real ones were measured to: market on 19 % of days, low on 8, mid on 28. The
files are made first and take no part in the time.
"""

from __future__ import annotations

import asyncio
import gzip
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import psutil

from tests.bench import Row
from tests.bench.product import ingest, value
from tests.e2e.product import Product, running

CARDS = 64_000
DAYS = 584
FIRST = date(2024, 2, 1)
PATIENCE = 1800.0
MOVES = {"market": 0.19, "low": 0.08, "mid": 0.28, "high": 0.05, "direct_low": 0.05}
# Shares of quotes that have no such price.
MISSING = {"market": 0.115, "low": 0.0, "mid": 0.0, "high": 0.0, "direct_low": 0.8}


async def run(scale: int) -> list[Row]:
    """The family's rows; `scale` multiplies the cards of a sixteenth of the market."""
    cards = CARDS * scale // 16
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = await asyncio.to_thread(_write, folder / "days", cards)
        async with running(folder / "home") as product:
            peaks: dict[str, int] = {}
            watching = asyncio.create_task(_watch(product, peaks))
            began = time.monotonic()
            await ingest(product, folder / "days")
            accepted = time.monotonic() - began
            last = FIRST + timedelta(days=DAYS - 1)
            await _until(product, "select count(*) from published where day = $1", last)
            published = time.monotonic() - began
            await _until(product, "select not exists (select from pipeline_runs where state = 1)")
            done = time.monotonic() - began
            kept = (last.replace(day=1) - timedelta(days=1)).replace(day=1)
            await _until(product, "select count(*) from quote_storage where rows_from = $1", kept)
            closed = time.monotonic() - began
            watching.cancel()
            database = await value(product, "market", "select pg_database_size(current_database())")
            files = (path for path in (folder / "home/raw").rglob("*") if path.is_file())
            raw = sum(path.stat().st_size for path in files)
            whole = scale == 16
            told = (
                f"{DAYS} days × {cards:,} cards, {size / 1e6:,.0f} MB of files; accepted"
                f" {accepted:,.0f} s, all signals {done:,.0f} s, months closed {closed:,.0f} s"
            )
            peak = max(peaks.values()) / 1e6
            return [
                _row("published", scale, published, "s", 25 * 60 if whole else None, told),
                _row(
                    *("size", scale, (database + raw) / 1e6, "MB", 1500 if whole else None),
                    f"database {database / 1e6:,.0f}, raw files {raw / 1e6:,.0f}",
                ),
                _row("memory", scale, peak, "MB", 700 if whole else None, _told(peaks)),
            ]


def _told(found: dict[str, int]) -> str:
    return "at most: " + ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in found.items())


def _row(name: str, scale: int, value: float, unit: str, target: float | None, note: str) -> Row:
    return Row(f"history.{name}", scale, value, unit, target, at_least=False, note=note)


async def _watch(product: Product, peaks: dict[str, int]) -> None:
    """Notes the most memory of the market's processes, looked at twice a second."""
    supervisor = psutil.Process(product.supervisor_pid)
    while True:
        for process in supervisor.children(recursive=True):
            try:
                words, size = process.cmdline(), process.memory_info().rss
            except psutil.Error:
                continue
            if words and words[-1].startswith("services.market"):
                peaks[words[-1]] = max(peaks.get(words[-1], 0), size)
        await asyncio.sleep(0.5)


async def _until(product: Product, query: str, *args: object) -> None:
    ends = time.monotonic() + PATIENCE
    while not await value(product, "market", query, *args):
        assert time.monotonic() < ends, query
        await asyncio.sleep(0.2)


def _write(folder: Path, cards: int) -> int:
    """The days as files; answers their bytes."""
    folder.mkdir()
    dice = np.random.default_rng(1)
    # As measured: half of the cards cost less than a dollar, one in twenty more than fifty, and the
    # highest ask is parked at a price somebody likes.
    base = np.exp(dice.normal(4.45, 2.0, cards)).clip(5, 5e6)
    factors = {"market": 1.0, "low": 0.5, "mid": 1.1, "high": 5.0, "direct_low": 0.7}
    prices = {name: base * factor for name, factor in factors.items()}
    gone = {name: dice.random(cards) < share for name, share in MISSING.items()}
    size = 0
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        columns = []
        for name, share in MOVES.items():
            moved = dice.random(cards) < share
            prices[name][moved] *= np.exp(dice.normal(0, 0.04, int(moved.sum())))
            cents = np.maximum(np.round(prices[name]), 1).astype(np.int64)
            if name == "high":
                cents = -(-cents // 100) * 100 - 1
            texts = np.char.add(
                np.char.add((cents // 100).astype(str), "."),
                np.char.zfill((cents % 100).astype(str), 2),
            )
            columns.append(np.where(gone[name], "", texts).tolist())
        lines = ["date,category,group_id,product_id,subtype,market,low,mid,high,direct_low"]
        lines += [
            f"{day},pokemon,{card // 200},{card},Normal,{','.join(values)}"
            for card, values in enumerate(zip(*columns, strict=True), 1)
        ]
        data = gzip.compress("\r\n".join([*lines, ""]).encode(), 6)
        (folder / f"{day}.csv.gz").write_bytes(data)
        size += len(data)
    return size
