"""Alerts once a day by e-mail: together, at their owner's hour, and none twice or never."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.errors import AppError
from services.delivery.domain.email_addresses import Digest
from services.delivery.domain.model import Channel
from services.delivery.handlers.digests import MOST, Digests
from services.delivery.handlers.insight import Insight
from services.delivery.store import emails
from tests.integration.delivery.email_world import EmailWorld, MailApi
from tests.integration.delivery.receiver import Receiver

AT_EIGHT = Digest(8, "Europe/Berlin")


@pytest.fixture
async def api():
    async with Receiver() as receiver:
        yield MailApi(receiver)


@pytest.fixture
def mail(world):
    return EmailWorld(world)


class Play:
    """One account with an address, and time that is turned by hand."""

    def __init__(self, world, mail, sender, account):
        self.world, self.mail, self.sender, self.account = world, mail, sender, account
        self.digests = Digests(world.db, sender.worker, world.clock, world.ids)

    async def change(self, address, **changes):
        addresses = self.mail.addresses(self.sender)
        async with self.world.db.transaction() as tx:
            return await addresses.update(
                tx, self.account, address.id, "", lambda before: replace(before, **changes)
            )

    async def fire(self, number=1):
        fired = [self.world.fired(self.account) for _ in range(number)]
        await self.world.tell(self.sender, *fired)

    async def make_due(self, address):
        await self.world.db.execute(
            "update email_addresses set digest_time = now() where id = $1", address.id
        )

    async def address(self, address):
        return await emails.get(self.world.db, self.account, address.id)


@pytest.fixture
async def play(world, mail, api, account):
    sender = await mail.sender([mail.api(api)])
    return Play(world, mail, sender, account)


async def test_a_days_alerts_are_one_mail_and_quiet_days_none(play, mail, api):
    address = await mail.confirmed(play.sender, play.account)
    changed = await play.change(address, digest=AT_EIGHT)
    now = play.world.clock.now()
    assert now < changed.digest_time <= now + timedelta(days=1)
    await play.make_due(address)
    await play.digests.run()  # nothing fired: nothing goes out, and the next day is set
    assert (await play.address(address)).digest_time > now
    await play.fire(3)
    await play.world.settled(1)  # the confirmation alone
    await play.make_due(address)
    await play.digests.run()
    await play.world.settled(2)
    [sent] = api.mails[1:]
    assert sent["subject"].startswith("3 price alerts")
    assert (await play.address(address)).digest_time > now
    await play.make_due(address)
    await play.digests.run()
    assert await play.world.db.fetchval("select count(*) from messages") == 5


async def test_what_waits_for_a_digest_says_so(play, mail):
    address = await mail.confirmed(play.sender, play.account)
    changed = await play.change(address, digest=AT_EIGHT)
    await play.fire()
    message = await play.world.db.fetchval(
        "select id from messages where event_type = 'alert.triggered'"
    )
    insight = Insight(play.world.db, play.world.clock)
    [story] = await insight.timelines(play.account, message)
    assert (story.delivery.endpoint, story.delivery.due) == (address.id, changed.digest_time)
    assert story.delivery.channel is Channel.EMAIL
    assert (story.entries[-1].kind, story.entries[-1].end_time) == ("waiting_digest", None)
    assert story.summary.startswith("Waits (waiting_digest, until ")
    await play.make_due(address)
    await play.digests.run()
    assert await insight.timelines(play.account, message) == []


async def test_two_replicas_send_one(play, mail, api):
    address = await mail.confirmed(play.sender, play.account)
    await play.change(address, digest=AT_EIGHT)
    await play.fire(2)
    await play.make_due(address)
    await asyncio.gather(*(play.digests.run() for _ in range(4)))
    await play.world.settled(2)
    assert len(api.mails) == 2


async def test_others_are_told_at_once(play, mail, api):
    patient = await mail.confirmed(play.sender, play.account)
    hasty = await mail.confirmed(play.sender, play.account, "bob@example.com")
    await play.change(patient, digest=AT_EIGHT)
    await play.fire()
    await play.world.settled(3)
    assert [m["to"] for m in api.mails[2:]] == [[hasty.email]]


async def test_more_than_fit_go_in_the_next(play, mail, api):
    address = await mail.confirmed(play.sender, play.account)
    await play.change(address, digest=AT_EIGHT)
    await play.fire(MOST + 5)
    await play.make_due(address)
    await play.digests.run()
    await play.digests.run()
    await play.world.settled(3)
    counts = sorted(m["subject"].split()[0] for m in api.mails[1:])
    assert counts == ["100", "5"]


async def test_who_wants_no_digest_any_more_gets_what_waits(play, mail, api):
    address = await mail.confirmed(play.sender, play.account)
    await play.change(address, digest=AT_EIGHT)
    await play.fire(1)
    await play.change(address, digest=None)
    await play.digests.run()
    await play.world.settled(2)
    assert api.mails[1]["subject"].startswith("1 price alert of")
    assert (await play.address(address)).digest_time is None


async def test_a_change_keeps_its_etag_and_a_digest_does_not_touch_it(play, mail, api):
    address = await mail.confirmed(play.sender, play.account)
    changed = await play.change(address, digest=AT_EIGHT, description="evenings")
    await play.make_due(address)
    await play.digests.run()
    assert (await play.address(address)).etag == changed.etag
    addresses = mail.addresses(play.sender)
    with pytest.raises(AppError, match="changed meanwhile"):
        async with play.world.db.transaction() as tx:
            await addresses.update(tx, play.account, address.id, address.etag, lambda a: a)


async def test_nothing_of_an_address_that_goes_stays(play, mail):
    address = await mail.confirmed(play.sender, play.account)
    await play.change(address, digest=AT_EIGHT)
    await play.fire()
    async with play.world.db.transaction() as tx:
        await mail.addresses(play.sender).delete(tx, play.account, address.id, "")
    assert not await play.world.db.fetchval("select count(*) from email_digest_items")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 3, 28, 7, 0, tzinfo=UTC), datetime(2026, 3, 29, 6, 0, tzinfo=UTC)),
        (datetime(2026, 3, 29, 6, 0, tzinfo=UTC), datetime(2026, 3, 30, 6, 0, tzinfo=UTC)),
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 7, 0, tzinfo=UTC)),
    ],
)
def test_the_hour_is_its_owners(now, due):
    assert AT_EIGHT.next(now) == due
