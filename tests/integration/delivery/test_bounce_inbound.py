"""A relay hands bounces over by LMTP or SMTP; each is kept once, and told of once."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from libs.db import Database, migrate
from libs.ids import Ids
from libs.testing.clock import FakeClock
from services.delivery.handlers.email_events import EmailEvents
from services.delivery.inbound import listener as listening
from services.delivery.inbound.listener import Listen, Listener
from services.delivery.inbound.received import RETENTION, Bounces
from tests.integration.delivery.world import FOLDERS, until

RAW = (
    b"From: MAILER-DAEMON@relay.test\r\nTo: bounces@our.test\r\nSubject: Could not deliver\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="bb"\r\n\r\n'
    b"--bb\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\n"
    b"Final-Recipient: rfc822; gone@shop.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 user unknown\r\n\r\n"
    b"--bb\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <m@our.test>\r\n\r\nHi\r\n--bb--\r\n"
)


class Told:
    """What follows from mails, on the real database; it raises when it is to."""

    def __init__(self, db: Database, clock: FakeClock, ids: Ids) -> None:
        self._events = EmailEvents(db, {}, clock, ids)
        self.fails = False

    async def __call__(self, raw: bytes) -> None:
        if self.fails:
            raise ConnectionError("away")
        await self._events.receive_bounce(raw)


@pytest.fixture
async def db(empty_database: str) -> AsyncIterator[Database]:
    await migrate(empty_database, FOLDERS)
    database = await Database.connect(empty_database, application="test")
    yield database
    await database.close()


@pytest.fixture
def told(db: Database, clock: FakeClock, ids: Ids) -> Told:
    return Told(db, clock, ids)


@pytest.fixture
def bounces(db: Database, clock: FakeClock, ids: Ids, told: Told) -> Bounces:
    return Bounces(db, clock, ids, told)


@asynccontextmanager
async def listening_for(
    bounces: Bounces, protocol: str, max_size: int = 100_000
) -> AsyncIterator[tuple[str, int]]:
    """A listener on a free port of loopback."""

    async def take(raw: bytes) -> None:
        await bounces.received(raw, protocol)

    made = Listener(
        Listen(protocol, "127.0.0.1", 0), ["bounces@our.test", "@b.our.test"], take, max_size
    )
    task = asyncio.create_task(made.run())
    try:
        await asyncio.wait_for(made.listening.wait(), 10)
        assert made.address is not None, task
        yield made.address
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def send(
    protocol: str, address: tuple[str, int], to: str | list[str], raw: bytes = RAW
) -> tuple[int, bytes]:
    """The server's last word."""

    def talk() -> tuple[int, bytes]:
        kind = smtplib.LMTP if protocol == "lmtp" else smtplib.SMTP
        with kind(*address, timeout=10) as client:
            try:
                client.sendmail("", to, raw)
            except smtplib.SMTPRecipientsRefused as refused:
                return next(iter(refused.recipients.values()))
            except smtplib.SMTPResponseException as refused:
                return refused.smtp_code, refused.smtp_error
            return 250, b""

    return await asyncio.to_thread(talk)


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
async def test_a_bounce_is_kept_and_told_of_once(
    protocol: str, bounces: Bounces, db: Database
) -> None:
    async with listening_for(bounces, protocol) as address:
        assert (await send(protocol, address, "x@b.our.test"))[0] == 250
        assert (await send(protocol, address, "Bounces@Our.Test"))[0] == 250
    events = await db.fetch("select recipient, provider_kind, code from email_events")
    assert [tuple(event) for event in events] == [
        ("gone@shop.test", "userunknown", "email_invalid_recipient")
    ]
    kept = await db.fetch("select source, raw, size, recipients::text as said from bounces")
    assert [(each["source"], bytes(each["raw"]), each["size"]) for each in kept] == [
        (protocol, RAW, len(RAW))
    ]
    assert '"userunknown"' in kept[0]["said"]


async def test_lmtp_answers_for_each_recipient(bounces: Bounces) -> None:
    """RFC 2033 §4.2, which the standard library's client does not know."""
    dialogue = [
        b"LHLO relay",
        b"MAIL FROM:<>",
        b"RCPT TO:<a@b.our.test>",
        b"RCPT TO:<c@b.our.test>",
    ]
    async with listening_for(bounces, "lmtp") as address:
        reader, writer = await asyncio.open_connection(*address)
        await reader.readline()
        for line in (*dialogue, b"DATA"):
            writer.write(line + b"\r\n")
            while (await reader.readline())[3:4] == b"-":
                pass
        writer.write(RAW + b".\r\nNOOP\r\n")
        answers = [await reader.readline() for _ in range(3)]
        assert [answer[:9] for answer in answers] == [b"250 2.6.0", b"250 2.6.0", b"250 OK\r\n"]
        writer.close()
        await writer.wait_closed()


async def test_only_the_addresses_of_bounces_are_taken(bounces: Bounces, db: Database) -> None:
    async with listening_for(bounces, "smtp") as address:
        for other in ("me@our.test", "b.our.test@shop.test", "x@a.b.our.test"):
            code, said = await send("smtp", address, other)
            assert (code, said[:6]) == (550, b"5.1.1 "), other
    assert await db.fetchval("select count(*) from bounces") == 0


async def test_what_could_not_be_kept_stays_with_the_relay(
    bounces: Bounces, db: Database, told: Told
) -> None:
    async with listening_for(bounces, "lmtp") as address:
        told.fails = True
        assert (await send("lmtp", address, "bounces@our.test"))[0] == 451
        assert await db.fetchval("select count(*) from email_events") == 0
        told.fails = False
        assert (await send("lmtp", address, "bounces@our.test"))[0] == 250
    assert await db.fetchval("select count(*) from email_events") == 1
    assert await db.fetchval("select count(*) from bounces") == 1


async def test_what_is_too_large_is_refused_and_long_lines_are_not(
    bounces: Bounces, db: Database
) -> None:
    long = RAW.replace(b"Hi", b"h" * 5000)
    async with listening_for(bounces, "smtp", max_size=20_000) as address:
        assert (await send("smtp", address, "bounces@our.test", long))[0] == 250
        code, _ = await send("smtp", address, "bounces@our.test", RAW + b"x\r\n" * 20_000)
        assert code == 552
    assert await db.fetchval("select max(size) from bounces") == len(long)


async def test_connections_are_counted(bounces: Bounces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 1)
    async with listening_for(bounces, "smtp") as address:
        reader, writer = await asyncio.open_connection(*address)
        assert (await reader.readline()).startswith(b"220 ")
        other, closing = await asyncio.open_connection(*address)
        assert (await other.read()).startswith(b"421 ")
        closing.close()
        writer.close()
        await writer.wait_closed()
        await until(lambda: is_taken(address))


async def is_taken(address: tuple[str, int]) -> bool:
    try:
        return (await send("smtp", address, "bounces@our.test"))[0] == 250
    except smtplib.SMTPException:
        return False


async def test_the_same_bytes_answer_with_what_was_read(bounces: Bounces) -> None:
    first = await bounces.received(RAW)
    again = await bounces.received(RAW)
    assert (first.new, again.new) == (True, False)
    assert (again.id, again.bounces) == (first.id, first.bounces)
    rubbish = await bounces.received(b"\x00\xff no mail at all")
    assert (rubbish.new, list(rubbish.bounces)) == (True, [])


async def test_after_90_days_they_are_forgotten(
    bounces: Bounces, db: Database, clock: FakeClock
) -> None:
    await bounces.received(RAW)
    clock.advance((RETENTION - timedelta(seconds=1)).total_seconds())
    await bounces.sweep()
    assert await db.fetchval("select count(*) from bounces") == 1
    clock.advance(2)
    await bounces.sweep()
    assert await db.fetchval("select count(*) from bounces") == 0
