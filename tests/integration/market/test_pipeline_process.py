"""The pipeline's own process: started when a run waits, gone when none does or its parent goes."""

import asyncio

import psutil
import pytest

from services.market.handlers.closing import Closing, Rule
from services.market.handlers.pipeline.process import PipelineProcess
from tests.integration.market.test_pipeline import history, walk
from tests.integration.market.world import until

__all__ = ["walk"]  # a fixture


@pytest.fixture
async def process(world, empty_database, monkeypatch, tmp_path):
    monkeypatch.setenv("PQ_DATABASE_URL", empty_database)
    monkeypatch.setenv("PQ_MARKET_PIPELINE_IDLE", "0.5")
    task = None

    def start():
        nonlocal task
        closing = Closing(world.db, world.clock, Rule())
        task = asyncio.create_task(PipelineProcess(world.db, world.clock, closing).run())
        return task

    yield start
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def children():
    return [
        child
        for child in psutil.Process().children()
        if "services.market.pipeline" in " ".join(child.cmdline())
    ]


async def test_it_makes_what_waits_and_ends(world, walk, process):
    await history(world, walk, 3)
    process()

    async def published():
        return await world.rows("published") == 3

    async def ended():
        return not children()

    await until(published, "nothing was published")
    await until(ended, "it did not end")


async def test_it_ends_with_who_started_it(world, walk, process):
    await history(world, walk, 3)
    task = process()

    async def started():
        return bool(children())

    await until(started, "it was not started")
    [child] = children()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not child.is_running()
    process()

    async def published():
        return await world.rows("published") == 3

    await until(published, "what was cut off was not made")
