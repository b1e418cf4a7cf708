"""What the databases and the log say, read past the product where it has no word for it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

import asyncpg

from tests.e2e.product import PQ, Client, Product

# What is pending, told apart by what it waits for; empty where nothing is.
_PENDING = """
select coalesce(string_agg(format('%s deliveries pending: %s', number, why), '; '), '') from (
    select count(*) as number, concat_ws(' ',
        case when d.worker is not null then 'under way' else 'waiting' end,
        case when d.worker is not null and w.id is null then 'by nobody' end,
        case when l.endpoint is null then 'without a lane' end,
        l.hold_reason, 'lane due in ' || extract(epoch from l.due - now())::int,
        'due in ' || extract(epoch from min(d.due) - now())::int,
        'breaker ' || b.state, 'attempts up to ' || max(d.attempt_count)) as why
    from deliveries d left join lanes l using (endpoint) left join breakers b using (endpoint)
        left join workers w on w.id = d.worker
    where d.state = 1
    group by d.worker is not null, d.worker, w.id, l.endpoint, b.state
) pending
"""


async def run_pq(product: Product, *arguments: str) -> tuple[int, str]:
    """One `pq` command against the product: exit code and standard output."""
    process = await asyncio.create_subprocess_exec(
        *(str(PQ), *arguments),
        env={**os.environ, "PQ_HOME": str(product.home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def until_quiet(product: Product, timeout: float) -> None:
    """Waits until nothing is on its way: outboxes empty, consumers at the end, nothing pending."""
    ends, why = time.monotonic() + timeout, "never looked"
    while time.monotonic() < ends:
        try:
            why = await _unrest(product)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            why = repr(error)
        if not why:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"not quiet after {timeout:.0f} s: {why}")


async def _unrest(product: Product) -> str:
    for name in ("market", "alerts", "delivery", "gateway"):
        count = await _value(product, name, "select count(*) from event_outbox")
        if count:
            return f"{count} events in the outbox of {name}"
    code, said = await run_pq(product, "doctor", "--json")
    if code != 0:
        return f"pq doctor: {code} {said[:2000]}"
    consumers = _find(json.loads(said), "consumers")
    lag = sum(int(consumer["lag"]) for consumer in consumers)
    if lag or not consumers:
        return f"{len(consumers)} consumers are {lag} behind"
    return await _value(product, "delivery", _PENDING)


def _find(document: Any, key: str) -> list[Any]:
    """All items of every list under `key`, wherever it stands."""
    if isinstance(document, list):
        return [item for part in document for item in _find(part, key)]
    if not isinstance(document, dict):
        return []
    own = document.get(key)
    found = list(own) if isinstance(own, list) else []
    return found + [item for part in document.values() for item in _find(part, key)]


async def _value(product: Product, database: str, query: str) -> Any:
    connection = await asyncpg.connect(product.endpoints["databases"][database], timeout=5)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until_closed(product: Product, newest: str, timeout: float) -> None:
    """Waits until every month before the newest day's is closed."""
    month, ends = newest[:8] + "01", time.monotonic() + timeout
    query = "select rows_from::text from quote_storage"
    while (rows_from := await _value(product, "market", query)) != month:
        assert time.monotonic() < ends, f"rows begin at {rows_from}, not at {month}"
        await asyncio.sleep(0.1)


async def card_days_in_the_log(product: Product) -> dict[str, list[tuple[str, int]]]:
    """Each card's (day, version) in the order of the log, repeats of an event left out."""
    code, said = await run_pq(
        product, "tail", "pq.market.prices.v1", "--from-beginning", "--no-follow", "--json"
    )
    assert code == 0, said[:1000]
    events = [json.loads(line) for line in said.splitlines() if line.strip()]
    events.sort(key=lambda event: (event["partition"], event["offset"]))
    seen, found = set(), {}
    for event in events:
        if event["id"] in seen:
            continue
        seen.add(event["id"])
        data = event["data"]
        for change in data["changes"]:
            found.setdefault(change["card"], []).append((data["day"], int(data["version"])))
    return found


async def firings_out_of_order(product: Product) -> int:
    """Firings in the database that were written before one of an earlier day of the same alert."""
    query = (
        "select count(*) from firings a join firings b"
        " on a.alert = b.alert and a.day < b.day and a.fire_time > b.fire_time"
    )
    return await _value(product, "alerts", query)


async def quotes(client: Client, card: str) -> dict[str, str | None]:
    """What the API says of a card: day to market price."""
    found = await client.everything(f"/v1/cards/{card}/quotes", "quotes")
    return {quote["day"]: quote["market"] for quote in found}
