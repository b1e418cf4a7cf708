from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.integration.delivery.receiver import Receiver
from tests.integration.delivery.world import World, open_world


@pytest.fixture
async def world(empty_database: str) -> AsyncIterator[World]:
    async with open_world(empty_database) as made:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


@pytest.fixture
def account() -> UUID:
    return UUID("01900000-0000-7000-8000-000000000001")
