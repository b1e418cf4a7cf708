"""What providers tell, in whatever order and however often, and what follows from it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.errors import AppError, Kind
from pq.delivery.v1.emails_events_pb2 import EmailStageReached
from services.delivery.channels.email.mail import reference_of
from services.delivery.channels.email.webhooks.request import Webhook
from services.delivery.domain.email_addresses import EmailState
from services.delivery.domain.email_events import EmailEvent, EventKind
from services.delivery.handlers.email_events import KEPT, EmailEvents
from services.delivery.store import emails
from tests.integration.delivery.email_world import SENT, EmailWorld, MailApi
from tests.integration.delivery.receiver import Receiver
from tests.integration.delivery.world import DELIVERED, FAILED, World

K = EventKind


class Told:
    """A provider whose webhooks are lists of events."""

    def __init__(self) -> None:
        self.next: list[EmailEvent] = []

    async def read(self, webhook: Webhook, now: datetime) -> list[EmailEvent]:
        return self.next


class Events:
    def __init__(self, world: World) -> None:
        self.world = world
        self.told = Told()
        self.handler = EmailEvents(world.db, {"resend": self.told}, world.clock, world.ids)
        self.ids = itertools.count()

    async def tell(self, *kinds: EventKind, **fields: Any) -> None:
        self.told.next = [self.event(kind, **fields) for kind in kinds]
        await self.handler.receive("resend", Webhook(b"", {}, ""))

    def event(self, kind: EventKind, **fields: Any) -> EmailEvent:
        values = {"event_id": f"e{next(self.ids)}", "recipient": "ann@example.com", **fields}
        at = datetime(2026, 11, 23, tzinfo=UTC)
        return EmailEvent("resend", kind=kind, provider_kind="x", occur_time=at, **values)

    async def published(self) -> list[EmailStageReached]:
        rows = await self.world.db.fetch("select type, payload from event_outbox order by id")
        name = EmailStageReached.DESCRIPTOR.full_name
        return [EmailStageReached.FromString(r["payload"]) for r in rows if r["type"] == name]


@pytest.fixture
async def sent(world: World, receiver: Receiver, account):
    """One alert that a provider has taken."""
    mail, api = EmailWorld(world), MailApi(receiver)
    sender = await mail.sender([mail.api(api)])
    address = await mail.confirmed(sender, account)
    await world.tell(sender, world.fired(account))
    rows = await world.settled(2)
    row = rows[-1]
    return {"reference": (row["message"], row["endpoint"])}, address


@pytest.fixture
def events(world: World) -> Events:
    return Events(world)


async def last(world):
    row = (await world.deliveries())[-1]
    return row["state"], row["reason"]


async def test_delivered_is_what_the_provider_says(world, events, sent, account):
    reference, _address = sent
    assert await last(world) == (SENT, "ok")
    await events.tell(K.SENT, **reference)
    assert await last(world) == (SENT, "ok")
    await events.tell(K.DELIVERED, **reference)
    assert await last(world) == (DELIVERED, "delivered")
    [told] = await events.published()
    assert told.kind == K.DELIVERED
    assert told.email_address.startswith("emailAddresses/eml_")
    assert told.delivery.startswith(told.message + "/deliveries/dlv_")


async def test_the_same_event_again_changes_nothing(world, events, sent):
    reference, _ = sent
    for _ in range(3):
        await events.tell(K.DELIVERED, event_id="same", **reference)
    assert len(await events.published()) == 1
    assert await world.db.fetchval("select count(*) from email_events") == 1


ORDERS = list(itertools.permutations([K.SENT, K.DELAYED, K.DELIVERED, K.COMPLAINED])) + list(
    itertools.permutations([K.SENT, K.DELIVERED, K.BOUNCED])
)


@pytest.mark.parametrize("together", [True, False])
async def test_whatever_the_order_the_end_is_the_same(world, events, sent, together):
    """One delivery after the other, each told in another order."""
    (message, endpoint), _ = sent[0]["reference"], sent[1]
    for order in ORDERS:
        await world.db.execute("update email_sends set stage = 1")
        await world.db.execute("update deliveries set state = 6, reason = 'ok'")
        batches = [order] if together else [(kind,) for kind in order]
        for batch in batches:
            await events.tell(*batch, reference=(message, endpoint))
        state, reason = await last(world)
        if K.BOUNCED in order:
            assert (state, reason) == (FAILED, "bounced"), order
        else:
            assert (state, reason) == (DELIVERED, "complained"), order


async def test_a_bounce_may_come_before_we_know_that_it_was_sent(world, events, sent):
    """The outcome that is recorded after it adds an attempt and undoes nothing."""
    reference, _ = sent
    await world.db.execute("update deliveries set state = 1, settle_time = null, due = now()")
    await world.db.execute("update email_sends set stage = 0, uncertain = true, provider_id = ''")
    await events.tell(K.BOUNCED, code="email_invalid_recipient", **reference)
    assert await last(world) == (FAILED, "email_invalid_recipient")


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (K.BOUNCED, "email_invalid_recipient", "hard_bounce"),
        (K.BOUNCED, "", "hard_bounce"),
        (K.COMPLAINED, "email_recipient_complained", "complaint"),
        (K.BOUNCED, "email_spam_rejected", None),
        (K.SOFT_BOUNCED, "email_mailbox_full", None),
        (K.DELAYED, "email_recipient_deferred", None),
        (K.UNKNOWN, "", None),
    ],
)
async def test_what_suppresses_a_mailbox(world, events, sent, account, kind, code, reason):
    reference, address = sent
    await events.tell(kind, code=code, **reference)
    found = await emails.get(world.db, account, address.id)
    if reason is None:
        assert found.state is EmailState.CONFIRMED
    else:
        assert (found.state, found.state_reason) == (EmailState.SUPPRESSED, reason)


async def test_the_providers_own_id_finds_it_too(world, events, sent):
    id = await world.db.fetchval(
        "select provider_id from email_sends where message = $1", sent[0]["reference"][0]
    )
    await events.tell(K.DELIVERED, provider_id=id)
    assert await last(world) == (DELIVERED, "delivered")


async def test_what_is_not_known_is_kept(world, events, sent):
    await events.tell(K.UNKNOWN, K.DELIVERED, reference=None, recipient="who@example.com")
    assert await last(world) == (SENT, "ok")
    rows = await world.db.fetch("select kind, recipient from email_events order by kind")
    assert [(r["kind"], r["recipient"]) for r in rows] == [
        (0, "who@example.com"),
        (5, "who@example.com"),
    ]


async def test_a_provider_that_is_not_configured_is_not_there(events):
    with pytest.raises(AppError) as refused:
        await events.handler.receive("postmark", Webhook(b"", {}, ""))
    assert refused.value.kind is Kind.NOT_FOUND


def bounce(reference: str, recipient: str = "ann@example.com", status: str = "5.1.1") -> bytes:
    return f"""From: MAILER-DAEMON@relay.example
To: bounces@pq.example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The mail system could not deliver it.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; {recipient}
Action: failed
Status: {status}
Diagnostic-Code: smtp; 550 {status} <{recipient}>: Recipient address rejected: User unknown

--b
Content-Type: text/rfc822-headers

Message-ID: <{reference}@pq.example.com>
To: {recipient}

--b--
""".replace("\n", "\r\n").encode()


async def test_a_bounce_message_of_ours_suppresses(world, events, sent, account):
    reference, address = sent
    raw = bounce(reference_of(*reference["reference"]))
    for _ in range(2):
        [stored] = await events.handler.receive_bounce(raw)
    assert stored.event.kind is K.BOUNCED
    assert await last(world) == (FAILED, "email_invalid_recipient")
    found = await emails.get(world.db, account, address.id)
    assert found.state is EmailState.SUPPRESSED
    assert len(await events.published()) == 1


async def test_a_bounce_for_good_that_is_not_the_address_s_fault_is_no_delay(world, events, sent):
    reference, _ = sent
    raw = bounce(reference_of(*reference["reference"]), status="5.7.1")
    [stored] = await events.handler.receive_bounce(raw)
    assert stored.event.code == "email_recipient_refuses"


async def test_a_bounce_message_that_anybody_wrote_suppresses_nobody(world, events, sent, account):
    reference, address = sent
    ours = reference_of(*reference["reference"])
    for raw in (bounce("x"), bounce(ours, "victim@example.com"), b"hello", b"\xff\x00"):
        await events.handler.receive_bounce(raw)
    assert await last(world) == (SENT, "ok")
    assert (await emails.get(world.db, account, address.id)).state is EmailState.CONFIRMED
    assert await world.db.fetchval("select count(*) from email_suppressions") == 0


async def test_what_was_told_long_ago_is_forgotten(world, events, sent):
    await events.tell(K.UNKNOWN, K.UNKNOWN)
    await world.db.execute(
        "update email_events set receive_time = receive_time - $1::interval"
        " where provider_event = 'e0'",
        KEPT,
    )
    await events.handler.prune()
    rows = await world.db.fetch("select provider_event from email_events")
    assert [row[0] for row in rows] == ["e1"]
