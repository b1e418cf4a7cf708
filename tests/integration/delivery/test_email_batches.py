"""E-mails that go out together, and each of them once."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.integration.delivery.email_world import SENT, EmailWorld, MailApi
from tests.integration.delivery.receiver import Receiver, hang
from tests.integration.delivery.test_emails import _Nowhere
from tests.integration.delivery.world import FAILED, World, until


@pytest.fixture
def mail(world: World) -> EmailWorld:
    return EmailWorld(world)


@pytest.fixture
def api(receiver: Receiver) -> MailApi:
    return MailApi(receiver)


async def alerts(world, sender, account, count):
    await world.tell(sender, *(world.fired(account, note=f"n{at}") for at in range(count)))


async def sent(world, count):
    async def done() -> bool:
        await world.sweeps.run()
        return (await world.states()).count(SENT) == count

    await until(done)


def batches(api):
    return [a for a in api.asked if a.path == "/emails/batch"]


async def test_what_comes_while_a_request_waits_its_turn_goes_out_together(
    world, mail, api, account
):
    sender = await mail.sender([mail.batching(api)])
    await mail.confirmed(sender, account)
    assert [a.path for a in api.asked] == ["/emails"]  # one by itself goes at once
    await alerts(world, sender, account, 10)
    await sent(world, 11)
    assert len(api.asked) <= 4
    assert batches(api)
    notes = [m["text"] for m in api.mails if "Your note" in m["text"]]
    assert sorted(text.split("Your note: ")[1][:2] for text in notes) == [
        f"n{n}" for n in range(10)
    ]
    ids = await world.db.fetch("select provider_id from email_sends")
    assert len({row[0] for row in ids}) == 11


async def test_a_kill_after_a_batch_was_taken_has_the_same_request_made_again(
    world, mail, api, account
):
    first = await mail.sender([mail.batching(api)])
    await mail.confirmed(first, account)
    took = asyncio.Event()

    async def takes_and_says_nothing(arrival, writer):
        if took.is_set():
            return await api.accept(arrival, writer)
        await api.accept(arrival, _Nowhere())
        if arrival.path == "/emails/batch":
            took.set()
        return await hang(arrival, writer)

    api.answers += [takes_and_says_nothing] * 20
    await alerts(world, first, account, 6)
    await took.wait()
    await mail.channels[0].close()
    await first.kill()
    second = await mail.sender([mail.batching(api)])
    second.worker.wake()
    await sent(world, 7)
    asked = [(a.headers["idempotency-key"], a.body) for a in batches(api)]
    assert len(asked) >= 2
    assert len(set(asked)) == len({key for key, _ in asked})  # a key always with the same body
    told = [m["text"] for m in api.mails if "Your note" in m["text"]]
    assert len(told) == len(set(told)) == 6


async def test_one_that_cannot_be_sent_does_not_keep_the_others_back(world, mail, api, account):
    sender = await mail.sender([mail.batching(api, rate=20.0)])
    await mail.confirmed(sender, account)

    async def refuses_some(arrival, writer):
        body = json.loads(arrival.body)
        mails = body if isinstance(body, list) else [body]
        if any("n3" in m["text"] for m in mails):
            api.refuses(422, "invalid_parameter", "no")
            return await api.answers.pop()(arrival, writer)
        return await api.accept(arrival, writer)

    api.answers += [refuses_some] * 20
    await alerts(world, sender, account, 5)
    rows = await world.settled(6)
    states = [row["state"] for row in rows]
    assert (states.count(SENT), states.count(FAILED)) == (5, 1)
    assert batches(api)
    # Those that came while the first was answered may have gone together, without it: such a batch
    # was taken, and is kept.
    kept = await world.db.fetch("select payload from email_batches")
    assert not any(b"n3" in row["payload"] for row in kept)
