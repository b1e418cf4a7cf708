"""The database of alerts, and the service on it."""

import pytest

from libs.testing import rpc
from tests.integration.alerts.place import place_of
from tests.integration.alerts.world import open_database


@pytest.fixture
async def db(empty_database, clock):
    database = await open_database(empty_database, clock)
    yield database
    await database.close()


@pytest.fixture
async def place(db, clock, ids):
    async with place_of(db, clock, ids) as made:
        yield made


@pytest.fixture
def owner(ids):
    return rpc.account(ids.uuid())


@pytest.fixture
def alerts(place, owner):
    return place.stub(owner)
