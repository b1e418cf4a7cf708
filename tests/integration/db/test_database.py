"""Transactions, and the events they carry, on a real PostgreSQL."""

import asyncpg
import pytest

from libs.db import Database, is_transient


class Row:
    def __init__(self, id):
        self.id = id


class TableOutbox:
    """Writes events into a table, as the real outbox does, without the rest of it."""

    def __init__(self):
        self.woken = 0

    def encode(self, message, id=None, headers=None):
        if message == "too large":
            raise ValueError(message)
        return Row(message)

    async def write(self, connection, records):
        await connection.executemany("insert into sent values ($1)", [(r.id,) for r in records])

    def wake(self):
        self.woken += 1


@pytest.fixture
async def db(empty_database):
    database = await Database.connect(empty_database, application="test", outbox=TableOutbox())
    await database.execute("create table sent (id text)")
    await database.execute("create table state (id int primary key)")
    yield database
    await database.close()


async def sent(db):
    return [row["id"] for row in await db.fetch("select id from sent order by id")]


async def test_state_and_events_commit_together(db):
    told = []
    async with db.transaction() as tx:
        await tx.execute("insert into state values (1)")
        tx.publish("a")
        tx.publish("b")
        tx.after_commit(lambda: told.append("after"))
        assert told == []
    assert await sent(db) == ["a", "b"]
    assert (db.outbox.woken, told) == (1, ["after"])


async def test_a_failure_takes_both_back(db):
    told = []
    with pytest.raises(RuntimeError):
        async with db.transaction() as tx:
            await tx.execute("insert into state values (1)")
            tx.publish("a")
            tx.after_commit(lambda: told.append("after"))
            raise RuntimeError
    assert await sent(db) == []
    assert await db.fetchval("select count(*) from state") == 0
    assert (db.outbox.woken, told) == (0, [])


async def test_what_cannot_be_sent_fails_where_it_is_published(db):
    with pytest.raises(ValueError, match="too large"):
        async with db.transaction() as tx:
            tx.publish("too large")


async def test_a_savepoint_takes_its_events_back_alone(db):
    async with db.transaction() as tx:
        tx.publish("before")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with tx.savepoint():
                await tx.execute("insert into state values (1)")
                tx.publish("inside")
                await tx.execute("insert into state values (1)")
        tx.publish("later")
    assert await sent(db) == ["before", "later"]
    assert await db.fetchval("select count(*) from state") == 0


async def test_a_read_only_transaction_writes_nothing(db):
    async with db.transaction(read_only=True) as tx:
        with pytest.raises(RuntimeError, match="no outbox"):
            tx.publish("a")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await tx.execute("insert into state values (1)")


async def test_an_ended_backend_is_a_transient_fault_and_the_pool_goes_on(db):
    async with db.acquire() as victim:
        pid = await victim.fetchval("select pg_backend_pid()")
        await db.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(Exception) as caught:  # which one is what is asked
            await victim.fetchval("select 1")
        assert is_transient(caught.value)
    assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.DiskFullError("x"), True),
        (asyncpg.CannotConnectNowError("x"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (ConnectionRefusedError(), True),
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.UndefinedTableError("x"), False),
        (asyncpg.DataError("x"), False),
        (ValueError(), False),
    ],
)
def test_which_faults_pass(error, transient):
    assert is_transient(error) is transient
