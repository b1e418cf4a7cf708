"""The newest day at a glance, and being told of the next."""

import asyncio

import orjson
import pytest

from libs.auth import ANONYMOUS
from libs.errors import AppError, Kind
from libs.testing.rpc import serving
from pq.market.v1 import dashboard_pb2 as pb
from pq.market.v1 import dashboard_pb2_grpc
from services.market.handlers.publications import Publications
from services.market.servicer.dashboard import DashboardServicer
from tests.integration.market.test_pipeline import day_of, drain, history, runner, walk

__all__ = ["walk"]  # a fixture


@pytest.fixture
async def client(world):
    publications = Publications(world.db)
    async with serving(
        (
            dashboard_pb2_grpc.add_DashboardServiceServicer_to_server,
            DashboardServicer(world.db, publications),
        )
    ) as server:
        stub = dashboard_pb2_grpc.DashboardServiceStub(server.channel(ANONYMOUS))
        yield stub, publications


async def test_the_newest_day_at_a_glance(world, client, walk):
    stub, _ = client
    request = pb.GetDashboardRequest(name="dashboard")
    assert await stub.GetDashboard(request) == pb.Dashboard(name="dashboard")
    await history(world, walk, 35)
    await drain(runner(world))
    found = await stub.GetDashboard(request)
    assert found.basis.day == day_of(34)
    assert {one.name for one in found.indices} >= {"indices/tcgplayer:all-equal"}
    assert not [one for one in found.indices if ":set-" in one.name]
    with pytest.raises(AppError) as caught:
        await stub.GetDashboard(pb.GetDashboardRequest(name="x"))
    assert caught.value.kind is Kind.INVALID


async def test_who_listens_is_told_of_what_is_newest_and_of_what_comes(world, client, walk):
    stub, publications = client
    await history(world, walk, 3)
    await drain(runner(world))
    await publications.look()
    stream = stub.WatchPublications(pb.WatchPublicationsRequest()).__aiter__()

    async def event():
        async with asyncio.timeout(10):
            body = await anext(stream)
        assert body.content_type == "text/event-stream"
        assert body.data.endswith(b"\n\n")
        return dict(line.split(b": ", 1) for line in body.data.strip().split(b"\n"))

    assert await event() == {b"retry": b"2000"}
    first = await event()
    assert (first[b"event"], orjson.loads(first[b"data"])["day"]) == (b"published", day_of(2))
    await history(world, walk, 1, first=3)
    await drain(runner(world))
    await publications.look()
    second = await event()
    assert orjson.loads(second[b"data"])["snapshot"] == f"snapshots/tcgplayer-{day_of(3)}-v1"
    assert second[b"id"] == b"tcgplayer-4"
