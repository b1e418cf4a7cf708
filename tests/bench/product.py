"""The whole product: a full day from `pq ingest` to its alerts evaluated, and what idling costs."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psutil

from tests.bench import Row
from tests.bench.market import days
from tests.e2e.product import PQ, Product, running

ALERTS = 100_000
ABOVE, BELOW, MOVE = 1, 2, 3


async def run(scale: int) -> list[Row]:
    """The second of two days, with so many alerts on its cards; then memory, in peace."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running(folder / "home") as product:
            rows = [await _memory(product)]
            rows += await _full_day(product, folder, ALERTS * scale, scale)
        return rows


async def _memory(product: Product) -> Row:
    """PSS of all processes, the supervisor included: memory shared by several counts once."""
    await asyncio.sleep(5)  # what start-up needed is given back
    supervisor = psutil.Process(product.supervisor_pid)
    family = [supervisor, *supervisor.children(recursive=True)]
    total = sum(process.memory_full_info().pss for process in family)
    note = f"{len(family)} processes"
    return Row("product.idle_memory", 1, total / 1e6, "MB", 600, at_least=False, note=note)


async def _full_day(product: Product, folder: Path, alerts: int, scale: int) -> list[Row]:
    first, second, *_ = (_kept(folder, number, data) for number, data in enumerate(days(1)))
    await ingest(product, first)
    await _until_evaluated(product)
    await _watch(product, alerts)
    began = time.monotonic()
    await ingest(product, second)
    accepted = time.monotonic() - began
    await _until_evaluated(product)
    evaluated = time.monotonic() - began
    fired = await value(product, "alerts", "select count(*) from firings")
    note = f"{alerts:,} active alerts, {fired:,} fired"
    return [
        Row("product.day_accepted", scale, accepted, "s", note="`pq ingest` has returned"),
        Row("product.day_evaluated", scale, evaluated, "s", 3, at_least=False, note=note),
    ]


def _kept(folder: Path, number: int, data: bytes) -> Path:
    path = folder / f"{number}.csv.gz"
    path.write_bytes(data)
    return path


async def ingest(product: Product, file: Path) -> None:
    """As a person does it, the start of the command included."""
    process = await asyncio.create_subprocess_exec(
        *(str(PQ), "ingest", "--json", str(file)),
        env={**os.environ, "PQ_HOME": str(product.home)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait() != 0:
        raise RuntimeError(f"pq ingest {file.name} ended with {process.returncode}")


async def _until_evaluated(product: Product) -> None:
    """Waits until alerts has handled every price in the log, and none waits in the outbox."""
    alerts = await asyncpg.connect(product.endpoints["databases"]["alerts"])
    log = await asyncpg.connect(product.endpoints["event_log"])
    try:
        while True:
            waiting = await value(product, "market", "select count(*) from event_outbox")
            ends = await log.fetch(
                "select partition, next from log_parts where topic = 'pq.market.prices.v1'"
            )
            handled = await alerts.fetch(
                "select partition, position from event_positions"
                " where topic = 'pq.market.prices.v1'"
            )
            at = {row["partition"]: row["position"] or 0 for row in handled}
            if not waiting and all(at.get(row["partition"], 0) >= row["next"] for row in ends):
                return
            await asyncio.sleep(0.01)
    finally:
        await alerts.close()
        await log.close()


async def _watch(product: Product, count: int) -> None:
    """Alerts on random cards of the market, a third of each kind, near the price of their card."""
    market = await asyncpg.connect(product.endpoints["databases"]["market"])
    alerts = await asyncpg.connect(product.endpoints["databases"]["alerts"])
    try:
        priced = await market.fetch(
            "select c.id, l.market from card_latest l join cards c on c.card = l.card"
            " where l.market between 10 and 10000000"
        )
        await alerts.copy_records_to_table(
            "watched_cards", columns=["name"], records=[(row["id"],) for row in priced]
        )
        keys = dict(await alerts.fetch("select name, id from watched_cards"))
        dice, now, account = random.Random(1), datetime.now(UTC), uuid.uuid4()

        def rows():
            for number in range(count):
                card = dice.choice(priced)
                kind = (ABOVE, BELOW, MOVE)[number % 3]
                level = round(card["market"] * dice.uniform(0.5, 2)) or 1
                value = dice.randint(50_000, 1_000_000) if kind == MOVE else level
                currency = None if kind == MOVE else "USD"
                yield (
                    *(uuid.UUID(int=dice.getrandbits(128), version=4), account, keys[card["id"]]),
                    *(kind, value, currency, True, "", now, now, now, 1),
                )

        columns = (
            "id account card kind value currency active note create_time watch_time update_time"
            " revision"
        )
        await alerts.copy_records_to_table("alerts", columns=columns.split(), records=rows())
        await alerts.execute("vacuum analyze alerts")
    finally:
        await market.close()
        await alerts.close()


async def value(product: Product, database: str, query: str, *args: object) -> int:
    connection = await asyncpg.connect(product.endpoints["databases"][database])
    try:
        found: int = await connection.fetchval(query, *args)
        return found
    finally:
        await connection.close()
