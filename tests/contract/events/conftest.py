"""The suite's two engines. Every test here runs against both."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from libs.local.postgres import EmbeddedPostgres
from libs.testing.postgres import fresh_database
from tests.contract.events.world import World, catalog, world
from tests.kafka.fixtures import kafka_broker, mortal_broker  # noqa: F401 # fixtures


@pytest.fixture
async def databases(postgres: EmbeddedPostgres) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Makes fresh databases, and drops them."""
    async with AsyncExitStack() as stack:
        yield lambda: stack.enter_async_context(fresh_database(postgres))


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log_url(request: pytest.FixtureRequest, databases: Callable[[], Awaitable[str]]) -> str:
    """An event log of each engine."""
    if request.param == "kafka":
        broker: str = request.getfixturevalue("kafka_broker")
        return f"kafka://{broker}"
    return await databases()


@pytest.fixture
async def here(log_url: str, databases: Callable[[], Awaitable[str]]) -> AsyncIterator[World]:
    """Log and services of one test."""
    async with world(log_url, catalog(uuid.uuid4().hex[:10]), databases) as made:
        yield made
