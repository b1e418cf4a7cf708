import asyncio
from datetime import timedelta

import pytest

from libs.api.idempotency import LIFETIME, MIGRATIONS, RequestKey, once, purge
from libs.db import Database, migrate
from libs.errors import AppError, Kind
from pq.alerts.v1 import alerts_pb2 as pb

KEY = RequestKey("accounts/acc_1", "CreateAlert", "abc")


@pytest.fixture
async def db(empty_database):
    await migrate(empty_database, [("api", MIGRATIONS)])
    database = await Database.connect(empty_database, application="test")
    yield database
    await database.close()


class Calls:
    """Counts how often the work was done."""

    def __init__(self, db, clock):
        self.db, self.clock, self.done = db, clock, 0

    async def __call__(self, key=KEY, card="cards/a", fail=False, gate=None, **more):
        async def handle():
            self.done += 1
            if gate:
                await gate()
            if fail:
                raise RuntimeError
            return pb.Alert(name=f"alerts/{self.done}", note="secret")

        request = pb.CreateAlertRequest(alert={"card": card}, request_id=key.request_id)
        async with self.db.transaction() as tx:
            return await once(tx, key, request, handle, pb.Alert, now=self.clock.now(), **more)


@pytest.fixture
def call(db, clock):
    return Calls(db, clock)


async def test_a_repeat_gets_the_first_answer(call):
    first, again = await call(), await call()
    assert (first.replayed, again.replayed, call.done) == (False, True, 1)
    assert first.response == again.response


async def test_another_body_under_the_same_id_is_refused(call):
    await call()
    with pytest.raises(AppError) as caught:
        await call(card="cards/b")
    assert (caught.value.kind, caught.value.reason) == (Kind.UNPROCESSABLE, "request_id_reused")


async def test_while_the_first_is_under_way_a_repeat_is_told_so(call):
    inside, go = asyncio.Event(), asyncio.Event()

    async def gate():
        inside.set()
        await go.wait()

    first = asyncio.create_task(call(gate=gate))
    await inside.wait()
    with pytest.raises(AppError) as caught:
        await call()
    assert (caught.value.kind, caught.value.retry_after) == (Kind.ABORTED, 1)
    go.set()
    await first
    assert (await call()).replayed


async def test_a_failure_is_not_kept(call):
    with pytest.raises(RuntimeError):
        await call(fail=True)
    assert not (await call()).replayed


@pytest.mark.parametrize(
    "other",
    [RequestKey("accounts/acc_2", "CreateAlert", "abc"), RequestKey("accounts/acc_1", "X", "abc")],
)
async def test_ids_are_of_one_account_and_one_method(call, other):
    await call()
    assert not (await call(key=other)).replayed


async def test_without_an_id_each_call_counts(call):
    bare = RequestKey("a", "m", "")
    await call(key=bare)
    assert not (await call(key=bare)).replayed


async def test_a_secret_is_not_stored(call, db):
    def keep(alert):
        kept = pb.Alert()
        kept.CopyFrom(alert)
        kept.ClearField("note")
        return kept

    assert (await call(keep=keep)).response.note == "secret"
    assert (await call(keep=keep)).response.note == ""
    assert b"secret" not in await db.fetchval("select response from request_keys")


async def test_after_a_day_an_id_is_free_again(call, db, clock):
    await call()
    clock.advance((LIFETIME + timedelta(seconds=1)).total_seconds())
    assert not (await call(card="cards/b")).replayed
    clock.advance((LIFETIME + timedelta(seconds=1)).total_seconds())
    await purge(db, clock.now())
    assert await db.fetchval("select count(*) from request_keys") == 0


@pytest.mark.parametrize("id", ["x" * 256, "a\nb", "ä"])
async def test_what_cannot_be_an_id_is_refused(call, id):
    with pytest.raises(AppError) as caught:
        await call(key=RequestKey("a", "m", id))
    assert caught.value.violations[0].field == "request_id"
