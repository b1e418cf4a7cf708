"""E-mail from the event to the provider, with the database real."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import pytest

from libs.api.wire import resource_name
from libs.errors import AppError, Kind
from libs.events.record import Received, Record
from pq.delivery.v1.delivery_events_pb2 import EndpointDisabled, EndpointFailing
from services.delivery.domain.email_addresses import EmailState, SuppressionReason
from services.delivery.domain.email_links import LinkKind
from services.delivery.domain.model import Channel
from services.delivery.domain.schedule import Schedule
from services.delivery.handlers.email_notices import TellOwners
from services.delivery.store import emails, messages, retention
from tests.integration.delivery.email_world import SENT, EmailWorld, MailApi, token_in
from tests.integration.delivery.receiver import Receiver, answer, drop, hang
from tests.integration.delivery.world import CANCELLED, FAILED, PENDING, World, until

OTHER = UUID("01900000-0000-7000-8000-000000000002")


@pytest.fixture
def mail(world: World) -> EmailWorld:
    return EmailWorld(world)


@pytest.fixture
def api(receiver: Receiver) -> MailApi:
    return MailApi(receiver)


async def test_nothing_but_one_confirmation_until_it_is_confirmed(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    address = await mail.add(sender, account)
    assert (address.state, address.confirmation_send_time) == (
        EmailState.UNCONFIRMED,
        address.update_time,
    )
    await world.settled(1)
    await world.tell(sender, world.fired(account), world.fired(account))
    assert [m["subject"] for m in api.mails] == ["Confirm ann@example.com for pq"]
    assert "List-Unsubscribe" not in api.mails[0]["headers"]
    token = token_in(api.mails[0]["text"])
    addresses = mail.addresses(sender)
    shown = await addresses.linked(token, LinkKind.CONFIRM)  # a scanner opens the link
    assert shown.state is EmailState.UNCONFIRMED
    assert (await addresses.confirm(token)).state is EmailState.CONFIRMED
    await world.tell(sender, world.fired(account, note="sell"))
    await world.settled(2)
    assert len(api.mails) == 2
    alert = api.mails[1]
    assert alert["to"] == ["ann@example.com"]
    assert alert["from"] == "pq alerts <alerts@pq.example.com>"
    assert "12.50 USD is above 10.00 USD" in alert["text"]
    assert alert["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert token_in(alert["headers"]["List-Unsubscribe"], "unsubscriptions")
    assert await world.states() == [SENT, SENT]


async def test_a_stored_message_never_holds_the_link(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    await mail.add(sender, account)
    await world.settled(1)
    token = token_in(api.mails[0]["text"])
    stored = await world.db.fetch("select payload from messages")
    attempts = await world.db.fetch("select response_body from attempts")
    assert token.encode() not in b"".join(row[0] for row in [*stored, *attempts])


async def test_unsubscribing_needs_no_login_and_gives_up_what_waits(world, mail, api, account):
    world.schedule = Schedule((3600.0,), jitter=0.0)
    sender = await mail.sender([mail.api(api)])
    address = await mail.confirmed(sender, account)
    api.refuses(500, "internal_server_error")
    await world.tell(sender, world.fired(account))
    await until(lambda: len(api.asked) == 2)
    await until(lambda: world_is(world, [SENT, PENDING]))
    await mail.addresses(sender).unsubscribe(
        mail.links.token(LinkKind.UNSUBSCRIBE, address.id, None), "one_click"
    )
    rows = await world.settled(2)
    assert [(row["state"], row["reason"]) for row in rows] == [
        (SENT, "ok"),
        (FAILED, "email_unsubscribed"),
    ]
    await world.tell(sender, world.fired(account))
    assert len(await world.deliveries()) == 2
    assert len(api.asked) == 2


async def world_is(world, states):
    rows = await world.deliveries()
    return [r["state"] for r in rows] == states and all(r["worker"] is None for r in rows)


async def test_a_kill_between_their_yes_and_our_record_sends_no_second_mail(
    world, mail, api, account
):
    """The provider took it, and we died before we knew: the same key and the same body again."""
    first = await mail.sender([mail.api(api)])
    await mail.confirmed(first, account)
    took = asyncio.Event()

    async def takes_and_says_nothing(arrival, writer):
        await api.accept(arrival, _Nowhere())
        took.set()
        return await hang(arrival, writer)

    api.answers.append(takes_and_says_nothing)
    await world.tell(first, world.fired(account))
    await took.wait()
    await first.kill()
    second = await mail.sender([mail.api(api)])
    await world.sweeps.run()
    second.worker.wake()

    async def sent() -> bool:
        await world.sweeps.run()
        return (await world.states())[-1] == SENT

    await until(sent)
    alerts = [a for a in api.asked if "12.50" in a.body.decode()]
    assert len(alerts) == 2
    assert len({a.headers["idempotency-key"] for a in alerts}) == 1
    assert len({a.body for a in alerts}) == 1
    assert len(api.mails) == 2  # the confirmation, and one alert


class _Nowhere:
    def write(self, _data: bytes) -> None: ...

    async def drain(self) -> None: ...


async def test_what_was_accepted_is_not_asked_for_again(world, mail, api, account):
    """We kept the provider's yes, and died before the outcome was recorded."""
    sender = await mail.sender([mail.api(api)])
    await mail.confirmed(sender, account)
    await world.tell(sender, world.fired(account))
    rows = await world.settled(2)
    asked = len(api.asked)
    await world.db.execute(
        "update deliveries set state = 1, due = now(), settle_time = null where message = $1",
        rows[1]["message"],
    )
    async with world.db.transaction() as tx:
        await emails.hurry(tx, [rows[1]["endpoint"]])
    sender.worker.wake()
    await until(lambda: world_is(world, [SENT, SENT]))
    assert len(api.asked) == asked


async def test_another_provider_only_where_the_first_certainly_has_not_taken_it(
    world, mail, api, account
):
    other = _Fake("other")
    sender = await mail.sender([mail.api(api), other])
    await mail.confirmed(sender, account)
    api.refuses(403, "invalid_api_key")
    await world.tell(sender, world.fired(account))
    await world.settled(2)
    assert len(other.mails) == 1
    api.answers += [drop]  # it may have taken it
    await world.tell(sender, world.fired(account))
    await world.settled(3)
    assert len(other.mails) == 1
    assert len(api.taken) == 2
    codes = [row["code"] for row in await world.attempts()]
    assert codes == ["ok", "ok", "email_provider_unreachable", "ok"]


class _Fake:
    def __init__(self, name: str) -> None:
        self.name = name
        self.mails: list = []

    async def send(self, mail):
        from services.delivery.channels.email.mail import Answer

        self.mails.append(mail)
        return Answer(provider_id="x")

    async def close(self) -> None: ...


async def test_a_mailbox_that_does_not_exist_is_asked_once_and_suppressed(
    world, mail, api, account
):
    sender = await mail.sender([mail.api(api)])
    address = await mail.confirmed(sender, account)
    api.refuses(422, "validation_error", "Invalid `to` field: no such mailbox")
    await world.tell(sender, world.fired(account))
    rows = await world.settled(2)
    assert (rows[1]["state"], rows[1]["reason"]) == (FAILED, "email_invalid_recipient")
    found = await emails.get(world.db, account, address.id)
    assert (found.state, found.state_reason) == (EmailState.SUPPRESSED, "hard_bounce")
    await world.tell(sender, world.fired(account))
    assert len(await world.deliveries()) == 2


async def test_a_provider_that_finds_it_too_much_is_left_alone_for_as_long_as_it_says(
    world, mail, api, account
):
    sender = await mail.sender([mail.api(api)])
    await mail.confirmed(sender, account)
    api.refuses(429, "rate_limit_exceeded", retry_after="1")
    await world.tell(sender, world.fired(account))
    await until(lambda: world_is(world, [SENT, PENDING]))
    [row] = [r for r in await world.deliveries() if r["state"] == PENDING]
    assert row["reason"] == "rate_limited"
    await world.settled(2)
    assert len(api.taken) == 2


async def test_waiting_for_a_provider_is_no_attempt(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    await mail.confirmed(sender, account)
    asked = len(api.asked)
    api.answers = [answer(500, b"{}")] * 5
    await world.tell(sender, *(world.fired(account) for _ in range(5)))

    async def count(which):
        return bool(await world.db.fetchval(f"select count(*) from {which}"))

    await until(lambda: count("provider_breakers where state = 2"))
    await world.tell(sender, world.fired(account))
    await until(lambda: count("deliveries where reason = 'breaker_open' and due > now()"))
    rows = await world.db.fetch(
        "select d.attempt_count, (select count(*) from attempts a where a.message = d.message) n"
        " from deliveries d where d.reason = 'breaker_open'"
    )
    assert all(row["attempt_count"] == row["n"] for row in rows)
    assert await world.db.fetchval("select sum(attempt_count) from deliveries") == len(api.asked)
    # A first retry may go out while the last failures are still being noted.
    assert asked + 5 <= len(api.asked) < asked + 10


async def test_nothing_configured_holds_and_says_so(world, mail, api, account):
    sender = await mail.sender([])
    await mail.add(sender, account, configured=False)
    assert await world.states() == [PENDING]
    assert not await sender.worker.claim_once()
    working = await mail.sender([mail.api(api)])
    await emails.set_configured(world.db, True)
    sender.worker.wake()
    working.worker.wake()
    await sender.kill()
    await world.settled(1)
    assert len(api.mails) == 1


async def test_a_suppressed_mailbox_gets_not_even_a_confirmation(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    suppressions = mail.suppressions(sender)
    async with world.db.transaction() as tx:
        made = await suppressions.create(
            tx, "Ann@Example.com", SuppressionReason.COMPLAINT, "", "test"
        )
    address = await mail.add(sender, account)
    assert (address.state, address.state_reason) == (EmailState.SUPPRESSED, "complaint")
    assert await world.deliveries() == []
    async with world.db.transaction() as tx:
        await suppressions.delete(tx, made.id)
    found = await emails.get(world.db, account, address.id)
    assert found.state is EmailState.UNCONFIRMED


async def test_nobody_can_have_a_strangers_mailbox_filled(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    for number in range(5):
        who = UUID(int=account.int + number)
        address = await mail.add(sender, who, "victim@example.com")
    assert address.state_reason == "confirmation_unsent"
    await world.settled(3)
    assert len(api.mails) == 3
    with pytest.raises(AppError) as refused:
        async with world.db.transaction() as tx:
            await mail.addresses(sender).resend(tx, who, address.id)
    assert refused.value.kind is Kind.RATE_LIMITED


async def test_deleting_calls_off_and_the_same_mailbox_can_be_added_again(
    world, mail, api, account
):
    world.schedule = Schedule((3600.0,), jitter=0.0)
    sender = await mail.sender([mail.api(api)])
    address = await mail.confirmed(sender, account)
    with pytest.raises(AppError) as refused:
        await mail.add(sender, account, "ANN@example.com")
    assert refused.value.kind is Kind.ALREADY_EXISTS
    api.refuses(500, "internal_server_error")
    await world.tell(sender, world.fired(account))
    await until(lambda: world_is(world, [SENT, PENDING]))
    async with world.db.transaction() as tx:
        await mail.addresses(sender).delete(tx, account, address.id, "")
    assert await world.states() == [SENT, CANCELLED]
    assert (await mail.add(sender, account)).id != address.id


async def test_what_was_for_a_deleted_address_is_still_an_e_mail(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    address = await mail.confirmed(sender, account)
    # Nothing sends e-mail any more: what comes now is never asked of a provider.
    await world.db.execute("update lanes set open = false where endpoint = $1", address.id)
    await world.tell(sender, world.fired(account))
    async with world.db.transaction() as tx:
        await mail.addresses(sender).delete(tx, account, address.id, "")
    [fired] = await world.db.fetch("select id from messages where event_type = 'alert.triggered'")
    [shown] = (await messages.deliveries(world.db, [fired["id"]]))[fired["id"]]
    assert (shown.state, shown.channel) == (CANCELLED, Channel.EMAIL)
    [told] = [event for event in await world.events() if event.code == "endpoint_deleted"]
    assert told.endpoint.startswith("emailAddresses/eml_")
    async with world.db.transaction() as tx:
        await retention.forget_past(tx, 3600)
        assert await tx.fetchval("select count(*) from former_email_addresses") == 1
        await retention.forget_past(tx, -1)
        assert await tx.fetchval("select count(*) from former_email_addresses") == 0


async def test_another_accounts_address_does_not_exist(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    address = await mail.add(sender, account)
    for act in (mail.addresses(sender).resend, _delete(mail.addresses(sender))):
        with pytest.raises(AppError) as refused:
            async with world.db.transaction() as tx:
                await act(tx, OTHER, address.id)
        assert refused.value.kind is Kind.NOT_FOUND


def _delete(addresses):
    async def delete(tx, account, id):
        await addresses.delete(tx, account, id, "")

    return delete


async def test_an_address_hears_of_what_it_asked_for(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    address = await mail.add(sender, account, types=("endpoint.disabled",))
    await world.settled(1)
    await world.db.execute("update email_addresses set state = 2 where id = $1", address.id)
    await world.tell(sender, world.fired(account))
    await world.settled(1)
    assert len(api.mails) == 1


async def test_the_mail_is_the_same_each_time(world, mail, api, account):
    api.refuses(500, "application_error")
    sender = await mail.sender([mail.api(api)])
    await mail.add(sender, account)
    await world.settled(1)
    assert len({json.dumps(json.loads(a.body), sort_keys=True) for a in api.asked}) == 1
    assert len(api.asked) == 2


async def test_a_message_shows_whom_it_went_to_and_why_it_waits(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    address = await mail.confirmed(sender, account)
    await world.tell(sender, world.fired(account))
    await world.settled(2)
    await emails.set_configured(world.db, False)
    await world.tell(sender, world.fired(account))
    rows = await world.deliveries()
    shown = await messages.deliveries(world.db, [row["message"] for row in rows])
    found = [(one.channel, one.shown_reason) for one in (d for [d] in shown.values())]
    assert found == [
        (Channel.EMAIL, "ok"),
        (Channel.EMAIL, "ok"),
        (Channel.EMAIL, "email_not_configured"),
    ]
    [attempt] = await messages.attempts(world.db, rows[1]["message"], None, 10)
    assert (attempt.channel, attempt.code) == (Channel.EMAIL, "ok")
    told = await world.events()
    assert {one.endpoint for one in told} == {resource_name("emailAddresses", "eml", address.id)}


async def test_owners_are_told_when_an_endpoint_fails_and_when_it_is_disabled(
    world, mail, api, account
):
    sender = await mail.sender([mail.api(api)])
    await mail.confirmed(sender, account)
    await mail.add(sender, account, "unconfirmed@example.com")
    owners = TellOwners(sender.worker, world.clock)
    name = resource_name("accounts", "acc", account)
    url = "https://hooks.example.com/pq"
    failing = EndpointFailing(endpoint="endpoints/ep_1", account=name, url=url, code="timeout")
    failing.failing_since.FromDatetime(world.clock.now())
    disabled = EndpointDisabled(
        endpoint="endpoints/ep_1", account=name, url=url, reason="endpoint_gone"
    )
    batch = [received(world, failing), received(world, disabled)]
    for _ in range(2):  # the log may tell it twice
        async with world.db.transaction() as tx:
            await owners(tx, batch)
    await world.settled(4)
    subjects = [m["subject"] for m in api.mails if "Confirm" not in m["subject"]]
    assert sorted(subjects) == [
        f"Your webhook endpoint is failing: {url}",
        f"Your webhook endpoint was disabled: {url}",
    ]
    assert all(m["to"] == ["ann@example.com"] for m in api.mails if "Confirm" not in m["subject"])


def received(world, event):
    record = Record(
        id=world.ids.uuid(),
        topic="pq.delivery.endpoints.v1",
        partition=0,
        key=event.endpoint,
        type=event.DESCRIPTOR.full_name,
        time=world.clock.now(),
        source="/pq/delivery",
        payload=event.SerializeToString(),
        headers={},
    )
    return Received(record, 1, event)
