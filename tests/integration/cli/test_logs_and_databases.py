"""`pq tail` and `pq migrate` on a real PostgreSQL."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.local import LOG, SERVICES, databases, folders, migrate
from gateway.cli.output import Output
from gateway.cli.product import Product
from gateway.cli.tail import tail
from libs.db.migrations import read
from libs.events.catalog import Catalog, partition_for
from libs.events.engines import open_log
from libs.events.record import Record
from pq.accounts.v1 import accounts_events_pb2 as pb

TOPIC = "pq.accounts.events.v1"
OPTIONS = {"from_beginning": True, "key": None, "limit": None, "follow": False}


def records(*accounts):
    for number, account in enumerate(accounts, start=1):
        message = pb.AccountChanged(account=account, change=pb.ACCOUNT_CHANGE_CREATED)
        yield Record(
            id=UUID(int=number),
            topic=TOPIC,
            partition=partition_for(account, 4),
            key=account,
            type=message.DESCRIPTOR.full_name,
            time=datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC),
            source="/pq/gateway",
            payload=message.SerializeToString(),
        )


async def append(url, *accounts):
    log = open_log(url, catalog=Catalog.load())
    try:
        producer = await log.produce(UUID(int=9))
        await producer.append(list(records(*accounts)))
        await producer.close()
    finally:
        await log.close()


def printed(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_events_are_printed_from_the_beginning_in_their_order(empty_database, capsys):
    await append(empty_database, "accounts/a", "accounts/b", "accounts/c")
    assert await tail(Output(json=True), empty_database, ["accounts"], **OPTIONS) is Exit.OK
    assert [event["data"]["account"] for event in printed(capsys)] == [
        *("accounts/a", "accounts/b", "accounts/c")
    ]
    more = OPTIONS | {"key": "accounts/b"}
    await tail(Output(), empty_database, ["accounts"], **more)
    (line,) = capsys.readouterr().out.splitlines()
    assert "AccountChanged  accounts/b" in line


async def test_it_follows_from_the_end_until_the_limit(empty_database, capsys):
    await append(empty_database, "accounts/old")
    follow = OPTIONS | {"from_beginning": False, "limit": 1, "follow": True}
    task = asyncio.create_task(tail(Output(json=True), empty_database, ["accounts"], **follow))
    # It begins at some moment of its own; what is appended after that it prints.
    async with asyncio.timeout(10):
        while not task.done():
            await append(empty_database, "accounts/new")
            await asyncio.wait({task}, timeout=0.2)
    (event,) = printed(capsys)
    assert event["data"]["account"] == "accounts/new"


async def test_a_log_that_is_not_there_is_unreachable():
    with pytest.raises(CliError, match="cannot be reached") as caught:
        await tail(Output(), "postgres://127.0.0.1:1/log", ["accounts"], **OPTIONS)
    assert caught.value.exit is Exit.UNREACHABLE
    with pytest.raises(CliError, match="expected postgres") as caught:
        await tail(Output(), "amqp://x", ["accounts"], **OPTIONS)
    assert caught.value.exit is Exit.USAGE


@pytest.mark.parametrize("name", [*SERVICES, LOG])
async def test_a_database_is_brought_up_to_date_once(empty_database, tmp_path, capsys, name):
    product = Product(home=tmp_path, gateway="", databases={name: empty_database})
    for expected in (True, False):
        assert await migrate(Output(json=True), product, [name], {}) is Exit.OK
        (line,) = printed(capsys)
        assert (line["database"], bool(line["applied"])) == (name, expected)
    connection = await asyncpg.connect(empty_database)
    count = await connection.fetchval("select count(*) from schema_migrations")
    await connection.close()
    assert count == sum(len(read(space, folder)) for space, folder in folders(name))


async def test_a_migration_that_was_changed_is_refused(empty_database, tmp_path, capsys):
    product = Product(home=tmp_path, gateway="", databases={"market": empty_database})
    await migrate(Output(), product, ["market"], {})
    connection = await asyncpg.connect(empty_database)
    await connection.execute("update schema_migrations set sha256 = 'x' where namespace = 'market'")
    await connection.close()
    with pytest.raises(CliError, match="was changed after") as caught:
        await migrate(Output(), product, ["market"], {})
    assert caught.value.exit is Exit.FAILED


def test_where_databases_are(tmp_path):
    product = Product(tmp_path, "", databases={"market": "home"}, event_log="postgres://log")
    environ = {"PQ_ALERTS_DATABASE_URL": "env", "PQ_DATABASE_URL": "alone"}
    assert databases(product, [], environ) == {
        "market": "home",
        "alerts": "env",
        "log": "postgres://log",
    }
    assert databases(product, ["delivery"], environ)["delivery"] == "alone"


async def test_a_database_that_is_not_there_is_unreachable(tmp_path):
    product = Product(tmp_path, "", databases={"market": "postgresql://x:y@127.0.0.1:1/market"})
    with pytest.raises(CliError, match=r"^market: ") as caught:
        await migrate(Output(), product, [], {})
    assert caught.value.exit is Exit.UNREACHABLE
