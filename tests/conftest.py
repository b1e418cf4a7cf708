"""Fixtures that every tier may ask for."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator

import pytest

from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from libs.testing.clock import FakeClock
from libs.testing.postgres import fresh_database, running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A real server for the whole session; `postgres.dsn(database)` reaches it."""
    with running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a database of one's own."""
    async with fresh_database(postgres) as dsn:
        yield dsn


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def ids(clock: FakeClock) -> Ids:
    """Ids that are the same in every run."""
    return Ids(clock, random.Random(7).randbytes)
