"""Somebody takes their data along and leaves: nothing of them is left in any room, and the others
notice nothing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from libs.api.wire import resource_id
from tests.e2e.market import import_days, set_the_scene
from tests.e2e.product import Importer, Product, RefusedError, running
from tests.e2e.receiver import Receiver

WAIT = 60.0


async def rows_of(product: Product, account: UUID) -> dict[str, int]:
    """{database.table: rows} with the account's id in a column called so, wherever there is one."""
    found = {}
    for name, url in product.endpoints["databases"].items():
        connection = await asyncpg.connect(url)
        try:
            tables = await connection.fetch(
                "select table_name from information_schema.columns"
                " where table_schema = 'public' and column_name = 'account' and data_type = 'uuid'"
                " and table_name <> 'erasures'"
            )
            for (table,) in tables:
                count = f"select count(*) from {table} where account = $1"
                found[f"{name}.{table}"] = await connection.fetchval(count, account)
        finally:
            await connection.close()
    return {table: count for table, count in found.items() if count}


async def gone(product: Product, account: UUID) -> dict[str, int]:
    """Waits until nothing is left; answers what is, when that takes too long."""
    ends = time.monotonic() + WAIT
    while True:
        left = await rows_of(product, account)
        if not left or time.monotonic() > ends:
            return left
        await asyncio.sleep(0.2)


async def test_an_account_is_exported_and_erased_everywhere(tmp_path: Path) -> None:
    async with running(tmp_path / "home") as product, Receiver() as receiver:
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=5, accounts=2)
        await import_days(scene, importer, range(1, 6))
        expected = scene.expected(6)
        assert await receiver.until(lambda: expected.keys() <= receiver.ids, timeout=WAIT)

        leaver, (theirs, others) = scene.clients[0], (scene.alerts[:40], scene.alerts[40:])
        me = await leaver.call("GET", "/v1/accounts/me")
        account = resource_id("accounts", "acc", me["name"])
        assert set(await rows_of(product, account)) >= {"alerts.alerts", "delivery.messages"}

        export = await leaver.call("GET", "/v1/accounts/me:export")
        assert export["account"] == me
        assert {alert["name"] for alert in export["alerts"]} == {alert.name for alert in theirs}
        sent = {m["name"].removeprefix("messages/") for m in export["messages"]}
        assert sent == {a.id for a in receiver.arrivals if a.path == "/0"}
        assert all(message["attempts"] for message in export["messages"])
        assert sum(len(alert["firings"]) for alert in export["alerts"]) == len(sent)
        told = json.dumps(export)
        assert leaver.token not in told
        assert scene.secrets["/0"] not in told

        await leaver.call("DELETE", "/v1/accounts/me")
        with pytest.raises(RefusedError, match="401"):
            await leaver.call("GET", "/v1/alerts")
        assert await gone(product, account) == {}

        await import_days(scene, importer, range(6, 12))
        left = replace(scene, alerts=others)
        expected = left.expected(12)
        assert await receiver.until(lambda: expected.keys() <= receiver.ids, timeout=WAIT)
        assert receiver.ids == expected.keys() | sent
