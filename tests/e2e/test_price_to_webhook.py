"""A day of prices goes in, alerts fire, and signed webhooks arrive: the main job, undisturbed."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from tests.e2e.market import import_days, set_the_scene
from tests.e2e.product import Importer, running
from tests.e2e.receiver import Receiver


@pytest.fixture
async def product(tmp_path):
    async with running(tmp_path / "home") as running_product:
        yield running_product


async def test_what_the_oracle_expects_arrives_signed_and_nothing_else(product):
    importer = Importer(product)

    # Every seventh webhook is refused at first, so that retries are part of the way.
    def refuse_some(_path, webhook_id, seen):
        return 500 if webhook_id[-1] in "0347" and seen == 1 else 200

    async with Receiver(refuse_some) as r:
        scene = await set_the_scene(product, importer, r.port, seed=1)
        await import_days(scene, importer, range(1, len(scene.days)))
        expected = scene.expected()
        assert len(expected) > 100  # else this proves little
        arrived = await r.until(lambda: expected.keys() <= r.ids, timeout=60)
        assert arrived, f"{len(expected.keys() - r.ids)} of {len(expected)} did not arrive"
        assert r.ids == expected.keys()
        for arrival in r.arrivals:
            Webhook(scene.secrets[arrival.path]).verify(arrival.body, arrival.headers)
