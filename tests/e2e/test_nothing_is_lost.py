"""Whatever dies, whenever: what was accepted arrives, and nothing else does.

PQ_CHAOS_KILLS says how many kills an engine has to bear; the full run takes 30 for each.
PQ_CHAOS_SEED draws other prices, wishes and victims.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.e2e.chaos import Chaos
from tests.e2e.market import Scene, card_id, import_days, set_the_scene
from tests.e2e.product import Client, Importer, Product, running
from tests.e2e.receiver import Arrival, Receiver
from tests.e2e.witnesses import (
    card_days_in_the_log,
    firings_out_of_order,
    quotes,
    until_closed,
    until_quiet,
)
from tests.kafka.fixtures import mortal_broker  # noqa: F401 # a fixture

KILLS = int(os.environ.get("PQ_CHAOS_KILLS", "8"))
# The same prices, wishes and victims in every run; when exactly a kill strikes is never the same.
SEED = int(os.environ.get("PQ_CHAOS_SEED", "20250601"))
SERVICES = ["market", "alerts", "delivery", "gateway", "postgres"]
PEACEFUL = 3
# Months are closed under the kills too, as soon as another has begun.
CLOSING = {"PQ_MARKET_OPEN_MONTHS": "1", "PQ_MARKET_QUIET": "0"}
# An attempt may begin this long before its outcome is written.
ATTEMPT_DEADLINE = 15.0


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest):
    """A broker that may be killed; None where PostgreSQL is the log."""
    return request.getfixturevalue("mortal_broker") if request.param == "kafka" else None


def misbehave(_path: str, webhook_id: str, seen: int) -> int:
    """Now and then the connection is dropped or refused; the same id gets through later."""
    if webhook_id[-1] in "05" and seen == 1:
        return 0
    if webhook_id[-1] in "af" and seen <= 2:
        return 503
    return 200


async def import_while(raging: asyncio.Task[None], scene: Scene, importer: Importer) -> int:
    """Imports day after day until the killing ends; answers how many days were accepted."""
    number, last = 1, len(scene.days) - PEACEFUL
    while number < last and not raging.done():
        await import_days(scene, importer, [number])
        number += 1
    await raging
    # Some days more, in peace, for what a kill broke must work again.
    await import_days(scene, importer, range(number, number + PEACEFUL))
    return number + PEACEFUL


async def test_kills(tmp_path: Path, broker) -> None:
    log = f"kafka://{broker.address}" if broker else ""
    victims = [*SERVICES, "kafka"] if broker else SERVICES
    async with (
        running(tmp_path / "home", log, **CLOSING) as product,
        Receiver(misbehave) as receiver,
    ):
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=SEED, days=2000, step=4)
        chaos = Chaos(product, random.Random(SEED), victims, broker)
        raging = asyncio.create_task(chaos.rage(KILLS))
        accepted = await import_while(raging, scene, importer)
        expected = scene.expected(accepted)
        assert len(expected) > 20  # else this proves little
        await receiver.until(lambda: expected.keys() <= receiver.ids, timeout=120)
        await until_quiet(product, timeout=120)
        await until_closed(product, scene.days[accepted - 1][0], timeout=60)

        check_ids(receiver, expected)
        check_repeats(receiver.arrivals, chaos)
        check_signatures(receiver.arrivals, scene)
        await check_order(product)
        await check_readable(product, scene, accepted)


def check_ids(receiver: Receiver, expected: dict[str, tuple[str, str]]) -> None:
    """No webhook less than the oracle's, and none more."""
    missing = sorted(expected[id] for id in expected.keys() - receiver.ids)
    extra = sorted(receiver.ids - expected.keys())
    assert not missing, f"{len(missing)} of {len(expected)} are missing: {missing[:10]}"
    assert not extra, f"{len(extra)} came that should not: {extra[:10]}"


def check_repeats(arrivals: list[Arrival], chaos: Chaos) -> None:
    """The same id has the same body, and a repeat after a success has a cause that we know."""
    first: dict[str, Arrival] = {}
    succeeded: dict[str, Arrival] = {}
    for arrival in arrivals:
        assert first.setdefault(arrival.id, arrival).body == arrival.body
        before = succeeded.get(arrival.id)
        if before is not None:
            causes = {"delivery", "postgres"}
            told = f"{arrival.id} was sent again without a cause"
            assert chaos.explains(causes, before.at, arrival.at, ATTEMPT_DEADLINE), told
        if arrival.status == 200:
            succeeded[arrival.id] = arrival


def check_signatures(arrivals: list[Arrival], scene: Scene) -> None:
    """Each is signed with its endpoint's secret, as somebody else's library reads it."""
    for arrival in arrivals:
        Webhook(scene.secrets[arrival.path]).verify(arrival.body, arrival.headers)


async def check_order(product: Product) -> None:
    """Each card's events stand in the order of its days, in the log and in the database."""
    for card, days in (await card_days_in_the_log(product)).items():
        assert days == sorted(days), card
    assert await firings_out_of_order(product) == 0


async def check_readable(product: Product, scene: Scene, accepted: int) -> None:
    """Every accepted day is there, as it was sent."""
    reader = Client(product)
    published = {s["day"] for s in await reader.everything("/v1/snapshots", "snapshots")}
    assert {day for day, _ in scene.days[:accepted]} <= published
    for number in sorted(scene.days[0][1])[:5]:
        sent = {
            day: None if rows[number] is None else f"{rows[number] // 100}.{rows[number] % 100:02}"
            for day, rows in scene.days[:accepted]
            if number in rows
        }
        assert await quotes(reader, card_id(number)) == sent


async def test_the_test_can_fail(tmp_path: Path) -> None:
    """With a relay that marks before it appends, kills do lose events, and we notice."""
    sabotage = str(Path(__file__).with_name("sabotage"))
    async with (
        running(tmp_path / "home", PYTHONPATH=sabotage) as product,
        Receiver() as receiver,
    ):
        importer = Importer(product)
        scene = await set_the_scene(product, importer, receiver.port, seed=3, days=40)
        for number in range(1, 9):
            await import_days(scene, importer, [number])
            product.signal("market")
        await import_days(scene, importer, range(9, 12))
        expected = scene.expected(12)
        arrived = await receiver.until(lambda: expected.keys() <= receiver.ids, timeout=15)
        assert not arrived
        assert expected.keys() - receiver.ids
