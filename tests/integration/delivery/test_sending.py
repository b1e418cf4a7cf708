"""From a fired alert to somebody's server, and what is recorded of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import orjson
import pytest
from standardwebhooks import Webhook

from libs.ids import derive, encode
from services.delivery.domain.signing import encode_secret
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import (
    CANCELLED,
    DELIVERED,
    EXPIRED,
    FAILED,
    PENDING,
    soon,
    until,
)


async def test_an_alert_arrives_signed_and_is_recorded(world, receiver, account):
    endpoint = await world.endpoint(account, receiver.url("/hook"))
    sender = await world.sender()
    received = world.fired(account, note="Glurak ♥")
    await world.tell(sender, received)
    [arrival] = await receiver.wait_for(1)
    [row] = await world.settled()
    secrets = await world.endpoints.secrets(world.db, account, endpoint)
    body = Webhook(encode_secret(secrets.current)).verify(arrival.body, arrival.headers)
    message = derive(received.record.id, "message")
    assert arrival.id == encode("msg", message)
    assert arrival.headers["content-type"] == "application/json"
    assert arrival.headers["traceparent"] == received.record.headers["traceparent"]
    assert body["type"] == "alert.triggered"
    assert body["timestamp"] == "2025-06-01T12:00:00Z"
    assert body["data"]["price"] == {"currencyCode": "USD", "amount": "12.50"}
    assert body["data"]["note"] == "Glurak ♥"
    assert body["data"]["previousPrice"] is None
    assert body["data"]["changePercent"] is None
    assert arrival.body == await world.db.fetchval("select payload from messages")
    assert (row["state"], row["attempt_count"], row["reason"]) == (DELIVERED, 1, "ok")
    [attempt] = await world.attempts()
    assert (attempt["number"], attempt["http_status"], attempt["code"]) == (1, 200, "ok")
    assert attempt["remote_address"] == "127.0.0.1"
    [event] = await world.events()
    assert event.message == f"messages/{arrival.id}"
    assert (event.state, event.code, event.http_status) == (DELIVERED, "ok", 200)
    assert event.attempt_count == 1


async def test_only_subscribers_are_told_and_the_message_is_kept_anyway(world, receiver, account):
    other = world.ids.uuid()
    await world.endpoint(other, receiver.url("/other"))
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    assert await world.db.fetchval("select count(*) from messages") == 1
    assert await world.deliveries() == []


async def test_an_event_handled_twice_makes_the_same_message_once(world, receiver, account):
    await world.endpoint(account, receiver.url("/a"))
    sender = await world.sender()
    received = world.fired(account)
    await world.tell(sender, received)
    await world.settled(1)
    await world.endpoint(account, receiver.url("/b"))
    await world.tell(sender, received)
    assert len(await world.deliveries()) == 1
    assert [arrival.path for arrival in receiver.arrivals] == ["/a"]


async def test_a_failure_is_tried_again_with_the_same_id_and_body(world, receiver, account):
    receiver.paths["/"] = behave.in_turn(
        behave.answer(500, b"oh no"), behave.drop, behave.answer(204)
    )
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    arrivals = await receiver.wait_for(3)
    [row] = await world.settled()
    assert len({(a.id, a.body) for a in arrivals}) == 1
    assert (row["state"], row["attempt_count"]) == (DELIVERED, 3)
    attempts = await world.attempts()
    told = [(a["number"], a["code"], a["http_status"], a["response_body"]) for a in attempts]
    assert told == [
        (1, "http_status", 500, b"oh no"),
        (2, "disconnected", None, b""),
        (3, "ok", 204, b""),
    ]
    for (before, after), delay in zip(pairwise(attempts), (0.05, 0.1), strict=True):
        assert (after["start_time"] - before["start_time"]).total_seconds() >= delay
    assert len(await world.events()) == 1


async def test_attempts_are_spent_and_the_delivery_has_failed(world, receiver, account):
    receiver.paths["/"] = behave.answer(404)
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    [row] = await world.settled()
    assert (row["state"], row["attempt_count"]) == (FAILED, 4)
    assert (row["reason"], row["due"]) == ("attempts_exhausted", None)
    [event] = await world.events()
    assert (event.state, event.code, event.http_status) == (FAILED, "http_status", 404)


async def test_gone_disables_the_endpoint_and_what_comes_after_waits(world, receiver, account):
    receiver.paths["/"] = behave.answer(410)
    endpoint = await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    [row] = await world.settled()
    assert (row["state"], row["attempt_count"], row["reason"]) == (FAILED, 1, "endpoint_gone")
    shown = await world.endpoints.get(account, endpoint)
    assert (shown.state.name, shown.state_reason) == ("DISABLED", "endpoint_gone")
    assert shown.etag != '"1"'
    await world.tell(sender, world.fired(account))
    assert not await sender.worker.claim_once()
    assert await world.states() == [FAILED, PENDING]
    assert len(receiver.arrivals) == 1


async def test_retry_after_puts_off_and_is_kept_on_the_databases_clock(world, receiver, account):
    receiver.paths["/"] = behave.answer(429, retry_after="3600")
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await until(lambda: _recorded(world, 1))
    wait = await world.db.fetchval("select extract(epoch from due - now()) from deliveries")
    lane = await world.db.fetchval("select extract(epoch from due - now()) from lanes")
    assert 3590 < wait <= 3600
    assert lane <= wait
    assert not await sender.worker.claim_once()


async def _recorded(world, count: int) -> bool:
    return len(await world.attempts()) >= count


@pytest.mark.parametrize(
    "behaviour",
    [
        behave.hang,
        behave.dribble(b"", b"H", 0.02),
        behave.dribble(b"HTTP/1.1 200 OK\r\nx-a: ", b"a", 0.02),
    ],
    ids=["silence", "dribbled-status", "dribbled-header"],
)
async def test_one_deadline_over_the_whole_exchange(world, receiver, account, behaviour):
    receiver.paths["/"] = behave.in_turn(behaviour, behave.answer(200))
    await world.endpoint(account, receiver.url())
    sender = await world.sender(deadline=0.3)
    await world.tell(sender, world.fired(account))
    await world.settled()
    first, second = await world.attempts()
    assert (first["code"], second["code"]) == ("timeout", "ok")
    assert 0.25 < first["duration"].total_seconds() < 1.0


async def test_of_a_long_answer_the_first_kib_is_kept_and_the_rest_cut_off(
    world, receiver, account
):
    receiver.paths["/"] = behave.dribble(
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"a" * 1000, b"b" * 100, 0.001
    )
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled()
    [attempt] = await world.attempts()
    assert (attempt["code"], len(attempt["response_body"])) == ("ok", 1024)
    assert attempt["response_body"].startswith(b"a" * 1000 + b"b")


async def test_a_packed_answer_is_not_unpacked(world, receiver, account):
    bomb = b"\x1f\x8b\x08\x00" + b"\x00" * 50
    receiver.paths["/"] = behave.answer(200, bomb, content_encoding="gzip")
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled()
    [attempt] = await world.attempts()
    assert (attempt["code"], attempt["response_body"]) == ("ok", bomb)


async def test_redirects_are_not_followed(world, receiver, account):
    receiver.paths["/"] = behave.in_turn(
        behave.answer(307, location="/elsewhere"), behave.answer(200)
    )
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled()
    assert [arrival.path for arrival in receiver.arrivals] == ["/", "/"]
    assert [a["http_status"] for a in await world.attempts()] == [307, 200]


async def test_nobody_listens(world, receiver, account):
    url = f"http://127.0.0.1:{receiver.port}/"
    await world.endpoint(account, url)
    await receiver.__aexit__()
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await until(lambda: _recorded(world, 1))
    assert (await world.attempts())[0]["code"] == "connect"


async def test_what_is_past_its_deliver_by_is_not_sent(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account, deliver_by=soon(-1)))
    await world.sweeps.run()
    [row] = await world.deliveries()
    assert (row["state"], row["reason"]) == (EXPIRED, "deliver_by_passed")
    assert receiver.arrivals == []
    [event] = await world.events()
    assert (event.state, event.attempt_count) == (EXPIRED, 0)


async def test_no_retry_is_planned_past_the_deliver_by(world, receiver, account):
    receiver.paths["/"] = behave.answer(503, retry_after="60")
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account, deliver_by=soon(30)))
    [row] = await world.settled()
    assert (row["state"], row["attempt_count"]) == (EXPIRED, 1)
    [event] = await world.events()
    assert (event.state, event.code, event.http_status) == (EXPIRED, "deliver_by_passed", 503)


async def test_deleting_an_endpoint_calls_off_what_waits(world, receiver, account):
    receiver.paths["/"] = behave.answer(429, retry_after="3600")
    endpoint = await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account), world.fired(account))
    await until(lambda: _recorded(world, 2))
    async with world.db.transaction() as tx:
        await world.endpoints.delete(tx, account, endpoint, "")
    assert await world.states() == [CANCELLED, CANCELLED]
    assert {e.code for e in await world.events()} == {"endpoint_deleted"}
    assert await world.db.fetchval("select count(*) from endpoint_secrets") == 0
    await world.sweeps.run()
    assert await world.db.fetchval("select count(*) from removals") == 0


async def test_an_attempt_under_way_at_a_deletion_may_succeed_and_is_not_repeated(
    world, receiver, account
):
    go_on = asyncio.Event()
    receiver.paths["/ok"] = behave.held(go_on, behave.answer(200))
    receiver.paths["/no"] = behave.held(go_on, behave.answer(500))
    endpoints = [await world.endpoint(account, receiver.url(path)) for path in ("/ok", "/no")]
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await receiver.wait_for(2)
    for endpoint in endpoints:
        async with world.db.transaction() as tx:
            await world.endpoints.delete(tx, account, endpoint, "")
    await world.sweeps.run()
    assert await world.db.fetchval("select count(*) from removals") == 0
    go_on.set()
    await until(lambda: _recorded(world, 2))
    await world.sweeps.run()
    rows = {row["endpoint"]: row["state"] for row in await world.deliveries()}
    assert rows == dict(zip(endpoints, (DELIVERED, CANCELLED), strict=True))
    assert len(receiver.arrivals) == 2


async def test_during_a_rotation_both_secrets_verify_and_after_it_the_new_one(
    world, receiver, account
):
    endpoint = await world.endpoint(account, receiver.url())
    sender = await world.sender()
    old = (await world.endpoints.secrets(world.db, account, endpoint)).current
    async with world.db.transaction() as tx:
        new = (await world.endpoints.rotate(tx, account, endpoint, soon(60) - soon(0))).current
    await world.tell(sender, world.fired(account))
    [arrival] = await receiver.wait_for(1)
    for key in (old, new):
        Webhook(encode_secret(key)).verify(arrival.body, arrival.headers)
    await world.db.execute("update endpoint_secrets set expire_time = now() where version = 1")
    await world.tell(sender, world.fired(account))
    arrival = (await receiver.wait_for(2))[1]
    kinds = [part.split(",")[0] for part in arrival.headers["webhook-signature"].split()]
    assert kinds == ["v1", "v1a"]
    Webhook(encode_secret(new)).verify(arrival.body, arrival.headers)


async def test_a_batch_of_many_accounts_is_a_handful_of_statements(world, receiver):
    accounts = [world.ids.uuid() for _ in range(50)]
    for at, account in enumerate(accounts):
        await world.endpoint(account, receiver.url(f"/{at}"))
    sender = await world.sender()
    statements = []
    async with world.db.transaction() as tx:
        tx.connection.add_query_logger(lambda query: statements.append(query.query))
        await sender.tell(tx, [world.fired(account) for account in accounts])
        before_commit = [text for text in statements if "current_setting" not in text]
        # asyncpg looks types up on a new connection, and sets jit around it
        before_commit = [text for text in before_commit if "pg_catalog" not in text]
    await world.settled(50)
    assert len(before_commit) <= 4, before_commit
    assert len(receiver.arrivals) == 50
    assert orjson.loads(receiver.arrivals[0].body)["timestamp"] == (
        datetime(2025, 6, 1, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    )
