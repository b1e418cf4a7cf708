"""The database of alerts."""

import pytest

from tests.integration.alerts.world import open_database


@pytest.fixture
async def db(empty_database, clock):
    database = await open_database(empty_database, clock)
    yield database
    await database.close()
