"""Analytics at the size of the whole market: 58,000 cards, a year of days.

The days are made here and stored by the service's own COPY; then the steps of a run are timed as
the pipeline makes them. The rival is the plain way: pandas and scipy on a sample, times the size.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import psutil

from libs.clock import SystemClock
from libs.db import Database, migrate
from libs.events import outbox
from libs.events.catalog import Catalog
from libs.events.outbox import Outbox
from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from services.market.analytics import signals
from services.market.analytics.panel import NONE
from services.market.app import MIGRATIONS
from services.market.domain.imports import Mode
from services.market.domain.pipeline import DayVersion
from services.market.handlers.closing import Closing, Rule
from services.market.handlers.steps import steps
from services.market.store import latest, plans, quotes
from services.market.store.panels import Panels, Prices
from tests.bench import Row

CARDS = 58_000
DAYS = 365
FIRST = date(2025, 1, 1)
SAMPLE = 300


async def run(scale: int) -> list[Row]:
    """The family's rows; `scale` multiplies the cards of a sixteenth of the market."""
    cards = max(CARDS * scale // 16, 1000) if scale < 16 else CARDS
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            await server.ready()
            await server.create_databases(["market"])
            return await _measured(server.dsn("market"), cards, scale)
        finally:
            server.stop()


async def _measured(dsn: str, cards: int, scale: int) -> list[Row]:
    clock = SystemClock()
    folders = [
        ("events", Path(outbox.__file__).with_name("migrations")),
        ("market", MIGRATIONS),
    ]
    await migrate(dsn, folders)
    box = Outbox(Catalog.load(), "/pq/market", Ids(clock), clock)
    db = await Database.connect(dsn, application="bench", outbox=box)
    try:
        await _fill(db, cards)
        from_rows = await _loaded(db)
        before = await _size(db)
        begun = time.perf_counter()
        closed = await _close(db, clock)
        closing = (time.perf_counter() - begun) / closed
        panels = Panels(db)
        last = FIRST + timedelta(days=DAYS - 1)
        begun = time.perf_counter()
        prices = await panels.upto(1, last)
        loading = time.perf_counter() - begun
        taken = await _steps(db, panels, last)  # kernels are compiled, plans made
        taken = await _steps(db, panels, last)
        size = await _size(db)
        late, new = [await _another_day(db, cards, day) for day in (FIRST, last)]
    finally:
        await db.close()
    alone = _signals(prices)
    told = f"{cards:,} cards × {DAYS} days"
    shares = ", ".join(f"{name} {seconds:.2f}" for name, seconds in taken.items())
    whole = cards == CARDS
    memory = psutil.Process().memory_info().rss / 1e6
    plain = _plain(prices) * cards / SAMPLE
    return [
        _at_most(
            *("loading", scale, loading, "s", 2 if whole else None),
            f"{told}, {closed} months in tiles; all in rows {from_rows:.1f} s",
        ),
        _at_most(
            "closing", scale, closing, "s", None, f"a month; {before:.0f} MB become {size:.0f}"
        ),
        Row(
            *("analytics.late_day", scale, late, "s"),
            at_least=False,
            rival="the same into an open month",
            rival_value=new,
            note="a whole day replaced in a closed month",
        ),
        Row(
            "analytics.signals",
            scale,
            alone,
            "s",
            1.5 if whole else None,
            at_least=False,
            rival=f"pandas and scipy, {SAMPLE} cards times the size",
            rival_value=plain,
            note=told,
        ),
        _at_most("run", scale, sum(taken.values()), "s", 4 if whole else None, shares),
        _at_most("memory", scale, memory, "MB", 700 if whole else None, "the whole bench"),
    ]


def _at_most(
    name: str, scale: int, value: float, unit: str, target: float | None, note: str
) -> Row:
    return Row(f"analytics.{name}", scale, value, unit, target, at_least=False, note=note)


async def _loaded(db: Database) -> float:
    begun = time.perf_counter()
    await Panels(db).upto(1, FIRST + timedelta(days=DAYS - 1))
    return time.perf_counter() - begun


async def _another_day(db: Database, cards: int, day: date) -> float:
    """Seconds for other quotes of all cards on a day that has some."""
    numbers = np.arange(1, cards + 1, dtype=np.int32)
    cents = np.random.default_rng(2).integers(1, 100_000, (cards, 5)).astype(np.int32)
    begun = time.perf_counter()
    async with db.transaction() as tx:
        await plans.expect(tx, cards)
        await quotes.write(tx, 1, day, numbers, cents, gone=numbers)
    return time.perf_counter() - begun


async def _close(db: Database, clock: SystemClock) -> int:
    """Closes months; answers how many."""
    closing, count = Closing(db, clock, Rule(quiet=timedelta(0))), 0
    while await closing.due() is not None:
        count += await closing() is not None
    return count


async def _size(db: Database) -> float:
    """The database's size in MB, what is dead in it left out."""
    await db.execute("vacuum full card_latest")
    size: int = await db.fetchval("select pg_database_size(current_database())")
    return size / 1e6


async def _fill(db: Database, cards: int) -> None:
    """Walks in which one quote in five moves, one in nine is missing, and asks lie near."""
    dice = np.random.default_rng(1)
    await db.execute("insert into sources (name, currency) values ('bench', 'USD')")
    await db.execute(
        "insert into cards (id, category, product_id, printing, display_name, set_id)"
        " select 'bench-' || n, 'bench', n, 'Normal', 'Card ' || n, n / 200"
        " from generate_series(1, $1::int) n order by n",
        cards,
    )
    numbers = np.arange(1, cards + 1, dtype=np.int32)
    logs = np.log(np.exp(dice.normal(5.5, 1.6, cards)).clip(5, 5e6))
    item = uuid4()
    await db.execute(
        "insert into imports values"
        " ($1, 1, 1, null, 'bench', '', 0, now(), 0, 0, 0, '[]', 0, 1, 1)",
        item,
    )
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        moved = dice.random(cards) < 0.2
        logs[moved] += dice.normal(0, 0.04, int(moved.sum()))
        market = np.maximum(np.round(np.exp(logs)), 1).astype(np.int32)
        cents = np.full((cards, 5), NONE, np.int32)
        cents[:, 0] = np.where(dice.random(cards) < 1 / 9, NONE, market)
        cents[:, 1] = np.maximum(market * 9 // 10, 1)
        await quotes.ensure_partition(db, day)
        async with db.transaction() as tx:
            await quotes.insert(tx, 1, day, numbers, cents)
            await tx.execute(
                "insert into snapshots values (1, $1, 1, now(), $2, 0, 0, $3, 1)",
                day,
                cards,
                item,
            )
            if not number:
                await latest.insert(tx, 1, day, numbers, cents)


async def _steps(db: Database, panels: Panels, day: date) -> dict[str, float]:
    """Seconds of each step of a run."""
    of = DayVersion("bench", 1, "USD", day, 1, Mode.LIVE, DAYS)
    taken = {}
    async with db.transaction() as tx:
        for step in steps():
            begun = time.perf_counter()
            await step(tx, of, panels)
            taken[step.name] = time.perf_counter() - begun
    return taken


def _signals(prices: Prices) -> float:
    """Seconds for all signals of the newest day, all in memory."""
    _ = prices.market.logs
    begun = time.perf_counter()
    signals.compute(prices.market, prices.low)
    return time.perf_counter() - begun


def _plain(prices: Prices) -> float:
    """Seconds for three kinds of them, card by card as one writes it first."""
    import pandas as pd
    from scipy.stats import theilslopes

    cents = prices.market.cents[:SAMPLE].astype(float)
    cents[cents == NONE] = np.nan
    begun = time.perf_counter()
    frame = pd.DataFrame(np.log(cents).T)
    for column in frame:
        series = frame[column]
        for window in (7, 30, 90):
            tail = series.iloc[-window - 1 :].dropna()
            if len(tail) > 2:
                theilslopes(tail.to_numpy(), tail.index.to_numpy())
        for window in (30, 90):
            returns = series.iloc[-window - 1 :].dropna().diff().dropna()
            moves = returns[returns != 0]
            _ = returns.sum(), (returns**2).sum(), moves.abs().median(), len(moves)
        for window in (90, 365):
            tail = series.iloc[-window:]
            _ = np.expm1(tail.iloc[-1] - tail.max()), tail.mean(), tail.std()
    return time.perf_counter() - begun
