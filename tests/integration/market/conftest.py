import pytest

from tests.integration.market.world import open_world


@pytest.fixture
async def world(empty_database, clock, ids):
    made = await open_world(empty_database, clock, ids)
    yield made
    await made.db.close()
