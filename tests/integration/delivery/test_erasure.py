"""An account is erased: no row of it is left in delivery, and nothing more is sent for it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from libs.api.erasure import Left
from libs.db import Tx
from services.delivery.handlers import erasure
from tests.integration.delivery.receiver import Receiver, answer, held
from tests.integration.delivery.world import open_world

# Tables that tell of what has been, or of mailboxes, whoever has them.
OTHERS = {"event_outbox", "email_confirmations"}
NAMES = ("id", "account", "endpoint", "message")


@pytest.fixture
async def world(empty_database):
    async with open_world(empty_database) as made:
        yield made


async def rows_about(world, ids):
    """{table: rows} with one of these ids in them, over every table that there is."""
    columns = await world.db.fetch(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'public' and data_type = 'uuid' and column_name = any($1)",
        list(NAMES),
    )
    found = {}
    for table, column in columns:
        if table not in OTHERS:
            count = await world.db.fetchval(
                f"select count(*) from {table} where {column} = any($1)", ids
            )
            found[table] = found.get(table, 0) + count
    return {table: count for table, count in found.items() if count}


async def ids_of(world, account):
    rows = await world.db.fetch(
        "select id from endpoints where account = $1 union all"
        " select id from email_addresses where account = $1 union all"
        " select id from messages where account = $1",
        account,
    )
    return [account, *(row["id"] for row in rows)]


async def erase(world, account):
    while True:
        async with world.db.transaction() as tx:
            left = await erasure.erase(tx, account)
        if left is not Left.MORE:
            return left


async def add_address(world, account):
    await world.db.execute(
        "with a as (insert into email_addresses (id, account, email, email_key, description,"
        " event_types, state, state_reason, role_account, disposable, revision, create_time,"
        " update_time) values ($1, $2, 'a@example.com', 'a@example.com', '', '{}', 1, '', false,"
        " false, 1, now(), now()) returning id)"
        " insert into lanes (endpoint, open) select id, false from a",
        world.ids.uuid(),
        account,
    )


async def test_every_table_that_names_an_account_a_target_or_a_message_is_thought_of(world):
    """A new table: say in the store what becomes of it, and here that you did."""
    rows = await world.db.fetch(
        "select distinct table_name from information_schema.columns where table_schema = 'public'"
        " and data_type = 'uuid' and column_name = any($1)",
        ["account", "endpoint", "message"],
    )
    assert {row["table_name"] for row in rows} == {
        *("endpoints", "endpoint_secrets", "lanes", "breakers", "removals", "lane_holds"),
        *("email_addresses", "delivery_operations"),
        *("messages", "deliveries", "attempts", "email_sends", "email_batch_sends"),
        *("email_events", "email_confirmations", "email_digest_items", "erasures"),
    }


async def test_no_row_of_an_erased_account_is_left_and_others_keep_theirs(world, monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 2)  # several batches
    account, other = world.ids.uuid(), world.ids.uuid()
    async with Receiver() as receiver:
        sender = await world.sender()
        for who in (account, other):
            for _ in range(3):
                await world.endpoint(who, receiver.url())
            await add_address(world, who)
            await world.tell(sender, *(world.fired(who) for _ in range(3)))
        await world.settled(18)
        ids, kept = await ids_of(world, account), await ids_of(world, other)
        before = await rows_about(world, kept)
        assert set(before) >= {"endpoints", "messages", "deliveries", "attempts", "lanes"}
        assert await erase(world, account) is Left.NOTHING
        assert await rows_about(world, ids) == {}
        assert await rows_about(world, kept) == before


async def test_what_waits_is_called_off_and_what_is_on_the_wire_leaves_no_trace(world):
    account, go = world.ids.uuid(), asyncio.Event()
    async with Receiver({"/": held(go, answer(500))}) as receiver:
        sender = await world.sender()
        await world.endpoint(account, receiver.url())
        await world.tell(sender, world.fired(account))
        await receiver.wait_for(1)
        ids = await ids_of(world, account)
        assert await erase(world, account) is Left.NOTHING
        go.set()
        await sender.stop()  # its outcome is recorded by then, if it can be
        await world.sweeps.run()
        assert await rows_about(world, ids) == {}
        assert len(receiver.arrivals) == 1


async def test_what_another_transaction_holds_is_left_for_later(world):
    account = world.ids.uuid()
    sender = await world.sender()
    await world.endpoint(account, "http://127.0.0.1:9999/")
    await sender.stop()
    async with world.db.transaction() as tx:
        await _store_waiting(world, tx, account)
    async with world.db.transaction() as holder:
        await holder.execute("select 1 from deliveries for update")
        assert await erase(world, account) is Left.BUSY
    assert await erase(world, account) is Left.NOTHING
    assert await world.deliveries() == []


async def _store_waiting(world, tx: Tx, account: UUID) -> None:
    message, now = world.ids.uuid(), world.clock.now()
    await tx.execute(
        "insert into messages (id, account, event_type, payload, create_time, trace_parent)"
        " values ($1, $2, 't', '', $3, '')",
        message,
        account,
        now,
    )
    await tx.execute(
        "insert into deliveries (message, endpoint, state, attempt_count, due, reason)"
        " select $1, id, 1, 0, $3, '' from endpoints where account = $2",
        message,
        account,
        now + timedelta(hours=1),
    )
