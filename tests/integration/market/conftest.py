import pytest

from tests.integration.market.world import open_world


@pytest.fixture
async def world(empty_database, clock, ids, tmp_path):
    made = await open_world(empty_database, clock, ids, tmp_path)
    yield made
    await made.db.close()
