"""One full day of price changes against the active rules.

A day as the market publishes it: 14,000 changes of 64,000 cards in 64 messages, handled in one
transaction with firings and outbox rows; 10,000 rules fire on each day. The million of the target
is measured at 1x; the curve has 62,500 rules there and a million at 16x, for rules that do not
fire are what must cost nothing.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from libs.clock import SystemClock
from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from pq.market.v1 import market_events_pb2 as events
from services.alerts.domain.conditions import Kind
from tests.bench import Row
from tests.integration.alerts import world

CARDS = 64_000
CHANGES = 14_000
FIRINGS = 10_000
RULES = 62_500
MILLION = 1_000_000
TARGET = 2.0
DAY = date(2025, 6, 1)
SEED = 7
REPEATS = 3


async def run(scale: int) -> list[Row]:
    """Seconds of one day."""
    rows = await _on_a_server("alerts.day", scale, scale * RULES, None)
    if scale == 1:
        rows += await _on_a_server("alerts.day_of_a_million_rules", scale, MILLION, TARGET)
    return rows


async def _on_a_server(name: str, scale: int, rules: int, target: float | None) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            await server.ready()
            return await _measure(
                server.dsn("postgres"), Row(name, scale, 0, "s", target, at_least=False), rules
            )
        finally:
            server.stop()


async def _measure(dsn: str, row: Row, rules: int) -> list[Row]:
    clock = SystemClock()
    db = await world.open_database(dsn, clock)
    try:
        await fill(dsn, rules)
        taken, fired = [], []
        for n in range(REPEATS):
            batch = day_of_changes(clock, DAY + timedelta(n), up=n % 2 == 0)
            began = time.perf_counter()
            await world.handle(db, clock, *batch)
            taken.append(time.perf_counter() - began)
            fired.append(await db.fetchval("select count(*) from event_outbox") - sum(fired))
    finally:
        await db.close()
    note = f"{rules:,} rules, {CHANGES:,} changes; {fired[-1]:,} firings in {_seconds(taken)} s"
    return [replace(row, value=statistics.median(taken), note=note)]


def _seconds(taken: list[float]) -> str:
    return ", ".join(f"{seconds:.2f}" for seconds in taken)


def card_name(number: int) -> str:
    return f"pokemon-{number}-normal"


async def fill(dsn: str, rules: int) -> None:
    """Active rules on all cards, of which each day fires FIRINGS."""
    ids, rng = Ids(SystemClock()), random.Random(SEED)
    now = SystemClock().now()
    accounts = [UUID(bytes=rng.randbytes(16), version=4) for _ in range(max(1, rules // 1000))]

    def rows() -> Iterator[tuple[Any, ...]]:
        for number, (card, kind, value) in enumerate(conditions(rules, rng)):
            currency = "USD" if Kind(kind).is_level else None
            owner = accounts[number % len(accounts)]
            yield (ids.uuid(), owner, card, kind, value, currency, True, "note", now, now, now, 1)

    columns = (
        "id", "account", "card", "kind", "value", "currency", "active", "note", "create_time",
        "watch_time", "update_time", "revision",
    )  # fmt: skip
    names = [(card_name(n),) for n in range(1, CARDS + 1)]
    connection = await asyncpg.connect(dsn)  # one of its own: no statement timeout
    try:
        await connection.copy_records_to_table("watched_cards", columns=["name"], records=names)
        await connection.copy_records_to_table("alerts", columns=columns, records=rows())
        await connection.execute("vacuum analyze watched_cards, alerts")
        await connection.execute("checkpoint")  # what filling wrote is not the day's to write
    finally:
        await connection.close()


def conditions(rules: int, rng: random.Random) -> Iterator[tuple[int, Kind, int]]:
    """(card's key, kind, value): a third of each kind, spread over all cards in random order.

    Prices swing between 90.00 and 110.00. On changed cards a half of FIRINGS is crossed by a rise,
    as many by a fall, and as many percentages are reached by either; all others are out of reach.
    """
    kinds = (Kind.PRICE_ABOVE, Kind.PRICE_BELOW, Kind.MOVE)
    numbers = list(range(rules))
    rng.shuffle(numbers)
    for number in numbers:
        kind = kinds[number % 3]
        if number < FIRINGS // 2 * 3:
            card = rng.randrange(1, CHANGES + 1)
            value = 150_000 if kind is Kind.MOVE else rng.randrange(9_001, 11_000)
        else:
            card = rng.randrange(1, CARDS + 1)
            value = {Kind.PRICE_ABOVE: 20_000, Kind.PRICE_BELOW: 5_000}.get(kind, 500_000)
            value += rng.randrange(1000)
        yield card, kind, value


def day_of_changes(clock: SystemClock, day: date, *, up: bool) -> list[events.PricesChanged]:
    """64 messages of about 219 changes; every price goes from 90.00 to 110.00, or back."""
    shards: list[list[events.PriceChange]] = [[] for _ in range(64)]
    price, previous = (11_000, 9_000) if up else (9_000, 11_000)
    for number in range(1, CHANGES + 1):
        change = world.price_change(card_name(number), price, previous, day - timedelta(2))
        shards[number % 64].append(change)
    return [world.prices_changed(day, shard, clock.now()) for shard in shards]
